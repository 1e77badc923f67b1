"""Effects in a population that the weights define (ATO, ATM, ATOS): what their standard errors hold fixed.

Where an outcome model lets the effect vary, the average is over the weighted sample. As in marginaleffects, the default
holds that population fixed; ``unconditional=True`` lets it move, with the propensity score and with the sample.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning

FORMULA = "y ~ treat(a) + adjust(x + z) + outcome(x + z) + weights(s)"


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        yield


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    n = 250
    d = pd.DataFrame({"x": rng.normal(size=n), "z": rng.integers(0, 2, n), "s": rng.uniform(0.4, 2, n)})
    d["a"] = (rng.random(n) < 1 / (1 + np.exp(-0.8 * d["x"] + 0.4 * d["z"]))).astype(int)
    return d.assign(y=d["x"] + d["a"] * (1 + d["x"]) + rng.normal(size=n) * (1 + d["a"]), g=np.arange(n) // 5)


def by_hand(data, w):
    """The weighted regression on (1, a, x, z, a x, a z): design, residuals, bread, and the effect's gradient."""
    a, C = data["a"].to_numpy(float), data[["x", "z"]].to_numpy(float)
    X = np.column_stack([np.ones(len(a)), a, C, a[:, None] * C])
    v = data["s"].to_numpy() * w
    bread = np.linalg.inv(X.T @ (v[:, None] * X))
    beta = bread @ (X.T @ (v * data["y"].to_numpy()))
    means = v @ C / v.sum()
    return X, v, data["y"].to_numpy() - X @ beta, bread, np.concatenate([[0, 1, 0, 0], means]), beta


@pytest.mark.parametrize("estimand", ["ATE", "ATO", "ATM", "ATOS"])
def test_given_weights_leave_the_propensity_out(data, estimand):
    """``HC0`` after ``weights="fixed"``: ``g'B (sum v^2 e^2 x x') B g`` of the regression, as sandwich has it."""
    fit = cf.fit(FORMULA, data, "ipw", estimand=estimand, interact=True)
    X, v, e, B, g, beta = by_hand(data, fit.design.weights.to_numpy())
    if estimand == "ATE":
        s, C = data["s"].to_numpy(), data[["x", "z"]].to_numpy()
        g = np.concatenate([[0, 1, 0, 0], s @ C / s.sum()])
    assert fit.estimate == pytest.approx(g @ beta, rel=1e-10)
    h = v * np.einsum("ij,jk,ik->i", X, B, X)
    scores = {"HC0": v * e, "HC3": v * e / (1 - h)}
    for name, u in scores.items():
        wanted = np.sqrt(g @ B @ (X.T @ (u[:, None] ** 2 * X)) @ B @ g)
        assert fit.with_vcov(cf.HC(name, weights="fixed")).std_error == pytest.approx(wanted, rel=1e-9), name
    sums = pd.DataFrame(X * (v * e)[:, None]).groupby(data["g"].to_numpy()).sum().to_numpy()
    wanted = np.sqrt(g @ B @ (sums.T @ sums) @ B @ g)
    assert fit.with_vcov(cf.Cluster("g", type="CR0", weights="fixed")).std_error == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("estimand", ["ATO", "ATM", "ATOS"])
def test_the_default_holds_the_population_fixed(data, estimand):
    """``g'V g`` with V the stacked covariance of the outcome model's coefficients: marginaleffects on lm_weightit."""
    fit = cf.fit(FORMULA, data, "ipw", estimand=estimand, interact=True)
    *_, g, _ = by_hand(data, fit.design.weights.to_numpy())
    V = fit.outcome.cov_params().to_numpy()
    assert fit.std_error == pytest.approx(np.sqrt(g @ V @ g), rel=1e-9)
    whole = fit.with_vcov(cf.Asympt(unconditional=True))
    psi = fit.influence()[:, 0]
    assert whole.std_error == pytest.approx(np.sqrt(psi @ psi) / len(psi), rel=1e-9)
    assert abs(whole.std_error / fit.std_error - 1) > 1e-3


def test_without_varying_effects_there_is_nothing_to_hold(data):
    for estimand in ("ATO", "ATM", "ATOS"):
        fit = cf.fit("y ~ treat(a) + adjust(x + z) + weights(s)", data, "ipw", estimand=estimand)
        assert fit.with_vcov(cf.Asympt(unconditional=True)).std_error == pytest.approx(fit.std_error, rel=1e-9)
