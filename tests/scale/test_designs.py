"""Balance, overlap and weights of designs whose rows are elsewhere: those of memory."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.scale.test_law import DATA, fitted

matplotlib.use("Agg")
PIECES = [DATA.iloc[:100], DATA.iloc[100:101], DATA.iloc[101:]]
CROSSED = "y ~ treat(A) + adjust(x * g + w)"
ARMS = "y ~ treat(arm) + adjust(x + g)"
STATS = ("smd", "variance_ratio")
CASES: list[tuple[str, dict[str, Any]]] = [
    (CROSSED, {"method": "ipw", "trim": 0.9}),
    (CROSSED, {"method": "ipw", "estimand": "ATM"}),
    (CROSSED, {"method": "ebal"}),
    (CROSSED, {"method": "subclass", "subclass": 3}),
    (CROSSED, {"method": "regression"}),
    (f"{ARMS} + weights(w)", {"method": "ipw", "estimand": "ATT", "focal": "hi"}),
]


def both(formula: str, options: dict[str, Any]) -> tuple[Any, Any]:
    return tuple(fitted(formula, data, options).design for data in (cf.scan(PIECES, limit=0), DATA))


@pytest.mark.parametrize(("formula", "options"), CASES)
def test_balance_tables(formula: str, options: dict[str, Any]) -> None:
    found, known = both(formula, options)
    for asked in ({}, {"int": True, "poly": 2, "means": True, "binary": "std"}, {"s_d_denom": "all", "un": False}):
        a, b = found.balance(STATS, **asked), known.balance(STATS, **asked)
        assert str(a) == str(b)
        pd.testing.assert_frame_equal(a.to_frame(), b.to_frame(), rtol=1e-9, atol=1e-11)
    pd.testing.assert_frame_equal(found.ess(), known.ess(), rtol=1e-10)


@pytest.mark.parametrize(("formula", "options"), [CASES[0], CASES[2], CASES[5]])
def test_weights_and_overlap(formula: str, options: dict[str, Any]) -> None:
    found, known = both(formula, options)
    assert str(found.summary()) == str(known.summary())
    assert str(found.overlap()) == str(known.overlap())
    assert found.notes == known.notes


SHOWN: list[tuple[str, dict[str, Any]]] = [
    (CROSSED, {"method": "regression"}),
    (CROSSED, {"method": "aipw", "estimand": "ATT"}),
    (f"{ARMS} + weights(w)", {"method": "aipw"}),
    ("y ~ treat(A) + adjust(x) + weights(z)", {"method": "ipw"}),
    ("y ~ treat(A)", {}),
]


@pytest.mark.parametrize(("formula", "options"), SHOWN)
def test_prints_of_designs_with_weights_and_without(formula: str, options: dict[str, Any]) -> None:
    found, known = both(formula, options)
    assert str(found) == repr(found) == str(known)
    assert str(found.overlap()) == str(known.overlap())
    assert str(found.summary()) == str(known.summary())
    if "adjust" in formula:
        assert str(found.balance(STATS)) == str(known.balance(STATS))


def test_the_print_of_a_design_of_a_dose() -> None:
    found, known = both("y ~ treat(dose) + adjust(x)", {"method": "regression"})
    assert str(found) == str(known)
    assert str(found.overlap()) == str(known.overlap())


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_pictures() -> None:
    found, known = both(CROSSED, {"method": "ipw"})
    a, b = (design.plot("hist") for design in (found, known))
    for one, other in zip(a.lines, b.lines, strict=True):
        np.testing.assert_allclose(one.get_ydata(), other.get_ydata(), atol=1e-9)
    assert legend(a) == legend(b)
    scored = both(CROSSED, {"method": "aipw"})
    a, b = (design.plot("hist") for design in scored)
    assert a.lines and a.get_xlim() == pytest.approx(b.get_xlim(), rel=1e-9)
    assert legend(a) == legend(b)
    a, b = (design.plot("love") for design in (found, known))
    assert [t.get_text() for t in a.get_yticklabels()] == [t.get_text() for t in b.get_yticklabels()]
    with pytest.raises(cf.CapabilityError, match="love, hist"):
        found.plot("qq")
    with pytest.raises(cf.CapabilityError, match="means and variances only"):
        found.balance("ks")
