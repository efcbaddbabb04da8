"""Why a case was found: occlusion that can be checked, ECGs that can be kept, one picture."""

import json
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from central_builders import write_bundle, write_corpus
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_release import build_release, heart, linear_encoder

from ecgedge.answer import Occlusion
from ecgedge.casebase.ecgs import pack, unpack
from ecgedge.casebase.release import Store
from ecgedge.central.build import BuildRequest
from ecgedge.central.build import build_release as build
from ecgedge.corpora.ptbxl import load_corpus
from ecgedge.encoders import load_encoder
from ecgedge.encoders.spec import EncoderSpec
from ecgedge.engine import Engine
from ecgedge.errors import DamagedError, InputError, UsageError
from ecgedge.explain import Explained, explain
from ecgedge.explain.occlusion import Part, cells, embedding, occlude, similarities
from ecgedge.explain.sheet import picture
from ecgedge.formats import read
from ecgedge.imaging import encoding_ids, letters, paper
from ecgedge.recording import LEADS, FloatArray
from ecgedge.signal.conditioning import Conditioned, condition
from ecgedge.signal.synthetic import Heart, synthesize

SPEC = EncoderSpec(
    "by-hand", "onnx", "", "images", (2, 12, 1000), "float32", 2, "cond-1", "leads-1", "fp32"
)


class ByHand:
    """An encoder whose embedding is a known function of how much is observed where."""

    def __init__(self, weights: FloatArray) -> None:
        self.spec, self.weights, self.seen = SPEC, weights, 0

    def encode(self, images: FloatArray) -> FloatArray:
        self.seen += len(images)
        share = (images[:, 1] * self.weights).sum(axis=(1, 2)) / self.weights.sum()
        return np.stack([share, np.sqrt(1 - share**2)], axis=1).astype(np.float32)


def _weights(**by_place: float) -> FloatArray:
    """1 everywhere but where a place such as V2_3 (lead V2, second 3) says otherwise."""
    weights = np.ones((12, 1000), np.float32)
    for place, weight in by_place.items():
        lead, second = place.split("_")
        weights[LEADS.index(lead), int(second) * 100 : int(second) * 100 + 100] = weight
    return weights


WHOLE = condition(synthesize())
TARGET = np.array([1, 0], np.float32)


def test_a_drop_is_what_hiding_the_part_takes_from_the_similarity() -> None:
    """Against the encoder's own formula: the cosine is the weighted share that is observed."""
    encoder = ByHand(_weights(V2_3=40.0, aVF_8=20.0))
    total = 118 + 40 + 20
    told = occlude(WHOLE, encoder, TARGET)
    assert told.similarity == 1.0
    assert [(one.lead, one.start_s, one.end_s) for one in told.regions[:2]] == [
        ("V2", 3.0, 4.0),
        ("aVF", 8.0, 9.0),
    ]
    assert told.regions[0].drop == pytest.approx(40 / total, abs=1e-5)
    assert told.leads["V2"] == pytest.approx((9 + 40) / total, abs=1e-5)
    assert told.seconds[8].drop == pytest.approx((11 + 20) / total, abs=1e-5)
    assert (len(told.regions), list(told.leads), len(told.seconds)) == (120, list(LEADS), 10)
    assert encoder.seen == 143


def test_parts_that_were_never_recorded_are_not_regions() -> None:
    signal = WHOLE.signal.copy()[:, :560]
    signal[3] = np.nan
    signal[7, :250] = np.nan
    told = occlude(Conditioned(signal), ByHand(_weights()), TARGET)
    assert "aVR" not in told.leads
    assert sum(one.lead == "V2" for one in told.regions) == 4  # of 6, the last of them 0.6 s long
    assert {one.end_s for one in told.regions if one.start_s == 5.0} == {5.6}
    assert [one.start_s for one in told.seconds] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_parts_hidden_together_are_all_hidden() -> None:
    encoder = ByHand(_weights())
    both = [Part(0, 0, 100), Part(None, 500, 600)]
    found = similarities(WHOLE, [[], both], encoder, TARGET)
    assert found == pytest.approx([1.0, 1 - 13 / 120], abs=1e-6)


