"""From the points of a learning curve to means, spreads and what a law expects of more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks import power_law
from benchmarks.learning_page import METRICS

_DRAWS, _SEED = 1000, 20200525


def summarise(points: Sequence[dict[str, Any]], at: int) -> dict[str, Any]:
    """Means and spreads by size, and what the fitted curves expect at `at` recordings."""
    by_size: dict[int, list[dict[str, Any]]] = {}
    for point in points:
        by_size.setdefault(point["size"], []).append(point)
    groups = [by_size[size] for size in sorted(by_size)]
    n = np.array([np.mean([one["recordings"] for one in group]) for group in groups])
    told: dict[str, Any] = {"points": list(points), "at": at, "sizes": n.tolist(), "metrics": {}}
    for name in METRICS:
        values = [np.array([one[name] for one in group], dtype=np.float64) for group in groups]
        told["metrics"][name] = {
            "mean": [known(one.mean()) for one in values],
            "sd": [known(one.std(ddof=1)) if len(one) > 1 else None for one in values],
            **extrapolate(n, [1 - one for one in values], at),
        }
    return told


def extrapolate(n: power_law.Floats, errors: list[power_law.Floats], at: int) -> dict[str, Any]:
    """The fitted law, what it expects at `at`, its interval over redrawn runs."""
    mean = np.array([[one.mean() for one in errors]])
    if len(n) < 3 or not np.isfinite(mean).all():
        return {"fit": None, "why": "fewer than three sizes with a value"}
    curve = power_law.fit(n, mean)
    drawn = 1 - power_law.fit(n, power_law.redraw(errors, _DRAWS, _SEED)).at(at)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return {
        "fit": {
            "floor": float(curve.floor[0]),
            "scale": float(curve.scale[0]),
            "exponent": float(curve.exponent[0]),
            "most": curve.most,
        },
        "expected": {"value": float(1 - curve.at(at)[0]), "lo": float(low), "hi": float(high)},
        "without_floor": float(1 - power_law.fit(n, mean, floor=0.0).at(at)[0]),
    }


def known(value: float) -> float | None:
    """None for what is not finite: strict JSON has no other word for it."""
    return float(value) if np.isfinite(value) else None
