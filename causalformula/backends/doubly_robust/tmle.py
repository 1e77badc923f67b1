"""Targeted maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from causalformula.backends.contrasts import Setting
from causalformula.backends.doubly_robust.targeting import Fluctuation, Targeted
from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.fit import Fit
from causalformula.backends.options import flag, is_number, one_of, shown
from causalformula.backends.orthogonal.fitted import doubly_robust_fit, fitted_exactly, target_share, weights_of
from causalformula.backends.orthogonal.nuisances import CrossFitted, NuisanceOptions, Stacked, nuisances, resampled
from causalformula.backends.orthogonal.repeated import RepeatedOutcomes
from causalformula.backends.outcomes import PotentialMeans, averaged
from causalformula.backends.propensity import estimand_weights
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.standardize import mean_gradient, shifted_predictor
from causalformula.backends.target import target_arm
from causalformula.errors import DataError, IdentificationError, OptionError, counted
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.estimate import Estimate
from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array
from causalformula.words import FluctuationWord

PATHS = ("logistic", "linear")


@dataclass(frozen=True, kw_only=True)
class TMLE(NuisanceOptions):
    """Options of ``method="tmle"``: two GLMs, or learners by name or scikit-learn objects, cross-fitted.

    Parameters
    ----------
    outcome_model, treatment_model, model, link, folds, repeats, seed
        As in ``NuisanceOptions``.
    interact : bool
        False, as in R's ``Qform = "Y ~ A + W"``: the treatment is one term of the outcome's GLM. True crosses it with
        all others, ``"Y ~ A * (W)"``.
    bounds : pair of numbers, optional
        Propensities, of either arm, are moved to within these, and counted: R's ``gbound``. Where not given from
        ``5 / (sqrt(n) log n)``, or equal shares if these are less, to 1, for every arm's own.
    fluctuation : {"logistic", "linear"}
        The path of the targeted step: on the logit of the outcome, scaled to [0, 1] by its range, or on its own scale.
    alpha : float
        Initial means that are scaled to [0, 1] are kept within ``1 - alpha`` and ``alpha``.
    target_gwt : bool
        Whether inverse propensities are weights of the targeted step, as by default in R; False makes them its
        covariate.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """

    each_arm: ClassVar[bool] = True

    interact: bool = False
    fluctuation: FluctuationWord = "logistic"
    alpha: float = 0.9995
    target_gwt: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("fluctuation", self.fluctuation, PATHS)
        flag("target_gwt", self.target_gwt)
        if not is_number(self.alpha) or not 0.5 < self.alpha < 1:
            raise OptionError(
                f"alpha={shown(self.alpha)}: a number between 0.5 and 1 that bounds initial means, such as 0.9995; the "
                "level of intervals is of the reading, as in fit.tidy(level=0.9)"
            )
        if self.fluctuation == "linear" and self.alpha != TMLE.alpha:
            raise OptionError("alpha= bounds means on the logit scale; fluctuation='linear' has none")


def tmle_fit(frame: ModelFrame, options: TMLE) -> Fit:
    """Both nuisance functions, and the averages of the targeted means."""
    found = nuisances(frame, options if options.bounds else replace(options, bounds=default_bounds(frame)))
    path = fluctuation(frame, options)
    outcomes = RepeatedOutcomes.of([potential(frame, options, part, path) for part in found.each])
    words = f"targeted maximum likelihood ({found.words}; {options.fluctuation} fluctuation)"
    return doubly_robust_fit(frame, options, found, outcomes, words)


def default_bounds(frame: ModelFrame) -> tuple[float, float]:
    """From ``5 / (sqrt(n) log n)`` to 1, as in R's tmle; in the smallest samples from equal shares."""
    n = float(frame.sampled.sum())
    return min(5 / (np.sqrt(n) * np.log(n)), 1 / len(frame.the_treatment.levels)), 1.0


