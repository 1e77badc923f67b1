"""The matching estimator of Abadie and Imbens: matches with replacement, ties included, and the variance of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from causalformula.backends.contrasts import Contrast, Setting
from causalformula.backends.distance import Distance
from causalformula.backends.fit import Answer, DesignWeights
from causalformula.backends.matching.conditions import covariate_values, metric_columns, side_groups
from causalformula.backends.matching.options import DISTANCE, WHOLE_SAMPLE, Nearest
from causalformula.backends.outcomes import PotentialMeans
from causalformula.errors import CapabilityError, DataError, OptionError, choose, counted
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence, Own
from causalformula.inference.requests import AbadieImbens, Request
from causalformula.numerics.abadie_imbens import MatchedEffect, abadie_imbens
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.matching.metrics import coordinates
from causalformula.numerics.tied_matches import Matches, Search, match_with_ties, scaled

# Roles of an outcome model, whose estimate has no variance of this kind.
MODELLED = ("outcome", "modify", "offset")
# Pairs are kept in a rectangle up to this size.
MOST_CELLS = 20_000_000


@dataclass(frozen=True, eq=False)
class Tied:
    """Matches with replacement, what they were made on, and whether their bias is corrected.

    Parameters
    ----------
    matches : Matches
    bias_adjust : bool
    scored : bool
        Whether they were made on a score that was estimated.
    """

    matches: Matches
    bias_adjust: bool
    scored: bool

    def outcomes(self, base: PotentialMeans) -> PotentialMeans:
        """The answers of a weighted regression with the variance of its own; or those of the corrected means."""
        frame, options = base.frame, base.options
        modelled = [role for role in MODELLED if frame.has(role)]
        if self.bias_adjust:
            if modelled:
                raise OptionError(
                    f"bias_adjust=True regresses on the formula's confounders, and {modelled[0]}(...) is of a weighted "
                    "outcome model. Leave out one of the two"
                )
            return replace(
                base,
                means=self._corrected(frame, options.measure),
                no_groups=NO_GROUPS,
                refine=None,
                slope=None,
                origin=0.0,
            )
        if modelled or options.family != "gaussian" or options.measure != "difference":
            return base
        return replace(base, refine=self._refined(frame, base.target))

    def _effect(self, frame: ModelFrame) -> Effect:
        Z = frame.design(PROPENSITY).X[:, 1:] if self.bias_adjust else None
        return Effect(frame.y, frame.the_treatment.codes == 1, self.matches, Z)

    def _refined(self, frame: ModelFrame, target: Array | None) -> Any:
        return partial(self._refine, self._effect(frame), target)

    def _refine(
        self, effect: Effect, target: Array | None, answer: Answer, compared: Sequence[Contrast], over: Array
    ) -> Answer:
        """The answer with the variance of its own, where it is on the whole target."""
        evidence = answer.estimate.evidence
        if target is None or not np.array_equal(over, target) or not isinstance(evidence, Influence):
            return answer
        signs = np.array([[1.0 if each.high.key == 1 else -1.0] for each in compared])
        own = Own(effect.variance, signs, self._notes)
        return replace(answer, estimate=replace(answer.estimate, evidence=replace(evidence, own=own)))

    def _corrected(self, frame: ModelFrame, measure: str) -> Any:
        """Means with the correction of the bias, as a function of settings and target."""
        return partial(self._corrected_means, self._effect(frame), measure)

    def _corrected_means(self, effect: Effect, measure: str, wanted: Sequence[Setting], target: Array) -> Estimate:
        found = effect(False, 0, False)
        values = np.array([found.means[int(setting.key)] for setting in wanted])
        jac = np.array([[float(setting.key)] for setting in wanted])
        both = len(wanted) == 2 and measure == "difference"
        return Estimate(
            tuple(s.label for s in wanted), values, Own(effect.variance if both else _none, jac, self._notes)
        )

    def _notes(self, request: Request) -> tuple[str, ...]:
        notes = []
        if self.scored:
            notes.append("the variance of Abadie and Imbens takes the propensity score as known")
        dropped = len(self.matches.dropped)
        if dropped and not getattr(request, "kept_only", True):
            notes.append(
                f"as in Matching, {counted(dropped, 'unit')} dropped by calipers or exact matching "
                f"{'counts' if dropped == 1 else 'count'} in these standard errors with no effect, which makes them "
                "too small; vcov=cf.AbadieImbens(kept_only=True) leaves them out"
            )
        return tuple(notes)


NO_GROUPS = (
    "the bias-corrected matching estimator has no effects by group; use subset=, or outcome(...) and modify(...)"
)


def _none(request: Request) -> Array:
    raise CapabilityError("vcov='AI' is the variance of a difference of both means, not of each")


@dataclass(frozen=True, eq=False)
class Effect:
    """The matched effect under a request, computed once for each.

    Parameters
    ----------
    y, treated : ndarray (n,)
    matches : Matches
    Z : ndarray (n, k), optional
        Covariates that the bias is corrected by.
    """

    y: Array
    treated: Bools
    matches: Matches
    Z: Array | None
    _made: dict[tuple[bool, int, bool], MatchedEffect] = field(default_factory=dict, repr=False)

    def __call__(self, sample: bool, matches: int, kept_only: bool) -> MatchedEffect:
        """The effect with its variance."""
        key = (sample, matches, kept_only)
        if key not in self._made:
            self._made[key] = abadie_imbens(
                self.y, self.treated, self.matches, Z=self.Z, sample=sample, var_calc=matches, as_match=not kept_only
            )
        return self._made[key]

    def variance(self, request: Request) -> Array:
        """The variance (1, 1) that ``vcov="AI"`` asks for."""
        assert isinstance(request, AbadieImbens)
        return np.array([[self(bool(request.sample), int(request.matches), bool(request.kept_only)).variance]])


def tied_matches(frame: ModelFrame, options: Nearest, distance: Distance | None, able: Bools) -> Matches:
    """Every unit of the target matched to the nearest of the other arm, and to all as near."""
    X, names = _columns(frame, options, distance)
    exact, X, names = _exact(frame, options, X, names)
    w = np.where(able, frame.unit_weights, 0.0)
    return match_with_ties(
        X,
        frame.the_treatment.codes == 1,
        int(options.ratio),
        target=options.estimand,  # type: ignore[arg-type]
        weight=_weight(options, X, w),
        tolerance=options.tolerance,
        caliper=_caliper(options, X, names, able),
        exact=exact,
        weights=None if (w == 1).all() else w,
    )


def _columns(frame: ModelFrame, options: Nearest, distance: Distance | None) -> tuple[Array, list[str]]:
    if distance is not None:
        return distance.values[:, None], [DISTANCE]
    named = covariate_values(frame)
    if not named:
        raise DataError(f"distance={options.distance!r} is between covariates, and there are none; add adjust(...)")
    X, names = metric_columns(named)
    if options.metric in ("mahalanobis", "robust_mahalanobis", "euclidean"):
        treated = frame.the_treatment.codes == 1
        Z = coordinates(options.metric, X, treated, frame.unit_weights > 0, frame.weights)
        return Z, [f"coordinate {k + 1}" for k in range(Z.shape[1])]
    return X, list(names)


def _weight(options: Nearest, X: Array, w: Array) -> Any:
    """The metric of the columns: over their variances, or as they are where they are coordinates already."""
    if options.metric == WHOLE_SAMPLE:
        return "mahalanobis"
    if options.metric in ("", "scaled_euclidean"):
        return "inverse_variance"
    used = w > 0
    off = X - w @ X / w.sum()
    n = int(used.sum())
    return np.diag(w @ off**2 / w.sum() * n / (n - 1))


def _exact(frame: ModelFrame, options: Nearest, X: Array, names: list[str]) -> tuple[Bools | None, Array, list[str]]:
    """Columns to match exactly: those of the covariates, or codes beside them."""
    if options.exact is None:
        return None, X, names
    flags = np.zeros(len(names), dtype=bool)
    for name, value in side_groups(frame, options.exact):
        if name in names:
            flags |= np.array([each == name for each in names])
            continue
        codes, _ = metric_columns([(name, value)])
        X, names = np.hstack([X, codes]), [*names, *[name] * codes.shape[1]]
        flags = np.append(flags, np.ones(codes.shape[1], dtype=bool))
    return flags, X, names


def _caliper(options: Nearest, X: Array, names: list[str], able: Bools) -> Array | None:
    """Calipers by column, in standard deviations as Match counts them (divisor n)."""
    if not options.calipers:
        return None
    widths = np.full(len(names), np.inf)
    spread = X[able].std(axis=0)
    for each in options.calipers:
        if each.width < 0:
            raise OptionError("with ties=True a caliper is the largest distance of partners, a positive number")
        columns = [k for k, name in enumerate(names) if each.name in (name, DISTANCE)]
        if not columns:
            raise OptionError(
                f"with ties=True calipers are on what is matched on{choose(each.name, dict.fromkeys(names))}"
            )
        for k in columns:
            widths[k] = each.width if each.standard else each.width / spread[k]
    return widths


def tied_weights(frame: ModelFrame, options: Nearest, matches: Matches, arm: int | None) -> Array:
    """Weights of the matched sample, without sampling weights: each unit's own, and what it is the match for."""
    n, s = frame.n, frame.unit_weights
    own = np.zeros(n)
    kept = np.unique(matches.focal)
    own[kept] = matches.weights[kept]
    times = np.bincount(matches.match, matches.shares, n)
    total = np.divide(own + times, s, out=np.zeros(n), where=s > 0)
    if arm is not None:
        others = (frame.the_treatment.codes != arm) & (total > 0)
        total[others] *= others.sum() / total[others].sum()
    return total


