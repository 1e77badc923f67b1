"""Standardisation (g-computation): from a fitted outcome model to mean potential outcomes and effects.

With ``m(a, x; beta)`` the outcome model and ``t`` the target's weights,
``mu_a = sum_i t_i m(a, x_i; beta) / sum_i t_i``. The influence of ``mu_a`` is that of beta through
``d mu_a / d beta`` and the averages' own term ``n t_i (m_i - mu_a) / sum t``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from causalformula.backends.aliased import raise_aliased
from causalformula.backends.contrasts import Contrast, Setting
from causalformula.backends.options import Options
from causalformula.backends.outcomes import PotentialMeans
from causalformula.backends.sensitivity import Sensitivity
from causalformula.errors import CapabilityError
from causalformula.frame.counterfactual import Counterfactual
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import Part
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.regression import FittedRegression
from causalformula.inference.sandwich.expanded import along
from causalformula.inference.stage import Stage, influence_weights
from causalformula.numerics.arrays import Array, Codes

# Measures that means need not be known for.
DIFFERENCES = ("difference", "nnt")
NO_MEANS = (
    "a mean outcome holds the absorbed fixed effects, whose errors are not kept, so that there are differences only; "
    "for few groups write factor(g) among the terms instead"
)
# Predictions that differ by this share of themselves do not differ.
ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class Surface:
    """A fitted outcome model over a frame: mean potential outcomes by standardisation.

    Parameters
    ----------
    model : FittedRegression
    frame : ModelFrame
    part : Part
        Which of the frame's designs the model was fitted to.
    options : Options
    base : ndarray (n,), optional
        The target's weights, where they are not those of the estimand's arms.
    moving : mapping
        Derivatives of ``base`` in the earlier stages' parameters: with the covariates' own sampling, part of
        unconditional variances only.
    """

    model: FittedRegression
    frame: ModelFrame
    part: Part
    options: Options
    base: Array | None = None
    moving: Mapping[str, Sensitivity] = field(default_factory=dict)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The stacked equations, the outcome model last: the same objects in every answer, so that answers stack."""
        return (*self.model.earlier, self.model.stage())

    def potential(self) -> PotentialMeans:
        """What the model's predictions answer, averaged over the target population."""
        held = self.model.absorbed is not None and self.model.linear
        if held and self.options.measure not in DIFFERENCES:
            raise CapabilityError(f"measure={self.options.measure!r}: {NO_MEANS}")
        return PotentialMeans(
            self.frame,
            self.options,
            self.means,
            self.base,
            self.binomial,
            self.slope,
            no_means=NO_MEANS if held else "",
            origin=self.model.origin,
        )

    @property
    def binomial(self) -> bool:
        """Whether predictions are probabilities by construction."""
        return self.model.family.name in ("binomial", "quasibinomial")

    def means(self, wanted: Sequence[Setting], target: Array) -> Estimate:
        """Mean potential outcomes, counted from the model's origin, with their influence."""
        stages = self.stages
        n, total = len(target), target.sum()
        theta, rows, direct, slopes = [], [], [], []
        for setting in wanted:
            m, change, d = self.predicted(setting)
            mu = float(target @ m / total)
            slope = target * d / total
            theta.append(mu)
            rows.append(mean_gradient(self.model, change, slope))
            slopes.append(slope)
            direct.append(n * target * (m - mu) / total + self._moved(stages, target, m - mu))
        jac = np.array(rows)
        self.identified(jac, wanted)
        stages, jac = self._with_effects(stages, self.padded(stages, jac), np.column_stack(slopes))
        evidence = Influence(stages, jac, n, np.column_stack(direct), rooted=True)
        return Estimate(tuple(s.label for s in wanted), np.array(theta), evidence)

    def predicted(self, setting: Setting) -> tuple[Array, Counterfactual, Array]:
        """Means (n,) under a setting, counted from the model's origin, what changes, and the slopes of the means."""
        change = self.frame.counterfactual(self.part, setting.key, setting.column)
        eta = shifted_predictor(self.model, change, self.model.origin)
        return self.model.family.linkinv(eta), change, self.model.family.mu_eta(eta)

    def padded(self, stages: tuple[Stage, ...], gradients: Array) -> Array:
        """Gradients in the outcome model's coefficients as Jacobians in all stages' parameters."""
        before = sum(stage.size for stage in stages[:-1])
        return np.hstack([np.zeros((len(gradients), before)), self.model.jacobian(gradients)])

    def _with_effects(self, stages: tuple[Stage, ...], jac: Array, slopes: Array) -> tuple[tuple[Stage, ...], Array]:
        """The stages with the directions of absorbed effects that functionals depend on, where these do not cancel."""
        if self.model.linear:
            return stages, jac
        last, jac = along(stages[-1], jac, slopes)
        return (*stages[:-1], last), jac

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

    def slope(self, item: Contrast, target: Array) -> Estimate:
        """Average derivative in the dose: the predictor is linear in it, so one unit's change is its slope."""
        n, total, stages = len(target), target.sum(), self.stages
        each, gradient, bent = self.rising(item, target, total)
        value = float(target @ each / total)
        self.identified(gradient[None, :], [item.high])
        stages, jac = self._with_effects(stages, self.padded(stages, gradient[None, :]), bent[:, None])
        direct = (n * target * (each - value) / total + self._moved(stages, target, each - value))[:, None]
        return Estimate(("dY/dX",), np.array([value]), Influence(stages, jac, n, direct, rooted=True))

    def rising(self, item: Contrast, target: Array, total: float) -> tuple[Array, Array, Array]:
        """Derivatives in the dose (n,), the gradient (p,) of their average, and its derivatives in predictors (n,)."""
        model = self.model
        change = self.frame.counterfactual(self.part, item.high.key, item.high.column)
        X, columns, rise, beta = _risen(model, change)
        s = rise @ beta
        d1, d2 = model.family.mu_eta(model.eta), model.family.mu_eta2(model.eta)
        bent = target * d2 * s / total
        gradient = bent @ (X if model.absorbed is None else model.absorbed.X)
        gradient[columns] += (target * d1 / total) @ rise
        return d1 * s, gradient, bent

    def identified(self, gradients: Array, wanted: Sequence[Setting]) -> None:
        """Refuse an effect whose coefficients cannot be told apart from other terms."""
        good = self.model.estimable(gradients)
        if not good.all():
            raise_aliased(self.model, self.frame, self.frame.design(self.part), gradients)


def shifted_predictor(model: FittedRegression, change: Counterfactual, origin: float = 0.0) -> Array:
    """Linear predictor under a setting, 0 or the model's ``origin`` taken: only columns that change are multiplied."""
    _, _, rise, beta = _risen(model, change)
    return np.asarray((model.counted if origin else model.eta) + rise @ beta)


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
    if model.absorbed is not None:
        # effects held: what they take from the columns stays as it is
        held = np.asarray(u @ model.absorbed.X)
        _, columns, rise, _ = _risen(model, change)
        held[columns] += u @ rise
        return held
    if model.solved is not None:
        return np.asarray(u @ model.as_solved(change.apply(model.X)))
    gradient = np.asarray(u @ model.X)
    gradient[change.columns] = u @ change.values
    return gradient
