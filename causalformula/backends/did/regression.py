"""Difference in differences of two groups over two periods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.contrasts import Setting
from causalformula.backends.did.options import DiD
from causalformula.backends.did.panels import COVARIATES, lasting_columns
from causalformula.backends.entangled import SHARE, controls, culprits, either, strained_notes
from causalformula.backends.fit import Fit, Fitted, Query
from causalformula.backends.outcome_model import fit_outcome
from causalformula.backends.outcomes import PotentialMeans
from causalformula.backends.standardize import mean_gradient, shifted_predictor
from causalformula.errors import IdentificationError, some
from causalformula.frame.counterfactual import Counterfactual
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.regression import FittedRegression
from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.centring import multiplied
from causalformula.numerics.least_squares import replicates

PART = Part("did")
# The treated after the change, and what they would be without it: (sign, group, period) of the predictions added up.
TREATED = ((1, 1, 1),)
UNTREATED = ((1, 1, 0), (1, 0, 1), (-1, 0, 0))


NO_GROUPS = (
    "this regression has one effect for all the treated; for groups of them fit each with subset=, which has trends of "
    "its own"
)
WORDS = "difference in differences (two groups, two periods)"


@dataclass(frozen=True, eq=False)
class Trends:
    """A fitted regression of two groups over two periods: the treated after the change, with and without treatment.

    Parameters
    ----------
    model : FittedRegression
    frame : ModelFrame
    options : DiD
    treated : ndarray (n,) of bool
        Rows of the treated after the change.
    """

    model: FittedRegression
    frame: ModelFrame
    options: DiD
    treated: Bools

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The regression's equations: the same object in every answer, so that answers stack."""
        return (self.model.stage(),)

    def potential(self) -> PotentialMeans:
        """What the predictions answer, averaged over the treated after the change."""
        target = np.where(self.treated, self.frame.unit_weights, 0.0)
        origin = self.model.origin
        return PotentialMeans(self.frame, self.options, self.means, target, no_groups=NO_GROUPS, origin=origin)

    def means(self, wanted: Sequence[Setting], target: Array) -> Estimate:
        """Mean outcomes of the treated after the change, as it was and under parallel trends, with their influence."""
        n, total = len(target), target.sum()
        theta, rows, direct = [], [], []
        for setting in wanted:
            m, gradient = trend(self.model, self.frame, bool(setting.key), target / total)
            mu = float(target @ m / total)
            theta.append(mu)
            rows.append(gradient)
            direct.append(n * target * (m - mu) / total)
        gradients = np.array(rows)
        if not self.model.estimable(gradients).all():
            raise_unidentified(self.model, self.frame, gradients)
        evidence = Influence(self.stages, self.model.jacobian(gradients), n, np.column_stack(direct), rooted=True)
        return Estimate(tuple(s.label for s in wanted), np.array(theta), evidence)


def trend(model: FittedRegression, frame: ModelFrame, treated: bool, u: Array) -> tuple[Array, Array]:
    """Outcomes (n,) after the change, as they were or under parallel trends; and the gradient (p,) of ``u @`` these."""
    parts = [(sign, frame.cell(PART, g, t)) for sign, g, t in (TREATED if treated else UNTREATED)]
    m = np.sum([sign * shifted_predictor(model, change, model.origin) for sign, change in parts], axis=0)
    return m, np.sum([sign * mean_gradient(model, change, u) for sign, change in parts], axis=0)


def raise_unidentified(model: FittedRegression, frame: ModelFrame, gradients: Array) -> None:
    """An ``IdentificationError`` that names the controls that cannot be told apart from the effect.

    Parameters
    ----------
    gradients : ndarray (q, p)
        The combinations of coefficients that are asked for.
    """
    panel, design = frame.the_panel, frame.design(PART)
    dropped = np.setdiff1d(np.arange(len(model.names)), model.kept)
    told, named = [], []
    for k in np.flatnonzero(~model.determined(gradients).all(axis=0)):
        j = int(dropped[k])
        share = np.abs(model.alias[:, k]) * model.lengths[model.kept]
        made_of = [int(model.kept[i]) for i in np.flatnonzero(share > SHARE * model.lengths[j])]
        told.append(f"{model.names[j]} = a combination of {some(model.names[i] for i in made_of)}")
        named += [j, *made_of]
    treated, time = panel.treated, panel.time
    every = controls(design.recipe, (panel.treated, panel.time))
    found = [c for c in every if np.isin(named, c.columns).any()]
    if not found:  # as in a resample
        raise IdentificationError(
            f"the effect of {treated} is not identified: no rows of positive weight are left in a group and period"
        )
    sets = culprits(model, gradients, every) or [tuple(c.label for c in found)]
    blamed = dict.fromkeys(name for names in sets for name in names)
    raise IdentificationError(
        f"the effect of {treated} is not identified: {some(blamed)} cannot be told apart from {treated}:{time}, the "
        f"treated group after the change ({'; '.join(told[:5])}). What changed for the treated and for nobody else may "
        f"be the treatment's doing or its own, and no regression can divide the change between the two. Leave "
        f"{either(sets)} out (the effect is then that of all that changed for the treated), or take values from "
        "before the change, or use data in which they differ within a group and period"
    )


