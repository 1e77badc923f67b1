"""Balancing one arm after another to a target: the core of entropy balancing and of inverse probability tilting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    groups = hot if arm is None else hot[:, [arm]]
    found: dict[int, Tilt | Bounded] = {}
    for k, level in enumerate(treatment.levels):
        if k == arm:
            continue
        up, constant = arm_pieces(hot, arm, k, plus, base)
        b, size = Z.T @ (s * constant), float(s @ target)
        report = Report(groups, plus, remedy + REMEDY, f" where {treatment.name} = {level}")
        conditions = Conditions(Z, s, up, np.zeros(len(s)), b, size, names, report)
        found[k] = balance(conditions) if slack is None else balance_within(conditions, slack.bound)
    return tilted_arms(Z, names, s, hot, arm, treatment, plus, found, base, slack)


def arm_pieces(hot: Array, arm: int | None, k: int, plus: float, base: Array | None = None) -> tuple[Array, Array]:
    """What multiplies ``exp(z'lambda)`` in the conditions of arm k, and what stands beside it, on each row."""
    target = np.ones(len(hot)) if arm is None else hot[:, arm]
    inside = hot[:, k]
    return inside if base is None else inside * base, plus * inside - target


def tilted_arms(
    Z: Array,
    names: Sequence[str],
    s: Array,
    hot: Array,
    arm: int | None,
    treatment: Treatment,
    plus: float,
    found: Mapping[int, Tilt | Bounded],
    base: Array | None = None,
    slack: Slack | None = None,
    information: Mapping[int, Array] | None = None,
) -> Weighting:
    """The weights by the solution of each arm, and their equations; ``information`` where that is of more rows."""
    target = np.ones(len(s)) if arm is None else hot[:, arm]
    w = np.zeros(len(s)) if arm is None else hot[:, arm].copy()
    stages, dw = [] if slack is None else [slack.stage], {}
    for k, solution in found.items():
        up, constant = arm_pieces(hot, arm, k, plus, base)
        name, known = f"balance {treatment.levels[k]}", None if information is None else information[k]
        tilt = solution.tilt if isinstance(solution, Bounded) else solution
        rise = rises(up, tilt)
        multiplier, curvature = -s * (rise + constant), s * rise
        if isinstance(solution, Bounded) and slack is not None:
            stage, columns = slack_stage(name, solution, Z, names, multiplier, curvature, slack, s * target)
        else:
            stage, columns = tilt_stage(name, tilt, Z, names, multiplier, curvature, known)
        w += plus * hot[:, k] + rise
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
    name: str,
    tilt: Tilt,
    Z: Array,
    names: Sequence[str],
    multiplier: Array,
    curvature: Array,
    known: Array | None = None,
) -> tuple[Stage, Array]:
    """Balancing equations as a stage (scores ``multiplier z``, information ``sum curvature z z'``), and its columns.

    ``known`` is the information where that is of more rows.
    """
    columns = Z if len(tilt.kept) == Z.shape[1] else Z[:, tilt.kept]
    information = gram(columns, curvature) if known is None else known
    labels = tuple(names[j] for j in tilt.kept)
    # The scores are a multiplier times the columns, which a hat keeps without an array of their size.
    bread = np.asarray(np.linalg.inv(information), dtype=np.float64)
    hat = Hat(columns, multiplier, np.ones(len(Z)), bread, np.nan, np.nan, False, len(Z))
    return Stage(name, labels, tilt.coef, information, hat=hat), columns
