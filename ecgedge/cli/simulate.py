"""`ecgedge simulate`: recordings played as a device would send them, with faults."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ecgedge.cli.base import emit, guarded, progress, reading_options
from ecgedge.cli.lines import counted
from ecgedge.errors import UsageError

if TYPE_CHECKING:
    from ecgedge.recording import Recording
    from firmware_bridge.events import Configuration
    from firmware_bridge.simulator.faults import Faults
    from firmware_bridge.simulator.ledger import Ledger
    from firmware_bridge.simulator.outlets import Outlet
    from firmware_bridge.simulator.stream import Simulation


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--pty", is_flag=True, help="A pseudo-terminal, whose path is printed [this].")
@click.option("--link", type=click.Path(path_type=Path), help="Keep a link to the pseudo-terminal.")
@click.option("--tcp", metavar="HOST:PORT", help="A TCP port; 0 is any, and is printed.")
@click.option(
    "-o", "--output", metavar="FILE", help="A file that does not exist yet, or - for stdout."
)
@click.option("--device", default="ecgedge", show_default=True, help="Whose format to speak.")
@click.option("--gain", type=float, help="Of the device's amplifiers [its usual].")
@click.option(
    "--samples-per-frame", type=click.IntRange(1, 15), default=10, show_default=True,
    help="Samples in a frame of our wire format.",
)  # fmt: skip
@click.option(
    "--speed",
    metavar="real|full|X",
    help="Real time, as fast as it is read, X times real time [real; full into a file].",
)
@click.option("--seconds", type=float, help="How long, beginning anew at the end [once through].")
@click.option("--loop", is_flag=True, help="Begin anew at the end until stopped.")
@click.option(
    "--faults", metavar="TEXT", default="",
    help="What goes wrong, e.g. lost=0.01,stall=30:5 (docs/simulator.md lists it all).",
)  # fmt: skip
@click.option("--no-configuration", is_flag=True, help="Never say what the counts are worth.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same bytes.")
@reading_options
@guarded("simulate")
def command(
    files: tuple[str, ...],
    pty: bool,
    link: Path | None,
    tcp: str | None,
    output: str | None,
    device: str,
    gain: float | None,
    samples_per_frame: int,
    speed: str | None,
    seconds: float | None,
    loop: bool,
    faults: str,
    no_configuration: bool,
    seed: int,
    rate_hz: float | None,
    unit: str | None,
    leads: str | None,
    as_json: bool,
) -> None:
    """Play recordings as a device would send them, into a terminal, a TCP port or a file.

    FILE is read as `ecgedge query` reads it; several are played one after another. Faults are
    drawn by seed, and the end tells exactly what was lost. `ecgedge watch` reads all of it.
    Ctrl-C or SIGTERM ends it.
    """
    _check(pty, link, tcp, output, loop and seconds is None, as_json)
    times = _speed(speed or ("full" if output not in (None, "-") else "real"))
    plan = _plan(faults, no_configuration)
    recordings = _read(files, rate_hz, unit, leads)
    simulation = _simulation(
        recordings,
        _configuration(device, recordings, gain),
        plan,
        seed=seed,
        seconds=seconds,
        endless=loop,
        samples_per_frame=samples_per_frame,
        device=device,
    )
    with ExitStack() as held:
        outlet = _outlet(link, tcp, output, held)
        length = _length(recordings, seconds) if output not in (None, "-") else None
        stopped = _play(simulation, outlet, times, length, _teller(output, as_json))
    told = {
        "source": list(files),
        "where": outlet.where,
        "device": device,
        "rate_hz": simulation.configuration.rate_hz,
        "seed": seed,
        "stopped": stopped,
        "ledger": simulation.ledger.to_dict(),
    }
    if output == "-":
        click.echo(_text(simulation.ledger), err=True)
    else:
        emit("simulate", told, as_json, _text(simulation.ledger))


def _plan(faults: str, no_configuration: bool) -> Faults:
    from firmware_bridge.simulator import parse

    plan = parse(faults)
    return replace(plan, configured=False) if no_configuration else plan


def _read(
    files: Sequence[str], rate_hz: float | None, unit: str | None, leads: str | None
) -> list[Recording]:
    from ecgedge import formats

    names = leads.split(",") if leads else None
    return [formats.read(one, rate_hz=rate_hz, unit=unit, leads=names) for one in files]


def _simulation(recordings: Sequence[Recording], *told: Any, **how: Any) -> Simulation:
    from ecgedge.signal.corrupt import resample
    from firmware_bridge.simulator import simulate

    return simulate(recordings, *told, resample=resample, **how)


def _play(
    simulation: Simulation,
    outlet: Outlet,
    times: float | None,
    length: int | None,
    say: Callable[[str], None],
) -> bool:
    """Play it all, with a bar over `length` seconds where there is one; whether it was stopped."""
    from firmware_bridge.simulator.replay import replay
    from firmware_bridge.simulator.stop import Stop

    with Stop() as stop:
        played = replay(simulation, outlet, stop, speed=times, say=say)
        if length is not None:
            played = progress(played, "seconds simulated", length)
        for _ in played:
            pass
        return stop.asked


def _check(
    pty: bool,
    link: Path | None,
    tcp: str | None,
    output: str | None,
    endless: bool,
    as_json: bool,
) -> None:
    """Raise UsageError for options that exclude each other."""
    if pty + (tcp is not None) + (output is not None) > 1:
        raise UsageError("a device has one link: give one of --pty, --tcp and --output")
    if link is not None and (tcp is not None or output is not None):
        raise UsageError("--link is for a pseudo-terminal: leave --tcp and --output out")
    if output == "-" and as_json:
        raise UsageError("standard output carries the device's bytes: no room for --json there")
    if endless and output not in (None, "-"):
        raise UsageError("--loop into a file has no end: say how many --seconds")


def _speed(text: str) -> float | None:
    """Times real time; None for as fast as can be."""
    if text == "full":
        return None
    try:
        times = 1.0 if text == "real" else float(text)
    except ValueError:
        times = 0.0
    if not 0 < times < float("inf"):
        raise UsageError(f"--speed is real, full or a factor such as 20, not {text!r}")
    return times


def _configuration(name: str, recordings: Sequence[Recording], gain: float | None) -> Configuration:
    """The device at the first recording's rate, or at the next one that it has."""
    from firmware_bridge.devices import configuration, device

    rate_hz = recordings[0].rate_hz
    row = device(name)
    if row.record is not None:
        rate_hz = min((rate for rate, _ in row.rates), key=lambda rate: abs(rate - rate_hz))
    for one in recordings:
        if one.rate_hz != rate_hz:
            told = f"{one.source} is resampled from {one.rate_hz:g} to {rate_hz:g} Hz"
            click.echo(f"ecgedge: {told}", err=True)
    return configuration(name, rate_hz=rate_hz, gain=gain)


