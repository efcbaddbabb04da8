"""Where a sync keeps what it needs inside a store.

store/sync/trust.json       what was trusted last (`state`)
store/sync/status.json      how the last sync ended (`last`)
store/sync/parts/           files on their way (`fetch`)
store/sync/lock             held while a sync or a rollback runs (`lock`)
"""

from __future__ import annotations

from pathlib import Path


def folder(root: Path) -> Path:
    """The sync's own folder in the store at `root`."""
    return root / "sync"


def trust(root: Path) -> Path:
    """The file of the trust state."""
    return folder(root) / "trust.json"


def status(root: Path) -> Path:
    """The file that tells of the last sync."""
    return folder(root) / "status.json"


def parts(root: Path) -> Path:
    """The folder of files that are not whole yet."""
    return folder(root) / "parts"


def lock(root: Path) -> Path:
    """The file that is locked; it stays, so that two starters always lock the same one."""
    return folder(root) / "lock"
