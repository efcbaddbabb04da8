"""What several parts of `signal` do to arrays of leads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def bridged(signal: NDArray[Any], held: NDArray[np.bool_]) -> NDArray[Any]:
    """A copy of (leads, n) with straight lines across gaps; leads without a sample become 0.

    held: bool (leads, n), which samples are there. For filters, which would ring at gaps.
    """
    out = np.zeros_like(signal)
    time = np.arange(signal.shape[1])
    for lead, mask in enumerate(held):
        if mask.any():
            out[lead] = np.interp(time, time[mask], signal[lead, mask])
    return out


def row_medians(rows: NDArray[Any]) -> NDArray[Any]:
    """As np.median along the last axis of (m, n), whose care for other cases takes most of
    its time. rows: without NaN.
    """
    middle = rows.shape[1] // 2
    ordered = np.sort(rows, axis=1)
    if rows.shape[1] % 2:
        return np.asarray(ordered[:, middle])
    return np.asarray((ordered[:, middle - 1] + ordered[:, middle]) / 2)
