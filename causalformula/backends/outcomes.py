"""``PotentialMeans``: from mean potential outcomes with their influence to effects, means and groups, for any query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from causalformula.backends.contrasts import Contrast, Setting, contrasts, settings, unique_settings
from causalformula.backends.fit import Answer, Label, Query, with_labels
from causalformula.backends.options import Options
from causalformula.backends.target import target_weights
from causalformula.errors import CapabilityError, DataError, OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind, Treatment
from causalformula.inference.estimate import Estimate, stack
from causalformula.inference.evidence import Exactly, Influence
from causalformula.inference.scales import Measure, read_measure
from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array

# The means of the outcome under settings of the treatment, over rows weighted by the target (n,).
Means = Callable[[Sequence[Setting], Array], Estimate]
# The average derivative in a dose, over rows weighted by the target.
Slope = Callable[[Contrast, Array], Estimate]
Refine = Callable[[Answer, Sequence[Contrast], Array], Answer]


@dataclass(frozen=True, eq=False)
class PotentialMeans:
    """What a method's mean potential outcomes answer.

    Parameters
    ----------
    frame : ModelFrame
    options : Options
        Contrast, measure and estimand.
    means : callable
        ``(settings, target) -> Estimate``: a mean for each setting of the treatment, over rows with these weights.
    target : ndarray (n,), optional
        Weights of the target population, sampling weights included; those of the estimand where not given.
    binomial : bool
        Whether the means are probabilities by construction.
    slope : callable, optional
        ``(contrast, target) -> Estimate``: the average derivative in a dose, for methods that have one.
    no_groups : str
        Why there are no effects by group, and what has them; empty where there are.
    no_means : str
        Why a mean by itself has no standard error, so that only effects are answered; empty where it has.
    refine : callable, optional
        What the design adds to the answer on effects (its own degrees of freedom), by the weights of the target.
    origin : float
        What ``means`` are counted from: differences of outcomes far from zero keep their digits.
    """

    frame: ModelFrame
    options: Options
    means: Means
    target: Array | None = None
    binomial: bool = False
    slope: Slope | None = None
    no_groups: str = ""
    no_means: str = ""
    refine: Refine | None = None
    origin: float = 0.0

    def answer(self, query: Query) -> Answer:
        """Effects or means, over the target population or by group.

        Raises
        ------
        CapabilityError
            For a query that the method has no answer to.
        DataError
            If no row of the target population is in any group.
        """
        self.refuse(query)
        target = target_weights(self.frame, self.options) if self.target is None else self.target
        if query.by is None:
            return self._over(query, target)
        parts = []
        for k, level in enumerate(query.by.levels):
            inside = np.where(query.by.codes == k, target, 0.0)
            if inside.any():
                parts.append(with_labels(self._over(query, inside), ((query.by.name, level),)))
        return joined(parts, query.by.name)

    def refuse(self, query: Query) -> None:
        """A ``CapabilityError`` for a query that the method has no answer to."""
        if query.kind not in ("effects", "means"):
            raise CapabilityError(f"this method has no answer to a query of kind {query.kind!r}")
        if query.kind == "means" and self.no_means:
            raise CapabilityError(self.no_means)
        if query.by is not None and self.no_groups:
            raise CapabilityError(self.no_groups)

    def _over(self, query: Query, target: Array) -> Answer:
        treatment = self.frame.the_treatment
        if query.kind == "means":
            return means_answer(treatment, self._whole(self.means(settings(treatment), target)))
        compared = self.compared()
        if compared[0].slope:
            return self._slope(compared[0], target)
        wanted = unique_settings(compared)
        found = self.means(wanted, target)
        if self.options.measure != "difference":
            found = self._whole(found)
        answer = effects_answer(treatment, compared, wanted, found, self.options.scale, self.binomial)
        return answer if self.refine is None else self.refine(answer, compared, target)

    def compared(self) -> list[Contrast]:
        """The comparisons that are asked for."""
        treatment = self.frame.the_treatment
        used = self.frame.sampled if treatment.kind is Kind.CONTINUOUS else None
        return contrasts(treatment, self.options.contrast, used)

    def _whole(self, means: Estimate) -> Estimate:
        """Means counted from zero."""
        return replace(means, theta=means.theta + self.origin) if self.origin else means

    def _slope(self, item: Contrast, target: Array) -> Answer:
        if self.options.measure != "difference":
            raise OptionError("contrast='slope' is a derivative; it has measure='difference' only")
        if self.slope is None:
            raise OptionError("contrast='slope' needs a model of the outcome that is smooth in the dose")
        label = Label(self.frame.the_treatment.name, item.label(self.options.scale))
        found = self.slope(item, target)
        return Answer(Estimate((str(label),), found.theta, found.evidence), (label,), self.options.scale)


def joined(parts: Sequence[Answer], name: str) -> Answer:
    """The answers of groups of a column as one.

    Raises
    ------
    DataError
        If there is none.
    """
    if not parts:
        raise DataError(f"no row of the target population has a value of {name!r}")
    together = stack([part.estimate for part in parts])
    return Answer(together, tuple(label for part in parts for label in part.labels), parts[0].measure)


def means_answer(treatment: Treatment, means: Estimate) -> Answer:
    """Mean potential outcomes as an answer, one row a level."""
    labels = tuple(Label(treatment.name, name) for name in means.names)
    named = Estimate(tuple(str(label) for label in labels), means.theta, means.evidence)
    return Answer(named, labels, read_measure("difference"))


def effects_answer(
    treatment: Treatment,
    compared: Sequence[Contrast],
    wanted: Sequence[Setting],
    means: Estimate,
    measure: Measure,
    binomial: bool,
) -> Answer:
    """Compare means two by two on the measure's working scale."""
    place = {setting.key: k for k, setting in enumerate(wanted)}
    high = np.array([place[c.high.key] for c in compared])
    low = np.array([place[c.low.key] for c in compared])
    measure.check(means.theta, binomial)
    up, down = measure.gradient(means.theta[high], means.theta[low])
    jac = np.zeros((len(compared), len(wanted)))
    rows = np.arange(len(compared))
    np.add.at(jac, (rows, high), up)
    np.add.at(jac, (rows, low), down)
    labels = tuple(Label(treatment.name, c.label(measure)) for c in compared)
    names = [str(label) for label in labels]
    estimate = means.map(lambda theta: measure.function(theta[high], theta[low]), jac, names)
    return Answer(estimate, labels, measure)


