"""``compare``: one estimand, each method its roles on the same rows, one table, and whether the methods agree."""

from __future__ import annotations

import dataclasses
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import propensity
from causalformula.frame import model_frame
from causalformula.frame.parts import PROPENSITY, Part
from causalformula.results import answered
from causalformula.results.comparison import truth, verb

F = "y ~ treat(a) + adjust(x)"
ALL = ["difference_in_means", "regression", "ipw", "ebal", "nearest", "subclass", "aipw"]
INFLUENTIAL = ["difference_in_means", "regression", "ipw", "ebal", "aipw"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    n = 240
    d = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "s": rng.integers(0, 3, n)})
    d["a"] = rng.binomial(1, 1 / (1 + np.exp(-d.x)))
    d["f"] = rng.choice(list("uvw"), n)
    d["g"] = rng.integers(0, 24, n)
    d["y"] = d.a + d.x + rng.normal(size=n)
    d["b"] = (d.y > 0).astype(int)
    return d


@pytest.fixture(autouse=True)
def silent():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def found(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cf.compare(F, data, ALL, truth=1.0)


# ---- the table


def test_every_row_is_the_fit_of_its_method(data, found):
    tidy = found.tidy(level=0.9).set_index("name")
    assert list(tidy.index) == ALL == list(found.fits)
    for name in ALL:
        form = {"replace": True, "ties": True} if name == "nearest" else {}
        formula = "y ~ treat(a)" if name == "difference_in_means" else F
        alone = cf.fit(formula, data, name, estimand="ATE", **form).tidy(level=0.9).iloc[0]
        for column in ("estimate", "std.error", "statistic", "df", "p.value", "conf.low", "conf.high"):
            np.testing.assert_allclose(tidy.loc[name, column], alone[column], rtol=1e-10, err_msg=f"{name} {column}")


def test_the_error_is_the_estimate_minus_the_truth(found):
    tidy = found.tidy()
    np.testing.assert_allclose(tidy["error"], tidy["estimate"] - 1)
    np.testing.assert_allclose(tidy["error.over.se"], (tidy["estimate"] - 1) / tidy["std.error"])
    assert list(found.tidy(names="snake").columns)[4:6] == ["estimate", "std_error"]
    pd.testing.assert_frame_equal(found.to_frame(), tidy)


@pytest.mark.parametrize(("measure", "working"), [("odds_ratio", np.log), ("nnt", lambda x: -1 / x)])
def test_the_error_of_a_ratio_is_judged_on_its_working_scale(data, measure, working):
    found = cf.compare("b ~ treat(a) + x", data, ["regression", "ipw"], measure=measure, truth=3.0)
    tidy = found.tidy()
    # the delta method: s.e. of the working value is that of the reported one over the slope
    slope = {"odds_ratio": lambda x: x, "nnt": lambda x: x**2}[measure](tidy["estimate"])
    expected = (working(tidy["estimate"]) - working(3.0)) / (tidy["std.error"] / slope)
    np.testing.assert_allclose(tidy["error.over.se"], expected)
    np.testing.assert_allclose(tidy["error"], tidy["estimate"] - 3)


def test_what_is_left_out(data):
    methods = ["difference_in_means", "regression", "ipw", "cem"]
    found = cf.compare("y ~ treat(a) + x + propensity(z) + strata(s)", data, methods)
    left = dict(zip(found.tidy()["name"], found.tidy()["left.out"], strict=True))
    assert left == {
        "difference_in_means": "unadjusted",
        "regression": "propensity(...), strata(...)",
        "ipw": "strata(...)",
        "cem": "propensity(...), strata(...)",
    }
    # a difference in means has strata for its blocks
    blocks = cf.fit("y ~ treat(a) + strata(s)", data, "difference_in_means")
    assert found.fits["difference_in_means"].estimate == pytest.approx(blocks.estimate)
    assert found.fits["regression"].call.text == "y ~ treat(a) + adjust(x)"
    drawn = cf.compare("y ~ treat(a) + x + strata(s)", data, ["regression"], vcov=cf.Bootstrap(reps=20, seed=1))
    assert drawn.tidy()["left.out"].tolist() == [""] and "within strata of s" in str(drawn)


def test_all_have_the_rows_that_are_complete_in_every_role(data):
    gaps = data.assign(z=data.z.where(data.index > 9))
    found = cf.compare("y ~ treat(a) + x + propensity(z)", gaps, ["difference_in_means", "regression", "ipw"])
    assert {fit.nobs for fit in found.fits.values()} == {230}
    alone = cf.fit("y ~ treat(a)", gaps.iloc[10:], "difference_in_means")
    assert found.fits["difference_in_means"].estimate == pytest.approx(alone.estimate)
    assert "(10 observations deleted due to missingness: z: 10)" in str(found)


def test_several_effects_stand_method_by_method(data):
    found = cf.compare("y ~ treat(f) + x", data, ["regression", "ipw"], truth=[0, 0.5])
    tidy = found.tidy()
    assert tidy["contrast"].tolist() == ["v - u", "v - u", "w - u", "w - u"]
    assert tidy["truth"].tolist() == [0, 0, 0.5, 0.5]
    assert "f w - u: Outcome regression" in str(found)
    assert found.test.df == 2
    with pytest.raises(cf.OptionError, match=r"a number for each effect, and there are 2 effects \(f v - u, f w - u\)"):
        cf.compare("y ~ treat(f) + x", data, ["regression"], truth=0)


def test_a_family_is_of_outcome_models_only(data):
    methods = ["difference_in_means", "regression"]
    found = cf.compare("b ~ treat(a) + x", data, methods, family="binomial")
    assert found.fits["regression"].estimate == pytest.approx(
        cf.fit("b ~ treat(a) + x", data, family="binomial").estimate
    )
    assert found.fits["difference_in_means"].estimate == pytest.approx(cf.fit("b ~ treat(a)", data).estimate)


def test_covariances_by_name_or_for_all(data):
    some = cf.compare(F, data, ["regression", "ipw"], vcov={"regression": "HC3"}).tidy()["vcov"].tolist()
    assert some[0] == "HC3" and some[1].startswith("asympt")
    for_all = cf.compare(F, data, ["regression", "aipw"], vcov="~g").tidy()["vcov"]
    assert for_all.str.startswith("clustered by g").all()


# ---- what is printed


def test_the_print(found):
    text = str(found)
    assert text.startswith("Average treatment effect of a on y by 7 methods\nEffect: a 1 - 0      Estimand: ATE")
    assert "Truth: 1" in text and "Left out" in text
    (row,) = (line for line in text.splitlines() if line.startswith("Difference in means "))
    assert row.endswith(" unadjusted")
    assert text.count("Note: nearest: replace=True, ties=True is chosen for method 'nearest'") == 1
    assert "Wald test that 4 methods agree (Hausman)" in text
    assert "  without nearest: its influence function is not known" in text
    assert "  without difference_in_means: unadjusted" in text
    assert "5 %" in str(found.summary(level=0.9)) and found.as_latex().count(r"\begin{tabular}") == 1
    assert found._repr_html_() == found.as_html() and found.as_markdown().count("| :--") == 1


def test_errors_have_the_decimals_of_the_estimates(data):
    estimate = cf.fit(F, data).estimate
    found = cf.compare(F, data, ["regression", "ipw"], truth=estimate + 1e-6)
    (row,) = (line.split() for line in str(found).splitlines() if line.startswith("Outcome regression"))
    assert row[6] == "-0.0000" and len(row[2].partition(".")[2]) == 4


def test_notes_stand_once(data):
    found = cf.compare("y ~ treat(a) + x + cluster(few)", data.assign(few=data.g % 6), ["regression", "ipw"])
    few = [note for note in found.notes if "6 clusters" in note]
    assert few and len(few) == len(set(few)) and str(found).count(few[0]) == 1


def test_warnings_name_their_methods(data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cf.compare(F, data, ["regression", "nearest", "exact"])
    texts = [str(each.message) for each in caught]
    assert any(text.startswith("nearest: the matches are") for text in texts)
    assert any(text.startswith("exact: no estimate: nobody can be matched") for text in texts)


# ---- agreement


def test_pairs_are_differences_of_the_fits(found):
    pairs = found.agreement()
    assert len(pairs) == 21
    for row in pairs.itertuples():
        a, b = found.fits[row.first], found.fits[row.second]
        assert row.difference == pytest.approx(a.estimate - b.estimate)
        if row.first in INFLUENTIAL and row.second in INFLUENTIAL:
            psi = a.influence() - b.influence()
            assert row[6] == pytest.approx(np.sqrt((psi**2).sum()) / len(psi), rel=1e-6)
            assert row.statistic == pytest.approx(row.difference / row[6])
            assert row.note == ""
        else:
            assert np.isnan(row[6]) and "its influence function is not known: the " in row.note


def test_the_joint_test_is_hausmans(found):
    adjusting = [found.fits[name] for name in INFLUENTIAL[1:]]
    theta = np.array([fit.estimate - adjusting[0].estimate for fit in adjusting[1:]])
    psi = np.hstack([fit.influence() - adjusting[0].influence() for fit in adjusting[1:]])
    V = psi.T @ psi / len(psi) ** 2
    assert found.test.statistic == pytest.approx(theta @ np.linalg.solve(V, theta), rel=1e-5)
    assert found.test.df == 3


def test_clusters_are_those_of_the_fits(data):
    found = cf.compare("y ~ treat(a) + x + cluster(g)", data, ["regression", "ipw"])
    difference = found.fits["regression"] - found.fits["ipw"]
    assert found.agreement()["std.error"][0] == pytest.approx(difference.std_error)
    apart = cf.compare(F, data, ["regression", "ipw"], vcov={"regression": "~g", "ipw": "~s"})
    assert apart.test is None and "clustered by g and by s" in apart.agreement()["note"][0]


def test_methods_that_differ_by_rounding_have_no_test(data):
    found = cf.compare("y ~ treat(a)", data, {"one": "difference_in_means", "two": "regression"})
    assert found.test is None and np.isnan(found.agreement()["statistic"][0])
    assert found.tidy()["left.out"].tolist() == ["", ""]


# ---- designs and pictures


def test_balance_is_judged_by_the_same_covariates(data, found):
    table = found.balance().set_index("name")
    assert table["weighted"].tolist() == [False, False, True, True, True, True, False]
    raw = cf.fit(F, data).design.balance().to_frame().loc["x", "Diff.Un"]
    assert table.loc["difference_in_means", "difference"] == pytest.approx(raw)
    for name in ("ipw", "subclass"):
        design = found.fits[name].design
        assert table.loc[name, "difference"] == pytest.approx(design.balance().to_frame().loc["x", "Diff.Adj"])
        assert table.loc[name, "ess.Treated"] == pytest.approx(design.ess().loc["Weighted", "Treated"])
    assert abs(table.loc["ebal", "difference"]) < 1e-8 and set(table["covariate"]) == {"x"}
    dose = cf.compare("y ~ treat(z) + x", data, ["regression", "ebal"]).balance()
    assert dose["measure"][0] == "correlation with the dose" and "ess.Total" in dose


def test_a_forest_plot(found):
    import matplotlib.pyplot as plt

    ax = found.plot(level=0.9)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "Difference in means (unadjusted)" and len(labels) == 7
    assert "90% interval" in ax.get_xlabel()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Truth: 1"]
    drawn = [line.get_xdata() for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(drawn[0], found.tidy()["estimate"])
    plt.close(ax.figure)


# ---- true effects of units


UNITS = {"difference_in_means": "difference_in_means", "one": "regression", "s": "s_learner", "t": "t_learner"}


@pytest.fixture(scope="module")
def varied():
    rng = np.random.default_rng(8)
    d = pd.DataFrame({"x": rng.normal(size=240), "w": rng.uniform(0.5, 2, 240)})
    d["a"] = rng.binomial(1, 1 / (1 + np.exp(-d.x)))
    d["tau"] = 1 + d.x
    d["y"] = d.x + d.a * d.tau + rng.normal(size=240)
    return d.set_index(np.arange(240)[::-1] + 1000)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_true_effects_of_units(varied, estimand):
    found = cf.compare(F, varied, UNITS, estimand=estimand, truth="tau") if estimand == "ATE" else None
    found = found or cf.compare(
        F, varied, {k: v for k, v in UNITS.items() if k in "one t"}, estimand="ATT", truth="tau"
    )
    tidy = found.tidy().set_index("name")
    truth = varied.tau.mean() if estimand == "ATE" else varied.tau[varied.a == 1].mean()
    np.testing.assert_allclose(tidy["truth"], truth)
    np.testing.assert_allclose(tidy["error"], tidy["estimate"] - truth)
    score = found.fits["t"].effects().score("tau")
    assert tidy.loc["t", ["PEHE", "MAE", "correlation"]].tolist() == [score[k] for k in ("PEHE", "MAE", "correlation")]
    assert tidy.loc["t", "error"] == pytest.approx(score["error of the average"])
    off = tidy.loc["one", "estimate"] - varied.tau
    np.testing.assert_allclose(tidy.loc["one", ["PEHE", "MAE"]].tolist(), [np.sqrt((off**2).mean()), off.abs().mean()])
    assert np.isnan(tidy.loc["one", "correlation"])


def test_true_effects_by_name_by_label_and_in_order_are_the_same(varied):
    tables = [
        cf.compare(F, varied, ["regression", "t_learner"], truth=truth).tidy()
        for truth in (
            "tau",
            varied.tau,
            varied.tau.sample(frac=1, random_state=1),
            varied.tau.to_numpy(),
            [*varied.tau],
        )
    ]
    for other in tables[1:]:
        pd.testing.assert_frame_equal(other, tables[0])


def test_rows_that_were_dropped_or_left_out_have_no_truth(varied):
    gaps = varied.assign(x=varied.x.where(np.arange(240) > 9), tau=varied.tau.where(np.arange(240) > 9))
    found = cf.compare(F, gaps, ["t_learner"], truth="tau")
    whole = cf.compare(F, varied, ["t_learner"], truth=varied.tau.to_numpy(), subset="x < 1")
    assert found.truth == pytest.approx((varied.tau[10:].mean(),))
    assert whole.truth == pytest.approx((varied.tau[varied.x < 1].mean(),))
    assert len(found.unit_truth) == 230


def test_sampling_weights_weight_the_errors_of_units(varied):
    found = cf.compare(f"{F} + weights(w)", varied, ["regression"], truth="tau")
    (row,) = found.tidy().to_dict("records")
    assert row["truth"] == pytest.approx(np.average(varied.tau, weights=varied.w))
    assert row["MAE"] == pytest.approx(np.average(abs(row["estimate"] - varied.tau), weights=varied.w))


def test_the_print_says_what_has_no_correlation(varied):
    text = str(cf.compare(F, varied, UNITS, truth="tau"))
    lines = text.splitlines()
    row = next(line.split() for line in lines if line.startswith("t "))
    assert len(row) == 10 and row[-1] == f"{cf.fit(F, varied, 't_learner').effects().score('tau')['correlation']:.3f}"
    assert next(line.split() for line in lines if line.startswith("one "))[-1] == "NA"
    assert "(mean of the units)" in lines[1]
    assert "unit effects of all 240 rows against true ones, whose s.d. is" in text
    assert "  one number for all units, which has no correlation: difference_in_means, one" in lines
    assert "  s: no correlation: the predicted effects are the same for every row" in lines


def test_the_print_says_whose_units_a_truth_is_of(varied):
    lines = str(cf.compare(F, varied, ["t_learner"], truth="tau", estimand="ATT")).splitlines()
    mean = varied.tau[varied.a == 1].mean()
    assert lines[1].endswith(f"Truth: {mean:.7g} (mean of the units with a = 1)")
    at = next(k for k, line in enumerate(lines) if line.startswith("PEHE, MAE, Correlation"))
    assert lines[at + 1] == "  of everyone, not only the units with a = 1"


def test_a_method_that_fails_has_no_errors_of_units(varied):
    found = cf.compare(F, varied, ["exact", "t_learner"], truth="tau")
    assert found.tidy()[["PEHE", "MAE", "correlation"]].isna().all(axis=1).tolist() == [True, False]
    assert "exact" not in next(line for line in str(found).splitlines() if "PEHE, MAE, Correlation" in line)


def test_a_picture_of_the_errors_of_units(varied, found):
    import matplotlib.pyplot as plt

    ax = cf.compare(F, varied, UNITS, truth="tau").plot(kind="errors")
    mae, pehe = (line.get_xdata() for line in ax.lines if line.get_marker() in "oD")
    tidy = cf.compare(F, varied, UNITS, truth="tau").tidy()
    np.testing.assert_allclose(mae, tidy["MAE"])
    np.testing.assert_allclose(pehe, tidy["PEHE"])
    assert ax.get_yticklabels()[0].get_text() == "difference_in_means (unadjusted)"
    assert ax.get_xlabel() == "Error of unit effects on y" and ax.get_xlim()[0] == 0
    plt.close(ax.figure)
    with pytest.raises(cf.OptionError, match="is of unit effects"):
        found.plot(kind="errors")
    with pytest.raises(cf.OptionError, match="unknown kind"):
        found.plot(kind="error")


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"truth": "tua"}, cf.OptionError, "no column 'tua'; did you mean 'tau'"),
        ({"truth": "f"}, cf.DataError, "'f' must be numbers"),
        ({"truth": np.ones(239)}, cf.OptionError, "there is one effect, or one for each of the 240 rows"),
        ({"truth": np.ones((240, 2))}, cf.OptionError, "truth= is the true effect, a number"),
        ({"truth": pd.Series(np.ones(9))}, cf.DataError, "the truth has 9 values, and there are effects of 240 rows"),
        ({"truth": "tau", "estimand": "ATO"}, cf.OptionError, "have no mean among those who could be in either arm"),
        ({"truth": "tau", "measure": "ratio"}, cf.OptionError, "are differences, and measure='ratio'"),
        ({"truth": "gap"}, cf.DataError, "gap"),
    ],
)
def test_truths_of_units_that_make_no_sense(varied, more, error, message):
    d = varied.assign(f="u", gap=varied.tau.where(varied.x < 0))
    with pytest.raises(error, match=message):
        cf.compare(F, d, ["ipw"], **more)