def test_hiding_the_top_regions_lowers_the_similarity_more_than_random_or_bottom_ones() -> None:
    """On the built-in model, for synthetic hearts of different rhythm and shape."""
    engine = Engine.open()
    rng = np.random.default_rng(0)
    fell = {"top": 0.0, "random": 0.0, "bottom": 0.0}
    for one in (Heart(), Heart(rate_bpm=90, jitter=0.7, p_wave=0.0), Heart(qrs_width=2.2)):
        clean = synthesize(one)
        noise = rng.normal(0, 0.02, clean.signal.shape).astype(np.float32)
        recording = replace(clean, signal=clean.signal + noise)
        conditioned = condition(recording)
        target = engine.casebase.search(engine.embed(recording), 1).vector(0)
        parts = cells(conditioned)
        alone = similarities(conditioned, [[it] for it in parts], engine.encoder, target)
        order = np.argsort(alone, kind="stable")
        count = len(parts) // 5
        chosen = {"top": order[:count], "bottom": order[-count:]}
        chosen["random"] = rng.permutation(len(parts))[:count]
        sets = [[], *([parts[at] for at in chosen[name]] for name in fell)]
        whole, *after = similarities(conditioned, sets, engine.encoder, target)
        for name, similarity in zip(fell, after, strict=True):
            fell[name] += whole - similarity
    assert fell["top"] > max(fell["random"], fell["bottom"])


def test_encoding_in_batches_changes_nothing_on_the_built_in_model() -> None:
    engine = Engine.open()
    target = engine.casebase.search(engine.embed(synthesize()), 1).vector(0)
    sets = [[part] for part in cells(WHOLE)[:11]]
    together = similarities(WHOLE, sets, engine.encoder, target)
    single = [similarities(WHOLE, [one], engine.encoder, target)[0] for one in sets]
    assert together == pytest.approx(single, abs=1e-5)


@pytest.mark.parametrize("imaging", encoding_ids())
def test_every_image_encoding_can_be_occluded(imaging: str, tmp_path: Path) -> None:
    """A hidden lead changes the embedding, whatever the image; a hidden nothing does not."""
    data, spec = linear_encoder(imaging)
    (tmp_path / "m").write_bytes(data)
    (tmp_path / "s").write_text(spec.to_json())
    encoder = load_encoder(tmp_path / "m", tmp_path / "s")
    target = embedding(WHOLE, encoder)
    found = similarities(WHOLE, [[], [Part(1, 0, 1000)]], encoder, target)
    assert found[0] == pytest.approx(1, abs=1e-6)
    assert found[1] < 1 - 1e-4


_SIGNALS = hnp.arrays(
    np.float32,
    st.tuples(st.just(12), st.integers(1, 40)),
    elements=st.floats(-16, 16, width=32) | st.just(float("nan")),
)


@given(_SIGNALS)
def test_a_packed_ecg_comes_back_within_half_a_step_of_its_lead(signal: FloatArray) -> None:
    back = unpack(pack(signal))
    assert np.array_equal(np.isnan(back), np.isnan(signal))
    peak = np.abs(np.nan_to_num(signal)).max(axis=1, keepdims=True)
    error = np.nan_to_num(np.abs(back - signal))
    assert (error <= peak / 254 * 1.001 + 1e-6).all()
    assert pack(signal) == pack(signal.copy())


@given(st.binary(max_size=200))
def test_bytes_that_are_no_packed_ecg_are_damage(data: bytes) -> None:
    with pytest.raises(DamagedError):
        unpack(data)


def test_a_packed_ecg_that_would_fill_the_memory_is_damage() -> None:
    with pytest.raises(DamagedError):
        unpack(zlib.compress(bytes(12 * 4 + 12 * 1_000_000)))
    with pytest.raises(DamagedError, match="12 leads"):
        unpack(zlib.compress(bytes(12 * 4 + 5)))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), 24)


def _build(corpus: Path, out: Path, *, signals: bool) -> Store:
    request = BuildRequest(
        corpus=load_corpus(corpus), bundle=write_bundle(out / "bundle"), out=out / "store",
        folds=frozenset(range(1, 9)), valid_folds=frozenset({9}), created="2026-01-01",
        signals=signals,
    )  # fmt: skip
    build(request)
    return Store(out / "store")