def averaged(
    names: Sequence[str],
    scores: Array,
    target: Array,
    stages: tuple[Stage, ...],
    jac: Array,
    share: Array | None = None,
    exactly: Exactly | None = None,
) -> Estimate:
    """Weighted averages of scores that depend on fitted stages: ``theta = sum_i t_i s_i / sum_i t_i h_i``.

    Parameters
    ----------
    scores : ndarray (n, q)
        Uncentred.
    target : ndarray (n,)
        The weights t.
    stages : tuple of Stage
    jac : ndarray (q, P)
        Derivatives of the averages in all stages' parameters.
    share : ndarray (n,), optional
        The part h of each row in the population that is averaged over; one where not given.
    exactly : Exactly, optional
        Rows that the outcome model fits exactly, and what moves with their errors.

    Returns
    -------
    Estimate
        Its influence has the averages' own part in every variance; it has no root, so its tests are z and no
        covariance adjusts it by leverage.
    """
    h = np.ones(len(target)) if share is None else share
    total = target @ h
    theta = target @ scores / total
    direct = len(target) * target[:, None] * (scores - h[:, None] * theta) / total
    evidence = Influence(stages, jac, len(target), direct, always=True, held=not stages, exactly=exactly)
    return Estimate(tuple(names), theta, evidence)
