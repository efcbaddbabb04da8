"""Releases with made-up reports, for the tests of what may leave the centre."""

from pathlib import Path

import numpy as np

from ecgedge.casebase.manifest import EncoderRef, Manifest, TextRef
from ecgedge.casebase.release import Calibration, Store
from ecgedge.casebase.segment import CaseRecord, SegmentRef
from ecgedge.casebase.writing import write_segment
from ecgedge.central.cases import case_texts
from ecgedge.central.schema import source_of
from ecgedge.encoders.text import load_text
from ecgedge.textsearch import case_words

DIM = 8
#: Every sentence of these identifies nobody.
CLEAN = (
    "Sinusrhythmus, Linkstyp, AV-Block 1. Grades, PQ 240 ms. Pardee-Q in II, III, aVF.",
    "sinus rhythm. prolonged qt, this may be due to a drug effect. patient's age unknown.",
    "Typ Wenckebach (Mobitz I) 3:2, RR 120/80, HF 60-100/min, QTc (Bazett) 440 ms.",
    "HR 110/min, HR. regular; MR and MS excluded; v4,5,6 may be ischaemic; Sokolow-Lyon 3.5 mV",
    "Schenkelblock, 2. und 3. Extrasystole, 1:1 Überleitung, V1-V4, QRS 0.08 s, Brugada Typ 1",
)
#: (report, what of it must be gone)
TELLING = (
    ("Herr Müller, geb. 12.03.1956: Vorhofflimmern.", ("Müller", "12.03.1956")),
    ("dr. med. hans-peter schönfeld, tel. 0711/1234567, sinusrhythmus", ("schönfeld", "1234567")),
    ("Name: OKONKWO, CHIDI  MRN 00471123. Normal ECG.", ("OKONKWO", "CHIDI", "00471123")),
    ("Mrs Jane O'Neill, DOB March 12, 1956, jane@example.org", ("O'Neill", "March 12", "jane@")),
    ("Fr. Anna Kowalski, Fallnr. 77-1234, Lindenstraße 12a, 70174 Stuttgart",
     ("Kowalski", "77-1234", "Lindenstraße", "70174")),
)  # fmt: skip


def cases(reports: tuple[str | None, ...], corpus: str = "clinic") -> list[CaseRecord]:
    """One case a report, numbered."""
    return [
        CaseRecord(
            f"{corpus}/{n}", {"SR": 0.0, "NORM": 80.0}, report, 40 + n, "FM"[n % 2],
            source_of(f"{corpus}/{n}"), f"{n // 2:012x}",
        )
        for n, report in enumerate(reports)
    ]  # fmt: skip


def release(
    root: Path, *segments: tuple[str | None, ...], text: tuple[bytes, bytes] | None = None
) -> Store:
    """A store with one release of these reports, active. text: model and sidecar of a tower."""
    store = Store(root)
    tower = TextRef(store.put_blob(text[0]), store.put_blob(text[1])) if text else None
    refs = [_segment(store, reports, number, tower) for number, reports in enumerate(segments)]
    manifest = Manifest(
        created="2026-01-01",
        encoder=EncoderRef("leads-1-fp32-0", store.put_blob(b"model"), store.put_blob(b"spec")),
        text=tower,
        conditioning="cond-1",
        imaging="leads-1",
        calibration=Calibration(4, 0.1, tuple(np.linspace(0.5, 1.0, 101).tolist())),
        segments=tuple(refs),
        withdrawn=(),
        probes=(),
        corpus={"name": "clinic", "cases": sum(ref.count for ref in refs), "reports": True},
        notes=("There were no validation recordings: the votes use defaults.",),
    )
    store.activate(store.add_release(manifest))
    return store


def _segment(
    store: Store, reports: tuple[str | None, ...], number: int, tower: TextRef | None
) -> SegmentRef:
    records = cases(reports, f"clinic{number}")
    texts = None
    if tower:
        loaded = load_text(store.blob(tower.model), store.blob(tower.spec))
        texts = case_texts(loaded, [one or "" for one in reports])
    return write_segment(
        store.blobs,
        np.random.default_rng(number).normal(size=(len(records), DIM)).astype(np.float32),
        records,
        encoder_id="leads-1-fp32-0",
        texts=texts,
        words=[case_words(one) for one in records],
        ecgs=[b"\x78\x9c\x03\x00\x00\x00\x00\x01"] * len(records),
    )
