"""Order statistics by passes are those of the sorted column, to the last bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from causalformula.scale.order import doubles, order_statistics, ordered, quantiles

NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60)


@settings(max_examples=30, deadline=None)
@given(values=NUMBERS, at=st.integers(0, 59))
def test_order_statistics_are_exact(values: list[float], at: int) -> None:
    x = np.array([*values, np.nan])
    chunks = [x[:at], x[at:]]
    found = order_statistics(lambda count: sum(count(chunk) for chunk in chunks), range(len(values)))
    np.testing.assert_array_equal(found, np.sort(values))


@settings(max_examples=30, deadline=None)
@given(values=NUMBERS)
def test_the_order_of_doubles_is_kept(values: list[float]) -> None:
    x = np.array(values)
    np.testing.assert_array_equal(doubles(ordered(x)), x)
    np.testing.assert_array_equal(np.argsort(ordered(x), kind="stable"), np.argsort(x, kind="stable"))


def test_quantiles_are_those_of_numpy() -> None:
    x = np.random.default_rng(3).normal(size=501)
    at = np.linspace(0, 1, 14)
    np.testing.assert_allclose(quantiles(lambda f: f(x[:100]) + f(x[100:]), len(x), at), np.quantile(x, at), rtol=1e-14)
