"""A device behind a TCP port: a serial server such as ser2net, or the simulator."""

from __future__ import annotations

import re
import select
import socket
from contextlib import suppress

from ecgedge.errors import NetworkError, UsageError
from ecgedge.streaming.reasons import reason
from ecgedge.streaming.serial import READ_OCTETS

#: A name, an IPv4 address or an IPv6 one in brackets.
_ADDRESS = re.compile(r"tcp://(?P<host>\[[0-9a-fA-F:.]+\]|[^\s\[\]:/@?#]+):(?P<port>\d{1,5})/?")
_CONNECT_S = 3.0
#: A peer that was switched off says nothing: asked after 5 s of silence, thrice, every 2 s.
_ALIVE = (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3))


def parse(text: str) -> tuple[str, int]:
    """Host and port of "tcp://host:port". Raises UsageError for anything else."""
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 1 << 16:
        raise UsageError(f"{text} is no tcp://host:port, such as tcp://10.0.0.7:4000")
    return found["host"].strip("[]"), int(found["port"])


class TcpLine:
    """A connection. Raises NetworkError, one sentence, where it cannot be made or is lost."""

    def __init__(self, text: str, start: bytes = b"", stop: bytes = b"") -> None:
        """start, stop: sent to the device after connecting and before closing."""
        self._name, self._stop = text, stop
        try:
            self._socket = socket.create_connection(parse(text), _CONNECT_S)
            _keep_alive(self._socket)
            self._socket.sendall(start)
            self._socket.setblocking(False)
        except socket.gaierror as error:
            raise NetworkError(f"{text}: the name cannot be resolved ({error.strerror})") from None
        except TimeoutError:
            raise NetworkError(f"{text} did not answer within {_CONNECT_S:g} s") from None
        except ConnectionRefusedError:
            raise NetworkError(f"{text}: nothing listens there") from None
        except (OSError, UnicodeError) as error:
            raise NetworkError(f"{text} cannot be reached: {reason(error)}") from None
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def read(self, timeout_s: float) -> bytes | None:
        """Octets, or None where none came in time. Raises NetworkError for a broken connection."""
        if not self._poll.poll(max(timeout_s, 0) * 1e3):
            return None
        try:
            data = self._socket.recv(READ_OCTETS)
        except BlockingIOError:
            return None
        except OSError as error:
            raise NetworkError(f"{self._name} is gone ({reason(error)})") from None
        if not data:
            raise NetworkError(f"{self._name} has hung up")
        return data

    def close(self) -> None:
        with suppress(OSError):
            self._socket.sendall(self._stop)
        self._socket.close()


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _ALIVE:
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
