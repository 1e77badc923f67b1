"""``Design``: arrays by row label, effective sample sizes, and the data that a design keeps."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends.fit import DesignWeights
from causalformula.diagnostics.overlap import arm_overlaps, supports
from causalformula.results.design import Design
from causalformula.results.designs.overlap import Overlap
from causalformula.results.families.matching import MatchedDesign


@pytest.fixture(scope="module")
def heart():
    heart = cf.datasets.load("heart").head(8).copy()
    heart["Drug"] = [0, 1, 0, 1, 0, 1, 0, 1]
    heart["w"] = [1.0, 2.0, 1.0, 2.0, 3.0, 1.0, 1.0, 1.0]
    heart.index = list("abcdefgh")
    heart.loc["h", "I.H"] = np.nan
    return heart


@pytest.fixture(scope="module")
def call(heart):
    return cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart).call


@pytest.fixture(scope="module")
def matched(call):
    weights = np.array([1.0, 1.0, 0.0, 1.0, 0.5, 0.0, 1.5])
    pairs = np.array([[1, 0, -1], [3, 4, 6]])
    subclass = np.array([1, 1, 0, 2, 2, 0, 2])
    return Design(DesignWeights(weights, np.linspace(0.1, 0.7, 7), subclass, pairs), call)


def test_a_method_without_weights_has_ones(heart):
    design = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart).design
    pd.testing.assert_series_equal(design.weights, pd.Series(1.0, index=list("abcdefg"), name="weights"))
    assert design.distance is None and design.subclass is None and design.pairs is None
    assert design.ess().to_numpy().tolist() == [[4.0, 3.0], [4.0, 3.0]]


def test_arrays_carry_the_row_labels(matched):
    assert list(matched.weights.index) == list("abcdefg")
    assert matched.distance["c"] == pytest.approx(0.3)
    assert matched.subclass["e"] == 2
    assert matched.pairs["subclass"].tolist() == [1, 2, 2]
    assert matched.pairs["treated"].tolist() == ["b", "d", "d"]
    assert matched.pairs["control"].tolist() == ["a", "e", "g"]
    np.testing.assert_allclose(matched.pairs["distance"], [0.1, 0.1, 0.3])
    matrix = MatchedDesign(matched.design_weights, matched.call).match_matrix
    assert matrix.index.tolist() == ["b", "d"] and matrix.columns.tolist() == [1, 2]
    assert matrix.loc["d"].tolist() == ["e", "g"]
    assert matrix.loc["b"].tolist() == ["a", None]


def test_sets_around_one_unit_are_pairs_and_larger_ones_are_not(matched, call):
    full = Design(DesignWeights(np.ones(7), None, np.array([2, 2, 1, 1, 2, 1, 0])), call)
    assert full.pairs[["subclass", "treated", "control"]].to_numpy().tolist() == [
        [1, "d", "c"], [1, "f", "c"], [2, "b", "a"], [2, "b", "e"],
    ]  # fmt: skip
    assert full.pairs["distance"].isna().all()
    coarse = DesignWeights(np.ones(7), None, np.array([1, 1, 1, 1, 1, 1, 1]))
    assert Design(coarse, call).pairs is None
    strata = MatchedDesign(coarse, call)
    with pytest.raises(cf.CapabilityError, match=r"matched_data\(\) has them"):
        strata.pair_data()
    with pytest.raises(cf.CapabilityError, match="has none"):
        strata.summary(subclass=True)


def test_effective_sample_sizes(matched):
    sizes = matched.ess()
    assert list(sizes.columns) == ["Control", "Treated"]
    assert list(sizes.index) == ["Unweighted", "Weighted"]
    control = np.array([1.0, 0.0, 0.5, 1.5])
    assert sizes.loc["Weighted", "Control"] == pytest.approx(control.sum() ** 2 / (control**2).sum())
    assert sizes.loc["Weighted", "Treated"] == 2


def test_sampling_weights_count_in_both(heart, matched):
    weighted = cf.fit("Severity ~ treat(Drug) + adjust(I.H) + weights(w)", heart).call
    sizes = Design(matched.design_weights, weighted).ess()
    base = heart["w"].to_numpy()[:7]
    arm = np.arange(7) % 2 == 0
    both = base * matched.design_weights.weights
    assert sizes.loc["Unweighted", "Control"] == pytest.approx(base[arm].sum() ** 2 / (base[arm] ** 2).sum())
    assert sizes.loc["Weighted", "Control"] == pytest.approx(both[arm].sum() ** 2 / (both[arm] ** 2).sum())
    kept = Design(matched.design_weights, weighted).matched_data()
    np.testing.assert_array_equal(kept["weights"], both[both > 0])


def test_arms_are_named_by_kind():
    heart = cf.datasets.load("heart").assign(arm=["a", "b", "c", "a"] * 250)
    levels = cf.fit("Severity ~ treat(arm) + adjust(I.H)", heart).design.ess()
    assert levels.loc["Weighted"].to_dict() == {"a": 500.0, "b": 250.0, "c": 250.0}
    dose = cf.fit("Severity ~ treat(I.H)", heart, method="regression").design.ess()
    assert dose.loc["Weighted"].to_dict() == {"Total": 1000.0}


def test_matched_data_are_the_rows_kept(matched, heart):
    before = heart.copy()
    data = matched.matched_data()
    assert data.index.tolist() == ["a", "b", "d", "e", "g"]
    assert list(data.columns) == [*heart.columns, "distance", "weights", "subclass"]
    assert data["Severity"].equals(heart.loc[data.index, "Severity"])
    data["Severity"] = 0.0
    pd.testing.assert_frame_equal(heart, before)


def test_matched_data_never_overwrite_a_column(heart):
    design = cf.fit("Severity ~ treat(Drug)", heart.rename(columns={"w": "weights"})).design
    with pytest.raises(cf.OptionError, match=r"already have a column 'weights'.*matched_data\(weights="):
        design.matched_data()
    assert ".w" in design.matched_data(weights=".w").columns


def test_print_says_what_it_has(matched):
    text = str(matched)
    assert text == repr(matched)
    assert text.startswith("Design: method 'regression'\n - number of obs.: 5 of 7\n  (1 observation deleted")
    assert "Control" in text and "Weighted" in text


def test_frozen_and_picklable(matched):
    with pytest.raises(FrozenInstanceError):
        matched.call = None
    again = pickle.loads(pickle.dumps(matched))
    pd.testing.assert_series_equal(again.weights, matched.weights)
    pd.testing.assert_frame_equal(again.ess(), matched.ess())


# -- cf.design: the design stage on its own ----------------------------------------------------------------------------

METHODS = ("ipw", "ebal", "cbps", "ipt", "subclass")
MADE = "~ treat(a) + adjust(x + g)"


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(11)
    n = 400
    x, g = rng.normal(size=n), rng.choice(["u", "v", "w"], n)
    a = (rng.random(n) < 1 / (1 + np.exp(-0.6 * x - 0.4 * (g == "u")))).astype(int)
    arm = rng.choice(["p", "q", "r"], n)
    y = 1 + 2 * a + x + rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "a": a, "x": x, "g": g, "arm": arm, "z": rng.normal(size=n), "id": np.arange(n) // 4})
    frame["b"] = (frame["y"] > 1.5).astype(int)
    frame["dose"] = x + rng.normal(size=n)
    frame.index = [f"r{i}" for i in range(n)]
    return frame


@pytest.mark.parametrize("method", METHODS)
def test_design_then_fit_is_fit(study, method):
    """The same numbers, the standard errors knowing that the weights were estimated."""
    design = cf.design(MADE, study, method)
    whole = cf.fit("y ~ treat(a) + adjust(x + g)", study, method)
    effect = design.fit("y ~ treat(a)")
    pd.testing.assert_series_equal(design.weights, whole.design.weights)
    pd.testing.assert_frame_equal(effect.tidy(), whole.tidy(), rtol=1e-12)
    np.testing.assert_allclose(effect.influence(), whole.influence(), rtol=1e-10, atol=1e-12)
    assert effect.covariance.label == whole.covariance.label


def test_the_design_never_sees_the_outcome(study):
    design = cf.design(MADE, study.drop(columns="y"), "ipw")
    assert design.call.frame.outcome is None
    pd.testing.assert_series_equal(design.weights, cf.design(MADE, study, "ipw").weights)


def test_one_design_serves_several_outcomes(study):
    design = cf.design(MADE, study, "ebal", estimand="ATT")
    risk = design.fit("b ~ treat(a)", family="binomial", measure="ratio", vcov="HC0")
    question = {"family": "binomial", "measure": "ratio", "vcov": "HC0"}
    whole = cf.fit("b ~ treat(a) + x + g", study, "ebal", estimand="ATT", **question)
    pd.testing.assert_frame_equal(risk.tidy(), whole.tidy(), rtol=1e-12)
    adjusted = design.fit("y ~ treat(a) + outcome(z) + cluster(id)", interact=True)
    whole = cf.fit("y ~ treat(a) + x + g + outcome(z) + cluster(id)", study, "ebal", estimand="ATT", interact=True)
    pd.testing.assert_frame_equal(adjusted.tidy(), whole.tidy(), rtol=1e-12)


def test_terms_of_an_earlier_outcome_model_do_not_stay(study):
    fit = cf.fit("y ~ treat(a) + adjust(x + g) + outcome(z)", study, "ipw")
    again = fit.design.fit("y ~ treat(a)")
    assert list(again.outcome.params.index) == ["(Intercept)", "a"]
    assert again.estimate == pytest.approx(cf.fit("y ~ treat(a) + adjust(x + g)", study, "ipw").estimate, rel=1e-12)
    assert fit.design.fit().estimate == pytest.approx(fit.estimate, rel=1e-12)


def test_the_bootstrap_makes_the_design_again(study):
    request = cf.Bootstrap(reps=20, seed=3)
    design = cf.design(MADE, study, "ipw").fit("y ~ treat(a)", vcov=request)
    whole = cf.fit("y ~ treat(a) + adjust(x + g)", study, "ipw", vcov=request)
    np.testing.assert_array_equal(design.covariance.matrix, whole.covariance.matrix)


def test_several_levels_and_a_dose(study):
    levels = cf.design("~ treat(arm) + adjust(x + g)", study, "ipw", estimand="ATT", focal="q")
    assert list(levels.ess().columns) == ["p", "q", "r"]
    assert (levels.weights[study["arm"] == "q"] == 1).all()
    assert len(levels.fit("y ~ treat(arm)").tidy()) == 2
    dose = cf.design("~ treat(dose) + adjust(x + g)", study, "ebal")
    assert dose.balance().to_frame()["Corr.Adj"].abs().max() < 1e-7
    assert dose.fit("y ~ treat(dose)").tidy().shape[0] == 1


def test_subset_and_missing_values(study):
    gaps = study.assign(x=study["x"].where(study["z"] < 1.5))
    design = cf.design(MADE, gaps, "ipw", subset="g != 'w'")
    effect = design.fit("y ~ treat(a)")
    whole = cf.fit("y ~ treat(a) + adjust(x + g)", gaps, "ipw", subset="g != 'w'")
    assert (effect.nobs, effect.call.frame.dropped) == (whole.nobs, whole.call.frame.dropped)
    assert "deleted due to missingness" in str(effect)
    pd.testing.assert_frame_equal(effect.tidy(), whole.tidy(), rtol=1e-12)


REFUSED = [
    ("y ~ treat(x)", cf.FormulaError, r"the design is for treat\(a\)"),
    ("y ~ treat(a) + z", cf.FormulaError, r"belongs to the design.*outcome\(\.\.\.\)"),
    ("y ~ treat(a) + weights(z)", cf.FormulaError, r"belongs to the design"),
    ("~ treat(a)", cf.FormulaError, "no outcome"),
    (None, cf.FormulaError, r"design.fit\('Y ~ treat\(a\)'\)"),
    ("y ~ treat(a) + modify(z)", cf.OptionError, "balances other terms.*z"),
]


@pytest.mark.parametrize(("formula", "kind", "message"), REFUSED)
def test_what_the_estimate_may_not_change(study, formula, kind, message):
    with pytest.raises(kind, match=message):
        cf.design(MADE, study, "ipw").fit(formula)


def test_an_outcome_missing_in_the_design_is_said(study):
    design = cf.design(MADE, study.assign(y=study["y"].where(study["z"] < 1)), "ipw")
    message = r"rows of the design have a missing value.*\(y: \d+; rows r.*subset=\"!is.na\(y\)\""
    with pytest.raises(cf.DataError, match=message):
        design.fit("y ~ treat(a)")
    complete = cf.design(MADE, study.assign(y=study["y"].where(study["z"] < 1)), "ipw", subset="!is.na(y)")
    assert np.isfinite(complete.fit("y ~ treat(a)").std_error)


def test_modifiers_among_the_confounders_are_welcome(study):
    by = cf.design(MADE, study, "ipw").fit("y ~ treat(a) + modify(g)").by("g")
    assert len(by.tidy()) == 3


def test_methods_without_a_design_say_so(study):
    with pytest.raises(cf.CapabilityError, match=r"no design stage.*these do:.*ipw"):
        cf.design(MADE, study, "regression")
    with pytest.raises(cf.CapabilityError, match="does not take a treatment that is a dose"):
        cf.design("~ treat(dose) + adjust(x)", study, "subclass")
    design = cf.fit("y ~ treat(a) + x", study).design
    with pytest.raises(cf.CapabilityError, match="no estimate apart from its design"):
        design.fit("y ~ treat(a)")


def test_a_design_pickles_with_its_equations(study):
    design = cf.design(MADE, study, "ipw")
    again = pickle.loads(pickle.dumps(design))
    assert again.fit("y ~ treat(a)").std_error == pytest.approx(design.fit("y ~ treat(a)").std_error, rel=1e-12)
    assert str(again.balance()) == str(design.balance())


def test_what_was_done_to_the_weights_is_said(study):
    with pytest.warns(cf.CausalFormulaWarning, match="trimmed"):
        design = cf.design(MADE, study, "ipw", trim=0.95)
    assert "Note: trimmed" in str(design) and "Note: trimmed" in str(design.summary())


def test_thin_arms_are_warned_of():
    rng = np.random.default_rng(2)
    x = rng.normal(size=400)
    data = pd.DataFrame({"x": x, "a": (rng.random(400) < 1 / (1 + np.exp(-3 * x))).astype(int), "y": x})
    with pytest.warns(cf.CausalFormulaWarning, match=r"few rows carry the weight of a = .: effective sample size"):
        design = cf.design("~ treat(a) + adjust(x)", data, "ipw")
    sizes = design.ess()
    assert (sizes.loc["Weighted"] < 0.1 * sizes.loc["Unweighted"]).any()
    assert "Note: few rows carry the weight" in str(design.overlap())


@pytest.mark.parametrize("method, options", [("nearest", {}), ("nearest", {"caliper": 5}), ("exact", {})])
def test_whom_matching_leaves_out_makes_no_thin_arm(method, options):
    """Three treated among a hundred: three pairs rest on all the rows that they keep; a reused match is worth one."""
    x = np.r_[1.0, 2, 3, np.arange(1, 98)]
    data = pd.DataFrame({"x": x, "a": np.arange(100) < 3, "y": x})
    design = cf.design("~ treat(a) + adjust(x)", data, method, **options)
    assert design.ess().loc["Weighted"].tolist() == [3, 3]
    assert "few rows" not in str(design) + str(design.fit("y ~ treat(a)"))


def test_few_of_the_rows_that_a_match_keeps_may_carry_its_weight():
    """A stratum of one control and one of a hundred: fifty treated in the first, one in the other."""
    x = np.r_[np.zeros(50), 1, 0, np.ones(100), np.full(500, 2)]
    data = pd.DataFrame({"x": x, "a": np.arange(len(x)) < 51, "y": x})
    with pytest.warns(
        cf.CausalFormulaWarning, match=r"few rows carry the weight of a = FALSE: .* 1\.\d instead of 101\.0"
    ):
        cf.design("~ treat(a) + adjust(x)", data, "exact")


@pytest.mark.parametrize("method, options", [("nearest", {}), ("nearest", {"replace": True}), ("subclass", {})])
def test_balance_of_matches_names_the_distance_as_cobalt_does(study, method, options):
    table = cf.design(MADE, study, method, **options).balance().to_frame()
    assert table.index[0] == "distance" and table["Type"].iloc[0] == "Distance"
    assert cf.design(MADE, study, "ipw").balance().to_frame().index[0] == "prop.score"


@pytest.mark.parametrize(
    "options, why",
    [
        ({"caliper": 0.01}, "no controls left within the caliper"),
        ({"caliper": 0.01, "exact": "~g"}, "no controls left within the caliper and in their stratum of g"),
        ({"caliper": 0.01, "replace": True}, "no controls within the caliper"),
    ],
)
def test_why_units_are_not_matched(study, options, why):
    design = cf.design(MADE, study, "nearest", **options)
    assert f"not matched ({why}); the ATT is that of the" in str(design)


# -- the print of a design ---------------------------------------------------------------------------------------------


def test_print_of_a_design_has_what_weightit_prints(study):
    text = str(cf.design("~ treat(a) + adjust(x + g) + propensity(I(x^2))", study, "ipw", estimand="ATT"))
    head, _, rest = text.partition("\n\n")
    assert head.splitlines() == [
        "Design: inverse probability weighting (logit)",
        " - number of obs.: 400",
        " - sampling weights: none",
        " - treatment: a, two levels: 0 (reference), 1",
        " - estimand: ATT (a = 1)",
        " - covariates: x, g, I(x^2)",
    ]
    assert rest.startswith("Effective sample sizes\n           Control Treated\nUnweighted")


PRINTED = [
    ("~ treat(arm, ref = 'r') + adjust(x)", {}, "treatment: arm, 3 levels: r (reference), p, q"),
    ("~ treat(arm) + adjust(x)", {"estimand": "ATT", "focal": "q"}, "estimand: ATT (arm = q)"),
    ("~ treat(a, ref = 1) + adjust(x)", {"estimand": "ATT"}, "estimand: ATT (a = 0)"),
    ("~ treat(a) + adjust(x)", {"estimand": "ATC"}, "estimand: ATC (a = 0)"),
    ("~ treat(a) + adjust(x)", {"estimand": "ATO"}, "estimand: ATO"),
    ("~ treat(a) + adjust(x)", {"link": "probit"}, "Design: inverse probability weighting (probit)"),
    ("~ treat(a) + adjust(x) + weights(exp(z))", {}, "sampling weights: exp(z)"),
    ("~ treat(a)", {}, "covariates: none"),
]


@pytest.mark.parametrize(("formula", "options", "line"), PRINTED)
def test_what_the_print_names(study, formula, options, line):
    head = str(cf.design(formula, study, "ipw", **options)).partition("\n\n")[0]
    assert line in [text.removeprefix(" - ") for text in head.splitlines()]


def test_many_covariates_are_counted(study):
    many = study.assign(**{f"v{k}": np.roll(study["z"], k) for k in range(12)})
    formula = f"~ treat(a) + adjust({' + '.join(f'v{k}' for k in range(12))})"
    assert " - covariates: v0, v1, v2, v3, v4, v5, v6, v7, v8, v9 and 2 more\n" in str(cf.design(formula, many, "ipw"))


def test_a_dose_of_few_values_is_said_to_be_one(study):
    text = str(cf.design("~ treat(few) + adjust(x)", study.assign(few=np.arange(400) % 3), "ipw"))
    assert " - treatment: few, a dose from 0 to 2\n" in text
    assert text.endswith("Note: few is treated as a dose, with values 0, 1, 2; write treat(factor(few)) for levels")


def test_the_classifier_of_a_pipeline_is_named(study):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression())
    named = "(Pipeline ending in LogisticRegression, cross-fitted in 5 folds)"
    design = cf.design(MADE, study, "ipw", model=model)
    assert str(design).startswith(f"Design: inverse probability weighting {named}\n")
    with pytest.warns(cf.CausalFormulaWarning, match="weights come from Pipeline ending in LogisticRegression, which"):
        assert named in str(design.fit("y ~ treat(a)"))


def test_missing_rows_are_said_wherever_the_sample_is_looked_at(study):
    gaps = study.assign(x=study["x"].where(study["z"] < 1.5), g=study["g"].where(study["z"] > -2.5))
    lost = {"x": int(gaps["x"].isna().sum()), "g": int(gaps["g"].isna().sum())}
    said = f"{sum(lost.values())} observations deleted due to missingness: x: {lost['x']}, g: {lost['g']}"
    with pytest.warns(cf.CausalFormulaWarning, match=said):
        design = cf.design(MADE, gaps, "ipw")
    fit = design.fit("y ~ treat(a)")
    assert f"\n  ({said})\n" in str(design) and f"\n  ({said})\n" in str(fit)
    seen = [design.balance(), design.balance(cluster="arm"), design.summary(), design.overlap(), fit.design.balance()]
    for report in seen:
        assert str(report).count(f"\nNote: {said}") == 1
    assert "missingness" not in str(cf.design(MADE, study, "ipw").balance())


def test_balance_counts_what_was_done_to_the_sample(study):
    with pytest.warns(cf.CausalFormulaWarning):
        design = cf.design(MADE, study, "ipw", discard=(0.4, 0.6), trim=0.95)
    kept = int((design.weights > 0).sum())
    discarded = f"{400 - kept} rows discarded: propensity score outside [0.4, 0.6]. The ATE is that of the other {kept}"
    assert design.balance().notes == design.designed.notes and len(design.designed.notes) == 2
    assert f"\nNote: {discarded}\nNote: trimmed to the limit: " in str(design.balance())
    assert str(design.balance(cluster="g")).endswith(f"Note: {design.designed.notes[1]}")
    parts = design.balance(cluster="g").parts.values()
    assert all("Note" not in str(part) for part in parts)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trim": 1}, r"^trimmed to the limit: 1 weight above [\d.]+$"),
        ({"trim": 2}, r"^trimmed to the limit: 2 weights above [\d.]+$"),
        ({"trim": 1, "trim_lower": True}, r"^trimmed to the limit: 1 weight above [\d.]+ and 1 weight below [\d.]+$"),
        ({"trim": 0.8}, r"^nothing trimmed: no weight lies above [\d.]+$"),
    ],
)
def test_notes_of_trimming_count_in_grammar(study, options, said):
    with pytest.warns(cf.CausalFormulaWarning, match=said):
        cf.design("~ treat(a)" + " + adjust(x)" * (said[1] == "t"), study, "ipw", **options)


def test_one_row_is_no_rows(study):
    p = np.where(np.arange(400) < 200, 0.3, 0.7)
    p[study["a"].to_numpy().argmin()] = 0.05
    first = study.index[study["a"].to_numpy().argmin()]
    with pytest.warns(cf.CausalFormulaWarning, match="^1 row discarded: .* The ATE is that of the other 399$"):
        design = cf.design("~ treat(a)", study.assign(p=p), "ipw", ps="p", discard="control")
    assert f"; 1 row lies outside (row {first}); 1 of them has weight 0" in str(design.overlap())
    gap = study.assign(y=study["y"].where(study.index != "r3"))
    with pytest.raises(cf.DataError, match=r"^1 row of the design has a missing value .*\(y: 1; row r3\)"):
        cf.design(MADE, gap, "ipw").fit("y ~ treat(a)")


# -- balance, summary, overlap ---------------------------------------------------------------------------------------


def test_balance_of_a_fit(study):
    fit = cf.fit("y ~ treat(a) + adjust(x + g)", study)
    balance = fit.design.balance()
    frame = balance.to_frame()
    assert list(frame.index) == ["x", "g_u", "g_v", "g_w"]
    assert list(frame.columns[:3]) == ["Type", "Diff.Un", "M.Threshold.Un"]
    assert frame["Diff.Adj"].isna().all()
    assert "Adj" not in str(balance) and "Sample sizes" in str(balance)


def test_balance_can_leave_out_the_sample_before(study):
    frame = cf.design(MADE, study, "ipw").balance(un=False).to_frame()
    assert not [name for name in frame.columns if name.endswith(".Un")]


def test_balance_by_group_and_by_pair(study):
    balance = cf.design(MADE, study, "ipw").balance(cluster="g")
    assert list(balance.parts) == ["u", "v", "w"]
    assert balance.to_frame().index.names == ["g", None]
    assert " - - - g: v - - - " in str(balance)
    pairs = cf.design("~ treat(arm) + adjust(x)", study, "ipw").balance()
    assert list(pairs.parts) == ["q vs. p", "r vs. p", "r vs. q"]
    worst = np.max([np.abs(part.to_frame()["Diff.Adj"]) for part in pairs.parts.values()])
    assert pairs.to_frame()["Max.Diff.Adj"]["x"] == pytest.approx(worst)
    assert str(pairs).startswith("Balance summary across all treatment pairs")


def test_the_worst_over_groups(study):
    """Without a group named, the table and the worst covariate are those over all groups."""
    balance = cf.design(MADE, study, "ipw").balance(cluster="g")
    frame = balance.to_frame()
    worst = frame["Diff.Adj"].abs().groupby(level=1).max()
    name = balance.worst("Diff")
    assert name == worst.drop("prop.score").idxmax()
    assert balance.judged("Diff")[balance.table.rows.index(name)] == pytest.approx(worst[name])
    assert list(balance.tally().index) == [(g, "Diff") for g in "uvw"]
    assert balance.tally().loc["u"].equals(balance.parts["u"].tally())


@pytest.fixture(scope="module")
def levels(study):
    return cf.design("~ treat(arm) + adjust(x + g)", study, "ipw")


def test_pairs_one_by_one(levels):
    balance = levels.balance(which_treat="all", threshold=None)
    frame = balance.to_frame()
    assert frame.index.names == ["pair", None]
    assert list(dict.fromkeys(frame.index.get_level_values(0))) == ["q vs. p", "r vs. p", "r vs. q"]
    pd.testing.assert_frame_equal(frame.loc["r vs. q"], balance.parts["r vs. q"].to_frame())
    worst = levels.balance(threshold=None)
    assert balance.table.columns["Max.Diff.Adj"].tolist() == worst.table.columns["Max.Diff.Adj"].tolist()
    largest = frame["Diff.Adj"].abs().groupby(level=1, sort=False).max()
    np.testing.assert_array_equal(worst.to_frame()["Max.Diff.Adj"], largest)


def test_pairs_print_as_cobalt_prints_them(levels):
    balance = levels.balance("smd", which_treat=["q", "r"])
    part = str(balance.parts["r vs. q"])
    rule = " -" * 16 + " "  # as long as the heading with its line breaks, in pairs of characters
    assert str(balance) == f"Balance by treatment pair\n\n - - - q (0) vs. r (1) - - - \n{part}\n{rule}"
    assert part.startswith("Balance Measures\n") and "q      r" in part.splitlines()[-3]
    assert str(levels.balance("smd", which_treat="q")).count(" - - - \nBalance Measures") == 2
    assert "\n\n - - - q (0) vs. r (1) - - - \n" in str(levels.balance("smd", which_treat="all"))
    assert str(levels.balance("smd")).startswith("Balance summary across all treatment pairs")


def test_pairs_have_means_and_tallies(levels):
    balance = levels.balance("smd", which_treat="p", means=True)
    assert {"M.0.Adj", "SD.1.Adj"} <= set(balance.to_frame().columns)
    assert list(balance.tally().index) == [("q vs. p", "Diff"), ("r vs. p", "Diff")]
    assert not [name for name in levels.balance("smd", means=True).to_frame().columns if name.startswith("Max.M")]


def test_pairs_within_groups(study, levels):
    balance = levels.balance("smd", which_treat=("p", "r"), cluster="g", threshold=None)
    frame = balance.to_frame()
    assert frame.index.names == ["g", "pair", None]
    alone = cf.design("~ treat(arm) + adjust(x + g)", study, "ipw").balance("smd", cluster="g", threshold=None)
    pd.testing.assert_frame_equal(frame.loc[("v", "r vs. p")], alone.parts["v"].parts["r vs. p"].to_frame())
    assert " - - - g: v - - - \nBalance by treatment pair" in str(balance)


def test_pairs_of_a_numbered_treatment(study):
    dosed = cf.design("~ treat(factor(step)) + adjust(x)", study.assign(step=np.arange(400) % 3), "ebal")
    assert dosed.balance(which_treat=2).shown == ("2 vs. 0", "2 vs. 1")
    assert dosed.balance(s_d_denom=0).to_frame().equals(dosed.balance(s_d_denom="0").to_frame())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"which_treat": "pp"}, "has no level 'pp'; did you mean 'p'"),
        ({"which_treat": ".all"}, "did you mean 'all'"),
        ({"which_treat": ["p", "s"]}, "has no level 's'; choose from p, q, r"),
        ({"which_treat": []}, "names no level"),
        ({"which_treat": 3}, "has no level '3'"),
    ],
)
def test_pairs_that_there_are_not(levels, options, message):
    with pytest.raises(cf.OptionError, match=message):
        levels.balance(**options)


def test_pairs_need_several_levels(study):
    with pytest.raises(cf.OptionError, match=r"which_treat.*several levels; 'a' has two arms"):
        cf.design(MADE, study, "ipw").balance(which_treat="all")
    with pytest.raises(cf.OptionError, match=r"which_treat.*several levels; 'dose' is a dose"):
        cf.design("~ treat(dose) + adjust(x)", study, "ebal").balance(which_treat="all")


ABOVE_ZERO = "must be a number above zero"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stats": "smdd"}, "unknown balance statistic 'smdd'; did you mean 'smd'"),
        ({"stats": []}, "stats is empty.*smd, variance_ratio, ks, ovl"),
        ({"stats": None}, "stats=None: name statistics"),
        ({"stats": 3}, "stats=3: name statistics"),
        ({"stats": [3]}, "unknown balance statistic 3"),
        ({"stats": ("smd", "correlations")}, "correlations: not defined for a treatment with arms"),
        ({"binary": "both"}, "binary='both'"),
        ({"binary": 3}, "binary=3: 'raw'"),
        ({"binary": ["raw"]}, r"binary=\['raw'\]"),
        ({"s_d_denom": "poled"}, "unknown s_d_denom 'poled'; did you mean 'pooled'"),
        ({"s_d_denom": 7}, "unknown s_d_denom 7; choose from treated, .*, 0, 1"),
        ({"s_d_denom": ""}, "unknown s_d_denom ''"),
        ({"threshold": {"vv": 2}}, "unknown balance statistic 'vv'"),
        ({"threshold": {3: 2}}, "unknown balance statistic 3"),
        ({"threshold": -1}, f"threshold {ABOVE_ZERO}, not -1"),
        ({"threshold": 0}, ABOVE_ZERO),
        ({"threshold": "0.1"}, f"{ABOVE_ZERO}, not '0.1'"),
        ({"threshold": float("nan")}, f"{ABOVE_ZERO}, not nan"),
        ({"threshold": float("inf")}, ABOVE_ZERO),
        ({"threshold": True}, ABOVE_ZERO),
        ({"threshold": [0.1]}, ABOVE_ZERO),
        ({"threshold": {"smd": "x"}}, f"threshold of 'smd' {ABOVE_ZERO}, not 'x'"),
        ({"threshold": {"variance_ratio": 0}}, f"'variance_ratio' {ABOVE_ZERO}"),
        ({"threshold": {"smd": None}}, ABOVE_ZERO),
        ({"un": "yes"}, "un must be True or False, not 'yes'"),
        ({"means": "x"}, "means must be True or False"),
        ({"int": 2}, "int must be True or False, not 2; powers of the covariates are poly=2"),
        ({"poly": 0}, "poly=0.*from 1 to 9"),
        ({"poly": "2"}, "poly='2'"),
        ({"poly": 2.0}, "poly=2.0"),
        ({"poly": 10}, "poly=10"),
        ({"cluster": "nope"}, "no column 'nope'"),
        ({"cluster": 3}, "cluster is the name of a column, not 3"),
        ({"cluster": ["g"]}, "cluster is the name of a column"),
    ],
)
def test_balance_refuses_what_it_does_not_know(study, options, message):
    with pytest.raises(cf.OptionError, match=message):
        cf.design(MADE, study, "ipw").balance(**options)


def test_a_dose_has_its_own_statistics(study):
    dose = cf.design("~ treat(dose) + adjust(x + g)", study, "ipw")
    frame = dose.balance(("correlations", "ks.statistics.target"), threshold=None).to_frame()
    pd.testing.assert_frame_equal(frame, dose.balance(threshold=None).to_frame())
    with pytest.raises(cf.OptionError, match="ovl: not defined for a dose"):
        dose.balance(("smd", "ovl"))
    with pytest.raises(cf.OptionError, match="for a dose s_d_denom"):
        dose.balance(s_d_denom="pooled")


def test_a_group_without_an_arm_is_named(study):
    with pytest.raises(cf.DataError, match="a = 0 has no row of arm '1'"):
        cf.design(MADE, study, "ipw").balance(cluster="a")


def test_cobalts_names_give_the_same_table(study):
    design = cf.design(MADE, study, "ipw")
    names = ("mean.diffs", "variance.ratios", "ks.statistics", "ovl.coefficients")
    assert str(design.balance(names, threshold={"mean.diffs": 0.1})) == str(design.balance())


def test_balance_needs_covariates(study):
    with pytest.raises(cf.DataError, match="no covariates"):
        cf.fit("y ~ treat(a)", study).design.balance()


def test_overlap_report(study):
    design = cf.design(MADE, study, "ipw")
    overlap, p = design.overlap(), design.distance
    treated = study["a"] == 1
    frame = overlap.to_frame()
    assert frame.loc["Treated", ["rows", "min", "max"]].tolist() == [treated.sum(), p[treated].min(), p[treated].max()]
    low, high = max(p[treated].min(), p[~treated].min()), min(p[treated].max(), p[~treated].max())
    assert overlap.support == (low, high)
    assert sorted(row for rows in overlap.outside().values() for row in rows) == sorted(p.index[(p < low) | (p > high)])
    np.testing.assert_array_equal(frame["ess.weighted"], design.ess().loc["Weighted"])
    assert "Common support" in str(overlap)
    assert "Common support" not in str(cf.design(MADE, study, "ebal").overlap())


@pytest.mark.parametrize("method", ["ipw", "cbps"])
def test_overlap_of_several_levels(study, method):
    design = cf.design("~ treat(arm) + adjust(x + g)", study, method)
    overlap, P = design.overlap(), design.design_weights.probabilities
    frame, outside = overlap.to_frame(), np.zeros(400, dtype=bool)
    assert list(frame.columns[:7]) == ["rows", "min.p", "max.p", "min.q", "max.q", "min.r", "max.r"]
    for k, level in enumerate("pqr"):
        ranges = pd.Series(P[:, k]).groupby(study["arm"].to_numpy()).agg(["min", "max"])
        np.testing.assert_array_equal(frame[[f"min.{level}", f"max.{level}"]], ranges)
        assert overlap.supports[level] == (ranges["min"].max(), ranges["max"].min())
        outside |= (P[:, k] < ranges["min"].max()) | (P[:, k] > ranges["max"].min())
    assert 0 < outside.sum() < 400
    assert frame["outside"].tolist() == [int((outside & (study["arm"] == level)).sum()) for level in "pqr"]
    assert sorted(row for rows in overlap.outside().values() for row in rows) == sorted(study.index[outside])
    assert overlap.support is None
    text = str(overlap)
    low, high = overlap.supports["q"]
    line = next(line for line in text.splitlines() if line.startswith("q ["))
    assert line.endswith(f" [{low:.4f}, {high:.4f}]")
    assert f"all scores within their range in common; {outside.sum()} rows lie outside (rows r" in text


def test_levels_that_share_no_scores():
    """The score whose ranges do not meet is named, with both ends of the gap."""
    arms = {name: np.repeat([0, 1, 2], 2) == k for k, name in enumerate("pqr")}
    scores = {"p": np.array([0.4, 0.5, 0.3, 0.5, 0.4, 0.6]), "q": np.array([0.1, 0.2, 0.2, 0.35, 0.3, 0.4])}
    used = np.ones(6, dtype=bool)
    overlap = Overlap(arm_overlaps(arms, np.ones(6), np.ones(6), scores), supports(scores, arms, used), range(6))
    assert "No common support: no score of q lies in every arm's range (0.3 > 0.2)" in str(overlap)
    row = next(line for line in str(overlap).splitlines() if line.startswith("q ["))
    assert row.split() == ["q", "[0.1,", "0.2]", "[0.2,", "0.35]", "[0.3,", "0.4]", "none"]


@pytest.mark.parametrize("method", ["ebal", "energy", "ipt"])
def test_without_scores_the_overlap_says_why(study, method):
    overlap = cf.design("~ treat(arm) + adjust(x + g)", study, method).overlap()
    assert f"No score ranges: method {method!r} has no propensity scores here. The largest weights" in str(overlap)
    assert overlap.to_frame()[["min", "max"]].isna().all(axis=None)
    assert overlap.supports == {} and overlap.support is None


def test_a_dose_and_a_regression_say_why(study):
    dose = str(cf.design("~ treat(dose) + adjust(x)", study, "ebal").overlap())
    assert "No score ranges: a dose has no arms to compare" in dose and "balance()" in dose
    plain = str(cf.fit("y ~ treat(a) + x", study).design.overlap())
    assert "method 'regression' has no propensity scores" in plain and "'ipw'" in plain
    assert "thin overlap" not in plain  # there are no weights to look at
    assert "No score ranges" not in str(cf.design(MADE, study, "ipw").overlap())


def test_discarded_rows_are_told_from_those_that_count(study):
    """Rows outside the common support are those of the sample; the print says which of them the design dropped."""
    with pytest.warns(cf.CausalFormulaWarning, match="discarded"):
        kept = cf.design(MADE, study, "ipw", discard="both")
    outside = kept.overlap().to_frame()["outside"].sum()
    assert outside == (kept.weights == 0).sum() > 0
    assert f"{outside} rows lie outside" in str(kept.overlap())
    assert f"; {outside} of them have weight 0\nNote: {outside} rows discarded" in str(kept.overlap())
    assert "weight 0" not in str(cf.design(MADE, study, "ipw").overlap())
    # effective sizes: before with every row, after with those kept
    for arm, rows in {"Control": study["a"] == 0, "Treated": study["a"] == 1}.items():
        w = kept.weights[rows]
        assert kept.ess().loc["Unweighted", arm] == rows.sum()
        assert kept.ess().loc["Weighted", arm] == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert kept.summary().to_frame()["zeros"].tolist() == [
        int((kept.weights[study["a"] == k] == 0).sum()) for k in (1, 0)
    ]
    np.testing.assert_array_equal(kept.balance().sizes, kept.ess())


def test_balance_divides_by_the_spread_before_rows_were_dropped(study):
    """As cobalt: discarded rows leave the adjusted means, and stay in the standard deviations."""
    with pytest.warns(cf.CausalFormulaWarning, match="discarded"):
        design = cf.design(MADE + " + weights(s)", study.assign(s=1 + study["z"] ** 2), "ipw", discard=(0.3, 0.7))
    x, treated, s = study["x"].to_numpy(), (study["a"] == 1).to_numpy(), 1 + study["z"].to_numpy() ** 2
    total = s * design.weights.to_numpy()

    def variance(rows):
        w = s[rows]
        mean = w @ x[rows] / w.sum()
        return w @ (x[rows] - mean) ** 2 * w.sum() / (w.sum() ** 2 - w @ w)

    means = [np.average(x[rows], weights=total[rows]) for rows in (treated, ~treated)]
    pooled = np.sqrt((variance(treated) + variance(~treated)) / 2)
    assert design.balance().to_frame().loc["x", "Diff.Adj"] == pytest.approx((means[0] - means[1]) / pooled, rel=1e-9)


def test_the_optimal_subset_in_words(study):
    with pytest.warns(cf.CausalFormulaWarning, match="optimal subset"):
        design = cf.design("~ treat(a) + adjust(x)", study.assign(x=2.5 * study["x"]), "ipw", estimand="ATOS")
    out = int((design.weights == 0).sum())
    assert out > 0 and f"Note: {out} rows outside the optimal subset have weight 0" in str(design.overlap())
    assert design.summary().to_frame()["zeros"].sum() == out


@pytest.mark.parametrize("top", ["x", 0, 2.5, None, True])
def test_summary_counts_whole_weights(study, top):
    with pytest.raises(cf.OptionError, match=r"top=.*how many of the largest weights"):
        cf.design(MADE, study, "ipw").summary(top=top)


def test_summary_shows_as_many_weights_as_asked_for(study):
    summary = cf.design(MADE, study, "ipw").summary(top=3)
    assert len(summary.extremes()) == 6
    assert summary.extremes()["row"].isin(study.index).all()
    assert "Units with the 3 most extreme weights by group" in str(summary)
