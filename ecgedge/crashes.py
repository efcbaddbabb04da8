"""What it means when a process that ran native code ended without a word."""

from __future__ import annotations

import signal

from ecgedge.errors import EcgedgeError, OutOfMemory, ReleaseError

_SENTENCES = {
    "SIGILL": "an installed engine uses an instruction that this processor does not have "
    "(SIGILL): install a build made for this processor, or another engine",
    "SIGBUS": "a file could not be read while it was in use (SIGBUS): check the disk or card, "
    "then run `ecgedge verify`",
    "SIGSEGV": "an installed engine crashed (SIGSEGV): run `ecgedge verify`, and if the release "
    "is whole, reinstall numpy, onnxruntime and usearch",
    "SIGABRT": "an installed engine gave up (SIGABRT), most often for lack of memory",
    "SIGFPE": "an installed engine crashed (SIGFPE)",
    "SIGSYS": "an installed engine asked the system for what it does not allow (SIGSYS)",
    "SIGTRAP": "an installed engine crashed (SIGTRAP)",
}
_KILLED = "the system ended this program (SIGKILL), most often for lack of memory: end others first"
_ENDED = (
    "a native library ended this program (exit code {}), most often for lack of memory: end "
    "other programs, or allow this one more (ulimit -v)"
)


def crash(code: int) -> EcgedgeError | None:
    """The error of a process that ended with this code and had not said why.

    code: as `os.waitstatus_to_exitcode` gives it, below 0 for a signal. None where someone
    wished it to end, e.g. by SIGTERM.
    """
    if code >= 0:
        return OutOfMemory(_ENDED.format(code))
    name = signal.Signals(-code).name if -code in list(signal.Signals) else ""
    if name == "SIGKILL":
        return OutOfMemory(_KILLED)
    return ReleaseError(_SENTENCES[name]) if name in _SENTENCES else None
