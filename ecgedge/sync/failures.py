"""What went wrong on the way to a server, in one sentence that says what to do next."""

from __future__ import annotations

import datetime
import ssl

from urllib3 import exceptions

from ecgedge.errors import NetworkError

#: OpenSSL's verdicts (x509_vfy.h) that a wrong clock alone can bring about.
_NOT_YET_VALID, _EXPIRED = 9, 10


def explained(error: BaseException, server: str, proxy: str | None = None) -> NetworkError:
    """The same failure as ecgedge reports it. server, proxy: addresses without passwords.

    A certificate that is not accepted is a NetworkError too. Nothing was taken from that
    server, what may be taken is decided by the centre's signatures alone, and the usual causes
    pass: a cart whose clock is wrong after a power cut, a network that waits for a login.
    """
    if isinstance(error, exceptions.ProxyError):
        return _of_proxy(error, server, proxy or "the proxy")
    return NetworkError(f"{_what(error, server)}; try again later")


def _what(error: BaseException, server: str) -> str:
    if isinstance(error, exceptions.NameResolutionError):
        return f"the name of {server} cannot be found (DNS): check the network and the address"
    if isinstance(error, exceptions.NewConnectionError):  # before the next, which it is too
        return f"{server} cannot be reached ({_reason(error)}): check the network and the address"
    if isinstance(error, exceptions.ConnectTimeoutError):
        return f"{server} cannot be reached (no answer): check the network"
    if isinstance(error, exceptions.ReadTimeoutError):
        return f"{server} stopped answering"
    if isinstance(error, exceptions.SSLError):
        return _of_tls(error.args[0] if error.args else error, server)
    return f"the connection to {server} broke ({_reason(error)})"


def _of_tls(error: object, server: str) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"no encrypted connection to {server} can be made ({_reason(error)}): is the address "
            "right, does this network want a login"
        )
    now = datetime.datetime.now(datetime.UTC)
    clock = f"this machine's clock, which says {now:%Y-%m-%d %H:%M} UTC"
    authority = "the CA bundle (--ca)"
    if error.verify_code in (_NOT_YET_VALID, _EXPIRED):
        first, then = clock, authority
    else:
        first, then = authority, clock
    return (
        f"the certificate of {server} is not accepted ({error.verify_message}): check {first}, "
        f"whether this network wants a login, and {then}"
    )


def _of_proxy(error: exceptions.ProxyError, server: str, proxy: str) -> NetworkError:
    cause = error.original_error
    if "407" in str(cause):
        return wants_password(proxy)
    what = _what(cause, proxy) if isinstance(cause, exceptions.HTTPError) else _reason(cause)
    return NetworkError(
        f"{server} cannot be reached through the proxy {proxy} ({what}): check HTTPS_PROXY, "
        "HTTP_PROXY and NO_PROXY"
    )


def wants_password(proxy: str) -> NetworkError:
    """The failure that a proxy's 407 stands for."""
    return NetworkError(
        f"the proxy {proxy} wants a name and a password: set them in HTTPS_PROXY or HTTP_PROXY "
        "as http://name:password@proxy:port"
    )


def _reason(error: object) -> str:
    """The system's own words at the bottom of a chain of errors."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, exceptions.ProtocolError) and len(error.args) > 1:
        return _reason(error.args[1])
    cause = getattr(error, "__cause__", None)
    if isinstance(cause, OSError):
        return _reason(cause)
    return str(error).removeprefix("Connection aborted.").strip() or type(error).__name__
