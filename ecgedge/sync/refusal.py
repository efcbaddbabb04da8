"""Why a repository was not believed, in one sentence each, with the right exit code.

TrustError (6) for what no honest repository serves; NetworkError (5) where the way there is
the likelier reason and a later try may help.
"""

from __future__ import annotations

import json
from datetime import datetime

from tuf.api import exceptions as tuf
from tuf.api.serialization import DeserializationError

from ecgedge.errors import EcgedgeError, NetworkError, TrustError, UsageError

_ROLES = {
    "root": "the list of the centre's keys",
    "timestamp": "the centre's latest word on what is current",
    "snapshot": "the centre's table of contents",
    "targets": "the centre's list of releases",
}
_GOES_ON = "the installed release goes on answering"


def refusal(error: Exception, source: str, path: str, body: bytes) -> EcgedgeError:
    """What to tell of an error that came up while path was asked of source.

    error: anything python-tuf raises, an EcgedgeError being told as it is.
    body: the bytes of the file that came, as far as they came.
    """
    if isinstance(error, EcgedgeError):
        return error
    what = f"{described(path)} from {source}"
    if isinstance(error, OSError):
        return no_room(error)
    if isinstance(error, tuf.DownloadLengthMismatchError):
        return TrustError(f"{what} is longer than it may be: {_GOES_ON}; tell the centre")
    if isinstance(error, tuf.DownloadError):
        return NetworkError(f"{what} could not be fetched ({_cause(error)}): try again later")
    if _cut_short(body) and not isinstance(error, tuf.UnsignedMetadataError):
        return NetworkError(f"{what} ended too early: try again later, or copy it anew")
    return TrustError(f"{what} {_offence(error)}: {_GOES_ON}; tell the centre")


def no_room(error: OSError) -> UsageError:
    """The scratch folder refuses."""
    return UsageError(
        f"the folder for temporary files cannot be used ({error.strerror or error}): make room "
        "there, or name another one in TMPDIR"
    )


def _offence(error: Exception) -> str:
    match error:
        case tuf.UnsignedMetadataError():
            return (
                f"is not signed by the keys this cart trusts ({error}), so it was changed, or "
                "the cart's root file is another centre's"
            )
        case tuf.BadVersionNumberError():
            return (
                "does not follow what the centre signed before, so an older state is being "
                "served as new or two states are mixed"
            )
        case tuf.LengthOrHashMismatchError():
            return "is not the file that the centre signed, its length or content differs"
        case DeserializationError():
            return "is no TUF metadata that this ecgedge can read"
        case _:
            return f"is not what it must be ({_cause(error)})"


def expired(
    role: str, source: str, expires: datetime, now: datetime, floor: datetime | None
) -> TrustError:
    """One role's metadata has run out. expires, now, floor: UTC, now as the wall clock says."""
    if floor is not None and now < floor:
        clock = (
            f"this cart's clock says {_day(now)} and does not count, because an earlier sync "
            f"saw {_day(floor)}"
        )
    else:
        clock = f"or set this cart's clock, if today is not {_day(now)}"
    return TrustError(
        f"{_ROLES[role]} ({role}) from {source} expired on {_day(expires)}, so the centre has "
        f"not signed anew or an old state is being served as new: {_GOES_ON}; tell the centre, "
        f"{clock}"
    )


def missing_from(source: str, path: str) -> NetworkError:
    """A file is missing without which nothing can be verified."""
    if path.endswith("/timestamp.json"):
        why = "check that it is the address of the repository itself, or try again later"
    else:
        why = "it is being published or was copied in part, try again later or copy it anew"
    return NetworkError(f"{source} has no {path}: {why}")


def described(path: str) -> str:
    """A metadata file for people, e.g. "the centre's list of releases (3.targets.json)"."""
    name = path.rpartition("/")[2]
    role = name.removesuffix(".json").rpartition(".")[2]
    return f"{_ROLES.get(role, 'a file')} ({name})"


def _cut_short(body: bytes) -> bool:
    """Whether these are the first bytes of a JSON object whose end is missing."""
    text = body.decode("utf-8", "replace").rstrip()
    if text and not text.startswith("{"):
        return False
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text) or not text.endswith("}")
    except (ValueError, RecursionError):
        return False
    return False


def _cause(error: BaseException) -> str:
    told = " ".join(str(error).split())[:150]
    return told or type(error).__name__


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
