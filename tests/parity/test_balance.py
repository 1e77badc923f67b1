"""cobalt: ``bal.tab`` and ``col_w_*``; WeightIt: ``summary(weightit)``.

Tables are read under the weights that R stored, so that they stand apart from how the weights were found. The scale of
a standardised difference, a KS statistic and a correlation is 1.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends.fit import DesignWeights
from causalformula.diagnostics import statistics
from tests.parity.reference import close, data, table, values, vector

COVARIATES = "age + educ + race + married + nodegree + re74 + re75"
FULL = f"re78 ~ treat(treat) + adjust({COVARIATES})"
ESTIMANDS = ("ATE", "ATT", "ATC", "ATO", "ATM", "ATOS")
GLM = [(f"weightit_glm_{e}", None) for e in ESTIMANDS]
BALANCED = [
    *(("weightit_ebal", e) for e in ("ATE", "ATT", "ATC")),
    *(("weightit_cbps", e) for e in ("ATE", "ATT", "ATC", "ATO")),
    *(("weightit_ipt", e) for e in ("ATE", "ATT", "ATC")),
    ("weightit_energy", None),
]
MULTI = ("ATE", "ATO", "ATM", "ATT_black", "ebal_ATT_black", "ebal_ATE")
DOSE = ("glm_normal", "glm_t4", "glm_kernel", "ebal")
OPTIONS = values("cobalt_options")


def stored(file: str, key: str | None) -> dict:
    found = values(file)
    return found if key is None else found[key]


@pytest.fixture(scope="module")
def lalonde():
    frame = data("lalonde.csv")
    frame.index = pd.RangeIndex(1, len(frame) + 1)  # R's row numbers
    return frame


def design_of(formula, lalonde, case, **options):
    """A design with R's weights and propensity scores."""
    estimand = case["estimand"] if case["estimand"] in ESTIMANDS else "ATE"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        made = cf.design(formula, lalonde, "ipw", estimand=estimand, **options)
    ps = None if case["ps"] is None else vector(case["ps"])
    weights = DesignWeights(vector(case["weights"]), ps)
    return replace(made, design_weights=weights, designed=None)


def same_table(ours: pd.DataFrame, theirs: pd.DataFrame, rtol: float = 1e-8) -> None:
    """Every column that R has, by name and row; a number's scale is 1."""
    assert list(ours.index) == list(theirs.index)
    for name in theirs.columns:
        if not pd.api.types.is_numeric_dtype(theirs[name]):
            assert ours[name].tolist() == theirs[name].tolist(), name
        else:
            close(ours[name].to_numpy(float), theirs[name].to_numpy(float), rtol, scale=1, what=name)


@pytest.mark.parametrize(("file", "key"), [*GLM, *BALANCED])
def test_bal_tab(lalonde, file, key):
    """bal.tab(W, stats = c("m", "v", "ks"), un = TRUE, binary = "std")."""
    case = stored(file, key)
    design = design_of(FULL, lalonde, case)
    balance = design.balance(stats=("smd", "variance_ratio", "ks"), binary="std", threshold=None)
    theirs = table(case["balance"])
    assert list(balance.to_frame().columns) == list(theirs.columns)
    same_table(balance.to_frame(), theirs)
    observed = table(case["observations"])
    assert list(balance.sizes.columns) == list(observed.columns)
    close(balance.sizes.to_numpy(), observed.to_numpy(float))


def test_sampling_weights(lalonde):
    """bal.tab of weightit(s.weights = "educ"): both samples are weighted by them, and so is the divisor."""
    case = values("weightit_glm_links")["s_weights"]
    design = design_of("re78 ~ treat(treat) + adjust(age + educ + race + married) + weights(educ)", lalonde, case)
    balance = design.balance(stats=("smd", "variance_ratio", "ks"), binary="std", threshold=None)
    same_table(balance.to_frame(), table(case["balance"]))
    close(balance.sizes.to_numpy(), table(case["observations"]).to_numpy(float))


@pytest.fixture(scope="module")
def att(lalonde):
    return design_of(FULL, lalonde, values("weightit_glm_ATT"))


@pytest.mark.parametrize("denominator", statistics.DENOMINATORS)
def test_denominators(att, denominator):
    """bal.tab(W, un = TRUE, s.d.denom = ..., binary = "std")."""
    balance = att.balance("smd", "std", threshold=None, s_d_denom=denominator)
    same_table(balance.to_frame(), table(OPTIONS[f"sd_{denominator}"]))


def test_raw_binary(att):
    """bal.tab(W, un = TRUE, stats = c("mean.diffs", "variance.ratios", "ks.statistics"))."""
    balance = att.balance(("smd", "variance_ratio", "ks"), threshold=None)
    same_table(balance.to_frame(), table(OPTIONS["raw_binary"]))


