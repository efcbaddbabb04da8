"""ROC curves for plots against scipy-free first principles: the area under them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgedge.evaluation.curves import roc_points
from ecgedge.evaluation.metrics import roc_auc


@given(st.integers(0, 2**32 - 1), st.integers(2, 45))
def test_an_unthinned_curve_encloses_the_auc(seed, n):
    rng = np.random.default_rng(seed)
    labels = np.append(rng.random(n - 2) < 0.4, [True, False])
    scores = rng.integers(0, 8, n).astype(float)  # ties
    curve = roc_points(labels, scores, most=10_000)
    area = np.trapezoid(curve["tpr"], curve["fpr"])
    assert area == pytest.approx(roc_auc(labels, scores), abs=1e-3)


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_almost_its_area():
    rng = np.random.default_rng(0)
    labels = rng.random(5000) < 0.2
    scores = rng.normal(labels * 1.5, 1)
    curve = roc_points(labels, scores)
    assert len(curve["fpr"]) == len(curve["tpr"]) <= 50
    assert (curve["fpr"][0], curve["tpr"][0]) == (0, 0)
    assert (curve["fpr"][-1], curve["tpr"][-1]) == (1, 1)
    assert np.all(np.diff(curve["fpr"]) >= 0)
    assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(
        roc_auc(labels, scores), abs=0.005
    )