def test_a_list_that_may_be_of_effects_or_of_rows_is_refused(data):
    two = data.assign(f=np.repeat([*"uvw"], 80))
    with pytest.raises(cf.OptionError, match=r"are of one effect, and there are 2 effects \(f v - u, f w - u\)"):
        cf.compare("y ~ treat(f)", two, ["regression"], truth="x")
    few = pd.DataFrame({"y": [1.0, 2, 4, 3, 5, 7], "f": [*"uvwuvw"]})
    with pytest.raises(cf.OptionError, match="has 2 numbers, and there are 2 effects"):
        truth.read_truth([1.0, 2.0], np.ones(2), cf.fit("y ~ treat(f)", few, "regression"))


def test_units_of_a_panel_have_no_truth():
    panel = cf.datasets.load("did_panel")
    with pytest.raises(cf.OptionError, match=r"are of treat\(...\), which the formula does not have"):
        cf.compare("Severity ~ did(Drug, Post)", panel, ["did"], estimand="ATT", truth="Severity")


# ---- once


def test_data_are_bound_and_designs_built_once(data, monkeypatch):
    bound, built, read = [], [], []
    bind, build, parse = verb.bind, model_frame.build, answered.parse
    monkeypatch.setattr(verb, "bind", lambda *a, **k: bound.append(1) or bind(*a, **k))
    monkeypatch.setattr(answered, "parse", lambda *a, **k: read.append(1) or parse(*a, **k))

    def counted(evaluated, **k):
        built.append(repr(evaluated.terms))
        return build(evaluated, **k)

    monkeypatch.setattr(model_frame, "build", counted)
    methods = ["regression", "ipw", "ebal", "cem", "aipw", "tmle", cf.DML(outcome_model="ridge"), cf.IPW(model="ridge")]
    found = cf.compare("y ~ treat(a) + x + propensity(z)", data, methods)
    assert len(read) == len(bound) == 1 and len(found.fits) == len(methods)
    assert len(built) == len(set(built)) > 2


