"""What ``fit.refute()`` refuses, and in which words."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

rng = np.random.default_rng(0)
DATA = pd.DataFrame({"x": rng.normal(size=120), "w": rng.normal(size=120), "g": np.repeat(np.arange(24), 5)})
DATA["a"] = (rng.random(120) < 0.5).astype(int)
DATA["arm"] = np.array(["a", "b", "c"])[np.arange(120) % 3]
DATA["y"] = DATA.a + DATA.x + rng.normal(size=120)
DATA["n"] = 5
DATA["s"] = rng.integers(0, 6, 120)
DATA["year"] = np.arange(120) % 5
FIT = cf.fit("y ~ treat(a) + adjust(x)", DATA)
PLAIN = cf.fit("y ~ treat(a)", DATA)
MATCHED = cf.fit("y ~ treat(a) + adjust(x)", DATA, "nearest", replace=True)
ARMS = cf.fit("y ~ treat(arm) + adjust(x)", DATA)
DID = cf.fit("did(a, year >= 3)", DATA, outcome="y")
LATE = cf.fit("did(a, year >= 1)", DATA, outcome="y")
INSTRUMENT = cf.fit("y ~ treat(a) + adjust(x) + iv(w)", DATA, "dml", outcome_model="glm", treatment_model="glm")
SQUARES = cf.fit("y ~ treat(s) + adjust(x) + iv(w)", DATA)
FRONT = cf.fit("y ~ treat(a)", DATA, "front_door", mediators="w")
BINARY = cf.fit("(y > 0) ~ treat(a) + adjust(x)", DATA, family="binomial")
PAIRS = DATA.groupby(["g", DATA.year > 2]).first().reset_index(names=["g", "late"])
UNITS = cf.fit("y ~ did(b, late, unit = g)", PAIRS.assign(b=PAIRS.g % 2))
STEPS = pd.DataFrame({"id": np.repeat(np.arange(30), 5), "year": np.tile(np.arange(1, 6), 30)})
STEPS["first"] = np.array([0, 3, 4])[STEPS.id % 3]
STEPS["y"] = rng.normal(size=150) + ((STEPS["first"] > 0) & (STEPS["year"] >= STEPS["first"]))
STAGGERED = {
    method: cf.fit("y ~ did(first, year, unit = id)", STEPS, method)
    for method in (None, "sunab", "imputation", "etwfe")
}
COUNTS = cf.fit("cbind(s, n) ~ treat(a) + adjust(x)", DATA, family="binomial")


@pytest.mark.parametrize(
    ("fit", "asked", "kind", "words"),
    [
        (FIT, {"tests": ["placbo"]}, cf.OptionError, "unknown refuter 'placbo'; did you mean 'placebo'?"),
        (FIT, {"tests": "nothing"}, cf.OptionError, "unknown refuter 'nothing'; choose from placebo, random_common_"),
        (FIT, {"tests": []}, cf.OptionError, "tests= lists refuters by name"),
        (FIT, {"tests": 3}, cf.OptionError, "tests= lists refuters by name"),
        (FIT, {"tests": [3]}, cf.OptionError, "unknown refuter 3"),
        (FIT, {"reps": 1}, cf.OptionError, "reps must be at least 2"),
        (FIT, {"seed": -1}, cf.OptionError, "seed must be a whole number from 0"),
        (FIT, {"n_jobs": 0}, cf.OptionError, "n_jobs is a number of processes"),
        (FIT, {"share": 1}, cf.OptionError, "the share of rows that subset keeps, between 0 and 1"),
        (FIT, {"dummy": "permute"}, cf.OptionError, "permuted"),
        (FIT, {"sed": 1}, cf.OptionError, "refute() has no argument 'sed'; did you mean 'seed'?"),
        (FIT, {"tests": ["negative_control_outcome"]}, cf.OptionError, "needs negative_outcome=, the name of a column"),
        (FIT, {"tests": ["negative_control_exposure"]}, cf.OptionError, "needs negative_exposure=, the name of a"),
        (FIT, {"tests": ["placebo"], "negative_outcome": "w"}, cf.OptionError, "which is not among the tests"),
        (FIT, {"tests": ["placebo"], "placebo_time": 2}, cf.OptionError, "placebo_time= is of placebo_in_time"),
        (FIT, {"negative_outcome": "W"}, cf.OptionError, "negative_outcome='W' is no column of the data; did you mean"),
        (FIT, {"negative_outcome": "y"}, cf.OptionError, "negative_outcome='y' is the outcome itself"),
        (FIT, {"negative_outcome": "x"}, cf.OptionError, "negative_outcome='x' is in adjust(...) of the formula"),
        (FIT, {"negative_outcome": "a"}, cf.OptionError, "negative_outcome='a' is in treat(...)"),
        (FIT, {"negative_exposure": "a"}, cf.OptionError, "negative_exposure='a' is the treatment itself"),
        (FIT, {"negative_exposure": "x"}, cf.OptionError, "negative_exposure='x' is in adjust(...) of the formula"),
        (FIT, {"negative_exposure": "y"}, cf.OptionError, "negative_exposure='y' is the outcome"),
        (FIT, {"negative_outcome": 3}, cf.OptionError, "negative_outcome= is the name of a column of the data, not 3"),
        (FIT, {"negative_outcome": "n"}, cf.DataError, "the outcome 'n' is constant"),
        (PLAIN, {"negative_exposure": "w"}, cf.CapabilityError, "method 'difference_in_means' adjusts for nothing"),
        (
            PLAIN,
            {"tests": "random_common_cause"},
            cf.CapabilityError,
            "random_common_cause adds a covariate, and method",
        ),
        (PLAIN, {"tests": "unobserved_confounder"}, cf.CapabilityError, "use method='regression'"),
        (PLAIN, {"tests": "leave_one_out"}, cf.CapabilityError, "the formula has none: write adjust(...)"),
        (MATCHED, {"tests": "bootstrap"}, cf.CapabilityError, "bootstrap, of method 'nearest'"),
        (ARMS, {"tests": "unobserved_confounder"}, cf.CapabilityError, "unobserved_confounder is of one effect"),
        (FIT, {"strengths": [0.5, 1]}, cf.OptionError, "strengths= lists shares of variance"),
        (FIT, {"tests": "placebo", "strengths": [0.1]}, cf.OptionError, "which is not among the tests"),
        (FRONT, {"tests": "unobserved_confounder"}, cf.CapabilityError, "is a confounder of the mediators. negative_"),
        (INSTRUMENT, {"tests": "unobserved_confounder"}, cf.CapabilityError, "which instruments bear; what they do"),
        (BINARY, {"negative_outcome": "w"}, cf.DataError, "negative_outcome='w' goes through the analysis as its out"),
        (BINARY, {"negative_outcome": "w"}, cf.DataError, "must lie between 0 and 1"),
        (FIT, {"negative_outcome": "arm"}, cf.OptionError, "Name a column that can stand for the outcome"),
        (FIT, {"negative_exposure": "n"}, cf.DataError, "negative_exposure='n' goes through the analysis as its tr"),
        (UNITS, {"tests": "placebo_in_time"}, cf.CapabilityError, "(with cluster(g), as unit = takes one row a unit"),
        (FIT, {"tests": "placebo_in_time"}, cf.CapabilityError, "placebo_in_time is for a difference in differences"),
        (DID, {"negative_exposure": "w"}, cf.CapabilityError, "a difference in differences has placebo_in_time"),
        (DID, {"tests": "placebo_in_time", "placebo_time": 0}, cf.OptionError, "choose from 1, 2"),
        (DID, {"tests": "placebo_in_time", "time": "yeer"}, cf.OptionError, "did you mean 'year'?"),
        (DID, {"tests": "placebo_in_time", "time": "a"}, cf.OptionError, "time='a' says who a row is of"),
        (LATE, {"tests": "placebo_in_time"}, cf.CapabilityError, "needs two periods before the change, and year is 0"),
        (INSTRUMENT, {"tests": "placebo"}, cf.CapabilityError, "with instruments that leaves them nothing to act on"),
        (SQUARES, {"tests": "placebo"}, cf.CapabilityError, "with instruments that leaves them nothing to act on"),
        (SQUARES, {"tests": "unobserved_confounder"}, cf.CapabilityError, "which instruments bear; what they do"),
        (SQUARES, {"negative_exposure": "n"}, cf.CapabilityError, "instruments of the real one are none of another"),
        (FRONT, {"negative_exposure": "x"}, cf.CapabilityError, "of another there is no effect by them. negative_"),
        (COUNTS, {"tests": "dummy_outcome"}, cf.CapabilityError, "stands for many units"),
        (STAGGERED[None].aggregate("simple"), {}, cf.CapabilityError, "effects aggregated from those of a fit; refute"),
        (FIT.means(), {}, cf.CapabilityError, "refute the fit, not its means()"),
        (FIT.by("arm"), {}, cf.CapabilityError, "these are effects by arm; refute the fit that they came from"),
        (FIT.hypothesis("b1 = 0"), {}, cf.CapabilityError, "refute the fit that it came from"),
    ],
)
def test_what_is_refused(fit, asked, kind, words):
    with pytest.raises(kind) as error:
        fit.refute(**{"reps": 3, **asked})
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("elsewhere", "here"),
    [
        ("placebo_treatment_refuter", "placebo"),
        ("data_subset_refuter", "subset"),
        ("bootstrap_refuter", "bootstrap"),
        ("dummy_outcome_refuter", "dummy_outcome"),
        ("add_unobserved_common_cause", "unobserved_confounder"),
        ("Random common cause", "random_common_cause"),
        ("negative_control", "negative_control_outcome"),
    ],
)
def test_names_from_elsewhere(elsewhere, here):
    with pytest.raises(cf.OptionError, match=f"unknown refuter '{elsewhere}'; did you mean '{here}'"):
        FIT.refute([elsewhere])


def test_what_is_not_named_is_left_out_and_said():
    found = PLAIN.refute(reps=5, seed=1)
    assert list(found.to_frame().test) == ["placebo", "subset", "bootstrap", "dummy_outcome"]
    assert "Note: leave_one_out is left out: leave_one_out leaves out covariates" in str(found)
    assert set(MATCHED.refute(reps=3, seed=1).left_out) == {"bootstrap"}


@pytest.mark.parametrize("method", STAGGERED)
def test_groups_that_are_treated_at_different_times(method):
    """What needs two groups says what there is instead, and is left out where it is not named."""
    fit = STAGGERED[method]
    for test, instead in (
        ("placebo", "dummy_outcome and negative_control_outcome are for these"),
        ("placebo_in_time", "fit.pretrends() are for these"),
        ("unobserved_confounder", "how far their trends may differ"),
    ):
        with pytest.raises(cf.CapabilityError, match=re.escape(instead)) as error:
            fit.refute([test])
        assert str(error.value).startswith(test)
    assert set(fit.refute(reps=3, seed=1).left_out) == {"placebo", "leave_one_out"}


def test_strata_that_cut_clusters_leave_out_what_draws_these():
    data = DATA.assign(b=DATA.g % 2, k=np.arange(120) % 2)
    fit = cf.fit("y ~ treat(b) + cluster(g) + strata(k)", data)
    found = fit.refute(reps=5, seed=1)
    assert list(found.to_frame().test) == ["dummy_outcome"]
    assert "placebo is left out: strata must be constant within clusters" in str(found)
    with pytest.raises(cf.OptionError, match="strata must be constant within clusters"):
        fit.refute(["placebo"], reps=5)


def test_refits_that_fail_are_no_verdict():
    exact = cf.fit("y ~ treat(a) + adjust(s)", DATA, "exact")
    found = exact.refute(["random_common_cause", "placebo"], reps=5, seed=1)
    row = found.to_frame().iloc[0]
    assert row.verdict == "no answer: refits fail"
    assert np.isnan(row["p.value"])
    assert "5 of 5 refits failed (more than 5%); the first because: nobody can be matched" in str(found)


@pytest.mark.parametrize("ask", ["draws", "table"])
def test_what_a_refutation_does_not_have(ask):
    found = FIT.refute(["placebo", "leave_one_out"], reps=3, seed=1)
    with pytest.raises(cf.OptionError, match="'placbo' was not done; did you mean 'placebo'"):
        getattr(found, ask)("placbo")
    with pytest.raises(cf.OptionError, match=r"leave_one_out has no distribution|placebo is one row"):
        getattr(found, ask)("leave_one_out" if ask == "draws" else "placebo")


def test_pictures_that_are_not_there():
    found = FIT.refute(["placebo"], reps=3, seed=1)
    with pytest.raises(cf.OptionError, match="distributions"):
        found.plot("heat")
    with pytest.raises(cf.OptionError, match="was not done"):
        found.plot("confounder")
    alone = FIT.refute(["unobserved_confounder"], strengths=[0, 0.1])
    with pytest.raises(cf.DataError, match="there are no refits to draw"):
        alone.plot("distributions")


def test_completion_offers_what_there_is():
    assert "refute" in dir(FIT)
    assert "refute" not in dir(FIT.means())
    assert "refute" not in dir(FIT.by("arm"))


def test_a_bar_on_a_terminal(monkeypatch):
    import tqdm

    from causalformula.inference import refit

    shown = []
    monkeypatch.setattr(refit.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(tqdm, "tqdm", lambda work, desc, **_: shown.append(desc) or work)
    cf.fit("y ~ treat(a) + adjust(x)", DATA, "ipw").refute(["placebo", "leave_one_out"], reps=12, seed=1)
    assert shown == ["placebo"]
