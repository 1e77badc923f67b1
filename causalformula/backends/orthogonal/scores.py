"""Orthogonal scores that are linear in their parameter: their root, its influence, and what else is read off them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.errors import IdentificationError
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.numerics.arrays import Array

# A derivative of the score below this share of its terms' size is rounding.
NOTHING = 1e-10
_NOTHING_LEFT = (
    "the effect is not identified: given the covariates nothing is left of {what}. Leave out of the formula what "
    "determines it, or use other learners"
)


@dataclass(frozen=True, eq=False)
class Moments:
    """What the bias of omitted confounders is bounded by, of each effect (Chernozhukov et al. 2022).

    Parameters
    ----------
    sigma2, nu2 : ndarray (q,)
        Mean square of the outcome's residual, and of the Riesz representer.
    psi_sigma2, psi_nu2 : ndarray (n, q)
        Their influences.
    """

    sigma2: Array
    nu2: Array
    psi_sigma2: Array
    psi_nu2: Array

    @property
    def bias(self) -> Array:
        """``sqrt(sigma2 nu2)`` (q,): the bias of confounders that explain all there is."""
        return np.sqrt(self.sigma2 * self.nu2)

    @property
    def psi_bias(self) -> Array:
        """Its influence (n, q)."""
        return np.asarray((self.sigma2 * self.psi_nu2 + self.nu2 * self.psi_sigma2) / (2 * self.bias))


@dataclass(frozen=True, eq=False)
class Signal:
    """What an effect that varies is projected from: ``E[signal - effect(x) regressor | x] = 0``.

    Parameters
    ----------
    signal : ndarray (n, q)
    regressor : ndarray (n, q)
        Ones where the signal itself is the effect's.
    """

    signal: Array
    regressor: Array


@dataclass(frozen=True, eq=False)
class Score:
    """A score ``psi = theta a + b`` of one repetition of the cross-fitting, a column an effect.

    Parameters
    ----------
    a, b : ndarray (n, q)
    moments : Moments, optional
        Where omitted confounders have a bound.
    signal : Signal, optional
        Where effects by covariates can be projected.
    """

    a: Array
    b: Array
    moments: Moments | None = None
    signal: Signal | None = None

    @property
    def within(self) -> Score:
        """The score of effects in groups: that of their signal where there is one, which is orthogonal in each."""
        if self.signal is None:
            return self
        z = self.signal.regressor
        return Score(-z * z, z * self.signal.signal)


def root(score: Score, w: Array) -> Array:
    """``theta = -sum w b / sum w a`` (q,).

    Raises
    ------
    IdentificationError
        Where the score does not move with its parameter.
    """
    slope = w @ score.a
    if (np.abs(slope) <= NOTHING * (w @ np.abs(score.a))).any():
        raise IdentificationError(_NOTHING_LEFT.format(what="what moves the treatment"))
    return np.asarray(-(w @ score.b) / slope)


def refuse_explained(residual: Array, values: Array, w: Array, name: str) -> None:
    """An ``IdentificationError`` where the covariates leave only rounding of a variable, for any repetition (n, R)."""
    mean = w @ values / w.sum()
    if ((w @ residual**2) <= NOTHING * (w @ (values - mean) ** 2)).any():
        raise IdentificationError(_NOTHING_LEFT.format(what=name))


def solved(score: Score, names: Sequence[str], w: Array) -> Estimate:
    """The root of the score with its influence ``-n w psi / sum w a``: nuisances of other folds count as known."""
    theta = root(score, w)
    direct = -len(w) * w[:, None] * (score.a * theta + score.b) / (w @ score.a)
    return scored(names, theta, direct)


def scored(names: Sequence[str], theta: Array, direct: Array) -> Estimate:
    """An estimate whose influence (n, q) is an orthogonal score's."""
    evidence = Influence((), np.zeros((len(theta), 0)), len(direct), direct, always=True, held=True)
    return Estimate(tuple(names), theta, evidence)


def mean_influence(values: Array, w: Array) -> tuple[Array, Array]:
    """Weighted means (q,) of columns (n, q), and their influences."""
    mean = w @ values / w.sum()
    return mean, len(w) * w[:, None] * (values - mean) / w.sum()


def projection(signal: Signal, basis: Array, names: Sequence[str], w: Array) -> Estimate:
    """Best linear predictors of each effect by a basis (n, p): coefficients (q p,) with their influences.

    ``beta = argmin sum w (signal - regressor basis'beta)^2`` (Semenova and Chernozhukov 2021).
    """
    values, rows = [], []
    for target, regressor in zip(signal.signal.T, signal.regressor.T, strict=True):
        Z = basis * regressor[:, None]
        bread = np.linalg.inv(Z.T @ (w[:, None] * Z))
        beta = bread @ (Z.T @ (w * target))
        values.append(beta)
        rows.append(len(w) * (w * (target - Z @ beta))[:, None] * (Z @ bread))
    return scored(names, np.concatenate(values), np.hstack(rows))
