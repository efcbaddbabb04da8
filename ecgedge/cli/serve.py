"""`ecgedge serve`: the engine kept loaded behind a unix socket, for `ecgedge query`."""

from __future__ import annotations

from pathlib import Path

import click

from ecgedge import config
from ecgedge.cli.base import emit, engine_options, guarded


@click.command()
@click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    help="Where to listen [as configured, else $XDG_RUNTIME_DIR/ecgedge.sock, else "
    "/run/ecgedge/ecgedge.sock].",
)
@engine_options
@guarded("serve")
def command(
    path: Path | None,
    store: Path | None,
    encoder: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Keep the engine loaded and answer queries at a unix socket until stopped.

    Only the socket's owner can ask. `ecgedge query` finds it by itself; other programs send
    one line of JSON and read one. A release that a sync activates is taken up at once. Ctrl-C
    or SIGTERM ends it after the requests in flight; what was done is told then.
    """
    from ecgedge.serving.place import candidates
    from ecgedge.serving.service import serve

    board = config.load()
    told = serve(
        candidates(path or board.socket)[0],
        store or board.store,
        encoder=encoder,
        preferred=board.encoder,
        threads=threads or board.threads or 1,
    )
    text = f"answered {told['answered']}, failed {told['failed']} in {told['uptime_s']} s"
    emit("serve", told, as_json, text)
