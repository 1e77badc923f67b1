"""Effects for units in scikit-learn's hands: one path through ``cf.fit``, and scores that are what they say."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

import causalformula as cf
from causalformula.backends.meta.options import MetaOptions
from causalformula.diagnostics.targeting import score_curve
from causalformula.results.families.units import UnitResult

pytestmark = pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
F = "y ~ treat(a) + adjust(x + z)"
OPTIONS = (cf.SLearner, cf.TLearner, cf.XLearner, cf.RLearner, cf.DRLearner)
OF_TREATMENT = {"balance", "calibration", "loss", "overlap"}
SCORES = sorted(set(cf.scores.__all__) - {"pehe", "scorer", *OF_TREATMENT})


def simulated(n: int) -> pd.DataFrame:
    """A study whose effect grows with x, which drives the treatment too."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n)})
    data["a"] = (rng.random(n) < 1 / (1 + np.exp(-data["x"] / 2))).astype(int)
    data["tau"] = 1 + data["x"]
    data["y"] = data["x"] + data["z"] + data["a"] * data["tau"] + rng.normal(size=n)
    return data


DATA = simulated(300)
CV = list(StratifiedKFold(2, shuffle=True, random_state=1).split(DATA, DATA["a"]))


def cross(estimator: Any, scoring: Any, data: Any = DATA, y: Any = None, cv: Any = CV) -> np.ndarray:
    return cross_val_score(estimator, data, y, scoring=scoring, cv=cv, error_score="raise")


@pytest.fixture(scope="module")
def fitted() -> cf.EffectEstimator:
    return cf.EffectEstimator(F).fit(DATA)


# ---- the estimator ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["s_learner", "t_learner", "x_learner", "r_learner", "dr_learner"])
def test_it_is_fit_and_nothing_else(method):
    own = cf.fit(F, DATA, method, outcome_model=Ridge(), folds=3, seed=4, vcov="HC0")
    estimator = cf.EffectEstimator(F, method, outcome_model=Ridge(), folds=3, seed=4, vcov="HC0").fit(DATA)
    new = DATA[["x", "z"]].head(9) + 1
    np.testing.assert_array_equal(estimator.predict(new), own.effects(new).effect)
    pd.testing.assert_frame_equal(estimator.result_.tidy(), own.tidy())
    assert isinstance(estimator.result_, UnitResult)


def test_it_has_every_option_of_every_method():
    names = set(inspect.signature(cf.EffectEstimator).parameters)
    assert {field.name for options in OPTIONS for field in fields(options)} <= names
    question = set(inspect.signature(cf.fit).parameters) - {"data", "subset", "options", "dag", "strict", "ssc"}
    assert (
        question <= names
    )  # rows are chosen by who has them, a graph checks once, by fit(); no learner has small samples' rules


@pytest.mark.parametrize(
    "y", [DATA["y"], DATA["y"].to_numpy(), DATA["y"].tolist(), pl.Series(DATA["y"])], ids=lambda y: type(y).__name__
)
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.from_pandas])
def test_an_outcome_apart_is_the_column_that_the_formula_names(fitted, frame, y):
    X = frame(DATA[["x", "z", "a"]])
    for formula in (F, "~ treat(a) + adjust(x + z)", "treat(a) + adjust(x + z)", cf.parse(F)):
        apart = cf.EffectEstimator(formula, folds=2).fit(X, y)
        np.testing.assert_allclose(apart.predict(X), fitted.predict(DATA), rtol=1e-12)
        assert apart.result_.call.frame.outcome.name == ("outcome" if "~ " not in str(formula)[2:] else "y")


def test_an_outcome_apart_is_what_the_left_side_is_made_of():
    data = DATA.assign(y=np.exp(DATA["y"]))
    here = cf.EffectEstimator("log(y) ~ treat(a) + adjust(x + z)").fit(data)
    apart = cf.EffectEstimator("treat(a) + adjust(x + z)", outcome="log(y)").fit(DATA[["x", "z", "a"]], data["y"])
    np.testing.assert_array_equal(apart.predict(DATA), here.predict(data))
    kept = cf.EffectEstimator(F).fit(DATA, DATA["y"])  # there twice, and the same
    np.testing.assert_array_equal(kept.predict(DATA), cf.EffectEstimator(F).fit(DATA).predict(DATA))


