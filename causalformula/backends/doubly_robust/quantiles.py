"""Quantiles of potential outcomes, and the effects between them: localized double machine learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.stats import norm

from causalformula.backends.contrasts import contrasts
from causalformula.backends.doubly_robust.dml_models import Found, words_of
from causalformula.backends.doubly_robust.dml_options import DML
from causalformula.backends.estimands import ATE
from causalformula.backends.fit import Answer, Label, Query
from causalformula.backends.learning.crossfit import Task, cross_fit
from causalformula.backends.learning.folds import make_folds
from causalformula.backends.learning.halves import Halves, make_halves
from causalformula.backends.learning.propensity import treatment_task
from causalformula.backends.learning.table import features, refuse_kind
from causalformula.backends.orthogonal.fitted import scored_design
from causalformula.backends.orthogonal.nuisances import (
    COVARIATES,
    LEARNED_BOUNDS,
    CrossFitted,
    bounded,
    cross_fitted_in,
)
from causalformula.backends.orthogonal.repeated import RepeatedOutcomes
from causalformula.backends.orthogonal.scores import scored
from causalformula.errors import CapabilityError, DataError, OptionError, counted, some
from causalformula.formula.expressions.values import number_label
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.estimate import Estimate
from causalformula.numerics.arrays import Array, Bools

QUANTILE_EFFECT = "Quantile treatment effect"
QUANTILE = "quantile"  # the column that says which
# A density that so few rows of an arm are beyond is no normal limit; so large a share of equal outcomes is no density.
FEW_BEYOND = 10
TIED = 0.01
SHOWN = 4
# Between the quartiles of a normal distribution, in standard deviations, as Silverman rounds it.
NORMAL_QUARTERS = 1.349


def refuse_quantiles(frame: ModelFrame, options: DML, model: str) -> None:
    """What quantiles of potential outcomes are not there for.

    Raises
    ------
    CapabilityError
        For another model, a dose, instruments, or another target than everyone.
    OptionError
        For what compares or models means.
    DataError
        For an outcome of two values.
    """
    name = frame.the_treatment.name
    if frame.has("iv") or model in ("iivm", "pliv"):
        raise CapabilityError(
            "quantile effects with instruments, those of compliers (DoubleML's LPQ), are not available; take iv(...) "
            "out for the quantiles of everyone given the covariates, or leave out quantiles= for the LATE"
        )
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        raise CapabilityError(
            f"quantiles= are of the outcome at each level of a treatment, and {name!r} is a dose; write "
            f"treat(cut({name}, 3)) or treat(factor({name})), or leave out quantiles="
        )
    if model != "irm":
        raise CapabilityError(f"quantiles= are of model='irm', and not of model={model!r}")
    if options.estimand != ATE:
        raise CapabilityError(
            f"quantiles= compare the potential outcomes of everyone; there are none for the {options.estimand}. Leave "
            "out estimand=, or leave out quantiles= for the mean effect"
        )
    _refuse_means(frame, options)


def _refuse_means(frame: ModelFrame, options: DML) -> None:
    if options.measure != "difference":
        raise OptionError(
            f"measure={options.measure!r} is of means, and quantiles= have a difference only; quantiles of a logarithm "
            "are logarithms of quantiles, so an outcome log(...) has log ratios"
        )
    if options.outcome_family.name != "gaussian":
        raise OptionError("family= is of means, and quantiles= model the probability to be below; leave out family=")
    values = np.unique(frame.y[frame.unit_weights > 0])
    if len(values) <= 2:
        raise DataError(
            f"the outcome has {counted(len(values), 'value')}, so no quantile that a treatment could move a little; "
            "leave out quantiles= for the difference in means, which is that of probabilities where it is 0 or 1"
        )


@dataclass(frozen=True, eq=False)
class PotentialQuantiles:
    """What quantiles of potential outcomes answer: themselves, and their differences.

    Parameters
    ----------
    frame : ModelFrame
    options : DML
    found : Estimate
        All levels at the first quantile, then at the next.
    """

    frame: ModelFrame
    options: DML
    found: Estimate

    @property
    def no_groups(self) -> str:
        """Why there are no effects by group."""
        return (
            "quantile effects are not split by group: a quantile of everyone is no average of those of groups, and the "
            "probabilities that it rests on were learned near it; fit each group by itself, with subset="
        )

    def answer(self, query: Query) -> Answer:
        """Quantiles by level, or their differences.

        Raises
        ------
        CapabilityError
            For groups.
        """
        if query.by is not None:
            raise CapabilityError(self.no_groups)
        treatment, asked = self.frame.the_treatment, self.options.quantiles or ()
        parts, matrix = list(treatment.levels), np.eye(len(treatment.levels))
        if query.kind != "means":
            compared = contrasts(treatment, self.options.contrast, self.frame.sampled)
            parts = [item.label(self.options.scale) for item in compared]
            matrix = np.array([matrix[int(item.high.key)] - matrix[int(item.low.key)] for item in compared])
        labels = tuple(Label(treatment.name, part, ((QUANTILE, number_label(q)),)) for q in asked for part in parts)
        return Answer(self.found.contrast(np.kron(np.eye(len(asked)), matrix), list(map(str, labels))), labels)


def quantiles(frame: ModelFrame, options: DML) -> Found:
    """Quantiles of the outcome at each level of the treatment, by scores whose nuisances are learned near them.

    ``psi = 1[A = a] v (1[Y <= theta] - g(X)) + g(X) - q``, with ``v`` the inverse of the propensity, of mean one, and
    ``g(x) = P(Y <= theta' | x, a)`` at a preliminary ``theta'``: half of the rows outside a fold give it by inverse
    propensities, cross-fitted within that half, and the other half learns ``g`` at it.
    """
    folds = make_folds(frame, options.folds, options.repeats, options.seed)
    halves = make_halves(frame, folds)
    near = _preliminary(frame, options, halves)
    found = cross_fitted_in(frame, options, folds, _surfaces(frame, options, near, halves))
    parts = [_solved(frame, options, cast(CrossFitted, part)) for part in found.each]
    return Found(
        scores=[],
        learned=found.learned,
        folds=folds,
        names=words_of([each.task for each in found.learned.values()]),
        notes=(*found.notes, *_notes(frame, options, parts[0])),
        means=RepeatedOutcomes.of([PotentialQuantiles(frame, options, part) for part in parts]),
        design=scored_design(frame, options, found.scores, found.each[0].P),
    )


def _preliminary(frame: ModelFrame, options: DML, halves: Halves) -> Array:
    """Quantiles (quantiles, levels, repeats, folds) of the first halves, weighted by inverse propensities."""
    task = treatment_task(frame, options.treatment_learner, "treatment_model")
    P = cross_fit([task], halves.first, frame.weights, words="Preliminary quantiles")[0].predictions
    asked, codes, w = options.quantiles or (), frame.the_treatment.codes, frame.unit_weights
    size = halves.first.size
    out = np.empty((len(asked), P.shape[2], P.shape[1] // size, size))
    for at in range(P.shape[1]):
        rows = halves.first.codes[:, at] >= 0
        inside, _, _ = bounded(frame, np.where(rows[:, None], P[:, at], 0.5), options.bounds or LEARNED_BOUNDS)
        for a in range(P.shape[2]):
            mine = rows & (codes == a)
            values, share = _steps(frame.y[mine], w[mine] / inside[mine, a])
            for j, q in enumerate(asked):
                out[j, a, at // size, at % size] = values[np.abs(share / share[-1] - q).argmin()]
    return out


def _surfaces(frame: ModelFrame, options: DML, near: Array, halves: Halves) -> list[Task]:
    """The probabilities to be at most the preliminary quantiles, as what is to be learned."""
    learner, treatment = options.outcome_learner, frame.the_treatment
    refuse_kind(learner, "classification", "outcome_model")
    surface = features(frame, COVARIATES)
    return [
        Task(
            f"outcome at {treatment.name} = {level} below quantile {number_label(q)}",
            learner,
            "classification",
            surface,
            (frame.y[:, None, None] <= near[j, a]).astype(np.int8),
            treatment.codes == a,
            option="outcome_model",
            halves=halves.second,
        )
        for j, q in enumerate(options.quantiles or ())
        for a, level in enumerate(treatment.levels)
    ]


def _steps(y: Array, w: Array) -> tuple[Array, Array]:
    """Values in order, and the weight of rows at most as large."""
    values, place = np.unique(y, return_inverse=True)
    return values, np.cumsum(np.bincount(place, w))


def _solved(frame: ModelFrame, options: DML, part: CrossFitted) -> Estimate:
    """The roots of one repetition with their influence, a level at a time within each quantile."""
    treatment, asked = frame.the_treatment, options.quantiles or ()
    levels = range(len(treatment.levels))
    share = frame.unit_weights / frame.unit_weights.sum()
    theta, direct = [], []
    for j, q in enumerate(asked):
        for a in levels:
            v = (treatment.codes == a) / part.P[:, a]
            g = part.m[:, j * len(levels) + a]
            where = f"{treatment.name} = {treatment.levels[a]}"
            root, psi = _root(frame.y, v / (share @ v), g, q, share, where)
            theta.append(root)
            direct.append(-frame.n * share * psi / _density(frame.y - root, share * v, share > 0))
    return scored(list(map(str, range(len(theta)))), np.array(theta), np.column_stack(direct))


def _root(y: Array, v: Array, g: Array, q: float, share: Array, where: str) -> tuple[float, Array]:
    """The outcome at which the score crosses zero, and the score (n,) on the side of it that is nearer to zero."""
    rest = g - v * g - q
    level = -float(share @ rest)
    used = share * v > 0
    values, mass = _steps(y[used], (share * v)[used])
    if not 0 < level <= mass[-1]:
        raise DataError(
            f"the score of the quantile {number_label(q)} at {where} has no root among the outcomes: so near to the "
            "end the propensities and the learner outweigh the rows there. Ask for quantiles nearer to the middle, or "
            "hold the propensities with bounds="
        )
    at = int(np.searchsorted(mass, level))
    before = mass[at - 1] if at else 0.0
    below: Bools = y <= values[at] if mass[at] - level <= level - before else y < values[at]
    return float(values[at]), v * below + rest


def _density(u: Array, weights: Array, used: Bools) -> float:
    """The weighted density at zero: a Gaussian kernel, with Silverman's bandwidth of the rows used, of all levels."""
    u, weights = u[used], weights[used]
    spread, quarters = float(np.std(u, ddof=1)), np.quantile(u, [0.25, 0.75])
    middle = float(quarters[1] - quarters[0]) / NORMAL_QUARTERS
    width = 0.9 * (min(spread, middle) if middle > 0 else spread) * len(u) ** -0.2
    return float(weights @ norm.pdf(u / width) / (weights.sum() * width))


def _notes(frame: ModelFrame, options: DML, found: Estimate) -> tuple[str, ...]:
    """Quantiles that few rows are beyond, that many outcomes equal, or that cross."""
    treatment, asked, used = frame.the_treatment, options.quantiles or (), frame.unit_weights > 0
    names = [f"{treatment.name} = {level}" for level in treatment.levels]
    theta = found.theta.reshape(len(asked), len(names))
    few, tied = [], []
    for q, row in zip(asked, theta, strict=True):
        for a, root in enumerate(row):
            y, where = frame.y[used & (treatment.codes == a)], f"{number_label(q)} of {names[a]}"
            beyond, equal = int(min((y < root).sum(), (y > root).sum())), int((y == root).sum())
            if beyond < FEW_BEYOND:
                few.append(f"{where} ({counted(beyond, 'row')})")
            if equal > max(1, TIED * len(y)):
                tied.append(f"{where} ({counted(equal, 'row')})")
    notes = []
    if few:
        notes.append(f"few rows of the arm are beyond the quantile {some(few, SHOWN)}; its interval is rough")
    if tied:
        notes.append(
            f"rows with the very value of the quantile {some(tied, SHOWN)}: the outcome has no density there, which "
            "standard errors divide by"
        )
    order = np.argsort(asked)
    notes += [
        f"the quantiles of {name} cross: a higher one is estimated to be lower"
        for name, column in zip(names, theta[order].T, strict=True)
        if (np.diff(column) < 0).any()
    ]
    return tuple(notes)
