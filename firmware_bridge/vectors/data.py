"""Data vectors: the edges of every field, and samples that stuffing or signs get wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware_bridge.events import Configuration
from firmware_bridge.vectors.configurations import ADS1293, ADS1298, PATCH
from firmware_bridge.wire import data_body, seal, tagged

LEAST, MOST = -(2**23), 2**23 - 1


def _counts(samples: int, channels: int, *values: int) -> NDArray[np.int32]:
    """The values, again and again, until every sample has its counts."""
    return np.resize(np.array(values, dtype=np.int32), (samples, channels))


def _vector(
    name: str,
    counts: NDArray[np.int32],
    configuration: Configuration = ADS1298,
    **fields: Any,
) -> dict[str, Any]:
    told = {"first": 0, "t_us": 0, "off": 0, "off_valid": 0, "tag": tagged(configuration).tag}
    told |= fields
    return {
        "name": name,
        "fields": {**told, "counts": counts.tolist()},
        "hex": seal(data_body(counts, **told)).hex(),
    }


def data_vectors() -> list[dict[str, Any]]:
    """Frames of one to fifteen samples of one, three and eight channels."""
    ramp = np.arange(80, dtype=np.int32).reshape(10, 8) * 12345 - 400000
    return [
        _vector("ten samples of eight channels", ramp, first=1000, t_us=2_000_000),
        _vector("one sample of one channel, zero", _counts(1, 1, 0), PATCH),
        _vector("all samples zero", _counts(15, 8, 0), first=15, t_us=30_000),
        _vector("least and most", _counts(5, 8, LEAST, MOST, -1, 1), first=5, t_us=10_000),
        _vector("no octet is zero: longer than a block", _counts(15, 8, 0x010101, -1, MOST)),
        _vector("zeros beside runs", _counts(15, 8, 0x7F0001, 0x00FF00, -65536, 256)),
        _vector("sequence about to wrap around", ramp, first=2**32 - 5, t_us=2**40),
        _vector("last sequence number, longest time", ramp[:1], first=2**32 - 1, t_us=2**64 - 1),
        _vector("a frame without time", ramp[:5], first=77, t_us=None),
        _vector("all inputs off, all bits valid", ramp[:5], off=0xFFFF, off_valid=0xFFFF),
        _vector("RA off", ramp[:5], first=500, t_us=10**6, off=0x0200, off_valid=0x02FF),
        _vector("fifteen samples of one channel", _counts(15, 1, 1, -1, 1000, LEAST), PATCH),
        _vector(
            "offset binary: nothing, half of full scale, all",
            _counts(6, 3, 0, 0xB964F0 // 2, 0xB964F0),
            ADS1293,
            first=42,
            t_us=71 * 60 * 10**6,
        ),
        _vector("offset binary, every bit set", _counts(3, 3, 0xFFFFFF), ADS1293),
        _vector("a configuration that was never told", ramp[:2], tag=0xFFFFFFFF),
    ]
