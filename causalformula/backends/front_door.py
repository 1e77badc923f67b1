"""The front door: an effect through mediators, where what drives the treatment and the outcome was not measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalformula.backends.aliased import dropped_terms
from causalformula.backends.contrasts import Setting
from causalformula.backends.estimands import ATE
from causalformula.backends.fit import Fit, Fitted, Query, unit_design
from causalformula.backends.options import Options, flag
from causalformula.backends.outcome_model import fit_outcome
from causalformula.backends.outcomes import PotentialMeans, averaged
from causalformula.backends.registry import Record
from causalformula.backends.standardize import mean_gradient, shifted_predictor
from causalformula.errors import IdentificationError, OptionError, some
from causalformula.formula.expressions.values import Factor, Logical, Strings, Value, as_factor
from causalformula.formula.language.parse import is_identifier
from causalformula.frame.counterfactual import Counterfactual
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.frame.side import side_columns, side_text, side_values
from causalformula.frame.treatment import Kind
from causalformula.inference.estimate import Estimate
from causalformula.inference.regression import FittedRegression
from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array
from causalformula.numerics.families import Family

PART = Part("outcome")


@dataclass(frozen=True, kw_only=True)
class FrontDoor(Options):
    """Options of ``method="front_door"``.

    Parameters
    ----------
    mediators : str
        The mediators, ``"M"`` or ``"~ M1 + M2"``: every causal path runs through one of them, and what is not measured
        reaches none. ``cf.fit(..., dag=g)`` takes them from the graph.
    interact : bool
        Interact the treatment with the mediators and covariates in the outcome's regression.
    estimand, contrast, measure, family, focal : optional
        As in ``cf.fit``; the models are linear, and the effect is that in all units.
    """

    mediators: str | Sequence[str] | None = None
    interact: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        flag("interact", self.interact)
        object.__setattr__(self, "mediators", side_text("mediators", self.mediators))
        family = self.outcome_family
        if (family.name, family.link_name) != ("gaussian", "identity"):
            raise OptionError(
                "method 'front_door' has linear regressions, into which mean mediators are put; leave family= out (a "
                "linear model of a 0/1 outcome estimates a difference in probabilities)"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the mediators read."""
        return side_columns([self.mediators])  # type: ignore[list-item]


@dataclass(frozen=True, eq=False)
class Regressions:
    """The regressions behind the front door: each mediator's on the treatment, and the outcome's on both.

    Parameters
    ----------
    frame, whole : ModelFrame
        The formula's, and the same with the mediators among the terms of the outcome.
    columns : dict of str to ndarray
        The mediators in numbers: indicators for the levels of a factor.
    """

    frame: ModelFrame
    whole: ModelFrame
    columns: dict[str, Array]
    part: Part
    family: Family

    @cached_property
    def outcome(self) -> FittedRegression:
        """The outcome on treatment, mediators and covariates."""
        return fit_outcome(self.whole, self.part, self.family, self.frame.weights)

    @cached_property
    def mediators(self) -> dict[str, FittedRegression]:
        """Each mediator on treatment and covariates."""
        frames = {name: self.frame.with_outcome(column, name) for name, column in self.columns.items()}
        return {name: fit_outcome(one, PART, self.family, one.weights) for name, one in frames.items()}

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """All equations; no regression enters another."""
        mediators = (model.stage(f"mediator {name}") for name, model in self.mediators.items())
        return (*mediators, self.outcome.stage())

    def means(self, wanted: Sequence[Setting], target: Array) -> Estimate:
        """Mean outcomes: mediators as the setting makes them, the treatment as it was.

        The outcome's regression is linear in the mediators, so that their means stand for their distribution.
        """
        scores, jac = [], []
        design, model = self.whole.design(self.part), self.outcome
        slopes = {name: self._slope(name) for name in self.columns}
        for setting in wanted:
            change = self.frame.counterfactual(PART, setting.key, setting.column)
            at = {name: shifted_predictor(fitted, change) for name, fitted in self.mediators.items()}
            moved = design.at_all(at)
            scores.append(shifted_predictor(model, moved))
            gradient = mean_gradient(model, moved, target)
            self._refuse_aliased(gradient)
            own = [
                fitted.jacobian(mean_gradient(fitted, change, target * slopes[name]))
                for name, fitted in self.mediators.items()
            ]
            jac.append(np.concatenate([*own, model.jacobian(gradient)]) / target.sum())
        return averaged([s.label for s in wanted], np.column_stack(scores), target, self.stages, np.array(jac))

    def _change(self, name: str, by: float) -> Counterfactual:
        return self.whole.design(self.part).at(name, self.columns[name] + by)

    def _slope(self, name: str) -> Array:
        """By how much one more unit of a mediator raises each row's predicted outcome (n,)."""
        up, here = (shifted_predictor(self.outcome, self._change(name, by)) for by in (1.0, 0.0))
        return up - here

    def _refuse_aliased(self, gradient: Array) -> None:
        if bool(self.outcome.estimable(gradient[None, :]).all()):
            return
        left_out = dropped_terms(self.outcome)
        raise IdentificationError(
            "the front door is shut: the outcome's regression cannot tell the mediators from the treatment and the "
            f"covariates ({some(left_out)}). A mediator must vary among units of one treatment"
        )


