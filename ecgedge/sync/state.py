"""Where a cart's trust is kept: one small file, replaced as a whole.

    {"schema": "ecgedge-sync/1", "floor": "2026-11-22T12:00:00+00:00",
     "metadata": {"timestamp.json": "...", "1.root.json": "..."}, "sha256": "..."}

A power cut cannot tear it, because it is written atomically, but a worn SD card can. Then its
own SHA-256 (of everything else in canonical JSON) shows it, and trust starts anew from the
root file, as on the first day: everything is verified again, only what this cart had seen is
forgotten. To refuse instead would leave a cart that nobody visits without updates for good.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecgedge.atomic import write_atomic
from ecgedge.errors import MismatchError, UsageError
from ecgedge.sync.trusted import TrustState

SCHEMA = "ecgedge-sync/1"
_NEWER = re.compile(r"ecgedge-sync/(\d+)")


def read_state(path: Path, warn: Callable[[str], None] = lambda text: None) -> TrustState:
    """What is remembered there; nothing where there is no such file.

    warn: told one sentence where the file is damaged, which is then as if it were not there.
    Raises MismatchError for one written by a newer ecgedge, UsageError where reading it is
    not allowed.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return TrustState()
    except PermissionError:
        raise UsageError(f"{path} may not be read: run this as the user who installed it") from None
    except OSError as error:
        return _anew(path, error.strerror or str(error), warn)
    try:
        fields = json.loads(data)
        schema = fields["schema"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        return _anew(path, str(error), warn)
    if schema != SCHEMA and isinstance(schema, str) and _NEWER.fullmatch(schema):
        raise MismatchError(
            f"{path} is in format {schema}, written by a newer ecgedge, this one reads {SCHEMA}: "
            "update ecgedge"
        )
    try:
        return _of_fields(fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return _anew(path, str(error), warn)


def write_state(path: Path, state: TrustState) -> None:
    """Put state in the place of what is there. Raises UsageError where the disk refuses it."""
    fields: dict[str, Any] = {
        "schema": SCHEMA,
        "floor": None if state.floor is None else state.floor.astimezone(UTC).isoformat(),
        "metadata": dict(state.metadata),
    }
    fields["sha256"] = _digest(fields)
    write_atomic(path, (json.dumps(fields, indent=1) + "\n").encode())


def _of_fields(fields: dict[str, Any]) -> TrustState:
    """Raises ValueError, TypeError, KeyError or AttributeError for what write_state does not
    write.
    """
    if fields["schema"] != SCHEMA or fields.pop("sha256") != _digest(fields):
        raise ValueError("its checksum is wrong")
    floor = fields["floor"]
    return TrustState(
        None if floor is None else datetime.fromisoformat(floor).astimezone(UTC),
        {str(name): str(text) for name, text in fields["metadata"].items()},
    )


def _digest(fields: dict[str, Any]) -> str:
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _anew(path: Path, why: str, warn: Callable[[str], None]) -> TrustState:
    warn(
        f"{path} is damaged ({why}): trust starts anew from the root file, and what this cart "
        "had seen of the centre is forgotten; if it happens again, replace the SD card"
    )
    return TrustState()
