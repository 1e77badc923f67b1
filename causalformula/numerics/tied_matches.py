"""Matching with replacement on the M nearest rows of the other arm, ties included, as R's ``Matching::Match`` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.spatial import cKDTree

from causalformula.errors import DataError, OptionError
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.linalg import BLOCK_NUMBERS, as_floats, checked_weights, refuse_extreme_columns, row_blocks
from causalformula.numerics.ties import ROUNDING

Target = Literal["ATT", "ATC", "ATE"]
# Match adds this to its tolerance, whatever the tolerance is (found by bisection).
SLACK = 1e-10
# Neighbours looked up beyond M, that most rows' ties are among. Rows with more ties look up this many times as many,
# and those with yet more are compared with every candidate.
BEYOND, MANY = 4, 12
# A tree of more dimensions visits nearly every point.
DIMENSIONS = 12


@dataclass(frozen=True, eq=False)
class Search:
    """What makes two rows a possible match, and how many are wanted.

    Attributes
    ----------
    points : ndarray, shape (n, k)
        The rows in coordinates whose Euclidean distance is what is matched on.
    weights : ndarray, shape (n,)
        Sampling weights: a row of weight 2 counts as two matches.
    wanted : int
    tolerance : float
        Squared distances closer than this are ties.
    columns : ndarray, shape (n, c)
        The columns that must not differ by more than ``limits``.
    limits : ndarray, shape (c,)
    reach : float
        No two rows within the limits have a larger squared distance.
    """

    points: Array
    weights: Array
    wanted: int
    tolerance: float
    columns: Array
    limits: Array
    reach: float

    def unlimited(self) -> Search:
        """The same without limits."""
        return replace(self, columns=self.columns[:, :0], limits=self.limits[:0], reach=np.inf)


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of a focal row and a matched row, focal rows in ascending order, matches ascending within.

    Attributes
    ----------
    target : {"ATT", "ATC", "ATE"}
        Focal rows are the treated, the controls or all.
    focal, match : ndarray of int, shape (pairs,)
        Rows of each pair.
    shares : ndarray, shape (pairs,)
        Weight of each pair: the focal row's sampling weight, dealt out to its matches in proportion to theirs.
    dropped : ndarray of int
        Focal rows without M matches within the calipers. (``index.dropped`` of Match leaves out those that are
        another row's match.)
    search : Search
        What was looked for.
    """

    target: Target
    focal: Codes
    match: Codes
    shares: Array
    dropped: Codes
    search: Search

    @property
    def weights(self) -> Array:
        """Sampling weights of all rows."""
        return self.search.weights

    def treated_first(self, treated: Bools) -> tuple[Codes, Codes]:
        """``index.treated`` and ``index.control`` of Match, counted from 0."""
        forward = treated[self.focal]
        return np.where(forward, self.focal, self.match), np.where(forward, self.match, self.focal)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """What ``neighbours`` finds: pairs by position among the rows asked for, and which of these found enough."""

    row: Codes
    match: Codes
    found: Bools


def match_with_ties(
    X: Array,
    treated: Bools,
    M: int,
    *,
    target: Target,
    weight: Literal["inverse_variance", "mahalanobis"] | Array = "inverse_variance",
    tolerance: float = 1e-5,
    caliper: float | Array | None = None,
    exact: bool | Bools | None = None,
    weights: Array | None = None,
) -> Matches:
    """Match every row of the target to the M nearest rows of the other arm, and to those as near as the M-th.

    Parameters
    ----------
    X : ndarray, shape (n, k) or (n,)
        What to match on.
    treated : ndarray of bool, shape (n,)
    M : int
        Matches wanted; with sampling weights the nearest rows whose weights add up to it.
    target : {"ATT", "ATC", "ATE"}
    weight : {"inverse_variance", "mahalanobis"} or ndarray, shape (k, k)
        The metric, over the whole sample. A matrix is for columns of variance one, as Match takes ``Weight.matrix``.
    tolerance : float
        Squared distances within this of the M-th smallest are ties; also the largest difference, in its own unit, in
        a column that is matched exactly.
    caliper : float or ndarray, shape (k,), optional
        Largest difference in each column, in standard deviations (divisor n); infinite for none.
    exact : bool or ndarray of bool, shape (k,), optional
        Columns to match exactly; these have no caliper.
    weights : ndarray, shape (n,), optional
        Sampling weights; rows of weight zero take no part.

    Raises
    ------
    DataError
        For a constant column, an arm with fewer than M rows, or where no row of the target finds M matches.
    """
    X = _two_dimensional(X)
    n = len(X)
    treated = np.asarray(treated, dtype=bool)
    given = checked_weights(weights, n)
    w = np.ones(n) if given is None else given
    _check(treated, w, M, target)
    points, metric = scaled(X, w, weight)
    limits = _limits(X, w, caliper, exact, tolerance)
    search = _search(X, points, metric, limits, w, M, tolerance)
    sides = [treated] if target == "ATT" else [~treated] if target == "ATC" else [treated, ~treated]
    found = [_match_side(np.flatnonzero(side & (w > 0)), np.flatnonzero(~side & (w > 0)), search) for side in sides]
    focal, match, dropped = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if not len(focal):
        raise DataError(f"no unit has {M} match{'es' * (M > 1)} within the calipers; widen them or match fewer")
    order = np.lexsort((match, focal))
    focal, match = focal[order], match[order]
    shares = w[focal] * w[match] / np.bincount(focal, w[match], n)[focal]
    return Matches(target, focal, match, shares, np.sort(dropped), search)


