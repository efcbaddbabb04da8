"""The line from recording to answer, on a small but complete release."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_release import HEARTS, build_release, heart, linear_encoder

from ecgedge.beside import Beside
from ecgedge.casebase.calibration import Curves
from ecgedge.casebase.release import Store
from ecgedge.encoders import load_encoder
from ecgedge.engine import Engine
from ecgedge.errors import MismatchError, QualityRefused, ReleaseError, UsageError
from ecgedge.recording import Recording
from ecgedge.sight import embed_recording
from ecgedge.signal.measurements import measure
from ecgedge.signal.quality import assess
from ecgedge.signal.synthetic import Heart, synthesize


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build_release(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def engine(store: Store) -> Engine:
    return Engine.open(store.root)


@pytest.mark.parametrize("name", [name for name in HEARTS if name != "test/withdrawn"])
def test_a_recording_finds_its_own_case_first(engine: Engine, name: str) -> None:
    answer = engine.query(heart(name))
    assert answer.matches[0].case_id == name
    assert answer.matches[0].similarity > 0.99
    assert set(answer.matches[0].statements) == set(HEARTS[name][1])
    assert [match.rank for match in answer.matches] == list(range(1, len(answer.matches) + 1))
    similarities = [match.similarity for match in answer.matches]
    assert similarities == sorted(similarities, reverse=True)


def test_a_withdrawn_case_is_never_shown(engine: Engine) -> None:
    answer = engine.query(heart("test/withdrawn"), k=100)
    assert len(answer.matches) == len(HEARTS) - 1
    assert "test/withdrawn" not in [match.case_id for match in answer.matches]


def test_the_answer_names_release_model_unit_window_and_stages(
    engine: Engine, store: Store
) -> None:
    answer = engine.query(heart("test/normal"))
    assert answer.release == store.current_id()
    assert answer.model == store.manifest().encoder.id
    assert (answer.unit, answer.window_s) == ("mV", (0.0, 10.0))
    stages = ["quality", "condition", "image", "encode", "search"]
    stages += ["novelty", "measure", "answer", "total"]
    assert list(answer.timings_ms) == stages
    parts = [answer.timings_ms[stage] for stage in stages[:-1]]
    assert sum(parts) == pytest.approx(answer.timings_ms["total"], abs=0.01)


def test_the_answer_measures_the_recording_it_looked_at(engine: Engine) -> None:
    recording = heart("test/normal")
    said = engine.query(recording).measurements
    assert said == measure(recording, assess(recording))
    assert isinstance(said["heart_rate"].value, float)
    assert said["heart_rate"].beats > 5
    normalised = engine.query(replace(recording, unit="NU")).measurements
    assert normalised["heart_rate"] == said["heart_rate"]
    assert normalised["amplitudes"].value is None


def test_measuring_beside_the_encoder_changes_nothing_in_the_answer(engine: Engine) -> None:
    for name in HEARTS:
        alone, beside = engine.query(heart(name)), engine.query(heart(name), threads=2)
        assert replace(beside, timings_ms={}) == replace(alone, timings_ms={})


def test_an_error_of_work_done_beside_is_raised_where_its_result_is_asked_for() -> None:
    def fail() -> int:
        raise UsageError("no such thing")

    with pytest.raises(UsageError, match="no such thing"):
        Beside(fail).result()
    assert Beside(lambda: 7).result() == 7


def test_a_report_age_sex_and_source_come_back_with_a_match(engine: Engine) -> None:
    best = engine.query(heart("test/wide"), k=1).matches[0]
    assert (best.report, best.age, best.sex) == ("linksschenkelblock", 53, "M")
    assert best.source == "test record wide"


def test_supports_are_the_vote_shares_of_the_nearest_cases_only(engine: Engine) -> None:
    """The small release's calibration: four neighbours, temperature 0.1."""
    found = engine.casebase.search(engine.embed(heart("test/wide")), 5)
    assert len(found) == 5
    votes = np.exp((found.similarities[:4] - found.similarities[0]) / 0.1)
    votes /= votes.sum()
    expected: dict[str, float] = {}
    for hit, vote in zip(found[:4], votes, strict=True):
        for code in hit.case.statements:
            expected[code] = expected.get(code, 0.0) + float(vote)
    supports = engine.supports(found)
    assert supports == pytest.approx(expected, abs=1e-6)
    assert list(supports.values()) == sorted(supports.values(), reverse=True)
    everyone = frozenset(case.case_id for case in engine.casebase.all_cases())
    nobody = engine.casebase.search(engine.embed(heart("test/wide")), 5, exclude_cases=everyone)
    assert engine.supports(nobody) == {}


