"""The simulated fleet: what must hold at any size, and a small one beside real syncs."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))

import scale_check
from scale_model import Carts, Region, herd, history, hours_to, into_one, never, simulate, tiered
from scale_page import tables
from scale_sizes import Line, Sizes, measure
from scale_sync import sweep

SIZES = Sizes(
    segment=Line(40_000, 700), large_each=128, records=Line(40_000, 400), manifest=Line(6000, 200),
    targets=Line(600, 180), snapshot=500, timestamp=500, models=9_000_000, model_files=7,
)  # fmt: skip
ALWAYS = Carts(20, check_hours=1, on_hours=24, offline_share=0, slow_share=0, fast_bits_s=1e12)
POLICIES = st.sampled_from([never, tiered(4), tiered(8), into_one])


@given(POLICIES, st.integers(1, 10), st.floats(0.5, 500))
def test_every_case_is_in_every_later_release_once(policy, every, added):
    region = Region(5000, added, every, policy)
    for number, release in enumerate(history(region, 40)):
        expected = 5000 + added * every * number
        assert expected - 1 <= sum(cases for _, cases in release.segments) <= expected
        assert len({name for name, _ in release.segments}) == len(release.segments)


def test_a_cart_that_is_always_there_fetches_each_new_segment_once():
    region = Region(5000, 10, 5, never)
    outcome = simulate(region, ALWAYS, SIZES, days=30, seed=1)
    assert outcome.blobs == 5 * (40_000 + 700 * 50) + 40_000 + 700 * 50
    assert np.all(outcome.switched <= 2.5)
    assert outcome.timestamps == pytest.approx(30 * 24 * 500, rel=0.1)


def test_merging_costs_bytes_and_saves_segments():
    outcomes = [
        simulate(Region(5000, 10, 1, policy), ALWAYS, SIZES, days=60, seed=1)
        for policy in (never, tiered(4), into_one)
    ]
    assert outcomes[0].blobs < outcomes[1].blobs < outcomes[2].blobs
    assert outcomes[0].listings > outcomes[1].listings > outcomes[2].listings


def test_links_that_are_down_delay_releases_and_do_not_lose_them():
    region = Region(5000, 10, 5, never)
    down = Carts(200, check_hours=4, offline_share=0.33)
    up = Carts(200, check_hours=4, offline_share=0)
    slow, fast = (simulate(region, one, SIZES, days=120, seed=3) for one in (down, up))
    releases = history(region, 120)
    times = [hours_to(one, 0.9, 40 * 24, releases) for one in (slow, fast)]
    assert times[0] > 4 * times[1]
    assert np.isfinite(slow.switched[:5]).mean() > 0.95


def test_the_same_seed_gives_the_same_fleet_and_another_seed_another():
    region, carts = Region(5000, 10, 5, tiered(4)), Carts(50, check_hours=4)
    totals = [simulate(region, carts, SIZES, days=20, seed=seed).total for seed in (1, 1, 2)]
    assert totals[0] == totals[1] != totals[2]


def test_a_random_delay_thins_the_herd():
    peaks = [herd(10_000, window, 2, 30, 1) for window in (0, 600, 7200)]
    assert peaks[0] > 5 * peaks[1] > 5 * peaks[2] > 0
    assert herd(1, 0, 2, 0, 1) <= 2


def test_files_written_and_signed_lie_on_the_measured_lines():
    sizes = measure()
    assert sizes.segment.error < 0.1
    assert sizes.targets.error < 0.01
    assert 400 < sizes.segment.each < 1500
    assert sizes.segment_bytes(100_000) - sizes.segment_bytes(99_999) > 1e6


def test_a_small_simulated_fleet_fetches_what_real_syncs_fetch():
    region = Region(cases=300, added_a_day=20, publish_days=2, policy=tiered(4))
    carts = Carts(number=3, check_hours=24, fast_bits_s=1e9, slow_share=0)
    told = scale_check.compare(measure(), region, carts, days=8)
    assert told["installed"] >= 3
    assert abs(told["deviation"]["all"]) < 0.1
    assert abs(told["deviation"]["listings"]) < 0.05


def test_the_whole_sweep_fills_every_table():
    results = sweep(carts=20, days=40, check=False)
    assert len(results["merging"]) == 12
    assert "After a power failure" in tables(results)