def test_products_and_powers(att):
    """bal.tab(W, un = TRUE, int = TRUE, poly = 2); the first 30 rows were stored."""
    balance = att.balance("smd", threshold=None, int=True, poly=2)
    same_table(balance.to_frame().iloc[:30], table(OPTIONS["int_poly"]))


def test_means_and_standard_deviations(att):
    """bal.tab(W, un = TRUE, disp = c("means", "sds"))."""
    ours, theirs = att.balance("smd", threshold=None, means=True).to_frame(), table(OPTIONS["disp"])
    assert list(ours.columns) == list(theirs.columns)
    for name in theirs.columns[1:]:
        close(ours[name], theirs[name], 1e-8, what=name, scale=1e-6)


def test_thresholds_and_print(att):
    """print(bal.tab(W, un = TRUE, thresholds = c(m = .1, v = 2))), character for character."""
    balance = att.balance(("smd", "variance_ratio"), threshold={"m": 0.1, "v": 2})
    theirs = OPTIONS["thresholds"]
    assert str(balance) == theirs["printed"].rstrip("\n")
    frame = table(theirs["balance"])
    assert list(balance.to_frame().columns) == list(frame.columns)
    same_table(balance.to_frame(), frame)
    counts = table(theirs["balanced"])["count"].tolist()
    assert balance.tally().loc["Diff", ["balanced", "not.balanced"]].tolist() == counts


def test_clusters(att):
    """bal.tab(W, cluster = "married", un = TRUE)$Cluster.Balance."""
    balance = att.balance("smd", threshold=None, cluster="married")
    for name, theirs in OPTIONS["cluster"].items():
        same_table(balance.to_frame().loc[name], table(theirs))


def test_unadjusted(lalonde):
    """bal.tab(treat ~ age + educ + race, data = d)."""
    design = cf.fit("re78 ~ treat(treat) + adjust(age + educ + race)", lalonde).design
    same_table(design.balance("smd", threshold=None).to_frame(), table(OPTIONS["formula_unadjusted"]))


def test_columns_of_a_matrix(lalonde):
    """col_w_smd, col_w_vr, col_w_ks, col_w_ovl."""
    X = lalonde[["age", "educ", "married", "re74"]].to_numpy(float)
    treat, w = lalonde["treat"], vector(values("weightit_glm_ATT")["weights"])
    close(statistics.col_w_smd(X, treat), OPTIONS["col_w_smd_un"], 1e-8, 1)
    for name in ("col_w_smd", "col_w_vr", "col_w_ks", "col_w_ovl"):
        close(getattr(statistics, name)(X, treat, w), OPTIONS[name], 1e-8, 1, name)


@pytest.mark.parametrize("key", [k for k in MULTI if "bal" in values("weightit_multi")[k]])
def test_several_levels(lalonde, key):
    """bal.tab(W, un = TRUE)$Balance.Across.Pairs."""
    case = values("weightit_multi")[key]
    options = {} if case["focal"] is None else {"focal": case["focal"]}
    design = design_of("re78 ~ treat(race) + adjust(age + educ + married + re74)", lalonde, case, **options)
    balance = design.balance("smd", threshold=None)
    same_table(balance.to_frame(), table(case["bal"]))
    assert list(balance.parts) == ["hispan vs. black", "white vs. black", "white vs. hispan"]


def test_a_target_level_is_compared_with_all_pairs(lalonde):
    """bal.tab(weightit(focal = "black")): its worst over pairs counts white vs. hispan too, though black is focal."""
    case = values("weightit_multi")["ATT_black"]
    design = design_of("re78 ~ treat(race) + adjust(age + educ + married + re74)", lalonde, case, focal="black")
    frame = design.balance("smd", threshold=None, which_treat="all").to_frame()["Diff.Un"].abs()
    theirs = table(case["bal"])["Max.Diff.Un"]
    close(frame["white vs. hispan"]["educ"], theirs["educ"], 1e-8, scale=1)
    assert max(frame["hispan vs. black"]["educ"], frame["white vs. black"]["educ"]) < theirs["educ"] - 0.1


# print(bal.tab(W, un = TRUE, which.treat = .all)) in cobalt's vignette "Covariate Balance Tables and Plots", with
# W <- weightit(race ~ age + educ + married + nodegree + re74 + re75, data = lalonde, method = "glm", estimand = "ATE")
PAIRS = {
    "black (0) vs. hispan (1)": """
age      Contin. -0.0101   0.0408
educ     Contin. -0.4515  -0.1140
married   Binary  0.2222  -0.0269
nodegree  Binary  0.0684   0.0546
re74     Contin.  0.3183  -0.1229
re75     Contin.  0.3442  -0.1333

Effective sample sizes
            black hispan
Unadjusted 243.    72.
Adjusted   138.38  54.99""",
    "black (0) vs. white (1)": """
age      Contin.  0.2963   0.0557
educ     Contin.  0.1347  -0.0676
married   Binary  0.3430   0.0028
nodegree  Binary -0.1503   0.0240
re74     Contin.  0.6196  -0.1527
re75     Contin.  0.2752  -0.1491

Effective sample sizes
            black  white
Unadjusted 243.   299.
Adjusted   138.38 259.59""",
    "hispan (0) vs. white (1)": """
age      Contin.  0.3065   0.0149
educ     Contin.  0.5861   0.0464
married   Binary  0.1208   0.0297
nodegree  Binary -0.2187  -0.0306
re74     Contin.  0.3013  -0.0297
re75     Contin. -0.0691  -0.0158

Effective sample sizes
           hispan  white
Unadjusted  72.   299.
Adjusted    54.99 259.59""",
}


