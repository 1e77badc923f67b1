"""The law of data that stay elsewhere, for methods that weight: any split gives the numbers and the print of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings

import causalformula as cf
from tests.scale.test_law import DATA, N, agree, fitted, in_memory, page, splits

ONCE = settings(max_examples=1, deadline=None, phases=[Phase.generate])
XG = "y ~ treat(A) + adjust(x + g)"
ARMS = "y ~ treat(arm) + adjust(x + g)"
UNCONDITIONAL = cf.Asympt(unconditional=True)
CASES: list[tuple[str, str, dict[str, Any]]] = [
    *(("ipw", XG, {"estimand": e}) for e in ("ATE", "ATT", "ATC", "ATO", "ATM", "ATOS")),
    *(("ipw", XG, {"link": link}) for link in ("probit", "cloglog", "cauchit")),
    *(("ipw", XG, {"vcov": v}) for v in ("HC0", "HC1", "CR0 ~ c", "~c + k")),
    ("ipw", XG, {"vcov": cf.HC("HC3", weights="fixed")}),
    ("ipw", XG, {"vcov": cf.Asympt(weights="fixed")}),
    ("ipw", f"{XG} + outcome(w)", {"vcov": UNCONDITIONAL, "estimand": "ATO", "interact": True}),
    (
        "ipw",
        "b ~ treat(A) + adjust(x + g) + outcome(x) + weights(w) + cluster(c)",
        {"family": "binomial", "measure": "ratio", "estimand": "ATM"},
    ),
    ("ipw", XG, {"stabilize": True, "trim": 0.9}),
    ("ipw", XG, {"trim": 3, "trim_lower": True, "estimand": "ATT"}),
    ("ipw", XG, {"discard": "both", "trim": 3}),
    ("ipw", XG, {"discard": (0.1, 0.9)}),
    ("ipw", "y ~ treat(A) + adjust(x * g)", {"by": "arm"}),
    *(("ipw", f"{ARMS} + weights(w)", {"estimand": e, "contrast": "pairwise"}) for e in ("ATE", "ATO", "ATM")),
    ("ipw", ARMS, {"estimand": "ATT", "focal": "hi", "vcov": "~c", "trim": 0.95}),
    ("ipw", "late ~ treat(A) + adjust(far + x)", {}),
    *(("aipw", XG, {"estimand": e}) for e in ("ATE", "ATT", "ATC")),
    *(("aipw", XG, {"vcov": v}) for v in ("HC0", "HC1", "CR0 ~ c", "~c + k")),
    ("aipw", XG, {"vcov": cf.Asympt(weights="fixed"), "bounds": (0.2, 0.8), "link": "probit", "interact": False}),
    ("aipw", "b ~ treat(A) + adjust(x + g) + weights(w)", {"family": "binomial", "measure": "odds_ratio"}),
    ("aipw", f"{ARMS} + weights(w)", {"contrast": "pairwise"}),
    ("aipw", ARMS, {"estimand": "ATT", "focal": "hi"}),
    ("aipw", "late ~ treat(A) + adjust(far + x)", {}),
    *((m, XG, {"estimand": e}) for m in ("ebal", "ipt", "cbps") for e in ("ATE", "ATT", "ATC")),
    *((m, XG, {"vcov": "~c"}) for m in ("ebal", "ipt", "cbps")),
    *((m, f"{ARMS} + weights(w)", {"contrast": "pairwise"}) for m in ("ebal", "ipt", "cbps")),
    *((m, ARMS, {"estimand": "ATT", "focal": "hi"}) for m in ("ebal", "ipt", "cbps")),
    *(
        (m, "y ~ treat(A) + adjust(x + far + I(2 * x)) + weights(w) + outcome(x)", {"moments": 2})
        for m in ("ipt", "cbps")
    ),
    ("ebal", "y ~ treat(A) + adjust(x + far + I(2 * x) + g) + weights(w) + outcome(x)", {"moments": 3}),
    ("ebal", XG, {"moments": 2, "int": True}),
    ("ebal", XG, {"base_weights": "w", "vcov": "HC0"}),
    ("cbps", XG, {"estimand": "ATO"}),
    *(("subclass", XG, {"estimand": e, "subclass": 4}) for e in ("ATT", "ATE", "ATC")),
    *(("subclass", XG, {"vcov": v, "subclass": 4}) for v in ("HC1", "~c", "classical")),
    ("subclass", XG, {"subclass": [0.3, 0.5, 0.8], "link": "linear.probit"}),
    ("subclass", XG, {"subclass": 12, "discard": "both", "min_n": 0}),
    ("subclass", f"{XG} + weights(w) + outcome(x)", {"subclass": 5, "interact": True}),
    ("subclass", "y ~ treat(A) + adjust(g)", {"subclass": 5}),
    ("subclass", "b ~ treat(A) + adjust(x)", {"distance": "w", "family": "binomial", "measure": "ratio"}),
    *(("subclass", XG, {"estimator": "stratified", "subclass": 3, "vcov": v}) for v in ("HC2", "~c")),
]


# every third in the short form
SOME = [pytest.param(*case, marks=[pytest.mark.slow] * bool(k % 3)) for k, case in enumerate(CASES)]


@pytest.mark.parametrize(("method", "formula", "options"), SOME)
@ONCE
@given(pieces=splits())
def test_weights_of_any_split(method: str, formula: str, options: dict[str, Any], pieces: list[Any]) -> None:
    options = {"method": method, **options}
    found, known = fitted(formula, cf.scan(pieces, limit=0), options), in_memory(formula, options)
    agree(found, known)
    assert page(found.summary()) == page(known.summary())
    if "weights(w)" not in formula:
        agree(found.means(), known.means())


@pytest.mark.parametrize("method", ["ipw", "aipw"])
def test_other_questions_to_a_weighted_fit(method: str) -> None:
    found = fitted(XG, cf.scan([DATA.iloc[100:], DATA.iloc[:100]], limit=0), {"method": method})
    known = in_memory(XG, {"method": method})
    for by in ("g", "w"):
        agree(found.by(by), known.by(by))
    agree(found.by("g").means(), known.by("g").means())
    agree(found.with_vcov("~c"), known.with_vcov("~c"))
    for model in ("outcome", "propensity"):
        assert str(getattr(found, model).coeftest()) == str(getattr(known, model).coeftest())


def test_weights_that_do_not_exist_are_refused_by_name() -> None:
    apart = DATA.assign(z=DATA.A * 3 + DATA.w)
    for method in ("ebal", "ipt", "cbps"):
        with pytest.raises(cf.ConvergenceError, match="furthest off: z"):
            fitted("y ~ treat(A) + adjust(x + z)", cf.scan([apart], limit=0), {"method": method})
    with pytest.raises(cf.IdentificationError, match="'z' predicts 'A' perfectly"):
        fitted("y ~ treat(A) + adjust(x + z)", cf.scan([apart], limit=0), {"method": "ipw"})


def test_strata_one_by_one() -> None:
    options = {"method": "subclass", "subclass": 3}
    found, known = fitted(XG, cf.scan([DATA.iloc[100:], DATA.iloc[:100]], limit=0), options), in_memory(XG, options)
    agree(found.stratified(), known.stratified())
    a, b = found.strata().read(), known.strata().read()
    np.testing.assert_allclose(a.estimate, b.estimate, rtol=1e-10)
    np.testing.assert_allclose(a.std_error, b.std_error, rtol=1e-10)


def test_strata_that_must_be_filled_are_refused() -> None:
    with pytest.raises(cf.CapabilityError, match="min_n=0"):
        fitted("y ~ treat(A) + adjust(x)", cf.scan([DATA], limit=0), {"method": "subclass", "subclass": 25})


@pytest.mark.parametrize(("seed", "options"), [(3, {"trim": 0.9}), (2, {"trim": 0.8, "trim_lower": True})])
def test_capped_weights_that_many_rows_share(seed: int, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(seed)
    g, h = rng.choice(list("abcd"), N), rng.integers(0, 4, N)
    data = DATA.assign(g=g, h=h, A=(rng.uniform(size=N) < np.array([0.2, 0.4, 0.6, 0.8])[h]).astype(int))
    # many cells of a few rows: unlike cells have shares, and so weights, in common
    formula, options = "y ~ treat(A) + adjust(g * factor(h))", {"method": "ipw", **options}
    known = fitted(formula, data, options)
    for rows in ([data[70:], data[:70]], [data[::-1]]):
        agree_closely(fitted(formula, cf.scan(rows, limit=0), options), known)
    agree_closely(fitted(formula, data[::-1], options), known)


def agree_closely(found: Any, known: Any) -> None:
    """To the digits of a model some of whose coefficients are infinite."""
    assert found.estimate == pytest.approx(known.estimate, rel=1e-8)
    assert found.std_error == pytest.approx(known.std_error, rel=1e-6)
    assert [line for line in page(found) if "trimmed" in line] == [line for line in page(known) if "trimmed" in line]
