"""The timeline's own arithmetic; what windows hold is test_streaming_windows.py's."""

from hypothesis import given
from hypothesis import strategies as st

from ecgedge.streaming.timeline import Changes


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), max_size=12),
    st.integers(0, 40),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_spans_are_what_asking_sample_by_sample_would_give(changes, before, first, end):
    changes = sorted(changes, key=lambda change: change[0])
    held = Changes()
    for number, value in changes:
        held.set(number, value)
    held.forget(before)
    first = max(first, before)
    by_sample = {
        number: [value for since, value in changes if since <= number][-1:]
        for number in range(first, end)
    }
    spans = list(held.spans(first, end))
    told = {number: [value] for begin, until, value in spans for number in range(begin, until)}
    assert told == {number: value for number, value in by_sample.items() if value}
    assert all(begin < until for begin, until, _ in spans)


def test_a_value_that_stays_is_one_change_however_often_it_is_set():
    held = Changes()
    for number in range(1000):
        held.set(number, held)
    assert list(held.spans(0, 1000)) == [(0, 1000, held)]
    assert len(held._changes) == 1
