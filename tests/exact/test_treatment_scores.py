"""Scores of a model of the treatment: the balance table's numbers, scikit-learn's, and searches that use them."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures
from sklearn.svm import LinearSVC

import causalformula as cf

pytestmark = pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
ESTIMANDS = ("ATE", "ATT", "ATC", "ATO", "ATM")


def study(n: int = 400) -> pd.DataFrame:
    """The treatment depends on a square, which a model of linear terms does not balance."""
    rng = np.random.default_rng(1)
    d = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("uvw")).assign(k=rng.integers(0, 2, n))
    d["a"] = (rng.random(n) < expit(d.u - d.v**2 + 0.5)).astype(int)
    d["f"] = rng.choice(list("pqr"), n)
    return d.assign(y=d.a + d.u + d.v**2 + rng.normal(size=n))


D = study()
X = D[["u", "v", "w", "k"]]
MODEL = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12).fit(X, D.a)
P = MODEL.predict_proba(X)


@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_balance_and_overlap_are_those_of_a_design(estimand):
    """``cf.design(..., "ipw").balance()`` and ``.ess()``, where the model is the formula's own regression."""
    design = cf.design("~ treat(a) + u + v + w + k", D, "ipw", estimand=estimand)
    table = design.balance().to_frame()
    gaps = table["Diff.Adj"][table.index != "prop.score"].abs()
    assert len(gaps) == 4
    for measure, expected in (("max", gaps.max()), ("mean", gaps.mean())):
        score = cf.scores.balance(estimand=estimand, measure=measure)(MODEL, X, D.a)
        assert score == pytest.approx(-expected, rel=1e-4, abs=1e-6)
    ess = design.ess()
    assert cf.scores.overlap(estimand=estimand)(MODEL, X, D.a) == pytest.approx(
        (ess.loc["Weighted"] / ess.loc["Unweighted"]).min(), rel=1e-5
    )


def test_focal_arms():
    """The treated may be named, by any label of theirs; of two the second is."""
    named = D.a.map({0: "no", 1: "yes"})
    model = clone(MODEL).fit(X, named)
    own = cf.scores.balance(estimand="ATT")(MODEL, X, D.a)
    assert cf.scores.balance(estimand="ATT")(model, X, named) == pytest.approx(own, rel=1e-9)
    assert cf.scores.balance(estimand="ATT", focal="yes")(model, X, named) == pytest.approx(own, rel=1e-9)
    other = cf.scores.balance(estimand="ATC")(MODEL, X, D.a)
    assert cf.scores.balance(estimand="ATT", focal="no")(model, X, named) == pytest.approx(other, rel=1e-9)


def test_several_arms():
    """The greatest difference between two of them, and a focal level as ``method="ipw"`` has it."""
    model = LogisticRegression(C=np.inf, solver="newton-cg", tol=1e-10, max_iter=500).fit(X, D.f)
    for estimand, more in (("ATE", {}), ("ATT", {"focal": "q"})):
        table = cf.design("~ treat(f) + u + v + w + k", D, "ipw", estimand=estimand, **more).balance().to_frame()
        gaps = table["Max.Diff.Adj"] if "Max.Diff.Adj" in table else table["Diff.Adj"].abs().groupby(level=-1).max()
        score = cf.scores.balance(estimand=estimand, **more)(model, X, D.f)
        assert score == pytest.approx(-gaps.max(), rel=1e-3, abs=1e-4)


def test_losses_are_scikit_learns():
    assert cf.scores.loss()(MODEL, X, D.a) == pytest.approx(-log_loss(D.a, P), rel=1e-12)
    assert cf.scores.loss(kind="brier")(MODEL, X, D.a) == pytest.approx(-brier_score_loss(D.a, P[:, 1]), rel=1e-12)
    three = LogisticRegression().fit(X, D.f)
    Q, hot = three.predict_proba(X), pd.get_dummies(D.f).to_numpy(float)
    assert cf.scores.loss()(three, X, D.f) == pytest.approx(-log_loss(D.f, Q), rel=1e-12)
    assert cf.scores.loss(kind="brier")(three, X, D.f) == pytest.approx(-((Q - hot) ** 2).sum(axis=1).mean(), rel=1e-12)


