"""Calibration, losses and accuracy of predicted effects, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from causalformula.diagnostics.effect_accuracy import effect_accuracy
from causalformula.diagnostics.effect_calibration import calibration_test, effect_groups
from causalformula.diagnostics.effect_losses import dr_loss, r_loss
from causalformula.errors import DataError, OptionError


@pytest.fixture(scope="module")
def study():
    """Outcome, treatment, their means, the effect and scores."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(300, 2))
    e = 1 / (1 + np.exp(-x[:, 0]))
    a = (rng.random(300) < e).astype(float)
    tau = 1 + x[:, 1]
    m = x[:, 0] + e * tau
    y = m + (a - e) * tau + rng.normal(size=300)
    return y, a, m, e, tau, tau + (a - e) / (e * (1 - e)) * (y - m - (a - e) * tau)


# ---- groups ----------------------------------------------------------------------------------------------------------


def test_groups_by_hand():
    effect, scores = np.array([3.0, 1, 2, 4]), np.array([6.0, 0, 2, 8])
    found = effect_groups(effect, scores, 2)
    np.testing.assert_array_equal(found.group, [1, 0, 0, 1])
    np.testing.assert_array_equal(found.rows, [2, 2])
    np.testing.assert_allclose(found.predicted, [1.5, 3.5])
    np.testing.assert_allclose(found.estimated.estimate, [1, 7])
    np.testing.assert_allclose(found.estimated.std_error, [1, 1])  # sd / sqrt(n)
    assert found.spread.estimate == pytest.approx([6])
    assert found.spread.std_error == pytest.approx([np.sqrt(2)])
    assert found.error == pytest.approx(((0.5**2 - 1) + (3.5**2 - 1)) / 2)
    low, high = found.estimated.limits(0.95)
    np.testing.assert_allclose((high - low) / 2, 4.302652729911275)  # qt(0.975, 2)


def test_rows_of_equal_prediction_stay_together():
    found = effect_groups(np.array([1.0, 1, 1, 1, 2]), np.arange(5.0), 5)
    np.testing.assert_array_equal(found.group, [0, 0, 0, 0, 1])
    alone = effect_groups(np.ones(6), np.arange(6.0), 3)
    assert len(alone.predicted) == 1
    assert alone.spread.estimate == alone.spread.std_error == 0


def test_groups_are_of_like_weight():
    weights = np.array([3.0, 1, 1, 1, 0])
    found = effect_groups(np.arange(5.0), np.arange(5.0), 2, weights=weights)
    np.testing.assert_array_equal(found.group, [0, 1, 1, 1, -1])
    np.testing.assert_allclose(found.predicted, [0, 2])
    np.testing.assert_allclose(found.share, [0.5, 0.5])


def test_the_calibration_error_is_unbiased():
    rng = np.random.default_rng(8)
    effect = rng.normal(size=200)
    right, wrong = np.empty(400), np.empty(400)
    for k in range(400):
        scores = effect + 3 * rng.normal(size=200)
        right[k], wrong[k] = effect_groups(effect, scores).error, effect_groups(effect, scores + 0.5).error
    for found, true in ((right, 0.0), (wrong, 0.25)):
        assert abs(found.mean() - true) < 3 * found.std() / 20
    assert np.isnan(effect_groups(np.arange(3.0), np.arange(3.0), 3).error)  # a single row has no error to tell


def test_singleton_clusters_are_rows(study):
    *_, tau, scores = study
    rows, clusters = effect_groups(tau, scores), effect_groups(tau, scores, clusters=np.arange(300))
    np.testing.assert_allclose(rows.estimated.matrix, clusters.estimated.matrix, atol=1e-14)
    doubled = effect_groups(np.repeat(tau, 2), np.repeat(scores, 2), clusters=np.repeat(np.arange(300), 2))
    np.testing.assert_allclose(doubled.estimated.std_error, rows.estimated.std_error)


# ---- grf's regression ------------------------------------------------------------------------------------------------


def test_true_effects_are_calibrated(study):
    y, a, m, e, tau, _ = study
    found = calibration_test(y, a, m, e, tau).found
    assert (np.abs(found.estimate - 1) < 3 * found.std_error).all()


