"""What effects of units cannot be asked, and what they rest on, in plain words."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor

import causalformula as cf

F = "y ~ treat(a) + adjust(x + s)"
METHODS = ("s_learner", "t_learner", "x_learner", "r_learner", "dr_learner")


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 120
    x = rng.normal(size=n)
    a = (np.arange(n) + (rng.random(n) < 0.3)) % 2
    frame = pd.DataFrame({"x": x, "a": a, "y": x + a * (1 + x) + rng.normal(size=n), "q": x + rng.normal(size=n)})
    frame["s"], frame["m"] = rng.choice(["u", "v"], n), np.array(["none", "low", "high"])[np.arange(n) % 3]
    return frame.assign(tau=1 + x, none=np.where(a == 0, 0.0, frame["y"]), d=(frame["y"] > 1).astype(int))


@pytest.fixture(scope="module")
def fit(data):
    return cf.fit(F, data, "t_learner")


def refused(ask, kind=cf.CausalFormulaError) -> str:
    with pytest.raises(kind) as caught:
        ask()
    return str(caught.value)


# -- methods and new rows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["regression", "ipw", "aipw", "dml"])
def test_a_method_without_effects_of_units(data, method):
    plain = cf.fit("y ~ treat(a) + adjust(x)", data, method)
    assert refused(plain.effects, cf.CapabilityError) == (
        f"method '{method}' has no effects of units, only averages and those of groups, by(...); 's_learner', "
        "'t_learner', 'x_learner', 'r_learner' and 'dr_learner' have them"
    )
    assert refused(lambda: plain.qini(), AttributeError) == (
        f"method '{method}' has no qini(); method='s_learner', method='t_learner', method='x_learner', "
        "method='r_learner' and method='dr_learner' have it"
    )
    assert "effects" not in dir(plain)


@pytest.mark.parametrize("method", METHODS)
def test_new_rows_with_an_unknown_level_or_without_a_column(data, method):
    fit = cf.fit(F, data, method)
    assert "effects" in dir(fit)
    text = refused(lambda: fit.effects(data.head(3).assign(s="w")), cf.DataError)
    assert text == "s has a level that was not there at the fit: 'w'; known: u, v"
    assert "unknown column 's'; the data have x" in refused(lambda: fit.effects(data[["x"]]), cf.FormulaError)


def test_a_dose(data):
    text = refused(lambda: cf.fit("y ~ treat(q) + adjust(x)", data, "t_learner"), cf.CapabilityError)
    assert text.startswith("method 't_learner' does not take a treatment that is a dose (here 'q'); these do: ")
    assert "s_learner" in text and "r_learner" in text
    dose = cf.fit("y ~ treat(q) + adjust(x)", data, "r_learner")
    for verb in (dose.uplift, dose.qini):
        assert "compares the outcomes of two arms, and 'q' is a dose" in refused(
            lambda v=verb: v(observed=True), cf.CapabilityError
        )


def test_several_contrasts_where_one_is_needed(data):
    several = cf.fit("y ~ treat(m) + adjust(x)", data, "t_learner")
    asked = {
        "judging effects": [
            several.toc,
            several.rate,
            several.qini,
            several.value,
            several.calibration,
            several.losses,
        ],
        "qini(observed=True)": [lambda: several.qini(observed=True)],
        "score()": [lambda: several.effects().score("tau")],
        "plot()": [lambda: several.effects().plot()],
    }
    for what, verbs in asked.items():
        for verb in verbs:
            text = refused(verb, cf.OptionError)
            assert text == f"{what} is of one effect; choose it by contrast=(low, high) in fit()"
    chosen = cf.fit("y ~ treat(m) + adjust(x)", data, "t_learner", contrast=("none", "high"))
    assert "high - none" in str(chosen.rate(reps=10))


# -- learners ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family, outcome", [("gaussian", "none"), ("binomial", "rare")])
def test_an_arm_with_a_constant_outcome(data, family, outcome):
    table = data.assign(rare=np.where(data["a"] == 0, 0, data["d"]))
    with pytest.warns(cf.CausalFormulaWarning, match="glm learned nothing of the outcome at a = 0"):
        fit = cf.fit(f"{outcome} ~ treat(a) + adjust(x)", table, "t_learner", family=family)
    assert "Note: glm learned nothing of the outcome at a = 0: it predicts the same for every row" in str(fit)
    found = fit.effects().to_frame()
    assert (found["a = 0"].abs() < 1e-6).all() and np.isfinite(found["effect"]).all()


def test_what_a_model_of_effects_must_be(data):
    text = refused(lambda: cf.fit(F, data, "dr_learner", effect_model=RandomForestClassifier()), cf.OptionError)
    assert text == ("effect_model=RandomForestClassifier is a classifier, and its target is a number; give a regressor")
    for options in ({"effect_model": KNeighborsRegressor()}, {"effect_model": "knn"}):
        name = "knn" if options["effect_model"] == "knn" else "KNeighborsRegressor"
        assert refused(lambda o=options: cf.fit(F, data, "r_learner", **o), cf.OptionError) == (
            f"effect_model={name} takes no sample weights, and the R-learner weighs each row by the square of its "
            "treatment's residual; use one whose fit takes sample_weight, such as LinearRegression(), "
            "RandomForestRegressor() or HistGradientBoostingRegressor(), or method='dr_learner', which weighs none"
        )
        assert np.isfinite(cf.fit(F, data, "dr_learner", **options).effects().effect).all()
    for named in ("forest", "boosting", "ridge", "lasso", "spline", "stack"):
        cf.RLearner(effect_model=named)


def test_weights_that_a_regressor_ignores_are_told_with_regressors(data):
    formula = F + " + weights(w)"
    text = refused(
        lambda: cf.fit(formula, data.assign(w=1.0 + data["a"]), "t_learner", outcome_model=KNeighborsRegressor())
    )
    assert "use one whose fit takes sample_weight, such as LinearRegression(), RandomForestRegressor()" in text


@pytest.mark.parametrize("method", METHODS)
def test_one_model_that_cannot_be_all(data, method):
    ridge = refused(lambda: cf.fit(F, data, method, model=Ridge()), cf.OptionError)
    assert ridge.startswith("treatment_model=Ridge() gives no probabilities")
    assert ridge.endswith("; model= is for all that have none of their own, so add treatment_model=")
    logistic = refused(lambda: cf.fit(F, data, method, model=LogisticRegression()), cf.OptionError)
    assert logistic.startswith("outcome_model=LogisticRegression is a classifier")
    assert logistic.endswith("so add outcome_model=")
    own = refused(lambda: cf.fit(F, data, method, treatment_model=Ridge()), cf.OptionError)
    assert own.startswith("treatment_model=Ridge() gives no probabilities") and "model= is for" not in own
    assert np.isfinite(cf.fit(F, data, method, model=Ridge(), treatment_model="glm").estimate)


# -- judging -------------------------------------------------------------------------------------------------------


def test_truth_and_priority_of_another_length(fit):
    effects = fit.effects()
    assert "2 values" in refused(lambda: effects.score([1, 2]), cf.DataError)
    assert "120 rows" in refused(lambda: effects.score([1, 2]), cf.DataError)
    for verb in (fit.toc, fit.rate, fit.gain, fit.qini, fit.uplift, fit.value):
        text = refused(lambda v=verb: v(priority=np.ones(3)), cf.DataError)
        assert "the shape (3,), and there are 120 rows" in text
    assert "have no column 'taux'; did you mean 'tau'?" in refused(lambda: effects.score("taux"), cf.OptionError)
    assert "have no column 'taux'; did you mean 'tau'?" in refused(lambda: fit.toc("taux"), cf.OptionError)
    assert refused(lambda: fit.toc("s"), cf.DataError) == "'s' must be numbers"
    text = refused(lambda: fit.toc(np.full(120, np.nan)), cf.DataError)
    assert text == "the priority is missing or infinite in 120 of 120 rows, the first at 0"


def test_options_of_pictures_and_verbs(fit):
    effects = fit.effects()
    text = refused(lambda: effects.plot("hist"), cf.OptionError)
    assert text == "unknown kind 'hist'; did you mean 'histogram'? Choose from histogram, sorted, truth, modifier"
    assert "needs truth=" in refused(lambda: effects.plot("truth"), cf.OptionError)
    assert "needs by=" in refused(lambda: effects.plot("modifier"), cf.OptionError)
    assert "have no column 'z'" in refused(lambda: effects.plot("modifier", by="z"), cf.OptionError)
    assert refused(lambda: fit.rate("AUC"), cf.OptionError).startswith("unknown target 'AUC'; did you mean")
    assert refused(lambda: fit.value(1.5), cf.OptionError) == (
        "share=1.5: which share of the population is treated, above 0 and at most 1"
    )
    assert refused(lambda: fit.calibration(61), cf.OptionError) == (
        "groups=61: groups of two rows or more of like prediction, a whole number from 1 to 60"
    )
    assert refused(lambda: fit.value(0.001), cf.OptionError) == (
        "share=0.001 treats less than one of 120 rows; the least is 0.01043"
    )
    assert fit.value(0.01043).share == pytest.approx(0.01043)
    for cost in (True, np.nan):
        assert refused(lambda c=cost: fit.value(cost=c), cf.OptionError).startswith(f"cost={cost}: what treating one")
    assert refused(lambda: fit.rate("autoc"), cf.OptionError).startswith(
        "unknown target 'autoc'; did you mean 'AUTOC'?"
    )
    for observed in (True, False):
        assert refused(lambda o=observed: fit.qini(observed=o, reps=1), cf.OptionError) == (
            "reps=1: one half-sample has no spread; 2 or more, or 0 for no standard errors"
        )


def test_what_a_picture_cannot_be_of(data, fit):
    effects, new = fit.effects(), fit.effects(data.head(20))
    assert refused(lambda: new.plot("modifier", by="x"), cf.OptionError) == (
        "plot(kind='modifier') is of rows of the fit, whose columns are kept: effects() without newdata="
    )
    assert refused(lambda: effects.plot(truth="tau"), cf.OptionError) == "truth= is of plot(kind='truth')"
    assert refused(lambda: effects.plot(by="x"), cf.OptionError) == "by= is of plot(kind='modifier')"
    gone = fit.effects(data.head(3).assign(x=np.nan))
    for kind in ("histogram", "sorted"):
        assert refused(lambda k=kind: gone.plot(k), cf.DataError) == "there is no row with an effect to draw"


def test_what_is_of_everyone_says_so_where_the_estimand_is_not(data):
    line = "Population: everyone, not the target of the ATT (a = 1)"
    for estimand, times in (("ATT", 1), ("ATE", 0)):
        fit = cf.fit(F, data, "t_learner", estimand=estimand)
        judged = (fit.rate(reps=5), fit.qini(reps=5), fit.calibration(), fit.losses(), fit.value(0.3))
        assert [str(each).count(line) for each in judged] == [times] * 5
    other = cf.fit(F, data, "t_learner", estimand="ATC")
    assert "Population: everyone, not the target of the ATC (a = 0)" in str(other.losses())


def test_pictures_name_what_the_average_is_of(data):
    plt = pytest.importorskip("matplotlib.pyplot")
    fits = {estimand: cf.fit(F, data, "t_learner", estimand=estimand) for estimand in ("ATE", "ATT")}
    for estimand, new, words in (
        ("ATE", None, "average"),
        ("ATT", None, "average (ATT)"),
        ("ATE", data.head(9), "average (the fit)"),
        ("ATT", data.head(9), "average (the fit, ATT)"),
    ):
        for kind in ("histogram", "sorted"):
            ax = fits[estimand].effects(new).plot(kind)
            told = [text.get_text() for text in ax.get_legend().get_texts()]
            assert f"{words} {fits[estimand].estimate:.3g}" in told
            plt.close("all")


def test_the_table_is_weighed_and_says_so(data):
    w = np.arange(120) % 3
    fit = cf.fit(F + " + weights(w)", data.assign(w=w), "t_learner")
    effects = fit.effects()
    text = str(effects)
    assert "Sampling weights: w, without 40 rows of weight zero" in text
    repeated = np.repeat(effects.effect, w)
    row = next(line.split() for line in text.splitlines() if line.startswith("1 - 0"))[3:]
    mean, sd, least, *_, middle, _, _, most = map(float, row)
    assert mean == pytest.approx(repeated.mean(), rel=1e-3)
    n, centred = 80, effects.effect - repeated.mean()
    assert sd == pytest.approx(np.sqrt(w @ centred**2 / w.sum() * n / (n - 1)), rel=1e-3)
    assert middle == pytest.approx(np.sort(repeated)[len(repeated) // 2 - 1], rel=1e-3)
    assert (least, most) == pytest.approx((repeated.min(), repeated.max()), rel=1e-3)
    assert "weights" not in str(fit.effects(data.head(30))) and "weights" not in str(
        cf.fit(F, data, "t_learner").effects()
    )


def test_a_score_counts_the_rows_it_leaves_out(data, fit):
    new = data.head(20).assign(x=data["x"].head(20).where(np.arange(20) > 2))
    effects = fit.effects(new)
    with pytest.warns(cf.CausalFormulaWarning, match="leaves out 3 rows of 20 with missing values, without an effect"):
        found = effects.score(data["tau"].head(20))
    assert found["MAE"] == pytest.approx(np.abs(effects.effect - data["tau"].head(20))[3:].mean())
    assert np.isnan(found["error of the average"])


def test_one_effect_for_all_is_said(data):
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, "s_learner")
    one = "the S-learner (glm) predicts one effect for all units; name in modify(...) what it may vary with, which the "
    text = str(fit.effects())
    assert one in text and re.search(r"^1 - 0 +\S+ +0 ", text, re.M)
    assert f"Note: {one}" in str(fit.losses())
    for judged in (fit.toc(reps=10), fit.qini(observed=True, reps=10), fit.value(0.3), fit.calibration()):
        assert f"Note: nobody is ranked: {one}" in str(judged)
    assert fit.rate(reps=10).estimate == 0
    calibration = str(fit.calibration())
    assert "group" not in calibration.split("Standard errors")[0].split("Scores")[1]
    assert "Note: predictions are the same for all rows, so that their differences have no coefficient" in calibration
    varied = cf.fit("y ~ treat(a) + modify(x)", data, "s_learner")
    assert "one effect" not in str(varied.effects()) and "nobody" not in str(varied.toc(reps=10))


def test_a_constant_priority_ranks_nobody(fit):
    for curve in (fit.toc(np.ones(120), reps=10), fit.uplift(np.ones(120), observed=True, reps=10)):
        assert "Note: nobody is ranked: the priority is the same for all rows" in str(curve)
        assert abs(curve.estimate) < 1e-12


def test_half_samples_that_lack_an_arm():
    rng = np.random.default_rng(1)
    few = pd.DataFrame({"x": rng.normal(size=40), "a": (np.arange(40) < 3).astype(int), "y": rng.normal(size=40)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cf.fit("y ~ treat(a) + adjust(x)", few, "s_learner", folds=2)
        curve = fit.qini(few["x"], observed=True, reps=30)
    lacking = int(np.isnan(curve.curve.draws[:, 0]).sum())
    assert lacking and np.isnan(curve.std_error)
    assert f"Note: no standard errors, as {lacking} half-samples of 30 lack an arm" in str(curve)


def test_predictions_of_rows_held_out_have_no_standard_errors(data, fit):
    assert "Standard errors: none of rows held out" in str(fit.effects(held_out=True))
    text = refused(lambda: fit.effects(data.head(2), held_out=True), cf.OptionError)
    assert text == "held_out=True is of the rows of the fit, without standard errors"


def test_learners_are_named_in_the_print(data):
    fit = cf.fit(F, data, "x_learner", outcome_model=LinearRegression(), effect_model="ridge")
    assert "Method: X-learner (LinearRegression and glm and ridge); predicted by learners of all rows" in str(
        fit.effects()
    )


# -- what predictions rest on, and cannot be -----------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["toc", "rate", "gain", "qini", "uplift", "value", "calibration", "losses"])
def test_effects_that_were_learned_from_the_rows_that_judge_them(data, fit, verb):
    name = "effects" if verb in ("calibration", "losses") else "priority"
    note = "these effects were learned from the rows that judge them"

    def judged(effects):
        return getattr(fit, verb)(
            **{name: effects, **({} if verb in ("value", "calibration", "losses") else {"reps": 0})}
        )

    assert note in judged(fit.effects()).notes and f"Note: {note}" in str(judged(fit.effects()))
    assert note in judged(cf.fit(F, data, "s_learner").effects()).notes
    for other in (None, fit.effects(held_out=True), fit.effects(data), "tau", data["tau"]):
        assert note not in judged(other).notes


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["binomial", "gaussian"])
def test_predictions_that_are_no_probabilities_are_counted(data, method, family):
    steep = data.assign(d=((data["x"] > 0) ^ (data["a"] == 1)).astype(int))
    effects = cf.fit("d ~ treat(a) + adjust(x)", steep, method, family=family).effects()
    means, tau = effects.to_frame()[["a = 0", "a = 1"]].to_numpy(), effects.effect
    outside, beyond = int(((means < 0) | (means > 1)).sum()), int((np.abs(tau) > 1).sum())
    found = re.search(
        r"Note: (?:(\d+) predictions? of 240 under a level outside \[0, 1\])?(?: and )?"
        r"(?:(\d+) effects? of 120 outside \[-1, 1\])?, which no probability has",
        str(effects),
    )
    counts = [0, 0] if found is None else [int(each or 0) for each in found.groups()]
    assert counts == [outside, beyond]
    if method in ("x_learner", "r_learner", "dr_learner"):
        assert outside
    elif family == "binomial":
        assert found is None
    assert "no probability" not in str(cf.fit(F, data, method).effects())