def test_the_treatment_model_is_fitted_once(data, monkeypatch):
    """By methods of the same weights; a resample, whose frame is a reweighted copy, has its own."""
    fitted, fit_glm = [], propensity.fit_glm
    monkeypatch.setattr(propensity, "fit_glm", lambda *a, **k: fitted.append(k["weights"]) or fit_glm(*a, **k))
    found = cf.compare(F, data, ["ipw", "subclass", "aipw", "tmle"])
    assert len(fitted) == 1
    own = found.fits["ipw"].call.frame
    half = own.reweight(np.where(np.arange(own.n) % 2, 1.0, 0.5))
    again = propensity.fit_propensity(half)
    assert len(fitted) == 2 and fitted[1] is half.weights
    expected = cf.glm("a ~ x", data.assign(w=half.weights), family="quasibinomial", weights="w")
    np.testing.assert_allclose(again.coef, expected.params, rtol=1e-6)
    assert propensity.fit_propensity(own) is found.fits["aipw"].fit.models["propensity"].model and len(fitted) == 2
    assert propensity.fit_propensity(own, "probit").family.link_name == "probit" and len(fitted) == 3


def test_roles_that_a_design_does_not_hold_are_no_reason_to_build_it_anew(data):
    found = cf.compare("y ~ treat(a) + x + propensity(z)", data, ["regression", "ipw"])
    with_z, without_z = (found.fits[name].call.frame for name in ("ipw", "regression"))
    outcome = Part("outcome")
    assert with_z.design(outcome) is without_z.design(outcome)
    assert with_z.design(PROPENSITY).names == ("(Intercept)", "x", "z")
    assert without_z.design(PROPENSITY).names == ("(Intercept)", "x")
    assert not without_z.has("propensity") and without_z.rows is with_z.rows