def _numbers(label: str, value: Value) -> dict[str, Array]:
    """A mediator as columns of numbers: itself, or an indicator for each level of a factor but the first."""
    if isinstance(value, (Strings, Factor)):
        factor = as_factor(value)
        return {f"{label}{level}": (factor.codes == k).astype(float) for k, level in enumerate(factor.levels) if k}
    if isinstance(value, Logical):
        return {label: (value.codes == 1).astype(float)}
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return {label: value.astype(float)}
    raise OptionError(f"mediators=: {label} is no column of numbers or levels")


def _named(columns: dict[str, Array], taken: set[str]) -> dict[str, Array]:
    """The columns by names that a formula reads as plain variables."""
    out: dict[str, Array] = {}
    for label, column in columns.items():
        name = label if is_identifier(label) else re.sub(r"\W+", ".", f"M.{label}").strip(".")
        while name in taken | set(out):
            name += "."
        out[name] = column
    return out


def regressions(frame: ModelFrame, options: FrontDoor) -> Regressions:
    """The frame with the mediators in it."""
    if options.mediators is None:
        raise OptionError("method 'front_door' needs its mediators: mediators='M', or dag=g, a graph that names them")
    variables = side_values(frame, str(options.mediators))
    known = {frame.the_treatment.name, frame.outcome.name if frame.outcome else "", *frame.values}
    if both := [label for label, _ in variables if label in known]:
        raise OptionError(f"{some(both)} stands in the formula already, so it is no mediator: leave it out of one")
    found: dict[str, Array] = {}
    for label, value in variables:
        found |= _numbers(label, value)
    columns = _named(found, known)
    whole = frame
    for name, column in columns.items():
        whole = whole.with_column(name, column, role="outcome")
    return Regressions(frame, whole, columns, Part("outcome", options.interact), options.outcome_family)


@Record(
    name="front_door",
    options=FrontDoor,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE,),
    roles=("treat", "adjust", "modify", "cluster", "weights"),
    r="by hand: coef(lm(M ~ A))['A'] * coef(lm(Y ~ A + M))['M']",
    summary="the front door: two linear regressions through mediators",
    title="Front door",
    exempt={"singleton_clusters": "no regression is the root, so there is no leverage to adjust by"},
)
def front_door(frame: ModelFrame, options: FrontDoor) -> Fit:
    """Average effect through the front door.

    ``mu_a = sum_i t_i m(A_i, E[M | a, x_i], x_i) / sum_i t_i``: a regression says how the treatment moves the
    mediators, another how these move the outcome among units of one treatment, which blocks what is unmeasured.
    Identified when the mediators carry the whole effect, nothing unmeasured reaches them, and both regressions, linear
    in the mediators, are right.

    Parameters
    ----------
    frame : ModelFrame
    options : FrontDoor

    Returns
    -------
    Fit

    Raises
    ------
    IdentificationError
        If the mediators cannot be told from the treatment.

    References
    ----------
    Pearl (1995); Fulcher, Shpitser, Marealle and Tchetgen Tchetgen (2020). R: by hand.
    """
    both = regressions(frame, options)
    potential = PotentialMeans(frame, options, both.means)
    names = some(both.columns)
    return Fit(
        answer=potential.answer(Query()),
        estimand=str(options.estimand),
        design=unit_design(frame.n),
        method=f"front door through {names} (linear regressions)",
        outcomes=potential,
        models={"outcome": Fitted(both.outcome)},  # with the mediators in it, it is on no design of the frame
        notes=(*both.outcome.notes, *dropped_terms(both.outcome)),
    )
