"""Novelty: what it measures, that it grows with strangeness, and that it says why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis

from ecgedge.central.novelty import FEWEST, fit_gaussian, fit_novelty
from ecgedge.errors import DamagedError, MismatchError
from ecgedge.novelty import PARTS, Gaussian, NoveltyModel, nearest_only
from ecgedge.recording import LEADS, Recording
from ecgedge.signal import corrupt
from ecgedge.signal.conditioning import condition
from ecgedge.signal.swaps import LIMB_SWAPS, arrangements, swaps
from ecgedge.signal.synthetic import Heart, synthesize
from ecgedge.signal.traits import N_PAIRS, PAIRS, SHAPE, Traits, measure


def person(seed: int) -> Recording:
    """A synthetic heart of somebody's own rate and proportions, with a little noise."""
    rng = np.random.default_rng(seed)
    one = Heart(
        rate_bpm=rng.uniform(50, 100), jitter=rng.uniform(0, 0.3), qrs_width=rng.uniform(0.9, 1.3),
        t_wave=rng.uniform(0.6, 1.4), st_mv=rng.uniform(-0.05, 0.1),
    )  # fmt: skip
    clean = synthesize(one, rate_hz=200)
    turn = 1 + 0.15 * rng.standard_normal((3, 1))
    signal = clean.signal.copy()
    signal[6:9] *= turn
    signal[6:] += 0.1 * rng.standard_normal((6, 1)) * signal[0]
    signal += rng.normal(0, 0.02, signal.shape)
    return replace(clean, signal=signal.astype(np.float32))


@pytest.fixture(scope="module")
def people() -> list[Recording]:
    return [person(seed) for seed in range(90)]


@pytest.fixture(scope="module")
def model(people: list[Recording]) -> NoveltyModel:
    held = [measure(condition(one)) for one in people]
    nearest = np.linspace(0.8, 0.99, 45).astype(np.float32)
    fitted = fit_novelty(held[:45], held[45:], nearest)
    assert fitted is not None
    return fitted


def judge(model: NoveltyModel, recording: Recording, nearest: float = 0.95):
    return model.novelty(measure(condition(recording)), nearest)


# --- traits ---------------------------------------------------------------------------


def test_relations_are_fisher_transformed_correlations() -> None:
    conditioned = condition(person(1))
    ours = np.tanh(measure(conditioned).relations)
    expected = np.corrcoef(conditioned.signal.astype(np.float64))[PAIRS]
    np.testing.assert_allclose(ours, np.clip(expected, -0.999, 0.999), atol=1e-5)


def test_relations_with_gaps_are_those_of_the_samples_both_leads_have() -> None:
    conditioned = condition(corrupt.crop(person(1), 8))
    signal = conditioned.signal.copy()
    signal[3, :300] = np.nan
    signal[9, 500:] = np.nan
    ours = np.tanh(measure(replace(conditioned, signal=signal)).relations)
    for pair in range(N_PAIRS):
        row, column = PAIRS[0][pair], PAIRS[1][pair]
        both = np.isfinite(signal[[row, column]]).all(axis=0)
        expected = np.corrcoef(signal[row, both], signal[column, both])[0, 1]
        assert ours[pair] == pytest.approx(np.clip(expected, -0.999, 0.999), abs=1e-4)


@given(
    lost=st.sets(st.sampled_from(LEADS), max_size=12),
    seconds=st.floats(0.1, 10),
    printed=st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_whatever_is_missing_traits_and_verdict_stay_finite_where_they_are_said(
    model: NoveltyModel, lost: set[str], seconds: float, printed: bool
) -> None:
    recording = corrupt.drop_leads(corrupt.crop(person(3), seconds), sorted(lost))
    recording = corrupt.print_3x4(recording) if printed else recording
    traits = measure(condition(recording))
    assert traits.relations.shape == (N_PAIRS,)
    assert traits.shape.shape == (len(SHAPE),)
    gone = [LEADS.index(lead) for lead in lost]
    unknown = np.isin(PAIRS[0], gone) | np.isin(PAIRS[1], gone)
    assert np.isnan(traits.relations[unknown]).all()
    novelty = model.novelty(traits, 0.95)
    assert 0 <= novelty.score <= 1
    assert np.isfinite(list(novelty.parts.values())).all()
    assert "case" in novelty.parts


@pytest.mark.parametrize("signal", [np.zeros((12, 1000)), np.full((12, 1000), np.nan)])
def test_nothing_recorded_has_no_traits_and_goes_by_the_nearest_case(
    model: NoveltyModel, signal: np.ndarray
) -> None:
    nothing = Recording(signal.astype(np.float32), 100, "NU")
    assert set(judge(model, nothing).parts) == {"case"}


def test_waves_played_backwards_have_another_order(people: list[Recording]) -> None:
    forwards = [measure(condition(one)).shape[-1] for one in people[:10]]
    backwards = [measure(condition(corrupt.reverse_time(one))).shape[-1] for one in people[:10]]
    assert min(forwards) > max(backwards)


# --- swaps ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "make"),
    [
        *((pair, lambda it, pair=pair: corrupt.swap_limb(it, pair)) for pair in LIMB_SWAPS),
        ("V2 and V3", lambda it: corrupt.swap_chest(it, "V2", "V3")),
        ("V1 and V6", lambda it: corrupt.swap_chest(it, "V1", "V6")),
        ("reverse", corrupt.reverse_chest),
    ],
)
def test_a_swap_of_relations_is_the_relation_of_swapped_leads(name: str, make) -> None:
    words = name.replace("/", " and ")
    swap = next(one for one in swaps() if words in one.name)
    recording = person(7)
    expected = measure(condition(make(recording))).relations
    np.testing.assert_allclose(
        swap.apply(measure(condition(recording)).relations), expected, atol=2e-2
    )


