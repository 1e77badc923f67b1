"""Formulas that stand for several, as fixest writes them: which they are, and what the fits of one call offer."""

from __future__ import annotations

import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.cli import main
from causalformula.formula.language.stepwise import several

RNG = np.random.default_rng(11)
DATA = pd.DataFrame(RNG.normal(size=(90, 4)), columns=["y", "v", "x", "z"])
DATA["u"], DATA["t"], DATA["k"] = np.arange(90) // 9, np.arange(90) % 9, RNG.poisson(2.0, 90)
DATA["a"] = (DATA["x"] + RNG.normal(size=90) > 0).astype(int)


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("y ~ x", None),
        ("cbind(y, v) ~ x", None),
        ("y ~ c(x, z)", None),
        ("c(y, log(v)) ~ x", ("y ~ x", "log(v) ~ x")),
        ("c(y) ~ x", ("y ~ x",)),
        ("y ~ sw(x, z)", ("y ~ x", "y ~ z")),
        ("y ~ sw0(x, z)", ("y ~ 1", "y ~ x", "y ~ z")),
        ("y ~ csw(x, z + w)", ("y ~ x", "y ~ x + z + w")),
        ("y~q+csw0( x,z)", ("y ~ q", "y ~ q + x", "y ~ q + x + z")),
        ("y ~ x | sw0(u, u + t)", ("y ~ x", "y ~ x | u", "y ~ x | u + t")),
        ("y ~ x | u[x] + csw(t, t^v)", ("y ~ x | u[x] + t", "y ~ x | u[x] + t + t^v")),
        ("y ~ sw(x, z) - 1", ("y ~ x - 1", "y ~ z - 1")),
        ("y ~ sw(x, z) + sw(p, q)", ("y ~ x + p", "y ~ x + q", "y ~ z + p", "y ~ z + q")),
        (
            "c(y, v) ~ sw(x, z) | sw(u, t)",
            ("y ~ x | u", "y ~ z | u", "v ~ x | u", "v ~ z | u", "y ~ x | t", "y ~ z | t", "v ~ x | t", "v ~ z | t"),
        ),
        (
            "y ~ treat(a) + adjust(csw0(x, z)) + fe(u)",
            ("y ~ treat(a) + fe(u)", "y ~ treat(a) + adjust(x) + fe(u)", "y ~ treat(a) + adjust(x + z) + fe(u)"),
        ),
        ("y ~ sw(x, x)", ("y ~ x",)),
    ],
)
def test_which_formulas(text, formulas):
    assert several(text) == formulas
    assert several(text, ["c", "sw", "sw0", "csw", "csw0"]) is None  # functions of the caller's own


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("y ~ sw(x, csw(z, v))", "csw(...) within sw(...): steps are not nested; join them by `+`"),
        ("y ~ x:sw(z, v)", "sw(...) can only be joined by `+` to other terms"),
        ("y ~ x - sw(z, v)", "sw(...) can only be joined by `+` to other terms"),
        ("y ~ log(sw(x, z))", "sw(...) can only be joined by `+` to other terms"),
        ("sw(y, v) ~ x", "sw(...) is of terms, on the right of `~`; several outcomes are c(y1, y2)"),
        ("y ~ sw()", "sw(...) lists terms: sw(x, z)"),
        ("c() ~ x", "c(...) on the left lists outcomes: c(y1, y2)"),
        ("y ~ " + " + ".join(["sw(x, z)"] * 10), "this stands for 1,024 formulas, and 1,000 are the most"),
    ],
)
def test_what_stands_for_no_formulas(text, says):
    for verb in (cf.lm, cf.glm, cf.fit):
        with pytest.raises(cf.FormulaError, match=re.escape(says)) as error:
            verb(text, DATA)
        assert "^" in str(error.value)


def test_verbs_that_take_one_formula():
    says = re.escape(
        "csw(...) stands for several formulas, which cf.fit, cf.lm and cf.glm take; write one of them here"
    )
    for ask in (
        lambda: cf.parse("y ~ treat(a) + csw(x, z)"),
        lambda: cf.model_matrix("~ csw(x, z)", DATA),
        lambda: cf.design("~ treat(a) + csw(x, z)", DATA, "ipw"),
        lambda: cf.compare("y ~ treat(a) + csw(x, z)", DATA, ["regression", "ipw"]),
    ):
        with pytest.raises(cf.FormulaError, match=says):
            ask()


@pytest.mark.parametrize("kind", ["text", "json", "csv", "html"])
def test_several_from_a_shell(kind, capsys):
    main(["fit", "c(Severity, I.H) ~ treat(Drug)", "--data", "heart", "--format", kind])
    out = capsys.readouterr().out
    assert "Severity" in out and "I.H" in out
    if kind == "json":
        assert [one["outcome"] for one in json.loads(out)["fits"]] == ["Severity", "I.H"]


def test_each_is_the_fit_of_its_formula():
    fits = cf.lm("c(y, v) ~ csw(x, z) | sw0(u)", DATA, vcov="HC1")
    assert isinstance(fits, cf.Fits) and len(fits) == 8
    for formula, model in zip(fits.formulas, fits, strict=True):
        pd.testing.assert_frame_equal(model.tidy(), cf.lm(formula, DATA, vcov="HC1").tidy())
    assert fits["v ~ x + z | u"] is fits[7]
    assert fits[:2].formulas == ("y ~ x", "y ~ x + z")
    assert list(fits.tidy().columns[:2]) == ["formula", "term"] and len(fits.glance()) == 8
    again = fits.with_vcov("~u")
    assert again[5].covariance.label == cf.lm(fits.formulas[5], DATA, vcov="~u").covariance.label
    assert pickle.loads(pickle.dumps(fits)).formulas == fits.formulas
    with pytest.raises(cf.OptionError, match=r"no fit 'v ~ w'; did you mean"):
        fits["v ~ w"]


def test_other_verbs():
    counts = cf.glm("k ~ csw0(x, z) | u", DATA, family="poisson")
    pd.testing.assert_series_equal(counts[2].params, cf.glm("k ~ x + z | u", DATA, family="poisson").params)
    effects = cf.fit("c(y, v) ~ treat(a) + csw(x, z) | u", DATA, vcov="HC1")
    assert [fit.estimate for fit in effects] == [cf.fit(text, DATA).estimate for text in effects.formulas]


def test_the_print_and_the_table():
    fits = cf.lm("c(y, v) ~ sw(x, z) | u", DATA)
    text = str(fits)
    assert text.startswith("4 fits\ny (1): y ~ x | u\ny (2): y ~ z | u\nv (3): v ~ x | u\nv (4): v ~ z | u\n")
    assert "Standard errors: Classical" in text and "R2 Within" in text
    assert cf.table(fits).names == fits.names
    beside = cf.table([fits, cf.lm("y ~ x", DATA)])
    assert beside.names == ("(1)", "(2)", "(3)", "(4)", "(5)")
    assert str(fits[0].summary()) in str(fits.summary())
    mixed = cf.Fits(("y ~ x", "y ~ z"), (fits[0], fits[1].with_vcov("~u")))
    assert "Std.Errors" in str(mixed)
