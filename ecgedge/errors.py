"""Every error ecgedge raises on purpose, in one tree, each with its exit code.

    EcgedgeError            1  unexpected
    ├── OutOfMemory         1  this machine had not enough memory
    ├── UsageError          2  the command or call was put wrongly
    ├── InputError          3  the input cannot be read as an ECG
    ├── QualityRefused      4  read, but it cannot carry an answer
    ├── NetworkError        5  try again later
    ├── BusyError           5  another ecgedge is at it, try again later
    ├── TrustError          6  do not retry
    ├── ReleaseError        7  what is installed cannot answer
    │   ├── DamagedError    7  bytes are not those that were published
    │   └── MismatchError   7  parts that do not belong together
    └── NothingNew          8  (sync --check) already current

The message is one sentence a person at the cart can act on. Scripts read the
exit code; they must treat a code they do not know as failure.
"""

from __future__ import annotations


class EcgedgeError(Exception):
    """Base of the tree; also what an unexpected failure is reported as."""

    exit_code = 1


class OutOfMemory(EcgedgeError):
    """There was not enough memory; nothing that is installed needs mending."""


class UsageError(EcgedgeError):
    """The command line or the call itself is wrong."""

    exit_code = 2


class InputError(EcgedgeError):
    """The input cannot be read as an ECG recording or corpus."""

    exit_code = 3


class QualityRefused(EcgedgeError):
    """The recording was read but is not good enough to carry an answer."""

    exit_code = 4


class NetworkError(EcgedgeError):
    """A transfer failed in a way that a later try may mend."""

    exit_code = 5


class BusyError(EcgedgeError):
    """Another process holds what this one needs; a later try will find it free."""

    exit_code = 5


class TrustError(EcgedgeError):
    """Something offered to the cart is not what the centre signed."""

    exit_code = 6


class ReleaseError(EcgedgeError):
    """The installed model or case base cannot answer."""

    exit_code = 7


class DamagedError(ReleaseError):
    """A file's bytes differ from what its name or manifest promises."""


class MismatchError(ReleaseError):
    """Model, conditioning, imaging and segments were not made for each other."""


class NothingNew(EcgedgeError):
    """There is nothing newer than what is installed."""

    exit_code = 8
