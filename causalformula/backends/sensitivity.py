"""How rows' weights move with the parameters of the stage that estimated them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.numerics.arrays import Array, Codes


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Derivatives ``d w_i / d theta``, of rank one a block: ``U[i, b] X[i]`` for the b-th block of parameters.

    Every weight that is a function of linear predictors has this form, and it never needs an (n, blocks x p) array.

    Parameters
    ----------
    X : ndarray (n, p)
        The stage's regressors.
    U : ndarray (n, blocks)
        Derivatives in the blocks' linear predictors.
    """

    X: Array
    U: Array

    def against(self, A: Array, v: Array) -> Array:
        """``sum_i v_i a_i (d w_i / d theta)'``, (columns of A, blocks x p)."""
        return np.hstack([(A * (v * u)[:, None]).T @ self.X for u in self.U.T])

    def total(self, v: Array) -> Array:
        """``sum_i v_i d w_i / d theta``, (blocks x p,)."""
        return np.concatenate([(v * u) @ self.X for u in self.U.T])

    def scaled(self, factor: Array) -> Sensitivity:
        """Derivatives of ``factor_i w_i``."""
        return Sensitivity(self.X, self.U * factor[:, None])

    def rows(self, index: Codes) -> Sensitivity:
        """Derivatives of weights that are those of other rows."""
        return Sensitivity(self.X[index], self.U[index])
