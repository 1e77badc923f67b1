"""What is said of a choice of confounders that cannot be made, and of one that rests on less than it seems."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

METHODS = ("double_lasso", "outcome_adaptive_lasso", "change_in_estimate", "recursive_elimination", "stepwise")


def study() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 120
    d = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("xzv"))
    d["a"] = (rng.random(n) < 1 / (1 + np.exp(-d.x))).astype(int)
    d["y"] = d.a + d.x + d.z + rng.normal(size=n)
    return d.assign(
        b=(d.y > 0).astype(int), dose=d.x + rng.normal(size=n), w=1.5, g=np.arange(n) // 4, h=np.arange(n) // 2,
        copy=2 * d.a - 1, t=[f"w{j}" for j in range(n)], arm=rng.choice(list("pqr"), n), once=1,
        i=rng.integers(0, 2, n),
    )  # fmt: skip


D = study()
F = "y ~ treat(a) + adjust(x + z)"


def choose(formula: str = F, method: str = "double_lasso", data: pd.DataFrame = D, **options) -> cf.Confounders:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cf.select_confounders(formula, data, method, **options)


WRONG = {
    "an unknown method": ((F, "lasso"), {}, cf.OptionError, "unknown method 'lasso'.*double_lasso, outcome_adap"),
    "no candidates": (("y ~ treat(a)",), {}, cf.FormulaError, "nothing to choose from.*adjust"),
    "no treatment": (("y ~ x + z",), {}, cf.FormulaError, "no treatment"),
    "no outcome": (("~ treat(a) + x",), {}, cf.FormulaError, "no outcome"),
    "a trend": (("y ~ did(a, i) + x",), {}, cf.CapabilityError, r"did\(...\) has no place"),
    "an instrument": (("y ~ treat(a) + iv(i) + x",), {}, cf.CapabilityError, r"iv\(...\) has no place"),
    "absorbed effects": (("y ~ treat(a) + x | g",), {}, cf.CapabilityError, r"fe\(...\) has no place"),
    "one arm": (("y ~ treat(once) + x",), {}, cf.DataError, "at least two arms"),
    "an unknown column": (("y ~ treat(a) + adjust(xx)",), {}, cf.FormulaError, "unknown column 'xx'"),
    "all terms stay": ((F,), {"keep": "x + z"}, cf.OptionError, "nothing is left to choose from"),
    "a term to keep that is not there": ((F,), {"keep": "v"}, cf.OptionError, "v, which is no term of adjust.*x, z"),
    "nothing to keep": ((F,), {"keep": " ~ "}, cf.OptionError, "as in keep='age"),
    "another's option": ((F,), {"change": 0.1}, cf.OptionError, "change= is of change_in_estimate.*it reads family="),
    "no change": ((F, "change_in_estimate"), {"change": 0}, cf.OptionError, "change=0: a limit, a number above zero"),
    "no limit": ((F, "stepwise"), {"c_linear": np.nan}, cf.OptionError, "c_linear=nan: a limit"),
    "text for a limit": ((F, "stepwise"), {"c_quadratic": "2"}, cf.OptionError, "c_quadratic='2': a limit"),
    "one fold": ((F, "recursive_elimination"), {"folds": 1}, cf.OptionError, "folds=1: .* from 2"),
    "no seed": ((F, "recursive_elimination"), {"seed": -1}, cf.OptionError, "seed=-1"),
    "more folds than an arm has rows": (
        (F, "recursive_elimination"), {"folds": 100}, cf.DataError, "fewer than the 100 folds",
    ),
    "no family": ((F, "outcome_adaptive_lasso"), {"family": 3}, cf.OptionError, "family is named by text"),
    "a family without a model": (
        (F, "stepwise"), {"family": "binomial"}, cf.OptionError, "family= is of .*it reads c_linear=, c_quadratic=",
    ),
    "a logistic double lasso": (("b ~ treat(a) + x",), {"family": "binomial"}, cf.OptionError, "not binomial"),
    "weights": (("y ~ treat(a) + x + weights(w)",), {}, cf.CapabilityError, "no place for weights.*change_in_estimate"),
    "several levels": (("y ~ treat(arm) + x",), {}, cf.CapabilityError, "levels; change_in_estimate takes it"),
    "a dose": (("y ~ treat(dose) + x", "stepwise"), {}, cf.CapabilityError, "'dose' is a dose; double_lasso, "),
    "more terms than rows of a fold": (
        ("y ~ treat(a) + factor(h) + x + z", "recursive_elimination"), {"folds": 2}, cf.DataError,
        "needs more rows. method='double_lasso'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong(case):
    given, options, kind, words = WRONG[case]
    with pytest.raises(kind, match=words):
        choose(*given, **options)


@pytest.mark.parametrize("method", METHODS)
def test_a_term_that_is_the_treatment(method):
    """Nothing is left to compare: no way of choosing hides it."""
    with pytest.raises(cf.IdentificationError, match=r"imply the treatment a|copy"):
        choose("y ~ treat(a) + adjust(copy + x)", method)


@pytest.mark.parametrize("method", METHODS)
def test_what_the_choice_does_to_intervals_is_said_at_once_and_in_prints(method):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = cf.select_confounders(F, D, method)
    said = [str(one.message) for one in caught if "intervals after this choice" in str(one.message)]
    assert len(said) == (method != "double_lasso")
    assert all(f"Warning: {text}" in str(found) and text in str(found.fit()) for text in said)
    assert "No choice sees a confounder that is not among the candidates" in str(found)


def test_the_fit_by_a_method_that_the_choice_does_not_protect():
    assert "by method 'ebal' are not known to" in str(choose().fit("ebal"))
    assert "which its interval allows for" in str(choose().fit())
    with pytest.raises(cf.FormulaError, match="no outcome"):
        choose("~ treat(a) + x + z", "stepwise").fit()


def test_many_terms_for_few_rows():
    """The guarantee is of few terms."""
    d = D.head(8).assign(a=[0, 1] * 4)
    with pytest.warns(cf.CausalFormulaWarning, match="3 columns kept in 8 rows: few terms matter where the square"):
        found = cf.select_confounders("y ~ treat(a) + adjust(x + z + v + w)", d, keep="x + z + v")
    assert "Note: 3 columns kept in 8 rows" in str(found)
    assert "columns kept in" not in str(choose())
    with pytest.raises(cf.IdentificationError, match=r"120 columns and there are 120 rows.*merge levels"):
        choose("y ~ treat(a) + adjust(x + t)")


def test_a_share_of_next_to_nothing():
    d = D.assign(y=D.z + np.random.default_rng(1).normal(size=len(D)))
    d["y"] -= d.a * (cf.fit(F, d).estimate - 0.01)
    found = choose(method="change_in_estimate", data=d)
    assert "Note: the effect with all terms is smaller than its standard error: a small change is a large" in str(found)
    assert "smaller than its standard error" not in str(choose(method="change_in_estimate"))


def test_arms_that_a_term_tells_apart():
    d = D.assign(x=D.a + 0.1 * D.x.rank() / len(D))
    with pytest.raises(cf.IdentificationError, match="with x the terms tell the arms of a apart completely"):
        choose(method="stepwise", data=d)


def test_text_that_is_many_levels_and_missing_values_are_told():
    d = D.assign(t=[f"w{j % 24}" for j in range(len(D))], z=D.z.where(D.z < 1))
    text = str(choose("y ~ treat(a) + adjust(x + z + t)", data=d))
    assert f"Note: {int((D.z >= 1).sum())} observations deleted due to missingness: z" in text
    assert "t is text with" in text


@pytest.mark.parametrize("method", ["outcome_adaptive_lasso", "change_in_estimate"])
def test_an_outcome_that_a_term_tells_apart(method):
    d = D.assign(b=(D.x > 0).astype(int), a=D.i)
    text = str(choose("b ~ treat(a) + adjust(x + z)", method, d, family="binomial"))
    assert "with all terms: glm.fit" in text or "model of all terms: glm.fit" in text
