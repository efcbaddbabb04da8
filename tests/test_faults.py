"""Each injected fault changes what it names and nothing else."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.errors import UsageError
from ecgedge.recording import LEADS, Recording
from ecgedge.signal import faults
from ecgedge.signal.corrupt import drop_leads, emg_noise
from ecgedge.signal.synthetic import synthesize

CLEAN = synthesize()
FAULTS: dict[str, Callable[[Recording, str], Recording]] = {
    "flatten": lambda it, lead: faults.flatten(it, lead, 0.5),
    "saturate": lambda it, lead: faults.saturate(it, lead, 0.3),
    "gap": lambda it, lead: faults.gap(it, lead, 0.2, seed=3),
    "loosen": lambda it, lead: faults.loosen(it, lead, seed=3),
    "scale": lambda it, lead: faults.scale(it, lead, -1.0),
    "only": lambda it, lead: faults.only(it, emg_noise(it, 5), [lead]),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("lead", ["II", "V4"])
def test_a_fault_strikes_its_lead_alone_and_the_same_call_gives_the_same_samples(
    name: str, lead: str
) -> None:
    before = CLEAN.signal.copy()
    worse, again = (FAULTS[name](CLEAN, lead) for _ in range(2))
    np.testing.assert_array_equal(CLEAN.signal, before)
    np.testing.assert_array_equal(worse.signal, again.signal)
    changed = [
        LEADS[row]
        for row in range(12)
        if not np.array_equal(worse.signal[row], before[row], equal_nan=True)
    ]
    assert changed == [lead]


@given(share=st.floats(0.01, 0.99), lead=st.sampled_from(LEADS))
def test_shares_are_what_they_say(share: float, lead: str) -> None:
    row = LEADS.index(lead)
    missing = np.isnan(faults.gap(CLEAN, lead, share).signal[row]).mean()
    assert missing == pytest.approx(share, abs=1e-3)
    railed = faults.saturate(CLEAN, lead, share).signal[row]
    assert (railed == railed.max()).mean() >= share - 1e-3
    still = faults.flatten(CLEAN, lead, share).signal[row]
    assert (np.diff(still) == 0).mean() >= share - 2e-3


@pytest.mark.parametrize("name", FAULTS)
def test_what_was_not_recorded_stays_unrecorded(name: str) -> None:
    gone = drop_leads(CLEAN, ["V4"])
    assert np.isnan(FAULTS[name](gone, "V4").signal[LEADS.index("V4")]).all()


def test_a_copied_lead_is_the_other_one() -> None:
    copied = faults.copy(CLEAN, "V5", "V4").signal
    np.testing.assert_array_equal(copied[10], CLEAN.signal[9])


def test_a_pulse_stands_a_millivolt_over_a_dead_line_or_over_the_heart() -> None:
    alone = faults.calibrate(CLEAN, 4.0).signal
    assert (alone[:, 2000:2100] == 1).all()
    assert (alone[:, 1950:2000] == 0).all()
    assert (alone[:, 2100:2150] == 0).all()
    np.testing.assert_array_equal(alone[:, :1950], CLEAN.signal[:, :1950])
    above = faults.calibrate(CLEAN, 4.0, dead_s=None).signal - CLEAN.signal
    np.testing.assert_allclose(above[:, 2000:2100], 1, atol=1e-5)
    assert (above[:, :2000] == 0).all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: faults.flatten(CLEAN, "V7"),
        lambda: faults.only(CLEAN, CLEAN, ["v1"]),
        lambda: faults.swap_right_leg(CLEAN, "LA/RA"),
    ],
)
def test_an_unknown_lead_or_electrode_is_refused(call: Callable[[], Recording]) -> None:
    with pytest.raises(UsageError):
        call()
