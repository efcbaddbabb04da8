"""`ecgedge watch`: a live stream in, an answer for its last ten seconds again and again out."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ecgedge import config
from ecgedge.cli.base import engine_options, guarded

if TYPE_CHECKING:
    from ecgedge.answer import Answer
    from ecgedge.recording import Recording


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option(
    "--every",
    "every_s",
    metavar="SECONDS",
    type=click.FloatRange(0.5, 3600),
    default=10.0,
    help="Seconds from one window of 10 s to the next [10].",
)
@click.option(
    "--device",
    metavar="NAME",
    help="What sends: ecgedge, ads1298, ads1294, ads1293, cyton, openview [as the log says, "
    "else ecgedge].",
)
@click.option("--rate-hz", type=float, help="Samples a second, for a device that does not say.")
@click.option("--gain", type=float, help="Amplifier gain, for a device that does not say.")
@click.option(
    "--lead-off",
    is_flag=True,
    help="Believe the lead-off bits of a chip that does not say whether it looks for them.",
)
@click.option("--baud", type=click.IntRange(1), help="Rate of a serial port [the device's].")
@click.option(
    "--log",
    "log_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Keep the bytes as they come in this new file, for replay; a folder: named by the time.",
)
@click.option("--stats", is_flag=True, help="Say how the clocks run, each minute and at the end.")
@click.option("--windows", metavar="COUNT", type=click.IntRange(1), help="Stop after so many.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop after so many.")
@click.option("-k", "k", type=click.IntRange(1, 1000), default=5, help="Past cases to show [5].")
@click.option(
    "--max-novelty",
    type=click.FloatRange(0, 1),
    default=1.0,
    help="Refuse windows more novel than this share of the reference recordings [1: none].",
)
@engine_options
@guarded("watch")
def command(
    source: str,
    every_s: float,
    device: str | None,
    rate_hz: float | None,
    gain: float | None,
    lead_off: bool,
    baud: int | None,
    log_path: Path | None,
    stats: bool,
    windows: int | None,
    seconds: float | None,
    k: int,
    max_novelty: float,
    store: Path | None,
    encoder: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Find the past ECGs most similar to a live stream's last ten seconds.

    SOURCE is a serial port or pseudo-terminal, tcp://host:port, a log written with --log, a
    file of raw octets, or - for standard input. Samples that never came stay missing, and a
    window with too many of them is refused. A device that is unplugged is waited for. Ctrl-C
    or SIGTERM ends it with a summary; with --json every line is an object with an "event":
    answer, refused, notice or summary.
    """
    from ecgedge.cli.watching import Teller, heartbeat, status, stopped_by_signals, summary_facts
    from ecgedge.serving import systemd
    from ecgedge.serving.keeper import Keeper
    from ecgedge.streaming.logbook import Logbook
    from ecgedge.streaming.service import Wanted, open_stream, verdict
    from ecgedge.streaming.watcher import Limits, Watcher

    board = config.load()
    # The engine first: opening it takes longer than a port can hold what arrives meanwhile.
    keeper = Keeper(
        store or board.store,
        encoder=encoder,
        preferred=board.encoder,
        threads=threads or board.threads or 1,
    )

    def query(recording: Recording) -> Answer:
        with keeper.opened() as (engine, notes):
            answer = engine.query(recording, k, max_novelty=max_novelty)
        return replace(answer, notes=(*answer.notes, *notes))

    teller = Teller(as_json)
    with ExitStack() as held:
        stream = open_stream(Wanted(source, every_s, device, rate_hz, gain, baud, lead_off))
        held.callback(stream.source.close)
        logbook = Logbook(log_path, stream.facts) if log_path else None
        if logbook:
            held.callback(logbook.close)
        stop = held.enter_context(stopped_by_signals())
        watcher = Watcher(
            stream.source,
            stream.session,
            query,
            teller,
            logbook=logbook,
            limits=Limits(windows, seconds or math.inf),
            stats=stats,
            stopped=stop.is_set,
        )
        watcher.beat = heartbeat(lambda: status(watcher))
        teller.begin(stream, every_s, keeper.engine, logbook)
        systemd.notify("READY=1")
        watcher.run()
        systemd.notify("STOPPING=1")
    error = None if stop.is_set() else verdict(stream, watcher.tally)
    code = teller.summary(summary_facts(stream, watcher, logbook, stats), error)
    if code:
        raise click.exceptions.Exit(code)
