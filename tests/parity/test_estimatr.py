"""Experiments through ``cf.fit`` against estimatr 1.0.0: difference_in_means and lm_lin."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.parity import reference


def lalonde() -> pd.DataFrame:
    d = reference.data("lalonde.csv")
    d["w"] = d["educ"] + 1
    d["cl"] = d["race"].astype(str) + " " + d["educ"].astype(str)
    return d


def sorted_lalonde() -> pd.DataFrame:
    """Rows by re74, then id: pairs and fours of neighbours, tens as clusters."""
    d = lalonde().sort_values(["re74", "id"], kind="stable").reset_index(drop=True)
    i = np.arange(len(d))
    return d.assign(blk=i // 2, z=i % 2, blk4=i // 4, cl=i // 10, zc=(i // 10 + 1) % 2)


def compare(row: pd.Series, stored: dict[str, Any], name: str) -> None:
    """A row of ``tidy()`` with the entry of that name."""

    def of(key: str, alternative: str) -> float:
        value = stored.get(key, stored.get(alternative))
        return reference.number(value[name]) if isinstance(value, dict) else reference.number(value)

    se = of("std.error", "std_error")
    reference.close(row["estimate"], of("coefficients", "coef"), scale=se, what="estimate")
    reference.close(row["std.error"], se, what="std.error")
    reference.close(row["statistic"], of("statistic", "statistic"), scale=1, what="statistic")
    reference.close(row["df"], of("df", "df"), what="df")
    reference.close(row["conf.low"], of("conf.low", "conf_low"), scale=se, what="conf.low")
    reference.close(row["conf.high"], of("conf.high", "conf_high"), scale=se, what="conf.high")
    limit = 1e-8 * (1 + row["statistic"] ** 2)
    assert abs(np.log(row["p.value"]) - np.log(of("p.value", "p_value"))) <= limit


DESIGNS: dict[str, tuple[str, Any, dict[str, Any], float]] = {
    "plain": ("re78 ~ treat(treat)", lalonde, {}, 0.95),
    "blocked_race": ("re78 ~ treat(treat) + strata(race)", lalonde, {}, 0.95),
    "weighted": ("re78 ~ treat(treat) + weights(w)", lalonde, {}, 0.95),
    "matched_pair": ("re78 ~ treat(z) + strata(blk)", sorted_lalonde, {}, 0.95),
    "blocked4": ("re78 ~ treat(z) + strata(blk4)", sorted_lalonde, {}, 0.95),
    "clustered": ("re78 ~ treat(zc) + cluster(cl)", sorted_lalonde, {}, 0.95),
    "subset": ("re78 ~ treat(treat)", lalonde, {"subset": "race != 'hispan'"}, 0.95),
    "conditions": ("re78 ~ treat(race)", lalonde, {"contrast": ("black", "white")}, 0.95),
    "alpha10": ("re78 ~ treat(treat)", lalonde, {}, 0.90),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_difference_in_means(name: str) -> None:
    """R: difference_in_means(re78 ~ ..., blocks = , clusters = , weights = , condition1 = , condition2 = )."""
    formula, data, options, level = DESIGNS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        fit = cf.fit(formula, data(), method="difference_in_means", **options)
    stored = reference.values("estimatr_difference_in_means")[name]
    (term,) = reference.names(stored["coefficients"])
    tidy = fit.tidy(level)
    assert len(tidy) == 1
    compare(tidy.iloc[0], stored, term)
    # with condition1 and condition2 estimatr leaves the third arm out, and fit() keeps it in the frame
    assert fit.nobs == (614 if name == "conditions" else stored["nobs"])


def test_every_stored_design_is_compared() -> None:
    assert set(reference.values("estimatr_difference_in_means")) - {"pair_setup"} == set(DESIGNS)


LIN: dict[str, tuple[str, str]] = {
    "one": ("treat(treat) + adjust(age)", "HC2"),
    "many": ("treat(treat) + adjust(age + educ + race + re74)", "HC2"),
    "HC3": ("treat(treat) + adjust(age + educ)", "HC3"),
    "cluster": ("treat(treat) + adjust(age + educ)", "CR2 ~ cl"),
    "weighted": ("treat(treat) + adjust(age + educ) + weights(w)", "HC2"),
    "multi": ("treat(race) + adjust(age + educ)", "HC2"),
}


@pytest.mark.parametrize("name", LIN)
def test_lm_lin(name: str) -> None:
    """R: lm_lin(re78 ~ treat, covariates = ~ ...): a model an arm; the coefficients of the arms are the effects."""
    terms, vcov = LIN[name]
    fit = cf.fit(f"re78 ~ {terms}", lalonde(), method="regression", interact=True, vcov=vcov)
    stored = reference.values("estimatr_lm_lin")[name]
    arms = ["factor(race)hispan", "factor(race)white"] if name == "multi" else ["treat"]
    tidy = fit.tidy()
    assert len(tidy) == len(arms)
    for (_, row), arm in zip(tidy.iterrows(), arms, strict=True):
        compare(row, stored, arm)


def test_every_stored_lin_fit_is_compared() -> None:
    assert set(reference.values("estimatr_lm_lin")) == set(LIN)