@pytest.fixture(scope="module")
def with_signals(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return _build(corpus, tmp_path_factory.mktemp("with"), signals=True)


@pytest.fixture(scope="module")
def without(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return _build(corpus, tmp_path_factory.mktemp("without"), signals=False)


def _explain(store: Store, name: Path, rank: int = 1, corpus: Path | None = None) -> Explained:
    engine = Engine.open(store.root)
    recording = read(name)
    return explain(engine, recording, engine.query(recording), rank, corpus=corpus)


def test_a_build_with_signals_gives_the_same_bytes_again_and_without_has_no_table(
    corpus: Path, with_signals: Store, without: Store, tmp_path: Path
) -> None:
    again = _build(corpus, tmp_path, signals=True)
    assert again.current_id() == with_signals.current_id()
    (segment,) = with_signals.segments(with_signals.manifest())
    (bare,) = without.segments(without.manifest())
    assert bare.ecg(0) is None
    kept = segment.ecg(0)
    assert kept is not None
    assert segment.all_records()[0].case_id == "ptb-xl/1"
    seen = condition(read(corpus / "records100" / "00001_lr.hea")).signal
    assert np.abs(kept - seen).max() <= np.abs(seen).max() / 254 * 1.001
    assert with_signals.manifest().corpus["signals"] is True


def test_the_cases_ecg_comes_from_the_release_or_the_corpus_or_is_said_to_be_missing(
    corpus: Path, with_signals: Store, without: Store
) -> None:
    name = corpus / "records100" / "00001_lr.hea"
    kept = _explain(with_signals, name).explanation
    assert (kept.origin, kept.why) == ("release", "")
    assert kept.case is not None
    found = _explain(without, name, corpus=corpus).explanation
    assert found.origin == "corpus"
    assert found.case is not None
    none = _explain(without, name)
    assert (none.explanation.origin, none.explanation.case, none.case) == ("", None, None)
    assert "carries no signals" in none.explanation.why


def test_an_explanation_names_the_shared_statements_and_its_own_match(
    corpus: Path, without: Store
) -> None:
    engine = Engine.open(without.root)
    recording = read(corpus / "records100" / "00003_lr.hea")
    answer = engine.query(recording)
    for rank in (1, 3):
        told = explain(engine, recording, answer, rank).explanation
        match = answer.matches[rank - 1]
        assert (told.case_id, told.similarity) == (match.case_id, match.similarity)
        assert told.query.similarity == pytest.approx(match.similarity, abs=0.01)
        supported = {support.code for support in answer.supports}
        assert set(told.shared) == supported & set(match.statements)
    with pytest.raises(UsageError, match="no match 6"):
        explain(engine, recording, answer, 6)


def test_another_ecg_under_the_cases_name_is_refused(
    corpus: Path, without: Store, tmp_path: Path
) -> None:
    other = write_corpus(tmp_path / "other", 24)
    rng = np.random.default_rng(0)
    for path in (other / "records100").glob("*.dat"):
        path.write_bytes(rng.normal(0, 500, 12_000).astype("<i2").tobytes())
    with pytest.raises(InputError, match="is not the one the case was made of"):
        _explain(without, corpus / "records100" / "00001_lr.hea", corpus=other)


def test_an_answer_of_another_release_is_not_explained(
    corpus: Path, without: Store, tmp_path: Path
) -> None:
    other = Engine.open(build_release(tmp_path / "store").root)
    recording = read(corpus / "records100" / "00001_lr.hea")
    with pytest.raises(UsageError, match="is not among those this release finds"):
        explain(Engine.open(without.root), recording, other.query(recording))


def test_the_benchmark_of_explanations_runs_for_a_stranger(
    corpus: Path, without: Store, tmp_path: Path
) -> None:
    script = Path(__file__).resolve().parent.parent / "benchmarks" / "explain.py"
    words = [corpus, "--store", without.root, "--folds", "1-9", "--queries", "3"]
    command = [sys.executable, str(script), *map(str, words), "-o", str(tmp_path / "out.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == json.loads((tmp_path / "out.json").read_text())
    assert told["n"] == 3
    for order, curve in told["curves"].items():
        assert len(curve) == len(told["fractions"])
        assert curve[0] == told["curves"]["top"][0]  # nothing is hidden yet
        assert told["area"][order]["lo"] <= told["area"][order]["value"]


def test_a_corpus_without_the_case_is_a_sentence_not_an_error(
    corpus: Path, without: Store, tmp_path: Path
) -> None:
    small = write_corpus(tmp_path / "small", 1)
    told = _explain(without, corpus / "records100" / "00005_lr.hea", corpus=small).explanation
    assert told.case is None
    assert f"holds no record of case {told.case_id}" in told.why


def test_the_picture_shows_both_papers_or_one_and_the_reason(
    corpus: Path, with_signals: Store, without: Store
) -> None:
    name = corpus / "records100" / "00001_lr.hea"
    both = picture(_explain(with_signals, name), str(name))
    alone = picture(_explain(without, name), str(name))
    assert both.shape[1] == alone.shape[1] == paper.WIDTH_PX
    assert both.shape[0] > 2 * paper.HEIGHT_PX > alone.shape[0] > paper.HEIGHT_PX
    assert both.dtype == np.uint8


def _line(image: np.ndarray) -> np.ndarray:
    """Where the paper is inked."""
    return np.asarray((image.max(axis=2) < 90)[:, paper.NAMES_PX : -paper.FIGURES_PX])


def test_ten_mm_are_a_millivolt_and_25_mm_a_second() -> None:
    signal = np.zeros((12, 5000), np.float32)
    signal[1, 2000:] = 1.0  # a step of 1 mV in lead II after 4 s of 10
    signal[1, 3500:] = 0.0
    inked = _line(paper.draw(paper.Trace(signal, 500.0, in_mv=True)))
    row = slice(paper.TOP_PX, paper.TOP_PX + 2 * paper.ROW_PX)
    middle = paper.TOP_PX + paper.ROW_PX + paper.ROW_PX // 2
    before, after = np.flatnonzero(inked[row, 300])[-1], np.flatnonzero(inked[row, 500])
    lead_two = [y for y in after if abs(y + paper.TOP_PX - (middle - 40)) <= 2]
    assert lead_two
    assert before + paper.TOP_PX == pytest.approx(middle, abs=2)
    edges = np.flatnonzero(inked[middle - 20])
    assert {round(edge, -2) for edge in edges} == {400, 700}


def test_what_is_missing_is_blank_and_a_tall_lead_reaches_its_neighbours_at_most() -> None:
    signal = np.full((12, 1000), np.nan, np.float32)
    signal[5, :500] = 100.0 * np.sin(np.arange(500))
    inked = _line(paper.draw(paper.Trace(signal, 100.0, in_mv=False)))
    assert not inked[:, 500:].any()
    rows = np.flatnonzero(inked.any(axis=1))
    assert rows[0] >= paper.TOP_PX + 4 * paper.ROW_PX
    assert rows[-1] < paper.TOP_PX + 7 * paper.ROW_PX


def test_a_mark_shades_its_second_of_its_lead_and_nothing_else() -> None:
    blank = paper.Trace(np.full((12, 1000), np.nan, np.float32), 100.0, in_mv=False)
    plain = paper.draw(blank).astype(int)
    marked = paper.draw(blank, [paper.Mark("V1", 2.0, 3.0, 1.0)]).astype(int)
    changed = np.argwhere((plain != marked).any(axis=2))
    top = paper.TOP_PX + LEADS.index("V1") * paper.ROW_PX
    assert changed.min(axis=0).tolist() == [top, paper.NAMES_PX + 200]
    assert changed.max(axis=0).tolist() == [top + paper.ROW_PX - 1, paper.NAMES_PX + 299]


def test_letters_are_all_different_and_other_marks_become_a_question_mark() -> None:
    def drawn(text: str) -> bytes:
        rgb = np.full((letters.LINE_PX, letters.width_px(text), 3), 255, np.uint8)
        letters.write(rgb, text, 0, 0, (0, 0, 0))
        return rgb.tobytes()

    assert len({drawn(chr(code)) for code in range(32, 127)}) == 95
    assert drawn("\u00e4\x1b") == drawn("??")
    assert drawn("") == b""


def test_the_built_in_release_carries_no_signals() -> None:
    engine = Engine.open()
    assert engine.casebase.search(engine.embed(synthesize()), 1).ecg(0) is None


def test_a_recording_of_one_lead_is_explained_by_that_lead(tmp_path: Path) -> None:
    """All but one lead off: whatever is left is what carried it."""
    engine = Engine.open(build_release(tmp_path / "store").root)
    recording = heart("test/wide")
    signal = recording.signal.copy()
    signal[1:] = np.nan
    alone = replace(recording, signal=signal)
    told: Occlusion = explain(engine, alone, engine.query(alone, force=True)).explanation.query
    assert {one.lead for one in told.regions} == set(told.leads) == {"I"}


def test_a_real_case_is_drawn_from_the_users_own_copy_of_the_corpus(shared_data: Path) -> None:
    """The record there embeds as the built-in release has stored it."""
    engine = Engine.open()
    recording = read(shared_data / "mixed-mv" / "LUDB_1.hea")
    answer = engine.query(recording)
    told = explain(engine, recording, answer, 1, corpus=shared_data / "ptbxl")
    assert told.explanation.origin == "corpus"
    assert told.case is not None
    assert told.explanation.case is not None
    assert told.explanation.case.similarity == pytest.approx(answer.matches[0].similarity, abs=0.01)
    assert (told.query.trace.in_mv, told.case.trace.in_mv) == (True, False)