def test_labels_of_rows_do_not_move_an_outcome(fitted):
    X, y = DATA[["x", "z", "a"]].set_axis(np.arange(300)[::-1]), DATA["y"]
    np.testing.assert_array_equal(cf.EffectEstimator(F).fit(X, y).predict(X), fitted.predict(DATA))


def test_parameters():
    estimator = cf.EffectEstimator(F, "dr_learner", outcome_model=Ridge(alpha=3.0), effect_model="spline")
    assert estimator.get_params()["outcome_model__alpha"] == 3.0
    assert estimator.get_params(deep=False)["effect_model"] == "spline"
    copy = clone(estimator).set_params(outcome_model__alpha=5.0, seed=2)
    assert (copy.outcome_model.alpha, copy.seed, estimator.outcome_model.alpha) == (5.0, 2, 3.0)
    assert "effect_model='spline'" in repr(estimator) and "seed" not in repr(estimator)
    with pytest.raises(ValueError, match="Invalid parameter 'outcome_modl'"):
        estimator.set_params(outcome_modl="glm")


def test_it_pickles_and_says_whether_it_is_fitted(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(DATA), fitted.predict(DATA))
    check_is_fitted(fitted)
    for call in (lambda: check_is_fitted(clone(fitted)), lambda: clone(fitted).predict(DATA)):
        with pytest.raises(NotFittedError):
            call()


def test_a_fit_is_an_estimator():
    asked = {"model": Ridge(2.0), "treatment_model": "glm", "folds": 3, "estimand": "ATT", "vcov": "HC0"}
    fit = cf.fit("treat(a) + adjust(x + z)", DATA, "x_learner", outcome="y", **asked)
    estimator = fit.as_estimator()
    assert estimator.result_ is fit
    given = {name: value for name, value in estimator.get_params(deep=False).items() if value is not None}
    assert given.pop("vcov") == fit.covariance.request
    assert given == {**{k: v for k, v in asked.items() if k != "vcov"}, "formula": F, "method": "x_learner"}
    copy = clone(estimator).fit(DATA)
    np.testing.assert_array_equal(copy.predict(DATA), fit.effects().effect)
    pd.testing.assert_frame_equal(copy.result_.tidy(), fit.tidy())
    softer = clone(estimator).set_params(model__alpha=500.0).fit(DATA)  # of all that it learns
    assert np.abs(softer.predict(DATA)).std() < fit.effects().effect.std()
    plain = cf.fit(F, DATA, "t_learner").as_estimator().get_params(deep=False)
    assert {name for name, value in plain.items() if value is not None} == {"formula", "method"}


def test_options_as_an_object():
    estimator = cf.EffectEstimator(F, cf.TLearner(model=Ridge(), treatment_model="glm"), folds=2).fit(DATA)
    own = cf.fit(F, DATA, "t_learner", outcome_model=Ridge(), folds=2)
    np.testing.assert_array_equal(estimator.predict(DATA), own.effects().effect)


def test_several_contrasts_are_columns_and_missing_values_have_no_effect():
    data = DATA.assign(a=np.array(["u", "v", "w"])[np.arange(300) % 3])
    estimator = cf.EffectEstimator(F).fit(data)
    new = data.head(5).assign(x=[0.0, np.nan, 1, 2, 3])
    found = estimator.predict(new)
    assert found.shape == (5, 2) and np.isnan(found[1]).all() and np.isfinite(np.delete(found, 1, 0)).all()
    with pytest.raises(cf.OptionError, match="of one effect; choose it by contrast="):
        cf.scores.r_loss(estimator, data)
    pair = cf.EffectEstimator(F, contrast=("u", "w")).fit(data)
    judge = cf.fit(F, data, "t_learner", contrast=("u", "w"))
    expected = -judge.losses(pair.predict(data)).tidy()["estimate"][2]
    assert cf.scores.dr_loss(pair, data) == expected
    with pytest.raises(cf.DataError, match=r"they have the levels u, v of .* effects are of u, v, w\. .*Stratif"):
        cf.scores.r_loss(pair, data[data["a"] != "w"])


