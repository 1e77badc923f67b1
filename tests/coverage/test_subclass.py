"""Standard errors of subclassification against Monte Carlo standard deviations, on designs with known effects.

Some confounding remains within strata, so intervals need not cover: the standard error is what is tested, and bias and
coverage are printed. It counts the strata as given. That is right where the score is known, and next to right where an
outcome model takes what varies between strata; a weighted comparison without one errs on the safe side. The bootstrap
cuts the strata anew in every replicate, and is right for that comparison too.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from tests.coverage.test_weighting import (
    confounded_linear,
    covered,
    heterogeneous,
    strong_selection,
    truth,
)

ADJUST = "y ~ treat(a) + adjust(x1 + x2)"
# A cell of one unit has no variance of its own, hence min_n=2. Both hold the covariates' own sampling, which the effect
# in the population has beside the sample's.
KNOWN = {"distance": "p", "min_n": 2, "estimator": "stratified", "vcov": cf.HC("HC2", unconditional=True)}
MODELLED = {"interact": True, "vcov": cf.HC("HC3", unconditional=True)}
WAYS = {
    "known score": ("y ~ treat(a)", KNOWN),
    "outcome model": (ADJUST + " + outcome(x1 + x2)", MODELLED),
    "bootstrap": (ADJUST, {"vcov": cf.Bootstrap(60, seed=1)}),
    "weighted": (ADJUST, {}),
}
DESIGNS = {"linear": confounded_linear, "heterogeneous": heterogeneous, "strong": strong_selection}
LOW, HIGH = 0.9, 1.15


def ratio(design, way, estimand, reps, n, seed=1):
    """Mean standard error over Monte Carlo sd; prints bias and coverage beside it."""
    formula, options = WAYS[way]
    rng = np.random.default_rng(seed)
    draws = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        for _ in range(reps):
            data, p, _ = design(rng, n)
            fit = cf.fit(formula, data.assign(p=p), "subclass", estimand=estimand, **options)
            draws.append((fit.estimate, fit.std_error))
    draws = np.array(draws)
    value = truth(design, estimand)
    found = draws[:, 1].mean() / draws[:, 0].std(ddof=1)
    bias, rate = draws[:, 0].mean() - value, covered(draws, value)
    print(f"{design.__name__} {way} {estimand}: ratio {found:.3f}, bias {bias:.3f}, coverage {rate:.3f}")
    return found


@pytest.mark.parametrize(("design", "estimand"), [("linear", "ATT"), ("heterogeneous", "ATE"), ("strong", "ATT")])
@pytest.mark.parametrize("way", ["known score", "outcome model"])
def test_standard_errors(design, way, estimand):
    """The short form leaves room for two Monte Carlo errors of the ratio."""
    reps = 150
    room = 2 / np.sqrt(2 * reps)
    assert LOW - room < ratio(DESIGNS[design], way, estimand, reps, 400) < HIGH + room


@pytest.mark.slow
@pytest.mark.parametrize("estimand", ["ATT", "ATE", "ATC"])
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("way", ["known score", "outcome model", "bootstrap"])
def test_standard_errors_at_length(design, way, estimand):
    reps = 400 if way == "bootstrap" else 1000
    assert LOW < ratio(DESIGNS[design], way, estimand, reps, 800) < HIGH


def test_the_bootstrap_knows_that_the_strata_were_cut():
    reps = 40
    room = 2 / np.sqrt(2 * reps)
    assert LOW - room < ratio(confounded_linear, "bootstrap", "ATT", reps, 400) < HIGH + room


@pytest.mark.parametrize("estimand", ["ATT", "ATE"])
def test_the_weighted_comparison_errs_on_the_safe_side(estimand):
    """HC3 of the weighted difference does not credit the strata with what they explain of the outcome."""
    assert ratio(confounded_linear, "weighted", estimand, 150, 400) > HIGH


def test_more_strata_leave_less_confounding():
    """Bias falls with the number of strata (Cochran 1968: five remove about nine tenths of it)."""
    data, _, _ = confounded_linear(np.random.default_rng(3), 40_000)
    naive = cf.fit("y ~ treat(a)", data).estimate - 2
    bias = [cf.fit(ADJUST, data, "subclass", estimand="ATE", subclass=k).estimate - 2 for k in (2, 5, 20)]
    print(f"bias: naive {naive:.3f}, with 2, 5 and 20 strata " + ", ".join(f"{b:.3f}" for b in bias))
    assert naive > bias[0] > bias[1] > bias[2]
    assert bias[1] < 0.15 * naive
