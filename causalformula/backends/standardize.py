"""Standardisation (g-computation): from a fitted outcome model to mean potential outcomes and effects.

With ``m(a, x; beta)`` the outcome model and ``t`` the target's weights,
``mu_a = sum_i t_i m(a, x_i; beta) / sum_i t_i``. The influence of ``mu_a`` is that of beta through
``d mu_a / d beta`` and the averages' own term ``n t_i (m_i - mu_a) / sum t``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from causalformula.backends.aliased import raise_aliased
from causalformula.backends.contrasts import Contrast, Setting, contrasts, settings, unique_settings
from causalformula.backends.fit import Answer, Label, Query, with_labels
from causalformula.backends.options import Options
from causalformula.backends.sensitivity import Sensitivity
from causalformula.errors import DataError, OptionError, some
from causalformula.frame.counterfactual import Counterfactual
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind, Treatment
from causalformula.inference.estimate import Estimate, stack
from causalformula.inference.evidence import Influence
from causalformula.inference.regression import FittedRegression
from causalformula.inference.scales import Measure, read_measure
from causalformula.inference.stage import Stage, influence_weights
from causalformula.numerics.arrays import Array, Codes

# Predictions that differ by this share of themselves do not differ.
ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class Surface:
    """A fitted outcome model over a frame: answers any query by standardisation.

    Parameters
    ----------
    model : FittedRegression
    frame : ModelFrame
    part : hashable
        Which of the frame's designs the model was fitted to.
    options : Options
    estimand : str
    base : ndarray (n,), optional
        The target's weights, where they are not those of the estimand's arms.
    moving : mapping
        Derivatives of ``base`` in the earlier stages' parameters: with the covariates' own sampling, part of
        unconditional variances only.
    """

    model: FittedRegression
    frame: ModelFrame
    part: Any
    options: Options
    estimand: str
    base: Array | None = None
    moving: Mapping[str, Sensitivity] = field(default_factory=dict)

    def stages(self) -> tuple[Stage, ...]:
        """The stacked equations, the outcome model last."""
        return (*self.model.earlier, self.model.stage())

    def answer(self, query: Query) -> Answer:
        """Effects or means, over the target population or by group."""
        stages = self.stages()
        target = self.base
        if target is None:
            target = target_weights(self.frame, self.estimand, self.options.focal)
        if query.by is None:
            return self._one(query, stages, target)
        parts = []
        for k, level in enumerate(query.by.levels):
            inside = np.where(query.by.codes == k, target, 0.0)
            if not inside.any():
                continue
            parts.append(with_labels(self._one(query, stages, inside), ((query.by.name, level),)))
        if not parts:
            raise DataError(f"no row of the target population has a value of {query.by.name!r}")
        joined = stack([p.estimate for p in parts])
        return Answer(joined, tuple(label for p in parts for label in p.labels), parts[0].measure)

    def _one(self, query: Query, stages: tuple[Stage, ...], target: Array) -> Answer:
        treatment = self.frame.the_treatment
        if query.kind == "means":
            return means_answer(treatment, self.means(settings(treatment), stages, target))
        compared = contrasts(treatment, self.options.contrast, self.frame.sampled)
        if compared[0].slope:
            return self._slope(compared[0], stages, target)
        wanted = unique_settings(compared)
        means = self.means(wanted, stages, target)
        return effects_answer(treatment, compared, wanted, means, self.options.scale, self.binomial)

    @property
    def binomial(self) -> bool:
        """Whether predictions are probabilities by construction."""
        return self.model.family.name in ("binomial", "quasibinomial")

    def means(self, wanted: Sequence[Setting], stages: tuple[Stage, ...], target: Array) -> Estimate:
        """Mean potential outcomes with their influence."""
        n, total = len(target), target.sum()
        theta, rows, direct = [], [], []
        for setting in wanted:
            change = self.frame.counterfactual(self.part, setting.key, setting.column)
            eta = shifted_predictor(self.model, change)
            m = self.model.family.linkinv(eta)
            mu = float(target @ m / total)
            gradient = mean_gradient(self.model, change, target * self.model.family.mu_eta(eta) / total)
            theta.append(mu)
            rows.append(gradient)
            direct.append(n * target * (m - mu) / total + self._moved(stages, target, m - mu))
        jac = np.array(rows)
        self._identified(jac, wanted)
        jac = self._padded(stages, jac)
        evidence = Influence(stages, jac, n, np.column_stack(direct))
        return Estimate(tuple(s.label for s in wanted), np.array(theta), evidence)

    def _padded(self, stages: tuple[Stage, ...], gradients: Array) -> Array:
        """Gradients in the outcome model's coefficients as Jacobians in all stages' parameters."""
        before = sum(stage.size for stage in stages[:-1])
        return np.hstack([np.zeros((len(gradients), before)), gradients[:, self.model.kept]])

    def _moved(self, stages: tuple[Stage, ...], target: Array, gap: Array) -> Array | float:
        """Influence (n,) of the stages that the target's weights come from on a target average."""
        inside = np.where(target != 0, gap, 0.0) / target.sum()
        if not self.moving or np.abs(inside).max() <= ROUNDING * np.abs(gap).max():
            return 0.0
        before = stages[:-1]
        parts = [self.moving[s.name].total(inside) if s.name in self.moving else np.zeros(s.size) for s in before]
        weights = influence_weights(before, np.concatenate(parts)[None, :], expected=False, fixed=False)
        moved = sum(stage.project(w, None) for stage, w in zip(before, weights, strict=True))
        return np.asarray(len(target) * moved[:, 0])  # type: ignore[index]

    def _slope(self, item: Contrast, stages: tuple[Stage, ...], target: Array) -> Answer:
        """Average derivative in the dose: the predictor is linear in it, so one unit's change is its slope."""
        model, n, total = self.model, len(target), target.sum()
        change = self.frame.counterfactual(self.part, item.high.key, item.high.column)
        X, columns, rise, beta = _risen(model, change)
        s = rise @ beta
        d1, d2 = model.family.mu_eta(model.eta), model.family.mu_eta2(model.eta)
        each = d1 * s
        value = float(target @ each / total)
        gradient = (target * d2 * s / total) @ X
        gradient[columns] += (target * d1 / total) @ rise
        self._identified(gradient[None, :], [item.high])
        jac = self._padded(stages, gradient[None, :])
        direct = (n * target * (each - value) / total + self._moved(stages, target, each - value))[:, None]
        label = Label(self.frame.the_treatment.name, item.label(self.options.scale))
        if self.options.measure != "difference":
            raise OptionError("contrast='slope' is a derivative; it has measure='difference' only")
        estimate = Estimate((str(label),), np.array([value]), Influence(stages, jac, n, direct))
        return Answer(estimate, (label,), self.options.scale)

    def _identified(self, gradients: Array, wanted: Sequence[Setting]) -> None:
        """Refuse an effect whose coefficients cannot be told apart from other terms."""
        good = self.model.estimable(gradients)
        if not good.all():
            raise_aliased(self.model, self.frame, self.frame.design(self.part), gradients)


