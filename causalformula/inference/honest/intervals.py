"""Intervals for a weighted sum of effects after treatment, when trends need not be parallel."""

from __future__ import annotations

import numpy as np

from causalformula.inference.honest.fixed_length import fixed_length
from causalformula.inference.honest.moments import DRAWS, MomentTest, first_accepted, moment_test
from causalformula.inference.honest.restrictions import Restriction, second_differences
from causalformula.inference.honest.study import EventStudy
from causalformula.numerics.arrays import Array
from causalformula.numerics.moment_weights import Vertices

METHODS = ("FLCI", "C-LF", "conditional")
# Values of M that are tried for its lower bound.
MAGNITUDES = 1000


def honest_limits(
    study: EventStudy, target: Array, restriction: Restriction, M: float, alpha: float, method: str, seed: int
) -> tuple[float, float]:
    """The interval for one ``M``.

    Parameters
    ----------
    study : EventStudy
    target : ndarray (S,)
        Weights of the periods after treatment.
    restriction : Restriction
    M : float
    alpha : float
    method : {"FLCI", "C-LF", "conditional"}
    seed : int

    Returns
    -------
    tuple of float
        NaN where no value is compatible, infinite where no end was found.
    """
    if method == "FLCI":
        return fixed_length(study, target, M, alpha).limits
    polyhedra = restriction.polyhedra(M, study.num_pre, study.num_post)
    noise = study.noise(DRAWS, seed) if method == "C-LF" else None
    tests = (moment_test(study, A, d, target, alpha, noise) for A, d in polyhedra)
    return _union([test.limits() for test in tests])


def _union(sets: list[tuple[float, float]]) -> tuple[float, float]:
    """The smallest and the largest of all that are not empty."""
    some = np.array([ends for ends in sets if not np.isnan(ends[0])])
    return (float(some[:, 0].min()), float(some[:, 1].max())) if len(some) else (np.nan, np.nan)


def magnitude_bounds(study: EventStudy, alpha: float) -> tuple[float, float]:
    """One-sided bounds, each of level ``1 - alpha``, of the largest second difference before treatment.

    The lower one inverts the conditional test of ``|second differences| <= M``; the upper one is the largest of their
    one-sided limits. NaN where one period before treatment leaves no second difference.
    """
    from scipy.special import ndtri

    curve = second_differences(study.num_pre, study.num_post)[: study.num_pre - 1]
    if not len(curve):
        return np.nan, np.nan
    rows = np.vstack([curve, -curve])
    found, se = rows @ study.betas, np.sqrt(np.einsum("mk,kl,ml->m", rows, study.sigma, rows))
    scaled = rows / se[:, None]
    weights = Vertices(np.eye(len(rows)))
    test = MomentTest(found / se, 1 / se, scaled @ study.sigma @ scaled.T, weights, np.inf, alpha)
    upper = float((found - ndtri(alpha) * se).max())
    return first_accepted(test.accepts, np.linspace(0, float(found.max()), MAGNITUDES)), upper
