"""The marginal sensitivity model: bounds of weighted and doubly robust effects, and where they reach no effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.options import Options, flag
from causalformula.backends.weighted_arms import WeightedArms, warm_weights, weighted_arms
from causalformula.errors import CapabilityError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.inference.checks import check_jobs, check_seed, is_whole
from causalformula.inference.refit import refit_each
from causalformula.inference.requests import Cluster
from causalformula.inference.resampling.requests import Bootstrap
from causalformula.inference.resampling.resample import bootstrap, order_statistics
from causalformula.inference.scales import Measure
from causalformula.inference.sensitivity.marginal import breakdown, crossing, outcome_quantiles
from causalformula.numerics.arrays import Array
from causalformula.results.effects.core import ResultCore
from causalformula.results.named import grouping_names
from causalformula.results.reading.reading import check_level
from causalformula.results.sensitivity.asked import factors, not_binary, not_the_effect
from causalformula.results.sensitivity.marginal_page import MarginalBounds

if TYPE_CHECKING:
    from causalformula.numerics.arrays import HasArray

GAMMAS = (1.0, 1.25, 1.5, 2.0, 3.0)
# Factors between 1 and the one that explains the estimate away, among which that of the interval is found.
STEPS = 24
# Where none does that, up to here.
FAR = 30.0
# Methods whose weights are those of a propensity model, for each estimand; of the rest the weights of one arm are odds.
INVERSE = ("ipw", "cbps", "ipt", "aipw")
ODDS = (*INVERSE, "ebal")
# With fewer rows in an arm for each term, quantiles of its outcome are fitted too closely.
ROWS_A_TERM = 10
AGREES = 1e-6
TAIL = (
    "beyond Gamma = {far:.3g} too few of an arm's {rows} rows lie above the quantiles of its outcome: sharp bounds are "
    "too narrow there; sharp=False gives wider ones"
)
# Replicates where none are asked for, and where each would learn both models anew.
REPS, NO_REPS = 999, 0


def marginal(
    result: ResultCore,
    *,
    gamma: float | Sequence[float] | HasArray | None = None,
    sharp: bool = True,
    level: float = 0.95,
    reps: int | None = None,
    seed: int | None = None,
    n_jobs: int | None = None,
) -> MarginalBounds:
    """Bounds of the effect when unmeasured confounders may change the odds of treatment by a factor.

    In the marginal sensitivity model (Tan 2006) the odds of treatment given all confounders lie within ``gamma`` times,
    and ``1 / gamma`` times, those given the observed ones. Each mean is bounded over all weights that this allows.

    Parameters
    ----------
    result : Result
    gamma : float or sequence of float, optional
        By default 1, 1.25, 1.5, 2 and 3; at 1 the bounds are the estimate itself.
    sharp : bool
        Only weights that leave the conditional quantiles of the outcome balanced, as the true ones do: the bounds of
        Dorn and Guo (2023), which are the least that the data allow where these quantiles are linear in the terms of
        the treatment model, and valid where they are not. Otherwise those of Zhao, Small and Bhattacharya (2019).
    level : float
        Of the percentile bootstrap's intervals, which cover the whole range of effects that ``gamma`` allows.
    reps : int, optional
        Replicates; 0 for none. By default 999, or the fit's own under ``vcov="bootstrap"``; none with learners, each of
        which would be learned anew.
    seed : int, optional
        Of the replicates: 0, or the fit's own.
    n_jobs : int, optional
        Processes, through joblib.

    Returns
    -------
    MarginalBounds

    Raises
    ------
    CapabilityError
        For fits whose effect is no difference of means that are weighted by propensities.
    OptionError
        For factors below 1.

    References
    ----------
    Tan (2006). Zhao, Q., Small, D. and Bhattacharya, B. (2019). Sensitivity analysis for inverse probability weighting
    estimators via the percentile bootstrap. *JRSS B* 81, 735-761.

    Dorn, J. and Guo, K. (2023). Sharp sensitivity analysis for inverse propensity weighting via quantile balancing.
    *JASA* 118, 2645-2657.
    """
    gammas = factors("gamma", gamma, GAMMAS)
    flag("sharp", sharp)
    check_level(level)
    request = _request(result, reps, seed, n_jobs)
    frame, options = result.call.frame, result.call.options
    arms, measure = weighted_arms(frame, options), result.answer.measure
    sign = _direction(result, arms)
    task = Task(frame, options, measure, sign, sharp)
    null = float(np.log(measure.null)) if measure.reading == "exp" else measure.null
    estimate = float(result.answer.estimate.theta[0])
    side = 1.0 if estimate >= null else -1.0
    X = frame.design(PROPENSITY).X

    def distance(at: float) -> float:
        # the bound on this side alone, of whose means one is the largest and the other the least
        low, high = task.bounds(arms, [at], X, side)[0]
        return float(low - null if side > 0 else null - high)

    reached = breakdown(distance)
    asked, notes = task.bounds(arms, gammas, X), _notes(arms, X, sharp, max(reached, gammas[-1]))
    limits, tips = None, np.nan
    if request is not None:
        limits, tips, told = _resampled(result, task, arms, X, gammas, request, level, (null, side, reached))
        notes = (*notes, *told)
    return MarginalBounds(
        result.answer.labels[0], result.fit.estimand, result.endog_names, float(measure.read(np.array([estimate]))[0]),
        measure.null, gammas, measure.read(asked), None if limits is None else measure.read(limits), level,
        reached, tips, sharp, notes, partial(_curve, task, arms, X, measure),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Task:
    """What is bounded: a comparison of two means of a frame under a method.

    Parameters
    ----------
    frame : ModelFrame
    options : Options
    measure : Measure
    sign : int
        -1 where the control arm is compared with the treated.
    sharp : bool
    """

    frame: ModelFrame
    options: Options
    measure: Measure
    sign: int
    sharp: bool

    def bounds(self, arms: WeightedArms, gammas: Sequence[float] | Array, X: Array, side: float = 0.0) -> Array:
        """Bounds (g, 2) on the working scale; on one side alone the others are those without hidden bias."""
        return self.compared(arms, gammas, self.losses(arms, gammas, X, side))

    def losses(
        self, arms: WeightedArms, gammas: Sequence[float] | Array, X: Array, side: float = 0.0
    ) -> tuple[Array, Array] | None:
        """Of sharp bounds, what each unit of both arms adds to those below and above each mean, factor by factor.

        ``side`` is 1 for what the bound below needs alone, and -1 for that above.
        """
        if not self.sharp:
            return None
        found = []
        for sign, arm, rows in ((self.sign, arms.treated, arms.rows), (-self.sign, arms.control, ~arms.rows)):
            each = []
            for g in gammas:
                for up in (False, True):
                    other = side * sign * (1 if up else -1) > 0
                    if g == 1 or other or not arm.odds.any():
                        each.append(np.zeros(len(arm.y)))
                        continue
                    y = self.frame.y[rows]
                    # of what a model leaves, the quantile is that of the outcome less the model's mean
                    quantiles = outcome_quantiles(arm, y, X[rows], g, up) - (1 if up else -1) * (y - arm.y)
                    each.append(arm.losses(quantiles, g, up))
            found.append(np.array(each))
        return found[0], found[1]

    def compared(
        self, arms: WeightedArms, gammas: Sequence[float] | Array, losses: tuple[Array, Array] | None
    ) -> Array:
        """Bounds (g, 2) of the comparison from those of each mean."""
        signs = np.tile([-1.0, 1.0], len(gammas))
        each = np.repeat(np.asarray(gammas, dtype=float), 2)
        both = []
        for k, arm in enumerate((arms.treated, arms.control)):
            found = arm.ratio_bounds(each, signs) if losses is None else arm.sharp_bounds(losses[k], each, signs)
            both.append(found.reshape(-1, 2))
        one, zero = both if self.sign > 0 else both[::-1]
        with np.errstate(invalid="ignore", divide="ignore"):
            low, high = self.measure.function(one[:, 0], zero[:, 1]), self.measure.function(one[:, 1], zero[:, 0])
        return np.column_stack([low, high])


def replicate(weights: Array, *, task: Task, gammas: Array, losses: tuple[Array, Array] | None) -> Array:
    """Bounds (R, 2 g) of each row of frequency weights (R, n), the weights of the arms found anew.

    Sharp bounds hold the quantile lines of the sample: at these they are least, so that a line of each replicate's own
    would change them in the second order only, and no line makes them invalid.
    """
    known = warm_weights(task.frame, task.options, weights)
    each = [None] * len(weights) if known is None else known

    def one(item: tuple[Array, Array | None]) -> Array:
        arms = weighted_arms(task.frame.reweight(item[0]), task.options, item[1])
        return task.compared(arms, gammas, losses).ravel()

    return refit_each(one, zip(weights, each, strict=True), size=2 * len(gammas))


def _resampled(
    result: ResultCore, task: Task, arms: WeightedArms, X: Array, gammas: Array, request: Bootstrap, level: float,
    aim: tuple[float, float, float],
) -> tuple[Array, float, tuple[str, ...]]:  # fmt: skip
    """Limits (g, 2), the factor at which they reach the null, and what to tell of the replicates."""
    null, side, reached = aim
    between = np.geomspace(1.0, reached if np.isfinite(reached) else FAR, STEPS)
    every = np.unique(np.concatenate([gammas, between]))
    again = partial(replicate, task=task, gammas=every, losses=task.losses(arms, every, X))
    found = bootstrap(again, request, result.call.codes(grouping_names(request)), task.frame.n)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    both = order_statistics(found.draws, tails).reshape(2, len(every), 2)
    limits = np.column_stack([both[0, :, 0], both[1, :, 1]])
    near = limits[:, 0] - null if side > 0 else null - limits[:, 1]
    said = f"percentile bootstrap ({found.scheme}, {len(found.draws)} replicates, seed {found.seed})"
    tips = crossing(every.tolist(), near.tolist())
    return limits[np.isin(every, gammas)], tips, (f"Intervals: {said}", *found.notes)


def _request(result: ResultCore, reps: Any, seed: Any, n_jobs: Any) -> Bootstrap | None:
    """The bootstrap that is asked for, of the units and strata of the fit's own standard errors; None for none."""
    check_seed(seed)
    check_jobs(n_jobs)
    own = result.covariance.request
    base = own if isinstance(own, Bootstrap) else Bootstrap(seed=0)
    if isinstance(own, Cluster) and len(own.by) == 1:
        base = replace(base, cluster=own.by[0])
    learned = bool(result.fit.learned)
    count = reps if reps is not None else NO_REPS if learned else base.reps
    if is_whole(count) and count == 0:
        return None
    asked = replace(
        base, kind="percentile", reps=count, seed=base.seed if seed is None else seed,
        n_jobs=base.n_jobs if n_jobs is None else n_jobs,
    )  # fmt: skip
    resolved = result.call.resolved(asked)
    assert isinstance(resolved, Bootstrap)
    return resolved


