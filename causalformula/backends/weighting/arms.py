"""Balancing one arm after another to a target: the core of entropy balancing and of inverse probability tilting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.weighting.stage import Weighting
from causalformula.inference.stage import Hat, Stage
from causalformula.numerics.balancing import Tilt, balance
from causalformula.numerics.linalg import gram

Array = NDArray[np.float64]


def balanced_arms(
    Z: Array, names: Sequence[str], s: Array, hot: Array, arm: int | None, levels: Sequence[str], plus: float
) -> Weighting:
    """Weights ``plus + exp(z'lambda_a)`` of each arm a that make its sums of z the target population's.

    ``sum_i s_i (1[A_i = a] w_i - t_i) z_i = 0`` with t the target's membership: everyone, or the units of
    ``arm``, which keep the weight one.
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
        stage, columns = tilt_stage(f"balance {level}", tilt, Z, names, -s * (rise + constant), s * rise)
        stages.append(stage)
        dw[stage.name] = Sensitivity(columns, rise[:, None])
    return Weighting(w, stages=tuple(stages), dw=dw)


def tilt_stage(
    name: str, tilt: Tilt, Z: Array, names: Sequence[str], multiplier: Array, curvature: Array
) -> tuple[Stage, Array]:
    """Balancing equations as a stage (scores ``multiplier z``, information ``sum curvature z z'``), and its columns."""
    columns = Z if len(tilt.kept) == Z.shape[1] else Z[:, tilt.kept]
    information = gram(columns, curvature)
    labels = tuple(names[j] for j in tilt.kept)
    # The scores are a multiplier times the columns, which a hat keeps without an array of their size.
    hat = Hat(columns, multiplier, np.ones(len(Z)), np.linalg.inv(information), np.nan, np.nan, False, len(Z))
    return Stage(name, labels, tilt.coef, information, hat=hat), columns
