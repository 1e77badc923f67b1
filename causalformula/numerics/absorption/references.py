"""Which levels of several factors are connected, and the levels whose effects are taken as zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from causalformula.numerics.arrays import Array, Codes, Integers

# Sums of effects that differ by more than this share of the largest are not the same.
SAME = 1e-9


def components(codes: Sequence[Integers], rows: Codes) -> tuple[int, Codes]:
    """Connected components of the levels of two factors that are met in these rows: how many, and of the first's.

    Levels without rows are in none (-1).
    """
    first, second = codes[0][rows], codes[1][rows]
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

    Row by row as far as it goes: a row whose levels are known but for one gives that one. Where no row does, the first
    of those that know most has the last of its unknown levels taken as reference.

    Parameters
    ----------
    codes : sequence of ndarray of int, shape (n,)
        Levels of each factor.
    values : sequence of ndarray, shape (levels,)
        Their effects.
    rows : ndarray of int
        The rows that count.
    """
    if len(codes) < 2:
        return
    cells = np.unique(np.stack([c[rows] for c in codes]), axis=1, return_index=True)[1]
    met = [c[rows[np.sort(cells)]] for c in codes]
    target = sum(v[c] for v, c in zip(values, met, strict=True))
    known = [np.zeros(len(v), dtype=bool) for v in values]
    moved = [np.zeros(len(v)) for v in values]
    left = np.arange(len(target))
    while len(left):
        unknown = np.stack([~k[c[left]] for k, c in zip(known, met, strict=True)])
        missing = unknown.sum(axis=0)
        left, unknown, missing = left[missing > 0], unknown[:, missing > 0], missing[missing > 0]
        if not len(left):
            break
        if missing.min() > 1:
            at = int(np.argmin(missing))
            j = int(np.flatnonzero(unknown[:, at])[-1])
            known[j][met[j][left[at]]] = True
            continue
        for j in range(len(met)):
            here = left[(missing == 1) & unknown[j]]
            others = sum(m[c[here]] for i, (m, c) in enumerate(zip(moved, met, strict=True)) if i != j)
            moved[j][met[j][here]] = target[here] - others
            known[j][met[j][here]] = True
    scale = max(float(np.abs(v).max(initial=0.0)) for v in values)
    if np.abs(sum(m[c] for m, c in zip(moved, met, strict=True)) - target).max(initial=0.0) > SAME * scale:
        _first_references(met, values)
        return
    for own, new, found in zip(values, moved, known, strict=True):
        own[found] = new[found]


def _first_references(met: Sequence[Integers], values: Sequence[Array]) -> None:
    """One reference a factor, where factors overlap by more than connected levels: what always sums to the same."""
    for own, other in zip(met[1:], values[1:], strict=True):
        reference = other[own[0]]
        other -= reference
        values[0][:] += reference