# ---- scores ----------------------------------------------------------------------------------------------------------


def by_hand(method: str, learner: Any) -> dict[str, list[float]]:
    """Scores of each held-out half, from the predictions of nuisances that a fit to it makes."""
    found: dict[str, list[float]] = {name: [] for name in (*SCORES, "pehe")}
    for train, test in CV:
        held = DATA.iloc[test]
        tau = cf.fit(F, DATA.iloc[train], method, outcome_model=learner).effects(held).effect
        m0, m1, p0, p1 = cf.fit(F, held, "t_learner").predictions().to_numpy().T
        p1 = p1.clip(0.01, 0.99)
        p0, y, a = 1 - p1, held["y"].to_numpy(), held["a"].to_numpy()
        scores = m1 - m0 + a * (y - m1) / p1 - (1 - a) * (y - m0) / p0
        found["r_loss"].append(-np.mean((y - p1 * m1 - p0 * m0 - (a - p1) * tau) ** 2))
        found["dr_loss"].append(-np.mean((scores - tau) ** 2))
        for name, kind in (("autoc", "toc"), ("uplift", "uplift"), ("qini", "qini")):
            found[name].append(score_curve(scores, tau, kind, reps=0).area)
        groups = np.argsort(np.argsort(tau)) * 5 // len(tau)
        each = pd.DataFrame({"s": scores, "t": tau}).groupby(groups)
        off = (each["s"].mean() - each["t"].mean()) ** 2 - each["s"].var() / each["s"].size()
        found["effect_calibration"].append(-float(off @ each.size()) / len(tau))
        found["pehe"].append(-np.sqrt(np.mean((tau - held["tau"]) ** 2)))
    return found


@pytest.fixture(scope="module")
def hand() -> dict[str, list[float]]:
    return by_hand("x_learner", Ridge(3.0))


@pytest.mark.parametrize("score", [*SCORES, "pehe"])
def test_scores_are_those_by_hand(hand, score):
    """The nuisances are the scorer's own, whatever the candidate learns by."""
    scoring = cf.scores.pehe("tau") if score == "pehe" else getattr(cf.scores, score)
    found = cross(cf.EffectEstimator(F, "x_learner", outcome_model=Ridge(3.0)), scoring)
    np.testing.assert_allclose(found, hand[score], rtol=1e-9)


def test_several_scores_at_once(hand):
    scoring = {"a": cf.scores.r_loss, "b": cf.scores.scorer("qini", observed=True)}
    estimator = cf.EffectEstimator(F, "x_learner", outcome_model=Ridge(3.0))
    found = cross_validate(estimator, DATA, scoring=scoring, cv=CV, error_score="raise")
    np.testing.assert_allclose(found["test_a"], hand["r_loss"], rtol=1e-9)
    held = DATA.iloc[CV[0][1]]
    own = cf.fit(F, held, "t_learner").qini(clone(estimator).fit(DATA.iloc[CV[0][0]]).predict(held), observed=True)
    assert found["test_b"][0] == own.curve.area


def test_scores_of_other_frames_and_of_an_outcome_apart(hand):
    estimator = cf.EffectEstimator("treat(a) + adjust(x + z)", "x_learner", outcome_model=Ridge(3.0))
    X, y = DATA[["x", "z", "a"]], DATA["y"]
    np.testing.assert_allclose(cross(estimator, cf.scores.r_loss, X, y), hand["r_loss"], rtol=1e-9)
    estimator.set_params(formula=F)
    np.testing.assert_allclose(cross(estimator, cf.scores.r_loss, pl.from_pandas(DATA)), hand["r_loss"], rtol=1e-9)


def test_rows_without_an_outcome_are_not_scored(fitted):
    holes = DATA.copy()
    holes.loc[::7, "y"] = np.nan
    assert cf.scores.r_loss(fitted, holes) == cf.scores.r_loss(fitted, holes.dropna())


