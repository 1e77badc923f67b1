"""Hypotheses, anova, drop1 and specification tests against R: the numbers, and the text character for character."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.parity import reference
from tests.parity.reference import close

R = reference.values("r_model_tests")
F = "Severity ~ Drug * x + g"


def heart():
    d = reference.data("heart.csv")
    n = len(d)
    place = np.arange(1, n + 1)
    d["x"] = d["I.H"]
    d["z"] = 20 * np.cos(place) + d["x"] / 5
    d["g"] = pd.Categorical(np.resize(["a", "b", "c"], n))
    d["w"] = 1 + place % 3
    d["high"] = (d["Severity"] > 50).astype(int)
    d["pos"] = d["Severity"] - d["Severity"].min() + 1
    d["count"] = np.round(d["pos"] / 10)
    d["cl"] = np.resize(np.arange(1, 24), n) ** 2 % 17
    d["t"] = place * 37 % n
    return d


@pytest.fixture(scope="module")
def models():
    d = heart()
    return {
        "f": cf.lm(F, d),
        "s": cf.lm("Severity ~ Drug", d),
        "i": cf.lm("Severity ~ Drug * x", d),
        "one": cf.lm("Severity ~ 1", d),
        "fw": cf.lm("Severity ~ Drug + x", d, weights="w"),
        "al": cf.lm("Severity ~ Drug + I(2 * Drug) + x", d),
        "no": cf.lm("Severity ~ Drug + x - 1", d),
        "off": cf.lm("Severity ~ offset(x) + Drug", d),
        "xz": cf.lm("Severity ~ x + z", d),
        "small": cf.lm("Severity ~ Drug + x", d.iloc[:40]),
        "b": cf.glm("high ~ Drug + x + g", d, family="binomial"),
        "b1": cf.glm("high ~ Drug", d, family="binomial"),
        "p": cf.glm("count ~ Drug + x", d, family="poisson"),
        "q": cf.glm("pos ~ Drug + x", d, family="Gamma(link='log')"),
        "ga": cf.glm("Severity ~ Drug + x", d),
        "ga1": cf.glm("Severity ~ Drug", d),
    }


# A deletion or a term may change a sum of squares of 2e4 by next to nothing: the change is rounded on the sum's scale.
SCALE = {"Sum of Sq": 1.0, "Sum Sq": 1.0}


def same_p(ours, theirs, statistic, rtol):
    """The logarithms of p-values, at ``rtol (1 + z^2)``; those below 1e-300 are only as small."""
    a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
    assert np.array_equal(np.isnan(a), np.isnan(b))
    tiny = b < 1e-300
    assert (a[tiny] < 1e-290).all()
    known = ~(tiny | np.isnan(b))
    limit = rtol * (1 + np.abs(np.asarray(statistic, dtype=float)[known]))
    assert (np.abs(np.log(a[known] / b[known])) <= limit).all()


def same_table(ours, theirs, rtol=1e-8):
    """A table of the same rows and columns: sums of squares on the scale of the largest."""
    columns = {name: np.array([reference.number(v) for v in column]) for name, column in theirs["columns"].items()}
    assert list(ours.columns) == list(columns)
    assert [str(row) for row in ours.index] == theirs["rows"]
    for name, column in columns.items():
        if name.startswith("Pr("):
            test = list(columns.values())[max(0, list(columns).index(name) - 1)]
            statistic = np.nan_to_num(np.abs(test) * np.nan_to_num(np.abs(columns["Df"]), nan=1).clip(1))
            same_p(ours[name], column, statistic, rtol * 10)
        else:
            close(ours[name], column, rtol, SCALE.get(name, 0.0), name)


@pytest.mark.parametrize(
    ("case", "name", "vcov", "equations"),
    [
        ("two", "f", None, ["Drug = 0", "x = 0.9"]),
        ("HC3", "f", "HC3", ["Drug = 0", "x = 0.9"]),
        ("clustered", "f", "~cl", ["Drug = 0", "gb = gc"]),
        ("combination", "f", None, "2*Drug - x = 1"),
        ("interaction", "f", None, "Drug:x = 0"),
        ("weighted", "fw", None, "Drug = -10"),
        ("binomial", "b", None, ["Drug = 0", "gb = gc"]),
        ("binomial_HC0", "b", "HC0", ["Drug = 0", "gb = gc"]),
        ("gamma", "q", None, "Drug = -0.1"),
    ],
)
def test_linear_hypotheses_are_cars(models, case, name, vcov, equations):
    """``car::linearHypothesis``."""
    model = models[name] if vcov is None else models[name].with_vcov(vcov)
    test = model.hypothesis(equations).test
    # IRLS stops as R's does; chi-squared statistics of a glm are right to its own 1e-8
    same_table(test.table, R["hypotheses"][case], 1e-7 if name in ("b", "q") else 1e-8)
    assert str(test) == R["hypotheses"][case]["text"]
    assert isinstance(test.df, tuple) == (name not in ("b", "q"))


def test_names_need_no_backquotes(models):
    plain = models["f"].hypothesis(["Drug:x = 0", "(Intercept) = 1"])
    quoted = models["f"].hypothesis(["`Drug:x` = 0", "`(Intercept)` == 1"])
    numbered = models["f"].hypothesis(["b6 = 0", "b1 - 1"])
    assert plain.test.statistic == quoted.test.statistic == numbered.test.statistic
    d = heart()
    factor = cf.lm("Severity ~ factor(cl) + poly(x, 2)", d)
    one = factor.hypothesis("factor(cl)4 = factor(cl)13")
    assert one.estimate[0] == pytest.approx(factor.coef["factor(cl)4"] - factor.coef["factor(cl)13"])
    assert factor.hypothesis("poly(x, 2)2 = 0").estimate[0] == factor.coef["poly(x, 2)2"]
    # `factor(cl)1` is a part of `factor(cl)13`, and is not read there
    assert factor.hypothesis("factor(cl)1 - factor(cl)13").estimate[0] == pytest.approx(
        factor.coef["factor(cl)1"] - factor.coef["factor(cl)13"]
    )


def test_nonlinear_hypotheses_go_through_the_delta_method(models):
    model = models["s"]
    found = model.hypothesis("Drug / `(Intercept)` = 0.1")
    b0, b1 = model.coef
    slope = np.array([-b1 / b0**2, 1 / b0])
    assert found.estimate[0] == pytest.approx(b1 / b0 - 0.1, rel=1e-12)
    assert found.covariance.std_error[0] == pytest.approx(np.sqrt(slope @ model.vcov().to_numpy() @ slope), rel=1e-10)
    assert str(found.test).startswith("Nonlinear hypothesis test")


def test_hypotheses_that_cannot_be_tested(models):
    with pytest.raises(cf.OptionError, match=r"I\(2 \* Drug\) is aliased"):
        models["al"].hypothesis("I(2 * Drug) = 0")
    with pytest.raises(cf.OptionError, match="not independent"):
        models["f"].hypothesis(["Drug = 0", "2 * Drug = 0"])
    with pytest.raises(cf.FormulaError, match="did you mean 'Drug'"):
        models["f"].hypothesis("Drugs = 0")


ANOVAS = {
    "lm": ("f",),
    "lm_small": ("s",),
    "lm_weighted": ("fw",),
    "lm_aliased": ("al",),
    "lm_no_intercept": ("no",),
    "lm_offset": ("off",),
    "lm_two": ("s", "f"),
    "lm_three": ("one", "s", "f"),
    "lm_down": ("f", "s"),
    "binomial": ("b",),
    "binomial_two": ("b1", "b"),
    "poisson": ("p",),
    "gamma": ("q",),
    "gaussian": ("ga",),
    "gaussian_two": ("ga", "ga1"),
}
TESTED = {"lm_two_chisq": ("s", "f"), "binomial_none": ("b",), "gamma_chisq": ("q",)}


@pytest.mark.parametrize("case", [*ANOVAS, *TESTED])
def test_anova_is_rs(models, case):
    asked = {"binomial_none": "none"}.get(case, "Chisq") if case in TESTED else None
    found = cf.anova(*(models[name] for name in {**ANOVAS, **TESTED}[case]), test=asked)
    # deviances of submodels come from R's own stopping rule
    same_table(found.table, R["anova"][case], 1e-8 if case.startswith("lm") else 1e-6)
    assert str(found) == R["anova"][case]["text"]


@pytest.mark.parametrize(
    ("case", "name", "test"),
    [
        ("lm", "f", "none"),
        ("lm_F", "f", "F"),
        ("lm_chisq", "f", "Chisq"),
        ("lm_weighted", "fw", "F"),
        ("binomial", "b", "Chisq"),
        ("poisson", "p", "none"),
        ("gamma", "q", "none"),
        ("gamma_F", "q", "F"),
        ("gamma_chisq", "q", "Chisq"),
        ("gaussian_F", "ga", "F"),
    ],
)
def test_drop1_is_rs(models, case, name, test):
    found = models[name].drop1(test)
    same_table(found.table, R["drop1"][case], 1e-8 if case.startswith("lm") else 1e-6)
    assert str(found) == R["drop1"][case]["text"]


def test_stored_tables():
    stored = reference.values("lm_heart_unadjusted")
    found = cf.anova(cf.lm("Severity ~ Drug", reference.data("heart.csv")))
    assert str(found) == stored["printed_anova"]
    full = reference.values("lm_lalonde_full")
    model = cf.lm("re78 ~ treat + age + educ + race + married + nodegree + re74 + re75", reference.data("lalonde.csv"))
    for ours, theirs in ((cf.anova(model), full["anova1"]), (model.drop1("F"), full["drop1"])):
        same_table(ours.table, {"columns": theirs["columns"], "rows": theirs["row_names"]})
    stored = reference.values("glm_logit_lalonde_ps")["anova_chisq"]
    logit = cf.glm(
        "treat ~ age + educ + race + married + nodegree + re74 + re75", reference.data("lalonde.csv"), family="binomial"
    )
    same_table(cf.anova(logit).table, {"columns": stored["columns"], "rows": stored["row_names"]}, 1e-6)


SPECIFICATION = {
    "bp": lambda m: cf.bptest(m["f"]),
    "bp_x": lambda m: cf.bptest(m["f"], "~ x"),
    "bp_plain": lambda m: cf.bptest(m["f"], "~ x + z", studentize=False),
    "reset": lambda m: cf.resettest(m["f"]),
    "reset_2": lambda m: cf.resettest(m["f"], power=2),
    "reset_regressor": lambda m: cf.resettest(m["xz"], type="regressor"),
    "reset_princomp": lambda m: cf.resettest(m["xz"], power=3, type="princomp"),
    "dw": lambda m: cf.dwtest(m["f"]),
    "dw_two": lambda m: cf.dwtest(m["f"], alternative="two.sided"),
    "dw_less": lambda m: cf.dwtest(m["f"], alternative="less"),
    "dw_exact": lambda m: cf.dwtest(m["small"]),
    "dw_exact_two": lambda m: cf.dwtest(m["small"], alternative="two-sided"),
    "dw_approximate": lambda m: cf.dwtest(m["small"], exact=False),
    "dw_ordered": lambda m: cf.dwtest(m["small"], order_by="t"),
    "bg": lambda m: cf.bgtest(m["f"]),
    "bg_3": lambda m: cf.bgtest(m["f"], order=3),
    "bg_F": lambda m: cf.bgtest(m["f"], order=2, type="F"),
    "bg_ordered": lambda m: cf.bgtest(m["small"], order_by="t"),
}


@pytest.mark.parametrize("case", SPECIFICATION)
def test_specification_tests_are_lmtests(models, case):
    stored = R["tests"][case]
    found = SPECIFICATION[case](models)
    close(found.statistic, stored["statistic"], 1e-8, what="statistic")
    close(found.p_value, stored["p_value"], 1e-8, what="p-value")
    if stored["parameter"]:
        close(np.atleast_1d(found.df), np.atleast_1d(stored["parameter"]), what="df")
    assert str(found) == stored["text"]


def test_stored_specification_tests():
    stored = reference.values("lm_heart_adjusted")
    d = reference.data("heart.csv")
    model = cf.lm("Severity ~ Drug + I.H", d)
    bp, reset = cf.bptest(model), cf.resettest(model)
    close([bp.statistic, bp.p_value, bp.df], list(stored["bptest"].values()), what="bptest")
    close([reset.statistic, reset.p_value], list(stored["resettest"].values()), what="resettest")
    wald = cf.waldtest(cf.lm("Severity ~ Drug", d), model, vcov="HC3")
    same_table(wald.table, {"columns": stored["waldtest"]["columns"], "rows": stored["waldtest"]["row_names"]})
    stored = reference.values("lm_hac")
    firm = reference.data("Grunfeld.csv").query("firm == 1")
    model = cf.lm("inv ~ value + capital", firm)
    dw, bg = cf.dwtest(model), cf.bgtest(model)
    close([dw.statistic, dw.p_value], list(stored["dwtest"].values()), what="dwtest")
    close([bg.statistic, bg.p_value], list(stored["bgtest1"].values()), what="bgtest")


@pytest.mark.parametrize(
    ("case", "names", "options"),
    [
        ("two", ("s", "f"), {}),
        ("down", ("f", "s"), {}),
        ("one", ("f",), {}),
        ("HC3", ("s", "f"), {"vcov": "HC3"}),
        ("chisq", ("s", "f"), {"vcov": "HC3", "test": "Chisq"}),
        ("binomial", ("b",), {}),
        ("binomial_chisq", ("b",), {"test": "Chisq"}),
        ("term", ("f", "- g"), {}),
        ("terms", ("f", ["g", "x:Drug"]), {}),
        ("terms_in_turn", ("f", "- Drug:x", "- g"), {"vcov": "HC3"}),
        ("binomial_chain", ("b", "- g", "- x"), {"test": "Chisq"}),
        ("chain", ("s", "i", "f"), {}),
    ],
)
def test_wald_tests_are_lmtests(models, case, names, options):
    """Models by their names here; ``- g`` leaves out a term."""
    found = cf.waldtest(
        *(n.removeprefix("- ") if n[0] == "-" else n if isinstance(n, list) else models[n] for n in names), **options
    )
    same_table(found.table, R["wald"][case], 1e-7 if "b" in names else 1e-8)
    assert str(found) == R["wald"][case]["text"]


@pytest.mark.parametrize(
    ("case", "name", "vcov", "equations"),
    [
        ("lm_CR2", "f", "CR2 ~ cl", ["Drug = 0", "x = 0"]),
        ("lm_CR3", "f", "CR3 ~ cl", ["Drug = 0", "x = 0"]),
        ("weighted_CR2", "fw", "CR2 ~ cl", ["Drug = 0", "x = 0"]),
        ("weighted_CR3", "fw", "CR3 ~ cl", ["Drug = 0", "x = 0"]),
        ("lm_one", "f", "CR2 ~ cl", "Drug = 0"),
        ("lm_four", "f", "CR2 ~ cl", ["Drug = 0", "x = 0", "gb = 0", "gc = 0"]),
        ("binomial_CR2", "b", "CR2 ~ cl", ["Drug = 0", "x = 0"]),
        ("poisson_CR2", "p", "CR2 ~ cl", ["Drug = 0", "x = 0"]),
    ],
)
def test_joint_tests_under_cr2_are_hotellings(models, case, name, vcov, equations):
    """``clubSandwich::Wald_test(test = 'HTZ')``."""
    stored = R["hotelling"][case]
    found = models[name].with_vcov(vcov).hypothesis(equations).test
    # a glm of R has standard errors right to 1e-5, as it stops early
    rtol = 1e-5 if name in ("b", "p") else 1e-8
    close([found.statistic, *found.df], [stored["F"], stored["df1"], stored["df2"]], rtol, what="HTZ")
    same_p([found.p_value], [stored["p"]], [stored["F"] * stored["df1"]], 10 * rtol)


def test_stored_hotelling():
    stored = reference.values("lm_clubsandwich_lalonde")["wald"]["columns"]
    d = reference.data("lalonde.csv")
    d["cl"] = d["race"].astype(str) + " " + d["educ"].astype(str)
    fit = cf.lm("re78 ~ treat + age + married", d, vcov="CR2 ~ cl")
    test = fit.hypothesis(["treat = 0", "age = 0"]).test
    theirs = [stored["Fstat"][0], stored["df_num"][0], stored["df_denom"][0], stored["p_val"][0]]
    close([test.statistic, *test.df, test.p_value], theirs, what="HTZ")
    # a causal fit has the same test
    effects = cf.fit("re78 ~ treat(factor(race)) + age", d, vcov="CR2 ~ cl")
    model = effects.outcome.with_vcov("CR2 ~ cl")
    pair = [name for name in model.names if "race" in name]
    joint = effects.hypothesis(["b1 = 0", "b2 = 0"]).test
    twin = model.hypothesis([f"{name} = 0" for name in pair]).test
    assert (joint.statistic, *joint.df) == pytest.approx((twin.statistic, *twin.df), rel=1e-9)


def test_hotelling_refuses_more_than_the_clusters_bear(models):
    d = heart()
    d["three"] = d["cl"] % 3
    model = cf.lm(F, d, vcov="CR2 ~ three")
    with pytest.raises(cf.OptionError, match=r"too many for these clusters|comes from 3 clusters of three, has rank"):
        model.hypothesis(["Drug = 0", "x = 0", "gb = 0", "gc = 0"])


def test_statsmodels_agrees(models):
    """A second opinion on the tests that statsmodels has."""
    from statsmodels.stats import diagnostic

    model = models["xz"]
    results = model.to_statsmodels()
    resid, design = np.asarray(results.resid), np.asarray(results.model.exog)
    for robust in (True, False):
        lm, p, *_ = diagnostic.het_breuschpagan(resid, design, robust=robust)
        ours = cf.bptest(model, studentize=robust)
        assert (ours.statistic, ours.p_value) == pytest.approx((lm, p), rel=1e-8)
    lm, p, f, pf = diagnostic.acorr_breusch_godfrey(results, nlags=2)[:4]
    ours = cf.bgtest(model, order=2)
    assert (ours.statistic, ours.p_value) == pytest.approx((lm, p), rel=1e-8)
    ours = cf.bgtest(model, order=2, type="F")
    assert (ours.statistic, ours.p_value) == pytest.approx((f, pf), rel=1e-8)
    reset = diagnostic.linear_reset(results, power=3, use_f=True)
    ours = cf.resettest(model)
    assert (ours.statistic, ours.p_value) == pytest.approx((float(reset.fvalue), float(reset.pvalue)), rel=1e-6)


def test_two_sample_t_tests_are_fits():
    """``t.test``: Welch's is the difference in means, Student's the classical linear model."""
    stored = reference.values("htest_basics")
    d = reference.data("lalonde.csv")
    pairs = [
        (cf.fit("re78 ~ treat(treat)", d), stored["t_welch"]),
        (cf.fit("re78 ~ treat(treat)", d, "regression", vcov="classical"), stored["t_equal"]),
    ]
    for fit, theirs in pairs:
        row = fit.tidy().iloc[0]
        # t.test takes the first level minus the second
        close(-row["statistic"], theirs["statistic"], what="t")
        close([row["df"], row["p.value"]], [theirs["parameter"], theirs["p_value"]], what="df, p")
        close([-row["conf.high"], -row["conf.low"]], theirs["conf_int"], what="limits")
        means = theirs["estimate"]
        close(row["estimate"], means["mean in group 1"] - means["mean in group 0"], what="difference")


def test_refusals_say_what_to_do(models):
    d = heart()
    with pytest.raises(cf.CapabilityError, match="not defined for a weighted regression"):
        cf.bptest(models["fw"])
    with pytest.raises(cf.CapabilityError, match="linear models"):
        cf.dwtest(models["b"])
    with pytest.raises(cf.OptionError, match=r"\.outcome"):
        cf.resettest(cf.fit("Severity ~ treat(Drug) + x", d))
    with pytest.raises(cf.OptionError, match="not nested: only the smaller one has z"):
        cf.waldtest(cf.lm("Severity ~ z", d), models["f"])
    for terms, match in [
        (("x",), r"x is part of Drug:x; leave out those too, as in waldtest\(m, \['x', 'Drug:x'\]\)"),
        (("gb",), "'gb' is a coefficient and no term, .*hypothesis"),
        (("HC3",), "no term 'HC3'.*a covariance is given as vcov="),
        (("g", "g"), "g is left out already"),
        ((3,), "of type int"),
        ((cf.fit("Severity ~ treat(Drug) + x", d),), r"of type Result, .*\.outcome"),
    ]:
        with pytest.raises(cf.OptionError, match=match):
            cf.waldtest(models["f"], *terms)
    with pytest.raises(cf.CapabilityError, match="without intercept"):
        cf.waldtest(models["no"], "x")
    with pytest.raises(cf.OptionError, match="1000 and 40 rows"):
        cf.anova(models["s"], models["small"])
    with pytest.raises(cf.OptionError, match="different outcomes"):
        cf.anova(cf.lm("x ~ 1", d), models["s"])
    with pytest.raises(cf.OptionError, match="different kinds"):
        cf.anova(models["s"], models["b"])
    with pytest.raises(cf.OptionError, match="'F', 'Chisq' or 'none'"):
        models["f"].drop1("LRT")
    with pytest.raises(cf.OptionError, match="already in the model"):
        cf.resettest(models["s"], type="regressor")


def test_durbin_watson_exact_and_normal_meet():
    """The two distributions agree better the more rows there are, and the exact one is right for a hand-made case."""
    rng = np.random.default_rng(3)
    gaps = []
    for n in (20, 90):
        d = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n)})
        model = cf.lm("y ~ x", d)
        gaps.append(abs(cf.dwtest(model, exact=True).p_value - cf.dwtest(model, exact=False).p_value))
    assert gaps[1] < 0.005
    # simulated: P(DW < value) under independent normal errors
    n = 12
    d = pd.DataFrame({"y": rng.normal(size=n).cumsum(), "x": np.arange(n) ** 1.5})
    model = cf.lm("y ~ x", d)
    found = cf.dwtest(model)
    design = np.column_stack([np.ones(n), d["x"]])
    q, _ = np.linalg.qr(design)
    e = rng.normal(size=(200_000, n))
    e -= (e @ q) @ q.T
    share = np.mean((np.diff(e, axis=1) ** 2).sum(axis=1) / (e**2).sum(axis=1) < found.statistic)
    assert found.p_value == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 200_000) + 1e-4)
