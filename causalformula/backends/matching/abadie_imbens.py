"""The matching estimator of Abadie and Imbens: matches with replacement, ties included, and the variance of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.backends.contrasts import Contrast, Setting
from causalformula.backends.distance import Distance
from causalformula.backends.fit import Answer, DesignWeights
from causalformula.backends.matching.calipers import DISTANCE
from causalformula.backends.matching.conditions import covariate_values, metric_columns, metric_coordinates, side_groups
from causalformula.backends.matching.options import WHOLE_SAMPLE, Nearest
from causalformula.backends.outcomes import PotentialMeans
from causalformula.errors import CapabilityError, DataError, OptionError, choose, counted, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence, Own
from causalformula.inference.requests import AbadieImbens, Request
from causalformula.numerics.abadie_imbens import MatchedEffect, abadie_imbens
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.matching.metrics import without_part
from causalformula.numerics.tied_matches import Matches, Search, Target, caliper_units, match_with_ties, scaled

# Roles of an outcome model, whose estimate has no variance of this kind.
MODELLED = ("outcome", "modify", "offset")
# Distances that are matched on in coordinates of their own, none of which is a covariate.
COORDINATES = ("mahalanobis", "robust_mahalanobis", "euclidean")
# Whose effect is estimated, by the arm of the target.
TARGETS: dict[int | None, Target] = {1: "ATT", 0: "ATC", None: "ATE"}
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
        effect = _Effect(frame, self)
        if self.bias_adjust:
            if modelled:
                raise OptionError(
                    f"bias_adjust=True regresses on the formula's confounders, and {modelled[0]}(...) is of a weighted "
                    "outcome model. Leave out one of the two"
                )
            corrected = _Corrected(effect, options.measure)
            return replace(
                base, means=corrected, no_groups=NO_GROUPS, no_means=NO_MEANS, refine=None, slope=None, origin=0.0
            )
        if modelled or options.family != "gaussian" or options.measure != "difference":
            return base
        return replace(base, refine=_Refined(effect, base.target))

    def notes(self, request: Request) -> tuple[str, ...]:
        """What a reader should know of the variance."""
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


@dataclass(frozen=True, eq=False)
class _Effect:
    """The effect under a request, computed once for each."""

    frame: ModelFrame
    tied: Tied
    found: dict[tuple[bool, int, bool], MatchedEffect] = field(default_factory=dict)

    def __call__(self, sample: bool = False, matches: int = 0, kept_only: bool = False) -> MatchedEffect:
        asked = (sample, matches, kept_only)
        if asked not in self.found:
            frame, treated = self.frame, self.frame.the_treatment.codes == 1
            Z = frame.design(PROPENSITY).X[:, 1:] if self.tied.bias_adjust else None
            self.found[asked] = abadie_imbens(
                frame.y, treated, self.tied.matches, Z=Z, sample=sample, var_calc=matches, as_match=not kept_only
            )
        return self.found[asked]

    def variance(self, request: Request) -> Array:
        """Of the difference (1, 1)."""
        assert isinstance(request, AbadieImbens)
        return np.array([[self(bool(request.sample), int(request.matches), bool(request.kept_only)).variance]])


@dataclass(frozen=True, eq=False)
class _Refined:
    """The regression's answer on effects, with the variance of its own beside its influences."""

    effect: _Effect
    target: Array | None

    def __call__(self, answer: Answer, compared: Sequence[Contrast], over: Array) -> Answer:
        evidence = answer.estimate.evidence
        if self.target is None or not np.array_equal(over, self.target) or not isinstance(evidence, Influence):
            return answer
        signs = np.array([[1.0 if each.high.key == 1 else -1.0] for each in compared])
        own = Own(self.effect.variance, signs, self.effect.tied.notes)
        return replace(answer, estimate=replace(answer.estimate, evidence=replace(evidence, own=own)))


@dataclass(frozen=True, eq=False)
class _Corrected:
    """Means with the correction of the bias, as a function of settings and target."""

    effect: _Effect
    measure: str

    def __call__(self, wanted: Sequence[Setting], target: Array) -> Estimate:
        found = self.effect()
        values = np.array([found.means[int(setting.key)] for setting in wanted])
        jac = np.array([[float(setting.key)] for setting in wanted])
        difference = len(wanted) == 2 and self.measure == "difference"
        own = Own(self.effect.variance if difference else _no_variance, jac, self.effect.tied.notes)
        return Estimate(tuple(s.label for s in wanted), values, own)


def _no_variance(request: Request) -> Array:
    raise CapabilityError("vcov='AI' is the variance of a difference of both means, not of each")


NO_MEANS = (
    "the variance of Abadie and Imbens is that of the difference of both means, not of each; without bias_adjust=True "
    "vcov='HC3' has means too"
)
NO_GROUPS = (
    "the bias-corrected matching estimator has no effects by group; match each group by itself, with subset= in cf.fit "
    "or cf.design"
)


def counted_weights(frame: ModelFrame) -> Array:
    """Sampling weights in numbers of rows: a row counts as so many matches, whatever the weights' unit is."""
    s = frame.unit_weights
    return np.asarray(s * (frame.frequencies.sum() / s.sum()))


