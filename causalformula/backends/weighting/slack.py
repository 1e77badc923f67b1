"""How far from exact balance weights may stay, in units of the covariates' standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Slack:
    """Bounds on the balance conditions, which move with the variances that they are stated in.

    Parameters
    ----------
    bound : ndarray (p,)
        Largest gap of each column's mean; zero asks for exact balance.
    stage : Stage
        The variances.
    slope : ndarray (p, parameters)
        Derivatives of the bounds in the variances.
    """

    bound: Array
    stage: Stage
    slope: Array


def variances(X: Array, names: Sequence[str], s: Array, groups: Array) -> Stage:
    """Variances within groups, averaged over the groups (the square of cobalt's pooled standard deviation).

    Parameters
    ----------
    X : ndarray (n, p)
    names : sequence of str
    s : ndarray (n,)
        Sampling weights.
    groups : ndarray (n, G)
        Indicators; one column alone gives that group's variance.
    """
    V, scores = np.zeros(X.shape[1]), np.zeros(X.shape)
    for inside in groups.T:
        weight = s * inside / (s @ inside)
        squares = (X - weight @ X) ** 2
        variance = weight @ squares
        V += variance / groups.shape[1]
        scores += weight[:, None] * (squares - variance) / groups.shape[1]
    return Stage("spread", tuple(names), V, np.eye(len(V)), scores)


def slack_of_means(Z: Array, names: Sequence[str], s: Array, groups: Array, tols: float) -> Slack:
    """Standardised mean differences up to ``tols``, for every column but the intercept."""
    stage = variances(Z, names, s, groups)
    bound = tols * np.sqrt(stage.theta)
    bound[0] = 0.0
    return Slack(bound, stage, np.diag(_half(tols**2, bound)))


def slack_of_products(C: Array, names: Sequence[str], s: Array, tols: float) -> Slack:
    """Correlations with the last column up to ``tols``; the intercept's and the columns' own means exact.

    The balanced columns are the intercept, ``C``, and the products of its columns with the last.
    """
    stage = variances(C, names, s, np.ones((len(s), 1)))
    p = C.shape[1] - 1
    V, last = stage.theta[:p], stage.theta[p]
    bound = np.concatenate([np.zeros(p + 2), tols * np.sqrt(V * last)])
    slope = np.zeros((len(bound), p + 1))
    half = _half(tols**2, bound[p + 2 :])
    slope[p + 2 :, :p] = np.diag(half * last)
    slope[p + 2 :, p] = half * V
    return Slack(bound, stage, slope)


def _half(square: float, bound: Array) -> Array:
    """Derivative of a root, ``square / (2 root)``; zero where the root is."""
    return np.divide(square, 2 * bound, out=np.zeros_like(bound), where=bound > 0)
