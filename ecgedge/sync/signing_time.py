"""When the centre signed something: a field that TUF does not have, written as TUF writes time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ecgedge.sync.layout import SIGNED_AT

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def time_text(moment: datetime) -> str:
    """A moment as TUF writes it, in UTC to the second."""
    return moment.astimezone(UTC).strftime(_FORMAT)


def signed_at(fields: Mapping[str, Any]) -> datetime | None:
    """What the extra fields of signed metadata say, None where that is nothing sensible."""
    try:
        return datetime.strptime(fields[SIGNED_AT], _FORMAT).replace(tzinfo=UTC)
    except (KeyError, TypeError, ValueError):
        return None
