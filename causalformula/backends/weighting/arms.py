"""Balancing one arm after another to a target: the core of entropy balancing and of inverse probability tilting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from causalformula.backends.sensitivity import Sensitivity
from causalformula.backends.weighting.slack import Slack
from causalformula.backends.weighting.weights import Weighting
from causalformula.frame.treatment import Treatment
from causalformula.inference.stage import Hat, Stage
from causalformula.numerics.approximate import Bounded, balance_within
from causalformula.numerics.arrays import Array
from causalformula.numerics.balancing import Conditions, Tilt, balance
from causalformula.numerics.linalg import gram
from causalformula.numerics.reachable import REMEDY, Report


def balanced_arms(
    Z: Array,
    names: Sequence[str],
    s: Array,
    hot: Array,
    arm: int | None,
    treatment: Treatment,
    plus: float,
    base: Array | None = None,
    slack: Slack | None = None,
    remedy: str = "",
) -> Weighting:
    """Weights ``plus + base exp(z'lambda_a)`` of each arm a that make its sums of z the target population's.

    ``sum_i s_i (1[A_i = a] w_i - t_i) z_i = 0`` with t the target's membership: everyone, or the units of
    ``arm``, which keep the weight one. With a slack the sums agree within its bounds. ``remedy`` is what a message
    of weights that do not exist proposes first.
    """
    target = np.ones(len(s)) if arm is None else hot[:, arm]
    w = np.zeros(len(s)) if arm is None else hot[:, arm].copy()
    groups = hot if arm is None else hot[:, [arm]]
    stages, dw = [] if slack is None else [slack.stage], {}
    for k, level in enumerate(treatment.levels):
        if k == arm:
            continue
        inside = hot[:, k]
        up = inside if base is None else inside * base
        constant = plus * inside - target
        b, size = Z.T @ (s * constant), float(s @ target)
        name = f"balance {level}"
        report = Report(groups, plus, remedy + REMEDY, f" where {treatment.name} = {level}")
        conditions = Conditions(Z, s, up, np.zeros(len(s)), b, size, names, report)
        if slack is None:
            tilt = balance(conditions)
            rise = rises(up, tilt)
            stage, columns = tilt_stage(name, tilt, Z, names, -s * (rise + constant), s * rise)
        else:
            found = balance_within(conditions, slack.bound)
            rise = rises(up, found.tilt)
            stage, columns = slack_stage(name, found, Z, names, -s * (rise + constant), s * rise, slack, s * target)
        w += plus * inside + rise
        stages.append(stage)
        dw[stage.name] = Sensitivity(columns, rise[:, None])
    return Weighting(w, stages=tuple(stages), dw=dw)


def rises(up: Array, tilt: Tilt) -> Array:
    """``up exp(eta)``, zero where ``up`` is, however large eta."""
    with np.errstate(over="ignore"):
        return np.where(up > 0, up * np.exp(np.where(up > 0, tilt.eta, 0.0)), 0.0)


def slack_stage(
    name: str,
    found: Bounded,
    Z: Array,
    names: Sequence[str],
    multiplier: Array,
    curvature: Array,
    slack: Slack,
    share: Array,
) -> tuple[Stage, Array]:
    """Balancing equations at their bounds, ``multiplier z - share bound sign`` a row; and their columns."""
    stage, columns = tilt_stage(name, found.tilt, Z, names, multiplier, curvature)
    kept = found.tilt.kept
    scores = multiplier[:, None] * columns - np.outer(share, slack.bound[kept] * found.sign)
    cross = {slack.stage.name: -share.sum() * found.sign[:, None] * slack.slope[kept]}
    return replace(stage, scores=scores, cross=cross, hat=None), columns


def tilt_stage(
    name: str, tilt: Tilt, Z: Array, names: Sequence[str], multiplier: Array, curvature: Array
) -> tuple[Stage, Array]:
    """Balancing equations as a stage (scores ``multiplier z``, information ``sum curvature z z'``), and its columns."""
    columns = Z if len(tilt.kept) == Z.shape[1] else Z[:, tilt.kept]
    information = gram(columns, curvature)
    labels = tuple(names[j] for j in tilt.kept)
    # The scores are a multiplier times the columns, which a hat keeps without an array of their size.
    bread = np.asarray(np.linalg.inv(information), dtype=np.float64)
    hat = Hat(columns, multiplier, np.ones(len(Z)), bread, np.nan, np.nan, False, len(Z))
    return Stage(name, labels, tilt.coef, information, hat=hat), columns