def _direction(result: ResultCore, arms: WeightedArms) -> int:
    """Which arm is compared with which."""
    measure, theta = result.answer.measure, float(result.answer.estimate.theta[0])
    means = np.array([arms.treated.mean]), np.array([arms.control.mean])
    for sign, (one, zero) in ((1, means), (-1, means[::-1])):
        value = float(measure.function(one, zero)[0])
        if abs(value - theta) <= AGREES * max(abs(value), abs(theta), 1e-300):
            return sign
    raise CapabilityError(
        "the estimate is no difference of weighted means: its outcome model has more than the treatment, and bounds of "
        "the means are not bounds of it; leave out outcome(...) and modify(...), or use method='aipw'"
    )


def _notes(arms: WeightedArms, X: Array, sharp: bool, furthest: float) -> tuple[str, ...]:
    """Where sharp bounds rest on few rows; ``furthest`` is the largest factor that the page speaks of."""
    fewest, terms = min(int(arms.rows.sum()), int((~arms.rows).sum())), X.shape[1]
    if not sharp:
        return ()
    if fewest >= ROWS_A_TERM * terms:
        # as many rows lie above a quantile as it has terms
        far = fewest / terms - 1
        return () if furthest <= far else (TAIL.format(far=far, rows=fewest),)
    return (
        f"quantiles of the outcome are fitted with {X.shape[1]} terms to {fewest} rows of an arm: so closely that "
        "sharp bounds may be too narrow; sharp=False gives wider ones that fit none",
    )