def _two_dimensional(X: Any) -> Array:
    columns: Array = np.asarray(X, dtype=np.float64)
    if not np.isfinite(columns).all():
        raise DataError("the covariates to match on hold missing or infinite values")
    columns = columns[:, None] if columns.ndim == 1 else columns
    refuse_extreme_columns(columns, [f"column {j + 1} of what to match on" for j in range(columns.shape[1])])
    return columns


def _check(treated: Bools, w: Array, M: int, target: Target) -> None:
    if target not in ("ATT", "ATC", "ATE"):
        raise OptionError(f"target must be 'ATT', 'ATC' or 'ATE', not {target!r}")
    if M < 1:
        raise OptionError(f"each unit needs at least one match, and {M} are asked for")
    for name, rows, focal in (("treated", treated, "ATT"), ("control", ~treated, "ATC")):
        there = w[rows].sum()
        if there == 0:
            raise DataError(f"there are no {name} units")
        if there < M - SLACK and target != focal:
            raise DataError(f"{M} matches are asked for, and the {name} units are {there:g}; match fewer")


def scaled(X: Array, w: Array, weight: str | Array) -> tuple[Array, Array]:
    """Coordinates whose Euclidean distance is the metric's, and the metric on the columns as they are, (k, k).

    Match's scales under sampling weights: variances are weighted, the Mahalanobis covariance is about the weighted mean
    but its sum is not weighted.
    """
    k = X.shape[1]
    if not isinstance(weight, str):
        weight = as_floats(weight, "the weight matrix", (k, k))
    elif weight not in ("inverse_variance", "mahalanobis"):
        raise OptionError(f"weight must be 'inverse_variance', 'mahalanobis' or a matrix, not {weight!r}")
    used = w > 0
    constant = np.ptp(X[used], axis=0) == 0
    if constant.any():
        raise DataError(f"column {int(constant.argmax()) + 1} of what to match on is constant; leave it out")
    n = int(used.sum())
    centred = X - w @ X / w.sum()
    spread = np.sqrt(w @ centred**2 / w.sum() * n / (n - 1))
    Z = centred / spread
    root = np.eye(k) if isinstance(weight, str) else _root(weight)
    if isinstance(weight, str) and weight == "mahalanobis":
        root = _whitening(Z[used].T @ Z[used] / n)
    half = root / spread[:, None]
    return Z @ root, half @ half.T


def _whitening(C: Array) -> Array:
    values, vectors = np.linalg.eigh(C)
    if values[0] < ROUNDING * values[-1]:
        raise DataError("the covariates to match on are collinear, so they have no Mahalanobis distance; leave one out")
    return np.asarray(vectors / np.sqrt(values))


def _root(W: Array) -> Array:
    values, vectors = np.linalg.eigh((W + W.T) / 2)
    if not np.array_equal(W, W.T) or values[0] < -ROUNDING * np.abs(values).max():
        raise OptionError("the weight matrix must be symmetric, and no distance by it negative")
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def _limits(X: Array, w: Array, caliper: Any, exact: Any, tolerance: float) -> Array:
    """Largest difference of two rows in each column."""
    k = X.shape[1]
    limits = np.full(k, np.inf)
    if caliper is not None:
        widths = np.broadcast_to(np.asarray(caliper, dtype=np.float64), k)
        if not (widths >= 0).all():
            raise OptionError("calipers must not be negative")
        limits = widths * caliper_units(X, w) * (1 + ROUNDING)
    if exact is not None:
        limits = np.where(np.broadcast_to(np.asarray(exact, dtype=bool), k), tolerance, limits)
    return limits


def caliper_units(X: Array, w: Array) -> Array:
    """Standard deviations of columns that calipers are in.

    Match's under sampling weights: the plain sum of squares over the sum of weights.
    """
    return np.asarray(np.sqrt(((X[w > 0] - w @ X / w.sum()) ** 2).sum(axis=0) / w.sum()))


