"""What is said of ``loo(...)`` where it cannot stand, or has nothing to say."""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from tests.exact.test_leave_one_out import DATA, N


@pytest.mark.parametrize(
    ("formula", "words", "marked"),
    [
        ("y ~ treat(a) + adjust(loo(judge))", r"write iv\(loo\(g\)\) in cf.fit", "loo"),
        ("y ~ treat(loo(judge)) + iv(x)", r"write iv\(loo\(g\)\) in cf.fit", "loo"),
        ("y ~ treat(a) + iv(loo(judg))", "unknown column 'judg'; did you mean 'judge'", "judg"),
        ("y ~ treat(a) + iv(log(loo(judge)))", "a term of its own, which stands in no other function", "loo(judge)"),
        ("y ~ treat(a) + iv(I(loo(judge)^2))", "a term of its own, which stands in no other function", "loo(judge)"),
        ("y ~ treat(a) + iv(loo(loo(judge)))", "a term of its own", "loo(judge)"),
        ("y ~ treat(a) + iv(loo(judge, court))", r"loo\(paste\(judge, year\)\)", "loo(judge, court)"),
        ("y ~ treat(a) + iv(loo(judge:court))", r"groups of several are loo\(paste\(judge, court\)\)", "judge:court"),
        ("y ~ treat(a) + iv(loo(judge, year = 3))", r"no option 'year'. It takes raw", "3"),
        ("y ~ treat(a) + iv(loo(judge, raw = 2))", "raw is TRUE or FALSE", "2"),
        ("y ~ treat(a) + iv(loo('judge'))", "names no variable; a name has no quotation marks", "loo('judge')"),
    ],
)
def test_misplaced(formula, words, marked):
    with pytest.raises(cf.FormulaError, match=words) as raised:
        cf.fit(formula, DATA)
    shown = str(raised.value).splitlines()
    start = shown[-1].index("^")
    assert shown[-2][start : start + shown[-1].count("^")] == marked


def test_outside_of_cf_fit():
    for call in (lambda: cf.lm("y ~ loo(judge)", DATA), lambda: cf.model_matrix("~ loo(judge)", DATA)):
        with pytest.raises(cf.FormulaError, match=r"write iv\(loo\(g\)\) in cf.fit"):
            call()
    with pytest.raises(cf.FormulaError, match="give the function in env= another name"):
        cf.fit("y ~ treat(a) + iv(loo(judge))", DATA, env={"loo": np.log})


@pytest.mark.parametrize(
    ("formula", "error", "words"),
    [
        ("y ~ treat(a) + iv(loo(judge)) + fe(judge)", cf.IdentificationError, "mean in groups that are held fixed"),
        ("y ~ treat(a) + iv(loo(judge, raw = TRUE)) + fe(judge)", cf.IdentificationError, "groups that are held fixed"),
        ("y ~ treat(a) + iv(loo(judge)) + adjust(factor(judge))", cf.IdentificationError, "groups that are held fixed"),
        ("y ~ treat(a) + iv(loo(court)) + fe(judge)", cf.IdentificationError, "groups that are held fixed"),
        ("y ~ treat(a) + iv(loo(factor(x > 99)))", cf.IdentificationError, "all rows are of one group of loo"),
        ("y ~ treat(a) + iv(loo(x))", cf.DataError, r"no row has another row in its group, of which loo\(x\)"),
        ("y ~ treat(a) + iv(loo(judge):loo(court))", cf.FormulaError, "is a product of leave-one-out means"),
        ("y ~ treat(a) + iv(loo(judge)) + modify(x)", cf.IdentificationError, r"2 terms of the treatment \(a, a:x\)"),
    ],
)
def test_says_nothing(formula, error, words):
    with pytest.raises(error, match=words):
        cf.fit(formula, DATA)


def test_methods_without_it():
    with pytest.raises(cf.OptionError, match="for dml make the column of leave-one-out means"):
        cf.fit("y ~ treat(a) + iv(loo(judge)) + adjust(x)", DATA, "dml")
    with pytest.raises(cf.CapabilityError, match=r"does not use iv\(...\)"):
        cf.fit("y ~ treat(a) + iv(loo(judge))", DATA, "regression")


def test_errors_that_overlook_what_rows_share_are_said():
    said = "Note: rows of judge share an instrument that is made of them, loo(judge), and these standard errors"
    with pytest.warns(cf.CausalFormulaWarning, match="use vcov='~judge'"):
        fit = cf.fit("y ~ treat(a) + iv(loo(judge))", DATA, vcov="HC1")
    assert said in str(fit)
    with pytest.warns(cf.CausalFormulaWarning, match="use vcov='~judge'"):
        assert said in str(cf.fit("y ~ treat(a) + iv(loo(judge)) + cluster(third)", DATA.assign(third=DATA.index % 3)))
    own = cf.fit("y ~ treat(a) + iv(loo(judge)) + cluster(court)", DATA)  # where judges sit in one court each
    assert "clustered by court" in str(own)
    for one in (own, own.with_vcov("~judge"), own.with_vcov("~judge + court"), own.with_vcov("CR2 ~ judge")):
        assert said not in str(one)
    assert fit.nobs == N
