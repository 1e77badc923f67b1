"""Greedy matching in several dimensions, by Euclidean distance between coordinates.

Distances are screened by matrix products, a block of focal units at a time, and those that may be the least are
computed as differences, so that equal distances are equal. Ties: walking outwards from a unit in the order of the first
coordinate (and of the data, where it ties), one step down and one step up in turn over the units that are left, the
last of those at the least distance is taken. MatchIt makes the same pairs.
"""

from __future__ import annotations

import numpy as np

from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.matching.closest_first import choose_all
from causalformula.numerics.matching.task import Task

# Distances that are held at once.
BLOCK = 2_000_000
# How far a squared distance by products may be from the true one, as a share of the squared lengths.
SCREEN = 1e-13


def match_in_space(Z: Array, task: Task) -> Codes:
    """Matches by the Euclidean distance of rows of ``Z``.

    Parameters
    ----------
    Z : ndarray (n, k)
        Coordinates, as ``metrics`` makes them.
    task : Task

    Returns
    -------
    ndarray (m, most) of int
        Rows of each focal row's matches, in the order in which they were found, -1 where there are fewer.
    """
    out = task.empty()
    for places, part in task.parts():
        found = _Space(Z, part).matches()
        rows = np.append(part.pool, -1)
        out[places, : part.most] = rows[found]
    return out


class _Space:
    """Focal units and the pool, whose units may be used up."""

    def __init__(self, Z: Array, task: Task):
        self.task, self.size = task, len(task.pool)
        F, C = Z[task.focal], Z[task.pool]
        centre = C.mean(axis=0) if self.size else 0.0
        self.F, self.C, self.exact = F - centre, C - centre, (F, C)
        self.lengths = np.einsum("ij,ij->i", self.F, self.F), np.einsum("ij,ij->i", self.C, self.C)
        self.slack = SCREEN * (self.lengths[0] + self.lengths[1].max(initial=0.0))
        rows = np.concatenate([task.focal, task.pool])
        place = np.empty(len(rows), dtype=np.intp)
        place[np.lexsort((rows, Z[rows, 0]))] = np.arange(len(rows))
        self.place = place[: len(task.focal)], place[len(task.focal) :]
        self.left = np.ones(self.size, dtype=bool)
        self.used = np.zeros(self.size, dtype=np.intp)
        self.found: list[list[int]] = [[] for _ in range(len(F))]
        self.mates = task.mates()
        # focal units in the order in which they are expected to choose, which blocks of squared distances follow
        self.queue = np.arange(len(F)) if isinstance(task.order, str) else task.order
        self.turn = np.empty(len(F), dtype=np.intp)
        self.turn[self.queue] = np.arange(len(F))
        self.block, self.at, self.reach = np.empty((0, self.size)), dict[int, int](), 0

    def matches(self) -> Codes:
        """Matches as places in the pool; ``size`` where there are none."""
        if self.size:
            choose_all(self.task, self.best, self.choose)
        out = np.full((len(self.found), self.task.most), self.size, dtype=np.intp)
        for k, found in enumerate(self.found):
            out[k, : len(found)] = found
        return out

    def best(self, k: int) -> tuple[float, int] | None:
        """The nearest that unit ``k`` may have: its distance and place."""
        row = self._screened(k)
        if self.found[k]:
            row = row.copy()
            row[self.found[k]] = np.inf
        least = row[row.argmin()]
        if not np.isfinite(least):
            return None
        near = np.flatnonzero(row <= least + 2 * self.slack[k])
        distances = self._distances(k, near)
        distance = distances.min()
        tied = near[distances == distance]
        return float(distance), int(tied[0] if len(tied) == 1 else self._last_reached(k, tied, row))

    def choose(self, k: int, c: int) -> None:
        """Record a match; a unit that is used up, and the other rows of its unit, are gone."""
        self.found[k].append(c)
        self.used[c] += 1
        if self.used[c] >= self.task.reuse:
            self._remove(c)
        for mate in self.mates.get(c, ()):
            self._remove(int(mate))

    def _remove(self, c: int) -> None:
        self.left[c] = False
        self.block[:, c] = np.inf

    def _screened(self, k: int) -> Array:
        """Squared distances of unit ``k`` from the pool (p,), infinite for what it may not have."""
        if k not in self.at:
            self._next_block(k)
        return np.asarray(self.block[self.at[k]])

    def _next_block(self, k: int) -> None:
        """Squared distances of unit ``k``, and of those expected after it, from all of the pool that is left."""
        start = int(self.turn[k])
        jumps = isinstance(self.task.order, str) and start != self.reach
        self.reach = start + (1 if jumps else max(1, BLOCK // self.size))
        rows = self.queue[start : self.reach]
        block = self.F[rows] @ self.C.T
        block *= -2.0
        block += self.lengths[0][rows][:, None]
        block += self.lengths[1]
        if not self.left.all():
            block[:, ~self.left] = np.inf
        allowed = self.task.allowed(self.task.focal[rows], self.task.pool)
        if allowed is not None:
            block[~allowed] = np.inf
        self.block, self.at = block, {int(row): j for j, row in enumerate(rows)}

    def _distances(self, k: int, columns: Codes) -> Array:
        F, C = self.exact
        # coordinate by coordinate: sums do not depend on how many there are at once
        return np.asarray(np.sqrt(np.add.accumulate((F[k] - C[columns]) ** 2, axis=1)[:, -1]))

    def _last_reached(self, k: int, tied: Codes, row: Array) -> int:
        """Which of several units at one distance a walk outwards by turns reaches last."""
        there: Bools = np.isfinite(row)
        here, places = self.place[0][k], self.place[1]
        below = there & (places < here)
        steps = []
        for c in tied:
            if places[c] < here:
                steps.append(2 * int((below & (places >= places[c])).sum()) - 1)
            else:
                steps.append(2 * int((there & (places > here) & (places <= places[c])).sum()))
        return int(tied[int(np.argmax(steps))])