def fluctuation(frame: ModelFrame, options: TMLE) -> Fluctuation:
    """The path of the targeted step, between the least and the greatest outcome."""
    y = frame.outcome_for(options.outcome_family)[frame.sampled]
    low, high = (0.0, 1.0) if _binomial(options) else (float(y.min()), float(y.max()))
    return Fluctuation(low, high, options.alpha, options.fluctuation == "logistic", options.target_gwt)


def _binomial(options: TMLE) -> bool:
    return options.outcome_family.name in ("binomial", "quasibinomial")


def potential(frame: ModelFrame, options: TMLE, part: Stacked | CrossFitted, path: Fluctuation) -> PotentialMeans:
    """What the targeted means answer, over the target population and its groups, each of which is targeted anew."""
    means = (
        partial(_stacked_means, frame, options, part, path)
        if isinstance(part, Stacked)
        else partial(_learned_means, frame, options, part, path)
    )
    return PotentialMeans(frame, options, means, frame.unit_weights, path.logistic and _binomial(options))


def _step(
    frame: ModelFrame, path: Fluctuation, setting: Setting, initial: Array, H: Array, target: Array, y: Array
) -> tuple[Targeted, Array]:
    """The targeted means of an arm, and the weights (n,) of its rows in its equation."""
    treatment = frame.the_treatment
    s = np.where(treatment.codes == setting.key, target, 0.0)
    where = f"at {treatment.name} = {setting.label}"
    if not s.any():
        raise DataError(f"no row {where} in what is averaged over, so there is nothing to target its mean with")
    if not np.isfinite(H).all():
        rows = counted(int((~np.isfinite(H)).sum()), "row")
        raise IdentificationError(f"{rows} with a propensity of 0 {where}, which has no inverse; give bounds= above 0")
    return path.step(y, initial, H, s, where), s


@dataclass(frozen=True, eq=False)
class _Arm:
    """One arm's part of the stacked equations.

    Parameters
    ----------
    scores : ndarray (n,)
        Augmented, at the targeted means.
    jac : ndarray
        Of their average in the parameters of both models, what goes through the step included.
    equation : ndarray (n,)
        The step's.
    information : float
        Its derivative in epsilon, the sign turned.
    along : float
        Derivative of the average in epsilon.
    epsilon : float
    own : ndarray (n,)
        Derivatives in the rows' outcomes, the step included, beside those by the initial means.
    """

    scores: Array
    jac: Array
    equation: Array
    information: float
    along: float
    epsilon: float
    own: Array


def _stacked_means(
    frame: ModelFrame, options: TMLE, part: Stacked, path: Fluctuation, wanted: Sequence[Setting], target: Array
) -> Estimate:
    """Averages of the augmented scores at the targeted means, whose second part is zero."""
    share, names = target_share(frame, options), tuple(setting.label for setting in wanted)
    arms = [_arm(frame, options, part, path, setting, target, share) for setting in wanted]
    step = Stage(
        "fluctuation",
        names,
        np.array([arm.epsilon for arm in arms]),
        np.diag([arm.information for arm in arms]),
        np.column_stack([arm.equation for arm in arms]),
    )
    assert part.propensity.stage is not None
    stages = (part.propensity.stage, part.outcome.stage(), step)
    total = target @ share
    jac = np.hstack([np.array([arm.jac for arm in arms]), np.diag([arm.along for arm in arms])]) / total
    by_means = jac[:, stages[0].size : -step.size]
    exactly = fitted_exactly(part.outcome, by_means, np.column_stack([arm.own for arm in arms]) / total)
    return averaged(names, np.column_stack([arm.scores for arm in arms]), target, stages, jac, share, exactly)


