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


def compare(data: pd.DataFrame) -> cf.Result:
    f = "y ~ treat(a) + x"
    found: cf.Comparison = cf.compare(f, data, ["regression", cf.IPW(link="probit"), cf.Ebal], estimand="ATT", truth=1)
    named = cf.compare(f, data, {"one": "ipw", "two": cf.Nearest(ratio=2)}, vcov={"one": "~g"}, truth=[1, 2])
    units = cf.compare(f, data, ["regression", "t_learner"], truth="effect")
    also = cf.compare(f, data, ["regression"], truth=data["effect"])
    fit = cf.fit(f, data, "t_learner", model="boosting")
    print(fit.effects().score("effect"), fit.qini().plot(compare={"r": cf.fit(f, data, cf.RLearner()).qini()}))
    print(units.plot(kind="errors").get_xlabel(), also.unit_truth)
    print(found.tidy(names="snake"), found.agreement(), found.test, found.balance(), named.plot().get_xlabel())
    return found.fits["ipw"]


def look(data: pd.DataFrame) -> Axes:
    design = cf.design("~ treat(a) + adjust(x)", data, "ebal")
    again: cf.Result = design.fit("y ~ treat(a)", measure="difference")
    also: cf.Design[cf.Result] = again.design
    print(again.estimate, also.balance(threshold=0.05).to_frame(), design.summary())
    again.plot("effects")
    cf.lm("y ~ x", data, na_action="fail").plot()
    print(also.plot("qq", covariate="all").shape, also.plot("ecdf", covariate=["x"]).flat[0])
    print(also.balance(compare={"first": design}), also.plot("love", compare={"first": design}).get_xlabel())
    return plain(again.design).plot("overlap")


def plain(design: cf.Design, other: cf.MatchedDesign | None = None) -> cf.Design:
    number: float = design.fit("y ~ treat(a)").estimate
    if other is not None:
        print(number, other.fit("y ~ treat(a)").tidy(), other.nn)
    return design


def requests() -> list[object]:
    methods = ["ipw", "ebal"]  # words that are put together at run time are text
    return [cf.Bootstrap(reps=99, seed=1, n_jobs=2), cf.Cluster("g", type="CR2"), cf.IPW(link="probit"), methods]


def families(data: pd.DataFrame) -> cf.Result:
    strata: cf.SubclassResult = cf.fit("y ~ treat(a) + x", data, method="subclass", subclass=5)
    print(strata.with_vcov("HC3").strata().test, strata.stratified().tidy(), strata.means().estimate)
    again: cf.SubclassResult = cf.design("~ treat(a) + x", data, cf.Subclass(discard="both")).fit("y ~ treat(a)")
    pairs: pd.DataFrame | None = cf.fit(
        "y ~ treat(a) + x", data, "nearest", caliper=0.2, m_order="closest"
    ).design.pairs
    matched: cf.MatchedDesign[cf.MatchedResult] = cf.design("~ treat(a) + x", data, cf.Nearest(m_order="closest"))
    print(pairs, matched.summary(un=False).to_frame(), matched.fit("y ~ treat(a)", vcov="HC3").design.match_matrix)
    cells: pd.DataFrame = cf.fit("y ~ did(a, t)", data, cf.DiD, vcov="HC1").cells()
    found = cf.fit("y ~ did(a, t)", data)
    if isinstance(found, cf.DidResult):
        found.plot("trends")
    learned: cf.LearnedResult = cf.fit("y ~ treat(a) + x", data, "aipw", model="forest")
    targeted: cf.LearnedResult = cf.fit("y ~ treat(a) + x", data, cf.TMLE(fluctuation="linear"))
    double: cf.DMLResult = cf.fit("y ~ treat(a) + x", data, cf.DML, score="iv_type")
    print(learned.predictions(), targeted.learners(), double.gate("x").tidy(), double.sensitivity().tidy())
    units: cf.UnitResult = cf.fit("y ~ treat(a) + x", data, "x_learner", model="forest")
    effects: cf.Effects = cf.fit("y ~ treat(a) + x", data, cf.DRLearner(folds=2)).effects(data, vcov="bootstrap")
    print(effects.to_frame(), effects.score("tau")["PEHE"], units.rate("QINI").estimate, units.value(0.2).share)
    print(cells, again.strata())
    return strata


def sums(one: cf.Result, other: cf.Result, model: cf.Model) -> pd.DataFrame:
    difference: cf.Stack = one - other
    total: cf.Stack = one + other - model
    half: cf.Result = -(one + other) / 2
    same: cf.Model = model + 0
    print(difference.fits, total.fits, half.estimate, same.rsquared, sum([one, other]))
    return (2 * model - model).tidy()


def words(data: pd.DataFrame, model: cf.Model, fit: cf.Result) -> list[cf.Test]:
    cf.fit("y ~ treat(a)", data, "ipw", link="probit", family="binomial", vcov=cf.HC("HC1", weights="fixed"))
    print(cf.HAC("Andrews", kernel="Parzen"), cf.Wild(weights="webb", tails="equal"), cf.Jackknife(centre="estimate"))
    print(
        cf.adjust_pvalues([fit, model], "romano_wolf", weights="webb"), model.drop1("F"), cf.anova(model, test="Chisq")
    )
    print(fit.design.balance(["smd", "ks"], binary="std").to_frame(), fit.design.plot("love", order="formula"))
    print(cf.table([fit, model], statistic="conf.int"), fit.simultaneous(weights="rademacher").table)
    print(cf.glm("y ~ x", data, family="poisson"), cf.glm("y ~ x", data, family="binomial(link = 'probit')"))
    print([cf.datasets.load(name) for name in cf.datasets.names()])
    matrix: pd.DataFrame = cf.model_matrix("y ~ x", data)
    print(matrix, cf.datasets.load("heart"), cf.parse("y ~ treat(a)").outcome)
    return [cf.bptest(model), cf.resettest(model, type="regressor"), cf.bgtest(model, type="F"), cf.dwtest(model)]


def loop(data: pd.DataFrame) -> cf.Stack:
    fits = {name: cf.fit("y ~ treat(a)", data, name) for name in ("ipw", "ebal")}
    try:
        return cf.stack(fits)
    except cf.OptionError as error:
        raise ValueError(str(error)) from error


def covariances(data: pd.DataFrame, model: cf.Model) -> list[cf.Model]:
    matrix = model.cov_params()
    other = cf.lm("y ~ x", data, vcov=cf.Cluster(["g", "h"]))
    print(cf.fit("y ~ treat(a)", data, vcov="HC3").with_vcov(cf.Bootstrap(99)), cf.waldtest(model, vcov=matrix))
    return [model.with_vcov(matrix), model.with_vcov(matrix.to_numpy()), other.with_vcov("NeweyWest(2) ~ t")]
