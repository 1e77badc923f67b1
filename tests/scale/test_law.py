"""The law of data that stay elsewhere: any split of the rows, in any order, gives the numbers of the fit in memory."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import causalformula as cf

N = 240
# a failing example is its split; making it smaller says no more
LAW = settings(max_examples=1, deadline=None, phases=[Phase.generate])
LONG = settings(LAW, max_examples=20)
# What only the print of rows that are elsewhere says, and what it cannot say.
SOURCE = ("Rows: in ", "not in memory; quantiles")


def made(seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(5, 1, N)
    frame = pd.DataFrame(
        {
            "x": x,
            "off": 1e3 + rng.normal(size=N),
            "far": 1e6 + rng.normal(size=N),
            "g": rng.choice(list("abcd"), N),
            "c": rng.integers(0, 60, N),
            "k": rng.integers(0, 25, N),
            "w": rng.uniform(0.5, 2, N),
            "z": np.where(np.arange(N) % 7 == 0, 0.0, rng.uniform(0.5, 2, N)),
            "A": (rng.uniform(size=N) < 1 / (1 + np.exp(5 - x))).astype(int),
            "arm": rng.choice(["hi", "lo", "mid"], N),
            "dose": rng.normal(size=N),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 90, N), unit="D"),
        }
    )
    frame["y"] = rng.normal(size=N) + frame.x + frame.A
    frame["late"] = 1e9 + frame.y
    frame["b"] = (rng.uniform(size=N) < 1 / (1 + np.exp(0.3 * frame.x - frame.A - 1))).astype(int)
    frame["count"] = rng.poisson(np.exp(0.2 * frame.x - 0.5))
    frame.loc[3, "x"] = np.nan
    frame.loc[[8, 9], "g"] = None
    return frame


DATA = made()
TERMS = (
    "poly(w, 3) + g",
    "ns(x, 3) + scale(w)",
    "bs(w, df = 5) + I(w > mean(w))",
    "cut(w, 3) * x",
    "factor(k) + log(x)",
    "cut(scale(log(w)), 3) + poly(w, 2, raw = TRUE) + I(w / sd(w)) + I(w > quantile(w, 0.9)) + I(w / max(w))",
    "relevel(factor(g), ref = 'c') : w + day",
    "far + far:w + w",
    "x + I(2 * x) + g",
)
REGRESSIONS: list[tuple[str, dict[str, Any]]] = [
    *((f"y ~ treat(A) + adjust({terms})", {"vcov": "HC1"}) for terms in TERMS),
    *(("y ~ treat(A) + adjust(x * g)", {"vcov": v}) for v in ("classical", "HC0", "HC2", "HC3", "asympt")),
    *(("b ~ treat(A) + adjust(x)", {"family": "binomial", "vcov": v}) for v in ("classical", "HC3", "asympt", "~c")),
    *(("y ~ treat(A) + adjust(x * g)", {"vcov": v}) for v in ("~c", "CR0 ~ c", "CR1 ~ c", "CR1S ~ c", "~c + k")),
    ("y ~ treat(A) + adjust(x)", {"vcov": cf.HC("HC0", unconditional=True)}),
    ("y ~ treat(A) + adjust(x)", {"vcov": cf.Classical(unconditional=True), "estimand": "ATT"}),
    *(
        ("b ~ treat(A) + adjust(x + g)", {"family": "binomial", "vcov": "HC1", "measure": m})
        for m in ("ratio", "odds_ratio", "log_ratio", "log_odds_ratio", "nnt")
    ),
    ("b ~ treat(A) + adjust(x)", {"family": "binomial(link = 'probit')", "vcov": "asympt"}),
    ("count ~ treat(A) + adjust(x)", {"family": "poisson", "vcov": "HC1", "measure": "ratio"}),
    ("y ~ treat(arm) + adjust(x)", {"vcov": "HC2", "contrast": "pairwise"}),
    ("y ~ treat(arm, ref = 'lo') + modify(g)", {"vcov": "~c", "estimand": "ATT", "focal": "hi"}),
    *(
        ("b ~ treat(dose) + adjust(x)", {"family": "binomial", "vcov": "HC1", "contrast": c})
        for c in (2, "sd", "iqr", "minmax", (0, 1), "slope")
    ),
    ("y ~ treat(A) + adjust(x) + weights(w)", {}),
    ("b ~ treat(A) + adjust(x) + weights(w)", {"family": "binomial"}),
    ("y ~ treat(A) + adjust(x) + weights(z)", {"vcov": "CR1S ~ c"}),
    ("y ~ treat(A) + adjust(x) + weights(w) + cluster(c) + offset(x)", {"estimand": "ATC"}),
    ("y ~ treat(A) + adjust(x) + cluster(k)", {"subset": "w > median(w)"}),
    ("late ~ treat(A) + adjust(far)", {"vcov": "HC3"}),
    ("y ~ treat(A) + adjust(x)", {"interact": True, "vcov": "HC1", "method": "regression"}),
]
EXPERIMENTS: list[tuple[str, dict[str, Any]]] = [
    ("y ~ treat(A)", {}),
    ("y ~ treat(arm)", {"vcov": "HC1", "contrast": "pairwise"}),
    ("y ~ treat(A) + strata(g)", {}),
    ("y ~ treat(A) + weights(w)", {"vcov": "HC3"}),
    ("y ~ treat(A) + cluster(c)", {"vcov": "CR1 ~ c"}),
    ("b ~ treat(A)", {"measure": "ratio"}),
    ("y ~ treat(dose)", {}),
]
MODELS: list[tuple[str, str, dict[str, Any]]] = [
    ("lm", "y ~ x * g", {}),
    ("lm", "y ~ 0 + g + day", {"vcov": "HC3"}),
    ("lm", "y ~ poly(w, 2) + off", {"weights": "w", "offset": "w", "vcov": "~c"}),
    ("lm", "y ~ x + I(2 * x) + g", {"subset": "g != 'd'"}),
    ("lm", "x ~ late + w", {}),
    ("glm", "b ~ I(late + 1e13) + w", {"family": "binomial"}),
    ("glm", "b ~ x * g", {"family": "binomial"}),
    ("glm", "b ~ x + offset(w)", {"family": "binomial", "vcov": "HC2"}),
    ("glm", "cbind(count, k) ~ x", {"family": "binomial", "vcov": "CR1S ~ c"}),
    ("glm", "count ~ x + g", {"family": "quasipoisson", "offset": "log(w)"}),
    ("glm", "y ~ x", {"family": "Gamma(link = 'log')", "weights": "w", "subset": "y > 0"}),
    ("glm", "y ~ x", {"family": "inverse.gaussian(link = 'log')", "subset": "y > 0.5"}),
]


@st.composite
def splits(draw: st.DrawFn) -> list[Any]:
    """The rows in pieces, empty ones too, in any order."""
    ends = sorted(draw(st.lists(st.integers(0, N), min_size=0, max_size=6)))
    pieces = [DATA.iloc[a:b] for a, b in zip([0, *ends], [*ends, N], strict=True)]
    return draw(st.permutations(pieces))


def page(result: Any) -> list[str]:
    """The lines of a print that rows in memory have too."""
    lines = [line for line in str(result).splitlines() if not line.startswith(SOURCE)]
    # quantiles of residuals: a line of names and a line of numbers
    quantiles = [k for k, line in enumerate(lines) if line.split() == ["Min", "1Q", "Median", "3Q", "Max"]]
    return [line for k, line in enumerate(lines) if not any(k in (at, at + 1) for at in quantiles)]


def agree(found: Any, known: Any) -> None:
    """The same estimates, standard errors and degrees of freedom to 1e-10, and the same print."""
    a, b = found.read(), known.read()
    scale = np.maximum(np.abs(b.estimate), b.std_error)
    assert (np.abs(a.estimate - b.estimate) <= 1e-10 * scale).all()
    np.testing.assert_allclose(a.std_error, b.std_error, rtol=1e-10)
    np.testing.assert_allclose(a.df, b.df, rtol=1e-12)
    assert page(found) == page(known)


def fitted(formula: str, data: Any, options: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cf.fit(formula, data, **options)


KNOWN: dict[tuple[str, str], Any] = {}


def in_memory(formula: str, options: dict[str, Any]) -> Any:
    key = (formula, str(options))
    if key not in KNOWN:
        KNOWN[key] = fitted(formula, DATA, options)
    return KNOWN[key]


@pytest.mark.parametrize(("formula", "options"), [*REGRESSIONS, *EXPERIMENTS])
@LAW
@given(pieces=splits())
def test_any_split_gives_the_numbers_of_memory(formula: str, options: dict[str, Any], pieces: list[Any]) -> None:
    found = fitted(formula, cf.scan(pieces, limit=0), options)
    known = in_memory(formula, options)
    agree(found, known)
    assert page(found.summary()) == page(known.summary())


@pytest.mark.slow
@pytest.mark.parametrize(("formula", "options"), [*REGRESSIONS, *EXPERIMENTS])
@LONG
@given(pieces=splits())
def test_many_splits(formula: str, options: dict[str, Any], pieces: list[Any]) -> None:
    agree(fitted(formula, cf.scan(pieces, limit=0), options), in_memory(formula, options))


@pytest.mark.parametrize(("verb", "formula", "options"), MODELS)
@LAW
@given(pieces=splits())
def test_plain_regressions_too(verb: str, formula: str, options: dict[str, Any], pieces: list[Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, known = (getattr(cf, verb)(formula, data, **options) for data in (cf.scan(pieces, limit=0), DATA))
        agree(found, known)
        assert page(found.summary()) == page(known.summary())
    assert ("left out as R's lm does" in str(found.summary())) == ("late" in formula)
    np.testing.assert_allclose(
        found.glance().select_dtypes(float).to_numpy(), known.glance().select_dtypes(float).to_numpy(), rtol=1e-10
    )


@LAW
@given(pieces=splits())
def test_other_questions_to_the_same_fit(pieces: list[Any]) -> None:
    formula, options = "y ~ treat(A) + modify(g) + adjust(x)", {"vcov": "~c"}
    found, known = fitted(formula, cf.scan(pieces, limit=0), options), in_memory(formula, options)
    for ask in (
        lambda fit: fit.means(),
        lambda fit: fit.by("g"),
        lambda fit: fit.by("w"),
        lambda fit: fit.by("day"),
        lambda fit: fit.by("k"),
        lambda fit: fit.by("g").means(),
        lambda fit: fit.hypothesis("b1 = 1"),
        lambda fit: fit.by("g").hypothesis("b1 = b2"),
        lambda fit: fit.with_vcov("HC3"),
    ):
        agree(ask(found), ask(known))
    np.testing.assert_allclose(found.cov_params(), known.cov_params(), rtol=1e-10)
    assert str(found.outcome.coeftest()) == str(known.outcome.coeftest())
