"""Exchanged electrodes are named, with evidence a reader can check, and others are left alone."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from ecgedge.answer import QualityWarning
from ecgedge.recording import LEADS, LIMB, LIMB_FROM_I_II, Recording
from ecgedge.signal import reversal
from ecgedge.signal.corrupt import (
    drop_leads,
    emg_noise,
    print_3x4,
    reverse_chest,
    swap_chest,
    swap_limb,
)
from ecgedge.signal.faults import RIGHT_LEG, flatten, scale, swap_right_leg
from ecgedge.signal.quality import assess
from ecgedge.signal.synthetic import Heart, synthesize

ROOT = Path(__file__).resolve().parent.parent


def _warning(recording: Recording) -> QualityWarning:
    (one,) = assess(recording).warnings
    return one


@pytest.mark.parametrize("heart", [Heart(), Heart(rate_bpm=150), Heart(jitter=0.8, p_wave=0)])
@pytest.mark.parametrize("rate_hz", [100, 500, 1000])
def test_electrodes_where_they_belong_warn_of_nothing(heart: Heart, rate_hz: float) -> None:
    assert assess(synthesize(heart, rate_hz=rate_hz)).warnings == ()


@pytest.mark.parametrize("electrodes", ["LA/RA", "RA/LL"])
@pytest.mark.parametrize("unit", ["mV", "NU"])
def test_exchanged_limb_electrodes_are_named_and_change_no_verdict(
    electrodes: str, unit: str
) -> None:
    swapped = swap_limb(synthesize(), electrodes)
    quality = assess(Recording(swapped.signal, 500, unit))  # type: ignore[arg-type]
    assert quality.verdict == "ok"
    (one,) = quality.warnings
    assert (one.kind, one.evidence["exchange"]) == ("limb-reversal", electrodes)
    assert float(one.evidence["fit"]) > reversal.LIMB_FIT


def test_the_evidence_for_exchanged_arms_is_what_a_reader_sees() -> None:
    one = _warning(swap_limb(synthesize(), "LA/RA"))
    assert one.text.startswith("LA and RA look exchanged: lead I is upside down against V5 and V6")
    assert "A heart on the right side looks the same" in one.text
    assert float(one.evidence["corr_I_V6"]) < -0.9
    assert json.loads(json.dumps(dict(one.evidence))) == one.evidence


@pytest.mark.parametrize("electrodes", list(RIGHT_LEG))
def test_an_arm_electrode_on_the_right_leg_flattens_a_lead_and_is_named(electrodes: str) -> None:
    one = _warning(swap_right_leg(synthesize(), electrodes))
    assert (one.kind, one.evidence["exchange"]) == ("right-leg-reversal", electrodes)


@pytest.mark.parametrize("lead", ["I", "II", "III"])
def test_a_dead_channel_is_no_exchange_because_the_other_leads_disagree(lead: str) -> None:
    assert assess(flatten(synthesize(), lead)).warnings == ()


@pytest.mark.parametrize(("first", "second"), [("V1", "V2"), ("V1", "V3"), ("V1", "V6")])
def test_exchanged_chest_electrodes_are_named(first: str, second: str) -> None:
    one = _warning(swap_chest(synthesize(), first, second))
    assert (one.kind, one.evidence["exchange"]) == ("chest-reversal", f"{first}/{second}")


def test_chest_electrodes_in_reverse_order_are_named() -> None:
    assert _warning(reverse_chest(synthesize())).evidence["exchange"] == "V1-V6"


@pytest.mark.parametrize("electrodes", ["LA/RA", "RA/LL"])
def test_an_exchange_shows_through_missing_chest_leads_until_few_are_left(electrodes: str) -> None:
    swapped = swap_limb(synthesize(), electrodes)
    assert _warning(drop_leads(swapped, ["V2", "V5"])).evidence["exchange"] == electrodes
    assert assess(drop_leads(swapped, ["V2", "V4", "V5"])).warnings == ()


def test_missing_limb_leads_and_printed_pages_are_not_judged() -> None:
    swapped = swap_limb(synthesize(), "LA/RA")
    assert assess(drop_leads(swapped, ["I", "II"])).warnings == ()
    assert assess(print_3x4(swapped)).warnings == ()


def test_muscle_noise_neither_hides_an_exchange_nor_makes_one() -> None:
    assert assess(emg_noise(synthesize(), 10, seed=1)).warnings == ()
    assert _warning(emg_noise(swap_limb(synthesize(), "LA/RA"), 10, 1)).evidence["exchange"] == (
        "LA/RA"
    )


def test_gain_changes_no_evidence() -> None:
    swapped = swap_limb(synthesize(), "RA/LL")
    louder = Recording(swapped.signal * np.float32(8), 500, "NU")
    assert _warning(louder).evidence == _warning(swapped).evidence
    chest = scale(replace(swapped, unit="NU"), "V4", 3.0)
    assert float(_warning(chest).evidence["fit"]) == pytest.approx(
        float(_warning(swapped).evidence["fit"]), abs=0.02
    )


@given(
    samples=arrays(
        np.float32, (12, 30), elements=st.floats(-1e6, 1e6, width=32), fill=st.just(np.float32(0))
    ),
    there=arrays(np.bool_, 12),
)
@settings(max_examples=80, deadline=None)
def test_any_products_at_all_warn_of_at_most_one_exchange(
    samples: NDArray[np.float32], there: NDArray[np.bool_]
) -> None:
    products = (samples.astype(np.float64) @ samples.T) / 30
    before = products.copy()
    found = reversal.warnings(products, there, there)
    np.testing.assert_array_equal(products, before)
    assert len(found) <= 1
    broken = np.where(products > 0, np.nan, np.inf)
    assert reversal.warnings(broken, there, there) == ()


def test_the_right_legs_algebra_keeps_einthovens_law_and_moves_wilsons_terminal() -> None:
    before = synthesize()
    one, two = before.signal[:2].astype(np.float64)
    after = swap_right_leg(before, "RA/RL").signal
    np.testing.assert_allclose(after[LIMB], LIMB_FROM_I_II @ after[:2], atol=1e-6)
    assert np.abs(after[1]).max() == 0  # both legs
    np.testing.assert_allclose(after[0], one - two, atol=1e-5)  # -III
    np.testing.assert_allclose(after[6:], before.signal[6:] - two / 3, atol=1e-5)
    normalised = swap_right_leg(replace(before, unit="NU"), "RA/RL").signal
    np.testing.assert_array_equal(normalised[6:], before.signal[6:])


def test_real_recordings_are_told_from_their_exchanged_selves(shared_data: Path) -> None:
    """LUDB: the ties were measured on PTB-XL."""
    from ecgedge.formats import read

    recordings = [read(path) for path in sorted((shared_data / "mixed-mv").glob("LUDB_*.hea"))]
    assert len(recordings) == 200
    assert sum(bool(assess(one).warnings) for one in recordings) <= 1
    for electrodes in ("LA/RA", "RA/LL"):
        named = 0
        for one in recordings:
            told = assess(swap_limb(one, electrodes)).warnings
            named += bool(told) and told[0].evidence["exchange"] == electrodes
        assert named >= 180
    for electrodes in RIGHT_LEG:
        assert sum(
            bool(assess(swap_right_leg(one, electrodes)).warnings) for one in recordings
        ) >= (198)


def test_the_usual_ties_are_those_of_folds_1_to_8(shared_data: Path) -> None:
    sys.path.append(str(ROOT / "benchmarks"))
    from reversal_fit import usual

    sample = usual(shared_data / "ptbxl", every=5)
    rows = [value for row in range(8) for value in sample[row, : row + 1].tolist()]
    kept = [value for row in reversal._USUAL for value in row]
    np.testing.assert_allclose(rows, kept, atol=0.06)


def test_every_exchange_undone_is_the_recording_again() -> None:
    independent = np.random.default_rng(0).normal(size=(8, 5))
    for _, matrix, limit in reversal._thinkable():
        np.testing.assert_allclose(matrix @ matrix @ independent, independent, atol=1e-12)
        assert limit > 1
    assert {LEADS[row] for row in reversal.INDEPENDENT} == {"I", "II", *LEADS[6:]}