def test_nuisances_of_a_scorer(fitted):
    scorer = cf.scores.scorer("r_loss", outcome_model=Ridge(100), folds=3, seed=2)
    judge = cf.fit(F, DATA, "t_learner", outcome_model=Ridge(100), folds=3, seed=2)
    assert scorer(fitted, DATA) == -judge.losses(fitted.predict(DATA)).tidy()["estimate"][0]
    assert scorer(fitted, DATA) != cf.scores.r_loss(fitted, DATA)
    assert pickle.loads(pickle.dumps(scorer)).folds == 3
    # candidates of other covariates before the same judge
    less = cf.EffectEstimator("y ~ treat(a) + adjust(z)").fit(DATA)
    judged = cf.scores.scorer("dr_loss", formula="treat(a) + adjust(x + z)")
    expected = -cf.fit(F, DATA, "t_learner").losses(less.predict(DATA)).tidy()["estimate"][2]
    assert judged(less, DATA) == expected != cf.scores.dr_loss(less, DATA)


def test_a_fit_can_be_scored(fitted):
    assert cf.scores.qini(fitted.result_, DATA) == cf.scores.qini(fitted, DATA)


# ---- searches and pipelines ------------------------------------------------------------------------------------------


def test_a_search_finds_the_learner_that_knows_who_gains():
    """A single glm has one effect for all, and a heavy penalty one that hardly varies."""
    grid = {"method": ["s_learner", "t_learner"], "outcome_model": [Ridge(1e4), "glm"]}
    scoring = {name: getattr(cf.scores, name) for name in ("r_loss", "dr_loss", "autoc", "qini")}
    estimator = cf.EffectEstimator(F, folds=2)
    search = GridSearchCV(estimator, grid, scoring=scoring, refit="r_loss", cv=CV, error_score="raise").fit(DATA)
    assert search.best_params_ == {"method": "t_learner", "outcome_model": "glm"}
    for name in scoring:
        best = search.cv_results_["params"][int(search.cv_results_[f"rank_test_{name}"].argmin())]
        assert best["method"] == "t_learner"
    own = cf.fit(F, DATA, "t_learner", outcome_model="glm", folds=2)
    np.testing.assert_array_equal(search.predict(DATA), own.effects().effect)


def scaled(**options: Any) -> Any:
    scale = make_column_transformer(
        (StandardScaler(), ["x", "z"]), remainder="passthrough", verbose_feature_names_out=False
    )
    return make_pipeline(scale.set_output(transform="pandas"), cf.EffectEstimator(F, **options))


def test_the_last_step_of_a_pipeline():
    pipe = scaled(outcome_model=Ridge(), folds=2).fit(DATA)
    moved = DATA.assign(**{name: (DATA[name] - DATA[name].mean()) / DATA[name].std(ddof=0) for name in ("x", "z")})
    own = cf.fit(F, moved, "t_learner", outcome_model=Ridge(), folds=2)
    np.testing.assert_allclose(pipe.predict(DATA), own.effects().effect, rtol=1e-9)
    expected = -own.losses(own.effects().effect).tidy()["estimate"][0]
    judged = cf.scores.scorer("r_loss", outcome_model=Ridge(), folds=2)(
        pipe, DATA
    )  # the columns that the last step has
    assert judged == pytest.approx(expected, rel=1e-9)
    search = GridSearchCV(pipe, {"effectestimator__outcome_model__alpha": [1e4, 1.0]}, scoring=cf.scores.r_loss, cv=2)
    assert search.fit(DATA).best_params_ == {"effectestimator__outcome_model__alpha": 1.0}
    assert cross(search, cf.scores.pehe("tau")).shape == (2,)  # a search is scored by what it found


# ---- when something is wrong -----------------------------------------------------------------------------------------

