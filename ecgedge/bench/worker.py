"""One encoder with one number of threads, measured in this process: `python -m ...worker`.

The request is one JSON object in the arguments, the result one on standard output.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ecgedge.errors import EcgedgeError

if TYPE_CHECKING:
    from ecgedge.engine import Engine
    from ecgedge.recording import Recording

ALONE = "encoder alone"
_WARMING = 3  # queries after the first that are not counted either


@dataclass(frozen=True)
class Request:
    """encoder: an id of the release. bundle: in its place, a folder as `bundle_files` reads it.
    rounds: counted queries.
    """

    store: str
    release: str
    encoder: str | None
    bundle: str | None
    threads: int
    rounds: int


def recordings() -> list[Recording]:
    """Eight synthetic hearts, 10 s at 500 Hz with a little noise, as a front end gives them."""
    import numpy as np

    from ecgedge.signal.synthetic import Heart, synthesize

    rng = np.random.default_rng(1)
    made = [synthesize(Heart(rate_bpm=50 + 10 * number)) for number in range(8)]
    return [
        replace(one, signal=one.signal + rng.normal(0, 0.01, one.signal.shape).astype(np.float32))
        for one in made
    ]


def measure(request: Request) -> dict[str, Any]:
    """Laps in ms by stage, CPU seconds by query, and when the first answer was there.

    Raises what opening the release or encoding raises.
    """
    import numpy as np  # noqa: F401  # part of a start, unlike making recordings

    begun = time.perf_counter()
    asked = recordings()
    drawing_s = time.perf_counter() - begun
    engine = _open(request)
    engine.query(asked[0])
    first = time.perf_counter()
    for recording in asked[1 : 1 + _WARMING]:
        engine.query(recording)
    laps, cpu_s = _rounds(engine, asked, request.rounds)
    spec = engine.encoder.spec
    return {
        "id": spec.id,
        "format": spec.format,
        "quantization": spec.quantization,
        "first_at": first - drawing_s,
        "laps_ms": laps,
        "cpu_s": cpu_s,
    }


def _rounds(
    engine: Engine, asked: list[Recording], rounds: int
) -> tuple[dict[str, list[float]], list[float]]:
    """({stage: ms of each round}, CPU seconds of each query)."""
    from ecgedge.imaging import get_encoding
    from ecgedge.signal.conditioning import condition

    encoding = get_encoding(engine.encoder.spec.imaging)
    images = [encoding.encode(condition(recording))[None] for recording in asked]
    engine.encoder.encode(images[0])
    laps: dict[str, list[float]] = {}
    cpu_s = []
    for number in range(rounds):
        at = number % len(asked)
        spent = time.process_time()
        told = engine.query(asked[at]).timings_ms
        cpu_s.append(time.process_time() - spent)
        begun = time.perf_counter()
        engine.encoder.encode(images[at])
        alone = (time.perf_counter() - begun) * 1e3
        for stage, value in {**told, ALONE: alone}.items():
            laps.setdefault(stage, []).append(value)
    return laps, cpu_s


def _open(request: Request) -> Engine:
    from ecgedge.engine import Engine

    if request.bundle is None:
        return Engine.open(
            request.store,
            release=request.release,
            encoder=request.encoder,
            threads=request.threads,
        )
    return _open_with_bundle(request, request.bundle)


def _open_with_bundle(request: Request, bundle: str) -> Engine:
    """The release asked by an encoder that is none of its own: for its speed, not its answer."""
    from ecgedge.casebase.alternatives import EncoderRef
    from ecgedge.casebase.release import Store
    from ecgedge.encoders import load_encoder
    from ecgedge.encoders.bundles import bundle_files
    from ecgedge.engine import Engine
    from ecgedge.opening import encoding_threads, novelty_model

    store = Store(request.store)
    manifest = store.manifest(request.release)
    encoder = load_encoder(*bundle_files(bundle), threads=encoding_threads(request.threads))
    names = EncoderRef(encoder.spec.id, encoder.spec.sha256, encoder.spec.sha256)
    borrowed = replace(manifest, encoder=names, alternatives=())
    novelty = novelty_model(store, manifest)
    base = store.casebase(manifest)
    return Engine(borrowed, encoder, base, novelty, threads=request.threads)


def main(words: Mapping[str, Any]) -> int:
    """Print the result, or {"error": sentence}; returns the exit code."""
    try:
        print(json.dumps(measure(Request(**words))))
    except EcgedgeError as error:
        print(json.dumps({"error": str(error)}))
        return error.exit_code
    except Exception as error:
        told = f"unexpected {type(error).__name__}: {' '.join(str(error).split())}"
        print(json.dumps({"error": told}))
        return EcgedgeError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
