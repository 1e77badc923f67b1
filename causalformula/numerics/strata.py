"""Strata of a score: cut at quantiles, filled to a least number of units an arm, and weighted to a target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array, Bools, Codes


@dataclass(frozen=True, eq=False)
class Strata:
    """A partition of rows by a score.

    Parameters
    ----------
    codes : ndarray (n,) of int
        Stratum of each row, from 0; -1 for rows in none.
    cuts : ndarray (K + 1,)
        Quantiles of the score at which it was cut; strata are closed on the left, the last one on both sides.
    counts : ndarray (2, size) of int
        Rows used of each arm in each stratum.
    moved : tuple of int
        Rows of arm 0 and of arm 1 that were moved to a stratum that lacked them.
    joined : int
        Strata that were joined with a neighbour, as rows of one score that stay together left them short of an arm.
    """

    codes: Codes
    cuts: Array
    counts: Codes
    moved: tuple[int, int]
    joined: int = 0

    @property
    def size(self) -> int:
        """Number of strata."""
        return int(self.counts.shape[1])


def stratify(x: Array, arm: Codes, s: Array, among: Bools, probs: Array, least: int) -> Strata:
    """Cut a score at quantiles, and see that every stratum has ``least`` rows of each arm.

    Parameters
    ----------
    x : ndarray (n,)
        The score.
    arm : ndarray (n,) of int
        0 or 1; -1 for rows that take no part.
    s : ndarray (n,)
        Sampling weights; rows of weight zero count for nothing.
    among : ndarray (n,) of bool
        Rows whose quantiles are taken.
    probs : ndarray (K + 1,)
        From 0 to 1, increasing.
    least : int
        At 0, strata without one of the arms are dropped; the others keep their order.

    Notes
    -----
    An arm with fewer than ``least x K`` rows is not filled: its ``counts`` show it.

    Rows of one arm and one score are never told apart. Those that filling would part all go where most of them went
    (on a draw, to the lower stratum), and a stratum that is then short of an arm is joined with the one below it (the
    lowest with the one above). Without ties nothing is joined.
    """
    cuts = quantiles(x[among], s[among], probs)
    codes = np.clip(np.searchsorted(cuts, x, side="right") - 1, 0, len(cuts) - 2)
    used = (s > 0) & (arm >= 0)
    # a score with few distinct values leaves some strata without any row
    size, cut = _occupied(codes, used)
    arms = [np.flatnonzero(used & (arm == a)) for a in (0, 1)]
    codes = cut.copy()
    for rows in arms:
        if len(rows) >= least * size:
            codes[rows] = together(x[rows], filled(x[rows], cut[rows], size, least), size)
    counts = np.array([np.bincount(codes[rows], minlength=size) for rows in arms])
    fillable = least > 0 and min(map(len, arms)) >= least * size
    number = _joined(counts, least) if fillable else complete(counts) if least == 0 else np.arange(size)
    moved = [int((number[codes[rows]] != number[cut[rows]]).sum()) for rows in arms]
    codes = np.where(arm >= 0, number[codes], -1).astype(np.intp)
    kept = int(number.max(initial=-1)) + 1
    counts = np.array([np.bincount(codes[rows][codes[rows] >= 0], minlength=kept) for rows in arms])
    return Strata(codes, cuts, counts, (moved[0], moved[1]), size - kept if fillable else 0)


def together(x: Array, codes: Codes, size: int) -> Codes:
    """Strata in which rows of one score are together: where most of them are, on a draw in the lower one."""
    _, value = np.unique(x, return_inverse=True)
    held = np.bincount(value * size + codes, minlength=(int(value.max(initial=0)) + 1) * size).reshape(-1, size)
    return np.asarray(held.argmax(axis=1)[value], dtype=np.intp)


def _joined(counts: Codes, least: int) -> Codes:
    """New numbers of strata, each that is short of an arm joined with the one below it (the lowest: above it)."""
    number = np.arange(counts.shape[1])
    while counts.shape[1] > 1 and (short := np.flatnonzero((counts < least).any(axis=0))).size:
        upper = max(int(short[0]), 1)
        counts = np.add.reduceat(counts, np.delete(np.arange(counts.shape[1]), upper), axis=1)
        number = np.where(number >= upper, number - 1, number)
    return number


def _occupied(codes: Codes, used: Bools) -> tuple[int, Codes]:
    """Number of strata that hold a row, and codes 0.. of these; rows that are not used get the nearest one below."""
    present = np.bincount(codes[used], minlength=int(codes.max()) + 1) > 0
    return int(present.sum()), np.maximum(np.cumsum(present) - 1, 0)[codes].astype(np.intp)


def complete(counts: Codes) -> Codes:
    """New numbers of the strata that have both arms; -1 for the others."""
    both = (counts > 0).all(axis=0)
    return np.where(both, np.cumsum(both) - 1, -1)


def quantiles(x: Array, s: Array, probs: Array) -> Array:
    """R's quantiles of type 7 of repeated rows; what weights do not sum to a number of rows is interpolated alike."""
    order = np.argsort(x, kind="stable")
    order = order[s[order] > 0]
    x, s = x[order], s[order]
    filled_to = np.cumsum(s)
    place, slack = quantile_places(float(filled_to[-1]), probs, bool(np.ptp(s) > 0))
    low = np.floor(place)
    top = len(x) - 1
    at, above = (x[np.minimum(np.searchsorted(filled_to, count - slack), top)] for count in (low, low + 1))
    return between(place, at, above)