def test_every_swap_undoes_itself_and_needs_no_pair_that_was_not_recorded() -> None:
    relations = np.arange(1.0, N_PAIRS + 1)
    for swap in swaps():
        np.testing.assert_array_equal(swap.apply(swap.apply(relations)), relations)
    held = measure(condition(corrupt.drop_leads(person(0), ["V2"]))).relations
    possible = arrangements(np.isfinite(held))
    assert possible.names
    assert not any("V2" in name for name in possible.names)
    as_recorded, *exchanged = possible.apply(held)
    np.testing.assert_array_equal(as_recorded, held)
    by_name = {swap.name: swap for swap in swaps()}
    for name, relations in zip(possible.names, exchanged, strict=True):
        np.testing.assert_array_equal(relations, by_name[name].apply(held))
        np.testing.assert_array_equal(np.isfinite(relations), np.isfinite(held))
    assert arrangements(np.zeros(N_PAIRS, dtype=bool)).names == ()


# --- the Gaussians ---------------------------------------------------------------------


def test_the_distance_is_mahalanobis_per_dimension_and_missing_counts_as_usual() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))
    gaussian = fit_gaussian(rows)
    assert gaussian is not None
    precision = np.linalg.inv(gaussian.covariance)
    for row in rows[:5]:
        expected = mahalanobis(row, gaussian.mean, precision) ** 2 / 6
        assert gaussian.distance(row[None])[0] == pytest.approx(expected)
    holey = rows[0].copy()
    holey[[1, 4]] = np.nan
    kept = np.isfinite(holey)
    inverse = np.linalg.inv(gaussian.covariance[np.ix_(kept, kept)])
    square = mahalanobis(holey[kept], gaussian.mean[kept], inverse) ** 2
    assert gaussian.distance(holey[None])[0] == pytest.approx((square + 2) / 6)
    assert np.isnan(gaussian.distance(np.full((1, 6), np.nan))[0])


def test_too_few_recordings_give_no_model() -> None:
    held = [measure(condition(person(seed))) for seed in range(FEWEST - 1)]
    nearest = np.full(len(held), 0.9, dtype=np.float32)
    assert fit_novelty(held, held, nearest) is None


# --- the verdict -----------------------------------------------------------------------


def test_one_reference_recording_in_twenty_is_unusual(
    model: NoveltyModel, people: list[Recording]
) -> None:
    nearest = np.linspace(0.8, 0.99, 45)
    verdicts = [
        judge(model, one, float(cosine)).verdict
        for one, cosine in zip(people[45:], nearest, strict=True)
    ]
    assert sum(verdict != "familiar" for verdict in verdicts) in (2, 3)


@pytest.mark.parametrize(
    ("name", "make", "word"),
    [
        ("arms", lambda it: corrupt.swap_limb(it, "LA/RA"), "LA and RA"),
        ("legs", lambda it: corrupt.swap_limb(it, "RA/LL"), "RA and LL"),
        ("chest", corrupt.reverse_chest, "reverse order"),
    ],
)
def test_swapped_electrodes_are_noticed_and_named(
    model: NoveltyModel, people: list[Recording], name: str, make, word: str
) -> None:
    told = [judge(model, make(one)) for one in people[45:60]]
    assert all(novelty.verdict == "unlike anything here" for novelty in told), name
    assert sum(word in novelty.why for novelty in told) >= 12


