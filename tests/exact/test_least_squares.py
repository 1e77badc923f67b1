"""Least squares and the sums over rows, against exact arithmetic and definitions."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalformula.errors import DataError
from causalformula.numerics.least_squares import least_squares, replicates, solve, solve_qr
from causalformula.numerics.linalg import (
    gram,
    group_scores,
    group_sums,
    independent_columns,
    leverage,
    meat,
    row_blocks,
    scaled_inverse,
    scores,
)


def problem(n=300, p=4, seed=0, order="C"):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(2, 3, size=(n, p - 1))])
    return np.asarray(X, order=order), X @ rng.normal(size=p) + rng.normal(size=n), rng.uniform(0.1, 3, n)


def exact_solution(X, y):
    """Coefficients and inverse cross-product in rational arithmetic."""
    rows = [[Fraction(float(v)) for v in row] for row in X]
    p = len(rows[0])
    y = [Fraction(float(v)) for v in y]
    system = [
        [sum(r[i] * r[j] for r in rows) for j in range(p)]
        + [Fraction(int(i == j)) for j in range(p)]
        + [sum(r[i] * v for r, v in zip(rows, y, strict=True))]
        for i in range(p)
    ]
    for i in range(p):
        pivot = next(k for k in range(i, p) if system[k][i] != 0)
        system[i], system[pivot] = system[pivot], system[i]
        system[i] = [v / system[i][i] for v in system[i]]
        for k in range(p):
            if k != i:
                system[k] = [a - system[k][i] * b for a, b in zip(system[k], system[i], strict=True)]
    done = np.array([[float(v) for v in row[p:]] for row in system])
    return done[:, -1], done[:, :-1]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n", [5, 300, 70_000])
def test_normal_equations_hold(n, order):
    X, y, w = problem(n, order=order)
    fit = least_squares(X, y, w, offset=y / 3)
    np.testing.assert_allclose(fit.residuals, y - y / 3 - X @ fit.coef, atol=1e-12)
    size = np.abs(X).T @ np.abs(w * fit.residuals)
    assert (np.abs(X.T @ (w * fit.residuals)) <= 1e-12 * size).all()
    np.testing.assert_allclose(fit.bread @ (X.T @ (X * w[:, None])), np.eye(4), atol=1e-11)
    assert fit.rank == 4
    assert fit.alias.shape == (4, 0)


@pytest.mark.parametrize(
    "columns",
    [
        lambda t: [t**0, t],
        lambda t: [t**0, 1995 + t, (t - 3) ** 2],
        lambda t: [t**0, t, t**2, t**3],
        lambda t: [t**k for k in range(6)],
    ],
    ids=["line", "years", "cubic", "quintic"],
)
def test_exact_rational_arithmetic(columns):
    """From well conditioned to a scaled condition of 1e6: each digit that QR would have."""
    t = np.arange(1.0, 31.0)
    X = np.column_stack(columns(t))
    y = np.round(100 * np.sin(t)) / 8
    fit = least_squares(X, y)
    coef, bread = exact_solution(X, y)
    unit = X / np.linalg.norm(X, axis=0)
    rtol = max(1e-11, 20 * np.finfo(float).eps * np.linalg.cond(unit))
    np.testing.assert_allclose(fit.coef, coef, rtol=rtol)
    np.testing.assert_allclose(fit.bread, bread, rtol=rtol)


@given(st.integers(0, 10_000), st.floats(0, 4))
def test_cholesky_and_qr_are_one(seed, closeness):
    """Columns that get closer: the refined normal equations, wherever they are used, agree with QR."""
    rng = np.random.default_rng(seed)
    X, y, w = problem(60, 4, seed)
    X = np.column_stack([X, X @ rng.normal(size=4) + 10**-closeness * rng.normal(size=60)])
    ours, qr = solve(X, y[:, None], w, tol=1e-7), solve_qr(X, y[:, None], w, tol=1e-7)
    scale = np.sqrt(np.diag(qr.bread))
    np.testing.assert_array_equal(ours.kept, qr.kept)
    assert (np.abs(ours.coef - qr.coef)[:, 0] <= 1e-10 * (np.abs(qr.coef[:, 0]) + scale)).all()
    np.testing.assert_allclose(ours.bread / np.outer(scale, scale), qr.bread / np.outer(scale, scale), atol=1e-9)


def test_both_solvers_are_used(monkeypatch):
    called = []
    monkeypatch.setattr(
        "causalformula.numerics.least_squares.solve_qr", lambda *a, **k: called.append(1) or solve_qr(*a, **k)
    )
    X, y, _ = problem()
    least_squares(X, y)
    assert not called
    least_squares(np.column_stack([X, X[:, 1] + 1e-5 * X[:, 2] ** 2]), y)
    assert called


def test_aliased_columns_as_r():
    """R: lm keeps the earlier column, coef NA for x2 = 2 x - 1, for a zero column and for the repeated one."""
    X, y, w = problem()
    wide = np.column_stack([X[:, 0], X[:, 1], 2 * X[:, 1] - 1, X[:, 2], np.zeros(len(y)), X[:, 3], X[:, 2]])
    for weights in (None, w):
        fit = least_squares(wide, y, weights)
        plain = least_squares(X, y, weights)
        np.testing.assert_array_equal(fit.kept, [0, 1, 3, 5])
        np.testing.assert_allclose(fit.coef[fit.kept], plain.coef, rtol=1e-12)
        assert np.isnan(fit.coef[[2, 4, 6]]).all()
        np.testing.assert_allclose(wide[:, fit.kept] @ fit.alias, wide[:, [2, 4, 6]], atol=1e-12)
        np.testing.assert_allclose(fit.bread, plain.bread, rtol=1e-12)
        np.testing.assert_allclose(fit.residuals, plain.residuals, atol=1e-12)


@pytest.mark.parametrize(("gap", "rank"), [(1e-5, 3), (3e-7, 3), (3e-8, 2), (1e-10, 2)])
def test_tolerance_is_relative_length(gap, rank):
    """R: qr(cbind(1, x, x + gap * z))$rank at tol = 1e-7, with x and z of the length of x."""
    X, y, _ = problem(n=200, p=3, seed=4)
    z = np.linalg.qr(X)[0][:, 2] * np.linalg.norm(X[:, 1])
    fit = least_squares(np.column_stack([X[:, :2], X[:, 1] + gap * z]), y)
    assert fit.rank == rank


def test_alias_depends_on_scale_of_the_column_only():
    X, y, _ = problem()
    scaled = X * np.array([1, 1e-12, 1e9, 1])
    fit = least_squares(scaled, y)
    np.testing.assert_allclose(fit.coef * [1, 1e-12, 1e9, 1], least_squares(X, y).coef, rtol=1e-11)


def test_more_columns_than_rows():
    X, y, _ = problem(4, 7, seed=3)
    fit = least_squares(X, y)
    np.testing.assert_array_equal(fit.kept, [0, 1, 2, 3])
    np.testing.assert_allclose(fit.residuals, 0, atol=1e-10)


def test_weight_zero_takes_no_part():
    X, y, w = problem()
    w = np.where(np.arange(len(y)) % 3 == 0, 0, w)
    used = w > 0
    fit, part = least_squares(X, y, w), least_squares(X[used], y[used], w[used])
    np.testing.assert_allclose(fit.coef, part.coef, rtol=1e-12)
    np.testing.assert_allclose(fit.residuals[~used], y[~used] - X[~used] @ part.coef, atol=1e-12)
    # a column that varies only where the weight is zero is a constant to the fit, however extreme it is there
    hidden = np.column_stack([X, np.where(used, 1.0, np.arange(len(y)) * 1e6)])
    assert np.isnan(least_squares(hidden, y, w).coef[4])


def test_whole_weights_are_repeated_rows():
    X, y, _ = problem(50)
    times = np.arange(50) % 4
    fit = least_squares(X, y, times)
    repeated = least_squares(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(fit.coef, repeated.coef, rtol=1e-12)
    np.testing.assert_allclose(fit.bread, repeated.bread, rtol=1e-11)


def test_several_responses():
    X, y, w = problem()
    Y = np.column_stack([y, X[:, 1] ** 2])
    fit = least_squares(X, Y, w)
    for j in range(2):
        one = least_squares(X, Y[:, j], w)
        np.testing.assert_allclose(fit.coef[:, j], one.coef, rtol=1e-11)
        np.testing.assert_allclose(fit.residuals[:, j], one.residuals, atol=1e-11)


def test_no_columns():
    fit = least_squares(np.empty((5, 0)), np.arange(5.0), offset=np.ones(5))
    assert fit.rank == 0
    np.testing.assert_array_equal(fit.residuals, np.arange(5.0) - 1)


@pytest.mark.parametrize("where", ["X", "y", "weights"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_and_infinite_values(where, value):
    X, y, w = problem()
    {"X": X[:, 1], "y": y, "weights": w}[where][7] = value
    with np.errstate(invalid="ignore"), pytest.raises(DataError, match="missing"):
        least_squares(X, y, w)


def test_negative_weights_and_shapes():
    X, y, w = problem()
    with pytest.raises(DataError, match="negative weights"):
        least_squares(X, y, -w)
    with pytest.raises(DataError, match="weights has shape"):
        least_squares(X, y, w[:5])


def test_nothing_is_changed():
    X, y, w = problem()
    before = [a.copy() for a in (X, y, w)]
    fit = least_squares(X, y, w, offset=w)
    leverage(X, fit.bread, w)
    meat(X, fit.residuals)
    replicates(X, y, np.ones((3, len(y))))
    for a, b in zip((X, y, w), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory(order):
    """Beside a design of 20 columns, weighted least squares with its leverages and meat needs under half of it."""
    X, y, w = problem(200_000, 20, order=order)
    tracemalloc.start()
    fit = least_squares(X, y, w)
    meat(X, fit.residuals / (1 - leverage(X, fit.bread, w)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * X.nbytes


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n", [50, 70_000])
def test_sums_over_rows(n, order):
    X, y, w = problem(n, 3, order=order)
    np.testing.assert_allclose(gram(X), X.T @ X)
    np.testing.assert_allclose(gram(X, w), X.T @ np.diag(w) @ X if n < 100 else (X.T * w) @ X)
    np.testing.assert_allclose(gram(X, y), (X.T * y) @ X, rtol=1e-9, atol=1e-9 * n)
    np.testing.assert_allclose(meat(X, y), scores(X, y).T @ scores(X, y))
    bread = np.linalg.inv(gram(X, w))
    h = leverage(X, bread, w)
    np.testing.assert_allclose(h[:9], np.diag(X[:9] @ bread @ X[:9].T) * w[:9])
    assert h.sum() == pytest.approx(3)


@pytest.mark.parametrize("order", ["C", "F"])
def test_group_sums(order):
    X, y, _ = problem(1000, 3, order=order)
    codes = np.random.default_rng(1).integers(0, 40, 1000)
    codes[codes == 7] = 8
    by_hand = np.array([scores(X, y)[codes == g].sum(axis=0) for g in range(41)])
    np.testing.assert_allclose(group_scores(X, y, codes, 41), by_hand, atol=1e-11)
    np.testing.assert_allclose(group_sums(scores(X, y), codes, 41), by_hand, atol=1e-11)
    np.testing.assert_allclose(group_sums(y, codes, 41), [y[codes == g].sum() for g in range(41)], atol=1e-11)
    assert not by_hand[7].any()


def test_row_blocks_cover_every_row_once():
    for n, p in [(0, 3), (1, 3), (256, 5000), (100_001, 7)]:
        rows = [i for block in row_blocks(n, p) for i in range(block.start, block.stop)]
        assert rows == list(range(n))


def test_independent_columns_span():
    R = np.array([[1.0, 2, 3, 0], [0, 0, 4, 0], [0, 0, 0, 0]])
    kept, basis = independent_columns(R, 1e-7)
    np.testing.assert_array_equal(kept, [0, 2])
    np.testing.assert_allclose(basis.T @ basis, np.eye(2), atol=1e-15)


def test_scaled_inverse_says_when_it_cannot():
    assert scaled_inverse(np.array([[1.0, 1.0], [1.0, 1.0 - 1e-9]])) is None
    assert scaled_inverse(np.diag([1.0, 0.0])) is None
    normal = scaled_inverse(np.diag([1.0, 1e-20]))
    np.testing.assert_allclose(normal.inverse, np.diag([1.0, 1e20]))
    np.testing.assert_allclose(normal.solve(np.ones(2)), [1.0, 1e20])


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.uint8])
def test_replicates_are_refits(kind):
    X, y, _ = problem(400, 5)
    X[:, 2] += 1000
    W = np.random.default_rng(5).multinomial(400, np.full(400, 1 / 400), size=30).astype(kind)
    got = replicates(X, y, W, offset=y / 4)
    for row, w in zip(got, W, strict=True):
        fit = least_squares(X, y, w, offset=y / 4)
        assert (np.abs(row - fit.coef) <= 1e-10 * np.sqrt(np.diag(fit.bread))).all()


def test_replicates_over_many_blocks():
    X, y, w = problem(30_000, 8)
    got = replicates(X, y, np.stack([w, w**2]))
    np.testing.assert_allclose(got[1], least_squares(X, y, w**2).coef, rtol=1e-11)


def test_replicates_aliased_and_singular():
    X, y, w = problem(60, 3)
    rare = (np.arange(60) < 2).astype(float)
    X = np.column_stack([X, 2 * X[:, 1] + 1, rare])
    W = np.stack([w, w * (rare == 0)])
    got = replicates(X, y, W)
    assert np.isnan(got[:, 3]).all()
    np.testing.assert_allclose(got[0], least_squares(X, y, w).coef, rtol=1e-11)
    assert np.isnan(got[1]).all()
    assert replicates(np.empty((60, 0)), y, W).shape == (2, 0)