def matches_of(design: DesignWeights, frame: ModelFrame, Z: Array, estimand: Any, ratio: int) -> Matches | None:
    """Matches found one by one, as those of the estimator; None where they were made without replacement."""
    assert design.pairs is not None
    rows, columns = np.nonzero(design.pairs[:, 1:] >= 0)
    focal, match = design.pairs[rows, 0], design.pairs[rows, 1 + columns]
    order = np.lexsort((match, focal))
    focal, match, s = focal[order], match[order], frame.unit_weights
    shares = s[focal] / np.bincount(focal, minlength=frame.n)[focal]
    kept = np.unique(focal)
    dropped = np.setdiff1d(design.pairs[:, 0], kept)
    points = scaled(Z, s, "inverse_variance")[0] if Z.shape[1] == 1 else Z
    empty = np.empty((frame.n, 0))
    search = Search(points, s, ratio, 1e-5, empty, np.empty(0), np.inf)
    return Matches(estimand, focal, match, shares, dropped, search)


def rectangle(matches: Matches, everyone: Array) -> tuple[Any, Any]:
    """Pairs as rows of a focal row and its matches, -1 where there are fewer; None where they are too many."""
    counts = np.bincount(matches.focal, minlength=int(everyone.max()) + 1)[everyone]
    most = int(counts.max())
    if most * len(everyone) > MOST_CELLS:
        return None, None
    pairs = np.full((len(everyone), 1 + most), -1, dtype=np.intp)
    gaps = np.full((len(everyone), most), np.nan)
    pairs[:, 0] = everyone
    place = np.searchsorted(everyone, matches.focal)
    turn = np.arange(len(matches.focal)) - np.searchsorted(matches.focal, matches.focal)
    pairs[place, 1 + turn] = matches.match
    points = matches.search.points
    gaps[place, turn] = np.sqrt(((points[matches.focal] - points[matches.match]) ** 2).sum(axis=1))
    return pairs, gaps
