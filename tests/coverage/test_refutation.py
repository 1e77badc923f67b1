"""How often refuters reject: one sound analysis in twenty, and most of those that a confounder is missing from.

A p-value by the spread of refits is given the data: every study has its own, and they are uniform over studies.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

MANY = ["placebo", "random_common_cause", "subset", "bootstrap", "dummy_outcome"]
CONTROLS = ["negative_control_outcome", "negative_control_exposure"]
FORMULA = "y ~ treat(a) + adjust(x + z)"
# Learners of dml that are quick to fit.
SIMPLE = {"outcome_model": "ridge", "treatment_model": "glm"}


def study(n: int, seed: int, hidden: float = 0.0) -> pd.DataFrame:
    """An effect of one; ``hidden`` is the strength of a confounder of all that is no column."""
    rng = np.random.default_rng(seed)
    x, z, u = rng.normal(size=(3, n))
    a = (rng.random(n) < 1 / (1 + np.exp(-x - hidden * u))).astype(int)
    y = a + x + z + hidden * u + rng.normal(size=n)
    w, e = (x + hidden * u + rng.normal(size=n) for _ in range(2))
    return pd.DataFrame({"a": a, "x": x, "z": z, "y": y, "w": w, "e": e})


def panel(units: int, seed: int, hidden: float = 0.0) -> pd.DataFrame:
    """Six years; ``hidden`` is how far units of an omitted kind, most of them treated, drift apart each year."""
    rng = np.random.default_rng(seed)
    kind = rng.normal(size=units)
    a = (rng.random(units) < 1 / (1 + np.exp(-kind))).astype(int)
    data = pd.DataFrame({"id": np.repeat(np.arange(units), 6), "year": np.tile(np.arange(6), units)})
    data["a"], own = np.repeat(a, 6), np.repeat(rng.normal(size=units), 6)
    drift = hidden * np.repeat(kind, 6) * data.year
    data["y"] = own + data.a * (data.year >= 3) + drift + rng.normal(size=len(data))
    return data


def shares(studies: int, test: list[str], fit, **asked) -> pd.Series:
    """The share of studies in which each test rejects at 5%."""
    found = [fit(k).refute(test, seed=k, **asked).to_frame().set_index("test")["p.value"] for k in range(studies)]
    out = (pd.DataFrame(found) < 0.05).mean()
    print(out.round(3).to_dict())
    return out


def is_five_percent(share: pd.Series, studies: int, slack: float = 0.0) -> None:
    error = 3.3 * np.sqrt(0.05 * 0.95 / studies) + slack
    assert (share < 0.05 + error).all()
    assert (share > 0.05 - error).all()


@pytest.mark.parametrize("studies", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_refits_of_a_regression(studies):
    share = shares(studies, MANY, lambda k: cf.fit(FORMULA, study(200, k)), reps=40)
    is_five_percent(share, studies, slack=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ipw", "ebal", "aipw"])
def test_refits_of_other_methods(method):
    share = shares(150, MANY, lambda k: cf.fit(FORMULA, study(300, k), method), reps=20)
    is_five_percent(share, 150, slack=0.02)


@pytest.mark.slow
def test_refits_of_an_odds_ratio():
    def fit(k):
        data = study(500, k)
        data["y"] = (data.y > 0).astype(int)
        return cf.fit(FORMULA, data, family="binomial", measure="odds_ratio")

    is_five_percent(shares(300, ["placebo", "dummy_outcome"], fit, reps=30), 300, slack=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["nearest", "dml"])
def test_designs_made_anew_are_not_rejected_too_often(method):
    """Where the effect is one draw of folds or matches, it is compared with single refits: 5% at the most."""
    given = SIMPLE if method == "dml" else {}
    tests = [test for test in MANY if test != "bootstrap"]
    share = shares(100, tests, lambda k: cf.fit(FORMULA, study(200, k), method, **given), reps=20)
    assert (share < 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 100)).all()


@pytest.mark.parametrize("studies", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_negative_controls(studies):
    """5% where nothing is missing; nearly always where a confounder is that the controls have too."""
    asked = {"negative_outcome": "w", "negative_exposure": "e"}
    sound = shares(studies, CONTROLS, lambda k: cf.fit(FORMULA, study(300, k), vcov="HC2"), **asked)
    is_five_percent(sound, studies)
    missing = shares(studies // 2, CONTROLS, lambda k: cf.fit(FORMULA, study(300, k, 1.0), vcov="HC2"), **asked)
    assert (missing > 0.9).all()


@pytest.mark.slow
def test_negative_controls_of_cross_fitted_effects():
    """A control outcome of the two arms' effect, and a control exposure that is a dose."""

    def fit(hidden):
        return lambda k: cf.fit(FORMULA, study(300, k, hidden), "dml", **SIMPLE)

    asked = {"negative_outcome": "w", "negative_exposure": "e"}
    is_five_percent(shares(150, CONTROLS, fit(0.0), **asked), 150)
    assert (shares(60, CONTROLS, fit(1.0), **asked) > 0.85).all()


@pytest.mark.parametrize("studies", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_placebo_in_time(studies):
    """5% of parallel trends; most of those that an omitted kind of unit makes."""
    formula = "y ~ did(a, year >= 3) + cluster(id)"
    sound = shares(studies, ["placebo_in_time"], lambda k: cf.fit(formula, panel(100, k)))
    is_five_percent(sound, studies)
    missing = shares(studies // 2, ["placebo_in_time"], lambda k: cf.fit(formula, panel(100, k, 1.0)))
    assert (missing > 0.8).all()


def test_what_is_blind_to_an_omitted_confounder():
    """The print says that they cannot see it: with a strong one missing they reject as seldom as without."""
    share = shares(20, MANY, lambda k: cf.fit(FORMULA, study(300, k, 2.0)), reps=40)
    assert (share < 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 20)).all()
