"""What a command that answers once and ends can spare itself.

A cold query makes some 60,000 objects that live until it ends: modules, classes, functions.
Looking through them for garbage again and again, and taking them apart in the end, cost a
fifth of its time and gave nothing back.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import threading
from collections.abc import Sequence

COMMANDS = frozenset({"query", "search", "classify", "verify"})
#: New objects between two looks for garbage; Python's own 700 is for programs that stay.
_OBJECTS = 100_000


def applies(arguments: Sequence[str]) -> bool:
    """Whether a command line runs a command that answers once and ends."""
    return bool(arguments) and arguments[0] in COMMANDS


def begin() -> None:
    """Look for garbage more rarely from now on: still often enough for thousands of files."""
    gc.set_threshold(_OBJECTS)


def end(code: object) -> None:
    """End the process with this exit code at once, if nobody could tell the difference.

    Exit handlers have run and what was printed has left. Returns where threads still work,
    or for a code that is no number: then Python ends as it always does.
    """
    if not isinstance(code, int) or threading.active_count() > 1:
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # full, closed, none
            stream.flush()
    os._exit(code)
