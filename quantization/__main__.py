"""`python -m quantization BUNDLE -o BUNDLE8 --corpus DIR [--no-tflite] [--json]`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ecgedge.cli.base import emit, guarded, progress, run
from ecgedge.corpora.ptbxl import load_corpus, parse_folds
from ecgedge.encoders import TFLITE_NAME
from ecgedge.errors import UsageError


@click.command("quantization")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="int8 bundle.")
@click.option(
    "--corpus", "root", required=True, type=click.Path(path_type=Path), help="PTB-XL-layout folder."
)
@click.option(
    "--calib-folds", default="1-8", show_default=True, help="Folds that set ranges, and the cases."
)
@click.option(
    "--valid-folds", default="9", show_default=True, help="Folds that the recipes are compared on."
)
@click.option("--calib-records", default=256, show_default=True, help="Records that set ranges.")
@click.option("--max-records", default=2000, show_default=True, help="Most records of one side.")
@click.option("--recipe", default="auto", show_default=True, help="An ONNX recipe, or auto.")
@click.option("--tflite-recipe", default="auto", show_default=True, help="The same of TFLite.")
@click.option("--no-tflite", is_flag=True, help="ONNX only: needs no TFLite quantizer.")
@guarded("quantization")
def command(
    bundle: Path,
    out: Path,
    root: Path,
    calib_folds: str,
    valid_folds: str,
    calib_records: int,
    max_records: int,
    recipe: str,
    tflite_recipe: str,
    no_tflite: bool,
    as_json: bool,
) -> None:
    """Compare int8 recipes on BUNDLE and write the fastest that keeps the parity bounds.

    ONNX and TFLite are compared in one run and picked separately.
    """
    from quantization.compare import AnyRecipe, compare, write_chosen
    from quantization.material import load_material
    from quantization.recipes import choose_recipes
    from quantization.report import table
    from quantization.tflite import choose_tflite_recipes
    from quantization.words import write_text

    recipes: list[AnyRecipe] = [*choose_recipes(recipe)]
    if not no_tflite:
        if not (bundle / TFLITE_NAME).is_file():
            raise UsageError(f"{bundle} holds no {TFLITE_NAME}: export it again, or --no-tflite")
        recipes += choose_tflite_recipes(tflite_recipe)
    corpus = load_corpus(root)
    material = load_material(
        corpus,
        parse_folds(calib_folds),
        parse_folds(valid_folds),
        calibration_records=calib_records,
        most_records=max_records,
        progress=lambda records, label: progress(records, label),
    )
    comparison = compare(bundle, material, recipes, lambda items, label: progress(items, label))
    shown = table(comparison)
    try:
        picked = [None if name == "auto" else name for name in (recipe, tflite_recipe)]
        chosen = write_chosen(comparison, out, *picked)
    except Exception:
        click.echo(shown, err=True)  # the figures are what one needs after a refusal
        raise
    reports = [record.report for record in corpus.select(parse_folds(valid_folds))]
    text = write_text(bundle, out, reports)
    lines = [shown, f"{' and '.join(chosen.values())} written to {out}"]
    if text is not None:
        lines.append(
            f"text tower: {text.bytes_fp32 / 1e6:.2f} -> {text.bytes_int8 / 1e6:.2f} MB, cosine "
            f"mean {text.cosine_mean:.4f}, 1st percentile {text.cosine_p1:.4f} "
            f"({text.reports} reports)"
        )
    payload = {
        "bundle": out,
        "chosen": chosen["onnx"],
        "chosen_tflite": chosen.get("tflite"),
        "text": text and text.to_dict(),
    }
    emit("quantization", payload | comparison.to_dict(), as_json, "\n".join(lines))


if __name__ == "__main__":
    sys.exit(run(lambda: command.main(standalone_mode=False), sys.argv[1:]))
