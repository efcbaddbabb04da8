"""From what the configuration names to a source of releases."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ecgedge.errors import UsageError
from ecgedge.sync.folder import FolderSource
from ecgedge.sync.transport import Source


def open_source(text: str, ca: Path | None = None) -> Source:
    """The repository at an http:// or https:// address, a file:// address or a folder.

    ca: certificates for https, see `http.HttpSource`. Nothing is read yet. Raises UsageError
    for an address of another kind.
    """
    if not text or "\0" in text:
        raise UsageError("no source is named: set one as `source` or with --from")
    scheme, separator, _ = text.partition("://")
    if not separator:
        return FolderSource(Path(text))
    if scheme.lower() in ("http", "https"):
        from ecgedge.sync.http import HttpSource  # a stick needs no urllib3

        return HttpSource(scheme.lower() + text[len(scheme) :], ca=ca)
    if scheme.lower() == "file":
        return FolderSource(_folder(text))
    raise UsageError(
        f"a cart cannot read from {scheme}:// addresses: name an https:// address, a file:// "
        "address or a folder"
    )


def _folder(url: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path:
        raise UsageError(
            f"{url} is no address of a folder: write it with three slashes, as file:///media/stick"
        )
    return Path(path)