def test_what_is_no_ecg_is_unlike_anything(model: NoveltyModel) -> None:
    rng = np.random.default_rng(0)
    noise = Recording(rng.standard_normal((12, 1000)).astype(np.float32), 100, "NU")
    assert judge(model, noise).verdict == "unlike anything here"
    buried = corrupt.emg_noise(person(60), -3, 1)
    assert judge(model, buried).verdict == "unlike anything here"


@given(near=st.floats(-1, 1), far=st.floats(-1, 1))
@settings(deadline=None)
def test_novelty_never_falls_as_the_nearest_case_recedes(
    model: NoveltyModel, near: float, far: float
) -> None:
    traits = measure(condition(person(50)))
    far, near = sorted((near, far))
    assert model.novelty(traits, far).score >= model.novelty(traits, near).score
    quantiles = np.linspace(0.5, 0.9, 101)
    assert nearest_only(far, quantiles).score >= nearest_only(near, quantiles).score


@given(step=st.floats(0, 5), more=st.floats(0, 5), where=st.sampled_from(["relations", "shape"]))
@settings(deadline=None)
def test_novelty_never_falls_along_a_ray_away_from_the_usual(
    model: NoveltyModel, step: float, more: float, where: str
) -> None:
    rng = np.random.default_rng(3)
    way = {"relations": rng.normal(size=N_PAIRS), "shape": rng.normal(size=len(SHAPE))}

    def part(far: float) -> float:
        held = Traits(
            model.relations.mean + far * way["relations"] * (where == "relations"),
            model.shape.mean + far * way["shape"] * (where == "shape"),
        )
        return model.judge(held, 0.9).parts["leads" if where == "relations" else "shape"]

    assert part(step + more) >= part(step) - 1e-9


@pytest.mark.parametrize(
    ("nearest", "score", "verdict"),
    [
        (0.95, 0.0, "familiar"),
        (0.7, 0.5, "familiar"),
        (0.51, 0.975, "unusual"),
        (0.49, 1.0, "unlike anything here"),
    ],
)
def test_without_a_model_it_is_the_share_of_reference_recordings_with_a_nearer_case(
    nearest: float, score: float, verdict: str
) -> None:
    novelty = nearest_only(nearest, np.linspace(0.5, 0.9, 101))
    assert novelty.score == pytest.approx(score, abs=1e-4)
    assert novelty.verdict == verdict
    assert bool(novelty.why) == (verdict != "familiar")


# --- the file --------------------------------------------------------------------------


def test_a_model_survives_its_file_and_is_small(
    model: NoveltyModel, people: list[Recording]
) -> None:
    text = model.to_json()
    assert len(text) < 100_000
    again = NoveltyModel.from_json(text)
    assert again.to_json() == text
    for one in people[:5]:
        assert judge(again, one).excess == pytest.approx(judge(model, one).excess, abs=1e-3)
    assert set(again.scales) <= set(PARTS)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("traits-1", "traits-9", MismatchError),
        ("ecgedge-novelty/1", "ecgedge-novelty/2", MismatchError),
        ('"quantiles":[', '"quantiles":[9,', DamagedError),
        ('"mean":[', '"mean":[1,', DamagedError),
        ('"scales"', '"sales"', DamagedError),
        ("{", "", DamagedError),
    ],
)
def test_a_model_that_cannot_be_used_is_refused(
    model: NoveltyModel, old: str, new: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        NoveltyModel.from_json(model.to_json().replace(old, new, 1))


def test_a_covariance_that_cannot_be_inverted_is_refused(model: NoveltyModel) -> None:
    flat = Gaussian(model.shape.mean, np.zeros_like(model.shape.covariance))
    with pytest.raises(DamagedError, match="malformed"):
        NoveltyModel.from_json(replace(model, shape=flat).to_json())


def test_on_real_recordings_exchanged_electrodes_stand_out(shared_data) -> None:
    """LUDB: fitted on 120 people, tried on 80 others, limb and chest electrodes exchanged."""
    from ecgedge.evaluation.metrics import roc_auc
    from ecgedge.formats import read

    folder = shared_data / "mixed-mv"
    recordings = [read(folder / f"LUDB_{number}.hea") for number in range(1, 201)]
    held = [measure(condition(one)) for one in recordings]
    nearest = np.full(40, 0.95, dtype=np.float32)
    fitted = fit_novelty(held[:120], held[80:120], nearest)
    assert fitted is not None
    usual = [fitted.judge(one, 0.95).excess for one in held[120:]]
    for make in (lambda it: corrupt.swap_limb(it, "LA/RA"), corrupt.reverse_chest):
        strange = [
            fitted.judge(measure(condition(make(one))), 0.95).excess for one in recordings[120:]
        ]
        labels = np.r_[np.zeros(80, dtype=bool), np.ones(80, dtype=bool)]
        assert roc_auc(labels, np.r_[usual, strange]) > 0.95
