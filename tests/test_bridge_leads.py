"""Twelve leads by linear algebra over electrodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.recording import LEADS, LIMB_FROM_I_II
from firmware_bridge.events import ELECTRODES, Channel, Configuration
from firmware_bridge.leads import counts_of, electrode_potentials, lead_map

# TI SBAU181 table 2: the order of the ADS1298R ECG front end.
TI = ["C6-WCT", "LA-RA", "LL-RA", "C2-WCT", "C3-WCT", "C4-WCT", "C5-WCT", "C1-WCT"]
AGAINST_REFERENCE = ["RA-REF", "LA-REF", "LL-REF", *(f"C{i}-REF" for i in range(1, 6))]


def wired(*pairs: str, gain: float = 6.0, **changes: object) -> Configuration:
    channels = tuple(Channel(*pair.split("-"), gain) for pair in pairs)
    plain = Configuration("test", 0, 500.0, 2400.0, "twos", 2**23 - 1, channels)
    return replace(plain, **changes)


def leads_of_electrodes(electrodes: dict[str, np.ndarray]) -> np.ndarray:
    """Wilson's and Goldberger's definitions, spelled out."""
    ra, la, ll = electrodes["RA"], electrodes["LA"], electrodes["LL"]
    wct = (ra + la + ll) / 3
    limb = [la - ra, ll - ra, ll - la, ra - (la + ll) / 2, la - (ra + ll) / 2, ll - (ra + la) / 2]
    return np.array(limb + [electrodes[f"C{i}"] - wct for i in range(1, 7)])


def measured(configuration: Configuration, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Counts a device gives for random electrodes on an unknown common offset, and the truth."""
    rng = np.random.default_rng(seed)
    potentials = {name: rng.normal(0, 1, 400) + 0.3 for name in ELECTRODES}
    truth = leads_of_electrodes(potentials)
    potentials["WCT"] = (potentials["RA"] + potentials["LA"] + potentials["LL"]) / 3
    columns = []
    for channel in configuration.channels:
        mv = potentials[channel.positive] - potentials[channel.negative]
        worth = configuration.reference_mv / (channel.gain * configuration.full_scale)
        columns.append(np.rint(mv / worth))
    return np.array(columns).T.astype(np.int32), truth


@pytest.mark.parametrize("pairs", [TI, TI[::-1]])
def test_eight_channels_in_any_order_give_wilsons_and_goldbergers_twelve(pairs: list[str]) -> None:
    configuration = wired(*pairs)
    counts, truth = measured(configuration)
    leads = lead_map(configuration)
    assert leads.missing == ()
    derived = leads.derive(counts)
    assert derived.shape == (12, 400)
    assert derived.dtype == np.float32
    np.testing.assert_allclose(derived, truth, atol=2e-4)


def test_a_common_reference_cancels_whatever_its_potential() -> None:
    configuration = wired(*AGAINST_REFERENCE)
    counts, truth = measured(configuration)
    leads = lead_map(configuration)
    assert leads.missing == ("V6",)
    np.testing.assert_allclose(leads.derive(counts)[:11], truth[:11], atol=2e-4)
    assert np.isnan(leads.derive(counts)[11]).all()


def test_limb_leads_agree_with_the_recordings_own_algebra() -> None:
    configuration = wired("LA-RA", "LL-RA")
    counts, truth = measured(configuration)
    np.testing.assert_allclose(
        lead_map(configuration).derive(counts)[:6], LIMB_FROM_I_II @ truth[:2], atol=2e-4
    )


def test_a_lead_is_missing_when_the_reference_does_not_cancel() -> None:
    assert lead_map(wired("RA-REF", "C1-REF")).missing == LEADS
    # LA - RA can be had; Wilson's terminal cannot, so no chest lead.
    assert set(LEADS) - set(lead_map(wired("RA-REF", "LA-REF", "C1-REF")).missing) == {"I"}


def test_a_measured_lead_is_its_channel_and_nothing_else() -> None:
    weights = lead_map(wired("LA-RA", "LL-RA", "LL-LA")).weights
    np.testing.assert_array_equal(weights[:3], np.eye(3))


