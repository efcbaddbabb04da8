"""What a person names as a source -> the source."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ecgedge.errors import InputError
from ecgedge.streaming import tcp
from ecgedge.streaming.arrivals import Source
from ecgedge.streaming.live import Live
from ecgedge.streaming.reasons import reason
from ecgedge.streaming.recorded import Recorded
from ecgedge.streaming.serial import SerialPort, check_baud


@dataclass(frozen=True)
class Manners:
    """How to speak to a device: the port's baud rate, and what to send at the start and end."""

    baud: int = 115_200
    start: bytes = b""
    stop: bytes = b""


def open_source(text: str, manners: Manners) -> Source:
    """Open a serial port or pseudo-terminal, "tcp://host:port", a file, or "-".

    Raises UsageError for what names no source, InputError for a port or file that cannot be
    had, NetworkError for an address that does not answer.
    """
    check_baud(manners.baud)
    if text == "-":
        return _standard_input()
    if "://" in text:
        tcp.parse(text)
        return Live(text, lambda: tcp.TcpLine(text, manners.start, manners.stop))
    kind = _kind(text)
    if stat.S_ISDIR(kind):
        raise InputError(f"{text} is a directory: name a port, a log or tcp://host:port")
    if stat.S_ISSOCK(kind) or stat.S_ISBLK(kind):
        raise InputError(f"{text} is neither a port nor a file")
    if stat.S_ISCHR(kind):
        return _terminal_or_stream(text, manners)
    return Recorded(_opened(text), text, pipe=not stat.S_ISREG(kind))


def _standard_input() -> Source:
    """Standard input, kept open by a handle of the source's own."""
    try:
        handle = os.dup(0)
    except OSError:
        raise InputError("standard input is closed") from None
    return Recorded(handle, "-", pipe=not stat.S_ISREG(os.fstat(handle).st_mode))


def _terminal_or_stream(path: str, manners: Manners) -> Source:
    """A port; or a device such as /dev/urandom, which is no terminal."""

    def connect() -> SerialPort:
        return SerialPort(path, manners.baud, manners.start, manners.stop)

    if _may_be_read_as_file(path):
        return Recorded(_opened(path), path, pipe=True)
    return Live(path, connect)


def _may_be_read_as_file(path: str) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False  # the port's own opening says why
    try:
        return not os.isatty(handle)
    finally:
        os.close(handle)


def _kind(path: str) -> int:
    try:
        return Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        plugged = ": is the device plugged in?" if path.startswith("/dev/") else ""
        raise InputError(f"there is no {path}{plugged}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be looked at: {reason(error)}") from None


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason(error)}") from None
