"""Draws that depend on a row's own number and a seed alone, so that no order or partition of the rows changes them."""

from __future__ import annotations

from math import exp, factorial

import numpy as np
from numpy.typing import NDArray

from causalformula.numerics.arrays import Array

Keys = NDArray[np.uint64]
# Steps of SplitMix64 (Steele, Lea and Flood 2014).
GOLDEN, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
MASK = 2**64 - 1
# Shares of a Poisson variable of mean one up to each count; beyond twenty there is nothing that a double holds.
POISSON = np.cumsum([exp(-1) / factorial(k) for k in range(21)])


def mixed(keys: Keys) -> Keys:
    """SplitMix64's finaliser: every bit of a key moves every bit of what it gives."""
    z = keys + np.uint64(GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
    return np.asarray(z ^ (z >> np.uint64(31)))


def uniforms(keys: Keys, seed: int, replicate: int) -> Array:
    """Uniform numbers (n,) in [0, 1), one a key."""
    salt = mixed(mixed(np.array([seed & MASK], dtype=np.uint64)) ^ np.array([replicate], dtype=np.uint64))
    bits = mixed(mixed(keys) ^ salt)
    return np.asarray((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def frequencies(keys: Keys, seed: int, replicate: int) -> Array:
    """Independent Poisson numbers of mean one (n,): how often each key is drawn."""
    return np.searchsorted(POISSON, uniforms(keys, seed, replicate), side="right").astype(np.float64)


def exponentials(keys: Keys, seed: int, replicate: int) -> Array:
    """Independent standard exponential numbers (n,)."""
    return np.asarray(-np.log1p(-uniforms(keys, seed, replicate)))
