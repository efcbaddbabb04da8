"""Which redirects are followed: those within one server."""

from __future__ import annotations

from urllib.parse import SplitResult, urljoin, urlsplit

from ecgedge.errors import NetworkError, TrustError

_PORTS = {"http": 80, "https": 443}


def followed(url: str, location: str) -> str:
    """Where a redirect from `url` leads, without any name or password in it.

    Raises TrustError for another scheme, host or port: the cart was told one server. From an
    unencrypted address that is a NetworkError: there the network itself may answer in the
    server's place, and mostly does so to ask for a login, after which a retry helps.
    """
    here = urlsplit(url)
    try:
        there = urlsplit(urljoin(url, location))
        same = _origin(there) == _origin(here)
    except ValueError:
        raise TrustError(f"{shown(url)} redirects to what is no address") from None
    if not same:
        if (here.scheme, there.scheme) == ("https", "http"):
            why = "which is not encrypted"
        else:
            why = "another server"
        told = f"{shown(url)} redirects to {shown(there.geturl())}, {why}"
        if here.scheme == "http":
            raise NetworkError(
                f"{told}: if this network wants a login, log in and try again; else set that "
                "address as the source if it is yours"
            )
        raise TrustError(f"{told}: set that address as the source if it is yours")
    return there._replace(netloc=_netloc(there), fragment="").geturl()


def shown(url: str) -> str:
    """The address for people: without a name, a password or a query in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=_netloc(parts), query="", fragment="").geturl()


def _netloc(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
