"""NumPy files (.npy): a bare 2-D array, leads by samples or samples by leads.

The array carries no names: 12 leads are taken in the standard order, 8 as I, II,
V1-V6, any other number needs the lead names given. Nothing is ever unpickled.
"""

from __future__ import annotations

import io
import tokenize
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgedge.errors import InputError, UsageError
from ecgedge.formats import facts
from ecgedge.recording import LEADS, MAX_SAMPLES, Recording, assemble

EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def read_npy(
    data: bytes,
    *,
    rate_hz: float | None = None,
    unit: str | None = None,
    leads: Sequence[str] | None = None,
    source: str = "",
) -> Recording:
    """Read an array. Raises InputError for another shape or type, UsageError for missing facts."""
    shape, fortran, dtype, start = _describe(data)
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise InputError(f"the NPY file holds {dtype.name} values, no plain numbers")
    if len(shape) != 2:
        raise InputError(f"the NPY array has shape {shape}, not leads by samples")
    names, leads_first = _orient(shape, leads)
    if not 0 < max(shape) <= MAX_SAMPLES:
        raise InputError(f"the NPY header claims shape {shape}, no resting ECG")
    needed = shape[0] * shape[1] * dtype.itemsize
    if len(data) - start < needed:
        raise InputError(
            f"the NPY header promises {needed} bytes of samples but {len(data) - start} follow"
        )
    rate_hz = facts.settle_rate(None, rate_hz)
    if unit is None:
        raise UsageError("an NPY file states no unit: add it, as in --unit mV (or uV, NU)")
    own_unit, factor = facts.given_unit(unit)
    values = np.frombuffer(data, dtype, shape[0] * shape[1], start)
    array: NDArray[Any] = values.reshape(shape, order="F" if fortran else "C")
    with np.errstate(over="ignore", invalid="ignore"):
        signal = (array if leads_first else array.T).astype(np.float64) * factor
    facts.check_amplitude(signal)
    return assemble(names, signal, rate_hz=rate_hz, unit=own_unit, source=source)


def _describe(data: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """(shape, column order, dtype, offset of the samples), without touching the samples."""
    file = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            elif version == (2, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
            else:
                raise InputError("the NPY file is of a version that is not read")
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError):
        raise InputError("the NPY file has a damaged header") from None
    if any(isinstance(n, bool) or n < 0 for n in shape):
        raise InputError("the NPY file has a damaged header")
    return shape, fortran, dtype, file.tell()


def _orient(shape: tuple[int, ...], leads: Sequence[str] | None) -> tuple[list[str], bool]:
    """Lead names and whether the first axis is the leads'."""
    by_count = {12: list(LEADS), 8: list(EIGHT)} if leads is None else {len(leads): list(leads)}
    fits = [axis for axis in (0, 1) if shape[axis] in by_count]
    if len(fits) != 1:
        told = "12 or 8" if leads is None else str(len(leads))
        raise InputError(f"the NPY array has shape {shape}, where one axis must count {told} leads")
    return by_count[shape[fits[0]]], fits[0] == 0
