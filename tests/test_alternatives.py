"""Further encoders of a release: measured, kept or refused, asked, verified."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from central_builders import write_bundle, write_corpus
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_release import build_release, heart, linear_encoder

from ecgedge.casebase.alternatives import Alternative, EncoderRef, Parity, alternative_from_dict
from ecgedge.casebase.manifest import Manifest
from ecgedge.casebase.release import Store, builtin_store
from ecgedge.central.alternatives import Candidate
from ecgedge.central.probes import make_probes
from ecgedge.central.verify import verify_release
from ecgedge.cli import cli
from ecgedge.encoders import EncoderSpec, load_encoder
from ecgedge.engine import Engine
from ecgedge.errors import DamagedError, MismatchError, ReleaseError, UsageError
from ecgedge.evaluation.parity import cosine_p1, cosines, set_overlap

CLOSE = Parity(cosine_p1=0.999, top10_overlap=0.98, auc_change=-0.001, queries=183)


def put_encoder(store: Store, model: bytes, spec: EncoderSpec) -> EncoderRef:
    return EncoderRef(spec.id, store.put_blob(model), store.put_blob(spec.to_json().encode()))


def near_encoder(noise: float = 1e-4) -> tuple[bytes, EncoderSpec]:
    """The small release's encoder with its weights shaken a little: other bytes, same answers."""
    onnx = pytest.importorskip("onnx")
    data, spec = linear_encoder()
    model = onnx.load_from_string(data)
    rng = np.random.default_rng(5)
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0])
    shaken = weights + noise * rng.normal(size=weights.shape).astype(np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(shaken, "weights"))
    changed = model.SerializeToString()
    return changed, spec.with_model(hashlib.sha256(changed).hexdigest())


def with_alternative(store: Store, parity: Parity = CLOSE, **changes: object) -> Alternative:
    """Give the store's active release a second encoder and activate the new release."""
    manifest = store.manifest()
    one = Alternative(put_encoder(store, *near_encoder()), parity)
    store.activate(store.add_release(replace(manifest, alternatives=(one,), **changes)))
    return one


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return build_release(tmp_path / "store")


def test_a_release_without_alternatives_keeps_its_id_and_its_bytes(store: Store) -> None:
    told = json.loads(store.manifest().to_json())
    assert "alternatives" not in told
    text = (builtin_store().root / "releases" / f"{builtin_store().current_id()}.json").read_text()
    if "alternatives" not in json.loads(text):
        assert Manifest.from_json(text).to_json() == text


def test_alternatives_survive_json_and_their_files_belong_to_the_release(store: Store) -> None:
    plain = store.current_id()
    one = with_alternative(store)
    manifest = store.manifest()
    assert manifest.id != plain
    assert manifest.alternatives == (one,)
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert {one.encoder.model, one.encoder.spec} <= set(manifest.blobs())


@pytest.mark.parametrize(
    "change",
    [
        {"parity": {}},
        {"parity": asdict(CLOSE) | {"cosine_p1": "near"}},
        {"parity": asdict(CLOSE) | {"cosine_p1": float("nan")}},
        {"parity": asdict(CLOSE) | {"queries": 0}},
        {"encoder": {"id": "x"}},
        {"why": "not"},
    ],
)
def test_an_alternative_that_is_not_told_in_full_is_refused(change: dict[str, object]) -> None:
    whole = asdict(Alternative(EncoderRef("a", "b", "c"), CLOSE))
    assert alternative_from_dict(whole).parity == CLOSE
    with pytest.raises((TypeError, ValueError, KeyError)):
        alternative_from_dict(whole | change)


def test_one_encoder_twice_is_no_release(store: Store) -> None:
    manifest = store.manifest()
    twice = replace(manifest, alternatives=(Alternative(manifest.encoder, CLOSE),))
    with pytest.raises(DamagedError, match="two encoders have one id"):
        Manifest.from_json(twice.to_json())


