"""Leverages and what divides by them, for designs whose cross-product has lost its digits: against exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

# Years that differ by a few tenths: a scaled condition number of 1e14.
S = 1000 + np.array([2, 7, 1, 8, 2, 8, 1, 8, 2, 8, 4, 5]) / 10
Y = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8.0])


def inverse(A: list[list[Fraction]]) -> list[list[Fraction]]:
    n = len(A)
    M = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(A)]
    for i in range(n):
        pivot = next(r for r in range(i, n) if M[r][i] != 0)
        M[i], M[pivot] = M[pivot], M[i]
        M[i] = [v / M[i][i] for v in M[i]]
        for r in range(n):
            if r != i:
                M[r] = [a - M[r][i] * b for a, b in zip(M[r], M[i], strict=True)]
    return [row[n:] for row in M]


def exact(power: int) -> tuple[list[float], list[float]]:
    """Leverages, and the standard errors of HC2 (power 1) or HC3 (power 2), of the columns 1, s and s^3."""
    X = [[Fraction(1), Fraction(float(s)), Fraction(float(s**3))] for s in S]
    B = inverse([[sum(r[i] * r[j] for r in X) for j in range(3)] for i in range(3)])
    b = [sum(B[i][j] * sum(r[j] * Fraction(y) for r, y in zip(X, Y, strict=True)) for j in range(3)) for i in range(3)]
    e = [Fraction(y) - sum(v * c for v, c in zip(r, b, strict=True)) for r, y in zip(X, Y, strict=True)]
    BX = [[sum(B[i][j] * r[j] for j in range(3)) for i in range(3)] for r in X]
    h = [sum(v * c for v, c in zip(r, u, strict=True)) for r, u in zip(X, BX, strict=True)]
    rows = list(zip(BX, e, h, strict=True))
    V = [sum(u[i] ** 2 * ei**2 / (1 - hi) ** power for u, ei, hi in rows) for i in range(3)]
    return [float(v) for v in h], [float(v) ** 0.5 for v in V]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return pd.DataFrame({"s": S, "y": Y, "g": np.repeat(range(6), 2)})


@pytest.mark.parametrize(("vcov", "power"), [("HC2", 1), ("HC3", 2)])
def test_leverage_is_that_of_an_orthonormal_basis(data, vcov, power):
    model = cf.lm("y ~ s + I(s^3)", data, vcov=vcov)
    h, se = exact(power)
    np.testing.assert_allclose(model.regression.hat.leverage(), h, rtol=1e-7)
    np.testing.assert_allclose(model.bse, se, rtol=1e-7)


def test_singleton_clusters_agree(data):
    rows = data.assign(i=range(len(data)))
    for row, cluster in (("HC2", "CR2 ~ i"), ("HC3", "CR3 ~ i")):
        by_row = cf.lm("y ~ s + I(s^3)", rows, vcov=row).bse
        np.testing.assert_allclose(cf.lm("y ~ s + I(s^3)", rows, vcov=cluster).bse, by_row, rtol=1e-6)


@pytest.mark.parametrize("vcov", ["HC3", "CR2 ~ g", "CR3 ~ g", "NeweyWest(2)", "jackknife", "jackknife ~ g", "~g"])
def test_slopes_do_not_depend_on_the_origin(data, vcov):
    data = data.assign(s=data["s"] - 900)
    near = cf.lm("y ~ I(s - 100) + I((s - 100)^2)", data, vcov=vcov)
    far = cf.lm("y ~ s + I(s^2)", data, vcov=vcov)
    assert far.bse["I(s^2)"] == pytest.approx(near.bse["I((s - 100)^2)"], rel=1e-5)


def test_wild_replicates_do_not_either(data):
    data = data.assign(s=data["s"] - 900)
    near = cf.lm("y ~ I(s - 100) + I((s - 100)^2)", data, vcov="wild(999, seed = 3) ~ g").tidy().iloc[-1]
    far = cf.lm("y ~ s + I(s^2)", data, vcov="wild(999, seed = 3) ~ g").tidy().iloc[-1]
    assert far["p.value"] == near["p.value"]
    assert far["std.error"] == pytest.approx(near["std.error"], rel=1e-5)
