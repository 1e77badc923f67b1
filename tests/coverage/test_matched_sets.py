"""Standard errors of matched designs against Monte Carlo standard deviations, on designs with a known effect.

Clusters of matched sets are right where units are matched on the covariates that confound (Abadie and Spiess 2022),
with an outcome model and without; where they are matched on an estimated score they err on the safe side without one,
as the score's own error takes from the spread of the estimate (Abadie and Imbens 2016). What matching leaves of the
confounding shifts the estimate, so that intervals need only cover where an outcome model, or the correction of the
bias, takes it away.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from tests.coverage.test_weighting import covered, within_error

EFFECT = 2.0
PLAIN = "y ~ treat(a) + adjust(x1 + x2)"
ADJUSTED = PLAIN + " + outcome(x1 + x2)"
TIED = {"replace": True, "ties": True, "distance": "scaled_euclidean"}
# How it is asked for, whether its intervals must cover, and where mean standard error over Monte Carlo sd must be
WAYS = {
    "sets, on covariates": (PLAIN, {"distance": "mahalanobis"}, False, (0.93, 1.07)),
    "sets, on covariates, outcome model": (ADJUSTED, {"distance": "mahalanobis"}, True, (0.93, 1.07)),
    "sets, on the score": (PLAIN, {}, False, (0.97, 1.6)),
    "sets, on the score, outcome model": (ADJUSTED, {}, True, (0.93, 1.07)),
    "Abadie-Imbens": (PLAIN, TIED, False, (0.93, 1.07)),
    "Abadie-Imbens, bias adjusted": (PLAIN, {**TIED, "bias_adjust": True}, True, (0.93, 1.07)),
    "Abadie-Imbens, four matches, bias adjusted": (
        PLAIN, {**TIED, "ratio": 4, "bias_adjust": True, "vcov": "AI(matches = 2)"}, True, (0.93, 1.07),
    ),
}  # fmt: skip


def few_treated(rng, n):
    """A fifth treated, so that everyone has controls nearby; the effect is 2 for all."""
    x1, x2 = rng.normal(size=n), rng.binomial(1, 0.5, n)
    a = rng.random(n) < 1 / (1 + np.exp(1.7 - 0.5 * x1 + 0.4 * x2))
    y = 1 + EFFECT * a + 1.5 * x1 + x2 + rng.normal(size=n)
    return pd.DataFrame({"x1": x1, "x2": x2, "a": a.astype(int), "y": y})


@cache
def simulated(way, reps, n, seed=1):
    """Estimates and standard errors (reps, 2)."""
    formula, options, *_ = WAYS[way]
    rng = np.random.default_rng(seed)
    draws = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        for _ in range(reps):
            fit = cf.fit(formula, few_treated(rng, n), "nearest", **options)
            draws.append((fit.estimate, fit.std_error))
    return np.array(draws)


def check(way, reps, n, room=0.0):
    """The ratio where it must be, and coverage where intervals must cover; prints both and the bias."""
    *_, covers, (low, high) = WAYS[way]
    draws = simulated(way, reps, n)
    ratio, rate = draws[:, 1].mean() / draws[:, 0].std(ddof=1), covered(draws, EFFECT)
    print(f"{way}: ratio {ratio:.3f}, bias {draws[:, 0].mean() - EFFECT:.3f}, coverage {rate:.3f}")
    assert low - room < ratio < high + room
    assert not covers or within_error(rate, reps)


@pytest.mark.parametrize("way", WAYS)
def test_standard_errors(way):
    """The short form leaves room for two Monte Carlo errors of the ratio."""
    check(way, 100, 300, 2 / np.sqrt(200))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_standard_errors_at_length(way):
    check(way, 1000, 1000, 2 / np.sqrt(2000))


def test_pairs_are_not_independent_units():
    """HC3 takes the units of a pair for strangers, and misses what they have in common."""
    rng, found = np.random.default_rng(1), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        for _ in range(40):
            fit = cf.fit(PLAIN, few_treated(rng, 300), "nearest", distance="mahalanobis")
            found.append(fit.with_vcov("HC3").std_error / fit.std_error)
    assert np.mean(found) > 1.3
