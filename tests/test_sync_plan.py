"""What to fetch for a release: pure, over every mixture of what is here already."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.errors import TrustError, UsageError
from ecgedge.sync.layout import blob_target
from ecgedge.sync.plan import RESERVE_BYTES, check_room, make_plan, signed_files
from ecgedge.sync.trusted import Target

names = st.text("0123456789abcdef", min_size=64, max_size=64)
lengths = st.integers(0, 1 << 40)
files = st.dictionaries(names, lengths, max_size=12).map(
    lambda found: {name: Target(blob_target(name), size, name) for name, size in found.items()}
)


@st.composite
def situations(draw):
    """(files, whole, nearby, begun): any part of the files may be in any of them."""
    known = draw(files)
    some = st.sets(st.sampled_from(sorted(known))) if known else st.just(set())
    begun = {name: draw(st.integers(1, known[name].length + 1)) for name in draw(some)}
    return known, draw(some), draw(some), begun


@given(situations())
def test_each_file_is_here_or_copied_or_fetched_and_only_one_of_them(situation):
    known, whole, nearby, _ = situation
    plan = make_plan(*situation)
    fetched = [one.sha256 for one in plan.fetch]
    assert sorted([*fetched, *plan.copy, *(name for name in known if name in whole)]) == sorted(
        known
    )
    assert set(plan.copy) <= nearby
    assert not set(fetched) & nearby


@given(situations())
def test_the_room_covers_what_will_be_written_and_what_must_stay_free(situation):
    known, whole, *_ = situation
    plan = make_plan(*situation)
    missing = sum(one.length for name, one in known.items() if name not in whole)
    assert plan.fetch_bytes == sum(one.length for one in plan.fetch)
    assert 0 <= plan.begun_bytes <= plan.fetch_bytes
    assert plan.write_bytes == missing - plan.begun_bytes
    if plan.write_bytes:
        assert plan.room_bytes >= plan.write_bytes + RESERVE_BYTES
    else:
        assert plan.room_bytes == 0


@given(situations())
def test_what_was_begun_is_ended_first_and_then_small_files_come_before_large_ones(situation):
    *_, begun = situation
    order = [(one.sha256 not in begun, one.length) for one in make_plan(*situation).fetch]
    assert order == sorted(order)


@given(situations(), st.integers(0, 1 << 42))
def test_a_disk_is_refused_exactly_where_the_room_is_missing(situation, free):
    plan = make_plan(*situation)
    if free >= plan.room_bytes:
        check_room(plan, free, "/store")
    else:
        with pytest.raises(UsageError, match="and run it again"):
            check_room(plan, free, "/store")


def test_the_refusal_says_how_much_to_free():
    name = "a" * 64
    plan = make_plan({name: Target(blob_target(name), 14_000_000, name)}, (), (), {})
    with pytest.raises(UsageError, match=r"needs 32 MB, 12 MB are free on /s: free 20 MB and run"):
        check_room(plan, 12_000_000, "/s")


@given(files)
def test_every_file_of_the_manifest_is_found_among_the_targets(known):
    manifest = SimpleNamespace(id="r", blobs=lambda: [*known, *known])
    targets = {one.path: one for one in known.values()}
    assert signed_files(manifest, targets) == known


@given(files.filter(bool), st.data())
def test_a_file_that_was_not_signed_or_under_another_hash_is_refused(known, data):
    manifest = SimpleNamespace(id="r", blobs=lambda: list(known))
    targets = {one.path: one for one in known.values()}
    odd = data.draw(st.sampled_from(sorted(targets)))
    with pytest.raises(TrustError, match="did not sign"):
        signed_files(manifest, {path: one for path, one in targets.items() if path != odd})
    first, *rest = targets[odd].sha256
    other = replace(targets[odd], sha256="".join(["0" if first == "f" else "f", *rest]))
    with pytest.raises(TrustError, match="did not sign"):
        signed_files(manifest, targets | {odd: other})
