"""A repository on a web server, over urllib3.

Whatever comes from it is checked against the centre's signatures later; here it is only made
sure that one server is asked, that it sends the piece asked for, and that it cannot hold the
cart for ever.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from ecgedge.errors import NetworkError, TrustError, UsageError
from ecgedge.sync import failures, ranges
from ecgedge.sync.pace import Pace, watch
from ecgedge.sync.pages import is_page, login_page
from ecgedge.sync.paths import quoted
from ecgedge.sync.proxies import basic_auth, proxy_for
from ecgedge.sync.redirects import followed, shown
from ecgedge.sync.transport import Missing, Reply

CHUNK_BYTES = 1 << 16
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_ABSENT = (403, 404, 410)  # object stores say 403 for what is not there


class HttpSource:
    """Reads from `url` and nowhere else; proxies are those of the environment.

    ca: a file of certificates in PEM format, by default SSL_CERT_FILE or this system's.
    timeout_s: for connecting, and for each wait for a byte. pace, clock: see `pace.watch`.
    Raises UsageError for what is no http or https address and for an unusable proxy or ca.
    """

    def __init__(
        self,
        url: str,
        *,
        ca: Path | None = None,
        timeout_s: float = 30.0,
        pace: Callable[[], Pace] = Pace,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _check(url)
        self._base = _without_password(url).rstrip("/")
        proxy = proxy_for(url)
        self._proxy = None if proxy is None else shown(proxy)
        self._manager = _manager(proxy, _context(ca))
        watch(self._manager, pace, clock)
        self._timeout = urllib3.Timeout(connect=timeout_s, read=timeout_s)
        # A blob's name is its hash, so what a range belongs to cannot change: no If-Range.
        self._headers = {"User-Agent": "ecgedge", "Accept-Encoding": "identity"}
        password = basic_auth(url)
        if password:
            self._headers["Authorization"] = password

    @property
    def name(self) -> str:
        """The address, without a password in it."""
        return self._base

    @contextmanager
    def open(self, path: str, start: int = 0) -> Iterator[Reply]:
        """As `transport.Source.open`; raises BadRange where a piece is not the one asked for."""
        response = self._get(f"{self._base}/{quoted(path)}", start)
        try:
            self._refuse(response, path)
            yield self._reply(response, start)
        finally:
            response.close()  # one that was read to its end is back in the pool already

    def _get(self, url: str, start: int) -> urllib3.BaseHTTPResponse:
        headers = self._headers | ({"Range": ranges.requested(start)} if start else {})
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                response = self._manager.request(
                    "GET",
                    url,
                    headers=headers,
                    preload_content=False,
                    decode_content=False,
                    redirect=False,
                    retries=False,
                    timeout=self._timeout,
                )
            except (HTTPError, OSError) as error:
                raise failures.explained(error, self.name, self._proxy) from None
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return response
            response.close()
            url = followed(url, location)
        raise TrustError(f"{self.name} redirects in circles: check the address of the source")

    def _refuse(self, response: urllib3.BaseHTTPResponse, path: str) -> None:
        """Raise unless this is the file or a piece of it."""
        status = response.status
        if status in _ABSENT:
            raise Missing(f"{self.name} has no {path} (status {status})")
        if status == 407:
            raise failures.wants_password(self._proxy or self.name)
        if status == 511:
            raise login_page(self.name)
        if status == 416:
            raise ranges.BadRange(f"{self.name} has fewer bytes of {path} than are here")
        if status not in (200, 206):
            raise NetworkError(
                f"{self.name} answered with status {status} {response.reason or ''}".rstrip()
                + ": try again later, or tell those who run it"
            )
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise NetworkError(
                f"{self.name} sends files compressed ({encoding}) though it was asked not to: "
                "have that switched off for this address"
            )

    def _reply(self, response: urllib3.BaseHTTPResponse, start: int) -> Reply:
        # urllib3 reads it from Content-Length; None in a reply of chunks.
        length = getattr(response, "length_remaining", None)
        if response.status == 206:
            last, total = ranges.sent(response.headers.get("Content-Range"), start)
            if length not in (None, last + 1 - start):
                raise ranges.BadRange(f"{self.name} sends another length than it says")
            return Reply(start, self._chunks(response), total)
        chunks = self._chunks(response)
        first = next(chunks, b"")
        if is_page(first):
            raise login_page(self.name)
        return Reply(0, chain((first,) if first else (), chunks), length)

    def _chunks(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        # Never `read`: it waits for a full chunk, and loses what came of it where that fails.
        while True:
            try:
                chunk = response.read1(CHUNK_BYTES)
            except (HTTPError, OSError) as error:
                raise failures.explained(error, self.name, self._proxy) from None
            if not chunk:
                return
            yield chunk


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and url.isascii()
            and url.isprintable()
            and " " not in url
            and "\\" not in url
        )
    except ValueError:
        good = False
    if not good:
        raise UsageError("the source is no web address such as https://server/path")
    if parts.query or parts.fragment:
        raise UsageError(
            f"the source {shown(url)} must not carry a query or a fragment ('?', '#'): name the "
            "folder that holds metadata/ and targets/"
        )


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _context(ca: Path | None) -> ssl.SSLContext:
    """Certificates and host names are checked, always."""
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except ssl.SSLError:
        raise UsageError(f"{ca} holds no certificates in PEM format: name a CA bundle") from None
    except OSError as error:
        raise UsageError(f"the CA bundle {ca} cannot be read: {error.strerror or error}") from None


def _manager(proxy: str | None, context: ssl.SSLContext) -> urllib3.PoolManager:
    if proxy is None:
        return urllib3.PoolManager(ssl_context=context)
    password = basic_auth(proxy)
    return urllib3.ProxyManager(
        _without_password(proxy),
        proxy_headers={"Proxy-Authorization": password} if password else None,
        proxy_ssl_context=context,
        ssl_context=context,
    )
