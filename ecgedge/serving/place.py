"""Where a server's socket lies. Imported by every `ecgedge query`: os and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

NAME = "ecgedge.sock"
SYSTEM = Path("/run/ecgedge") / NAME


def candidates(named: Path | None = None) -> list[Path]:
    """Where a client looks, in this order; a server takes the first.

    Where one is named, here or by ECGEDGE_SOCKET, that alone; else the user's own folder of
    the session (XDG_RUNTIME_DIR) and the system's.
    """
    if named is None and os.environ.get("ECGEDGE_SOCKET"):
        named = Path(os.environ["ECGEDGE_SOCKET"])
    if named is not None:
        return [named]
    session = os.environ.get("XDG_RUNTIME_DIR")
    return [*([Path(session) / NAME] if session else []), SYSTEM]


def find_socket(named: Path | None = None) -> Path | None:
    """The first of the candidates that is there, whether or not anybody listens."""
    # Not Path.exists, which raises where a folder above may not be looked into.
    return next((path for path in candidates(named) if os.access(path, os.F_OK)), None)


def store_name(store: Path | str | None) -> str:
    """The one name of a store that a client and a server compare, links resolved."""
    builtin = Path(__file__).parent.parent / "builtin"
    return os.path.realpath(builtin if store is None else store)
