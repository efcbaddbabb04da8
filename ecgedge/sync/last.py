"""How the last sync of a store ended, in one small file for `ecgedge status`."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgedge.atomic import write_atomic
from ecgedge.errors import DamagedError, EcgedgeError, MismatchError

FORMAT = "ecgedge-sync/1"
#: What `outcome` may be.
INSTALLED, REPAIRED, NOTHING_NEW = "installed", "repaired", "nothing new"
AVAILABLE, FAILED = "available", "failed"
_MAX_BYTES = 1 << 16


@dataclass(frozen=True)
class LastSync:
    """when: UTC, as this machine's clock said. outcome: one of the words above.

    release: the one it was about, where it came so far. source: where it looked. error, code:
    why it failed, "" and 0 where it did not. confirmed: UTC; when the repository was last
    verified to have nothing newer than what is installed. expires: when the metadata that was
    seen then stops being believed.
    """

    when: datetime.datetime
    outcome: str
    source: str
    release: str | None = None
    error: str = ""
    code: int = 0
    confirmed: datetime.datetime | None = None
    expires: datetime.datetime | None = None


def read_last(path: Path) -> LastSync | None:
    """The last sync, None where there was none.

    Raises DamagedError for a file that is none of ours, MismatchError for a newer ecgedge's.
    """
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(_MAX_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise DamagedError(f"{path} is damaged: the next sync writes it anew") from None
    if isinstance(data, dict) and data.get("format", FORMAT) != FORMAT:
        raise MismatchError(f"{path} is a newer ecgedge's ({data['format']}): update ecgedge")
    try:
        return _from_dict(data)
    except (KeyError, TypeError, ValueError):
        raise DamagedError(f"{path} is damaged: the next sync writes it anew") from None


def write_last(path: Path, last: LastSync) -> None:
    """Keep it, atomically. Raises UsageError where the disk refuses."""
    times = {name: _text(getattr(last, name)) for name in ("when", "confirmed", "expires")}
    rest = {
        "outcome": last.outcome,
        "source": last.source,
        "release": last.release,
        "error": last.error,
        "code": last.code,
    }
    text = json.dumps({"format": FORMAT, **rest, **times}, indent=1, ensure_ascii=False)
    write_atomic(path, f"{text}\n".encode(errors="replace"))


def failed(when: datetime.datetime, source: str, error: BaseException) -> LastSync:
    """The record of a sync that ended with this error."""
    told = str(error) or type(error).__name__
    if isinstance(error, KeyboardInterrupt):
        told = "stopped before it was done"
    code = error.exit_code if isinstance(error, EcgedgeError) else EcgedgeError.exit_code
    return LastSync(when, FAILED, source, error=told, code=code)


def _from_dict(data: dict[str, Any]) -> LastSync:
    texts = {name: data[name] for name in ("outcome", "source", "error")}
    if not all(isinstance(value, str) for value in texts.values()):
        raise TypeError
    when = _time(data["when"])
    if when is None or not isinstance(data["code"], int):
        raise TypeError
    release = data["release"]
    return LastSync(
        when=when,
        release=None if release is None else str(release),
        code=data["code"],
        confirmed=_time(data["confirmed"]),
        expires=_time(data["expires"]),
        **texts,
    )


def _time(text: str | None) -> datetime.datetime | None:
    if text is None:
        return None
    found = datetime.datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} names no time zone")
    return found.astimezone(datetime.UTC)


def _text(time: datetime.datetime | None) -> str | None:
    return None if time is None else time.astimezone(datetime.UTC).isoformat(timespec="seconds")
