"""``Matching::Match`` (Sekhon): matches with ties, the estimate, Abadie and Imbens' standard errors.

Stored on lalonde (by arrays and by ``cf.fit``), and by ``tests/parity/r/matching.R`` on heart with columns
that the script makes.
"""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from causalformula.errors import DataError
from causalformula.numerics.abadie_imbens import abadie_imbens
from causalformula.numerics.tied_matches import match_with_ties
from tests.parity.reference import close, data, values

LALONDE = values("Matching_Match")
STORED = values("r_matching")
ROWS = {name: np.array(column, dtype=float) for name, column in STORED["data"].items()}
TREATED = ROWS["tr"] == 1
THREE = np.column_stack([ROWS["x"], ROWS["u"], ROWS["g"]])
LAST = np.array([False, False, True])
CALIPERS = {"caliper": np.array([1, 0.8, 3])}
# What to match on, how, and the covariates of the correction of the bias
SPECS = {
    "score": (ROWS["x"], {}, None),
    "coarse": (ROWS["u"], {}, None),
    "metric": (THREE, {}, None),
    "mahalanobis": (THREE, {"weight": "mahalanobis"}, None),
    "matrix": (THREE, {"weight": np.array(STORED["matrix"])}, None),
    "bias": (THREE, {}, THREE[:, :2]),
    "other_z": (ROWS["u"], {}, np.column_stack([ROWS["x"], ROWS["v"]])),
    "caliper": (ROWS["x"], {"caliper": 0.05}, None),
    "calipers": (THREE, CALIPERS, None),
    "exact": (THREE, {"exact": LAST}, None),
    "exact_caliper": (THREE, {"exact": LAST, "caliper": 1.0}, None),
    "tolerance": (ROWS["x"], {"tolerance": 0.01}, None),
    "counted": (THREE, {"weights": ROWS["w"]}, None),
    "weighted": (THREE, {"weights": ROWS["r"]}, None),
    "weighted_mahalanobis": (THREE, {"weight": "mahalanobis", "weights": ROWS["w"]}, None),
    "weighted_caliper": (THREE, {**CALIPERS, "weights": ROWS["r"]}, THREE[:, :2]),
}


@pytest.mark.parametrize("case", STORED["cases"], ids=lambda c: f"{c['spec']}-{c['target']}-{c['M']}")
def test_match(case):
    """R: Match(Y, Tr, X, estimand, M, ..., sample, Var.calc): the pairs, the estimate and ten standard errors."""
    X, options, Z = SPECS[case["spec"]]
    if case["est"] is None:
        with pytest.raises(DataError, match=r"matches are asked for|no unit has"):
            match_with_ties(X, TREATED, case["M"], target=case["target"], **options)
        return
    matches = match_with_ties(X, TREATED, case["M"], target=case["target"], **options)
    treated, control = matches.treated_first(TREATED)
    np.testing.assert_array_equal(treated + 1, case["treated"])
    np.testing.assert_array_equal(control + 1, case["control"])
    close(matches.shares, case["weights"], 1e-12, what="weights")
    close(matches.weights[matches.dropped].sum(), case["ndrops"], 1e-12, what="ndrops")
    for sample, name in ((False, "se_population"), (True, "se_sample")):
        for var_calc, se in enumerate(case[name]):
            effect = abadie_imbens(ROWS["y"], TREATED, matches, Z=Z, sample=sample, var_calc=var_calc)
            # where a variance is zero R has what rounding left of it
            close(effect.se, se, 1e-8, 1e-4 * case["se_standard"], f"{name}[{var_calc}]")
    close(effect.estimate, case["est"], 1e-8, case["se_standard"], "est")
    close(effect.unadjusted, case["est_noadj"], 1e-8, case["se_standard"], "est.noadj")
    close(effect.se_standard, case["se_standard"], 1e-8, what="se.standard")
    close(effect.weight, case["wnobs"], 1e-12, what="wnobs")


@pytest.mark.parametrize("stored", STORED["heart"], ids=["default", "exact ties"])
def test_heart_by_its_score(stored):
    """R: Match(Severity, Drug, fitted(glm(Drug ~ I.H, binomial)), distance.tolerance = 1e-5 and 0, Var.calc)."""
    heart = cf.datasets.load("heart")
    y, treated = heart["Severity"].to_numpy(dtype=float), heart["Drug"].to_numpy() == 1
    score = np.asarray(cf.glm("Drug ~ I.H", heart, family="binomial").fittedvalues)
    matches = match_with_ties(score, treated, 1, target="ATT", tolerance=stored["tolerance"])
    assert len(matches.focal) == stored["n_pairs"]
    for var_calc, se in zip((0, 2), stored["se"], strict=True):
        effect = abadie_imbens(y, treated, matches, var_calc=var_calc)
        close(effect.se, se, 1e-8, what="se")
    close(effect.estimate, stored["est"], 1e-8, what="est")


# R's calls on lalonde beyond those named by what they match on, the target and M
OTHERS = {
    "mahal": ("X", {"weight": "mahalanobis"}, {}),
    "caliper": ("ps", {"caliper": 0.1}, {}),
    "sample_var": ("X", {}, {"sample": True}),
    "Var_calc_4": ("X", {}, {"var_calc": 4}),
    "exact_married": ("married", {"exact": np.array([False, False, False, True])}, {}),
}


