"""Coverage of quantile effects: one that grows with the quantile, known from normal distributions."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import causalformula as cf
from tests.coverage.test_weighting import covered, within_error

ASKED = np.array([0.25, 0.5, 0.75])


def draws(reps, n, seed, **options):
    """Estimates and standard errors (reps, 2, quantiles) where Y(0) is N(0, 2) and Y(1) is N(1, 3.25)."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(reps):
        x = rng.normal(size=n)
        d = (rng.random(n) < 1 / (1 + np.exp(-0.8 * x))).astype(int)
        y = d + x + np.where(d == 1, 1.5, 1.0) * rng.normal(size=n)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", cf.CausalFormulaWarning)
            fit = cf.fit(
                "y ~ treat(d) + adjust(x)", pd.DataFrame({"y": y, "d": d, "x": x}), "dml", quantiles=ASKED, **options
            )
        out.append(fit.tidy()[["estimate", "std.error"]].to_numpy().T)
    return np.array(out)


TRUTH = 1 + norm.ppf(ASKED) * (np.sqrt(3.25) - np.sqrt(2))


def test_quantile_effects():
    found = draws(12, 500, 1, folds=2)
    spread = found[:, 0].std(axis=0, ddof=1) / np.sqrt(12)
    assert (np.abs(found[:, 0].mean(axis=0) - TRUTH) < 4 * spread).all()
    # of all three at once: each replicate's are correlated, so that this is a loose bound
    assert (np.abs(found[:, 0] - TRUTH) <= 1.96 * found[:, 1]).mean() > 0.8


@pytest.mark.slow
def test_quantile_effects_at_length():
    """The logistic regression of what is a probit is wrong, and the propensity right."""
    found = draws(300, 500, 2, folds=2)
    for k, truth in enumerate(TRUTH):
        each = found[:, :, k]
        assert within_error(covered(each, truth), 300)
        assert abs(each[:, 0].mean() - truth) < 4 * each[:, 0].std() / np.sqrt(300)
        assert 0.9 <= each[:, 1].mean() / each[:, 0].std(ddof=1) <= 1.15