def tied_matches(
    frame: ModelFrame, options: Nearest, arm: int | None, distance: Distance | None, able: Bools
) -> Matches:
    """Every unit of the target matched to the nearest of the other arm, and to all as near."""
    X, names = _columns(frame, options, distance)
    exact, X, names = _exact(frame, options, X, names)
    w = np.where(able, counted_weights(frame), 0.0)
    _refuse_idle(frame, options, X, names, w > 0)
    return match_with_ties(
        X,
        frame.the_treatment.codes == 1,
        int(options.ratio),
        target=TARGETS[arm],
        weight=_weight(options, X, w),
        tolerance=options.tolerance,
        caliper=_caliper(options, X, names, w),
        exact=exact,
        weights=None if (w == 1).all() else w,
    )


def _columns(frame: ModelFrame, options: Nearest, distance: Distance | None) -> tuple[Array, list[str]]:
    if distance is not None:
        return distance.values[:, None], [DISTANCE]
    named = covariate_values(frame)
    if not named:
        raise DataError(f"distance={options.distance!r} is between covariates, and there are none; add adjust(...)")
    if options.metric in COORDINATES:
        Z = metric_coordinates(frame, named, options.metric, frame.unit_weights > 0)
        return Z, [f"coordinate {k + 1}" for k in range(Z.shape[1])]
    X, names = metric_columns(named, first=options.metric != WHOLE_SAMPLE)
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
        codes, _ = metric_columns([(name, value)], first=options.metric != WHOLE_SAMPLE)
        X, names = np.hstack([X, codes]), [*names, *[name] * codes.shape[1]]
        flags = np.append(flags, np.ones(codes.shape[1], dtype=bool))
    return flags, X, names


def _refuse_idle(frame: ModelFrame, options: Nearest, X: Array, names: list[str], used: Bools) -> None:
    """A ``DataError`` that names what has no spread, or no part in the covariance of the whole sample."""
    flat = np.ptp(X[used], axis=0) == 0
    if flat.any():
        raise DataError(
            f"{some(dict.fromkeys(np.array(names)[flat]))}: the same in all rows, so it has no distance; leave it out"
        )
    if options.metric != WHOLE_SAMPLE:
        return
    idle = without_part("mahalanobis", X, np.ones(frame.n, dtype=bool), used)
    if idle.any():
        raise DataError(
            f"{some(dict.fromkeys(np.array(names)[idle]))}: a combination of the covariates before, so that the whole "
            "sample's covariance has no inverse; leave it out, or use distance='mahalanobis'"
        )


def _caliper(options: Nearest, X: Array, names: list[str], w: Array) -> Array | None:
    """Calipers by column, in standard deviations as Match counts them (divisor n)."""
    if not options.calipers:
        return None
    widths = np.full(len(names), np.inf)
    spread = caliper_units(X, w)
    for each in options.calipers:
        if each.width < 0:
            raise OptionError("with ties=True a caliper is the largest distance of partners, a positive number")
        columns = [k for k, name in enumerate(names) if each.name in (name, DISTANCE)]
        if not columns:
            raise OptionError(_caliper_advice(options, each.name, names))
        for k in columns:
            widths[k] = each.width if each.standard else each.width / spread[k]
    return widths


def _caliper_advice(options: Nearest, name: str, names: list[str]) -> str:
    """Which calipers there are with ties."""
    told = "with ties=True calipers are on what is matched on"
    if options.metric in COORDINATES:
        return f"{told}, and distance={options.distance!r} has no single covariates; use distance='scaled_euclidean'"
    return f"{told}{choose(name, dict.fromkeys(names))}"


def tied_weights(frame: ModelFrame, options: Nearest, matches: Matches, arm: int | None) -> Array:
    """Weights of the matched sample, without sampling weights: each unit's own, and what it is the match for."""
    n, s = frame.n, counted_weights(frame)
    own = np.zeros(n)
    kept = np.unique(matches.focal)
    own[kept] = matches.weights[kept]
    times = np.bincount(matches.match, matches.shares, n)
    total = np.divide(own + times, s, out=np.zeros(n), where=s > 0)
    if arm is not None:
        others = (frame.the_treatment.codes != arm) & (total > 0)
        total[others] *= others.sum() / total[others].sum()
    return total


def matches_of(design: DesignWeights, frame: ModelFrame, Z: Array, arm: int, ratio: int) -> Matches:
    """Matches found one by one with replacement, as those of the estimator."""
    assert design.pairs is not None
    rows, columns = np.nonzero(design.pairs[:, 1:] >= 0)
    focal, match = design.pairs[rows, 0], design.pairs[rows, 1 + columns]
    order = np.lexsort((match, focal))
    focal, match, s = focal[order], match[order], counted_weights(frame)
    shares = s[focal] / np.bincount(focal, minlength=frame.n)[focal]
    kept = np.unique(focal)
    dropped = np.setdiff1d(design.pairs[:, 0], kept)
    points = scaled(Z, s, "inverse_variance")[0] if Z.shape[1] == 1 else Z
    empty = np.empty((frame.n, 0))
    search = Search(points, s, ratio, 1e-5, empty, np.empty(0), np.inf)
    return Matches(TARGETS[arm], focal, match, shares, dropped, search)


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