def test_processes_change_nothing(data, found, monkeypatch):
    """What goes to another process, and what comes back, goes by pickle; the processes themselves are joblib's."""
    given = []

    class Sent:
        def __init__(self, n_jobs=None):
            given.append(n_jobs)

        def __call__(self, calls):
            sent = (pickle.loads(pickle.dumps(call)) for call in calls)
            return [pickle.loads(pickle.dumps(function(*a, **k))) for function, a, k in sent]

    monkeypatch.setattr(joblib, "Parallel", Sent)
    again = cf.compare(F, data, ALL, truth=1.0, n_jobs=2)
    assert given[0] == 2
    pd.testing.assert_frame_equal(again.tidy(), found.tidy(), check_exact=True)
    assert again.test.statistic == found.test.statistic


def test_frozen_and_pickled(found):
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.estimand = "ATT"
    with pytest.raises(TypeError):
        found.fits["ipw"] = None
    back = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(back.tidy(), found.tidy())
    assert str(back) == str(found)


@pytest.mark.parametrize("options", [{}, {"ties": True, "estimand": "ATE"}, {"ties": True, "bias_adjust": True}])
def test_matches_with_replacement_pickle(data, options):
    fit = cf.fit(F, data, "nearest", replace=True, **options).with_vcov("AI")
    back = pickle.loads(pickle.dumps(fit))
    assert back.with_vcov("AI").std_error == fit.std_error