def test_the_alternative_that_asks_is_named_in_the_answer_and_finds_the_same(store: Store) -> None:
    one = with_alternative(store)
    answers = [
        Engine.open(store.root, encoder=name).query(heart("test/wide"), k=3)
        for name in (None, one.encoder.id)
    ]
    assert [answer.model for answer in answers] == [store.manifest().encoder.id, one.encoder.id]
    assert len({tuple(match.case_id for match in answer.matches) for answer in answers}) == 1


def test_an_encoder_named_that_is_not_there_is_an_error_but_a_preferred_one_a_note(
    store: Store,
) -> None:
    with pytest.raises(UsageError, match="has no encoder leads-9, only leads-1"):
        Engine.open(store.root, encoder="leads-9")
    engine = Engine.open(store.root, preferred="leads-9")
    answer = engine.query(heart("test/wide"))
    assert answer.model == store.manifest().encoder.id
    assert any("configured encoder was not used" in note for note in answer.notes)
    one = with_alternative(store)
    assert Engine.open(store.root, preferred=one.encoder.id).encoder.spec.id == one.encoder.id
    ours = store.manifest().encoder.id
    named = Engine.open(store.root, encoder=ours, preferred=one.encoder.id)
    assert named.encoder.spec.id == ours


def test_a_damaged_alternative_is_not_passed_over_in_silence(store: Store) -> None:
    one = with_alternative(store)
    (store.blobs / one.encoder.model).write_bytes(b"other")
    with pytest.raises(DamagedError):
        Engine.open(store.root, preferred=one.encoder.id)


def test_verify_runs_the_probes_through_every_encoder(store: Store) -> None:
    manifest = store.manifest()
    encoder = load_encoder(store.blob(manifest.encoder.model), store.blob(manifest.encoder.spec))
    probes = make_probes(store.casebase(manifest), encoder)
    one = with_alternative(store, probes=probes)
    outcome = verify_release(store)
    assert outcome.failure is None
    names = [check.name for check in outcome.checks]
    assert {"model 1", "sidecar 1", "alternative 1", "probe 1", "probe 5 by 1"} <= set(names)
    (store.blobs / one.encoder.model).write_bytes(b"other")
    assert isinstance(verify_release(store).failure, DamagedError)


def test_verify_finds_an_alternative_that_answers_otherwise(store: Store) -> None:
    manifest = store.manifest()
    encoder = load_encoder(store.blob(manifest.encoder.model), store.blob(manifest.encoder.spec))
    probes = make_probes(store.casebase(manifest), encoder)
    other = Alternative(put_encoder(store, *linear_encoder(seed=9)), CLOSE)
    changed = replace(manifest, alternatives=(other,), probes=probes)
    store.activate(store.add_release(changed))
    failure = verify_release(store).failure
    assert failure is not None
    assert "answered otherwise" in str(failure)


def test_verify_names_an_engine_that_is_not_installed_and_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ecgedge.encoders

    one = with_alternative(store)
    real = load_encoder

    def load(model: Path, spec: Path, *, threads: int = 1) -> object:
        if model.name == one.encoder.model:
            raise ReleaseError("the engine cannot be imported: no module")
        return real(model, spec, threads=threads)

    monkeypatch.setattr(ecgedge.encoders, "load_encoder", load)
    outcome = verify_release(store)
    assert outcome.failure is None
    (told,) = [check for check in outcome.checks if check.name == "alternative 1"]
    assert told.ok
    assert told.detail.endswith("was not run: the engine cannot be imported: no module")
    engine = Engine.open(store.root, preferred=one.encoder.id)
    assert any("no module" in note for note in engine.notes)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("b", ("b/model.onnx", "b/model.json")),
        ("b:onnx", ("b/model.onnx", "b/model.json")),
        ("b:tflite", ("b/model.tflite", "b/model.tflite.json")),
        ("c:/b", ("c:/b/model.onnx", "c:/b/model.json")),
    ],
)
def test_a_bundle_is_named_with_its_engine(text: str, names: tuple[str, str]) -> None:
    one = Candidate.parse(text)
    assert (str(one.model), str(one.spec)) == names


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    away = rows + np.array([2, 0, 0, 0], dtype=np.float32)  # never of length 0
    return np.asarray(away / np.linalg.norm(away, axis=1, keepdims=True))


