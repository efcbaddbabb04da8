"""How the system's refusals are worded within a sentence."""

from __future__ import annotations


def reason(error: Exception) -> str:
    """What the system says of an error, in lower case."""
    return (getattr(error, "strerror", None) or str(error)).lower()