# ---- names


def test_names_and_numbers(data):
    ipw = "Inverse probability weighting"
    listed = cf.compare(F, data, ["ipw", cf.IPW(link="probit"), cf.Regression])
    assert list(listed.fits) == ["ipw (1)", "ipw (2)", "regression"]
    assert listed.tidy()["method"].tolist() == [f"{ipw} (1)", f"{ipw} (2)", "Outcome regression"]
    named = cf.compare(F, data, {"logit": "ipw", "probit": cf.IPW(link="probit")})
    np.testing.assert_array_equal(named.tidy()["estimate"], listed.tidy()["estimate"][:2])
    assert named.tidy()["name"].tolist() == ["logit", "probit"] and set(named.tidy()["method"]) == {ipw}
    assert [line.split()[0] for line in str(named).splitlines()[4:6]] == ["logit", "probit"]


def test_options_that_are_given_stay(data):
    two = cf.compare(F, data, [cf.Nearest(ratio=2)], estimand="ATT").fits["nearest"]
    assert two.estimate == cf.fit(F, data, "nearest", ratio=2).estimate
    # the form that gives the ATE keeps them too
    both = cf.compare(F, data, [cf.Nearest(ratio=2)]).fits["nearest"]
    assert both.call.options.ratio == 2 and both.call.options.ties