UNIT = arrays(np.float32, (6, 4), elements=st.floats(-1, 1, width=32)).map(_unit_rows)


@given(UNIT)
def test_an_encoder_is_its_own_equal(rows: np.ndarray) -> None:
    assert cosines(rows, rows) == pytest.approx(1, abs=1e-6)
    assert cosine_p1(rows, rows) == pytest.approx(1, abs=1e-6)


@given(st.sets(st.integers(0, 20)), st.sets(st.integers(0, 20)))
def test_the_overlap_is_symmetric_and_whole_only_for_equal_sets(
    left: set[int], right: set[int]
) -> None:
    value = set_overlap(left, right)
    if not left and not right:
        assert np.isnan(value)
    else:
        assert value == set_overlap(right, left)
        assert (value == 1) == (left == right)


@pytest.mark.parametrize(
    ("parity", "told"),
    [
        (CLOSE, 0),
        (replace(CLOSE, auc_change=None), 0),
        (replace(CLOSE, cosine_p1=0.99), 1),
        (replace(CLOSE, top10_overlap=0.9, auc_change=-0.01), 2),
        (Parity(float("nan"), float("nan"), float("nan"), 1), 3),
    ],
)
def test_every_bound_that_is_broken_is_told(parity: Parity, told: int) -> None:
    assert len(parity.failures()) == told


def copy_bundle(source: Path, target: Path, noise: float) -> Path:
    """The bundle with its projection shaken by so much."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(source / "model.onnx")
    rng = np.random.default_rng(1)
    weights = onnx.numpy_helper.to_array(model.graph.initializer[1])
    shaken = weights + noise * rng.normal(size=weights.shape).astype(np.float32)
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(shaken, "weights"))
    data = model.SerializeToString()
    target.mkdir()
    (target / "model.onnx").write_bytes(data)
    spec = EncoderSpec.from_json((source / "model.json").read_text())
    text = spec.with_model(hashlib.sha256(data).hexdigest()).to_json()
    (target / "model.json").write_text(text)
    return target


def test_index_build_keeps_an_alternative_that_asks_alike_and_refuses_another(
    tmp_path: Path,
) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    bundle = write_bundle(tmp_path / "bundle")
    near, far = (copy_bundle(bundle, tmp_path / n, x) for n, x in (("near", 1e-4), ("far", 3.0)))
    words = ["index", "build", str(corpus), "--encoder", str(bundle), "--workers", "1", "--json"]

    def build(out: str, *more: str) -> tuple[int, dict[str, object]]:
        done = CliRunner().invoke(cli, [*words, "-o", str(tmp_path / out), *more])
        return done.exit_code, json.loads(done.stdout)

    code, told = build("store", "--alternative", f"{near}:onnx")
    assert code == 0
    (one,) = Store(tmp_path / "store").manifest().alternatives
    assert told["alternatives"] == [{"encoder": one.encoder.id, **asdict(one.parity)}]
    assert one.parity.cosine_p1 > 0.999
    assert one.parity.queries == 4
    assert verify_release(Store(tmp_path / "store")).failure is None
    code, told = build("refused", "--alternative", str(far))
    assert code == 7
    assert "asks otherwise than the primary encoder: cosine p1" in told["error"]["message"]
    assert not Store(tmp_path / "refused").release_ids()
    for more, exit_code in (
        (("--alternative", str(bundle)), 2),
        (("--alternative", str(near), "--valid-folds", "none"), 2),
        (("--alternative", str(tmp_path / "absent")), 7),
    ):
        assert build("never", *more)[0] == exit_code


def test_an_alternative_of_another_image_is_refused(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle")
    other = tmp_path / "other"
    other.mkdir()
    data, spec = linear_encoder("scalogram-1")
    (other / "model.onnx").write_bytes(data)
    (other / "model.json").write_text(spec.to_json())
    from ecgedge.central.alternatives import check_candidates
    from ecgedge.encoders import load_bundle

    with pytest.raises(MismatchError, match="cannot stand in for"):
        check_candidates([Candidate.parse(str(other))], load_bundle(bundle).spec)