def _curve(task: Task, arms: WeightedArms, X: Array, measure: Measure, gammas: Array) -> Array:
    """Bounds (g, 2) at other factors, as they are read."""
    return measure.read(task.bounds(arms, gammas, X))


def lacks_marginal(result: ResultCore) -> str:
    """Why a fit has no such bounds; empty where it has."""
    name, options = result.call.record.name, result.call.options
    if name not in ODDS:
        return f"it is of effects that are weighted by propensities: method='ipw', 'aipw' and {_named(ODDS)}"
    if reason := not_the_effect(result) or not_binary(result):
        return reason
    estimand = str(options.estimand)
    if estimand not in (ATE, ATT, ATC) or (estimand == ATE and name not in INVERSE):
        where = "ATT and ATC" if name not in INVERSE else "ATE, ATT and ATC"
        return f"with method={name!r} it is of the {where}; weights of the {estimand} are no inverse probabilities"
    if result.answer.measure.name == "nnt":
        return "it is not of the number needed to treat; use measure='difference'"
    return _weights_moved(result, name, options)


def _weights_moved(result: ResultCore, name: str, options: Options) -> str:
    """Options and roles under which the estimate is no comparison of plain weighted means."""
    for option in ("trim", "discard"):
        if getattr(options, option, None) is not None:
            return f"weights that {option}= moves are no inverse probabilities; leave it out"
    if getattr(options, "repeats", 1) > 1:
        return "it is of one cross-fitting; leave out repeats="
    frame = result.call.frame
    if name == "aipw":
        return ""
    if any(role in frame.bodies for role in ("outcome", "modify")) or frame.offset is not None:
        return "it is of weighted means; leave out outcome(...), modify(...) and offset(...), or use method='aipw'"
    return ""


def _named(names: Sequence[str]) -> str:
    rest = [repr(name) for name in names if name not in ("ipw", "aipw")]
    return f"{', '.join(rest[:-1])} and {rest[-1]}"
