"""An event study as numbers: coefficients of periods before and after treatment, and their covariance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.errors import DataError, OptionError
from causalformula.inference.checks import is_whole, shown
from causalformula.numerics.arrays import Array

# The smallest eigenvalue of a correlation matrix that counts as definite.
DEFINITE = 1e-10


@dataclass(frozen=True, eq=False)
class EventStudy:
    """Coefficients ``(pre, post)`` in the order of time, the reference period (zero) between them left out.

    Parameters
    ----------
    betas : ndarray (T + S,)
    sigma : ndarray (T + S, T + S)
    num_pre : int
        T, the periods before the reference.
    num_post : int
        S.
    """

    betas: Array
    sigma: Array
    num_pre: int
    num_post: int

    @property
    def post(self) -> slice:
        """Where the periods after treatment stand."""
        return slice(self.num_pre, None)

    def whole(self, target: Array) -> Array:
        """Weights of all coefficients from those of the periods after treatment."""
        return np.concatenate([np.zeros(self.num_pre), target])

    def std_error(self, weights: Array) -> float:
        """Of a weighted sum of all coefficients."""
        return float(np.sqrt(weights @ self.sigma @ weights))

    def noise(self, draws: int, seed: int) -> Array:
        """Draws from ``N(0, sigma)``, (draws, T + S)."""
        normal = np.random.default_rng(seed).standard_normal((draws, len(self.betas)))
        return np.asarray(normal @ np.linalg.cholesky(self.sigma).T)


def event_study(betas: Any, sigma: Any, num_pre: Any, num_post: Any) -> EventStudy:
    """The event study of what was given; an error where that is none."""
    for name, number in (("num_pre", num_pre), ("num_post", num_post)):
        if not is_whole(number) or number < 1:
            raise OptionError(
                f"{name} must be a whole number from 1, not {shown(number)}: how many coefficients are of periods "
                f"{'before' if name == 'num_pre' else 'after'} treatment, the reference period left out"
            )
    b, S = _numbers("betas", betas), _numbers("sigma", sigma)
    if b.ndim != 1 or len(b) != num_pre + num_post:
        raise DataError(
            f"betas has the shape {b.shape}, and num_pre={num_pre} + num_post={num_post} makes {num_pre + num_post} "
            "coefficients: those before treatment first, the reference period, which is zero, left out"
        )
    if S.shape != (len(b), len(b)):
        raise DataError(f"sigma has the shape {S.shape}; the covariance of {len(b)} betas is {len(b)} by {len(b)}")
    return EventStudy(b, _definite(S), int(num_pre), int(num_post))


def target_weights(l_vec: Any, num_post: int) -> Array:
    """Weights of the periods after treatment that make the target: those given, or the first period alone."""
    if l_vec is None:
        return np.asarray(np.eye(num_post)[0])
    weights = _numbers("l_vec", l_vec).reshape(-1)
    if len(weights) != num_post:
        raise DataError(f"l_vec has {len(weights)} weights for num_post={num_post} periods after treatment")
    if not weights.any():
        raise DataError("l_vec is zero: give weights of the periods after treatment, as [0.5, 0.5] for a mean of two")
    return weights


def _numbers(name: str, given: Any) -> Array:
    found = as_numbers(given)
    if found is None:
        raise DataError(f"{name} must be numbers, not {shown(given)}")
    if not np.isfinite(found).all():
        raise DataError(f"{name} has a missing or infinite value: leave out the periods that were not estimated")
    return found


def as_numbers(given: Any) -> Array | None:
    """An array of its own, or None: text and logicals are no numbers."""
    try:
        return np.array(given, dtype=float) if np.asarray(given).dtype.kind in "iufO" else None
    except (TypeError, ValueError, OverflowError):
        return None


def _definite(S: Array) -> Array:
    """A covariance that is symmetric and positive definite, exactly symmetric."""
    size = np.sqrt(np.abs(np.diag(S)))
    if (np.diag(S) <= 0).any():
        raise DataError(
            f"sigma must be positive definite, and the variance of number {np.argmin(np.diag(S)) + 1} is not above 0"
        )
    scaled = S / np.outer(size, size)
    if np.abs(scaled - scaled.T).max() > 1e-6:
        raise DataError("sigma is not symmetric, so it is no covariance of the betas")
    if np.linalg.eigvalsh((scaled + scaled.T) / 2)[0] < DEFINITE:
        raise DataError(
            "sigma must be positive definite, and here a weighted sum of the betas has no variance, or a negative one: "
            "a period's coefficient follows from the others, or there are fewer clusters than coefficients"
        )
    return np.asarray((S + S.T) / 2)