def batch(frame: ModelFrame, options: DiD, query: Query, W: Array) -> Array | None:
    """Many reweighted fits at once: all cross-products in one matrix product; None where each must be refitted."""
    if frame.panel is None or frame.panel.groups is None or options.est_method is not None or options.learns:
        return None
    if query.by is not None or options.measure != "difference" or options.contrast != "reference":
        return None
    design = frame.design(PART)
    if multiplied(design.X, design.names):
        return None
    weights = W if frame.weights is None else W * frame.weights
    betas = replicates(design.X, frame.y, weights, frame.offset, names=design.names)
    if np.isnan(betas).all(axis=1).any() or np.isnan(betas).any(axis=0).any():
        return None
    # the same in every row: whatever a control adds to the four predictions cancels
    effects = betas @ (_row(frame, TREATED) - _row(frame, UNTREATED))
    if query.kind == "effects":
        return effects[:, None]
    target = weights * (frame.the_panel.cells == 3)
    after = target @ frame.y / target.sum(axis=1)  # what least squares fits there on average
    return np.column_stack([after - effects, after])


def _row(frame: ModelFrame, parts: Sequence[tuple[int, int, int]]) -> Array:
    """The first row's design, put into groups and periods and added up."""
    X = frame.design(PART).X[:1]
    changes = [(sign, frame.cell(PART, g, t)) for sign, g, t in parts]
    first = [(sign, Counterfactual(change.columns, change.values[:1])) for sign, change in changes]
    return np.asarray(np.sum([sign * change.apply(X)[0] for sign, change in first], axis=0))


def two_period_regression(frame: ModelFrame, options: DiD) -> Fit:
    """The effect on the treated as the interaction of a regression."""
    treated = frame.the_panel.cells == 3  # which refuses another design before anything is fitted
    model = fit_outcome(frame, PART, options.outcome_family, frame.weights)
    potential = Trends(model, frame, options, treated).potential()
    panel, recipe = frame.the_panel, frame.design(PART).recipe
    own = (panel.treated, panel.time)
    notes = (
        *model.notes,
        *dropped_terms(model, "regression"),
        *_told_of_lasting(frame),
        *strained_notes(potential.answer(Query()), model, recipe, *own),
    )
    return Fit.of(potential, WORDS, {"outcome": Fitted(model, PART)}, notes)


def _told_of_lasting(frame: ModelFrame) -> list[str]:
    """What is said of controls that say nothing of a change: the same in both periods, and not crossed with these."""
    if frame.unit is None:
        return []
    names, X = control_columns(frame)
    return lasting_words(names, lasting_columns(frame, X))


def control_columns(frame: ModelFrame) -> tuple[tuple[str, ...], Array]:
    """The controls without an intercept: names and columns (n, p)."""
    design = frame.design(COVARIATES)
    return design.names[int(design.intercept) :], design.X[:, int(design.intercept) :]


def lasting_words(names: Sequence[str], same: Bools) -> list[str]:
    """The note on controls of which it is known whether they are the same in all rows of a unit."""
    crossed = {part for name, lasts in zip(names, same, strict=True) if not lasts for part in name.split(":")}
    held = [name for name, lasts in zip(names, same, strict=True) if lasts and name not in crossed]
    if not held:
        return []
    are, them = ("is", "it") if len(held) == 1 else ("are", "them")
    return [
        f"{some(held)} {are} the same in both periods of a unit, so that trends are not adjusted for {them} here; "
        "est_method='dr' does that"
    ]
