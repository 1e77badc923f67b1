"""Columns far from zero: counted from their means, so that a confounder of 1e8 and a bit is not taken for the constant.

A design with an intercept spans the same space whichever origin its columns are counted from, but sums of squares about
a distant origin hold few digits of what varies. Effects are estimated on the columns moved here; coefficients are
brought back for whoever reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from causalformula.numerics.arrays import Array, Codes

# A column whose mean is this many times its standard deviation is far from zero: cross-products lose three digits.
FAR = 30.0
# Sums of an outcome whose mean is this many times its standard deviation lose four digits of what varies.
FAR_OUTCOME = 1e4
# Rows looked at first: columns that vary among them are not far, and most designs are settled there.
FIRST = 1024
# R's relative length below which a column is aliased.
TOL = 1e-7
# What varies by less than this share of itself is a constant that was computed.
CONSTANT = 1e-13
# A number is known to this share of itself, so that differences of columns below it are rounding.
KNOWN = 16 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Plan:
    """How columns are moved: some less a multiple of their intercept, products of columns from the moved ones.

    Attributes
    ----------
    shifts : tuple of (int, int, float)
        Column, its intercept (-1 for a constant that absorbed effects hold), and how much of it is taken.
    products : tuple of (int, tuple of int)
        Column, and the columns whose product it is.
    """

    shifts: tuple[tuple[int, int, float], ...]
    products: tuple[tuple[int, tuple[int, ...]], ...]

    def apply(self, X: Array) -> Array:
        """The moved columns, of these rows or others."""
        Z = X.astype(np.float64, copy=True)
        for j, anchor, centre in self.shifts:
            Z[:, j] -= centre * (X[:, anchor] if anchor >= 0 else 1.0)
        for j, factors in self.products:
            Z[:, j] = np.prod(Z[:, factors], axis=1)
        return Z


@dataclass(frozen=True, eq=False)
class Centred:
    """A design as it is solved.

    Attributes
    ----------
    X : ndarray, shape (n, p)
        The columns; those far from zero less their means.
    moved : ndarray, shape (p, p), optional
        How much of each given column (row of the matrix) was taken from each other one: ``X = X_given (I - moved)``.
        None where nothing was moved.
    tol : float or ndarray, shape (p,)
        Relative length below which a column is aliased; longer where the column was known to fewer digits.
    plan : Plan, optional
        How the columns were moved.
    """

    X: Array
    moved: Array | None
    tol: float | Array
    plan: Plan | None = None

    def read(self, coef: Array) -> Array:
        """Coefficients (..., p) of the columns as given, from those of the columns as solved; NaN where aliased."""
        return given_coefficients(coef, self.moved)


def given_coefficients(coef: Array, moved: Array | None) -> Array:
    """``(I - moved) coef`` along the last axis; aliased coefficients (NaN) stay NaN and count as zero."""
    if moved is None:
        return coef
    return np.asarray(coef - np.nan_to_num(coef) @ moved.T)


def origin_of(y: Array) -> float:
    """Where an outcome far from zero is counted from, 0 for any other; what is taken leaves no rounding."""
    if not len(y) or y[0] == 0 or not np.isfinite(y[0]):
        return 0.0
    rest = y - y[0]
    return float(y[0]) if abs(y[0]) > FAR_OUTCOME * np.sqrt(np.mean(rest**2)) else 0.0


def first_column(X: Array, intercept: bool) -> Codes | None:
    """The intercept of each column where the first one is it; None without an intercept."""
    return np.zeros(X.shape[1], dtype=np.intp) if intercept else None


def centred(
    X: Array,
    weights: Array | None = None,
    tol: float = 1e-7,
    anchors: Codes | None = None,
    names: Sequence[str] | None = None,
) -> Centred:
    """Move the columns that are far from zero.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    weights : ndarray, shape (n,), optional
        Weights of the rows.
    tol : float
        Relative length below which a column is aliased.
    anchors : ndarray of int, shape (p,), optional
        The intercept of each column: a column that is one where the column is not zero. The first by default.
    names : sequence of str, optional
        Of the columns: a product ``a:x`` of columns is then made of those that were moved, where the design holds
        what must be taken from it (``a``, for one).
    """
    anchors = np.zeros(X.shape[1], dtype=np.intp) if anchors is None else anchors
    # squares that overflow are refused where they are summed
    with np.errstate(over="ignore", invalid="ignore"):
        far = _far(X, weights, anchors)
    if not far:
        return Centred(X, None, tol)
    factors = {} if names is None else products(X, names)
    plan, moved, tols, constant = planned(far, factors, anchors, tol)
    Z = plan.apply(X)
    Z[:, list(constant)] = 0.0
    return Centred(Z, moved, tols, plan)


def centred_beside(X: Array, weights: Array | None, names: Sequence[str], tol: float = TOL) -> Centred:
    """The same beside effects that hold the constant and take any mean out of a column: only products are moved."""
    there = set(names)
    if not any(":" in name and there.issuperset(name.split(":")) for name in names):
        return Centred(X, None, tol)  # before anything is copied
    found = centred(np.column_stack([np.ones(len(X)), X]), weights, tol, names=("", *names))
    if found.moved is None or found.plan is None or not found.plan.products:
        return Centred(X, None, tol)
    shifts = tuple((j - 1, anchor - 1, centre) for j, anchor, centre in found.plan.shifts)
    factors = tuple((j - 1, tuple(k - 1 for k in own)) for j, own in found.plan.products)
    return Centred(found.X[:, 1:], found.moved[1:, 1:], np.asarray(found.tol)[1:], Plan(shifts, factors))


def planned(
    far: Mapping[int, tuple[float, float]], factors: Mapping[int, tuple[int, ...]], anchors: Codes, tol: float
) -> tuple[Plan, Array, Array, tuple[int, ...]]:
    """How columns are moved, from the means and standard deviations of those that are far from zero.

    Returns
    -------
    plan, moved, tol
        As in ``Centred``.
    constant : tuple of int
        Columns of which nothing is left but rounding.
    """
    p = len(anchors)
    moved, tols = np.zeros((p, p)), np.full(p, tol)
    mains = {j: c for j, (c, _) in far.items() if j not in factors and anchors[j] == 0}
    products = {j: taken for j, own in factors.items() if (taken := _taken(own, factors, mains))}
    shifts = {j: moments for j, moments in far.items() if j not in products}
    for j, (centre, spread) in shifts.items():
        moved[anchors[j], j] = centre
        tols[j] = max(tol, KNOWN * abs(centre) / spread) if spread > 0 else tol
    for j, taken in products.items():
        tols[j] = tols[list(factors[j])].max()
        for at, amount in taken:
            moved[at, j] -= amount
    plan = Plan(
        tuple((j, int(anchors[j]), centre) for j, (centre, _) in shifts.items()),
        tuple((j, factors[j]) for j in products),
    )
    constant = tuple(j for j, (centre, spread) in shifts.items() if spread <= CONSTANT * abs(centre))
    return plan, moved, tols, constant


def multiplied(X: Array, names: Sequence[str]) -> bool:
    """Whether some product of columns would be moved: sums over rows of the given ones then hold few digits."""
    plan = centred(X, names=names).plan if any(":" in name for name in names) else None
    return plan is not None and bool(plan.products)


def products(X: Array, names: Sequence[str]) -> dict[int, tuple[int, ...]]:
    """Columns that are products of other columns, by their names and their values, and which."""
    place = {name: j for j, name in enumerate(names)}
    found = {}
    for j, name in enumerate(names):
        factors = tuple(place[part] for part in name.split(":") if part in place)
        if name.count(":") and len(factors) == name.count(":") + 1:
            product = np.prod(X[:: max(1, len(X) // FIRST), factors], axis=1)
            if np.allclose(product, X[:: max(1, len(X) // FIRST), j], rtol=1e-12, atol=0.0):
                found[j] = factors
    return found


def _taken(
    own: tuple[int, ...], factors: Mapping[int, tuple[int, ...]], mains: Mapping[int, float]
) -> list[tuple[int, float]]:
    """What is added to a product when its factors are moved, ``(x - c) a = xa - c a`` and so on, column by column.

    Empty where no factor is, or where the design lacks a column that is needed.
    """
    far = [k for k in own if k in mains]
    columns = {frozenset(each): k for k, each in factors.items()}
    taken: list[tuple[int, float]] = []
    for size in range(1, len(far) + 1):
        for out in combinations(far, size):
            left = frozenset(own) - set(out)
            at = 0 if not left else next(iter(left)) if len(left) == 1 else columns.get(left)
            if at is None or len(set(own)) < len(own):
                return []
            taken.append((at, float(np.prod([-mains[k] for k in out]))))
    return taken


def _far(X: Array, weights: Array | None, anchors: Codes) -> dict[int, tuple[float, float]]:
    """Columns far from zero among the rows where their intercept is one, with their means and standard deviations."""
    glance = X[:: max(1, len(X) // FIRST)]
    found = {}
    for j in map(int, np.flatnonzero(np.arange(X.shape[1]) != anchors)):
        x = glance[glance[:, anchors[j]] != 0, j]
        if len(x) and abs(x.mean()) <= FAR / 3 * x.std():
            continue
        inside = X[:, anchors[j]] != 0
        centre, spread = _moments(X[inside, j], None if weights is None else weights[inside])
        if abs(centre) > FAR * spread:
            found[j] = (centre, spread)
    return found


def _moments(x: Array, weights: Array | None) -> tuple[float, float]:
    """Mean and standard deviation; zeros where no row has weight."""
    if weights is None:
        return (float(x.mean()), float(x.std())) if len(x) else (0.0, 0.0)
    total = float(weights.sum())
    if not total > 0:
        return 0.0, 0.0
    # counted from one of the values, so that the mean of a constant is that constant
    first = float(x[int(np.argmax(weights > 0))])
    centre = first + float(weights @ (x - first)) / total
    return centre, float(np.sqrt(weights @ (x - centre) ** 2 / total))
