"""nginx as a real static server on loopback; `serving` skips a test where it is not installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

#: Debian keeps it where a plain user's PATH does not look.
PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_CONFIGURATION = """\
daemon off;
worker_processes 1;
pid {scratch}/nginx.pid;
error_log {scratch}/error.log;
{user}
events {{ worker_connections 64; }}
http {{
    access_log {scratch}/access.log;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    default_type application/octet-stream;
    types {{ application/json json; }}
    {site}
}}
"""

_SITE = """\
server {{
    listen {listen};
    root {root};
    {extra}
}}
"""


@contextmanager
def serving(
    root: Path, scratch: Path, extra: str = "", site: Callable[[str, Path], str] | None = None
) -> Iterator[str]:
    """The URL (no slash at its end) of an nginx that serves the files of `root`.

    scratch: a folder for its configuration and logs (access.log). extra: more lines for the
    `server` block. site: instead of it, given `address:port` and root.
    """
    if PROGRAM is None:
        pytest.skip("nginx is not installed: apt-get install nginx")
    scratch.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address, port = listening.getsockname()
        configuration = scratch / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                scratch=scratch,
                site=(site or partial(_plain_site, extra))(f"{address}:{port}", root),
                # Its workers must be able to read what this user may read, root or not.
                user="user root;" if os.geteuid() == 0 else "",
            )
        )
        process = _start(configuration, listening)
    # From here on only nginx holds the socket, which queues callers until it is ready.
    try:
        yield f"http://{address}:{port}"
    finally:
        process.terminate()
        process.wait()


def _plain_site(extra: str, listen: str, root: Path) -> str:
    return _SITE.format(extra=extra, listen=listen, root=root)


def _start(configuration: Path, listening: socket.socket) -> subprocess.Popen[bytes]:
    """nginx on a socket that is listening already, so that no port is ever lost to another.

    It takes the handle over as one nginx does from another when it is upgraded in place.
    """
    assert PROGRAM is not None
    return subprocess.Popen(
        [PROGRAM, "-c", str(configuration), "-e", str(configuration.parent / "error.log")],
        env={**os.environ, "NGINX": f"{listening.fileno()};"},
        pass_fds=[listening.fileno()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
