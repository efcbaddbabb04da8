"""Which redirects are followed: those within one server."""

from __future__ import annotations

from urllib.parse import SplitResult, urljoin, urlsplit

from ecgedge.errors import TrustError

_PORTS = {"http": 80, "https": 443}


def followed(url: str, location: str) -> str:
    """Where a redirect from `url` leads, without any name or password in it.

    Raises TrustError for another scheme, host or port: the cart was told one server, and
    whoever redirects from it may stand between.
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
        raise TrustError(
            f"{shown(url)} redirects to {shown(there.geturl())}, {why}: set that address as the "
            "source if it is yours, and log in first if this network wants a login"
        )
    return there._replace(netloc=_netloc(there), fragment="").geturl()


def shown(url: str) -> str:
    """The address for people: without a name, a password or a query in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=_netloc(parts), query="", fragment="").geturl()


def _netloc(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
