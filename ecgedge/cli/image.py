"""`ecgedge image`: the ECG image that an encoder would see, as a PNG for a person."""

from __future__ import annotations

from pathlib import Path

import click

from ecgedge.cli.base import emit, guarded


@click.command("image")
@click.argument("file", metavar="FILE")
@click.option("--encoding", default="leads-1", show_default=True, help="Image encoding id.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="PNG file to write."
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@click.option("--rate-hz", type=float, help="Samples a second, where the file does not say.")
@click.option("--unit", type=click.Choice(["mV", "uV", "V", "NU"]), help="Unit of the samples.")
@click.option("--leads", metavar="I,II,...", help="Lead names in the file's order.")
@guarded("image")
def command(
    file: str,
    encoding: str,
    output: Path,
    force: bool,
    rate_hz: float | None,
    unit: str | None,
    leads: str | None,
    as_json: bool,
) -> None:
    """Draw the ECG image of the recording FILE as a PNG picture."""
    from ecgedge.atomic import write_atomic
    from ecgedge.errors import UsageError
    from ecgedge.formats import read
    from ecgedge.imaging import get_encoding
    from ecgedge.imaging.png import encode_png
    from ecgedge.signal.conditioning import condition

    made_by = get_encoding(encoding)
    if output.exists() and not force:
        raise UsageError(f"{output} exists already; give --force to replace it")
    if output.is_dir() or not output.parent.is_dir():
        raise UsageError(f"{output} is not a place where a file can be written")
    names = leads.split(",") if leads else None
    recording = read(file, rate_hz=rate_hz, unit=unit, leads=names)
    image = made_by.encode(condition(recording))
    write_atomic(output, encode_png(made_by.picture(image)))
    shape = list(image.shape)
    text = f"{output}: {encoding} of {file}, image shape {' x '.join(map(str, shape))}"
    payload = {"source": file, "path": str(output), "encoding": encoding, "shape": shape}
    emit("image", payload, as_json, text)
