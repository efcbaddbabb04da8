"""Conditioned signal -> ECG image, by named encodings in one registry.

An encoding is a pure function with an id; any change of its output is a new id.
"""

from __future__ import annotations

from importlib import import_module

from ecgedge.errors import UsageError
from ecgedge.imaging.base import ImageEncoding

#: id -> (its module here, its name there); imported when asked for: a cart needs one of them.
_REGISTRY = {
    "fields-1": ("fields", "FIELDS_1"),
    "leads-1": ("leads", "LEADS_1"),
    "scalogram-1": ("scalogram", "SCALOGRAM_1"),
    "trace-1": ("trace", "TRACE_1"),
}


def encoding_ids() -> list[str]:
    """Every known encoding id."""
    return sorted(_REGISTRY)


def get_encoding(encoding_id: str) -> ImageEncoding:
    """The encoding of that id; raises UsageError for an unknown one."""
    if encoding_id not in _REGISTRY:
        known = ", ".join(encoding_ids())
        raise UsageError(f"image encoding {encoding_id!r} is not one of {known}")
    module, name = _REGISTRY[encoding_id]
    encoding = getattr(import_module(f"{__name__}.{module}"), name)
    assert isinstance(encoding, ImageEncoding)
    return encoding


__all__ = ["ImageEncoding", "encoding_ids", "get_encoding"]