def test_calibration_by_hand():
    order = np.argsort(P[:, 1])
    parts = np.array_split(order, 5)
    expected = sum(len(rows) * abs(D.a.to_numpy()[rows].mean() - P[rows, 1].mean()) for rows in parts) / len(D)
    assert cf.scores.calibration(groups=5)(MODEL, X, D.a) == pytest.approx(-expected, rel=1e-9)

    class Flat(GaussianNB):
        def predict_proba(self, X):
            return np.tile([1 - D.a.mean(), D.a.mean()], (len(X), 1))

    assert cf.scores.calibration()(Flat().fit(X, D.a), X, D.a) == pytest.approx(0.0, abs=1e-12)
    assert cf.scores.overlap()(Flat().fit(X, D.a), X, D.a) == pytest.approx(1.0)


def test_certain_probabilities_have_a_number():
    """One rounding from 0 and 1, as scikit-learn's log-loss."""

    class Certain(GaussianNB):
        def predict_proba(self, X):
            return np.column_stack([np.zeros(len(X)), np.ones(len(X))])

    model = Certain().fit(X, D.a)
    for make in (cf.scores.balance, cf.scores.overlap, cf.scores.calibration, cf.scores.loss):
        assert np.isfinite(make()(model, X, D.a))


def test_rows_in_any_frame():
    """Arrays, frames of polars, text by its levels."""
    plain = cf.scores.balance()(MODEL, X, D.a)
    bare = clone(MODEL).fit(X.to_numpy(), D.a)
    assert cf.scores.balance()(bare, X.to_numpy(), D.a.to_numpy()) == pytest.approx(plain, rel=1e-9)
    kept = cf.scores.balance()(clone(MODEL).fit(pl.from_pandas(X), D.a), pl.from_pandas(X), D.a.to_numpy())
    assert kept == pytest.approx(plain, rel=1e-9)
    encode = make_column_transformer((OneHotEncoder(drop="first"), ["f"]), remainder="passthrough")
    pipe = make_pipeline(encode, clone(MODEL)).fit(D[["u", "f"]], D.a)
    table = cf.design("~ treat(a) + u + f", D, "ipw").balance().to_frame()["Diff.Adj"]
    score = cf.scores.balance()(pipe, D[["u", "f"]], D.a)
    assert score == pytest.approx(-table[table.index != "prop.score"].abs().max(), rel=1e-4, abs=1e-6)


# ---- searches --------------------------------------------------------------------------------------------------------


def candidates() -> tuple[GridSearchCV, list]:
    """Linear terms, or squares too; folds that have both arms."""
    pipe = make_pipeline(PolynomialFeatures(include_bias=False), LogisticRegression(C=1e6, max_iter=1000))
    cv = list(StratifiedKFold(2, shuffle=True, random_state=0).split(X, D.a))
    return GridSearchCV(pipe, {"polynomialfeatures__degree": [1, 2]}, cv=cv, scoring=cf.scores.balance()), cv


def test_a_search_chooses_by_balance():
    """Balance of the squares, which the covariates hold, needs the squares in the model."""
    search, cv = candidates()
    wide = X[["u", "v"]].assign(s=D.v**2)
    search.set_params(param_grid={"logisticregression__C": [1e-5, 1e6], "polynomialfeatures__degree": [1]})
    assert search.fit(wide, D.a).best_params_["logisticregression__C"] == 1e6
    hand = []
    for train, test in cv:
        fitted = clone(search.estimator).set_params(**search.best_params_).fit(wide.iloc[train], D.a.iloc[train])
        hand.append(cf.scores.balance()(fitted, wide.iloc[test], D.a.iloc[test]))
    assert search.best_score_ == pytest.approx(np.mean(hand), rel=1e-9)
    several = {"balance": cf.scores.balance(estimand="ATT"), "overlap": cf.scores.overlap(), "loss": cf.scores.loss()}
    found = cross_validate(search.best_estimator_, wide, D.a, scoring=several, cv=cv, error_score="raise")
    assert {"test_balance", "test_overlap", "test_loss"} <= set(found)
    same = cross_val_score(search.best_estimator_, wide, D.a, scoring="neg_log_loss", cv=cv)
    np.testing.assert_allclose(found["test_loss"], same, rtol=1e-9)


