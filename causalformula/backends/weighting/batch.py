"""Bootstrap replicates of weighting estimators: weights one replicate at a time, outcome models all at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causalformula.backends.contrasts import Setting, contrasts, settings, unique_settings
from causalformula.backends.estimands import ESTIMANDS
from causalformula.backends.fit import Query
from causalformula.backends.target import target_weights
from causalformula.backends.weighting.weights import WeightingOptions
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.numerics.arrays import Array
from causalformula.numerics.centring import multiplied
from causalformula.numerics.families import family as read_family
from causalformula.numerics.least_squares import replicates

# The balancing weights of the frame reweighted by each row of frequencies (R, n); NaN rows where there are none.
Weigh = Callable[[Array], Array]


def weighted_batch(frame: ModelFrame, options: WeightingOptions, query: Query, W: Array, weigh: Weigh) -> Array | None:
    """Estimates (R, q) under frequencies ``W``, NaN rows where no weights were found.

    None where the outcome model is not linear, the query has groups, or the contrast moves with the weights; each
    replicate is then refitted whole.
    """
    family = read_family(options.family)
    if family.name != "gaussian" or family.link_name != "identity" or query.by is not None:
        return None
    compared = contrasts(frame.the_treatment, options.contrast, frame.sampled)
    if options.contrast in ("sd", "iqr", "minmax") or any(c.slope for c in compared):
        return None
    with np.errstate(invalid="ignore"):
        totals = frame.unit_weights * W * weigh(W)
    good = ~np.isnan(totals).any(axis=1)
    part = Part("weighted", options.interact)
    design = frame.design(part)
    if design.intercept and multiplied(design.X, design.names):
        return None
    betas = np.full((len(W), design.X.shape[1]), np.nan)
    if good.any():
        betas[good] = replicates(
            design.X, frame.y, totals[good], frame.offset, names=design.names if design.intercept else None
        )
    if np.isnan(betas[good]).any():
        return None
    base = target_weights(frame, options) if not ESTIMANDS[str(options.estimand)].tilted else None
    T = totals if base is None else W * base
    wanted = settings(frame.the_treatment) if query.kind == "means" else unique_settings(compared)
    table = np.column_stack([_means(frame, part, setting, T, betas) for setting in wanted])
    if query.kind == "means":
        return table
    place = {setting.key: k for k, setting in enumerate(wanted)}
    high, low = (table[:, [place[c.high.key] for c in compared]], table[:, [place[c.low.key] for c in compared]])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(options.scale.function(high, low))


def _means(frame: ModelFrame, part: Part, setting: Setting, T: Array, betas: Array) -> Array:
    """Average predictions with the treatment set, over each replicate's target population (R,)."""
    design = frame.design(part)
    change = frame.counterfactual(part, setting.key, setting.column)
    X = change.apply(design.X)
    total = T.sum(axis=1)
    means = np.einsum("rp,rp->r", T @ X, betas) / total
    return np.asarray(means if frame.offset is None else means + T @ frame.offset / total)
