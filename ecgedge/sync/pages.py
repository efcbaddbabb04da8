"""Web pages where files of a repository were asked for: a network that wants a login."""

from __future__ import annotations

from ecgedge.errors import NetworkError


def is_page(data: bytes) -> bool:
    """Whether a file that begins so is a web page. None in a repository is."""
    begin = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return begin.startswith((b"<!doctype html", b"<html", b"<head", b"<!--"))


def login_page(server: str) -> NetworkError:
    """The failure to report where a web page came instead of a repository's file."""
    return NetworkError(
        f"{server} answers with a web page, which looks like the login page of a network: log in "
        "to the network (or check the address of the source) and try again"
    )
