"""What every result offers, for every registered method: shapes, names, and readings that agree."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import registry
from causalformula.backends.estimands import ESTIMANDS
from causalformula.errors import CapabilityError
from causalformula.frame.treatment import Kind
from tests.laws.strategies import kept_rows, posed, questions, regressed, simulate

CASES = [case for record in registry.methods() for case in posed(record)]
TIDY = ["term", "contrast", "estimate", "std.error", "statistic", "df", "p.value", "conf.low", "conf.high"]
every = pytest.mark.parametrize("question", CASES)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        yield


@pytest.fixture(scope="module")
def data():
    return simulate(42)


@every
def test_tidy_is_every_reading(question, data):
    fit = question.fit(data)
    tidy = fit.tidy()
    assert list(tidy.columns) == TIDY
    names = list(tidy["term"] + " " + tidy["contrast"])
    for series, column in (
        (fit.params, "estimate"),
        (fit.bse, "std.error"),
        (fit.tvalues, "statistic"),
        (fit.pvalues, "p.value"),
    ):
        assert list(series.index) == names
        np.testing.assert_array_equal(series, tidy[column])
    limits = fit.conf_int()
    assert list(limits.index) == names
    np.testing.assert_array_equal(limits.to_numpy(), tidy[["conf.low", "conf.high"]])
    assert list(fit.confint().columns) == ["2.5 %", "97.5 %"]
    np.testing.assert_array_equal(fit.confint(0.9), fit.conf_int(0.1))
    if len(tidy) == 1:
        assert (fit.estimate, fit.std_error) == (tidy["estimate"][0], tidy["std.error"][0])
    assert fit.nobs == kept_rows(fit)


@every
def test_limits_are_the_estimate_and_its_error(question, data):
    """Symmetric on the working scale, at every level, with the t or normal quantile of the stated df."""
    from scipy import stats

    fit = question.fit(data)
    if fit.answer.measure.reading == "inverse":
        pytest.skip("a number needed to treat has no limits where its difference may be zero")
    for level in (0.5, 0.95, 0.99):
        tidy = fit.tidy(level)
        df = tidy["df"].to_numpy()
        q = np.where(
            np.isinf(df), stats.norm.ppf((1 + level) / 2), stats.t.ppf((1 + level) / 2, np.where(np.isinf(df), 1, df))
        )
        value, error, low, high = (tidy[c].to_numpy() for c in ("estimate", "std.error", "conf.low", "conf.high"))
        if fit.answer.measure.reading == "exp":
            value, error, low, high = np.log(value), error / value, np.log(low), np.log(high)
        np.testing.assert_allclose((low + high) / 2, value, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose((high - low) / 2, q * error, rtol=1e-9)
        np.testing.assert_allclose(tidy["statistic"], value / error, rtol=1e-9)
        p = np.where(
            np.isinf(df),
            2 * stats.norm.sf(np.abs(value / error)),
            2 * stats.t.sf(np.abs(value / error), np.where(np.isinf(df), 1, df)),
        )
        np.testing.assert_allclose(tidy["p.value"], p, rtol=1e-8)


@every
def test_cov_params(question, data):
    fit = question.fit(data)
    v = fit.cov_params()
    assert list(v.index) == list(v.columns) == list(fit.params.index)
    np.testing.assert_allclose(np.sqrt(np.diag(v)), fit.bse, rtol=1e-10)
    np.testing.assert_allclose(v, v.T)


@every
def test_glance(question, data):
    fit = question.fit(data)
    glance = fit.glance()
    assert len(glance) == 1
    row = glance.iloc[0]
    assert row["nobs"] == kept_rows(fit)
    assert row["method"] == question.record.name
    if fit.fit.estimand in ESTIMANDS:  # the effect of a linear model has a name of its own
        assert row["estimand"] == question.estimand
    assert fit.fit.estimand == dict(question.options).get("estimand", fit.fit.estimand)
    own = fit.fit.design.vcov or (question.record.weighted_vcov if question.weights else "")
    expected = "~u" if question.unit else own or question.record.default_vcov
    # what was cross-fitted is held fixed, and nothing is stacked
    assert row["vcov"] == ("influence function" if fit.fit.learned else expected)
    several = "est_method" in dict(question.options)  # models of changes or samples, and none of the outcome
    if "outcome" in question.record.roles and not (fit.fit.learned or several):
        assert {"logLik", "AIC", "BIC", "df.residual"} <= set(glance.columns)


@every
def test_augment_is_the_data_and_more(question, data):
    labelled = data.set_axis([f"row{i}" for i in range(len(data))])
    augmented = question.fit(labelled).augment()
    pd.testing.assert_frame_equal(augmented[list(data.columns)], labelled)
    added = set(augmented.columns) - set(data.columns)
    assert added <= {".fitted", ".resid", ".hat", ".weights", ".distance", ".subclass"}
    if ".fitted" in added and question.family != "binomial(link = 'probit')":
        outcome = question.formula.partition(" ~ ")[0]
        np.testing.assert_allclose(augmented[".fitted"] + augmented[".resid"], labelled[outcome], atol=1e-9)


@every
def test_means_make_the_effects(question, data):
    fit = regressed(question.fit(data))
    if "means" not in dir(fit):
        with pytest.raises(CapabilityError, match="no mean potential outcomes"):
            fit.means()
        return
    means = fit.means()
    frame = fit.call.frame
    if question.kind is Kind.CONTINUOUS:
        assert len(means.tidy()) == 1
        return
    levels = list(frame.treatment.levels)
    assert list(means.tidy()["contrast"]) == levels
    found = dict(zip(levels, means.tidy()["estimate"], strict=True))
    for label, value in zip(fit.tidy()["contrast"], fit.tidy()["estimate"], strict=True):
        if dict(question.options).get("measure", "difference") == "difference":
            high, low = label.split(" - ")
            assert value == pytest.approx(found[high] - found[low], abs=1e-10)


MODIFIED = [p for p in CASES if p.values[0].modify]


@pytest.mark.parametrize("question", MODIFIED)
def test_by_is_a_result_a_level(question, data):
    fit = question.fit(data)
    try:
        by = fit.by("z")
    except cf.ConvergenceError:
        pytest.skip("a group has no solution of its own")
    assert list(by.tidy().columns) == ["z", *TIDY]
    assert list(by.tidy()["z"]) == ["u", "v", "w"]
    assert by.test.p_value == pytest.approx(by.with_vcov(by.covariance.request).test.p_value)
    assert 0 <= by.test.p_value <= 1
    assert "Wald test that the effects are equal by z" in str(by)
    # the effects by group, weighted by the groups' part of the target, are the effect
    averages = "groups_average" not in question.record.exempt and fit.fit.estimand in ESTIMANDS
    if fit.answer.measure.name == "difference" and averages:
        from causalformula.backends.target import target_weights

        target = target_weights(fit.call.frame, fit.call.options) * (fit.design.weights.to_numpy() > 0)
        share = np.array([target[(data["z"] == level).to_numpy()].sum() for level in "uvw"]) / target.sum()
        assert share @ by.tidy()["estimate"] == pytest.approx(fit.estimate, rel=1e-10)
        # and so is the test: equality of three effects has two restrictions
        assert (by.test.df[0] if isinstance(by.test.df, tuple) else by.test.df) == 2


def test_by_a_column_that_is_no_modifier_says_so(data):
    by = cf.fit("y ~ treat(a) + adjust(x + z)", data).by("z")
    assert "z is not in modify(...)" in str(by)
    assert "not in modify" not in str(cf.fit("y ~ treat(a) + adjust(x) + modify(z)", data).by("z"))


def test_by_kinds_of_columns(data):
    fit = cf.fit("y ~ treat(a) + adjust(x) + modify(f + q)", data)
    assert list(fit.by("f").tidy()["f"]) == ["1", "2", "3"]
    quartiles = fit.by("q").tidy()
    assert len(quartiles) == 4
    assert quartiles["q"].str.match(r"^[\[(].*\]$").all()
    logical = data.assign(b=data["x"] > 0)
    assert list(cf.fit("y ~ treat(a) + modify(b)", logical).by("b").tidy()["b"]) == ["FALSE", "TRUE"]


# Lines of words, which the reader's window may break.
LONG = ("Method", "Standard errors", "Default for this design", "Note")


@every
def test_print_names_what_was_asked(question, data):
    fit = question.fit(data)
    text = str(fit)
    lines = text.split("\n")
    outcome = question.formula.partition(" ~ ")[0]
    assert lines[0].endswith(f" of {fit.call.frame.treatment.name} on {outcome}")
    head = lines[1 : lines.index("")]
    assert head[0].startswith("Method: ")
    assert any(f"Estimand: {fit.fit.estimand}      Observations: {fit.nobs}" in line for line in head)
    for name in fit.params.index:
        assert any(line.startswith(name) for line in lines), name
    assert any(line.startswith("Standard errors: ") for line in lines)
    assert repr(fit) == text
    assert all(len(line) <= 100 for line in lines if not line.startswith(LONG))
    html = fit._repr_html_()
    assert html.count("<table>") == 1 + sum(not isinstance(part, str) for part in fit._tables())
    assert html.partition("</table>")[0].count("<tr>") == 1 + len(fit.params)


TARGETS = [
    ("treat(t)", {"estimand": "ATT"}, "ATT (t = yes)"),
    ("treat(t)", {"estimand": "ATC"}, "ATC (t = no)"),
    ("treat(t, ref = 'yes')", {"estimand": "ATT"}, "ATT (t = no)"),
    ("treat(t, ref = 'yes')", {"estimand": "ATE"}, "ATE"),
    ("treat(a)", {"estimand": "ATT"}, "ATT"),
    ("treat(a, ref = 0)", {"estimand": "ATT"}, "ATT"),
    ("treat(a, ref = 1)", {"estimand": "ATT"}, "ATT (a = 0)"),
    ("treat(a == 1)", {"estimand": "ATC"}, "ATC"),
    ("treat(t)", {"estimand": "ATT", "focal": "no"}, "ATT (t = no)"),
]


@pytest.mark.parametrize(("treat", "options", "estimand"), TARGETS)
@pytest.mark.parametrize("method", ["regression", "ipw"])
def test_print_says_who_the_treated_are(data, method, treat, options, estimand):
    """Levels 0 and 1 say it themselves; of others the print names the one whose units are the target."""
    named = data.assign(t=np.where(data["a"] == 1, "yes", "no"))
    text = str(cf.fit(f"y ~ {treat} + adjust(x)", named, method, **options))
    assert f"Estimand: {estimand}      Observations: " in text.replace("\n", "      ")


def test_print_names_sampling_weights(data):
    weighted = data.assign(s=np.arange(len(data)) % 3 + 1)
    for formula in ("y ~ treat(a) + weights(s)", "y ~ treat(a) + x + weights(s)"):
        head = str(cf.fit(formula, weighted)).partition("\n\n")[0]
        assert f"Observations: {len(data)}      Sampling weights: s" in head
    assert "Sampling weights" not in str(cf.fit("y ~ treat(a) + x", weighted))


@every
def test_summary_as_text_html_and_latex(question, data):
    summary = question.fit(data).summary(level=0.9)
    assert summary.as_text() == str(summary)
    assert "5 %" in str(summary)
    assert "95 %" in str(summary)
    assert "<table>" in summary.as_html()
    assert r"\begin{tabular}" in summary.as_latex()


@every
def test_hypothesis(question, data):
    fit = question.fit(data)
    one = fit.hypothesis("b1 = 0")
    assert one.estimate == pytest.approx(fit.params.iloc[0])
    assert one.std_error == pytest.approx(fit.bse.iloc[0])
    assert one.test.statistic == pytest.approx((fit.params.iloc[0] / fit.bse.iloc[0]) ** 2)
    named = fit.hypothesis(f"`{fit.params.index[0]}` - 1.5")
    assert named.estimate == pytest.approx(fit.params.iloc[0] - 1.5)
    squared = fit.hypothesis("b1^2 = 0")
    assert squared.std_error == pytest.approx(2 * abs(fit.params.iloc[0]) * fit.bse.iloc[0])
    if len(fit.params) > 1:
        joint = fit.hypothesis(["b1 = 0", "b2 = 0"])
        b, v = fit.params.to_numpy()[:2], fit.cov_params().to_numpy()[:2, :2]
        wald = b @ np.linalg.solve(v, b)
        assert joint.test.statistic == pytest.approx(wald / 2 if isinstance(joint.test.df, tuple) else wald)


@every
def test_a_fit_minus_itself_is_nothing_and_minus_another_has_an_error(question, data):
    # matched sets are clusters of one design alone
    fit = regressed(question.fit(data), own=False)
    if fit.answer.measure.reading == "inverse":
        pytest.skip("numbers needed to treat are not subtracted")
    nothing = fit - fit
    np.testing.assert_allclose(nothing.tidy()["estimate"], 0, atol=1e-14)
    np.testing.assert_allclose(nothing.tidy()["std.error"], 0, atol=1e-12)
    most = data.iloc[:48]
    difference = fit - regressed(question.fit(most), own=False)
    assert (difference.tidy()["std.error"] > 0).all()
    working = fit.answer.estimate.theta - question.fit(most).answer.estimate.theta
    np.testing.assert_allclose(difference.answer.estimate.theta, working, rtol=1e-12)
    assert difference.tidy()["contrast"].str.endswith("(difference)").all()


def test_the_error_of_a_difference_is_the_bootstraps():
    """Adjusted minus unadjusted on the same rows: far smaller an error than if the fits were independent."""
    data = simulate(6, n=400)
    adjusted, plain = (cf.fit(f, data, "regression") for f in ("y ~ treat(a) + adjust(x + z + q)", "y ~ treat(a)"))
    difference = adjusted - plain
    draws = []
    rng = np.random.default_rng(0)
    for _ in range(300):
        rows = data.iloc[rng.integers(0, len(data), len(data))].reset_index(drop=True)
        draws.append(cf.fit(adjusted.call.text, rows).estimate - cf.fit(plain.call.text, rows, "regression").estimate)
    assert difference.std_error == pytest.approx(np.std(draws, ddof=1), rel=0.15)
    assert difference.std_error < 0.9 * np.hypot(adjusted.std_error, plain.std_error)


def test_differences_respect_clusters(data):
    plain = cf.fit("y ~ treat(a) + x", data) - cf.fit("y ~ treat(a)", data)
    clustered = cf.fit("y ~ treat(a) + x", data, vcov="~g") - cf.fit("y ~ treat(a)", data)
    assert "clustered by g" in str(clustered)
    assert clustered.std_error != plain.std_error


def test_derived_results_say_what_they_cannot_do(data):
    derived = cf.fit("y ~ treat(a) + x", data).hypothesis("b1 = 0")
    for ask in (derived.means, lambda: derived.by("z")):
        with pytest.raises(cf.CapabilityError, match="derived from others"):
            ask()


# dml stands for what refits its learners in every replicate
LEARNERS = {"s_learner", "t_learner", "x_learner", "r_learner", "dr_learner"}
REFITTED = {"dml", "energy"}


def _first_of_each_that_refits_slowly():
    """Every question of methods with replicates in a batch; of the others the first, and the rest at length."""
    seen = set()
    for found in questions("bootstrap"):
        (question,) = found.values
        name = "" if question is None else question.record.name
        marks = [pytest.mark.slow] if name in (seen & REFITTED) | LEARNERS else list(found.marks)
        seen.add(name)
        yield pytest.param(question, id=found.id, marks=marks)


@pytest.mark.parametrize("question", _first_of_each_that_refits_slowly())
def test_bootstrap_reads_like_any_other(question):
    data = simulate(42, n=240)  # resamples of fewer rows may have no balancing weights
    fit = question.fit(data, vcov=cf.Bootstrap(reps=60, seed=5))
    tidy = fit.tidy()
    draws = fit.covariance.draws
    working = draws.std(axis=0, ddof=1)
    np.testing.assert_allclose(fit.covariance.std_error, working, rtol=1e-10)
    assert np.isinf(tidy["df"]).all()
    np.testing.assert_allclose(tidy["statistic"], fit.answer.estimate.theta / working, rtol=1e-10)
    text = str(fit)
    assert "seed 5" in text
    assert "replicates" in text
    assert "Intervals: percentile" in text
    for kind in () if question.options else ("normal", "basic"):
        other = question.fit(data, vcov=cf.Bootstrap(reps=60, seed=5, kind=kind))
        np.testing.assert_array_equal(other.covariance.draws, draws)
        assert f"Intervals: {kind}" in str(other)


def test_a_bootstrap_without_a_seed_reports_one_that_repeats_it(data):
    fit = cf.fit("y ~ treat(a) + x", data, vcov=cf.Bootstrap(reps=30))
    seed = int(str(fit).partition("seed ")[2].split(")")[0].split(",")[0])
    again = cf.fit("y ~ treat(a) + x", data, vcov=cf.Bootstrap(reps=30, seed=seed))
    np.testing.assert_array_equal(fit.covariance.draws, again.covariance.draws)


def test_cluster_in_the_formula_is_the_default_and_vcov_wins(data):
    formula = "y ~ treat(a) + adjust(x) + cluster(g)"
    fit = cf.fit(formula, data)
    pd.testing.assert_frame_equal(fit.tidy(), cf.fit("y ~ treat(a) + adjust(x)", data, vcov="~g").tidy())
    assert "clustered by g" in str(fit)
    assert cf.fit(formula, data, vcov="HC3").glance()["vcov"][0] == "HC3"
    assert "clusters of g" in str(cf.fit(formula, data, vcov=cf.Bootstrap(reps=30, seed=1)))


def test_clustered_experiments_have_their_default(data):
    fit = cf.fit("y ~ treat(a) + cluster(g)", data)
    assert fit.call.record.name == "difference_in_means"
    assert "CR2" in str(fit)
    same = cf.fit("y ~ treat(a)", data, "regression", vcov="CR2 ~ g")
    assert fit.std_error == pytest.approx(same.std_error, rel=1e-10)
    assert fit.tidy()["df"][0] == pytest.approx(same.tidy()["df"][0], rel=1e-8)


def test_a_covariance_matrix_of_the_callers(data):
    fit = cf.fit("y ~ treat(a) + x", data)
    v = np.array([[4.0]])
    assert fit.with_vcov(v).std_error == 2
    model = fit.fit.models["outcome"].model.hat.classical()
    assert fit.with_vcov(model).std_error == pytest.approx(fit.std_error, rel=1e-12)
    assert "given matrix" in str(fit.with_vcov(v))


def test_models_are_there_or_none(data):
    fit = cf.fit("y ~ treat(a) + x", data)
    assert fit.outcome is not None
    assert fit.propensity is None
    assert fit.first_stage is None
    assert cf.fit("y ~ treat(a)", data).outcome is None


@every
def test_the_design_is_always_there(question, data):
    design = question.fit(data).design
    assert len(design.weights) == len(data)