def test_findings_that_rest_on_voltage_are_cautioned_in_mv_and_withheld_in_nu(
    engine: Engine,
) -> None:
    in_mv = heart("test/thick")
    told = {support.code: support for support in engine.query(in_mv).supports}
    assert "not seen voltages" in told["LVH"].caution
    assert told["SR"].caution == ""
    assert told["LVH"].cases == ("test/thick",)
    unknown = engine.query(replace(in_mv, unit="NU"))
    assert not {"LVH", "VCLVH"} & {support.code for support in unknown.supports}
    assert set(unknown.withheld) == {"LVH", "VCLVH"}
    assert any("withheld" in note for note in unknown.notes)


def test_only_supports_of_some_strength_are_shown(engine: Engine) -> None:
    for name in HEARTS:
        shown = engine.query(heart(name)).supports
        assert len(shown) <= 10
        assert all(0.1 <= one.strength <= 1 or one.carried >= 2 for one in shown)


def test_a_bad_recording_is_refused_with_its_reasons_unless_forced(engine: Engine) -> None:
    short = synthesize(duration_s=2)
    with pytest.raises(QualityRefused, match=r"too short: 2\.0 s"):
        engine.query(short)
    forced = engine.query(short, force=True)
    assert forced.quality.verdict == "refuse"
    assert forced.matches
    assert any("by force" in note for note in forced.notes)
    assert forced.window_s == (0.0, 2.0)


@pytest.mark.parametrize("fill", [0.0, 1.0, np.nan])
def test_even_a_recording_of_nothing_can_be_forced(engine: Engine, fill: float) -> None:
    nothing = Recording(np.full((12, 5000), fill, dtype=np.float32), 500, "mV")
    with pytest.raises(QualityRefused):
        engine.query(nothing)
    assert engine.query(nothing, force=True).matches


def test_an_unusable_lead_is_hidden_from_the_encoder(engine: Engine) -> None:
    clean = heart("test/normal")
    noisy, off = clean.signal.copy(), clean.signal.copy()
    noisy[7] = np.random.default_rng(0).normal(size=noisy.shape[1])
    off[7] = np.nan
    assert np.array_equal(
        engine.embed(replace(clean, signal=noisy)), engine.embed(replace(clean, signal=off))
    )
    answer = engine.query(replace(clean, signal=noisy))
    assert any("V2" in note for note in answer.notes)


def test_only_the_first_ten_seconds_are_looked_at(engine: Engine) -> None:
    long = synthesize(Heart(), duration_s=14)
    spoiled = long.signal.copy()
    spoiled[:, 5000:] = 0
    assert np.array_equal(engine.embed(long), engine.embed(replace(long, signal=spoiled)))
    answer = engine.query(long)
    assert answer.window_s == (0.0, 10.0)
    assert any("first 10 of 14.0 s" in note for note in answer.notes)


def test_embedding_alone_and_in_a_query_are_the_same(engine: Engine) -> None:
    recording = heart("test/fast")
    alone = embed_recording(recording, engine.encoder)
    assert np.array_equal(alone, engine.embed(recording))
    hit = engine.casebase.search(alone, 1)[0]
    assert round(hit.similarity, 4) == engine.query(recording, k=1).matches[0].similarity


