"""Energy balancing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from causalformula.backends.estimands import ATC, ATE, ATT
from causalformula.backends.options import flag, is_number, shown
from causalformula.backends.registry import MODELLED, Record
from causalformula.backends.separation import apart_alone
from causalformula.backends.target import target_arm
from causalformula.backends.weighting.batch import weighted_batch
from causalformula.backends.weighting.effect import weighted_fit
from causalformula.backends.weighting.weights import Weighting, WeightingOptions, indicators
from causalformula.errors import CapabilityError, OptionError
from causalformula.formula.expressions.values import Factor, Strings, as_factor
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.energy import quadratic_programme, scaled_distances
from causalformula.numerics.linalg import refuse_extreme_columns

# An n x n matrix of distances: 200 MB here, and the solver holds several.
MOST_ROWS = 5000
# Beyond, weights differ from one by what the solver's accuracy does not tell.
MOST_PENALTY = 1e6
GIVEN = "standard errors treat the energy-balancing weights as given: they have no estimating equations"
ABSORBED = (
    "energy-balancing weights undo a replicate's own: where those are above zero everywhere, balance is found at the "
    "sample's weights again, and the draws vary far too little. Use vcov='HC0' (the weights as given), best beside "
    "outcome(...), or weights='frequency'"
)
NO_EQUATIONS = "weights from a quadratic programme have no estimating equations and count as given"


@dataclass(frozen=True, kw_only=True)
class Energy(WeightingOptions):
    """Options of ``method="energy"``.

    Parameters
    ----------
    improved : bool
        For the ATE: arms are made like each other, not only like the whole sample.
    lambda_ : float
        Penalty on the sum of squared weights (R's ``lambda``).
    min_w : float
        Least weight.
    dimension_adj : bool
        For a dose: the covariates' marginal distribution counts sqrt(p) times as much as the dose's own.
    interact : bool
        Cross the treatment with the terms of ``outcome(...)`` in the weighted outcome model.
    estimand, contrast, measure, family : optional
        As in ``cf.fit``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """

    improved: bool = True
    dimension_adj: bool = True
    lambda_: float = 1e-4
    min_w: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        flag("improved", self.improved)
        flag("dimension_adj", self.dimension_adj)
        if not (is_number(self.lambda_) and 0 < self.lambda_ <= MOST_PENALTY):
            raise OptionError(f"lambda_={shown(self.lambda_)}: a number above zero, {MOST_PENALTY:g} at most")
        if not (is_number(self.min_w) and 0 <= self.min_w < 1):
            raise OptionError(f"min_w={shown(self.min_w)}: a number, at least 0 and below 1")


def energy_weights(frame: ModelFrame, options: Energy) -> Weighting:
    """Weights that make each arm's energy distance to the target (and, improved, to other arms) least.

    Each arm's weights sum to its size. With ``u_a = s w 1[a] / sum s 1[a]`` and t the target's distribution, minimise
    ``sum_a 2 u_a'Dt - u_a'Du_a``, plus ``2 u_a'Du_b - u_a'Du_a - u_b'Du_b`` for pairs of arms, plus the penalty.

    Raises
    ------
    CapabilityError
        Above 5000 rows.
    """
    used = np.flatnonzero(frame.unit_weights > 0)
    if len(used) > MOST_ROWS:
        raise CapabilityError(
            f"energy balancing solves a quadratic programme over an n x n matrix of distances, for {MOST_ROWS} rows at "
            f"most; there are {len(used)}. These scale: method='ebal' (with moments=2 or 3), 'cbps', 'ipt', 'ipw'"
        )
    if frame.the_treatment.kind is Kind.CONTINUOUS:
        if options.estimand != "ATE":
            raise CapabilityError(f"weights for a dose estimate the ATE; the {options.estimand} needs arms")
        if not options.improved:
            raise OptionError("improved=False is for treatments with arms; a dose has none")
        return independence_weights(frame, used, options)
    if not options.dimension_adj:
        raise OptionError(f"dimension_adj=False is for a dose; {frame.the_treatment.name!r} has arms")
    hot, s = indicators(frame)[used], _scaled_to_rows(frame, used)
    D = scaled_distances(distance_columns(frame)[used], s)
    arm = target_arm(frame, options)
    if arm is not None and not options.improved:
        raise OptionError("improved=False is for the ATE: only there are arms made like each other")
    moving = [k for k in range(hot.shape[1]) if k != arm]
    share = s[:, None] * hot / (s @ hot)
    target = s / s.sum() if arm is None else share[:, arm]
    K = centred_kernel(D, target)
    pairs = list(combinations(moving, 2)) if arm is None and options.improved else []
    P = _objective(K, share, moving, pairs, options.lambda_, s)
    free = np.flatnonzero(hot[:, moving].any(axis=1))
    found = quadratic_programme(
        P[np.ix_(free, free)],
        np.zeros(len(free)),
        (s[:, None] * hot)[np.ix_(free, moving)].T,
        (s @ hot)[moving],
        options.min_w,
    )
    w = np.ones(frame.n)
    w[used[free]] = found
    return Weighting(w, notes=apart_alone(frame), caveats=(GIVEN,), words="energy balancing")


def _scaled_to_rows(frame: ModelFrame, used: Codes) -> Array:
    """Sampling weights that sum to the number of rows: the penalty must not depend on their unit."""
    s = frame.unit_weights[used]
    return np.asarray(s * (frame.frequencies[used].sum() / s.sum()))


def independence_weights(frame: ModelFrame, used: Codes, options: Energy) -> Weighting:
    """For a dose: weights that make it independent of the covariates and move neither's distribution.

    With u the weighted distribution, minimise ``u'(K_x * K_a)u`` (the weighted distance covariance) plus the energy
    distances ``u'K_x u`` and ``u'K_a u`` of both margins from the sample's, plus the penalty.

    References
    ----------
    Huling, Greifer and Chen (2023).
    """
    s = _scaled_to_rows(frame, used)
    X = distance_columns(frame)[used]
    share = s / s.sum()
    Kx = centred_kernel(scaled_distances(X, s), share)
    Ka = centred_kernel(scaled_distances(frame.the_treatment.values[used, None], s), share)
    dose = 1 / (1 + np.sqrt(X.shape[1])) if options.dimension_adj else 0.5
    P = 2 * np.outer(share, share) * (Kx * Ka + 2 * (1 - dose) * Kx + 2 * dose * Ka)
    P[np.diag_indices(len(s))] += options.lambda_ * share**2 / s
    w = np.ones(frame.n)
    w[used] = quadratic_programme(
        P * float(len(s)) ** 2, np.zeros(len(s)), s[None, :], np.array([s.sum()]), options.min_w
    )
    return Weighting(w, caveats=(GIVEN,), words="energy balancing (distance covariance)")


def centred_kernel(D: Array, target: Array) -> Array:
    """Distances as a kernel centred at a distribution t: u'Ku is the energy distance of u from t, and K is psd."""
    pull = D @ target
    return np.asarray(pull[:, None] + pull - D - target @ pull)


def _objective(
    K: Array, share: Array, moving: list[int], pairs: list[tuple[int, int]], penalty: float, s: Array
) -> Array:
    """The quadratic form in the weights, scaled to a size that suits the solver."""
    n = len(K)
    P = np.zeros((n, n))
    own = len(moving) if pairs else 1
    for k in moving:
        u = share[:, k]
        P += 2 * own * np.outer(u, u) * K
        P[np.diag_indices(n)] += penalty * u**2 / s
    for a, b in pairs:
        crossed = np.outer(share[:, a], share[:, b]) * K
        P -= 2 * (crossed + crossed.T)
    return P * float(n) ** 2


def distance_columns(frame: ModelFrame) -> Array:
    """Covariates for distances: the design's columns, and the reference level of factors of three levels or more.

    With a column a level, two units of different levels are equally far apart whichever the levels.
    """
    design = frame.design(PROPENSITY)
    refuse_extreme_columns(design.X, design.names)
    columns = [design.X[:, 1:]]
    for value in design.values.values():
        if isinstance(value, (Factor, Strings)):
            factor = as_factor(value).drop_unused()
            if len(factor.levels) > 2:
                columns.append((factor.codes == 0).astype(float)[:, None])
    return np.hstack(columns)


@Record(
    name="energy",
    options=Energy,
    treatments={Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS},
    estimands=(ATE, ATT, ATC),
    default_vcov="HC0",
    roles=MODELLED,
    r="WeightIt::weightit(method = 'energy') |> lm_weightit(vcov = 'HC0')",
    summary="energy balancing: whole distributions made alike, without a model",
    title="Energy balancing",
    batch_after=weighted_batch,
    exempt={
        "influence": NO_EQUATIONS,
        "stacking": NO_EQUATIONS,
        "integer_weights": "the quadratic programme is solved to the solver's accuracy, not to the last digits",
        "row_order": "the quadratic programme is solved to the solver's accuracy, not to the last digits",
        "label_swap": "the quadratic programme is solved to the solver's accuracy, not to the last digits",
        "exponential_bootstrap": ABSORBED,
        "same_seed": "a quadratic programme a replicate takes too long for hundreds of them in a test",
    },
    needs=("osqp",),
    estimate=weighted_fit,
    rebalance="method='ebal' balances means exactly, and outcome({x}) adjusts for what is left",
)
def energy(frame: ModelFrame, options: Energy) -> Weighting:
    """Average effect by energy balancing.

    Weights that minimise the energy distance between each arm's covariate distribution and the target's, so that whole
    distributions are balanced and no model is chosen; for a dose, weights that minimise its distance covariance with
    the covariates. Standard errors treat the weights as given: beside an outcome model that takes what was balanced,
    ``outcome(x)``, they are right; without one they err on the safe side. The bootstrap errs on the other: the weights
    are free enough to undo part of a replicate's own.

    Parameters
    ----------
    frame : ModelFrame
    options : Energy

    Returns
    -------
    Weighting

    Raises
    ------
    CapabilityError
        Above 5000 rows, and without OSQP.

    References
    ----------
    Huling and Mak (2024); Huling, Greifer and Chen (2023). R: ``WeightIt::weightit(method = "energy")`` 1.4.
    """
    return energy_weights(frame, options)
