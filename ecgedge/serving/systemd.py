"""What systemd is told and what it hands over, in its two small protocols; no library needed.

Sources: sd_notify(3), sd_listen_fds(3). Without NOTIFY_SOCKET or LISTEN_FDS nothing happens.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from ecgedge.errors import UsageError

_FIRST_HANDLE = 3


def notify(*states: str) -> bool:
    """Tell systemd states such as READY=1; whether it could be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.connect(address)
            told.sendall("\n".join(states).encode())
    except OSError:
        return False
    return True


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Seconds within which systemd wants a sign of life (WatchdogSec=), None for never."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        span_us = int(environment.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return span_us / 1e6 if span_us > 0 else None


def inherited(environment: Mapping[str, str] = os.environ) -> socket.socket | None:
    """The listening socket of an ecgedge.socket unit, None where there is no such unit.

    Raises UsageError where something else was handed over.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    if environment.get("LISTEN_FDS") != "1":
        raise UsageError("systemd must hand over exactly one socket")
    try:
        found = socket.socket(fileno=_FIRST_HANDLE)
        listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise UsageError(f"what systemd handed over is no socket: {error.strerror}") from None
    if (found.family, found.type) != (socket.AF_UNIX, socket.SOCK_STREAM) or not listens:
        raise UsageError("systemd must hand over a listening unix stream socket")
    os.set_inheritable(_FIRST_HANDLE, False)
    return found
