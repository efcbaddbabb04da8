"""A crash inside a native library becomes a sentence and an exit code.

An engine built for another processor dies of SIGILL, a card that fails under a mapped file
of SIGBUS, and a library without memory may end the process itself. Python can catch none of
these. So a command that loads engines runs in a forked child, forked before numpy or any
engine is imported, and the parent waits: see docs/adr/0010. `ECGEDGE_NO_SHIELD=1` runs it
unforked, for debuggers.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from ecgedge.cli import brief
from ecgedge.errors import EcgedgeError

if TYPE_CHECKING:
    import signal

OPT_OUT = "ECGEDGE_NO_SHIELD"

_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")

#: Tells the parent this exit code: whatever happens from now on, the command has spoken.
Tell = Callable[[int], None]
Report = Callable[[EcgedgeError], int]


def applies(arguments: Sequence[str]) -> bool:
    """Whether a command line is run behind the shield, here."""
    return brief.applies(arguments) and hasattr(os, "fork") and not os.environ.get(OPT_OUT)


def enter(report: Report) -> Tell | None:
    """Fork. Returns in the child; the parent waits, ends the process as the child ended.

    report: says an error in the agreed way and returns its exit code; asked, in the parent,
    for a child that died without a word. Where no process can be made this one goes on,
    and None is returned.
    """
    import signal

    parent = os.getpid()
    reader, writer = os.pipe()
    # A signal that comes before both sides are ready waits.
    numbers = [getattr(signal, name) for name in _FORWARDED]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        child = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return None
    if child:
        os.close(writer)
        _be_the_parent(child, reader, report, before)
    os.close(reader)
    _interrupt_once()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    _die_with(parent, writer)
    return lambda code: _tell(writer, code)


def _tell(writer: int, code: int) -> None:
    os.write(writer, bytes([code & 0xFF]))


def _interrupt_once() -> None:
    """Ctrl-C reaches the child twice, from the terminal and from the parent: hear it once."""
    import signal

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # told to ignore it, as a job in the background is

    def interrupt(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)


def _die_with(parent: int, writer: int) -> None:
    """End this process when the parent is killed, else it would answer to nobody.

    The parent alone reads the pipe. When that end closes, Linux sends whoever asked for it
    SIGIO, which ends a process.
    """
    try:
        import fcntl

        fcntl.fcntl(writer, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(writer, fcntl.F_GETFL)
        fcntl.fcntl(writer, fcntl.F_SETFL, flags | os.O_ASYNC)
    except (ImportError, AttributeError, OSError):
        return  # not on this system: the child works to its end
    if os.getppid() != parent:
        os._exit(1)


def _be_the_parent(
    child: int, reader: int, report: Report, mask: set[int | signal.Signals]
) -> NoReturn:
    """Forward signals, wait, and end as the child did. mask: of signals, to go back to."""
    import signal

    def forward(number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(child, number)

    for name in _FORWARDED:
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _, status = os.waitpid(child, 0)
    for name in _FORWARDED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    told = os.read(reader, 1)
    code = told[0] if told else _without_a_word(os.waitstatus_to_exitcode(status), report)
    os._exit(code)


def _without_a_word(code: int, report: Report) -> int:
    """The exit code for a child that ended with this one and had not said why."""
    from ecgedge.crashes import crash

    error = crash(code)
    if error is not None:
        return report(error)
    import signal

    # Ended by someone's wish, such as SIGTERM: end in the same way.
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code
