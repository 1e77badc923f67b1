"""What ``cf.screen`` refuses, and in which words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

rng = np.random.default_rng(0)
DATA = pd.DataFrame({name: rng.integers(0, 2, 60) for name in ("d1", "d2", "c1", "c2")})
DATA = DATA.assign(x=rng.normal(size=60), y=rng.normal(size=60), z=rng.normal(size=60))
F = "y ~ treat(drug) + adjust(x)"
BOTH = {"treatments": ["d1"], "outcomes": ["y"]}


@pytest.mark.parametrize(
    ("formula", "given", "words"),
    [
        (F, {}, "a screen is of treatments=, outcomes= or both: columns of the data"),
        (F, {"treatments": []}, "treatments= is empty; name at least one column"),
        (F, {"outcomes": ()}, "outcomes= is empty"),
        (F, {"treatments": "d1"}, "treatments= lists columns of the data, as in treatments=[\"d1\"], not 'd1'"),
        (F, {"treatments": {"d1": 1}}, "treatments= lists columns of the data"),
        (F, {"treatments": [1]}, "treatments= lists columns by name, and 1 is no text"),
        (F, {"treatments": ["d1", "D2"]}, "treatments= names 'D2', which is no column of the data; did you mean 'd2'?"),
        (F, {"treatments": ["d1", "d2", "d1"]}, "treatments= names 'd1' more than once"),
        (F, {"treatments": ["d1", "y"]}, "treatments= names 'y', which is the outcome of the formula"),
        ("y ~ treat(d1)", {"outcomes": ["z", "d1"]}, "outcomes= names 'd1', which is the treatment of the formula"),
        (F, {"treatments": ["d1", "z"], "outcomes": ["z"]}, "'z' is both in treatments= and in outcomes="),
        (F, {"treatments": ["d1"], "negative_controls": ["e"]}, "negative_controls= names 'e', which is no column"),
        (
            F,
            {"treatments": ["d1"], "negative_controls": ["d1"]},
            "all treatments are negative controls, and there is not",
        ),
        (F, {**BOTH, "negative_controls": ["d1", "c1"]}, "controls are all treatments, or all outcomes"),
        (F, {"treatments": ["d1"], "adjust": "holms"}, "unknown adjust 'holms'; did you mean 'holm'?"),
        (F, {"treatments": ["d1"], "level": 95}, "level"),
        (F, {"treatments": ["d1"], "keep": 1}, "keep must be True or False"),
        (F, {"treatments": ["d1"], "n_jobs": 0}, "n_jobs is a number of processes"),
        (F, {"treatments": ["d1"], "vcov": np.eye(1)}, "vcov= as a matrix is of one fit"),
        (F, {"treatments": ["d1"], "path": 3}, "path= is a Parquet file, as in path='results.parquet', not 3"),
        (F, {"treatments": ["d1"], "path": "results.csv"}, "path= is a Parquet file"),
        (F, {"treatments": ["d1"], "path": "nowhere/results.parquet"}, "a file in a folder that is there"),
        (
            F,
            {"treatments": ["d1"], "path": "r.parquet", "adjust": "romano_wolf"},
            "which the file of path= does not hold",
        ),
        (
            F,
            {"outcomes": ["y"], "outcome": "y"},
            "outcome= is the left side of all questions, and outcomes= are screened",
        ),
        (F, {"treatments": ["d1"], "interactt": True}, "has no option 'interactt'; did you mean 'interact'?"),
        (F, {"treatments": ["d1"], "vcov": "~ward"}, "no column 'ward'"),
        (F, {"treatments": ["d1"], "negative_control": ["c1"]}, "has no option 'negative_control'"),
    ],
)
def test_options(formula, given, words):
    with pytest.raises(cf.OptionError) as error:
        cf.screen(formula, DATA, **given)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("formula", "given", "words"),
    [
        ("y ~ adjust(x)", {"treatments": ["d1"]}, "no treatment: mark it, as in `treat(A)`"),
        ("y ~ treat(d1 * d2)", {"treatments": ["c1"]}, "treat takes one variable here, not 2"),
        (
            "y + z ~ treat(d1)",
            {"outcomes": ["x"]},
            "each of outcomes= takes the place of one variable, and the left side",
        ),
        ("y ~ treat(drug) + adjust(w)", {"treatments": ["d1"]}, "unknown column 'w'"),
        ("y ~ treat(drug)", {"outcomes": ["y"]}, "unknown column 'drug'"),
        ("w ~ treat(drug)", {"treatments": ["d1"]}, "unknown column 'w'"),
    ],
)
def test_formulas(formula, given, words):
    with pytest.raises(cf.FormulaError) as error:
        cf.screen(formula, DATA, **given)
    assert words in str(error.value) and "^" in str(error.value)


def test_a_role_that_the_method_does_not_use_is_refused_before_anything_is_fitted():
    with pytest.raises(cf.CapabilityError, match=r"method 'regression' does not use fe\(...\)|does not use iv"):
        cf.screen("y ~ treat(drug) + iv(x)", DATA, "regression", treatments=["d1"])


def test_nothing_to_draw_is_said():
    found = cf.screen(F, DATA, treatments=["d1"])
    with pytest.raises(cf.OptionError, match="top=-1: how many points have their names"):
        found.volcano(top=-1)
    with pytest.raises(cf.OptionError, match="top=0: how many rows are drawn"):
        found.forest(top=0)


def test_a_bar_on_a_terminal(monkeypatch):
    import tqdm

    from causalformula.inference import refit

    shown = []
    monkeypatch.setattr(refit.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(tqdm, "tqdm", lambda work, desc, total, leave: shown.append((desc, total)) or work)
    cf.screen(F, DATA, treatments=["d1", "d2", "c1"])
    assert shown == [("questions", 3)]
