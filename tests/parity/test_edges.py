"""Edges of regressions against R: clusters that dominate, a constant by another name, deviances that do not change."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.inference.sandwich.hac import andrews, newey_west
from tests.parity.reference import values

R = values("r_edges")


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    x = [0.13, -0.13, 0.64, 0.1, -0.54, 0.36, 1.3, 0.95, -0.7, -1.27, -0.62, 0.04, -2.33, -0.22, -1.25, -0.73]
    y = [-0.54, -0.32, 0.41, 1.04, -0.13, 1.37, -0.67, 0.35, 0.9, 0.09, -0.74, -0.92, -0.46, 0.22, -1.01, -0.21]
    d = pd.DataFrame({"x": x, "y": y, "g": np.repeat(range(4), 4), "one": 1.0})
    d["w"] = [1e5, 2e5, 3e5, 1e5] + [2, 3, 1] * 4
    d["far"] = d["x"] * np.where(d["g"] == 0, 1e4, 1.0)
    d["lone"] = ["c"] + ["a", "b"] * 7 + ["a"]
    return d


def close(model: Any, r: dict[str, Any], rtol_se: float) -> None:
    table = model.tidy()
    np.testing.assert_allclose(table["std.error"], r["se"], rtol=rtol_se)
    np.testing.assert_allclose(table["df"], r["df"], rtol=1e-9)


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
@pytest.mark.parametrize("share", ["1", "0.001", "1e-04"])
def test_a_cluster_that_dominates_the_weights(data, share, kind):
    """R: clubSandwich::coef_test; its own standard errors have seven digits at a share of 1 (see tests/exact)."""
    scaled = data.assign(w=data["w"] * np.where(data["g"] == 0, float(share), 1.0))
    model = cf.lm("y ~ x", scaled, weights="w", vcov=f"{kind} ~ g")
    close(model, R["dominant"][share][kind], 1e-7 if share == "1" else 1e-8)


@pytest.mark.parametrize("share", ["0.001", "1e-04"])
def test_its_joint_test(data, share):
    """R: clubSandwich::Wald_test(test = 'HTZ')."""
    scaled = data.assign(w=data["w"] * np.where(data["g"] == 0, float(share), 1.0))
    test = cf.lm("y ~ x", scaled, weights="w", vcov="CR2 ~ g").hypothesis(["(Intercept) = 0", "x = 0"]).test
    r = R["dominant"][share]["HTZ"]
    # the statistic divides by a matrix that is nearly singular
    assert test.statistic == pytest.approx(r["F"], rel=1e-6)
    assert test.df[1] == pytest.approx(r["df"], rel=1e-7)


@pytest.mark.parametrize("kind", ["CR2", "CR3"])
def test_a_cluster_that_dominates_by_its_regressor(data, kind):
    """R: clubSandwich::coef_test."""
    close(cf.lm("y ~ far", data, vcov=f"{kind} ~ g"), R["unweighted"][kind], 1e-8)


@pytest.mark.parametrize("formula", list(R["bandwidth"]))
def test_the_constant_does_not_choose_the_bandwidth(data, formula):
    """R: sandwich::bwAndrews and bwNeweyWest, which find a column of ones by its name or by its values; kernHAC."""
    r = R["bandwidth"][formula]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = cf.lm(formula, data, vcov=cf.HAC("Andrews", prewhite=False))
        se = np.asarray(model.bse)
    np.testing.assert_allclose(se, r["se"], rtol=1e-8)
    assert f"bandwidth {r['andrews']:.4g}" in model.covariance.label
    scores = model.regression.hat.X * model.regression.hat.e[:, None]
    constant = [name in ("(Intercept)", "one") and len(model.names) > 1 for name in model.names]
    counted = np.where(constant, 0.0, 1.0)
    assert newey_west(scores, counted, len(scores), False) == pytest.approx(r["newey_west"], rel=1e-8)
    assert andrews(scores, counted, "QuadraticSpectral") == pytest.approx(r["andrews"], rel=1e-8)


def test_a_deviance_that_does_not_change():
    """R: anova and drop1 of the example of ?glm, whose second factor explains nothing: a p-value of 1."""
    counts = pd.DataFrame({"counts": [18, 17, 15, 20, 10, 20, 25, 13, 12]})
    counts["outcome"] = pd.Categorical([1, 2, 3] * 3)
    counts["treatment"] = pd.Categorical(np.repeat([1, 2, 3], 3))
    model = cf.glm("counts ~ outcome + treatment", counts, family="poisson")
    for table, r in ((cf.anova(model), R["deviance"]["anova"]), (model.drop1(test="Chisq"), R["deviance"]["drop1"])):
        np.testing.assert_allclose(table.table["Pr(>Chi)"][1:], np.array(r[1:], dtype=float), rtol=1e-8)
        assert "1.00000" in str(table)


def test_counts_that_are_all_zero():
    """R: glm(rep(0, 20) ~ x, family = poisson)$null.deviance."""
    zero = pd.DataFrame({"x": np.arange(20.0), "k": 0})
    assert cf.glm("k ~ x", zero, family="poisson").null_deviance == R["zero_counts"] == 0
    assert cf.glm("k ~ x", zero, family="quasipoisson").null_deviance == 0
