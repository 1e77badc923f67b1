"""``cf.lm`` and ``cf.glm`` against R 4.2.2 on synthetic data: ``tests/parity/r/model.R``."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from causalformula.results.model import Model
from tests.parity import reference
from tests.parity.test_lm import tables

RTOL = 1e-8
STORED: dict[str, Any] = reference.values("r_model")
MODELS = {m["call"]: m for m in STORED["models"]}
EVERY = pytest.mark.parametrize("call", MODELS)


def frame(columns: dict[str, list[Any]]) -> pd.DataFrame:
    """The stored data, with R's row names."""
    made = pd.DataFrame({k: pd.Series(v, dtype=float if None in v else None) for k, v in columns.items()})
    return made.set_index(pd.RangeIndex(1, len(made) + 1))


@cache
def fitted(call: str) -> Model:
    r = MODELS[call]
    given = {k: r[k] for k in ("weights", "offset", "subset", "family") if r.get(k) is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        return getattr(cf, r["kind"])(r["formula"], frame(STORED["data"]), **given)


def many(value: Any) -> np.ndarray:
    """A vector, which R wrote as a number where it had one element."""
    return np.array([reference.number(v) for v in (value if isinstance(value, list) else [value])])


def spread(r: dict[str, Any]) -> np.ndarray:
    """Standard errors of all coefficients, 0 for the aliased ones."""
    return np.sqrt(np.nan_to_num(np.diag(np.array(r["vcov"], dtype=float).reshape(len(r["names"]), -1))))


@EVERY
def test_coefficients(call: str) -> None:
    """R: coef, vcov, summary(f)$coefficients, confint (lm) and confint.default (glm)."""
    model, r = fitted(call), MODELS[call]
    assert list(model.coef.index) == r["names"]
    reference.close(model.coef, many(r["coef"]), RTOL, spread(r), "coef")
    vcov = np.array(r["vcov"], dtype=float).reshape(len(r["names"]), -1)
    reference.close(model.cov_params(), vcov, RTOL, reference.covariance_scale(vcov), "vcov")
    table = np.array(r["table"], dtype=float)
    kept = model.tidy().dropna(subset=["estimate"])
    reference.close(kept[["std.error", "statistic"]], table[:, 1:3], RTOL, 1e-2, "summary")
    reference.close(np.log(kept["p.value"]), np.log(table[:, 3]), RTOL, 1 + table[:, 2] ** 2, "log p")
    limits = np.array(r["confint"], dtype=float)
    reference.close(model.confint(), limits, RTOL, spread(r)[:, None], "confint")


@EVERY
def test_fit(call: str) -> None:
    """R: logLik, AIC, BIC, nobs, df.residual, deviance; summary.lm; summary.glm."""
    model, r = fitted(call), MODELS[call]
    assert (model.nobs, model.df_residual) == (r["nobs"], r["df_residual"])
    assert list(model.frame.index) == r["rows"]
    assert set(model.notes) == set(r["warnings"])
    reference.close(model.deviance, r["deviance"], RTOL, what="deviance")
    for ours, theirs in ((model.loglik, "logLik"), (model.aic, "AIC"), (model.bic, "BIC")):
        reference.close(ours, r[theirs], RTOL, what=theirs)
    if r["kind"] == "lm":
        for name in ("sigma", "r_squared", "adj_r_squared"):
            reference.close(getattr(model, name), r[name], RTOL, 1, name)
        assert (model.fstatistic is None) == ("fstatistic" not in r)
        if model.fstatistic is not None:
            reference.close(model.fstatistic, r["fstatistic"], RTOL, what="fstatistic")
    else:
        reference.close(model.dispersion, r["dispersion"], RTOL, what="dispersion")
        reference.close(model.null_deviance, r["null_deviance"], RTOL, what="null deviance")
        assert (model.df_null, model.iterations) == (r["df_null"], r["iterations"])


@EVERY
def test_rows(call: str) -> None:
    """R: fitted, residuals of every type, hatvalues, rstandard, rstudent, cooks.distance."""
    model, r = fitted(call), MODELS[call]
    reference.close(model.fitted, r["fitted"], RTOL, 1, "fitted")
    for kind, theirs in r["residuals"].items():
        reference.close(model.residuals(kind), many(theirs), RTOL, 1, kind)
    reference.close(model.hatvalues(), np.nan_to_num(many(r["hat"])), RTOL, 1, "hat")
    reference.close(model.rstandard(), many(r["standardized"]), RTOL, 1, "rstandard")
    reference.close(model.cooks_distance(), many(r["cooks"]), RTOL, 1, "cooks.distance")
    if model.df_residual > 1:  # with one degree of freedom the variance without a row is 0 / 0
        reference.close(model.rstudent(), many(r["studentized"]), RTOL, 1, "rstudent")


@pytest.mark.parametrize("call", [c for c, r in MODELS.items() if r["newdata"]])
def test_prediction(call: str) -> None:
    """R: predict(f, newdata) with standard errors, and the intervals of a linear model."""
    model, r = fitted(call), MODELS[call]
    theirs, new = r["newdata"], frame(STORED["newdata"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        found = model.predict(new, se_fit=True, interval="confidence")
        reference.close(found["fit"], many(theirs["link"]), RTOL, 1, "fit")
        reference.close(found["se.fit"], many(theirs["se"]), RTOL, 1e-3, "se.fit")
        if r["kind"] == "lm":
            reference.close(found["lwr"], many(theirs["low"]), RTOL, 1, "confidence")
            wide = model.predict(new, interval="prediction")
            reference.close(wide["lwr"], many(theirs["plow"]), RTOL, 1, "prediction")
            return
        response = model.predict(new, type="response", se_fit=True)
    reference.close(response["fit"], many(theirs["response"]), RTOL, 1, "response")
    reference.close(response["se.fit"], many(theirs["rse"]), RTOL, 1e-3, "response se")


@EVERY
def test_printed(call: str) -> None:
    """R: print, summary and coeftest with vcovHC, from the first table on."""
    model, r = fitted(call), MODELS[call]
    assert tables(f"{model}\n") == tables(r["print"])
    assert tables(f"{model.summary()}\n") == tables(r["summary"])
    if "coeftest" in r:
        robust = model.with_vcov("HC3")
        reference.close(robust.cov_params().dropna(how="all").dropna(axis=1, how="all"), r["HC3"], RTOL, 1e-2, "HC3")
        assert tables(f"{robust.coeftest()}\n") == tables(r["coeftest"])
