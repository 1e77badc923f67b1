"""Empirical calibration: the null by its closed form, by slow maximisation and by simulation; calibrated p-values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import kstest, norm

from causalformula.inference.calibration import EmpiricalNull, empirical_null


@pytest.mark.parametrize("sd", [0.0, 0.3])
@pytest.mark.parametrize("n", [2, 5, 60])
def test_of_one_standard_error_the_null_has_a_closed_form(sd, n):
    rng = np.random.default_rng(n)
    x = rng.normal(0.2, np.hypot(sd, 0.1), n)
    found = empirical_null(x, np.full(n, 0.1))
    assert found.n == n
    assert found.mean == pytest.approx(x.mean(), rel=1e-12)
    assert found.sd**2 == pytest.approx(max(0.0, x.var() - 0.01), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("seed", range(6))
def test_the_likelihood_has_no_higher_place(seed):
    rng = np.random.default_rng(seed)
    se = rng.uniform(0.05, 0.4, 15)
    x = rng.normal(-0.3, 0.25, 15) + se * rng.normal(size=15)

    def loss(p):
        return -norm.logpdf(x, p[0], np.sqrt(p[1] ** 2 + se**2)).sum()

    best = min(
        (minimize(loss, [x.mean(), start], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13})
         for start in (0.01, 0.2, 0.6)),
        key=lambda one: one.fun,
    )  # fmt: skip
    found = empirical_null(x, se)
    assert loss([found.mean, found.sd]) <= best.fun + 1e-10
    np.testing.assert_allclose([found.mean, found.sd], [best.x[0], abs(best.x[1])], atol=1e-5)


def test_controls_that_agree_have_no_spread():
    assert empirical_null(np.ones(3), np.full(3, 0.1)) == EmpiricalNull(1.0, 0.0, 3)


def test_the_calibrated_p_value_as_published():
    """Twice the smaller tail of N(mean, sd^2 + se^2), on either side of the mean."""
    null, x, se = EmpiricalNull(0.1, 0.2, 20), np.array([0.6, -0.4, 0.1]), np.array([0.15, 0.15, 0.3])
    upper = norm.cdf((null.mean - x) / np.sqrt(null.sd**2 + se**2))
    np.testing.assert_allclose(null.p_value(x, se), 2 * np.minimum(upper, 1 - upper), rtol=1e-12)
    np.testing.assert_allclose(EmpiricalNull(0.0, 0.0, 5).p_value(x, se), 2 * norm.sf(np.abs(x / se)), rtol=1e-12)


def test_under_systematic_error_calibrated_p_values_are_uniform_and_others_are_not():
    rng = np.random.default_rng(3)
    se = rng.uniform(0.05, 0.2, 22000)
    x = rng.normal(0.15, 0.1, 22000) + se * rng.normal(size=22000)
    null = empirical_null(x[:20000], se[:20000])
    p = null.p_value(x[20000:], se[20000:])
    assert kstest(p, "uniform").pvalue > 0.01
    assert abs((p < 0.05).mean() - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 2000) + 0.01
    assert (2 * norm.sf(np.abs(x / se)) < 0.05).mean() > 0.3


def test_with_few_controls_they_are_too_small():
    """What the note of a screen says: the null counts as known."""
    rng = np.random.default_rng(4)
    p = np.empty(300)
    for k in range(300):
        x = rng.normal(0.2, 0.2, 5) + 0.1 * rng.normal(size=5)
        p[k] = empirical_null(x[:4], np.full(4, 0.1)).p_value(x[4:], np.array([0.1]))[0]
    assert (p < 0.05).mean() > 0.1
