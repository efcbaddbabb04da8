"""Calibration: what it picks is what a plain recomputation would pick."""

import numpy as np
import pytest

from ecgedge.casebase.search import CaseBase
from ecgedge.casebase.segment import CaseRecord, Segment
from ecgedge.casebase.writing import write_segment
from ecgedge.central import calibrate
from ecgedge.central.calibrate import Queries, tune, untuned
from ecgedge.central.probes import difference
from ecgedge.corpora.ptbxl import StatementTable
from ecgedge.errors import InputError

TABLE = StatementTable(
    {"NORM": "NORM", "IMI": "MI"}, {"NORM": "NORM", "IMI": "IMI"}, frozenset(), frozenset()
)


def make_base(tmp_path, count: int, seed: int = 0):
    """Two noisy clusters, one a code; every third case is of the same patient as the last."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(2, 16))
    kinds = rng.integers(2, size=count)
    rows = (centres[kinds] + 1.5 * rng.normal(size=(count, 16))).astype(np.float32)
    groups = [f"g{i - (i % 3 == 2)}" for i in range(count)]
    codes = [("NORM", "IMI")[kind] for kind in kinds]
    cases = [
        CaseRecord(f"c/{i}", {codes[i]: 100.0}, None, None, None, "c", groups[i])
        for i in range(count)
    ]
    ref = write_segment(tmp_path, rows, cases, encoder_id="e")
    return CaseBase([Segment.open(tmp_path, ref, "e")]), rows, groups, codes


def plain_auc(labels, scores) -> float:
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[labels] for n in scores[~labels]]
    return float(np.mean(pairs))


def plain_settings(base, rows, groups, codes, asked):
    """(neighbours, temperature) -> mean AUC over super and sub, which are the same two here."""
    is_norm = np.array([code == "NORM" for code in codes[asked]])
    plain = {}
    for k in (k for k in calibrate.NEIGHBOURS if k <= len(base)):
        for temperature in calibrate.TEMPERATURES:
            norm = []
            for query, group in zip(rows[asked], groups[asked], strict=True):
                hits = base.search(query, k, exclude_groups=frozenset({group}))
                votes = np.exp(np.array([hit.similarity for hit in hits]) / temperature)
                held = np.array(["NORM" in hit.case.statements for hit in hits])
                norm.append(votes[held].sum() / votes.sum())
            plain[k, temperature] = plain_auc(is_norm, np.array(norm))
    return plain


def test_the_chosen_setting_is_on_the_plateau_of_the_best_auc(tmp_path):
    base, rows, groups, codes = make_base(tmp_path, 160)
    asked = slice(0, 40)
    queries = Queries(rows[asked], groups[asked], [frozenset({code}) for code in codes[asked]])
    tuned = tune(base, queries, TABLE)
    plain = plain_settings(base, rows, groups, codes, asked)
    calibration = tuned.calibration
    chosen = plain[calibration.neighbours, calibration.temperature]
    assert chosen == pytest.approx(tuned.auc, abs=0.003)
    assert chosen >= max(plain.values()) - calibrate.PLATEAU - 0.003


def test_statements_get_curves_from_enough_patients_on_and_not_before(tmp_path):
    base, rows, groups, codes = make_base(tmp_path, 160)

    def curves_of(count):
        queries = Queries(rows[:count], groups[:count], [frozenset({c}) for c in codes[:count]])
        return tune(base, queries, TABLE).calibration

    many, few = curves_of(60), curves_of(9)
    assert set(many.statements.statements) == {"NORM", "IMI"}
    assert set(many.superclasses.statements) == {"NORM", "MI"}
    assert few.statements is None
    assert few.superclasses is None
    shares = {code: codes.count(code) / len(codes) for code in ("NORM", "IMI")}
    stored = {code: pair[0] for code, pair in many.statements.statements.items()}
    assert stored == pytest.approx(shares, abs=1e-6)


def test_novelty_is_scaled_without_the_patients_own_cases(tmp_path):
    base, rows, groups, _ = make_base(tmp_path, 90)
    calibration = untuned(base, rows, groups).calibration
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = unit @ unit.T
    cosines[np.array(groups)[:, None] == np.array(groups)] = -1
    expected = np.quantile(cosines.max(axis=1), np.linspace(0, 1, 101))
    np.testing.assert_allclose(calibration.nearest_quantiles, expected, atol=0.01)
    assert max(calibration.nearest_quantiles) < 0.999


def test_queries_of_one_class_only_leave_the_defaults_and_no_auc(tmp_path):
    base, rows, groups, _ = make_base(tmp_path, 60)
    queries = Queries(rows[:5], groups[:5], [frozenset({"NORM"})] * 5)
    tuned = tune(base, queries, TABLE)
    calibration = tuned.calibration
    assert tuned.auc is None
    assert (calibration.neighbours, calibration.temperature) == (30, 0.05)


def test_a_small_base_never_asks_for_more_neighbours_than_it_has(tmp_path):
    base, rows, groups, codes = make_base(tmp_path, 8)
    queries = Queries(rows, groups, [frozenset({code}) for code in codes])
    assert tune(base, queries, TABLE).calibration.neighbours <= 8
    assert untuned(base, rows, groups).calibration.neighbours <= 8


def test_queries_without_a_foreign_neighbour_are_refused(tmp_path):
    base, rows, _, _ = make_base(tmp_path, 2)
    with pytest.raises(InputError, match="at least two patients"):
        untuned(base, rows[:1], ["g0"]) if len(base) == 1 else untuned(
            CaseBase([]), rows, ["g0", "g1"]
        )


EXPECTED = [("a", 0.95), ("b", 0.90), ("c", 0.80), ("d", 0.70), ("e", 0.60)]


@pytest.mark.parametrize(
    ("found", "same"),
    [
        (EXPECTED, True),
        ([(one, cosine + 0.015) for one, cosine in EXPECTED], True),
        ([(one, cosine + 0.03) for one, cosine in EXPECTED], False),
        ([("a", 0.95), ("x", 0.90), *EXPECTED[2:]], True),  # one of five may differ
        ([("a", 0.95), ("x", 0.90), ("y", 0.80), *EXPECTED[3:]], False),
        ([*EXPECTED[:3], ("x", 0.70), ("y", 0.60)], True),  # e is tied with what displaced it
        (EXPECTED[:4], False),
        ([], False),
    ],
)
def test_a_probe_tolerates_another_processors_rounding_and_no_more(found, same):
    assert (difference(EXPECTED, found) == "") is same