def test_a_channel_worn_the_other_way_round_changes_sign() -> None:
    assert lead_map(wired("RA-LA")).weights[0, 0] == -1


def test_a_redundant_channel_is_taken_for_less_noise_and_then_in_order() -> None:
    # aVR from I and II halves the noise that aVR from I and III would carry.
    weights = lead_map(wired("LL-LA", "LA-RA", "LL-RA")).weights
    np.testing.assert_array_equal(weights[3], [0, -0.5, -0.5])
    np.testing.assert_array_equal(lead_map(wired("LA-RA", "LA-RA")).weights[0], [1, 0])


@given(st.permutations(TI))
def test_channel_order_is_data(order: list[str]) -> None:
    configuration = wired(*order)
    counts, truth = measured(configuration)
    np.testing.assert_allclose(lead_map(configuration).derive(counts), truth, atol=2e-4)


inputs = st.sampled_from(ELECTRODES)


@given(st.lists(st.tuples(inputs, inputs), max_size=8), st.integers(0, 2**16 - 1))
def test_any_wiring_gives_true_leads_or_none(pairs: list[tuple[str, str]], off: int) -> None:
    configuration = wired(*(f"{a}-{b}" for a, b in pairs))
    counts, truth = measured(configuration)
    leads = lead_map(configuration)
    derived = leads.derive(counts.reshape(400, len(pairs)))
    for lead in range(12):
        if LEADS[lead] in leads.missing:
            assert np.isnan(derived[lead]).all()
        else:
            np.testing.assert_allclose(derived[lead], truth[lead], atol=1e-3)
    electrodes, lost = leads.off(off, 0xFFFF)
    assert electrodes <= set(ELECTRODES)
    assert not any(lost[LEADS.index(lead)] for lead in leads.missing)


def lost_of(configuration: Configuration, off: int, valid: int = 0xFFFF) -> set[str]:
    _, lost = lead_map(configuration).off(off, valid)
    return {lead for lead, gone in zip(LEADS, lost, strict=True) if gone}


def test_a_chest_electrode_off_takes_its_own_lead_only() -> None:
    configuration = wired(*TI)
    electrodes, _ = lead_map(configuration).off(1 << 7, 0xFFFF)
    assert electrodes == {"C1"}
    assert lost_of(configuration, 1 << 7) == {"V1"}


@pytest.mark.parametrize(("bit", "electrode"), [(1, "LA"), (9, "RA"), (2, "LL")])
def test_a_limb_electrode_off_takes_wilsons_terminal_with_it(bit: int, electrode: str) -> None:
    electrodes, lost = lead_map(wired(*TI)).off(1 << bit, 0xFFFF)
    assert electrodes == {electrode}
    assert lost[6:].all()
    assert lost[3:6].all()  # each augmented lead is of all three
    kept = {"LA": "II", "LL": "I"}.get(electrode)
    assert {lead for lead in ("I", "II", "III") if not lost[LEADS.index(lead)]} == (
        {kept} if kept else set()
    )


def test_a_measured_lead_survives_an_electrode_that_is_no_part_of_it() -> None:
    assert "III" not in lost_of(wired("LA-RA", "LL-RA", "LL-LA"), 1 << 8)
    assert lost_of(wired("LA-RA", "LL-RA"), 1 << 8) == {"I", "II", "III", "aVR", "aVL", "aVF"}


def test_an_electrode_one_channel_calls_off_is_off_for_every_channel_it_touches() -> None:
    # Only channel 0 senses RA (its negative input); channel 1's own bit says nothing.
    assert "II" in lost_of(wired("LA-RA", "LL-RA"), 1 << 8, valid=1 << 8)


def test_bits_that_are_not_valid_mean_nothing() -> None:
    assert lost_of(wired(*TI), 0xFFFF, valid=0) == set()
    assert lost_of(wired("LA-RA", "NC-NC"), 0b1_0000_0010) == {"I"}
    assert lost_of(wired("LA-RA", "NC-NC"), 0b1111_1110_1111_1110) == set()


