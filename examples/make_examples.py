"""Write the synthetic example recording as CSV and as WFDB beside this file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ecgedge.recording import LEADS
from ecgedge.signal.synthetic import Heart, synthesize

RATE_HZ = 250
UV_PER_STEP = 2
CSV_LEADS = ("I", "II", *LEADS[6:])


def main(folder: Path) -> None:
    """Both files hold the same heart; the CSV keeps the eight independent leads."""
    recording = synthesize(Heart(rate_bpm=72), rate_hz=RATE_HZ)
    digital = np.round(recording.signal * 1000 / UV_PER_STEP).astype("<i2")
    rows = digital[[LEADS.index(lead) for lead in CSV_LEADS]].T * (UV_PER_STEP / 1000)
    lines = [f"# rate_hz: {RATE_HZ}", "# unit: mV", ",".join(CSV_LEADS)]
    lines += [",".join(f"{value + 0.0:.3f}" for value in row) for row in rows]
    (folder / "synthetic.csv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")

    header = [f"synthetic {len(LEADS)} {RATE_HZ} {digital.shape[1]}"]
    for lead, column in zip(LEADS, digital, strict=True):
        checksum = int(column.sum(dtype=np.int64)) % 65536
        gain = f"{1000 // UV_PER_STEP}(0)/mV"
        header.append(f"synthetic.dat 16 {gain} 16 0 {column[0]} {checksum} 0 {lead}")
    header.append("# A computed ECG of no person: ecgedge.signal.synthetic, 72 beats a minute.")
    (folder / "synthetic.hea").write_text("\n".join(header) + "\n", newline="\n")
    (folder / "synthetic.dat").write_bytes(np.ascontiguousarray(digital.T).tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent)