# ---- what goes wrong


def test_a_method_that_fails_leaves_the_others(data):
    found = cf.compare(F, data, ["exact", "regression"], truth=1)
    assert list(found.fits) == ["regression"] and isinstance(found.errors["exact"], cf.DataError)
    row = found.tidy().iloc[0]
    assert row["name"] == "exact" and np.isnan(row["estimate"]) and np.isnan(row["error"])
    text = str(found)
    assert "Note: exact: no estimate: nobody can be matched" in text
    (line,) = (line.split() for line in text.splitlines() if line.startswith("Exact matching"))
    assert line[2:] == ["NA"] * 6
    assert found.agreement()["note"].tolist() == ["exact: no estimate"]
    assert np.isnan(found.balance()["difference"][0])
    assert any(text.get_text() == "no estimate" for text in found.plot().texts)


def test_where_all_fail_the_first_error_is_raised(data):
    with pytest.raises(cf.DataError, match="nobody can be matched"):
        cf.compare(F, data, ["exact"])


REFUSED = [
    ((["ipw", "ebal"],), {"estimand": "ATO"}, cf.OptionError, r"'ebal' does not estimate the ATO.*these do: ipw"),
    ((["ipw", "did"],), {}, cf.OptionError, r"'did' does not estimate the ATE.*these do: difference_in_means, regr"),
    ((["ipw", "did"],), {"estimand": "ATT"}, cf.CapabilityError, r"'did' does not use treat\(...\)"),
    ((["ipw", "causal_forest"],), {}, cf.CapabilityError, "'causal_forest' is not available yet; available: "),
    ((["ipw", "regresion"],), {}, cf.OptionError, "unknown method 'regresion'; did you mean 'regression'"),
    ((["ipw", "weighting"],), {}, cf.OptionError, r"'ipw' is listed twice.* cf\.IPW\(...\)"),
    (([],), {}, cf.OptionError, "methods= is empty"),
    (({},), {}, cf.OptionError, "methods= is empty"),
    (("ipw",), {}, cf.OptionError, "methods= lists methods"),
    (({1: "ipw"},), {}, cf.OptionError, "gives methods their names, which are texts, not 1"),
    ((["ipw", cf.Regression(measure="ratio")],), {}, cf.OptionError, "measure 'difference' and 'regression' with"),
    ((["ipw", cf.Regression(estimand="ATT")],), {}, cf.OptionError, "ask for the ATT, and the comparison for the ATE"),
    ((["ipw"],), {"vcov": {"ipv": "HC0"}}, cf.OptionError, "'ipv', which is not compared; did you mean 'ipw'"),
    ((["ipw"],), {"vcov": np.eye(1)}, cf.OptionError, "a matrix is of one fit"),
    ((["ipw"],), {"truth": "one"}, cf.OptionError, "the data have no column 'one'"),
    ((["ipw"],), {"truth": [1, 2]}, cf.OptionError, "a number for each effect, and there is one"),
    ((["ipw"],), {"measure": "ratio", "truth": -1}, cf.OptionError, "a ratio is above 0"),
    ((["ipw"],), {"n_jobs": "two"}, cf.OptionError, "n_jobs is a number of processes"),
]


