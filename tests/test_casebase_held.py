"""The table of codes that votes are taken from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.casebase.held import HeldCodes
from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import CaseRecord, Segment
from ecgedge.casebase.writing import write_segment
from ecgedge.errors import DamagedError

codes = st.lists(st.sampled_from(["NORM", "SR", "AFIB", "1AVB", "LAO/LAE"]), unique=True)


@given(st.lists(codes, min_size=1, max_size=20))
def test_every_case_gets_its_own_codes_back_in_their_order(cases):
    held = HeldCodes.from_row(*HeldCodes.of(cases).to_row())
    assert [list(held.of_key(key)) for key in range(len(cases))] == cases


@given(st.lists(codes, min_size=1, max_size=20), st.data())
def test_a_tally_is_the_sum_of_the_weights_of_those_that_carry_a_code(cases, data):
    keys = data.draw(st.lists(st.integers(0, len(cases) - 1), max_size=12))
    weights = np.linspace(0.5, 1.5, len(keys), dtype=np.float32)
    expected: dict[str, float] = {}
    for key, weight in zip(keys, weights.tolist(), strict=True):
        for code in cases[key]:
            expected[code] = expected.get(code, 0.0) + weight
    tally = HeldCodes.of(cases).tally(np.array(keys, dtype=np.int64), weights)
    assert dict(tally) == pytest.approx(expected)


@pytest.mark.parametrize(
    "row",
    [
        ("not json", b"", b""),
        ('["SR"]', b"\0", b"\1\0\0\0"),  # half an index
        ('["SR"]', b"\0\0", b"\2\0\0\0"),  # two promised, one there
        ('["SR"]', b"\1\0", b"\1\0\0\0"),  # a code without a name
    ],
)
def test_a_table_that_does_not_fit_together_is_refused(row):
    with pytest.raises(DamagedError):
        HeldCodes.from_row(*row)


def test_the_codes_of_a_hit_are_its_records_statements(tmp_path):
    rng = np.random.default_rng(0)
    records = [
        CaseRecord(f"t/{n}", {"SR": 0.0, "NORM": 80.0} if n % 3 else {}, None, 1, "F", "", "g")
        for n in range(30)
    ]
    embeddings = rng.standard_normal((30, 8)).astype(np.float32)
    ref = write_segment(tmp_path, embeddings, records, encoder_id="e")
    base = CaseBase([Segment.open(tmp_path, ref, "e")])
    hits = base.search(embeddings[4], 30)
    assert len(hits) == 30
    assert all(hit.codes == tuple(hit.case.statements) for hit in hits)