def test_the_calibration_test_by_least_squares(study):
    y, a, m, e, tau, _ = study
    w = np.arange(300) % 3.0
    mean = w @ tau / w.sum()
    X = np.column_stack([mean * (a - e), (tau - mean) * (a - e)])
    b = np.linalg.solve((X * w[:, None]).T @ X, X.T @ (w * (y - m)))
    np.testing.assert_allclose(calibration_test(y, a, m, e, tau, weights=w).found.estimate, b)


def test_constant_predictions_have_no_differences(study):
    y, a, m, e, _, _ = study
    found = calibration_test(y, a, m, e, np.full(300, 0.1) + 1e-16)
    assert np.isfinite(found.p_value[0])
    assert np.isnan(found.found.estimate[1]) and np.isnan(found.p_value[1])
    np.testing.assert_array_equal(found.found.df[0], 299)


# ---- losses ----------------------------------------------------------------------------------------------------------


def test_losses_by_hand():
    y, a, m, e = np.array([3.0, 1, 2, 0]), np.array([1.0, 0, 1, 0]), np.ones(4), np.full(4, 0.5)
    tau, w = np.array([2.0, 0, 1, 4]), np.array([1.0, 1, 2, 0])
    found = r_loss(y, a, m, e, tau, weights=w)
    each, flat = np.array([1.0, 0, 0.25, 1]), np.array([2, 0, 1, -1.0])
    best = (1 + 2 * 0.5) / 1
    assert found.effect == best
    assert found.loss.estimate == pytest.approx([w @ each / 4])
    constant = (flat - np.array([0.5, -0.5, 0.5, -0.5]) * best) ** 2
    assert found.constant.estimate == pytest.approx([w @ constant / 4])
    assert found.gain.estimate == pytest.approx([w @ (constant - each) / 4])
    plain = dr_loss(y, tau)
    assert plain.effect == 1.5
    assert plain.loss.estimate == pytest.approx([np.mean((y - tau) ** 2)])
    assert plain.gain.std_error == pytest.approx([np.std((y - 1.5) ** 2 - (y - tau) ** 2, ddof=1) / 2])


def test_true_effects_gain_over_a_constant(study):
    y, a, m, e, tau, scores = study
    for found in (r_loss(y, a, m, e, tau), dr_loss(scores, tau)):
        assert found.gain.estimate[0] > 3 * found.gain.std_error[0]
        assert found.effect == pytest.approx(1, abs=0.4)


def test_the_best_constant_gains_nothing(study):
    y, a, m, e, _, scores = study
    best = r_loss(y, a, m, e, np.zeros(300)).effect
    assert r_loss(y, a, m, e, np.full(300, best)).gain.estimate == pytest.approx([0], abs=1e-12)
    assert dr_loss(scores, np.full(300, scores.mean())).gain.estimate == pytest.approx([0], abs=1e-12)


# ---- known effects ---------------------------------------------------------------------------------------------------


def test_accuracy_by_hand():
    found = effect_accuracy(np.array([1.0, 2, 4, 9]), np.array([0.0, 2, 6, 0]), weights=np.array([1.0, 2, 1, 0]))
    assert found.pehe == pytest.approx(np.sqrt((1 + 0 + 4) / 4))
    assert found.mae == pytest.approx((1 + 2) / 4)
    assert found.bias == pytest.approx((1 - 2) / 4)
    rows = np.array([[1.0, 2, 2, 4], [0, 2, 2, 6]])
    assert found.correlation == pytest.approx(np.corrcoef(rows)[0, 1])
    assert not found.undefined


def test_one_number_for_all_has_no_correlation():
    found = effect_accuracy(np.full(3, 0.1 + 0.2), np.arange(3.0))
    assert np.isnan(found.correlation)
    assert found.undefined == "no correlation: the predicted effects are the same for every row"
    assert "predicted effects and the true effects are" in effect_accuracy(np.ones(3), np.ones(3)).undefined


def test_what_cannot_be_judged(study):
    y, a, m, _, tau, scores = study
    with pytest.raises(DataError, match=r"the true effects must hold one number for each of the 300 rows; .*\(299,\)"):
        effect_accuracy(tau, tau[1:])
    with pytest.raises(DataError, match="its own prediction"):
        r_loss(y, a, m, a, tau)
    with pytest.raises(OptionError, match="groups must be 1"):
        effect_groups(tau, scores, 0)
    with pytest.raises(DataError, match="the scores is missing or infinite in 1 of 300"):
        dr_loss(np.where(np.arange(300) == 4, np.nan, scores), tau)