def shifted_predictor(model: FittedRegression, change: Counterfactual) -> Array:
    """Linear predictor under a setting: only the columns that change are multiplied again."""
    _, _, rise, beta = _risen(model, change)
    return np.asarray(model.eta + rise @ beta)


def _risen(model: FittedRegression, change: Counterfactual) -> tuple[Array, Codes, Array, Array]:
    """The columns as solved, those that change under a setting, by how much (n, c), and their coefficients (c,)."""
    if model.solved is None:
        beta = np.nan_to_num(model.coef)[change.columns]
        return model.X, change.columns, change.values - model.X[:, change.columns], beta
    X = model.as_solved(model.X)
    rise = model.as_solved(change.apply(model.X)) - X
    return X, np.arange(X.shape[1]), rise, np.nan_to_num(model.solved.coef)


def mean_gradient(model: FittedRegression, change: Counterfactual, u: Array) -> Array:
    """``X_a' u`` (p,) for the design under a setting, its columns as they were solved."""
    if model.solved is not None:
        return np.asarray(u @ model.as_solved(change.apply(model.X)))
    gradient = np.asarray(u @ model.X)
    gradient[change.columns] = u @ change.values
    return gradient


def target_weights(frame: ModelFrame, estimand: str, focal: Any = None) -> Array:
    """Weights of the population that the estimand averages over (sampling weights included).

    ATE: everyone. ATT: the treated, or the focal level. ATC: the reference level, or the focal level.

    Raises
    ------
    OptionError
        ATT or ATC of a dose; ATT of several levels without ``focal``.
    """
    base = frame.unit_weights
    treatment = frame.treatment
    if estimand == "ATE" or treatment is None:
        return base
    if treatment.kind is Kind.CONTINUOUS:
        raise OptionError(f"estimand={estimand!r} needs arms; {treatment.name!r} is a dose, so only the ATE is defined")
    if focal is not None:
        level = treatment.index(focal)
    elif treatment.kind is Kind.MULTI and estimand == "ATT":
        raise OptionError(
            "estimand='ATT' with several levels needs focal=, the level whose units are the target: "
            f"{some(treatment.levels)}"
        )
    else:
        level = 1 if estimand == "ATT" else 0
    return np.where(treatment.codes == level, base, 0.0)


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
