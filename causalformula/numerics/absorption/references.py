"""Which levels of several factors are connected, and the levels whose effects are taken as zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from causalformula.numerics.arrays import Array, Bools, Codes, Integers

# Sums of effects that differ by more than this share of the largest are not the same.
SAME = 1e-9


def components(codes: Sequence[Integers], rows: Codes) -> tuple[int, Codes]:
    """Connected components of the levels of two factors that are met in these rows: how many, and of the first's.

    Levels without rows are in none (-1).
    """
    first, second = (own[rows].astype(np.intp) for own in codes)
    size = int(first.max(initial=-1)) + 1
    whole = size + int(second.max(initial=-1)) + 1
    graph = sparse.coo_matrix((np.ones(len(rows), dtype=np.int8), (first, second + size)), shape=(whole, whole))
    labels = connected_components(graph, directed=False)[1]
    met = np.zeros(whole, dtype=bool)
    met[first], met[size + second] = True, True
    _, own = np.unique(labels[met], return_inverse=True)
    numbered = np.full(whole, -1, dtype=np.intp)
    numbered[met] = own
    return int(own.max(initial=-1)) + 1, numbered[:size]


def referenced(codes: Sequence[Integers], values: Sequence[Array], rows: Codes) -> None:
    """Move the values of levels, in place, to what sums to the same and is zero at the references.

    Of two factors, each component's first row has the second factor's reference. Of more, row by row as far as it
    goes: a row whose levels are known but for one gives that one, and where no row does, the first of those that know
    most has the last of its unknown levels taken as reference.

    Parameters
    ----------
    codes : sequence of ndarray of int, shape (n,)
        Levels of each factor.
    values : sequence of ndarray, shape (levels,)
        Their effects.
    rows : ndarray of int
        The rows that count.
    """
    if len(codes) < 2 or not len(rows):
        return
    if len(codes) == 2:
        _by_component(codes, values, rows)
        return
    met = _cells([c[rows] for c in codes])
    target = _sums(values, met)
    moved, known = _one_by_one(met, target, [len(v) for v in values])
    scale = max(float(np.abs(v).max(initial=0.0)) for v in values)
    if np.abs(_sums(moved, met) - target).max() > SAME * scale:
        _first_references(met, values)
        return
    for own, new, found in zip(values, moved, known, strict=True):
        own[found] = new[found]


def _by_component(codes: Sequence[Integers], values: Sequence[Array], rows: Codes) -> None:
    count, own = components(codes, rows)
    member = own[codes[0][rows]]
    first = np.zeros(count, dtype=np.intp)
    first[member[::-1]] = rows[::-1]
    reference = values[1][codes[1][first]]
    other = np.zeros(len(values[1]))
    other[codes[1][rows]] = reference[member]
    values[0][: len(own)] += np.where(own >= 0, reference[own], 0.0)
    values[1][:] -= other


def _cells(codes: Sequence[Integers]) -> list[Integers]:
    """The levels that are met together, each cell once, in the order of their first rows."""
    cell = np.zeros(len(codes[0]), dtype=np.intp)
    for c in codes:
        # numbered anew at each factor, so that the numbers stay small
        cell = np.unique(cell * (int(c.max()) + 1) + c, return_inverse=True)[1]
    first = np.sort(np.unique(cell, return_index=True)[1])
    return [c[first] for c in codes]


def _sums(values: Sequence[Array], met: Sequence[Integers]) -> Array:
    return np.asarray(np.sum([v[c] for v, c in zip(values, met, strict=True)], axis=0), dtype=np.float64)


def _one_by_one(met: Sequence[Integers], target: Array, levels: Sequence[int]) -> tuple[list[Array], list[Bools]]:
    """Values whose sums are ``target`` in each cell, and which were found."""
    known = [np.zeros(size, dtype=bool) for size in levels]
    moved = [np.zeros(size) for size in levels]
    cells = [_Cells.of(own, size) for own, size in zip(met, levels, strict=True)]
    missing = np.full(len(target), len(met))
    ready = np.empty(0, dtype=np.intp)
    while len(ready) or (missing > 1).any():
        touched = []
        if not len(ready):
            at = int(np.argmin(np.where(missing > 1, missing, len(met) + 1)))
            j = max(i for i, own in enumerate(met) if not known[i][own[at]])
            known[j][met[j][at]] = True
            touched = [cells[j].at(met[j][at : at + 1])]
        for j, own in enumerate(met):
            here = ready[~known[j][own[ready]]]
            # what is not known yet is zero
            moved[j][own[here]] = target[here] - _sums(moved, [c[here] for c in met])
            known[j][own[here]] = True
            touched.append(cells[j].at(np.unique(own[here])))
        for each in touched:
            missing[each] -= 1
        ready = np.concatenate(touched)
        ready = ready[missing[ready] == 1]
    return moved, known


@dataclass(frozen=True, eq=False)
class _Cells:
    """The cells of each level of a factor, one level after the other."""

    order: Codes
    ends: Codes

    @staticmethod
    def of(codes: Integers, levels: int) -> _Cells:
        return _Cells(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=levels)))

    def at(self, levels: Integers) -> Codes:
        """The cells of these levels."""
        ends = self.ends[levels]
        counts = ends - np.where(levels > 0, self.ends[levels - 1], 0)
        # positions that count up to the end of each level
        return np.asarray(self.order[np.arange(counts.sum()) + np.repeat(ends - np.cumsum(counts), counts)])


def _first_references(met: Sequence[Integers], values: Sequence[Array]) -> None:
    """One reference a factor, where factors overlap by more than connected levels: what always sums to the same."""
    for own, other in zip(met[1:], values[1:], strict=True):
        reference = other[own[0]]
        other -= reference
        values[0][:] += reference
