"""Where a simulated device is connected: a pseudo-terminal, a TCP port, a file.

A link is opened, waits for a reader, is sent to and closed again, as often as it is plugged in.
What a reader sends is read and thrown away: a simulated device obeys nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
import time
import tty
from pathlib import Path
from typing import BinaryIO, Protocol

from ecgedge.errors import UsageError
from firmware_bridge.simulator.stop import Stop

#: Between two looks for what the system tells no other way.
_LOOK_S = 0.02
#: Programs set a port up after opening it, and throw away what came before.
_SETTLE_S = 0.2
#: How long a reader may leave what was sent unread before the link is closed over it.
_PATIENCE_S = 2.0
#: The same for one who lets nobody see how much is unread.
_BLIND_S = 0.5


class Outlet(Protocol):
    """One end of a link."""

    @property
    def where(self) -> str:
        """What a reader connects to."""
        ...

    def open(self) -> None:
        """Plug in. Raises UsageError where the place cannot be had."""
        ...

    def wait_for_reader(self, stop: Stop) -> bool:
        """Wait until somebody reads; False if asked to end before."""
        ...

    def send(self, octets: bytes, stop: Stop, wait: bool) -> bool:
        """Pass one frame on, whole or not at all; whether it was.

        wait: until there is room or a reader; else a frame without room is not sent, as a
        device drops what its host does not fetch.
        """
        ...

    def close(self, stop: Stop) -> None:
        """Unplug, once the reader has what was sent."""
        ...


class File:
    """A file, or standard output: always there."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self.where = file, name

    def open(self) -> None:
        pass

    def wait_for_reader(self, stop: Stop) -> bool:
        return True

    def send(self, octets: bytes, stop: Stop, wait: bool) -> bool:
        self._file.write(octets)
        if not wait:
            self._file.flush()
        return True

    def close(self, stop: Stop) -> None:
        self._file.flush()


class _Descriptor:
    """What a pseudo-terminal and a connection have in common: a file that may be full."""

    _rest = b""  # the end of a frame that found no room
    _file = -1

    def _write(self, octets: bytes, stop: Stop, wait: bool) -> bool:
        """Whether the frame was begun; its rest is kept until there is room. Raises OSError."""
        while True:
            if self._rest:
                self._rest = self._rest[self._some(self._rest) :]
            if not self._rest:
                sent = self._some(octets)
                if sent:
                    self._rest = octets[sent:]
                    return True
            if not wait or not stop.wait(_LOOK_S, writable=[self._file]):
                return False
            if not self._there():
                return False

    def _some(self, octets: bytes) -> int:
        try:
            return os.write(self._file, octets)
        except BlockingIOError:
            return 0

    def _flush(self, stop: Stop) -> None:
        """Write the rest of a frame that was begun, if anybody makes room for it."""
        until = time.monotonic() + _PATIENCE_S
        while self._rest and self._there() and time.monotonic() < until:
            self._rest = self._rest[self._some(self._rest) :]
            if self._rest and not stop.wait(_LOOK_S, writable=[self._file]):
                break
        self._rest = b""

    def _there(self) -> bool:
        raise NotImplementedError


