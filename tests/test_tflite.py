"""TFLite, made here: it does what torch and the ONNX model do, in float32 and in int8."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from test_quantization import Towers, small_material, trained_towers, write_corpus

from ecgedge.encoders import load_bundle, read_spec
from ecgedge.errors import ReleaseError, UsageError
from ecgedge.evaluation.parity import cosines
from ecgedge.imaging import get_encoding
from quantization import parity
from quantization.parity import Views

MISSING = "the TFLite converter is not installed (scripts/setup with the extra convert)"
pytest.importorskip("onnxscript")
pytest.importorskip("litert_torch", reason=MISSING)
pytest.importorskip("ai_edge_quantizer", reason=MISSING)

from export.bundle import export_bundle, tflite_model  # noqa: E402
from quantization.tflite import (  # noqa: E402
    TFLITE_RECIPES,
    TfliteQuantizer,
    choose_tflite_recipes,
    measured_extremes,
    quantizable_tensors,
)

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ("tflite-dynamic", "tflite-dynamic-convs", "tflite-static", "tflite-static-all")
#: Cosine between the backends' fp32 embeddings, and the share of the ten nearest in common.
SAME = 1e-4


@pytest.fixture(scope="module")
def towers() -> Towers:
    return trained_towers()


@pytest.fixture(scope="module")
def bundle(towers, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("fp32")
    report = export_bundle(towers, out, tflite=True)
    assert report.difference_tflite is not None
    assert report.difference_tflite < SAME
    return out


@pytest.fixture(scope="module")
def comparison(bundle):
    from quantization.compare import compare
    from quantization.recipes import choose_recipes

    chosen = [recipe for recipe in TFLITE_RECIPES if recipe.name in RECIPES]
    recipes = [*choose_recipes("int8-dynamic"), *chosen]
    return compare(bundle, small_material(), recipes, lambda items, label: items)


def test_a_bundle_holds_both_formats_and_their_sidecars_agree(bundle):
    names = {"model.onnx", "model.json", "model.tflite", "model.tflite.json"}
    assert {path.name for path in bundle.iterdir()} == names
    onnx, lite = read_spec(bundle / "model.json"), read_spec(bundle / "model.tflite.json")
    assert lite.format == "tflite"
    assert replace(onnx, format="tflite").with_model(lite.sha256) == lite


def test_the_same_network_gives_the_same_bytes_without_a_name_of_this_machine(towers, bundle):
    data = (bundle / "model.tflite").read_bytes()
    assert tflite_model(towers, read_spec(bundle / "model.json"))[0] == data
    words = (str(ROOT).encode(), os.fsencode(Path.home()), b".py", b"ecgedge", b"torch")
    assert [word for word in words if word in data] == []


def test_an_export_without_tflite_leaves_no_older_one_beside_it(bundle, towers, tmp_path):
    for name in ("model.tflite", "model.tflite.json"):
        (tmp_path / name).write_bytes((bundle / name).read_bytes())
    export_bundle(towers, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "model.json"}


def test_fp32_backends_answer_with_the_same_ten_nearest(bundle):
    material, encoding = small_material(), get_encoding("leads-1")
    sides = [ecgs.images(encoding) for ecgs in (material.validation, material.gallery)]
    encoders = load_bundle(bundle), load_bundle(bundle, format="tflite")
    onnx, lite = (Views(*map(encoder.encode, sides)) for encoder in encoders)
    assert cosines(onnx.queries, lite.queries).min() > 1 - SAME
    assert parity.top_overlap(onnx, lite) >= 0.99


def test_int8_backends_keep_to_fp32_and_so_to_each_other(comparison):
    assert not comparison.failed
    assert comparison.rows["fp32"].auc_super > 0.8  # it has learnt something
    for name in ("int8-dynamic", "tflite-dynamic", "tflite-dynamic-convs", "tflite-static"):
        assert comparison.rows[name].cosine_p1 > parity.BOUNDS.cosine_p1
        assert comparison.rows[name].top10_overlap > 0.9
    small, whole = comparison.rows["tflite-dynamic-convs"], comparison.rows["tflite-fp32"]
    assert small.megabytes < 0.8 * whole.megabytes


def test_everything_in_int8_loses_more_than_the_layers_alone(comparison):
    rows = comparison.rows
    assert rows["tflite-static-all"].cosine_mean < rows["tflite-static"].cosine_mean


def test_each_format_has_its_own_choice_in_the_bundle(comparison, tmp_path):
    from quantization.compare import write_chosen

    chosen = write_chosen(comparison, tmp_path)
    assert chosen["onnx"] == "int8-dynamic"
    for format, name in chosen.items():
        encoder = load_bundle(tmp_path, format=format)
        assert encoder.spec.quantization == name
        assert encoder.spec.metrics["parity"]["recipe"] == name
    report = json.loads((tmp_path / "parity.json").read_text())
    assert (report["chosen"], report["chosen_tflite"]) == (chosen["onnx"], chosen["tflite"])


def test_no_bundle_is_written_when_tflite_breaks_its_bounds(comparison, tmp_path):
    from quantization.compare import write_chosen

    far = {
        name: replace(row, cosine_p1=0.9) if name.startswith("tflite") else row
        for name, row in comparison.rows.items()
    }
    with pytest.raises(ReleaseError, match="no TFLite recipe keeps the bounds"):
        write_chosen(replace(comparison, rows=far), tmp_path / "int8")
    assert not (tmp_path / "int8").exists()


def test_layers_are_found_by_what_they_are_and_wavelets_stay_float(bundle):
    linear, convs = quantizable_tensors((bundle / "model.tflite").read_bytes())
    assert len(linear) == 2 * 4 + 1  # qkv, out, up, down of each block; the head
    assert len(convs) == 6  # first, fine, two coarse, two projections


def test_ranges_hold_every_value_that_calibration_met(bundle):
    data = (bundle / "model.tflite").read_bytes()
    images = small_material().calibration.images(get_encoding("leads-1"))
    shape, extremes = measured_extremes(data, images)["image"]
    assert shape == (1, 1, 1, 1)
    np.testing.assert_array_equal(extremes[:, 0], images.min(axis=(1, 2, 3)))
    np.testing.assert_array_equal(extremes[:, 1], images.max(axis=(1, 2, 3)))


def test_the_same_recipe_gives_the_same_bytes(bundle, comparison):
    images = small_material().calibration.images(get_encoding("leads-1"))
    again = TfliteQuantizer((bundle / "model.tflite").read_bytes(), images)
    for name in ("tflite-dynamic-convs", "tflite-static"):
        (recipe,) = choose_tflite_recipes(name)
        assert again.apply(recipe) == comparison.variants[name][0]


def test_an_unknown_recipe_is_refused():
    with pytest.raises(UsageError, match="tflite-dynamic"):
        choose_tflite_recipes("static_wi8_ai16")


def test_the_command_wants_a_tflite_model_or_to_be_told_there_is_none(bundle, tmp_path):
    from quantization.__main__ import command

    for name in ("model.onnx", "model.json"):
        (tmp_path / name).write_bytes((bundle / name).read_bytes())
    corpus = write_corpus(tmp_path / "corpus", 3)
    arguments = f"{tmp_path} -o {tmp_path / 'int8'} --corpus {corpus} --json"
    result = CliRunner().invoke(command, arguments.split())
    payload = json.loads(result.stdout)
    assert result.exit_code == payload["error"]["exit_code"] == 2
    assert "--no-tflite" in payload["error"]["message"]


@pytest.mark.parametrize("package", ["litert_torch", "ai_edge_quantizer"])
def test_a_missing_converter_is_said_in_a_sentence_with_what_to_do(towers, bundle, package):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "import numpy as np, torch\n"
        "from ecgedge.errors import ReleaseError\n"
        "from export.tflite import to_tflite\n"
        "from quantization.tflite import TfliteQuantizer\n"
        "try:\n"
        "    if 'litert' in sys.argv[1]:\n"
        "        net = torch.nn.Identity().eval()\n"
        "        to_tflite(net, torch.zeros(1), input_name='a', output_name='b')\n"
        "    TfliteQuantizer(open(sys.argv[2], 'rb').read(), np.zeros((1, 2, 12, 1000), 'f4'))\n"
        "except ReleaseError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, package, str(bundle / "model.tflite")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the extra convert" in done.stdout
    assert done.stdout.count("\n") == 1
