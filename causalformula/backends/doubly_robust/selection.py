"""Effects after a lasso has selected the controls, on all rows: linear ones, and averages of augmented means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from causalformula.backends.contrasts import step_between
from causalformula.backends.doubly_robust.dml_models import asked, received
from causalformula.backends.doubly_robust.dml_options import PARTIAL
from causalformula.backends.estimands import ATE
from causalformula.backends.fit import Answer, DesignWeights, Fit, Fitted, Label, Query
from causalformula.backends.learning.table import Features, features
from causalformula.backends.orthogonal.augmented import learned_means
from causalformula.backends.orthogonal.fitted import scored_design, thin
from causalformula.backends.orthogonal.nuisances import (
    COVARIATES,
    LEARNED_BOUNDS,
    CrossFitOptions,
    CrossFitted,
    bounded,
)
from causalformula.backends.orthogonal.scores import refuse_explained
from causalformula.backends.outcomes import PotentialMeans
from causalformula.backends.separation import apart_on
from causalformula.backends.target import target_arm
from causalformula.errors import CapabilityError, OptionError, counted, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.frame.treatment import Kind
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.linear import fit_linear
from causalformula.inference.regression import FittedRegression
from causalformula.inference.stage import Hat, Stage
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.rlasso import POST, RLasso, first_residuals, rlasso, rlasso_logit

SHOWN = 10
# hdm's ATE has half the penalty of its ATT and its LATE on the propensity, as what they select shows.
HALF = POST / 2
_IDLE = ("outcome_model", "treatment_model", "folds", "repeats", "seed")


@dataclass(frozen=True, eq=False)
class Selection:
    """What a lasso keeps of the controls of one equation.

    Parameters
    ----------
    target : str
        The outcome or the treatment, in words.
    found : Features
    fit : RLasso
    """

    target: str
    found: Features
    fit: RLasso

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are kept."""
        return tuple(name for name, kept in zip(self.found.names, self.fit.selected, strict=True) if kept)

    @property
    def words(self) -> str:
        """How many were kept, and which."""
        share = f"Selected for the {self.target}: {len(self.names)} of {counted(len(self.found.names), 'control')}"
        return share + (f" ({some(self.names, SHOWN)})" if self.names else "")


def post_lasso(target: str, found: Features, y: Array, rows: Bools | None = None) -> Selection:
    """The lasso of hdm's effects, whose first residuals are not centred."""
    X, v = (found.design, y) if rows is None else (found.design[rows], y[rows])
    return Selection(target, found, rlasso(X, v, start=first_residuals(X, v, centred=False)))


def select(frame: ModelFrame, options: Any) -> tuple[Selection, Selection]:
    """Controls that predict the outcome, and those that predict the treatment."""
    _refuse(frame, options)
    return (
        post_lasso("outcome", features(frame, COVARIATES), frame.y),
        post_lasso("treatment", features(frame, PROPENSITY), received(frame)),
    )


def _refuse(frame: ModelFrame, options: Any) -> None:
    """What selection on all rows has no use for."""
    model = options.model
    if frame.weights is not None:
        raise CapabilityError(
            f"model={model!r} has no place for weights, of the formula or of a bootstrap, in the penalty of its lasso; "
            "use model='plr' or 'irm' with outcome_model='lasso' and treatment_model='lasso'"
        )
    if options.outcome_family.name != "gaussian":
        raise OptionError(
            f"model={model!r} selects by linear regressions, so family='gaussian'; model='irm' with "
            "outcome_model='rlasso' has a logistic one"
        )
    for name in _IDLE:
        if getattr(options, name) not in (getattr(CrossFitOptions, name), "rlasso"):
            raise OptionError(
                f"{name}= is of cross-fitted learners, and model={model!r} selects by 'rlasso' on all rows; use "
                "model='plr' or 'irm', whose learners may be 'rlasso' too"
            )


@dataclass(frozen=True, eq=False)
class OneEffect:
    """An effect over everyone, and nothing else.

    Parameters
    ----------
    found : Answer
    model : str
    """

    found: Answer
    model: str

    @property
    def no_groups(self) -> str:
        """Why there are no effects by group."""
        return f"model={self.model!r} has one effect over everyone; model='plr' has them by group"

    def answer(self, query: Query) -> Answer:
        """The effect.

        Raises
        ------
        CapabilityError
            For means, or groups.
        """
        if query.kind != "effects":
            raise CapabilityError(f"model={self.model!r} has no mean potential outcomes; model='selected_irm' has them")
        if query.by is not None:
            raise CapabilityError(self.no_groups)
        return self.found


# ---- linear effects --------------------------------------------------------------------------------------------------


def partialling_out(frame: ModelFrame, options: Any) -> Fit:
    """What selected controls leave of the outcome, on what they leave of the treatment.

    ``alpha = v'u / v'v`` with post-lasso residuals u of the outcome and v of the treatment. hdm's standard error takes
    the last regression as it is: equal variances, n - 2 degrees of freedom.

    References
    ----------
    Chernozhukov, Hansen and Spindler (2015, 2016). R: ``hdm::rlassoEffect(method = "partialling out")``.
    """
    outcome, treatment = select(frame, options)
    v = treatment.fit.residuals
    refuse_explained(v[:, None], received(frame), frame.unit_weights, frame.the_treatment.name)
    effect = _Effect(outcome.fit.residuals, v, 2, frame.n - 2)
    default = ("classical", "equal variances, as in hdm")
    return _linear(frame, options, effect, "partialling out by post-lasso", (outcome, treatment), default)


