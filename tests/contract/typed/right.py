"""A user's code that a type checker has nothing to say against; run by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

import causalformula as cf

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def effect(data: pd.DataFrame) -> cf.Result:
    return cf.fit("y ~ treat(a) + adjust(x)", data, method="ipw", estimand="ATT", measure="ratio", contrast="pairwise")


def read(fit: cf.Result) -> pd.DataFrame:
    number: float = fit.estimate + fit.std_error
    wide = fit.with_vcov("HC3").tidy(level=0.9, names="snake")
    text: str = str(fit.summary()) + fit.summary().as_markdown() + fit.endog_names + fit.cov_type
    model: cf.Model | None = fit.outcome
    if model is not None:
        residuals: pd.Series[float] = model.residuals("pearson")
        print(residuals, model.predict(type="response", interval="confidence"), model.rsquared)
    print(number, text, fit.hypothesis("b1 = 0").tidy(), cf.table({"one": fit}).as_latex())
    return wide


def look(data: pd.DataFrame) -> Axes:
    design = cf.design("~ treat(a) + adjust(x)", data, "ebal")
    again: cf.Result = design.fit("y ~ treat(a)", measure="difference")
    also: cf.Design[cf.Result] = again.design
    print(again.estimate, also.balance(threshold=0.05).to_frame(), design.summary())
    again.plot("effects")
    cf.lm("y ~ x", data, na_action="fail").plot()
    print(also.plot("qq", covariate="all").shape, also.plot("ecdf", covariate=["x"]).flat[0])
    print(also.balance(compare={"first": design}), also.plot("love", compare={"first": design}).get_xlabel())
    return also.plot("overlap")


def requests() -> list[object]:
    methods = ["ipw", "ebal"]  # words that are put together at run time are text
    return [cf.Bootstrap(reps=99, seed=1, n_jobs=2), cf.Cluster("g", type="CR2"), cf.IPW(link="probit"), methods]


def loop(data: pd.DataFrame) -> cf.Stack:
    fits = {name: cf.fit("y ~ treat(a)", data, name) for name in ("ipw", "ebal")}
    try:
        return cf.stack(fits)
    except cf.OptionError as error:
        raise ValueError(str(error)) from error
