"""hdm 0.3.2: the lasso with its own penalty, and the effects of a treatment after it has selected the controls.

hdm's effects start the penalty's loadings from residuals that keep the intercept, which decides between sets of
controls that both reproduce themselves; the lasso by itself starts from centred ones.
"""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from causalformula.numerics.rlasso import first_residuals, rlasso, rlasso_logit
from tests.parity.reference import data, values

R, GLMNET = values("hdm_rlasso"), values("glmnet_rlassologit")
X = [f"x{j}" for j in range(1, 26)]
FORMULA = f"y_factual ~ treat(treatment) + adjust({' + '.join(X)})"


@pytest.fixture(scope="module")
def ihdp():
    return data("ihdp_npci_1.csv")


def number(entry):
    """A value that R has as a number or as a matrix of one."""
    return np.ravel(entry["values"] if isinstance(entry, dict) else entry)


def coefficients(part):
    return np.array(list(R[part]["coef"].values()))


def test_post(ihdp):
    """``rlasso(X, y)``"""
    fit, expected = rlasso(ihdp[X].to_numpy(float), ihdp.y_factual.to_numpy()), R["rlasso_post"]
    np.testing.assert_allclose([fit.intercept, *fit.coef], coefficients("rlasso_post"), rtol=0, atol=1e-12)
    np.testing.assert_allclose(fit.lambda0, expected["lambda0"], rtol=1e-12)
    np.testing.assert_allclose(fit.loadings, number(expected["loadings"]), rtol=1e-12)
    np.testing.assert_allclose(fit.sigma, number(expected["sigma"])[0], rtol=1e-12)
    assert (np.flatnonzero(fit.selected) + 1).tolist() == expected["index"]


def test_lasso(ihdp):
    """``rlasso(X, y, post = FALSE)``, whose coordinate descent stops at steps of 1e-5; ours goes on."""
    fit = rlasso(ihdp[X].to_numpy(float), ihdp.y_factual.to_numpy(), post=False)
    np.testing.assert_allclose([fit.intercept, *fit.coef], coefficients("rlasso_lasso"), rtol=0, atol=3e-7)


@pytest.mark.parametrize("model", ["partialling_out", "double_selection"])
def test_linear_effects(ihdp, model):
    """``rlassoEffect(X, y, d, method = "partialling out")``, and ``"double selection"``."""
    fit, expected = cf.fit(FORMULA, ihdp, "dml", model=model), R[model]
    np.testing.assert_allclose(fit.estimate, expected["alpha"], rtol=1e-12)
    np.testing.assert_allclose(fit.std_error, expected["se"], rtol=1e-12)
    row = fit.tidy().iloc[0]
    np.testing.assert_allclose(row["statistic"], expected["t"], rtol=1e-12)
    np.testing.assert_allclose(row["p.value"], expected["p"], rtol=1e-9)
    printed = f"{fit.summary()}\n"
    assert "\nSelected for the outcome: 2 of 25 controls (x6, x15)\n" in printed
    assert "\nSelected for the treatment: 3 of 25 controls (x9, x23, x24)\n" in printed
    if model == "double_selection":
        assert set(fit.outcome.params.index) == {"(Intercept)", "treatment", *(f"x{j}" for j in expected["selected"])}


def test_chosen_confounders(ihdp):
    """``rlassoEffect(X, y, d, method = "double selection")$selection.index``, and its coefficient by least squares."""
    found, expected = cf.select_confounders(FORMULA, ihdp, "double_lasso"), R["double_selection"]
    assert found.selected == tuple(f"x{j}" for j in expected["selected"])
    np.testing.assert_allclose(found.fit().estimate, expected["alpha"], rtol=1e-12)


def test_first_residuals_decide(ihdp):
    """Started from centred residuals, the treatment's lasso ends without x24: both sets reproduce themselves."""
    Z, d = ihdp[X].to_numpy(float), ihdp.treatment.to_numpy(float)
    sets = [rlasso(Z, d, start=first_residuals(Z, d, centred=c)).selected for c in (True, False)]
    assert [[X[j] for j in np.flatnonzero(s)] for s in sets] == [["x9", "x23"], ["x9", "x23", "x24"]]


def test_average_effect(ihdp):
    """``rlassoATE(X, d, y)``: R's logistic regression stops at 1e-8, and its variance divides by n - 1."""
    fit, n = cf.fit(FORMULA, ihdp, "dml", model="selected_irm"), len(ihdp)
    np.testing.assert_allclose(fit.estimate, R["rlassoATE"]["te"], rtol=1e-8)
    np.testing.assert_allclose(fit.std_error * np.sqrt(n / (n - 1)), number(R["rlassoATE"]["se"])[0], rtol=3e-8)


def test_effect_on_the_treated(ihdp):
    """``rlassoATET(X, d, y)``: its s.e. is that of scores without ``- D theta / P(D = 1)``, which ours have."""
    fit, n = cf.fit(FORMULA, ihdp, "dml", model="selected_irm", estimand="ATT"), len(ihdp)
    np.testing.assert_allclose(fit.estimate, R["rlassoATET"]["te"], rtol=1e-12)
    d = ihdp.treatment.to_numpy()
    theirs = np.ravel(fit.influence()) + d * fit.estimate / d.mean()
    np.testing.assert_allclose(theirs.std(ddof=1) / np.sqrt(n), number(R["rlassoATET"]["se"])[0], rtol=1e-12)


def test_logistic_lasso_as_glmnet(ihdp):
    """``glmnet(X, d, "binomial", lambda = c / 2 * sqrt(n) * qnorm(1 - 0.1 / log(n) / (2 * p)) / n)``"""
    fit, expected = rlasso_logit(ihdp[X].to_numpy(float), ihdp.treatment.to_numpy(float), post=False, c=0.55), GLMNET
    assert (np.flatnonzero(fit.selected) + 1).tolist() == expected["index"]
    np.testing.assert_allclose(fit.coef[fit.selected], expected["coef"], rtol=1e-6)
    np.testing.assert_allclose(fit.intercept, expected["intercept"], rtol=1e-7)
