"""Whether this machine lets an engine start as many threads as it is about to.

ONNX Runtime 1.31 waits for ever when one of its threads started and a later one could not be
(its pool's destructor joins a thread that nobody wakes): with little memory allowed, a query
on several threads would hang now and then. So the same is tried out, or reckoned, before.
"""

from __future__ import annotations

import threading
from pathlib import Path

from ecgedge.errors import OutOfMemory

#: Address space in bytes: an engine with a model, and the heap that glibc reserves for each
#: thread (and once more while it aligns one).
_ENGINE, _HEAP = 256 << 20, 64 << 20


def check_threads(threads: int) -> None:
    """Raises OutOfMemory where so many threads cannot surely be started; one needs nothing."""
    if threads == 1:
        return
    if not (_has_room(threads) and _can_start(threads)):
        raise OutOfMemory(
            f"not enough memory for an encoder on {threads} threads: use fewer (--threads), or "
            "allow this program more (ulimit -v)"
        )


def _has_room(threads: int) -> bool:
    """Whether the address space that this process may still take (`ulimit -v`) will do."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        stack, _ = resource.getrlimit(resource.RLIMIT_STACK)
        if limit == resource.RLIM_INFINITY:
            return True
        with Path("/proc/self/statm").open(encoding="ascii") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
    except (ImportError, OSError):
        return True  # not a system that counts it so
    stack = 8 << 20 if stack == resource.RLIM_INFINITY else stack
    return taken + _ENGINE + threads * (stack + _HEAP) <= limit


def _can_start(threads: int) -> bool:
    """Start and end so many threads: a service may be allowed few tasks."""
    over = threading.Event()
    started: list[threading.Thread] = []
    try:
        for _ in range(threads):
            one = threading.Thread(target=over.wait, daemon=True)
            one.start()
            started.append(one)
    except (RuntimeError, MemoryError):
        return False
    finally:
        over.set()
        for one in started:
            one.join()
    return True
