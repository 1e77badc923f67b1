"""Group-time effects with cross-fitted learners: the doubly robust score, with folds on units."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

import causalformula as cf

F = "y ~ did(g, t, unit = id) + adjust(x + z)"
LEARNERS = {"outcome_model": LinearRegression(), "treatment_model": LogisticRegression(C=1e9, tol=1e-10, max_iter=1000)}


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    units = pd.DataFrame({"id": np.arange(240), "g": np.array([0, 3, 4])[np.arange(240) % 3]})
    units["x"], units["z"] = rng.normal(size=240) + 0.3 * (units["g"] > 0), rng.normal(size=240)
    units["fold"], units["w"] = np.arange(240) // 3 % 4, rng.uniform(0.5, 2, 240)
    long = units.loc[np.repeat(units.index, 4)].reset_index(drop=True).assign(t=np.tile([1, 2, 3, 4], 240))
    return long.assign(y=long["x"] * long["t"] + (long["g"] > 0) * (long["t"] >= long["g"]) + rng.normal(size=960))


def by_hand(data, group, period, base):
    """The effect of one cell and its standard error, models learned without each fold."""
    wide = data.pivot(index="id", columns="t", values="y")
    one = data.drop_duplicates("id").set_index("id")
    part = one["g"].isin([0, group])
    change, X = (wide[period] - wide[base])[part].to_numpy(), one.loc[part, ["x", "z"]].to_numpy()
    d, fold = (one.loc[part, "g"] == group).to_numpy(float), one.loc[part, "fold"].to_numpy()
    p, m = np.empty(len(d)), np.empty(len(d))
    for k in range(4):
        out, inside = fold != k, fold == k
        p[inside] = LEARNERS["treatment_model"].fit(X[out], d[out]).predict_proba(X[inside])[:, 1]
        zero = out & (d == 0)
        m[inside] = LEARNERS["outcome_model"].fit(X[zero], change[zero]).predict(X[inside])
    left, odds = change - m, (1 - d) * p / (1 - p)
    high, low = left[d == 1].mean(), odds @ left / odds.sum()
    psi = d / d.sum() * (left - high) - odds / odds.sum() * (left - low)
    return high - low, np.sqrt((psi**2).sum())


def test_by_hand(data):
    fit = cf.fit(F, data, **LEARNERS, folds="fold")
    table = fit.tidy().set_index(["group", "time"])
    for group, period, base in ((3, 2, 1), (3, 3, 2), (3, 4, 2), (4, 4, 3)):
        effect, error = by_hand(data, group, period, base)
        assert table.loc[(group, period), "estimate"] == pytest.approx(effect, abs=1e-5)
        assert table.loc[(group, period), "std.error"] == pytest.approx(error, rel=1e-5)
    assert "nuisances held fixed" in str(fit)
    assert "LinearRegression and LogisticRegression cross-fitted" in str(fit)
    assert fit.aggregate("dynamic").overall.std_error > 0


def test_near_the_models_that_are_stacked(data):
    stacked, learned = cf.fit(F, data), cf.fit(F, data, outcome_model="glm", seed=1)
    assert (np.abs(stacked.params - learned.params) < 0.5 * stacked.bse).all()
    np.testing.assert_allclose(learned.bse, stacked.bse, rtol=0.1)


def test_seeds_weights_and_two_periods(data):
    once, again = (cf.fit(F, data, outcome_model="ridge", seed=3) for _ in range(2))
    assert once.params.tolist() == again.params.tolist()
    assert once.params.tolist() != cf.fit(F, data, outcome_model="ridge", seed=4).params.tolist()
    weighted = cf.fit(F + " + weights(w)", data, outcome_model="glm", folds="fold")
    assert weighted.params.tolist() != cf.fit(F, data, outcome_model="glm", folds="fold").params.tolist()
    two = data[data["t"].isin([2, 3]) & data["g"].isin([0, 3])].assign(d=lambda frame: (frame["g"] > 0).astype(int))
    question = "y ~ did(d, t, unit = id) + adjust(x + z)"
    fit = cf.fit(question, two, **LEARNERS, folds="fold")
    assert fit.estimate == pytest.approx(by_hand(data, 3, 3, 2)[0], abs=1e-5)
    means = fit.means().tidy()["estimate"]
    assert means[1] - means[0] == pytest.approx(fit.estimate)


def test_what_learners_do_not_answer(data):
    for question, options, kind, why in [
        (F, {"est_method": "reg"}, cf.OptionError, "with learners the effects are doubly robust"),
        ("y ~ did(g, t) + adjust(x)", {}, cf.CapabilityError, "of the changes of units that are observed throughout"),
        (F, {"outcome_model": "forrest"}, cf.OptionError, "unknown outcome_model 'forrest'; did you mean 'forest'"),
        (F, {"folds": 1}, cf.OptionError, "folds"),
        (F, {"treatment_model": LinearRegression()}, cf.OptionError, "treatment_model"),
    ]:
        with pytest.raises(kind, match=why):
            cf.fit(question, data, **{"outcome_model": "glm", **options})


def test_what_was_not_learned_is_one_note_that_names_periods(data):
    fit = cf.fit(F, data, outcome_model=DummyRegressor(), treatment_model=LogisticRegression())
    (note,) = [note for note in fit.fit.notes if "learned nothing" in note]
    assert note.startswith("DummyRegressor learned nothing of the change to 2 without g = 3, change to 3 without g = 3")
