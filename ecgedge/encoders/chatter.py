"""Keeping an engine's own log lines off stderr, and everything else on it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

#: TFLite's logger and Abseil's: "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
#: "W0000 00:00:1795355411.627308    7350 flatbuffer_export.cc:4410] ...".
_CHATTER = re.compile(rb"(INFO|VERBOSE|WARNING|ERROR): |[IWEF]\d{4} \d\d:\d\d:")
_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Drop an engine's log lines while it loads; lines of anyone else come out afterwards.

    TFLite writes to file descriptor 2 itself and has no switch for it in Python, so
    the descriptor leads to a file meanwhile. Whatever the file holds that is not such a
    log line (another thread's message, say) is passed on; not after a SystemError, with
    which an extension built for another numpy ends, after a page of advice for programmers.
    """
    with _one_at_a_time, tempfile.TemporaryFile() as caught:
        _flush()
        try:
            kept = os.dup(2)
        except OSError:  # a daemon without stderr has none to keep clean
            yield
            return
        os.dup2(caught.fileno(), 2)
        told = True
        try:
            yield
        except SystemError:
            told = False
            raise
        finally:
            _flush()
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            others = [line for line in caught if not _CHATTER.match(line)]
            if others and told:
                os.write(2, b"".join(others))


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
