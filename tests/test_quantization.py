"""int8: what counts as parity, and that only a bundle that keeps it is written."""

import csv
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgedge.errors import ReleaseError, UsageError
from ecgedge.evaluation.parity import cosines
from ecgedge.signal.conditioning import condition
from ecgedge.signal.synthetic import Heart, synthesize
from quantization import parity
from quantization.material import Ecgs, Material, spread
from quantization.parity import Row, Views
from quantization.recipes import RECIPES, choose_recipes


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def views(seed: int, queries: int = 20, gallery: int = 40) -> Views:
    rng = np.random.default_rng(seed)
    return Views(unit(rng.standard_normal((queries, 6))), unit(rng.standard_normal((gallery, 6))))


def row(name: str = "a", **changes: object) -> Row:
    fields: dict = {
        "megabytes": 1.0,
        "milliseconds": 1.0,
        "speed": 2.0,
        "cosine_mean": 1.0,
        "cosine_p1": 0.999,
        "top10_overlap": 0.98,
        "auc_super": 0.9,
        "auc_change": 0.001,
    }
    return Row(recipe=name, **fields | changes)


def test_an_encoder_agrees_fully_with_itself():
    same = views(0)
    np.testing.assert_allclose(cosines(same.queries, same.queries), 1, atol=1e-6)
    assert parity.top_overlap(same, same) == 1.0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), k=st.integers(1, 50))
def test_overlap_is_the_share_of_common_neighbours(seed, k):
    left, right = views(seed), views(seed + 1)
    shares = []
    for a, b in zip(left.queries, right.queries, strict=True):
        first = set(np.argsort(-(left.gallery @ a))[:k])
        second = set(np.argsort(-(right.gallery @ b))[:k])
        shares.append(len(first & second) / min(k, 40))
    assert parity.top_overlap(left, right, k) == pytest.approx(np.mean(shares))


def test_labels_that_follow_the_embedding_are_retrieved_and_random_ones_are_not():
    rng = np.random.default_rng(0)
    both = views(3, queries=200, gallery=400)
    told = both.queries[:, :2] > 0, both.gallery[:, :2] > 0
    assert parity.retrieved_label_auc(both, *told) > 0.9
    noise = told[0], rng.random((400, 2)) > 0.5
    assert abs(parity.retrieved_label_auc(both, *noise) - 0.5) < 0.15


def test_too_few_positives_give_no_auc_rather_than_a_guess():
    both = views(3)
    assert parity.retrieved_label_auc(both, np.zeros((20, 2), bool), np.ones((40, 2), bool)) is None


@pytest.mark.parametrize(
    "broken",
    [
        {"cosine_p1": 0.9949},
        {"top10_overlap": 0.969},
        {"auc_change": -0.0031},
        {"auc_change": 0.0031},
        {"cosine_p1": float("nan")},
    ],
)
def test_each_bound_is_enforced_and_named(broken):
    assert row().failures() == []
    assert len(row(**broken).failures()) == 1
    assert parity.pick({"a": row(**broken)}) is None


def test_the_fastest_variant_within_bounds_is_picked():
    rows = {
        "slow": row("slow", speed=1.5, cosine_p1=0.9999),
        "fast": row("fast", speed=2.0),
        "wrong": row("wrong", speed=3.0, top10_overlap=0.9),
    }
    assert parity.pick(rows) == "fast"


def test_among_equally_fast_variants_the_closest_to_fp32_is_picked():
    rows = {"a": row("a", speed=2.02, cosine_p1=0.998), "b": row("b", cosine_p1=0.9999)}
    assert parity.pick(rows) == "b"


def test_recipes_have_distinct_names_and_an_unknown_one_is_refused():
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
    assert choose_recipes("int8-linear")[0].layers == "linear"
    with pytest.raises(UsageError):
        choose_recipes("int4")


@given(count=st.integers(1, 300), most=st.integers(1, 300))
def test_spreading_keeps_order_and_the_wanted_number(count, most):
    chosen = spread(range(count), most)
    assert len(chosen) == min(count, most)
    assert chosen == sorted(set(chosen))


# --- with torch: a network that has learnt something, because int8 figures of an
# untrained one mislead ---

HEARTS = ("fast", "wide", "flat")


def heart(rng: np.random.Generator) -> tuple[Heart, tuple[bool, ...]]:
    fast, wide, flat = rng.random(3) < 0.5
    return Heart(
        rate_bpm=rng.uniform(100, 140) if fast else rng.uniform(55, 85),
        qrs_width=rng.uniform(1.8, 2.4) if wide else rng.uniform(0.9, 1.1),
        t_wave=rng.uniform(0, 0.2) if flat else rng.uniform(0.8, 1.2),
        jitter=rng.uniform(0, 0.2),
    ), (fast, wide, flat)


