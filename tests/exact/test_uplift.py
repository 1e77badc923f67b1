"""Uplift and Qini curves of observed outcomes, by hand; what the two packages say is in tests/parity/test_uplift.py."""

from __future__ import annotations

import numpy as np
import pytest

from causalformula.diagnostics.rankings import half
from causalformula.diagnostics.targeting import TENTHS, difference
from causalformula.diagnostics.uplift import outcome_curve, outcome_curves, uplift_at
from causalformula.errors import DataError, OptionError

# by priority: treated 1, control 0, control 1, treated 0, and a tie of a treated 1 and a control 0
Y, T = np.array([1.0, 0, 1, 0, 1, 0]), np.array([1.0, 0, 0, 1, 1, 0])
PRIORITY = np.array([9.0, 8, 7, 6, 5, 5])
SIXTHS = np.array([1, 2, 3, 4, 6]) / 6


@pytest.fixture(scope="module")
def experiment():
    rng = np.random.default_rng(8)
    x = rng.normal(size=500)
    t = rng.integers(0, 2, 500).astype(float)
    return (rng.random(500) < 0.3 + 0.2 * t * (x > 0)).astype(float), t, x


def test_the_curves_by_hand():
    uplift = outcome_curve(Y, T, PRIORITY, "uplift", share=SIXTHS, reps=0)
    # heads times the difference in means so far; no control in the first row, whose mean counts as 0
    np.testing.assert_allclose(6 * uplift.value, [1, 2, 3 * 0.5, 4 * 0.0, 6 * (2 / 3 - 1 / 3)], atol=1e-14)
    qini = outcome_curve(Y, T, PRIORITY, share=SIXTHS, reps=0)
    np.testing.assert_allclose(6 * qini.value, [1, 1, 1 - 1 / 2, 1 - 2 / 2, 2 - 3 / 3], atol=1e-14)
    np.testing.assert_allclose(6 * qini.random, SIXTHS * 1)
    np.testing.assert_allclose(36 * qini.area, 0.5 + 1 + 0.75 + 0.25 + 2 * 0.5 - 3)
    half_of_tie = outcome_curve(Y, T, PRIORITY, share=[5 / 6], reps=0)
    np.testing.assert_allclose(6 * half_of_tie.value, 0.5)


def test_the_perfect_order_by_hand():
    # two treated and one control responded, one treated and two controls did not
    uplift = outcome_curve(Y, T, PRIORITY, "uplift", reps=0)
    np.testing.assert_allclose(6 * uplift.perfect, [[0, 2, 4, 5, 6], [0, 2, 4, 5 * 2 / 3, 2]])
    qini = outcome_curve(Y, T, PRIORITY, reps=0)
    np.testing.assert_allclose(6 * qini.perfect, [[0, 2, 5, 6], [0, 2, 2, 1]])
    assert qini.coefficient == pytest.approx(qini.area * 36 / (2 + 6 + 1.5 - 3))
    perfect = outcome_curve(Y, T, Y * T - Y * (1 - T), reps=0)
    assert perfect.coefficient == pytest.approx(1)


def test_outcomes_of_any_number_have_no_coefficient():
    found = outcome_curve(3 * Y + 1, T, PRIORITY, reps=0)
    assert np.isnan(found.coefficient) and np.isnan(found.coefficient_se) and found.perfect is None
    uplift = outcome_curve(3 * Y + 1, T, PRIORITY, "uplift", share=SIXTHS[1:], reps=0)
    np.testing.assert_allclose(
        uplift.value, 3 * outcome_curve(Y, T, PRIORITY, "uplift", share=SIXTHS[1:], reps=0).value
    )