def test_the_treatment_model_of_a_fit_is_chosen_by_balance():
    search = GridSearchCV(LogisticRegression(), {"C": [1e-6, 1.0]}, scoring=cf.scores.balance(), cv=2)
    fit = cf.fit("y ~ treat(a) + adjust(u + v + I(v^2))", D, "ipw", treatment_model=search, folds=2)
    assert "treatment, fold 1 1\ntreatment, fold 2 1" in str(fit.propensity)
    assert "GridSearchCV of LogisticRegression" in str(fit)
    assert cf.fit("y ~ treat(a) + adjust(u + v + I(v^2))", D, "aipw", treatment_model=search, folds=2).estimate


def test_scorers_are_values():
    scorer = cf.scores.balance(estimand="ATT", measure="mean")
    assert pickle.loads(pickle.dumps(scorer)) == scorer == clone(scorer, safe=False)
    assert scorer != cf.scores.balance(estimand="ATT")


# ---- when something is wrong -----------------------------------------------------------------------------------------

HOLES = X.assign(u=X.u.where(X.u < 1))
WRONG = {
    "no parentheses": (lambda: cf.scores.balance(MODEL, X, D.a), cf.OptionError, "arguments by name: estimand"),
    "an unknown estimand": (lambda: cf.scores.balance(estimand="ATX"), cf.OptionError, "did you mean 'ATT'"),
    "an instrument's": (lambda: cf.scores.overlap(estimand="LATE"), cf.OptionError, "unknown estimand 'LATE'"),
    "an unknown measure": (lambda: cf.scores.balance(measure="sum"), cf.OptionError, "choose from max, mean"),
    "an unknown loss": (lambda: cf.scores.loss(kind="hinge"), cf.OptionError, "choose from log, brier"),
    "one group": (lambda: cf.scores.calibration(groups=1), cf.OptionError, "whole number from 2"),
    "a focal level of everyone": (lambda: cf.scores.balance(focal=1), cf.OptionError, "that an ATT or ATC is of"),
    "another focal level": (
        lambda: cf.scores.balance(estimand="ATT", focal=2)(MODEL, X, D.a), cf.OptionError, "focal=2 is no class.* 0, 1",
    ),
    "no focal level": (
        lambda: cf.scores.balance(estimand="ATT")(LogisticRegression().fit(X, D.f), X, D.f),
        cf.OptionError, "needs focal=, one of p, q, r",
    ),
    "no probabilities": (
        lambda: cf.scores.balance()(LinearSVC().fit(X, D.a), X, D.a), cf.CapabilityError, "LinearSVC gives no prob",
    ),
    "a class": (lambda: cf.scores.loss()(GaussianNB, X, D.a), cf.CapabilityError, "GaussianNB gives no prob"),
    "no treatment": (lambda: cf.scores.loss()(MODEL, X), cf.DataError, "needs the treatment: y"),
    "another treatment": (lambda: cf.scores.loss()(MODEL, X, D.f), cf.DataError, "not fitted to; its classes are 0, 1"),
    "a shorter one": (lambda: cf.scores.loss()(MODEL, X, D.a[1:]), cf.DataError, r"shape \(399,\), and X 400 rows"),
    "one arm": (
        lambda: cf.scores.loss()(MODEL, X[D.a == 1], D.a[D.a == 1]), cf.DataError, "none with the treatment 0",
    ),
    "missing values": (
        lambda: cf.scores.balance()(make_pipeline(_Fill(), clone(MODEL)).fit(HOLES, D.a), HOLES, D.a),
        cf.DataError, "values of u are missing",
    ),
}  # fmt: skip


class _Fill(PolynomialFeatures):
    """Zeros where values are missing."""

    def __init__(self):
        super().__init__(degree=1, include_bias=False)

    def fit(self, X, y=None):
        return super().fit(X.fillna(0), y)

    def transform(self, X):
        return super().transform(X.fillna(0))


@pytest.mark.parametrize("case", WRONG)
def test_wrong(case):
    call, kind, words = WRONG[case]
    with pytest.raises(kind, match=words):
        call()
