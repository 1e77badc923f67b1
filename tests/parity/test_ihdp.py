"""Hill's benchmark (2011): the numbers that vignette 05 states, on data that are not shipped."""

from __future__ import annotations

import re
import warnings
from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import Ridge

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


def test_correlations_that_a_regression_has():
    """Of predicted and observed outcomes, and of imputed effects: none is the published 0.58."""
    study = ihdp.replicate(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = cf.fit(ihdp.QUESTION, study).outcome
    fitted, effect = model.fitted.to_numpy(), tables().loc["linear regression", "estimate"]
    own, a = study["y_factual"].to_numpy(), study["treatment"].to_numpy() == 1
    other = np.where(a, fitted - effect, fitted + effect)
    imputed = np.where(a, own - other, other - own)
    drawn = np.where(a, own - study["y_cfactual"], study["y_cfactual"] - own)
    found = [np.corrcoef(pair)[0, 1] for pair in ([fitted, own], [imputed, study["ite"]], [imputed, drawn])]
    np.testing.assert_allclose(found, [0.86, 0.33, 0.71], atol=5e-3)


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
