"""The socket file: one server a path, for its owner alone, leftovers of a crash replaced.

A lock (flock) on a file beside the socket decides between two starters; the kernel lets go
of it when a server dies, however it dies. Only its holder touches the socket file, so a
leftover is told from a living server without a race. The lock file stays: deleting it would
let a third starter lock another file of the same name.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ecgedge.errors import UsageError

_BACKLOG = 16
_PROBE_S = 1.0
#: The kernel's room for a socket's path (108 bytes on Linux, 104 elsewhere) less a zero.
_PATH_BYTES = 103


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold the right to serve at this path; nothing is bound or removed yet.

    Raises UsageError where another server has it, where the path holds something that is no
    socket, or where its folder is missing or open to the writing of others.
    """
    if len(os.fsencode(path)) > _PATH_BYTES:
        raise UsageError(f"{path} is too long for a socket: at most {_PATH_BYTES} bytes")
    _check_folder(path.parent)
    lock = _locked(path)
    try:
        _check_free(path)
        yield
    finally:
        os.close(lock)


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A listening socket at a claimed path, mode 0600 from its first moment; removed at the end.

    To be called while no other thread runs: the umask belongs to the whole process.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with suppress(FileNotFoundError):
            path.unlink()
        listener.bind(str(path))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(f"{path} cannot be made: {error.strerror or error}") from None
    finally:
        os.umask(mask)
    made = path.stat()
    try:
        yield listener
    finally:
        # First the name, then the ear: whoever still finds the name is still heard.
        with suppress(OSError):
            if os.path.samestat(path.lstat(), made):
                path.unlink()
        listener.close()


def _check_folder(folder: Path) -> None:
    """Who may write to the folder may put another socket in ours' place."""
    try:
        found = folder.stat()
    except OSError as error:
        raise UsageError(f"the folder {folder} of the socket: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{folder} is no folder for a socket")
    if found.st_uid not in (0, os.geteuid()):
        raise UsageError(f"the folder {folder} of the socket belongs to another user")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise UsageError(f"others may write to {folder}: put the socket into a folder of your own")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"the folder {folder} of the socket cannot be written to")


def _locked(path: Path) -> int:
    name = path.with_name(path.name + ".lock")
    try:
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"{name} cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise UsageError(f"another ecgedge serve answers, or is starting, at {path}") from None
    return lock


def _check_free(path: Path) -> None:
    """Raise UsageError unless nothing is there, or a socket at which nobody listens."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise UsageError(f"{path} is there and is no socket: it is left alone")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        code = probe.connect_ex(str(path))
    if code != errno.ECONNREFUSED:
        raise UsageError(f"another program answers at {path}")