def _arm(
    frame: ModelFrame, options: TMLE, part: Stacked, path: Fluctuation, setting: Setting, target: Array, share: Array
) -> _Arm:
    """The targeted mean of one arm as a sum.

    With what it owes to both models through the step, so that the step's equation stands by itself.
    """
    model = part.outcome
    change = frame.counterfactual(part.part, setting.key, setting.column)
    eta = shifted_predictor(model, change)
    codes = np.full(frame.n, int(setting.key))
    H, moves = weights_of(part, codes, str(options.estimand), target_arm(frame, options), target)
    new, s = _step(frame, path, setting, model.family.linkinv(eta), H, target, model.y)
    gap, whole, inside = model.y - new.m, target * share, s * H
    information, along = float(inside @ new.along), float((whole - inside) @ new.along)
    through = along / information
    u = whole - (1 + through) * inside
    by_weights = moves.total((1 + through) * s * gap + u * new.covariate)
    by_means = mean_gradient(model, change, u * new.initial * model.family.mu_eta(eta))
    return _Arm(
        share * new.m + np.where(s > 0, H, 0.0) * gap,
        np.concatenate([by_weights, model.jacobian(by_means)]),
        inside * gap,
        information,
        along,
        new.epsilon,
        (1 + through) * inside,
    )


def _learned_means(
    frame: ModelFrame, options: TMLE, part: CrossFitted, path: Fluctuation, wanted: Sequence[Setting], target: Array
) -> Estimate:
    """The same from nuisances of other folds; the step is one for all folds."""
    share, y, arm = target_share(frame, options), frame.outcome_for(options.outcome_family), target_arm(frame, options)
    scores = []
    for setting in wanted:
        H, _ = estimand_weights(part.P, np.full(frame.n, int(setting.key)), str(options.estimand), arm, target)
        new, s = _step(frame, path, setting, part.m[:, int(setting.key)], H, target, y)
        scores.append(share * new.m + np.where(s > 0, H, 0.0) * (y - new.m))
    names = [setting.label for setting in wanted]
    return averaged(names, np.column_stack(scores), target, (), np.zeros((len(wanted), 0)), share)


@Record(
    name="tmle",
    options=TMLE,
    treatments={Kind.BINARY, Kind.MULTI},
    estimands=(ATE, ATT, ATC),
    roles=MODELLED,
    r="tmle::tmle(Y, A, W, Qform = 'Y ~ A + W', gform = 'A ~ W', cvQinit = FALSE)",
    summary="targeted maximum likelihood, doubly robust, by GLMs or cross-fitted learners",
    title="Targeted maximum likelihood",
    estimate=None,
    face="causalformula.results.families.learned:LearnedResult",
    resampled=resampled,
    exempt={
        "singleton_clusters": "no regression is the root, so there is no leverage to adjust by",
        "groups_average": "each group is targeted by itself, so that its own mean is doubly robust too",
        "integer_weights": "the default bound on propensities is of the number of rows, as in R; with bounds= it holds",
    },
)
def tmle(frame: ModelFrame, options: TMLE) -> Fit:
    """Average effect by targeted maximum likelihood: right if either nuisance model is.

    The initial means ``m_a`` of each arm are moved along ``logit m_a* = logit m_a + epsilon_a`` (of the outcome scaled
    to [0, 1]), or ``m_a* = m_a + epsilon_a``, until ``sum_i s_i 1(A_i = a) w_i (y_i - m_a*(x_i)) = 0`` with the weights
    ``w`` of the estimand (``1 / e_a``, for the ATT ``e_f / e_a``). Then ``mu_a = sum_i s_i h_i m_a*(x_i) / sum_i s_i
    h_i`` over the rows ``h`` of its target, and the efficient score has mean zero. Means stay within the range of the
    outcome by the logistic path. A group of ``fit.by`` is targeted anew.

    Two GLMs and the step are stacked: the standard errors know their estimation, and
    ``vcov=cf.Asympt(weights="fixed")`` is the efficient influence function's, which R's tmle prints. Learners are
    cross-fitted, with one step for all folds (CV-TMLE), and count as known.

    Parameters
    ----------
    frame : ModelFrame
    options : TMLE

    Raises
    ------
    ConvergenceError
        Where all outcomes of an arm are at the same end of their range.
    DataError
        Where a learner fails, an arm is too small for the folds, or a group has no row of an arm.
    IdentificationError
        If the covariates predict the treatment perfectly, or a propensity is 0 and no bound moves it.

    References
    ----------
    van der Laan and Rubin (2006); Gruber and van der Laan (2010; 2012). R: tmle 2.0.1.1.
    """
    return tmle_fit(frame, options)
