"""From matches to matched sets and weights."""

from __future__ import annotations

import numpy as np

from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.strata import stratum_weights


def set_codes(n: int, focal: Codes, matches: Codes) -> Codes:
    """Matched sets (n,) of rows matched without replacement, -1 for rows in none; numbered by their focal rows."""
    codes = np.full(n, -1, dtype=np.intp)
    some = (matches >= 0).any(axis=1)
    number = np.cumsum(some) - 1
    codes[focal[some]] = number[some]
    rows, columns = np.nonzero(matches >= 0)
    codes[matches[rows, columns]] = number[rows]
    return codes


def set_weights(codes: Codes, arm: Codes, target: Bools, s: Array | None = None) -> Array:
    """Weights that give each arm the target's shares of the sets; each arm's sum to the number of its matched rows.

    Parameters
    ----------
    s : ndarray (n,), optional
        How much each row counts, in the shares and in its arm's sum.
    """
    if (codes < 0).all():
        return np.zeros(len(codes))
    return stratum_weights(codes, arm, np.ones(len(codes)) if s is None else s, target.astype(float))


def reused_weights(n: int, focal: Codes, matches: Codes) -> Array:
    """Weights of rows matched with replacement: each focal row spreads one over its matches.

    Those of the pool are scaled so that they sum to the number of different rows used.
    """
    found = matches >= 0
    counts = found.sum(axis=1)
    rows, columns = np.nonzero(found)
    w: Array = np.bincount(matches[rows, columns], 1.0 / counts[rows], minlength=n).astype(float)
    if w.any():
        w *= (w > 0).sum() / w.sum()
    w[focal[counts > 0]] = 1.0
    return w


def shared_codes(codes: Codes, treated: Bools) -> Codes:
    """Strata that hold both arms, numbered by their first rows; -1 for rows of the others (and of negative codes)."""
    size = int(codes.max(initial=-1)) + 1
    inside = codes >= 0
    both = np.ones(size, dtype=bool)
    for arm in (treated, ~treated):
        both &= np.bincount(codes[inside & arm], minlength=size) > 0
    kept = inside & both[np.maximum(codes, 0)]
    out = np.full(len(codes), -1, dtype=np.intp)
    distinct, first, inverse = np.unique(codes[kept], return_index=True, return_inverse=True)
    number = np.empty(len(distinct), dtype=np.intp)
    number[np.argsort(first, kind="stable")] = np.arange(len(distinct))
    out[kept] = number[inverse]
    return out