@pytest.mark.parametrize(("methods", "more", "error", "message"), REFUSED)
def test_refused(data, methods, more, error, message):
    positive = data.assign(y=data.y + 20)
    with pytest.raises(error, match=message):
        cf.compare(F, positive, *methods, **more)


def test_a_treatment_that_a_method_does_not_take_is_refused_before_any_fit(data):
    with pytest.raises(cf.CapabilityError, match="'subclass' does not take a treatment that is of several levels"):
        cf.compare("y ~ treat(f) + x", data, ["regression", "subclass"])


def test_balance_needs_arms(data):
    panel = data.assign(d=data.index % 2, t=data.index // 120)
    found = cf.compare("y ~ did(d, t)", panel, ["did"], estimand="ATT")
    assert found.fits["did"].estimate == pytest.approx(cf.fit("y ~ did(d, t)", panel).estimate)
    with pytest.raises(cf.CapabilityError, match=r"the arms of treat\(...\)"):
        found.balance()


# ---- double machine learning -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def offered(data):
    """Offered by ``z2``, taken by some: with instruments, and a dose ``z``."""
    rng = np.random.default_rng(8)
    z = rng.integers(0, 2, len(data))
    d = (z + data.x + rng.normal(size=len(data)) > 0.5).astype(int)
    return data.assign(z2=z, d=d, y=d + data.x + rng.normal(size=len(data)))


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_instruments_are_left_out_where_they_would_make_another_estimand(offered, estimand):
    found = cf.compare("y ~ treat(d) + x + iv(z2)", offered, ["regression", "dml"], estimand=estimand)
    alone = cf.fit("y ~ treat(d) + x", offered, "dml", estimand=estimand)
    tidy = found.tidy().set_index("name")
    assert tidy.loc["dml", "estimate"] == alone.estimate and tidy.loc["dml", "left.out"] == "iv(...)"
    assert found.fits["dml"].fit.estimand == estimand
    assert f"Note: dml: model='irm' is chosen for method 'dml', by which it gives the {estimand}" in str(found)
    named = cf.compare("y ~ treat(d) + x + iv(z2)", offered, [cf.DML(model="irm")], estimand=estimand)
    assert named.tidy()["left.out"].tolist() == ["iv(...)"] and "is chosen" not in str(named)
    assert "is chosen" not in str(cf.compare("y ~ treat(d) + x", offered, ["dml"], estimand=estimand))


def test_a_local_effect_is_asked_for_by_its_name(offered):
    found = cf.compare("y ~ treat(d) + x + iv(z2)", offered, ["dml"], estimand="LATE")
    assert found.tidy()["estimate"].item() == cf.fit("y ~ treat(d) + x + iv(z2)", offered, "dml").estimate
    assert found.tidy()["left.out"].tolist() == [""] and "Estimand: LATE" in str(found)


@pytest.mark.parametrize(
    ("roles", "method", "estimand", "message"),
    [
        ("treat(d) + x", cf.DML(model="plr"), "ATE", r"variance-weighted.*not the ATE; model='irm' or model='selected"),
        ("treat(d) + x + iv(z2)", cf.DML(model="iivm"), "ATE", r"the LATE, and not the ATE; model='irm'.*without iv"),
        ("treat(d) + x", "dml", "LATE", r"not the LATE; model='iivm' does, with iv\(z\) in the formula"),
        ("treat(z) + x", "dml", "ATE", r"no model for the ATE of a treatment of the kind dose; these methods do: regr"),
    ],
)
def test_a_model_that_has_another_estimand_is_refused_before_any_fit(offered, roles, method, estimand, message):
    with pytest.raises(cf.OptionError, match=message):
        cf.compare(f"y ~ {roles}", offered, [method], estimand=estimand)


@pytest.mark.parametrize("model", ["irm", "selected_irm"])
def test_double_machine_learning_takes_part_in_the_tests(data, model):
    found = cf.compare(F, data, ["aipw", cf.DML(model=model), "nearest"])
    pair = found.agreement().set_index(["first", "second"]).loc[("aipw", "dml")]
    psi = found.fits["aipw"].influence() - found.fits["dml"].influence()
    by_hand = float(np.sqrt(np.sum(np.asarray(psi) ** 2)) / len(data))
    np.testing.assert_allclose(pair["std.error"], by_hand, rtol=1e-10)
    assert pair["std.error"] == pytest.approx((found.fits["aipw"] - found.fits["dml"]).std_error)
    np.testing.assert_allclose(found.test.statistic, (pair["difference"] / by_hand) ** 2, rtol=1e-8)
    assert "without nearest" in str(found) and "without dml" not in str(found)


def test_a_median_of_repetitions_says_why_it_is_not_tested(data):
    found = cf.compare(F, data, ["aipw", cf.DML(repeats=3)])
    assert found.agreement()["note"].tolist() == [
        "dml: a median over repetitions has no influence function; repeats=1 has"
    ]


def test_estimators_of_staggered_adoption_are_compared_by_their_overall_effects():
    rng = np.random.default_rng(1)
    start = np.array([0, 3, 4])[np.arange(90) % 3]
    data = pd.DataFrame(
        {"id": np.repeat(np.arange(90), 5), "g": np.repeat(start, 5), "t": np.tile(np.arange(1, 6), 90)}
    )
    data["y"] = rng.normal(size=450) + 2.0 * ((data["g"] > 0) & (data["t"] >= data["g"]))
    formula = "y ~ did(g, t, unit = id)"
    methods = {"group-time": "did", "sunab": "sunab", "imputation": "imputation", "etwfe": "etwfe"}
    found = cf.compare(formula, data, methods, estimand="ATT")
    table = found.tidy()
    assert table["term"].tolist() == ["ATT"] * 4
    for (name, method), row in zip(methods.items(), table.itertuples(), strict=True):
        alone = cf.fit(formula, data, method)
        assert row.estimate == alone.overall.estimate, name
        assert found.fits[name].std_error == alone.overall.std_error
    np.testing.assert_allclose(table["estimate"].iloc[2], table["estimate"].iloc[3])
    columns = [cf.fit(formula, data, method) for method in methods.values()]
    assert "event=0 ATT" in str(cf.table(columns))
    assert str(cf.table(found)) == str(cf.table(dict(found.fits))) and "group-time" in str(cf.table(found))
    with pytest.raises(cf.OptionError, match="all of them can answer with estimand='ATT'"):
        cf.compare(formula, data, list(methods.values()))