def test_asking_for_no_case_is_a_usage_error(engine: Engine) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        engine.query(heart("test/normal"), k=0)


def test_evidence_counts_the_nearest_cases_that_carry_a_statement(engine: Engine) -> None:
    """Six cases, one withdrawn: all five others are asked."""
    told = {one.code: one for one in engine.query(heart("test/normal"), k=5).supports}
    visible = [codes for name, (_, codes, _) in HEARTS.items() if name != "test/withdrawn"]
    for code, support in told.items():
        assert support.asked == 5
        assert support.carried == sum(code in codes for codes in visible)
        assert support.probability is None  # this release was never calibrated


def test_a_probability_stands_where_validation_could_judge_and_evidence_elsewhere(
    engine: Engine,
) -> None:
    curves = Curves(1.0, {"SR": (0.8, 0.0)})
    calibration = replace(engine.manifest.calibration, statements=curves)
    manifest = replace(engine.manifest, calibration=calibration)
    calibrated = Engine(manifest, engine.encoder, engine.casebase)
    told = {one.code: one for one in calibrated.query(heart("test/normal")).supports}
    share = calibrated.supports(calibrated.casebase.search(engine.embed(heart("test/normal")), 10))
    expected = curves.probability("SR", share["SR"], 4)
    assert told["SR"].probability == pytest.approx(expected, abs=1e-4)
    assert told["NORM"].probability is None
    assert told["NORM"].carried == 2
    likelihoods = [
        one.strength if one.probability is None else one.probability for one in told.values()
    ]
    assert likelihoods == sorted(likelihoods, reverse=True)


def test_a_recording_unlike_the_case_base_gets_evidence_but_no_probability(
    engine: Engine,
) -> None:
    far = tuple(np.linspace(0.9999999, 1.0, 101).tolist())  # nothing is as near as the usual
    calibration = replace(
        engine.manifest.calibration,
        statements=Curves(1.0, {"SR": (0.8, 0.0)}),
        nearest_quantiles=far,
    )
    strict = Engine(
        replace(engine.manifest, calibration=calibration), engine.encoder, engine.casebase
    )
    unseen = synthesize(Heart(rate_bpm=44, qrs_width=1.7, t_wave=-1.5))
    answer = strict.query(unseen)
    assert answer.novelty is not None
    assert answer.novelty.verdict == "unlike anything here"
    assert answer.novelty.why
    assert answer.supports
    assert all(one.probability is None for one in answer.supports)
    assert any("no probabilities" in note for note in answer.notes)
    with pytest.raises(QualityRefused, match="unlike anything here"):
        strict.query(unseen, max_novelty=0.99)
    assert strict.query(unseen, max_novelty=0.99, force=True).matches


def test_an_encoder_of_another_release_is_refused(engine: Engine, tmp_path: Path) -> None:
    data, spec = linear_encoder(seed=1)
    (tmp_path / "m").write_bytes(data)
    (tmp_path / "s").write_text(spec.to_json())
    stranger = load_encoder(tmp_path / "m", tmp_path / "s")
    with pytest.raises(MismatchError, match="was made with encoder"):
        Engine(engine.manifest, stranger, engine.casebase)


def test_a_release_that_needs_another_conditioning_is_refused(engine: Engine) -> None:
    with pytest.raises(MismatchError, match="cond-9"):
        Engine(replace(engine.manifest, conditioning="cond-9"), engine.encoder, engine.casebase)


def test_an_empty_store_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError):
        Engine.open(tmp_path)


def test_a_case_base_that_is_empty_still_answers(engine: Engine) -> None:
    from ecgedge.casebase.search import CaseBase

    answer = Engine(engine.manifest, engine.encoder, CaseBase([])).query(heart("test/normal"))
    assert (answer.matches, answer.supports, answer.novelty) == ((), (), None)
