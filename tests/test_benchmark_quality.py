"""The quality benchmark counts as its page says, and the page shows what was recorded."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.recording import LEADS
from ecgedge.signal import calibration_pulse, reversal
from ecgedge.signal.quality import COPY_CORRELATION, EINTHOVEN_POOR, LIMITS, assess
from ecgedge.signal.synthetic import Heart, synthesize

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

import quality as bench  # noqa: E402
import quality_page  # noqa: E402
from page import between  # noqa: E402
from quality_faults import EXCHANGES, FAULTS  # noqa: E402

HEARTS = {f"heart {rate}": synthesize(Heart(rate_bpm=rate)) for rate in (50, 66, 90)}
RESULTS = ROOT / "benchmarks" / "results" / "quality.json"


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe, Statistics in Medicine 1998, table I: method 3 for 81 of 263 and 0 of 20.
    some, none = bench.proportion(81, 263), bench.proportion(0, 20)
    assert (some["lo"], some["hi"]) == pytest.approx((0.2553, 0.3662), abs=2e-4)
    assert (none["lo"], none["hi"]) == pytest.approx((0, 0.1611), abs=2e-4)


@given(n=st.integers(1, 3000), share=st.floats(0, 1))
def test_a_proportion_lies_in_its_interval(n: int, share: float) -> None:
    one = bench.proportion(round(share * n), n)
    assert 0 <= one["lo"] <= one["value"] + 1e-4
    assert one["value"] <= one["hi"] + 1e-4 <= 1 + 1e-4


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: f"{one.reason} {one.strength}")
def test_every_fault_meant_to_be_told_is_told_on_clean_hearts_and_no_other(
    fault: bench.Fault,
) -> None:
    told = bench.one_fault(HEARTS, fault)
    if not fault.caught:
        assert told["refused"]["hits"] == 0
        assert told["recall"]["hits"] == 0 or fault.strength == "SNR 15 dB"  # near its limit
        return
    assert told["marked"]["hits"] == len(HEARTS)
    if fault.strength not in ("SNR 0 dB", "SNR 5 dB"):  # muscle noise that hides the beats is noise
        assert told["recall"]["hits"] == len(HEARTS)
        assert told["precision"]["value"] == 1


def test_faults_strike_the_same_leads_each_time_and_not_always_one() -> None:
    many = {str(number): HEARTS["heart 66"] for number in range(40)}
    struck = [[lead for _, lead, _ in bench.faulted(many, FAULTS[0])] for _ in range(2)]
    assert struck[0] == struck[1]
    assert set(struck[0]) <= set(LEADS)
    assert len(set(struck[0])) > 6


def test_clean_hearts_are_counted_as_clean() -> None:
    judged = {name: assess(one) for name, one in HEARTS.items()}
    told = bench.clean(HEARTS, judged)
    assert told["recordings"] == len(HEARTS)
    assert told["warned"]["hits"] == told["contradictions"]["hits"] == told["pulses"]["hits"] == 0
    assert told["leads"] == {}


def test_exchanges_are_told_by_name_but_for_those_that_cannot_be() -> None:
    told = {one["exchange"]: one for one in bench.exchanges(HEARTS)}
    assert set(told) == set(EXCHANGES)
    for name in ("LA/RA", "RA/LL", "RA/RL", "LA/RL", "LA/LL+RA/RL", "V1/V6", "V1-V6"):
        assert told[name]["named"]["hits"] == len(HEARTS)
    assert told["LA/LL"]["warned"]["hits"] == 0
    assert told["RA/LL/LA"]["warned"]["hits"] == len(HEARTS)


def test_pulses_are_found_where_they_were_put() -> None:
    for row in bench.pulses({"one": HEARTS["heart 66"]}):
        assert row["recall"]["n"] == 1


def test_a_folder_of_something_else_is_refused_in_a_sentence(tmp_path: Path) -> None:
    program = str(ROOT / "benchmarks" / "quality.py")
    done = subprocess.run(
        [sys.executable, program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "neither in PTB-XL's layout nor holds LUDB" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_shows_what_was_recorded() -> None:
    page = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert between(page)[1].strip() == quality_page.render(recorded).strip()


def test_the_page_lists_every_limit_as_the_code_has_it() -> None:
    page = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    rows = {
        cells[0].partition(":")[0].strip(): [cell.strip() for cell in cells[1:3]]
        for line in page.splitlines()
        if line.startswith("| ")
        for cells in [line.strip("| ").split("|")]
        if len(cells) == 4
    }
    for limit in LIMITS:
        poor, refuse = rows[limit.measure]
        assert float(poor) == limit.poor
        assert (float(refuse) if refuse != "never" else math.inf) == limit.refuse
    assert float(rows["Einthoven and Goldberger"][0]) == EINTHOVEN_POOR
    assert float(rows["copy"][0]) == COPY_CORRELATION
    assert rows["limb exchange"][0] == f"{reversal.LIMB_FIT} (warning)"
    assert rows["chest exchange"][0] == f"{reversal.CHEST_FIT} (warning)"
    assert rows["flat limb lead"][0] == f"under {reversal.FLAT_SHARE:.2f} (warning)"
    pulse = calibration_pulse
    wanted = f"{pulse.PULSE_MV:g} +- {pulse.TOLERANCE_MV}; {pulse.ALIKE_MV}"
    assert rows["pulse"] == [wanted, "cut"]


def test_hum_drift_and_a_lead_off_stay_under_the_bar_as_evaluated() -> None:
    told = json.loads(RESULTS.read_text(encoding="utf-8"))["robust"]
    assert told == bench.robust(ROOT / "benchmarks" / "results" / "fold9.json")
    assert all(abs(one["value"]) < 0.02 for one in told.values())