def test_pairs_one_by_one(lalonde):
    """Every pair's table but for blanks at line ends (the vignette also shows means, left out here)."""
    design = cf.design("~ treat(race) + adjust(age + educ + married + nodegree + re74 + re75)", lalonde, "ipw")
    balance = design.balance("smd", threshold=None, which_treat="all")
    head = "Balance Measures\n            Type Diff.Un Diff.Adj"
    tables = [f" - - - {pair} - - -\n{head}{text}\n" for pair, text in PAIRS.items()]
    printed = [line.rstrip() for line in str(balance).splitlines()]
    assert "\n".join(printed[:-1]) == "Balance by treatment pair\n\n" + "\n".join(tables).rstrip("\n")
    assert set(printed[-1].split()) == {"-"}


def test_a_dose(lalonde):
    """bal.tab(W, un = TRUE, stats = c("c", "k"))."""
    case = values("weightit_continuous")["glm_normal"]
    design = design_of("re78 ~ treat(re75) + adjust(age + educ + race + married + re74)", lalonde, case)
    balance = design.balance(("smd", "ks"), threshold=None)
    assert list(balance.to_frame().columns) == list(table(case["bal"]).columns)
    same_table(balance.to_frame(), table(case["bal"]))


def summaries():
    """Every stored summary: formula, and where it is."""
    formulas = {
        "weightit_multi": "re78 ~ treat(race) + adjust(age + educ + married + re74)",
        "weightit_continuous": "re78 ~ treat(re75) + adjust(age + educ + race + married + re74)",
    }
    single = [*GLM, ("weightit_energy", None)]
    links = [("weightit_glm_links", k) for k in ("probit", "cloglog", "cauchit", "s_weights")]
    keys = ("stabilized", "trim99", "trim95_lower", "trim_att_99", "trim_att_5")
    trimmed = [("weightit_glm_stabilize_trim", k) for k in keys]
    several = [("weightit_multi", k) for k in MULTI] + [("weightit_continuous", k) for k in DOSE]
    for file, key in [*single, *BALANCED[:-1], *links, *trimmed, *several]:
        yield pytest.param(formulas.get(file, FULL), file, key, id=f"{file}-{key}")


@pytest.mark.parametrize(("formula", "file", "key"), list(summaries()))
def test_weights_summary(lalonde, formula, file, key):
    """summary(W): its numbers, and its print character for character."""
    case = stored(file, key)
    options = {} if case["focal"] is None or file != "weightit_multi" else {"focal": case["focal"]}
    with_weights = formula + " + weights(educ)" if key == "s_weights" else formula
    summary = design_of(with_weights, lalonde, case, **options).summary()
    frame = summary.to_frame()
    for ours, theirs in (("coef.of.var", "coef_of_var"), ("mad", "scaled_mad"), ("entropy", "neg_entropy")):
        close(frame[ours], case[theirs], 1e-8, 1, theirs)
    assert frame["zeros"].tolist() == vector(case["num_zeros"]).tolist()
    close(frame[["min", "max"]], list(case["weight_range"].values()))
    close(summary.sizes, table(case["ESS"]).to_numpy(float))
    extremes = summary.extremes()
    for arm, top in case["weight_top"].items():
        close(extremes.loc[extremes["arm"] == arm, "weight"].to_numpy()[::-1], vector(top))
    assert str(summary) == case["printed_summary"].rstrip("\n")


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_the_whole_way(lalonde, estimand):
    """weightit() |> bal.tab(), our own weights: R's glm stops early, so to its precision."""
    case = values(f"weightit_glm_{estimand}")
    formula = f"~ treat(treat) + adjust({COVARIATES})"
    design = cf.design(formula, lalonde, "ipw", estimand=estimand)
    frame = design.balance(("smd", "variance_ratio", "ks"), "std", threshold=None).to_frame()
    same_table(frame, table(case["balance"]), rtol=1e-6)
    # ours may add a note of weak overlap
    assert str(design.summary()).startswith(case["printed_summary"].rstrip("\n"))
    effect, asympt = design.fit("re78 ~ treat(treat)"), case["effects"]["asympt"]
    close(effect.estimate, asympt["coef"]["treat"], 1e-6, effect.std_error)
    close(effect.std_error, np.sqrt(asympt["vcov"]["values"][1][1]), 1e-4)