def ecgs(count: int, seed: int) -> Ecgs:
    rng = np.random.default_rng(seed)
    drawn = [heart(rng) for _ in range(count)]
    signals = [
        condition(synthesize(one, rate_hz=100)).signal
        + rng.normal(0, 0.05, (12, 1000)).astype(np.float32)
        for one, _ in drawn
    ]
    return Ecgs(np.stack(signals), np.array([labels for _, labels in drawn]))


@dataclass
class Towers:
    image_tower: object
    text_tower: object = None
    imaging: str = "leads-1"
    training: dict = field(default_factory=dict)


def trained_towers() -> Towers:
    """A small ViT after 60 steps on synthetic hearts."""
    torch = pytest.importorskip("torch")
    from ecgedge.imaging import get_encoding
    from ecgedge.training.model import EcgViT, ViTConfig

    torch.manual_seed(0)
    config = ViTConfig((2, 12, 1000), (12, 20), width=32, depth=2, heads=2, dim=16, stem=16)
    tower, head = EcgViT(config), torch.nn.Linear(16, len(HEARTS))
    data = ecgs(96, seed=1)
    images = torch.from_numpy(data.images(get_encoding("leads-1")))
    labels = torch.from_numpy(data.labels.astype(np.float32))
    adam = torch.optim.Adam([*tower.parameters(), *head.parameters()], lr=3e-3)
    for step in range(60):
        rows = torch.arange(step * 16, step * 16 + 16) % len(images)
        scores = head(4 * tower(images[rows]))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, labels[rows])
        adam.zero_grad()
        loss.backward()
        adam.step()
    return Towers(tower.eval())


def small_material() -> Material:
    gallery = ecgs(64, seed=2)
    return Material(Ecgs(gallery.signals[::3], gallery.labels[::3]), gallery, ecgs(40, seed=3))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """`trained_towers`, exported."""
    pytest.importorskip("onnxscript")
    from export.bundle import export_bundle

    out = tmp_path_factory.mktemp("fp32")
    export_bundle(trained_towers(), out)
    return out


@pytest.fixture(scope="module")
def material() -> Material:
    return small_material()


@pytest.fixture(scope="module")
def comparison(bundle, material):
    from quantization.compare import compare

    names = ("int8-dynamic", "int8-linear", "int8-inner", "int8-linear-entropy", "int8-all")
    recipes = [recipe for recipe in RECIPES if recipe.name in names]
    return compare(bundle, material, recipes, lambda items, label: items)


def test_linear_layers_in_int8_stay_close_to_fp32(comparison):
    assert not comparison.failed
    assert comparison.rows["fp32"].auc_super > 0.8  # it has learnt something
    for name in ("int8-dynamic", "int8-linear"):
        assert comparison.rows[name].cosine_p1 > 0.995
        assert comparison.rows[name].megabytes < 0.9 * comparison.rows["fp32"].megabytes


def test_everything_in_int8_loses_more_than_linear_layers_alone(comparison):
    rows = comparison.rows
    assert rows["int8-all"].cosine_mean < rows["int8-linear"].cosine_mean


def test_attention_products_stay_float_and_linear_layers_do_not(comparison):
    onnx = pytest.importorskip("onnx")
    data, _ = comparison.variants["int8-linear"]
    graph = onnx.load_model_from_string(data).graph
    made = {name: node for node in graph.node for name in node.output}
    int8 = [
        node
        for node in graph.node
        if node.op_type == "MatMul"
        and all(name in made and made[name].op_type == "DequantizeLinear" for name in node.input)
    ]
    products = [node for node in graph.node if node.op_type == "MatMul" and node not in int8]
    assert len(int8) == 2 * 4  # qkv, out, up, down of each block
    assert len(products) == 2 * 2
    assert all(made[node.input[0]].op_type in ("Mul", "Softmax") for node in products)


def test_the_same_recipe_gives_the_same_bytes(bundle, material, comparison, tmp_path):
    from ecgedge.imaging import get_encoding
    from quantization.quantizer import Quantizer

    images = material.calibration.images(get_encoding("leads-1"))
    again = Quantizer((bundle / "model.onnx").read_bytes(), images, tmp_path)
    for name in ("int8-dynamic", "int8-linear"):
        assert again.apply(choose_recipes(name)[0]) == comparison.variants[name][0]


