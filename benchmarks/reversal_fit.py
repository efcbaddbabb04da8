"""How the independent leads are tied: the numbers in ecgedge/signal/reversal.py.

    python benchmarks/reversal_fit.py CORPUS        # a folder in PTB-XL's layout

Mean products of I, II and V1 to V6 over the recordings of folds 1 to 8 (100 Hz), limb leads in
shares of their common rms, each chest lead of its own. No recording is left out: an exchanged
one among a thousand moves nothing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ecgedge.corpora.ptbxl import load_corpus  # noqa: E402
from ecgedge.formats import read  # noqa: E402
from ecgedge.recording import LIMB_FROM_I_II  # noqa: E402
from ecgedge.signal.measures import cut, products, steady  # noqa: E402
from ecgedge.signal.reversal import INDEPENDENT  # noqa: E402


def usual(corpus: Path, every: int = 1) -> NDArray[np.float64]:
    """Shape (8, 8); of every so-manieth recording."""
    records = load_corpus(corpus).select(range(1, 9), with_signal=True)[::every]
    total = np.zeros((8, 8))
    for record in records:
        recording = read(Path(f"{record.signal}.hea"))
        window = cut(recording.signal, recording.rate_hz)
        held = products(window, steady(window))[np.ix_(INDEPENDENT, INDEPENDENT)]
        scale = np.sqrt(held.diagonal())
        limb = LIMB_FROM_I_II @ held[:2, :2] @ LIMB_FROM_I_II.T
        scale[:2] = np.sqrt(limb.diagonal().mean())
        total += held / np.outer(scale, scale)
    return total / len(records)


def main() -> None:
    """Print the lower triangle as it stands in the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, help="folder in PTB-XL's layout")
    matrix = usual(parser.parse_args().corpus)
    for row in range(8):
        values = ", ".join(f"{value:.3f}" for value in matrix[row, : row + 1])
        print(f"    ({values}{',' * (not row)}),")


if __name__ == "__main__":
    main()