def double_selection(frame: ModelFrame, options: Any) -> Fit:
    """Least squares with every control that predicts the outcome or the treatment.

    hdm's standard error is HC1 that counts the controls and the intercept, and not the treatment.

    References
    ----------
    Belloni, Chernozhukov and Hansen (2014). R: ``hdm::rlassoEffect(method = "double selection")``.
    """
    outcome, treatment = select(frame, options)
    columns = {
        name: each.found.design[:, j]
        for each in (outcome, treatment)
        for j, name in enumerate(each.found.names)
        if each.fit.selected[j]
    }
    names, d = tuple(columns), received(frame)
    controls = np.column_stack([np.ones(frame.n), *columns.values()])
    v, u = (fit_linear(controls, x, ("(Intercept)", *names)).hat.e for x in (d, frame.y))
    refuse_explained(v[:, None], received(frame), frame.unit_weights, frame.the_treatment.name)
    model = fit_linear(np.insert(controls, 1, d, axis=1), frame.y, ("(Intercept)", frame.the_treatment.name, *names))
    rank = model.rank - 1
    effect = _Effect(u, v, rank, frame.n - rank - 1, model.hat.leverage())
    default = ("HC1", "unequal variances, as in hdm")
    return _linear(frame, options, effect, "double selection by lasso", (outcome, treatment), default, model)


@dataclass(frozen=True, eq=False)
class _Effect:
    """A regression of residuals on residuals.

    Parameters
    ----------
    u, v : ndarray (n,)
        Of the outcome and of the treatment.
    rank : int
        Parameters that a robust variance counts.
    df : int
        Residual degrees of freedom.
    h : ndarray (n,), optional
        Leverages, where the controls have their part in them.
    """

    u: Array
    v: Array
    rank: int
    df: int
    h: Array | None = None

    def estimate(self, name: str, size: float) -> Estimate:
        """The coefficient times the size of the step that is asked for; what was selected counts as known."""
        square = float(self.v @ self.v)
        alpha = float(self.v @ self.u) / square
        e = self.u - alpha * self.v
        dispersion = float(e @ e) / self.df if self.df > 0 else np.nan
        n = len(e)
        hat = Hat(
            self.v[:, None], np.ones(n), e, np.array([[1 / square]]), dispersion, float(self.df), False, n,
            h=self.h, k=self.rank,
        )  # fmt: skip
        stage = Stage("effect", (name,), np.array([alpha]), np.array([[square]]), hat=hat, canonical=True)
        return Estimate((name,), np.array([alpha * size]), Influence((stage,), np.array([[size]]), n, rooted=True))


def _linear(
    frame: ModelFrame,
    options: Any,
    effect: _Effect,
    words: str,
    chosen: tuple[Selection, ...],
    default: tuple[str, str],
    model: FittedRegression | None = None,
) -> Fit:
    compared = asked(frame, options)
    label = Label(frame.the_treatment.name, compared.label(options.scale))
    vcov, because = default
    answer = Answer(effect.estimate(str(label), step_between(compared)), (label,))
    return Fit(
        answer=answer,
        estimand=PARTIAL,
        design=DesignWeights(np.ones(frame.n), vcov=vcov, because=because),
        method=f"{words}; the selection counts as given",
        outcomes=OneEffect(answer, options.model),
        models={} if model is None else {"outcome": Fitted(model)},
        told=tuple(each.words for each in chosen),
    )


# ---- averages --------------------------------------------------------------------------------------------------------


def selected_irm(frame: ModelFrame, options: Any) -> Fit:
    """Augmented means whose outcome means, arm by arm, and propensities are post-lasso regressions of all rows.

    hdm's standard error of the ATT is that of scores which leave out ``- D theta / P(D = 1)``; ours has it, and is
    smaller.

    References
    ----------
    Belloni, Chernozhukov, Fernandez-Val and Hansen (2017). R: ``hdm::rlassoATE``, ``hdm::rlassoATET``.
    """
    from scipy.special import expit

    _refuse(frame, options)
    treatment = frame.the_treatment
    if treatment.kind is not Kind.BINARY:
        raise CapabilityError(f"model={options.model!r} needs a treatment of two levels; model='irm' takes several")
    surface, scores = features(frame, COVARIATES), features(frame, PROPENSITY)
    arms = [
        post_lasso(f"outcome at {treatment.name} = {level}", surface, frame.y, treatment.codes == a)
        for a, level in enumerate(treatment.levels)
    ]
    logit = rlasso_logit(scores.design, received(frame), c=HALF if options.estimand == ATE else POST)
    chosen = Selection("treatment", scores, logit)
    p = expit(logit.predictor(scores.design))
    m = np.column_stack([arm.fit.predictor(surface.design) for arm in arms])
    bounds, arm = options.bounds or LEARNED_BOUNDS, target_arm(frame, options)
    P, _, notes = bounded(frame, np.column_stack([1 - p, p]), bounds, arm=arm)
    design = scored_design(frame, options, np.column_stack([1 - p, p]), P)
    means = partial(learned_means, frame, options, CrossFitted(m, P))
    outcomes = PotentialMeans(frame, options, means, frame.unit_weights)
    return Fit(
        answer=outcomes.answer(Query()),
        estimand=str(options.estimand),
        design=design,
        method="augmented means of post-lasso regressions",
        outcomes=outcomes,
        notes=(*notes, *(apart_on(frame, p) if logit.selected.any() else ()), *thin(frame, design)),
        told=tuple(each.words for each in (*arms, chosen)),
    )
