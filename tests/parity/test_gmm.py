"""R: ``gmm::gmm`` 1.7; Python: linearmodels 7.1 ``IVGMM``, ``IVGMMCUE``. Each stored value has its call."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.parity.reference import close, covariance_scale, values

R, PYTHON = values("r_gmm"), values("linearmodels_gmm")
FORMULA = "y ~ treat(q) + iv(z1 + z2 + z3) + adjust(x)"
ORDER = ["(Intercept)", "q", "x"]
# The minima of the peers are those of a general optimiser: known to about the root of its tolerance.
MINIMUM = 2e-5


@cache
def data() -> pd.DataFrame:
    return pd.DataFrame(R["data"])


def hansen(fit: cf.IVResult) -> float:
    return float(fit.diagnostics().loc["Hansen's J", "statistic"])


def of_r(model) -> np.ndarray:
    """``(X'Z S^{-1} Z'X)^{-1}`` with S at the estimate itself, as R has it, and not at the step before."""
    d = data()
    Z, X = (np.column_stack([np.ones(len(d)), d[[*names, "x"]]]) for names in (["z1", "z2", "z3"], ["q"]))
    e = d["y"] - X @ model.params[ORDER]
    G, S = Z.T @ X, (Z * e.to_numpy()[:, None] ** 2).T @ Z
    return np.linalg.inv(G.T @ np.linalg.solve(S, G))


@pytest.mark.parametrize("name", ["two_steps", "iterated", "cue"])
def test_gmm(name):
    steps = {"two_steps": 2, "iterated": "iterated", "cue": "cue"}[name]
    fit, r = cf.fit(FORMULA, data(), "gmm", steps=steps), R[name]
    model, V = fit.outcome, np.array(r["vcov"])
    rtol = MINIMUM if name == "cue" else 1e-8
    close(model.params[ORDER], r["coef"], rtol, scale=np.sqrt(np.diag(V)))
    ours = of_r(model) if name == "two_steps" else model.cov_params().loc[ORDER, ORDER]
    close(ours, V, rtol, scale=covariance_scale(V))
    close(hansen(fit), r["J"], rtol)
    if name == "cue":
        assert hansen(fit) <= r["J"]


CASES = {
    "two_steps": ({}, ""),
    "three_steps": ({"steps": 3}, ""),
    "weighted": ({"vcov": "HC0"}, " + weights(w)"),
    "clustered": ({"wmatrix": "~g", "vcov": "CR0 ~ g"}, ""),
    "cue": ({"steps": "cue"}, ""),
    "cue_clustered": ({"steps": "cue", "wmatrix": "~g", "vcov": "CR0 ~ g"}, ""),
}


@pytest.mark.parametrize("name", CASES)
def test_linearmodels(name):
    (options, more), r = CASES[name], PYTHON[name]
    fit = cf.fit(FORMULA + more, data(), "gmm", **options)
    rtol = MINIMUM if name.startswith("cue") else 1e-8
    close(fit.outcome.params[ORDER], r["params"], rtol, scale=r["std_errors"])
    close(fit.outcome.bse[ORDER], r["std_errors"], rtol)
    close(hansen(fit), r["j_stat"], rtol)


def test_unadjusted():
    """The J of moments of equal variance is Sargan's."""
    fit, r = cf.fit(FORMULA, data(), "gmm", wmatrix="unadjusted"), PYTHON["unadjusted"]
    close(fit.outcome.params[ORDER], r["params"], scale=r["std_errors"])
    close(fit.outcome.bse[ORDER], r["std_errors"])
    close(fit.with_vcov("classical").diagnostics().loc["Sargan", "statistic"], r["j_stat"])
