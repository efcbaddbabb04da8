"""A serial port by termios alone: raw, 8N1, for one program at a time.

Microcontrollers appear as /dev/ttyACM* (USB CDC, where the baud rate means nothing) or
/dev/ttyUSB* and /dev/ttyAMA* (where it must be the device's). A pseudo-terminal is one, too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import termios
import time
from contextlib import suppress
from pathlib import Path

from ecgedge.errors import EcgedgeError, InputError, UsageError
from ecgedge.streaming.reasons import reason

#: Most that one read takes.
READ_OCTETS = 1 << 16
#: After so much silence the port's name is looked at: it may belong to another device by now.
_SILENCE_S = 1.0
_PERMISSION = (errno.EACCES, errno.EPERM)
_ABSENT = (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.ENOTDIR)


def baud_rates() -> dict[int, int]:
    """Every rate that termios knows here, as bits a second -> its constant."""
    named = {name[1:]: value for name, value in vars(termios).items() if name.startswith("B")}
    return {
        int(digits): value for digits, value in named.items() if digits.isdigit() and digits != "0"
    }


def check_baud(baud: int) -> None:
    """Raise UsageError unless termios knows the rate."""
    known = baud_rates()
    if baud not in known:
        rates = ", ".join(str(rate) for rate in sorted(known) if rate >= 9600)
        raise UsageError(f"a serial port cannot be set to {baud} baud here, only to {rates}")


class SerialPort:
    """An opened port. Raises InputError, one sentence, where it cannot be had or is lost."""

    def __init__(self, path: str, baud: int, start: bytes = b"", stop: bytes = b"") -> None:
        """start, stop: sent to the device after opening and before closing."""
        check_baud(baud)
        self._path, self._stop = path, stop
        self._claimed = False
        self._handle = _open(path)
        try:
            _claim(self._handle, path)
            self._claimed = True
            _make_raw(self._handle, baud)
            self._send(start)
        except termios.error as error:
            self._let_go()
            raise InputError(f"{path} cannot be set up: {error.args[-1]}") from None
        except (OSError, EcgedgeError) as error:
            self._let_go()
            raise _refused(path, error) if isinstance(error, OSError) else error from None
        self._poll = select.poll()
        self._poll.register(self._handle, select.POLLIN)
        self._heard = time.monotonic()

    def read(self, timeout_s: float) -> bytes | None:
        """Octets, or None where none came in time. Raises InputError for a port that is gone."""
        if not self._poll.poll(max(timeout_s, 0) * 1e3):
            self._check_name()
            return None
        try:
            data = os.read(self._handle, READ_OCTETS)
        except BlockingIOError:
            return None
        except OSError as error:
            raise InputError(f"{self._path} is gone ({reason(error)})") from None
        if not data:
            raise InputError(f"{self._path} has hung up")
        self._heard = time.monotonic()
        return data

    def close(self) -> None:
        with suppress(OSError):
            self._send(self._stop)
        self._let_go()

    def _send(self, data: bytes) -> None:
        if data:
            os.write(self._handle, data)

    def _let_go(self) -> None:
        """Close; a pseudo-terminal that another side holds open would stay exclusive."""
        if self._claimed:
            with suppress(OSError):
                fcntl.ioctl(self._handle, termios.TIOCNXCL)
        os.close(self._handle)

    def _check_name(self) -> None:
        """Raise InputError where the name stands for nothing or for another device now."""
        if time.monotonic() - self._heard < _SILENCE_S:
            return
        self._heard = time.monotonic()
        try:
            named, held = Path(self._path).stat(), os.fstat(self._handle)
        except OSError as error:
            raise InputError(f"{self._path} is gone ({reason(error)})") from None
        if named.st_rdev != held.st_rdev:
            raise InputError(f"{self._path} is another device now")


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(path, error) from None


def _claim(handle: int, path: str) -> None:
    """Keep others out: TIOCEXCL for any program but root's, flock also between root's."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _busy(path) from None
    fcntl.ioctl(handle, termios.TIOCEXCL)


def _make_raw(handle: int, baud: int) -> None:
    """As cfmakeraw(3), without modem lines: octets in, octets out, nothing else."""
    _, _, control, _, _, _, marks = termios.tcgetattr(handle)
    # A closed port must not reset the microcontroller by dropping DTR (HUPCL).
    control &= ~(termios.CSIZE | termios.PARENB | termios.CSTOPB | termios.CRTSCTS | termios.HUPCL)
    control |= termios.CS8 | termios.CREAD | termios.CLOCAL
    marks[termios.VMIN], marks[termios.VTIME] = 1, 0
    speed = baud_rates()[baud]
    termios.tcsetattr(handle, termios.TCSANOW, [0, 0, control, 0, speed, speed, marks])


def _refused(path: str, error: OSError) -> InputError:
    """Why a port cannot be opened, and what to do."""
    if error.errno in _ABSENT:
        return InputError(f"there is no {path}: is the device plugged in?")
    if error.errno in _PERMISSION:
        return InputError(
            f"{path} may not be opened by this user: add the user to the group {_group(path)} "
            "and log in again"
        )
    if error.errno == errno.EBUSY:
        return _busy(path)
    return InputError(f"{path} cannot be opened: {reason(error)}")


def _busy(path: str) -> InputError:
    return InputError(f"{path} is in use by another program")


def _group(path: str) -> str:
    """The group that owns a port: dialout on Debian, uucp elsewhere."""
    import grp

    try:
        name = grp.getgrgid(Path(path).stat().st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"
    return "dialout" if name == "root" else name