def quantile_places(total: float, probs: Array, unequal: bool) -> tuple[Array, float]:
    """Where quantiles stand among so many rows, counted from 1, and what is rounding there; by ``unequal`` weights."""
    place, slack = 1 + (total - 1) * probs, 1e-9 * total
    if unequal:
        # a place that is whole but for the rounding of a sum is a row: the cut stands on it, not beside it
        place = np.where(np.abs(place - np.rint(place)) < slack, np.rint(place), place)
    return np.asarray(place), slack


def between(place: Array, at: Array, above: Array) -> Array:
    """Quantiles, from the values of the rows at and above their places."""
    part = place - np.floor(place)
    return np.asarray(np.where((part > 0) & (above != at), (1 - part) * at + part * above, at))


def filled(x: Array, codes: Codes, size: int, least: int) -> Codes:
    """Strata of one arm after rows were moved, one by one, until each stratum has ``least`` of them.

    Strata are filled to one row, then to two, and so on. The first that lacks rows takes the nearest row of the nearest
    stratum that does not, on the side with more rows to spare, each divided by its distance in strata (on ties, below);
    what the giver then lacks is made up in the same way. MatchIt moves the same rows.
    """
    codes = codes.copy()
    counts = np.bincount(codes, minlength=size)
    for level in range(1, least + 1):
        while (counts < level).any():
            k = int(np.argmax(counts < level))
            donor, down = _donor(counts - level, k)
            rows = np.flatnonzero(codes == donor)
            row = rows[np.argmax(x[rows]) if down else np.argmin(x[rows])]
            codes[row] = k
            counts[donor] -= 1
            counts[k] += 1
    return codes


def _donor(spare: Codes, k: int) -> tuple[int, bool]:
    """The stratum that gives a row to stratum k, and whether it lies below."""
    steps = np.arange(len(spare)) - k
    pull = np.where(spare > 0, spare / np.maximum(np.abs(steps), 1), 0.0)
    down = bool(pull[:k].sum() >= pull[k + 1 :].sum())
    able = np.flatnonzero((spare >= 0) & ((steps < 0) if down else (steps > 0)))
    return int(able[-1] if down else able[0]), down


def stratum_weights(codes: Codes, arm: Codes, s: Array, target: Array) -> Array:
    """Weights that give each arm the target's shares of the strata (marginal mean weighting through stratification).

    ``w_i = (T_k / S_ak) (S_a / T)`` with ``T_k`` the target's and ``S_ak`` the arm's total of sampling weights in the
    stratum: each arm's weights sum to its own size. Rows in no stratum have weight zero.

    References
    ----------
    Hong (2010). R: ``MatchIt`` (``matchit(method = "subclass")$weights``).
    """
    size = int(codes.max()) + 1
    return on_rows(cell_weights(*cell_totals(codes, arm, s, target, size)), codes, arm)


def cell_totals(codes: Codes, arm: Codes, s: Array, target: Array, size: int) -> tuple[Array, Array]:
    """The target's weight in each stratum (size,), and that of each arm (2, size): sums over rows."""
    inside = codes >= 0
    wanted = np.asarray(np.bincount(codes[inside], (s * target)[inside], minlength=size), dtype=np.float64)
    arms = [inside & (arm == a) for a in (0, 1)]
    return wanted, np.array([np.bincount(codes[rows], s[rows], minlength=size) for rows in arms])


def cell_weights(wanted: Array, totals: Array) -> Array:
    """The weight of a row of each arm in each stratum (2, size)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(totals > 0, wanted / totals, 0.0)
    return np.asarray(ratio * (totals.sum(axis=1, keepdims=True) / wanted.sum()))


def on_rows(weights: Array, codes: Codes, arm: Codes) -> Array:
    """The weights of rows in these strata and arms; zero in no stratum."""
    inside = (codes >= 0) & (arm >= 0)
    return np.where(inside, weights[np.maximum(arm, 0), np.maximum(codes, 0)], 0.0)
