"""Errors are of Python's own kinds too, so that code that knows nothing of the package catches them rightly."""

import pickle

import pytest

import causalformula as cf

KINDS = {
    cf.OptionError: ValueError,
    cf.DataError: ValueError,
    cf.CapabilityError: NotImplementedError,
}


@pytest.mark.parametrize(("ours", "python"), KINDS.items())
def test_kinds(ours, python):
    with pytest.raises(python, match="why") as caught:
        raise ours("why")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is ours and str(again) == "why" and isinstance(again, cf.CausalFormulaError)


def test_raised_by_the_verbs():
    heart = cf.datasets.load("heart")
    with pytest.raises(ValueError, match="measure"):
        cf.fit("Severity ~ treat(Drug)", heart, measure="rati0")
    with pytest.raises(ValueError, match="data frame"):
        cf.lm("Severity ~ Drug", 3)
    with pytest.raises(NotImplementedError):
        cf.fit("Severity ~ treat(Drug)", heart).effects()
