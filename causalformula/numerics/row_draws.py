"""Draws that a row's number and a seed decide: the same however the rows are split, and in whichever order they come.

Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators: the finalizer of SplitMix64, of a counter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causalformula.numerics.arrays import Array

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_STEPS = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))
_LAST = np.uint64(31)


def row_uniforms(ids: NDArray[np.int64], seed: int, stream: int = 0) -> Array:
    """One number between 0 and 1, and neither of them, a row.

    Parameters
    ----------
    ids : ndarray (n,) of int
        Numbers of the rows.
    seed, stream : int
        Streams of a seed are independent of each other.

    Returns
    -------
    ndarray (n,)
    """
    start = _mixed(np.array([seed & (2**64 - 1)], dtype=np.uint64) + _GAMMA)
    start = _mixed(start + _GAMMA * np.uint64(stream + 1))
    bits = _mixed(_mixed(ids.astype(np.uint64) * _GAMMA + start) + start)
    # 52 bits and a half, so that no sum rounds to 1
    return np.asarray(((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52)


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in _STEPS:
        z = (z ^ (z >> shift)) * factor
    return z ^ (z >> _LAST)
