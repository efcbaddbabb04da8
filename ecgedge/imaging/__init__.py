"""Conditioned signal -> ECG image, by named encodings in one registry.

An encoding is a pure function with an id; any change of its output is a new id.
"""

from __future__ import annotations

from ecgedge.errors import UsageError
from ecgedge.imaging.base import ImageEncoding
from ecgedge.imaging.fields import FIELDS_1
from ecgedge.imaging.leads import LEADS_1
from ecgedge.imaging.scalogram import SCALOGRAM_1
from ecgedge.imaging.trace import TRACE_1

_REGISTRY = {encoding.id: encoding for encoding in (LEADS_1, TRACE_1, FIELDS_1, SCALOGRAM_1)}


def encoding_ids() -> list[str]:
    """Every known encoding id."""
    return sorted(_REGISTRY)


def get_encoding(encoding_id: str) -> ImageEncoding:
    """The encoding of that id; raises UsageError for an unknown one."""
    try:
        return _REGISTRY[encoding_id]
    except KeyError:
        known = ", ".join(encoding_ids())
        raise UsageError(f"image encoding {encoding_id!r} is not one of {known}") from None


__all__ = ["ImageEncoding", "encoding_ids", "get_encoding"]