def _search(X: Array, points: Array, metric: Array, limits: Array, w: Array, M: int, tolerance: float) -> Search:
    bounded = np.isfinite(limits)
    reach = float(limits @ np.abs(metric) @ limits) * (1 + ROUNDING) if bounded.all() else np.inf
    return Search(points, w, M, tolerance, X[:, bounded], limits[bounded], reach)


def _match_side(rows: Codes, pool: Codes, search: Search) -> tuple[Codes, Codes, Codes]:
    near = neighbours(rows, pool, search)
    return rows[near.row], near.match, rows[~near.found]


def neighbours(rows: Codes, pool: Codes, search: Search) -> Neighbours:
    """The nearest rows of a pool, ties included; a row is never its own neighbour.

    Parameters
    ----------
    rows, pool : ndarray of int
        Which rows look, and among which.
    search : Search
    """
    found = np.zeros(len(rows), dtype=bool)
    pairs: list[tuple[Codes, Codes]] = []
    for at, candidates in _candidates(rows, pool, search):
        near, found[at] = candidates.nearest(search)
        who, which = np.nonzero(near)
        pairs.append((at[who], candidates.rows[who, which]))
    row, match = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    return Neighbours(row, match, found)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Rows that may be the neighbours of others: their numbers and squared distances, infinite beyond a limit."""

    rows: Codes
    distances: Array
    farthest: Array

    def cut(self, search: Search) -> Array:
        """Largest squared distance of a neighbour, for each row that looks; infinite where there are too few."""
        if (search.weights == 1).all():
            wanted = search.wanted - 1
            if wanted >= self.distances.shape[1]:
                return np.full(len(self.rows), np.inf)
            last = np.partition(self.distances, wanted, axis=1)[:, wanted]
        else:
            last = self._weighted_cut(search)
        return np.asarray(last + (search.tolerance + SLACK))

    def _weighted_cut(self, search: Search) -> Array:
        order = np.argsort(self.distances, axis=1, kind="stable")
        ascending = np.take_along_axis(self.distances, order, axis=1)
        weights = np.take_along_axis(search.weights[self.rows], order, axis=1)
        enough = np.cumsum(weights, axis=1) >= search.wanted - SLACK
        last = np.take_along_axis(ascending, enough.argmax(axis=1)[:, None], axis=1)[:, 0]
        return np.where(enough.any(axis=1), last, np.inf)

    def nearest(self, search: Search) -> tuple[Bools, Bools]:
        """Which candidates are neighbours, and which rows have found enough of them."""
        cut = self.cut(search)
        found = np.isfinite(cut)
        return (self.distances <= cut[:, None]) & found[:, None], found

    def complete(self, search: Search) -> Bools:
        """For which rows no neighbour can be farther than all the candidates."""
        needed = np.minimum(self.cut(search), search.reach)
        return np.asarray(self.farthest > needed * (1 + ROUNDING))

    def take(self, which: Bools) -> Candidates:
        """The candidates of some of the rows that look."""
        return Candidates(self.rows[which], self.distances[which], self.farthest[which])


def _candidates(rows: Codes, pool: Codes, search: Search) -> Iterator[tuple[Codes, Candidates]]:
    """Each row that looks, by position, with candidates among which all its neighbours are; in blocks."""
    left = np.arange(len(rows))
    few = [wanted for wanted in (search.wanted + BEYOND, MANY * (search.wanted + BEYOND)) if wanted < len(pool)]
    if few and search.points.shape[1] <= DIMENSIONS:
        tree = cKDTree(search.points[pool])
        for wanted in few:
            undecided = [left[:0]]
            for block in row_blocks(len(left), wanted):
                at = left[block]
                _, positions = tree.query(search.points[rows[at]], k=wanted)
                some = _compared(rows[at], pool[positions], search)
                complete = some.complete(search)
                yield at[complete], some.take(complete)
                undecided.append(at[~complete])
            left = np.concatenate(undecided)
    step = max(1, BLOCK_NUMBERS // len(pool))
    for first in range(0, len(left), step):
        at = left[first : first + step]
        yield at, _compared(rows[at], np.broadcast_to(pool, (len(at), len(pool))), search)


def _compared(rows: Codes, candidates: Codes, search: Search) -> Candidates:
    distances = np.zeros(candidates.shape)
    for column in search.points.T:
        distances += (column[candidates] - column[rows][:, None]) ** 2
    farthest = distances.max(axis=1)
    near = candidates != rows[:, None]
    for column, limit in zip(search.columns.T, search.limits, strict=True):
        near &= np.abs(column[candidates] - column[rows][:, None]) <= limit
    return Candidates(candidates, np.where(near, distances, np.inf), farthest)
