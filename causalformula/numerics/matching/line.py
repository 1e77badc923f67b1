"""Greedy matching on one number: from each unit's place among the sorted values to the nearest that is left.

Ties: units of one value stand in the order of the data. Of two matches at the same distance the one below is taken, and
of several of one value the nearest in that order: from below the last, from above the first.
"""

from __future__ import annotations

import numpy as np

from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.matching.closest_first import choose_all
from causalformula.numerics.matching.task import Task

# Candidates that are looked at together when the pool is never used up.
BLOCK = 4_000_000


def match_on_line(x: Array, task: Task) -> Codes:
    """Matches by the distance ``|x_i - x_c|``.

    Parameters
    ----------
    x : ndarray (n,)
    task : Task

    Returns
    -------
    ndarray (m, most) of int
        Rows of each focal row's matches, in the order in which they were found, -1 where there are fewer.
    """
    out = task.empty()
    for places, part in task.parts():
        line = _Line(x, part)
        plain = not part.conditions and part.units is None and part.strata is None
        if plain and part.replaced:
            found = line.nearest()
        elif plain and part.reuse == 1 and not isinstance(part.order, str):
            found = line.greedy()
        else:
            found = _Walk(line).matches()
        rows = np.append(part.pool[line.order], -1)  # place size, of no unit, is -1
        out[places, : part.most] = rows[found]
    return out


class _Line:
    """The pool sorted, and where each focal unit stands in it. Places count from 1; 0 and size + 1 are the ends."""

    def __init__(self, x: Array, task: Task):
        self.task, self.size = task, len(task.pool)
        rows = np.concatenate([task.focal, task.pool])
        # by value, and by row where values tie
        order = np.lexsort((rows, x[rows]))
        of_pool = order >= len(task.focal)
        before = np.cumsum(of_pool)
        below = np.empty(len(rows), dtype=np.intp)
        below[order] = before
        self.order = order[of_pool] - len(task.focal)
        self.x, self.values = x[task.focal], x[task.pool][self.order]
        self.below, self.above = below[: len(task.focal)], below[: len(task.focal)] + 1
        if task.beyond >= 0:
            self.below = np.searchsorted(self.values, self.x - task.beyond, side="left")
            self.above = np.searchsorted(self.values, self.x + task.beyond, side="right") + 1

    def padded(self) -> list[float]:
        """The sorted values, with infinities at the ends."""
        return [-np.inf, *self.values.tolist(), np.inf]

    def greedy(self) -> Codes:
        """Each in turn takes the nearest that is left: two forests say which stands next below and above.

        A match that is taken is joined to its neighbour, and ways are halved as they are walked, so that the whole is
        linear in the number of units but for a factor that is as good as constant.
        """
        task, size = self.task, self.size
        values, x, width = self.padded(), self.x.tolist(), task.caliper
        below, above, wanted = self.below.tolist(), self.above.tolist(), task.wanted.tolist()
        order: list[int] = task.order.tolist()  # type: ignore[union-attr]
        down, up = list(range(size + 2)), list(range(size + 2))
        out = np.full((len(x), task.most), size, dtype=np.intp)
        for turn in range(task.most):
            chosen = [size + 1] * len(x)
            for k in order:
                if wanted[k] <= turn:
                    continue
                low = below[k]
                while down[low] != low:
                    down[low] = low = down[down[low]]
                high = above[k]
                while up[high] != high:
                    up[high] = high = up[up[high]]
                at = x[k]
                to_low, to_high = at - values[low], values[high] - at
                if to_low <= to_high:
                    if to_low > width:
                        continue
                    found = low
                elif to_high > width:
                    continue
                else:
                    found = high
                chosen[k] = found
                down[found] = found - 1
                up[found] = found + 1
            out[:, turn] = np.array(chosen) - 1
        return out

    def nearest(self) -> Codes:
        """The nearest of all the pool, as many as are wanted."""
        task, k = self.task, self.task.most
        out = np.full((len(self.x), k), self.size, dtype=np.intp)
        step = max(1, BLOCK // (2 * k))
        for start in range(0, len(self.x), step):
            rows = slice(start, start + step)
            places = np.hstack(
                [self.below[rows, None] - np.arange(k), self.above[rows, None] + np.arange(k)],
            )
            there = (places >= 1) & (places <= self.size)
            distances = np.abs(self.x[rows, None] - self.values[np.clip(places - 1, 0, self.size - 1)])
            distances[~there | (distances > task.caliper)] = np.inf
            which = np.argsort(distances, axis=1, kind="stable")[:, :k] if k > 1 else distances.argmin(axis=1)[:, None]
            near = np.take_along_axis(distances, which, axis=1)
            chosen = np.take_along_axis(places, which, axis=1) - 1
            chosen[~np.isfinite(near) | (np.arange(k) >= task.wanted[rows, None])] = self.size
            out[rows] = chosen
        return out


class _Walk:
    """Matching under conditions: from each unit outwards, past those that it may not have."""

    def __init__(self, line: _Line):
        self.line, self.task = line, line.task
        self.values = line.padded()
        self.down, self.up = list(range(line.size + 2)), list(range(line.size + 2))
        self.used = [0] * (line.size + 2)
        self.found: list[list[int]] = [[] for _ in line.x]
        self.mates = line.task.mates()
        self.place = np.empty(line.size, dtype=np.intp)
        self.place[line.order] = np.arange(line.size)
        self.rows: list[int] = [-1, *line.task.pool[line.order].tolist(), -1]
        self.conditions = line.task.pairwise()

    def matches(self) -> Codes:
        """Matches as places from 0; ``size`` where there are none."""
        choose_all(self.task, self.best, self.choose)
        out = np.full((len(self.found), self.task.most), self.line.size, dtype=np.intp)
        for k, found in enumerate(self.found):
            out[k, : len(found)] = [c - 1 for c in found]
        return out

    def best(self, k: int) -> tuple[float, int] | None:
        """The nearest that unit ``k`` may have: its distance and place."""
        x, width = float(self.line.x[k]), self.task.caliper
        low = self._next(k, int(self.line.below[k]), self.down, -1, x, width)
        to_low = x - self.values[low]
        high = self._next(k, int(self.line.above[k]), self.up, 1, x, min(width, to_low))
        to_high = self.values[high] - x
        distance, c = (to_low, low) if to_low <= to_high else (to_high, high)
        return None if distance > width else (distance, c)

    def _next(self, k: int, c: int, forest: list[int], step: int, x: float, width: float) -> int:
        """The next place, within the width, whose unit may be a match; an end where there is none."""
        row, mine, conditions = int(self.task.focal[k]), self.found[k], self.conditions
        end = 0 if step < 0 else self.line.size + 1
        while True:
            while forest[c] != c:
                forest[c] = c = forest[forest[c]]
            if c == end or abs(self.values[c] - x) > width:
                return end
            if c not in mine:
                other = self.rows[c]
                if all(fine(row, other) for fine in conditions):
                    return c
            c += step

    def choose(self, k: int, c: int) -> None:
        """Record a match; a unit that is used up, and the other rows of its unit, are gone."""
        self.found[k].append(c)
        self.used[c] += 1
        if self.used[c] >= self.task.reuse:
            self._remove(c)
        for mate in self.mates.get(int(self.line.order[c - 1]), ()) if self.mates else ():
            self._remove(int(self.place[mate]) + 1)

    def _remove(self, c: int) -> None:
        if self.down[c] == c:
            self.down[c], self.up[c] = c - 1, c + 1