X = DATA[["x", "z", "a"]]
WRONG = {
    "a method without effects": (
        lambda: cf.EffectEstimator(F, "aipw").fit(DATA),
        cf.CapabilityError, r"'aipw' has no effects for units.*t_learner",
    ),
    "an option of another method": (
        lambda: cf.EffectEstimator(F, "t_learner", effect_model="glm").fit(DATA),
        cf.OptionError, "'t_learner' has no option 'effect_model'",
    ),
    "a misspelt argument": (
        lambda: cf.EffectEstimator(F, metod="t_learner"), cf.OptionError, "did you mean 'method'",
    ),
    "no frame": (lambda: cf.EffectEstimator(F).fit(DATA.to_numpy()), cf.DataError, "must be a data frame"),
    "a column less": (lambda: cf.EffectEstimator(F).fit(DATA[["a", "y", "z"]]), cf.FormulaError, "unknown column 'x'"),
    "no outcome": (lambda: cf.EffectEstimator(F).fit(X), cf.FormulaError, "unknown column 'y'"),
    "another outcome": (lambda: cf.EffectEstimator(F).fit(DATA, -DATA["y"]), cf.DataError, "y differs from the column"),
    "a short outcome": (lambda: cf.EffectEstimator(F).fit(X, [1, 2]), cf.DataError, "y has 2 values, and X has 300"),
    "a square outcome": (lambda: cf.EffectEstimator(F).fit(X, DATA[["y"]].to_numpy()), cf.DataError, "y is one column"),
    "an outcome of two": (
        lambda: cf.EffectEstimator("u + v ~ treat(a) + adjust(x)").fit(X, DATA["y"]),
        cf.OptionError, r"left side, u \+ v, is of u, v",
    ),
}  # fmt: skip
UNSCORED = {
    "no effects": (lambda e: cf.scores.r_loss(Ridge().fit(X, DATA["y"]), DATA), cf.CapabilityError, "Ridge has no eff"),
    "not fitted": (lambda e: cf.scores.r_loss(clone(e), DATA), NotFittedError, "not fitted"),
    "one arm": (
        lambda e: cf.scores.r_loss(e, DATA[DATA["a"] == 1]),
        cf.DataError, r"(?s)held-out rows cannot score effects: .* only '1'.*StratifiedKFold\(5\).split\(X, X\['a'\]\)",
    ),
    "few of an arm": (
        lambda e: cf.scores.r_loss(e, DATA.head(8)), cf.DataError, r"8 held-out rows .*fewer than the 5 folds.*folds=2",
    ),
    "a column less": (lambda e: cf.scores.r_loss(e, DATA[["a", "y", "z"]]), cf.FormulaError, "unknown column 'x'"),
    "no truth": (lambda e: cf.scores.pehe("mu")(e, DATA), cf.OptionError, "the data have no column 'mu'"),
    "truth that is no name": (lambda e: cf.scores.pehe(DATA["tau"]), cf.OptionError, "truth is the name of the column"),
    "truth among the covariates": (
        lambda e: cf.scores.pehe("tau")(cf.EffectEstimator("y ~ treat(a) + .").fit(DATA), DATA),
        cf.OptionError, "'tau' are among the covariates, by the dot",
    ),
    "effects of other rows": (
        lambda e: e.result_.losses([1.0, 2.0]), cf.DataError, r"given numbers have the shape \(2,\).*300 rows",
    ),
    "effects that are none": (lambda e: e.result_.calibration(effects=e), cf.DataError, "judged by numbers, one for"),
    "another score": (lambda e: cf.scores.scorer("quini"), cf.OptionError, "did you mean 'qini'"),
    "another's option": (lambda e: cf.scores.scorer("r_loss", observed=True), cf.OptionError, "observed= is of 'qini'"),
    "another's groups": (lambda e: cf.scores.scorer("qini", groups=3), cf.OptionError, "groups= is of 'effect_cal"),
    "an unknown learner": (lambda e: cf.scores.scorer("qini", outcome_model="tree"), cf.OptionError, "outcome_model"),
    "another outcome": (
        lambda e: cf.scores.scorer("r_loss", formula="x ~ treat(a) + adjust(z)")(e, DATA),
        cf.FormulaError, "two outcomes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_an_estimator_is_given_wrongly(name):
    call, error, words = WRONG[name]
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("name", UNSCORED)
def test_what_a_scorer_is_given_wrongly(fitted, name):
    call, error, words = UNSCORED[name]
    with pytest.raises(error, match=words):
        call(fitted)


def test_every_learner_of_units_is_meant():
    """A new family with effects for units has its options among the estimator's, and its fits are estimators."""
    from causalformula.backends import registry
    from causalformula.results.families.faces import face_of

    able = [record.options for record in registry.methods() if issubclass(face_of(record.face), UnitResult)]
    assert set(able) == set(OPTIONS) and all(issubclass(each, MetaOptions) for each in able)
    assert replace(able[0](), seed=3).seed == 3
