"""Outcome regression standardised over the covariates (g-computation)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.contrasts import Contrast, contrasts, settings, unique_settings
from causalformula.backends.entangled import strained_notes
from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.fit import Fit, Fitted, Query, unit_design
from causalformula.backends.options import Options
from causalformula.backends.outcome_model import fit_outcome, model_word
from causalformula.backends.registry import Record
from causalformula.backends.standardize import Surface
from causalformula.backends.target import target_weights
from causalformula.backends.varied import Varied, one_coefficient
from causalformula.errors import OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array
from causalformula.numerics.centring import multiplied
from causalformula.numerics.families import family as read_family
from causalformula.numerics.least_squares import replicates as replicate


@dataclass(frozen=True, kw_only=True)
class Regression(Options):
    """Options of ``method="regression"``.

    Parameters
    ----------
    interact : bool
        Interact the treatment with every covariate (Lin 2013): a model an arm, as ``estimatr::lm_lin``.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """

    interact: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.interact, bool):
            raise OptionError(f"interact must be True or False, not {self.interact!r}")


def _batch(frame: ModelFrame, options: Regression, query: Query, W: Array) -> Array | None:
    """Many reweighted least-squares fits at once: all cross-products in one matrix product.

    None where the model is not linear, the query has groups, or the contrast is a slope; then each is refitted.
    """
    family = read_family(options.family)
    compared = contrasts(frame.the_treatment, options.contrast, frame.sampled)
    moving = options.contrast in ("sd", "iqr", "minmax") or any(c.slope for c in compared)
    if family.name != "gaussian" or family.link_name != "identity" or query.by is not None or moving or frame.effects:
        return None
    part = Part("outcome", options.interact)
    design = frame.design(part)
    if design.intercept and multiplied(design.X, design.names):
        return None
    base = target_weights(frame, options)
    model_weights = W if frame.weights is None else W * frame.weights
    betas = replicate(design.X, frame.y, model_weights, frame.offset, names=design.names if design.intercept else None)
    if np.isnan(betas).all(axis=1).any() or np.isnan(betas).any(axis=0).any():
        return None
    if query.kind == "effects" and options.scale.name in ("difference", "nnt"):
        return _differences(frame, part, compared, betas, W, base)
    wanted = settings(frame.the_treatment) if query.kind == "means" else unique_settings(compared)
    changes = [frame.counterfactual(part, setting.key, setting.column) for setting in wanted]
    matrices = [design.X, *(c.values for c in changes), _column(frame.offset, frame.n)]
    averages, *moved, shift = _averages(W, base, matrices)
    means = []
    for change, values in zip(changes, moved, strict=True):
        at = averages.copy()
        at[:, change.columns] = values
        means.append(np.einsum("rp,rp->r", at, betas) + shift[:, 0])
    table = np.column_stack(means)
    if query.kind == "means":
        return table
    place = {setting.key: k for k, setting in enumerate(wanted)}
    high, low = (table[:, [place[c.high.key] for c in compared]], table[:, [place[c.low.key] for c in compared]])
    with np.errstate(invalid="ignore", divide="ignore"):
        return options.scale.function(high, low)


def _differences(
    frame: ModelFrame, part: Part, compared: Sequence[Contrast], betas: Array, W: Array, base: Array
) -> Array:
    """Differences of means of a linear model, (R, contrasts): all columns that the treatment leaves alone cancel."""
    out = []
    for item in compared:
        high, low = (frame.counterfactual(part, s.key, s.column) for s in (item.high, item.low))
        moved = high.values - low.values
        # Without interactions every row moves by the same amount, and there is nothing to average.
        same = bool((moved == moved[0]).all())
        averages = np.tile(moved[0], (len(W), 1)) if same else _averages(W, base, [moved])[0]
        out.append(np.einsum("rc,rc->r", averages, betas[:, high.columns]))
    return np.column_stack(out)


def _vary(frame: ModelFrame, options: Regression, query: Query, varied: Varied) -> Array | None:
    """Many least-squares fits that differ in one variable: what the other columns explain is taken out once.

    None where the effect is not a difference that is one coefficient's; then each is refitted.
    """
    family = read_family(options.family)
    compared = contrasts(frame.the_treatment, options.contrast, frame.sampled)
    asked = query.kind == "effects" and query.by is None and options.scale.name == "difference"
    linear = family.name == "gaussian" and family.link_name == "identity"
    if not (asked and linear) or len(compared) != 1 or compared[0].slope or frame.effects:
        return None
    part = Part("outcome", options.interact)
    high, low = (frame.counterfactual(part, s.key, s.column) for s in (compared[0].high, compared[0].low))
    moved = high.values - low.values
    if moved.shape[1] != 1 or not bool((moved == moved[0]).all()):
        return None
    found = one_coefficient(frame, part, int(high.columns[0]), varied)
    return None if found is None else found[:, None] * moved[0]


def _column(values: Array | None, n: int) -> Array:
    """A vector as a matrix of one column; zeros where there is none."""
    return np.zeros((n, 1)) if values is None else values[:, None]


def _averages(W: Array, base: Array, matrices: list[Array]) -> list[Array]:
    """Averages of the columns of each matrix under every row of ``W``, in one product that never copies ``W``."""
    columns = np.hstack([*matrices, np.ones((len(base), 1))])
    if not (base == 1).all():
        columns *= base[:, None]
    sums = W @ columns
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = sums[:, :-1] / sums[:, -1:]
    return np.split(sums, np.cumsum([m.shape[1] for m in matrices])[:-1], axis=1)


@Record(
    name="regression",
    options=Regression,
    aliases=("gcomp", "g_computation"),
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE, ATT, ATC),
    default_vcov="classical",
    weighted_vcov="linearised",
    roles=("treat", "adjust", "outcome", "modify", "fe", "cluster", "weights", "offset"),
    r="lm() or glm() |> marginaleffects::avg_comparisons()",
    summary="outcome regression, standardised (g-computation)",
    title="Outcome regression",
    batch=_batch,
    vary=_vary,
)
def regression(frame: ModelFrame, options: Regression) -> Fit:
    """Average effect by outcome regression and standardisation.

    Fits ``E[Y | A, X] = m(A, X; beta)`` and averages its predictions over the target population with the treatment set:
    ``mu_a = sum_i t_i m(a, X_i) / sum_i t_i``. Identified when, given X, treatment is independent of the potential
    outcomes, every unit could have had each level, and m is right.

    Parameters
    ----------
    frame : ModelFrame
    options : Regression

    Returns
    -------
    Fit

    Raises
    ------
    IdentificationError
        If the treatment is a linear combination of other terms.

    References
    ----------
    Robins (1986); Snowden, Rose and Mortimer (2011). R: ``marginaleffects::avg_comparisons`` 0.25.
    """
    family = read_family(options.family)
    part = Part("outcome", options.interact)
    model = fit_outcome(frame, part, family, frame.weights)
    potential = Surface(model, frame, part, options).potential()
    answer, recipe = potential.answer(Query()), frame.design(part).recipe
    return Fit(
        answer=answer,
        estimand=str(options.estimand),
        design=unit_design(frame.n),
        method=f"outcome regression ({model_word(family, model)}{', fixed effects absorbed' * bool(frame.effects)})",
        outcomes=potential,
        models={"outcome": Fitted(model, part)},
        notes=(*model.notes, *dropped_terms(model), *strained_notes(answer, model, recipe, frame.the_treatment.name)),
    )
