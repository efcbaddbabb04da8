"""The proxy that this machine's environment names for an address."""

from __future__ import annotations

import base64
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ecgedge.errors import UsageError


def proxy_for(url: str) -> str | None:
    """The proxy's URL for a request to `url`, with name and password if it has them, or None.

    HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY count in either case of letters, the lower
    one first (Python's own rule; HTTP_PROXY does not in a CGI script). NO_PROXY takes host
    names, endings of them and "*", no networks. Raises UsageError for a proxy of another kind.
    """
    proxies = getproxies()
    parts = urlsplit(url)
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    found = found if "://" in found else f"http://{found}"
    try:
        proxy = urlsplit(found)
        usable = proxy.scheme in ("http", "https") and proxy.hostname and proxy.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            f"the proxy that the environment names for {parts.scheme} addresses is none that "
            "sync can use: write it as http://proxy:port"
        )
    return found


def basic_auth(url: str) -> str | None:
    """What a header says for the name and password in a URL, None where there are none."""
    parts = urlsplit(url)
    if parts.username is None:
        return None
    told = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(told.encode()).decode('ascii')}"
