"""Hill's benchmark (2011): the numbers that vignette 05 states, on data that are not shipped."""

from __future__ import annotations

import re
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

import causalformula as cf
from tests.parity import ihdp
from tests.parity.reference import ROOT

VIGNETTE = (ROOT / "vignettes" / "05-individual-effects.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    """The rows of the vignette's table under a heading, by their first cell."""
    text = VIGNETTE.partition(heading)[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {first: rest for first, *rest in cells[2:]}


PUBLISHED, TEN = rows("## The study, whole"), rows("## Ten replicates")


@cache
def tables():
    methods = ihdp.CLASSIC | {"T-learner with ridge": cf.TLearner(outcome_model=Ridge())}
    return ihdp.compared(1, methods)


def test_the_truth():
    study = ihdp.replicate(1)
    assert round(study["ite"].mean(), 3) == 4.016 and round(study["ite"].std(ddof=0), 3) == 0.859
    assert (len(study), int(study["treatment"].sum())) == (747, 139)


def test_the_regression_is_reproduced():
    assert round(tables().loc["linear regression", "estimate"], 4) == 3.9287
    assert round(tables().loc["linear regression", "PEHE"], 3) == 0.864


def test_a_ridge_t_learner():
    row = tables().loc["T-learner with ridge"]
    assert [round(row[name], 2) for name in ("PEHE", "MAE", "correlation")] == [0.53, 0.40, 0.81]


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_we_get_is_as_stated(name):
    average, mae, pehe, correlation = re.split(r"\s*/\s*", PUBLISHED[name][1])
    row = tables().loc[name]
    assert row["estimate"] == pytest.approx(float(average), abs=6e-4)
    assert [row["MAE"], row["PEHE"]] == pytest.approx([float(mae), float(pehe)], abs=6e-3)
    assert (correlation == "none") == np.isnan(row["correlation"])
    if correlation != "none":
        assert row["correlation"] == pytest.approx(float(correlation), abs=6e-3)


def test_one_number_for_all_is_off_by_the_spread_at_least():
    """PEHE squared is the variance of the effects plus the squared error: 3.02 is no PEHE of 3.929."""
    one = tables().loc[list(ihdp.CLASSIC)]
    spread = ihdp.replicate(1)["ite"].std(ddof=0)
    np.testing.assert_allclose(one["PEHE"] ** 2, spread**2 + one["error"] ** 2)


def imputed(other, study):
    """Effects of units as their own outcome and a guess of the other one have them."""
    return np.where(study["treatment"] == 1, study["y_factual"] - other, other - study["y_factual"])


def related(a, b):
    return np.corrcoef(a, b)[0, 1]


def test_correlations_that_a_regression_has():
    """Of predicted and observed outcomes, and of imputed effects: none is the published 0.58."""
    study = ihdp.replicate(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = cf.fit(ihdp.QUESTION, study).outcome.fitted.to_numpy()
    effect = tables().loc["linear regression", "estimate"]
    effects = imputed(fitted + np.where(study["treatment"] == 1, -effect, effect), study)
    found = [
        related(fitted, study["y_factual"]),
        related(effects, study["ite"]),
        related(effects, imputed(study["y_cfactual"], study)),
    ]
    np.testing.assert_allclose(found, [0.86, 0.33, 0.71], atol=5e-3)


def test_correlations_of_imputed_effects():
    """The other arm's outcome as matches, strata, weights and a T-learner have it."""
    study = ihdp.replicate(1)
    X, a, y = study.filter(regex=r"^x\d").to_numpy(), study["treatment"].to_numpy(), study["y_factual"].to_numpy()
    p = LogisticRegression(C=1e6, max_iter=5000).fit(X, a).predict_proba(X)[:, 1]
    w = np.where(a == 1, 1 / p, 1 / (1 - p))
    stratum = pd.qcut(p, 5, labels=False)
    others = np.empty((4, len(a)))
    for arm in (0, 1):
        to, of = a == 1 - arm, a == arm
        others[0, to] = y[of][np.abs(p[to][:, None] - p[of]).argmin(axis=1)]
        others[1, to] = pd.Series(y[of]).groupby(stratum[of]).mean()[stratum[to]]
        others[2, to] = np.average(y[of], weights=w[of])
        others[3, to] = Ridge().fit(X[of], y[of]).predict(X[to])
    found = [related(imputed(other, study), study["ite"]) for other in others]
    np.testing.assert_allclose(found, [0.48, 0.65, 0.65, 0.63], atol=6e-3)


@pytest.mark.slow
def test_ten_replicates():
    """Learners that draw nothing to the digits that are printed; trees, which change with their library, about."""
    found = ihdp.ten()
    assert list(TEN) == list(found.index)
    for name, cells in TEN.items():
        for column, cell in zip(ihdp.COLUMNS, cells, strict=True):
            mean, error = map(float, re.findall(r"[\d.]+", cell))
            margin = 0.5 * found.loc[name, f"{column}, error"] + 0.03 if "boosting" in name else 0.011
            assert found.loc[name, column] == pytest.approx(mean, abs=margin), (name, column)
            assert found.loc[name, f"{column}, error"] == pytest.approx(error, abs=margin), (name, column)