def test_a_datasheets_count_is_worth_what_the_datasheet_says() -> None:
    # SBAS459: LSB = VREF / (gain (2^23 - 1)); SNAS602: 0 V at ADCMAX / 2, +VREF / 3.5 at ADCMAX.
    one = lead_map(wired("LA-RA")).derive(np.array([[1], [2**23 - 1]], np.int32))[0]
    np.testing.assert_allclose(one, [4.7684e-05, 400.0], rtol=1e-4)
    offset = wired("LA-RA", gain=3.5, encoding="offset", full_scale=0xB964F0)
    half = 0xB964F0 // 2
    np.testing.assert_allclose(
        lead_map(offset).derive(np.array([[half], [0xB964F0], [0]], np.int32))[0],
        [0, 2400 / 3.5, -2400 / 3.5],
        rtol=1e-6,
    )


@pytest.mark.parametrize("pairs", [TI, AGAINST_REFERENCE, ["LA-RA", "NC-NC", "C1-WCT"]])
@pytest.mark.parametrize("encoding", ["twos", "offset"])
def test_counts_of_leads_give_the_leads_back(pairs: list[str], encoding: str) -> None:
    configuration = wired(*pairs, encoding=encoding)
    rng = np.random.default_rng(1)
    electrodes = {name: rng.normal(0, 1, 300) for name in ELECTRODES}
    leads = leads_of_electrodes(electrodes)
    found = lead_map(configuration)
    derived = found.derive(counts_of(configuration, leads))
    rows = [i for i, lead in enumerate(LEADS) if lead not in found.missing]
    assert rows
    np.testing.assert_allclose(derived[rows], leads[rows], atol=3e-4)


@given(st.integers(-(2**22), 2**22), st.integers(-(2**22), 2**22))
def test_counts_come_back_to_half_a_count(one: int, two: int) -> None:
    configuration = wired("LA-RA", "LL-RA")
    counts = np.array([[one, two]], dtype=np.int32)
    back = counts_of(configuration, lead_map(configuration).derive(counts))
    np.testing.assert_array_equal(back, counts)


def test_what_the_converter_cannot_hold_is_clipped_and_nan_is_its_rail() -> None:
    leads = np.zeros((12, 3))
    leads[:, 0] = np.nan
    leads[:2, 1], leads[:2, 2] = 1e6, -1e6
    counts = counts_of(wired("LA-RA", "C1-WCT"), leads)
    assert counts[:, 0].tolist() == [2**23 - 1, 2**23 - 1, -(2**23)]
    assert counts[0, 1] == 2**23 - 1
    offset = wired("LA-RA", encoding="offset", full_scale=0x800000)
    assert counts_of(offset, leads)[:, 0].tolist() == [0x800000, 0x800000, 0]


def test_potentials_put_wilsons_terminal_at_zero() -> None:
    rng = np.random.default_rng(2)
    electrodes = {name: rng.normal(0, 1, 50) for name in ELECTRODES}
    leads = leads_of_electrodes(electrodes)
    potentials = dict(zip(ELECTRODES, electrode_potentials(leads), strict=True))
    np.testing.assert_allclose(potentials["WCT"], 0, atol=1e-6)
    np.testing.assert_allclose(leads_of_electrodes(potentials), leads, atol=1e-6)


def test_a_recording_with_any_two_limb_leads_has_potentials() -> None:
    whole = leads_of_electrodes({name: np.arange(3.0) * i for i, name in enumerate(ELECTRODES)})
    two = np.full_like(whole, np.nan)
    two[[2, 3]] = whole[[2, 3]]
    configuration = wired("LA-RA", "LL-RA")
    np.testing.assert_array_equal(counts_of(configuration, two), counts_of(configuration, whole))


@pytest.mark.parametrize(
    "broken", [{"full_scale": 0}, {"reference_mv": 0.0}, {"reference_mv": float("nan")}]
)
def test_counts_worth_nothing_give_no_lead_and_no_exception(broken: dict[str, float]) -> None:
    configuration = wired("LA-RA", **broken)
    assert lead_map(configuration).missing == LEADS
    assert np.isnan(lead_map(configuration).derive(np.ones((2, 1), np.int32))).all()
    assert lead_map(wired("LA-RA", gain=0)).missing == LEADS