@pytest.fixture(scope="module")
def lalonde():
    """The outcome, the arms, and what is matched on: a fitted score, covariates, covariates and married."""
    frame = data("lalonde.csv")
    model = cf.glm("treat ~ age + educ + race + married + nodegree + re74 + re75", frame, family="binomial")
    X = frame[["age", "educ", "re74"]].to_numpy(dtype=float)
    columns = {
        "ps": np.asarray(model.fittedvalues),
        "X": X,
        "married": np.column_stack([X, frame["married"]]),
    }
    return frame["re78"].to_numpy(dtype=float), frame["treat"].to_numpy() == 1, columns


@pytest.mark.parametrize("name", [name for name in LALONDE if name != "setup"])
def test_lalonde(lalonde, name):
    """R: Match(Y = re78, Tr = treat, X, ...) on lalonde: counts, the first pairs, estimate and standard errors."""
    y, treated, columns = lalonde
    stored = LALONDE[name]
    on, matching, estimating = OTHERS.get(name, (name.split("_")[0], {}, {}))
    target, M = ("ATT", 1) if name in OTHERS else (name.split("_")[1], int(name.split("_")[2][1:]))
    if name.endswith("bias"):
        estimating = {"Z": columns["X"]}
    matches = match_with_ties(columns[on], treated, M, target=target, **matching)
    effect = abadie_imbens(y, treated, matches, **estimating)
    first, second = matches.treated_first(treated)
    np.testing.assert_array_equal(first[:20] + 1, stored["index_treated_head"])
    np.testing.assert_array_equal(second[:20] + 1, stored["index_control_head"])
    close(matches.shares[:20], stored["weights_head"], 1e-12, what="weights")
    assert len(matches.focal) == stored["n_pairs"]
    assert len(matches.dropped) == stored["ndrops"]
    close(effect.weight, stored["wnobs"], 1e-12, what="wnobs")
    close(effect.estimate, stored["est"], 1e-8, stored["se"], "est")
    close(effect.unadjusted, stored["est_noadj"], 1e-8, stored["se"], "est.noadj")
    close(effect.se, stored["se"], 1e-8, what="se")
    close(effect.se_standard, stored["se_standard"], 1e-8, what="se.standard")
    close(effect.means[1] - effect.means[0], stored["est"], 1e-8, stored["se"], "difference of the means")


SCORE = "re78 ~ treat(treat) + adjust(age + educ + race + married + nodegree + re74 + re75)"
SOME = "re78 ~ treat(treat) + adjust(age + educ + re74)"
# R's calls as they are asked for here, beyond those named by what they match on, the target and M
ASKED = {
    "mahal": (SOME, {"distance": "mahalanobis_all"}),
    "caliper": (SCORE, {"caliper": 0.1}),
    "sample_var": (SOME, {"distance": "scaled_euclidean", "vcov": cf.AbadieImbens(sample=True)}),
    "Var_calc_4": (SOME, {"distance": "scaled_euclidean", "vcov": "AI(matches = 4)"}),
    "exact_married": (SOME.replace("re74", "re74 + married"), {"distance": "scaled_euclidean", "exact": "~ married"}),
}


def asked(name):
    """A formula and options."""
    if name in ASKED:
        return ASKED[name]
    on, target, M, *bias = name.split("_")
    options = {"estimand": target, "ratio": int(M[1:]), "bias_adjust": bool(bias)}
    return (SCORE, options) if on == "ps" else (SOME, {**options, "distance": "scaled_euclidean"})


@pytest.mark.parametrize("name", [name for name in LALONDE if name != "setup"])
@pytest.mark.filterwarnings("ignore::causalformula.errors.CausalFormulaWarning")
def test_lalonde_by_its_formula(name):
    """R: Match(Y = re78, Tr = treat, X, ...), through ``cf.fit``: estimate, standard error, numbers of rows."""
    (formula, options), stored = asked(name), LALONDE[name]
    fit = cf.fit(formula, data("lalonde.csv"), "nearest", replace=True, ties=True, **options)
    close(fit.estimate, stored["est"], 1e-8, stored["se"], "est")
    close(fit.std_error, stored["se"], 1e-8, what="se")
    assert fit.covariance.label.startswith("Abadie-Imbens")
    assert np.isinf(fit.tidy()["df"][0])
    pairs = fit.design.design_weights.pairs
    assert (pairs[:, 1:] >= 0).sum() == stored["n_pairs"]
    assert (pairs[:, 1:] < 0).all(axis=1).sum() == stored["ndrops"]
    if not options.get("bias_adjust"):
        # the weights of the matched sample give the same estimate
        data_, weights = fit.call.frame, fit.design.weights.to_numpy()
        treated = data_.the_treatment.codes == 1
        means = [np.average(data_.y[arm], weights=weights[arm]) for arm in (~treated, treated)]
        close(means[1] - means[0], stored["est"], 1e-8, stored["se"], "difference of weighted means")
