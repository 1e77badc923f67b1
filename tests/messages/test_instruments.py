"""What is said where instruments cannot answer, or answer weakly."""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from tests.exact.test_instruments import DATA, OVER

GROUPED = DATA.assign(within=(DATA["g"] > 4).astype(int), same=3.0, twice=2 * DATA["z"])
# an instrument that is orthogonal to the treatment in the data
_Q = np.column_stack([np.ones(len(DATA)), DATA["x"], DATA["q"]])
UNMOVED = DATA.assign(u=DATA["noise"] - _Q @ np.linalg.lstsq(_Q, DATA["noise"], rcond=None)[0])


@pytest.mark.parametrize(
    ("formula", "data", "words"),
    [
        ("y ~ treat(q) + iv(same) + adjust(x)", GROUPED, "q needs an instrument, .* same is constant or a combination"),
        ("y ~ treat(q) + iv(within) + adjust(x) + fe(g)", GROUPED, "within varies only with the fixed effects"),
        ("y ~ treat(q) + iv(z) + modify(x)", DATA, r"2 terms .*\(q, q:x\) need as many .* as in iv\(z \+ z:w\)"),
        ("y ~ treat(q) + iv(z + x) + adjust(x)", DATA, r"x in iv\(...\) is adjusted for as well"),
        ("y ~ treat(q) + iv(u) + adjust(x)", UNMOVED, r"u in iv\(...\) does not move q beside the terms adjusted for"),
    ],
)
def test_not_identified(formula, data, words):
    with pytest.raises(cf.IdentificationError, match=words):
        cf.fit(formula, data)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: cf.fit("y ~ treat(q)", DATA, "iv"), cf.OptionError, r"needs an instrument: iv\(z\)"),
        (lambda: cf.fit(OVER, DATA, family="poisson"), cf.OptionError, "linear equations; leave family= out"),
        (lambda: cf.fit(OVER, DATA, measure="ratio"), cf.OptionError, "identify their difference only"),
        (lambda: cf.fit(OVER, DATA, "liml", fuller=-1), cf.OptionError, "fuller=-1: a number from 0"),
        (lambda: cf.fit(OVER, DATA, "liml", fuller=1, k=1), cf.OptionError, "give it or k=, not both"),
        (lambda: cf.fit(OVER, DATA, vcov="wild"), cf.CapabilityError, "first stage's errors must move with them"),
        (lambda: cf.fit(OVER, DATA, "liml", vcov="HC3"), cf.CapabilityError, "LIML .* have not: use 'HC0' or 'HC1'"),
        (lambda: cf.fit(OVER, DATA).tf(), cf.CapabilityError, r"one instrument; with several use anderson_rubin\(\)"),
        (lambda: cf.fit(OVER, DATA).compliers(), cf.CapabilityError, "a binary treatment and one binary instrument"),
        (lambda: cf.anova(cf.fit(OVER, DATA).outcome), cf.CapabilityError, "regressors are instrumented; Wald tests"),
        (lambda: cf.fit(OVER, DATA).outcome.drop1(), cf.CapabilityError, "regressors are instrumented"),
        (lambda: cf.resettest(cf.fit(OVER, DATA).outcome), cf.CapabilityError, "regressors are instrumented"),
        (lambda: cf.fit(OVER, DATA).outcome.rstudent(), cf.CapabilityError, "leaving a row out moves the first stage"),
        (lambda: cf.fit(OVER, DATA).by("g").anderson_rubin(), cf.CapabilityError, "the one effect of a fit"),
    ],
)
def test_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_instruments_left_out_are_said():
    with pytest.warns(cf.CausalFormulaWarning, match="twice is constant or a combination"):
        fit = cf.fit("y ~ treat(q) + iv(z + twice) + adjust(x)", GROUPED)
    assert "Note: the first stage leaves out instruments: twice" in str(fit)


def test_weak_instruments_are_said():
    text = str(cf.fit("y ~ treat(q) + iv(noise) + adjust(x)", DATA))
    assert "Note: weak instruments: the effective F is below 23.11" in text
    assert "weak instruments" not in str(cf.fit(OVER, DATA))
    two = str(cf.fit("y ~ treat(q) + iv(z + noise) + modify(x)", DATA))
    assert "Cragg-Donald's F is below 10" in two


def test_means_say_what_they_rest_on():
    assert "Note: means are by the structural equation" in str(cf.fit("v ~ treat(a) + iv(b)", DATA).means())


FEW = DATA.head(12).assign(row=range(12))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: cf.fit(OVER, DATA, "liml", k=5), cf.OptionError, "k=5 is too large for these data"),
        (lambda: cf.fit(OVER, DATA, "fuller"), cf.OptionError, "method='liml' with fuller=1"),
        (lambda: cf.fit(OVER, DATA, "k_class"), cf.OptionError, "method='liml' with k="),
        (lambda: cf.fit(OVER, DATA, "liml").outcome.hatvalues(), cf.CapabilityError, "leverages are of least squares"),
        (lambda: cf.fit("factor(b) ~ treat(q) + iv(z)", DATA), cf.OptionError, "recode it as numbers, 0 and 1"),
        (lambda: cf.compare(OVER, DATA, methods=["iv", "liml"]), cf.OptionError, "can answer with estimand='LATE'"),
        (
            lambda: cf.fit("y ~ treat(q) + iv(factor(row))", FEW),
            cf.IdentificationError,
            "12 instruments and terms adjusted for explain everything in 12 rows",
        ),
        (
            lambda: cf.fit("y ~ treat(q) + iv(z + z2) + adjust(x)", FEW.head(4), "liml"),
            cf.IdentificationError,
            "4 instruments and terms adjusted for explain everything in 4 rows",
        ),
        (
            lambda: cf.fit("y ~ treat(q) + iv(factor(g)) + fe(g)", DATA),
            cf.IdentificationError,
            "factor.g.2.* vary only with the fixed effects",
        ),
    ],
)
def test_more_that_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_leverages_that_are_not_there_are_left_out():
    assert ".hat" in cf.fit(OVER, DATA).augment()
    fit = cf.fit(OVER, DATA, "liml")
    assert ".hat" not in fit.augment()
    assert ".hat" not in fit.outcome.augment()


def test_critical_values_are_of_two_stage_least_squares():
    weak = "y ~ treat(q) + iv(noise) + adjust(x)"
    assert "a bias of two-stage least squares of a tenth" in str(cf.fit(weak, DATA, "liml", fuller=1))
    assert "a bias of a tenth" in str(cf.fit(weak, DATA))
