"""One sync, or rollback, at a time in a store.

A lock of the kernel's (flock): it is gone with the process that held it, however that died.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecgedge.atomic import make_folder
from ecgedge.errors import BusyError, UsageError
from ecgedge.sync import places


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the store at `root` for this block.

    Raises BusyError at once where another sync holds it, UsageError where the store cannot be
    written to.
    """
    make_folder(places.folder(root))
    path = places.lock(root)
    try:  # Reading is enough to lock: the account of a timer can, after root ran one by hand.
        handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror or error}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BusyError(
                f"another ecgedge sync or rollback works on {root}: wait until it has ended, "
                "`ecgedge status` tells how"
            ) from None
        yield
    finally:
        os.close(handle)