def _outlet(link: Path | None, tcp: str | None, output: str | None, held: ExitStack) -> Outlet:
    from firmware_bridge.simulator.outlets import File, Tcp, Terminal

    if tcp is not None:
        host, colon, port = tcp.rpartition(":")
        if not colon or not host or not port.isdecimal():
            raise UsageError(f"--tcp is HOST:PORT, not {tcp!r}")
        return Tcp(host.strip("[]"), int(port))
    if output is None:
        return Terminal(link)
    if output == "-":
        return File(sys.stdout.buffer, "-")
    try:
        return File(held.enter_context(Path(output).open("xb")), output)
    except FileExistsError:
        raise UsageError(f"{output} exists already") from None
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror or error}") from None


def _teller(output: str | None, as_json: bool) -> Callable[[str], None]:
    """Says where to connect: the result on stdout, beside an envelope on stderr."""

    def say(where: str) -> None:
        if output is None:
            click.echo(where, err=as_json)

    return say


def _length(recordings: Sequence[Recording], seconds: float | None) -> int:
    return round(seconds or sum(one.duration_s for one in recordings))


def _text(ledger: Ledger) -> str:
    expected = ledger.expected
    lines = [
        f"{expected.octets:,} bytes: {expected.samples:,} samples in {expected.frames:,} frames, "
        f"{expected.configurations} configurations",
        f"lost {counted(expected.lost, 'sample')} in "
        f"{counted(expected.gaps - expected.restarts, 'gap')}"
        + (f", {ledger.unseen} more before or after all others" if ledger.unseen else ""),
        f"damaged {expected.damaged}, duplicates {expected.duplicates}, reordered "
        f"{expected.reordered}, late {expected.late}, restarts {expected.restarts}",
    ]
    injected = ", ".join(f"{name} {times}" for name, times in sorted(ledger.injected.items()))
    return "\n".join([*lines, f"injected: {injected or 'nothing'}"])