def test_a_chosen_bundle_loads_and_carries_its_parity(comparison, bundle, tmp_path):
    from ecgedge.encoders import load_bundle
    from quantization.compare import write_chosen

    chosen = write_chosen(comparison, tmp_path / "int8")["onnx"]
    encoder = load_bundle(tmp_path / "int8")
    assert encoder.spec.quantization == chosen
    assert encoder.spec.metrics["parity"]["cosine_p1"] >= parity.BOUNDS.cosine_p1
    report = json.loads((tmp_path / "int8" / "parity.json").read_text())
    assert report["chosen"] == chosen
    assert report["rows"][0]["recipe"] == "fp32"


def test_no_bundle_is_written_when_the_bounds_are_broken(comparison, bundle, tmp_path):
    from quantization.compare import write_chosen

    far = {name: replace(row, cosine_p1=0.9) for name, row in comparison.rows.items()}
    with pytest.raises(ReleaseError, match="cosine p1"):
        write_chosen(replace(comparison, rows=far), tmp_path / "int8")
    assert not (tmp_path / "int8").exists()


def test_an_int8_bundle_is_not_quantized_again(comparison, bundle, material, tmp_path):
    from quantization.compare import compare, write_chosen

    write_chosen(comparison, tmp_path / "int8")
    with pytest.raises(ReleaseError, match="already"):
        compare(tmp_path / "int8", material, RECIPES[:1], lambda items, label: items)


def write_corpus(root: Path, count: int) -> Path:
    """A folder in PTB-XL's layout with synthetic recordings, one of them damaged."""
    rng = np.random.default_rng(7)
    (root / "records100").mkdir(parents=True)
    rows = []
    for number in range(1, count + 1):
        one, labels = heart(rng)
        name = f"records100/{number:05d}_lr"
        recording = synthesize(one, rate_hz=100)
        samples = np.round(recording.signal * 1000).astype("<i2").T
        (root / f"{name}.dat").write_bytes(samples.tobytes())
        header = [f"{number:05d}_lr 12 100 1000"]
        leads = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
        header += [f"{number:05d}_lr.dat 16 1000/mV 16 0 0 0 0 {lead}" for lead in leads]
        (root / f"{name}.hea").write_text("\n".join(header) + "\n")
        codes = {code: 100.0 for code, held in zip("ABC", labels, strict=True) if held}
        fold = 9 if number % 3 == 0 else 1
        rows.append([number, number, "text", str(codes), fold, 60, 0, name, ""])
    (root / "records100" / "00001_lr.dat").write_bytes(b"")
    head = [
        "ecg_id",
        "patient_id",
        "report",
        "scp_codes",
        "strat_fold",
        "age",
        "sex",
        "filename_lr",
        "filename_hr",
    ]
    with (root / "ptbxl_database.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    table = ["", "diagnostic", "form", "rhythm", "diagnostic_class", "diagnostic_subclass"]
    codes = [[c, 1.0, "", "", k, k] for c, k in zip("ABC", ("MI", "CD", "STTC"), strict=True)]
    with (root / "scp_statements.csv").open("w", newline="") as file:
        csv.writer(file).writerows([table, *codes])
    return root


def test_the_command_names_unreadable_records_and_writes_the_bundle(bundle, tmp_path):
    from quantization.__main__ import command

    corpus = write_corpus(tmp_path / "corpus", 60)
    arguments = f"{bundle} -o {tmp_path / 'int8'} --corpus {corpus} --calib-folds 1 --json"
    given = [*arguments.split(), "--recipe", "int8-dynamic", "--no-tflite"]
    result = CliRunner().invoke(command, given)
    payload = json.loads(result.stdout)
    assert payload["ok"], payload
    assert payload["chosen"] == "int8-dynamic"
    assert payload["facts"]["unreadable"] == ["1"]
    assert payload["facts"]["validation_records"] == 20
    assert (tmp_path / "int8" / "model.json").is_file()


def test_a_fold_on_both_sides_is_refused(bundle, tmp_path):
    from quantization.__main__ import command

    corpus = write_corpus(tmp_path / "corpus", 3)
    arguments = (
        f"{bundle} -o {tmp_path / 'int8'} --corpus {corpus} --calib-folds 1-9 --no-tflite --json"
    )
    result = CliRunner().invoke(command, arguments.split())
    assert result.exit_code == json.loads(result.stdout)["error"]["exit_code"] == 2
    assert not (tmp_path / "int8").exists()


def test_the_table_shows_the_further_tasks_and_a_dash_where_there_is_nothing_to_score():
    from quantization.compare import Comparison
    from quantization.report import table

    facts = {"validation_records": 3, "gallery_records": 4, "calibration_records": 2}
    further = {"sub": 0.8123, "form": None, "rhythm": 0.9}
    rows = {"fp32": row("fp32", auc_further=further)}
    shown = table(Comparison(rows, {}, {}, facts | {"unreadable": []}))
    assert shown.splitlines()[-1].split()[-4:] == ["0.8123", "-", "0.9000", "keeps"]
