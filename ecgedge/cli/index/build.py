"""`ecgedge index build`: a corpus -> a case base and a release, or more cases for one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from ecgedge.cli.base import emit, guarded
from ecgedge.cli.index.dates import date_option

_FOLDER = click.Path(file_okay=False, path_type=Path)

_INPUT = (
    click.option(
        "--encoder", "bundle", type=_FOLDER, help="Folder with model.onnx and model.json."
    ),
    click.option(
        "--alternative",
        "alternatives",
        metavar="BUNDLE[:onnx|:tflite]",
        multiple=True,
        help="Another encoder that may ask this case base, if it asks like the first; repeatable.",
    ),
    click.option("--text", type=_FOLDER, help="Folder with text.onnx and text.json."),
    click.option(
        "-o", "--output", type=_FOLDER, required=True, help="Store to write the release to."
    ),
    click.option(
        "--add",
        is_flag=True,
        help="Add what is new in CORPUS to the active release of the store, with its encoder.",
    ),
    click.option("--folds", default="1-8", show_default=True, help="Folds of the case base."),
    click.option(
        "--valid-folds", help='Folds that tune the votes, or "none".  [default: 9; not with --add]'
    ),
)
_CONTENT = (
    click.option(
        "--reports/--no-reports",
        default=None,
        help="Keep the original report texts.  [default: reports; with --add as the release]",
    ),
    click.option(
        "--signals/--no-signals",
        default=None,
        help="Keep each case's ECG, about 7 KB, so that `query --explain` can draw it.  "
        "[default: no-signals; with --add as the release]",
    ),
    click.option(
        "--withdraw",
        type=click.Path(dir_okay=False, path_type=Path),
        help="File of case ids that must never be shown, one a line.",
    ),
    click.option("--name", default="ptb-xl", show_default=True, help="Prefix of every case id."),
    click.option("--attribution", help="Whom to credit; for ptb-xl its authors."),
    click.option(
        "--segment-cases",
        type=click.IntRange(min=1),
        help="Most cases of one segment; all go into one when not given.",
    ),
    click.option(
        "--merge",
        type=click.Choice(["auto", "never", "all"]),
        help="With --add: merge segments where that pays, never, or all.  [default: auto]",
    ),
)
_WORK = (
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Work on this machine, or on a Ray cluster.",
    ),
    click.option(
        "--ray-address", help="A running Ray cluster; one is started here when not given."
    ),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        show_default="all cores",
        help="Processes that read, encode and write.",
    ),
    date_option,
)


def _options(callback: Any) -> Any:
    for option in reversed((*_INPUT, *_CONTENT, *_WORK)):
        callback = option(callback)
    return callback


@click.command("build")
@click.argument("corpus", type=_FOLDER)
@_options
@guarded("index build")
def build(corpus: Path, add: bool, as_json: bool, **options: Any) -> None:
    """Encode CORPUS (a folder in PTB-XL's layout) into a store with one active release.

    With --add its new cases become a further segment of the release that is active there;
    without a new case the exit code is 8. Killed and started again, it goes on where it
    stopped. Recordings that cannot be read are counted, and listed with their reasons in
    skipped.csv of the store.
    """
    from ecgedge.cli.index import adding, building

    started = time.monotonic()
    make, text = (adding.add, adding.text) if add else (building.build, building.text)
    payload: dict[str, Any] = make(corpus, options)
    payload["seconds"] = round(time.monotonic() - started, 1)
    emit("index build", payload, as_json, text(payload))