@pytest.mark.parametrize("kind", ["qini", "uplift"])
def test_weights_count_rows(experiment, kind):
    y, t, x = experiment
    weights = np.arange(500) % 4
    rows = np.repeat(np.arange(500), weights)
    one = outcome_curve(y, t, x, kind, weights=weights.astype(float), reps=0)
    many = outcome_curve(y[rows], t[rows], x[rows], kind, reps=0)
    np.testing.assert_allclose(one.value, many.value, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose([one.area, one.coefficient], [many.area, many.coefficient])


def test_weights_of_any_size_leave_no_arm_behind(experiment):
    # 0.1 + 0.2 - 0.3 is not 0: an arm without rows so far must not be divided by
    y, t, x = experiment
    x = np.where(t == 1, x + 100, x)
    found = outcome_curve(y, t, x, weights=np.full(500, 0.1), reps=0)
    plain = outcome_curve(y, t, x, reps=0)
    np.testing.assert_allclose(found.value, plain.value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["qini", "uplift"])
def test_standard_errors_are_those_of_halves(experiment, kind):
    y, t, x = experiment
    x = np.round(x, 1)
    found = outcome_curve(y, t, x, kind, share=TENTHS, reps=20, seed=4)
    for child, draw in zip(np.random.SeedSequence(4).spawn(20), found.draws, strict=True):
        kept = half(np.random.default_rng(child), 500)
        alone = outcome_curve(y[kept], t[kept], x[kept], kind, share=TENTHS, reps=0)
        np.testing.assert_allclose(draw, [*alone.value, alone.area, alone.coefficient], rtol=1e-10, atol=1e-12)
    spread = found.draws.std(axis=0, ddof=1)
    np.testing.assert_allclose([*found.std_error, found.area_se, found.coefficient_se], spread)


def test_both_curves_by_one_sort_are_those_of_each(experiment):
    together = outcome_curves(*experiment, share=TENTHS, reps=10)
    assert list(together) == ["uplift", "qini"]
    for kind, curve in together.items():
        alone = outcome_curve(*experiment, kind, share=TENTHS, reps=10)
        assert (curve.area, curve.coefficient) == (alone.area, alone.coefficient)
        for name in ("value", "random", "draws", "perfect"):
            np.testing.assert_array_equal(getattr(curve, name), getattr(alone, name))


def test_two_priorities_differ_on_the_same_halves(experiment):
    y, t, x = experiment
    both = difference(outcome_curve(y, t, x, reps=30), outcome_curve(y, t, -x, reps=30))
    one, two = (outcome_curve(y, t, p, reps=30) for p in (x, -x))
    assert both.coefficient == one.coefficient - two.coefficient
    assert both.coefficient_se == pytest.approx((one.draws - two.draws)[:, -1].std(ddof=1))
    assert both.perfect is None


def test_the_difference_in_means_among_the_top():
    # the first four rows, and half of each of the tie
    found = uplift_at(Y, T, PRIORITY, 5 / 6)
    assert found.estimate == pytest.approx([1.5 / 2.5 - 1 / 2.5])
    whole = uplift_at(Y, T, PRIORITY, 1.0)
    assert whole.std_error == pytest.approx([np.sqrt(1 / 3 / 3 + 1 / 3 / 3)])


def test_an_arm_that_halves_may_lack_leaves_no_standard_error():
    rare = np.zeros(60)
    rare[:2] = 1
    found = outcome_curve(np.arange(60) % 2, rare, np.arange(60), reps=100)
    assert np.isfinite(found.area) and np.isfinite(found.value).all()
    assert np.isnan(found.area_se) and np.isnan(found.std_error).all() and np.isnan(found.coefficient_se)


def test_what_cannot_be_asked():
    with pytest.raises(DataError, match="0 and 1, and this one has 3 values; for a dose"):
        outcome_curve(Y, np.array([0, 1, 2, 0, 1, 0]), PRIORITY)
    with pytest.raises(DataError, match="one of them has no rows"):
        outcome_curve(Y, np.zeros(6), PRIORITY)
    with pytest.raises(OptionError, match="'uplift' or 'qini'"):
        outcome_curve(Y, T, PRIORITY, "toc")
    with pytest.raises(DataError, match=r"top 10% by priority has one arm"):
        uplift_at(Y, T, PRIORITY, 0.1)
