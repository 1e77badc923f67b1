"""Balancing one arm after another to a target: the core of entropy balancing and of inverse probability tilting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.weighting.stage import Weighting
from causalformula.inference.stage import Stage
from causalformula.numerics.balancing import Tilt, balance

Array = NDArray[np.float64]


def balanced_arms(
    Z: Array, names: Sequence[str], s: Array, hot: Array, arm: int | None, levels: Sequence[str], plus: float
) -> Weighting:
    """Weights ``plus + exp(z'lambda_a)`` of each arm a that make its sums of z those of the target population.

    ``sum_i s_i (1[A_i = a] w_i - t_i) z_i = 0`` with t the target's membership: everyone, or the units of ``arm``, which
    keep the weight one.
    """
    target = np.ones(len(s)) if arm is None else hot[:, arm]
    w = np.zeros(len(s)) if arm is None else hot[:, arm].copy()
    stages, dw = [], {}
    for k, level in enumerate(levels):
        if k == arm:
            continue
        inside = hot[:, k]
        constant = plus * inside - target
        tilt = balance(Z, s, inside, np.zeros(len(s)), Z.T @ (s * constant), float(s @ target), names)
        with np.errstate(over="ignore"):
            rise = np.where(inside > 0, np.exp(np.where(inside > 0, tilt.eta, 0.0)), 0.0)
        w += plus * inside + rise
        stage, columns = tilt_stage(f"balance {level}", tilt, Z, names, s * (rise + constant), -s * rise)
        stages.append(stage)
        dw[stage.name] = Sensitivity(columns, rise[:, None])
    return Weighting(w, stages=tuple(stages), dw=dw)


def tilt_stage(
    name: str, tilt: Tilt, Z: Array, names: Sequence[str], multiplier: Array, curvature: Array
) -> tuple[Stage, Array]:
    """The balancing equations as a stage (scores ``multiplier z``, information ``sum curvature z z'``) and their columns."""
    columns = Z if len(tilt.kept) == Z.shape[1] else Z[:, tilt.kept]
    information = (columns * curvature[:, None]).T @ columns
    labels = tuple(names[j] for j in tilt.kept)
    return Stage(name, labels, tilt.coef, information, columns * multiplier[:, None]), columns
