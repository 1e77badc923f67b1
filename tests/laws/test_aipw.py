"""The influence of aipw on two GLMs is the derivative of reweighted refits under each of its own options too."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import causalformula as cf
from causalformula.backends.fit import Query
from tests.laws.strategies import simulate
from tests.laws.test_estimators import derivative, same

BINARY = "y ~ treat(a) + adjust(x + z)"
SEVERAL = "y ~ treat(m) + adjust(x + z)"
CASES = [
    *((BINARY, {"link": link, "estimand": e}) for link in ("probit", "cloglog", "cauchit") for e in ("ATE", "ATT")),
    *((BINARY, {"interact": False, "estimand": e}) for e in ("ATE", "ATT", "ATC")),
    # scores at a bound stand still, and their rows' weights with them
    *((BINARY, {"bounds": (0.5, 0.8), "estimand": e}) for e in ("ATE", "ATT", "ATC")),
    *((SEVERAL, {"bounds": 0.28, "estimand": "ATT", "focal": level}) for level in ("low", "high")),
    *((SEVERAL, {"estimand": e, "focal": "none", "contrast": "pairwise"}) for e in ("ATT", "ATC")),
    (BINARY.replace("y", "d", 1), {"family": "binomial(link = 'probit')", "link": "probit", "measure": "odds_ratio"}),
    ("k ~ treat(m) + adjust(x) + modify(z) + weights(w)", {"family": "poisson", "measure": "log_ratio"}),
    ("y ~ treat(a) + adjust(x) + outcome(q) + propensity(z) + offset(w)", {"interact": False}),
]


@pytest.mark.parametrize(("formula", "options"), CASES, ids=str)
@pytest.mark.parametrize("weights", ["", " + weights(w)"])
def test_influence(formula, options, weights):
    formula += "" if "(w)" in formula else weights
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        fit = cf.fit(formula, simulate(8), "aipw", **options)
        psi = fit.influence()
        scale = np.abs(psi).max(axis=0)
        for row in (0, 11, 42):
            same(psi[row], derivative(fit, row, 0.005, Query()), 1e-5, scale, f"row {row}")
    np.testing.assert_allclose(psi.mean(axis=0), 0, atol=1e-9 * scale.max())
