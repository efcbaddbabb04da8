"""The two encoders of the built-in release: one network, two engines, the same cases found."""

import platform
import subprocess
import sys

import numpy as np
import pytest

from ecgedge.central.probes import HEARTS
from ecgedge.corpora.ptbxl import load_corpus
from ecgedge.engine import Engine
from ecgedge.formats import read
from ecgedge.signal.synthetic import synthesize

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed (extra tflite)")


def overlap(recordings) -> float:
    """Mean share of the ten nearest cases that the built-in release's two encoders agree on."""
    own = Engine.open()
    (other,) = own.manifest.alternatives
    engines = own, Engine.open(encoder=other.encoder.id)
    assert engines[1].encoder.spec.format == "tflite"
    shared = []
    for recording in recordings:
        found = [
            {hit.case.case_id for hit in engine.casebase.search(engine.embed(recording), 10)}
            for engine in engines
        ]
        shared.append(len(found[0] & found[1]) / 10)
    return float(np.mean(shared))


def test_the_built_in_encoders_of_both_formats_find_the_same_cases():
    assert overlap(synthesize(heart) for heart in HEARTS) >= 0.9


def test_the_built_in_encoders_find_the_same_cases_for_real_recordings(shared_data):
    records = load_corpus(shared_data / "ptbxl").select({9}, with_signal=True)[::6]
    assert overlap(read(record.signal) for record in records) >= 0.95


FAULTS = """
import resource, sys
from ecgedge.engine import Engine
from ecgedge.signal.synthetic import synthesize

engine, recording = Engine.open(encoder=sys.argv[1]), synthesize()
for _ in range(5):
    engine.query(recording)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    engine.query(recording)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is meant")
def test_a_warm_query_takes_no_new_memory_from_the_system_whichever_engine_encodes():
    for encoder in Engine.open().manifest.encoders:
        command = [sys.executable, "-c", FAULTS, encoder.id]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert float(done.stdout) < 20, encoder.id
