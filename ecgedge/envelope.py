"""Plain data as one line of strict JSON: what the command line prints and a server replies."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any


def dumps(value: Any) -> str:
    """One line of strict JSON (ASCII, no NaN) from plain data, numpy values and paths."""
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if hasattr(value, "tolist"):  # numpy, which this module must not import
        return _plain(value.tolist())
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Iterable):
        return [_plain(item) for item in (sorted(value) if isinstance(value, set) else value)]
    raise TypeError(f"{type(value).__name__} has no JSON form")