class Terminal(_Descriptor):
    """A pseudo-terminal in raw mode. link: a symbolic link that is kept on its present path."""

    def __init__(self, link: Path | None = None) -> None:
        self._link = link
        self._path = ""

    @property
    def where(self) -> str:
        return str(self._link or self._path)

    def open(self) -> None:
        self._file, other = os.openpty()
        tty.setraw(other)
        self._path = os.ttyname(other)
        os.close(other)
        os.set_blocking(self._file, False)
        self._events = select.poll()
        self._events.register(self._file, select.POLLIN)
        if self._link is not None:
            self._place(self._link)

    def wait_for_reader(self, stop: Stop) -> bool:
        while not self._there():
            if not stop.wait(_LOOK_S):
                return False
        return stop.wait(_SETTLE_S)

    def send(self, octets: bytes, stop: Stop, wait: bool) -> bool:
        while not stop.asked:
            if self._there() and self._write(octets, stop, wait):
                return True
            if not wait:
                return False
            self.wait_for_reader(stop)
        return False

    def close(self, stop: Stop) -> None:
        if self._file < 0:
            return
        self._flush(stop)
        self._wait_until_read(stop)
        if self._link is not None:
            with contextlib.suppress(OSError):  # not ours any more
                if str(self._link.readlink()) == self._path:
                    self._link.unlink()
        os.close(self._file)
        self._file = -1

    def _there(self) -> bool:
        """Whether the terminal's other side is open; reads away what came from there."""
        events = self._events.poll(0)
        told = events[0][1] if events else 0
        if told & select.POLLIN:
            with contextlib.suppress(OSError):
                os.read(self._file, 4096)
        return not told & select.POLLHUP

    def _wait_until_read(self, stop: Stop) -> None:
        """Closing a pseudo-terminal throws away what was not read."""
        if not self._there():
            return
        try:
            other = os.open(self._path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:  # the reader keeps others out, and so cannot be asked
            stop.wait(_BLIND_S)
            return
        try:
            quiet, left, patience = 0, -1, time.monotonic() + _PATIENCE_S
            # Empty twice: what does not fit is brought up after what was read.
            while quiet < 3 and time.monotonic() < patience and stop.wait(_LOOK_S / 2):
                packed = fcntl.ioctl(other, termios.FIONREAD, b"\0" * 4)
                (unread,) = struct.unpack("i", packed)
                quiet = 0 if unread else quiet + 1
                if unread != left:
                    left, patience = unread, time.monotonic() + _PATIENCE_S
        finally:
            os.close(other)

    def _place(self, link: Path) -> None:
        """Point the link at the terminal. Raises UsageError where something else is in its way."""
        beside = link.with_name(f".{link.name}.new")
        try:
            if link.exists() and not link.is_symlink():
                raise UsageError(f"{link} exists and is no link")
            beside.unlink(missing_ok=True)
            beside.symlink_to(self._path)
            beside.replace(link)
        except OSError as error:
            raise UsageError(f"{link} cannot be made: {error.strerror or error}") from None


class Tcp(_Descriptor):
    """A TCP port that serves one reader at a time; unplugged, it refuses connections."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._listener: socket.socket | None = None
        self._client: socket.socket | None = None

    @property
    def where(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"tcp://{host}:{self._port}"

    def open(self) -> None:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            self._listener = socket.create_server((self._host, self._port), family=family)
        except (OSError, OverflowError) as error:
            told = error.strerror if isinstance(error, OSError) else str(error)
            raise UsageError(f"{self.where} cannot be had: {told or error}") from None
        self._port = self._listener.getsockname()[1]  # where 0 was asked for
        self._listener.setblocking(False)

    def wait_for_reader(self, stop: Stop) -> bool:
        assert self._listener is not None
        while not self._there():
            if not stop.wait(1.0, readable=[self._listener.fileno()]):
                return False
        return True

    def send(self, octets: bytes, stop: Stop, wait: bool) -> bool:
        while not stop.asked:
            try:
                if self._there() and self._write(octets, stop, wait):
                    return True
            except OSError:  # gone
                self._hang_up()
            if not wait:
                return False
            self.wait_for_reader(stop)
        return False

    def close(self, stop: Stop) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        with contextlib.suppress(OSError):
            self._flush(stop)
            if self._client is not None:
                self._client.shutdown(socket.SHUT_WR)
                until = time.monotonic() + _PATIENCE_S
                while self._listens(self._client) and time.monotonic() < until:
                    stop.wait(_LOOK_S, readable=[self._file])
        self._hang_up()

    def _there(self) -> bool:
        """Whether a reader is connected, perhaps since now; reads away what it sent."""
        if self._client is not None and self._listens(self._client):
            return True
        self._hang_up()
        if self._listener is not None:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                self._client, _ = self._listener.accept()
                self._client.setblocking(False)
                self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._file = self._client.fileno()
        return self._client is not None

    @staticmethod
    def _listens(client: socket.socket) -> bool:
        try:
            return client.recv(4096) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client, self._file, self._rest = None, -1, b""
