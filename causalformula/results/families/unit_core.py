"""``UnitCore``: what effects of units are judged by, read off a fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.contrasts import contrasts
from causalformula.backends.meta.dose import DoseUnits
from causalformula.backends.meta.fitting import held_predictions, sequential_predictions
from causalformula.backends.meta.kinds import R_LEARNER
from causalformula.backends.meta.options import MetaOptions
from causalformula.backends.meta.units import Predicted, Units
from causalformula.backends.options import flag, whole
from causalformula.backends.target import target_arm
from causalformula.diagnostics.effect_accuracy import same_for_all
from causalformula.diagnostics.targeting import score_curve
from causalformula.diagnostics.uplift import OutcomeCurve, outcome_curve
from causalformula.errors import CapabilityError, DataError, OptionError, counted
from causalformula.numerics.arrays import Array, Codes
from causalformula.results.families.judged import Curve, area_of
from causalformula.results.families.learned import LearnedResult
from causalformula.results.families.unit_effects import Effects, one_for_all
from causalformula.results.families.unit_errors import Pair
from causalformula.results.wording import estimand_text

if TYPE_CHECKING:
    pass
SCORES = "doubly robust scores of cross-fitted nuisances"
DOSE_SCORES = "orthogonal scores of cross-fitted nuisances"


@dataclass(frozen=True, eq=False, repr=False)
class UnitCore(LearnedResult):
    """A ``Result`` with learners of unit effects: its scores, and predictions for rows that were not learned from."""

    @property
    def _units(self) -> Units | DoseUnits:
        found = self.fit.units
        assert isinstance(found, (Units, DoseUnits))
        return found

    @property
    def _options(self) -> MetaOptions:
        found = self.call.options
        assert isinstance(found, MetaOptions)
        return found

    @property
    def _pairs(self) -> tuple[Pair, ...]:
        frame = self.call.frame
        if not frame.the_treatment.levels:
            return ()
        compared = contrasts(frame.the_treatment, self.call.options.contrast, frame.sampled)
        return tuple((int(item.high.key), int(item.low.key)) for item in compared)

    @cached_property
    def _held_each(self) -> Predicted:
        """Means and effects of rows that were not learned from, in each repetition (n, repeats, ...)."""
        return held_predictions(self.call.frame, self._options, self._units)

    @cached_property
    def _held(self) -> Predicted:
        """The same, over the repetitions."""
        found = self._held_each
        return Predicted(found.means.mean(axis=1), found.effects.mean(axis=1))

    # -- what judging reads ----------------------------------------------------------------------------------------

    def _scored(self, kind: str, priority: Any, target: str | None, reps: int, seed: int) -> Curve:
        _refuse_halves(reps, seed)
        clusters, (ranked, words, weights) = self._clusters, self._ranked(priority)
        found = score_curve(
            self._gamma, ranked, kind, target=target, weights=weights, clusters=clusters, reps=reps, seed=seed,
        )  # fmt: skip
        return self._curve(found, words, self._scores_line, (*self._flat(ranked, priority), *seen_notes(priority)))

    @property
    def _scores_line(self) -> str:
        return f"Scores: {SCORES if self._pairs else DOSE_SCORES}"

    def _either(self, kind: str, priority: Any, observed: bool, reps: int, seed: int) -> Curve:
        if not flag("observed", observed):
            return self._scored(kind, priority, None, reps, seed)
        if not self._pairs:
            raise CapabilityError(
                f"{kind}(observed=True) compares the outcomes of two arms, and {self.call.frame.the_treatment.name!r} "
                f"is a dose; {kind}() is of scores, which a dose has too"
            )
        _refuse_halves(reps, seed)
        ((high, low),) = self._pair_of(f"{kind}(observed=True)")
        codes, y = self.call.frame.the_treatment.codes, self._units.y
        rows = np.isin(codes, (high, low))
        clusters, (ranked, words, weights) = self._clusters, self._ranked(priority)
        found = outcome_curve(
            y[rows], (codes[rows] == high).astype(float), ranked[rows], kind,
            weights=None if weights is None else weights[rows], clusters=None if clusters is None else clusters[rows],
            reps=reps, seed=seed,
        )  # fmt: skip
        line = "Outcomes: as observed, which compares like with like in an experiment only"
        return self._curve(found, words, line, (*self._flat(ranked, priority), *seen_notes(priority)))

    def _curve(self, found: Any, words: str, line: str, notes: tuple[str, ...]) -> Curve:
        labels, numbers = area_of(found)
        rows, units = found.size
        drawn = "clusters" if units != rows else "rows"
        label = f"{counted(len(found.draws), 'half-sample')} of {drawn}, seed {found.seed}"
        title = f"{(OBSERVED if isinstance(found, OutcomeCurve) else TITLES)[found.kind]} ({self._what})"
        unit = "" if self.call.frame.outcome is None else self.call.frame.outcome.name
        label = label if len(found.draws) else "none, as reps=0"
        lacking = int(np.isnan(found.draws[:, 0]).sum())
        if lacking:
            notes = (
                *notes,
                f"no standard errors, as {counted(lacking, 'half-sample')} of {len(found.draws)} lack an arm",
            )
        about = (f"Priority: {words}", line, *self._everyone)
        return Curve(title, about, labels, numbers, label, notes, found, unit, RANKED.get(words, words))

    def _priority(self, priority: Any) -> tuple[Array, str]:
        """What units are ranked by, and what that is in words."""
        frame = self.call.frame
        if isinstance(priority, str):
            return frame.numbers(priority), priority
        words = "given effects" if isinstance(priority, Effects) else "given numbers"
        try:
            values = np.asarray(priority, dtype=float)
        except (TypeError, ValueError, OverflowError):
            raise DataError("units are ranked and judged by numbers, one for each row, or by a column's name") from None
        if values.shape == (frame.table.n,):
            values = values[frame.rows]
        if values.shape != (frame.n,):
            raise DataError(f"{words} have the shape {values.shape}, and there are {counted(frame.n, 'row')}")
        return values, words

    def _ranked(self, priority: Any) -> tuple[Array, str, Array | None]:
        """What units are ordered by, in words, and weights: by default ranks of effects within each fold."""
        if priority is None:
            return self._ahead_rank, AHEAD_WORDS, self._ahead_weights
        return (*self._priority(priority), self._weights)

    def _judged(self, effects: Any) -> tuple[Array, str, Array | None]:
        """Effects that are judged, of the one contrast there is, what they are in words, and weights."""
        if effects is None:
            return self._ahead_effect, AHEAD_WORDS, self._ahead_weights
        return (*self._priority(effects), self._weights)

    def _pair_of(self, verb: str) -> tuple[Pair]:
        if len(self._pairs) > 1:
            raise OptionError(f"{verb} is of one effect; choose it by contrast=(low, high) in fit()")
        return (self._pairs[0],)

    @property
    def _gamma(self) -> Array:
        if not self._pairs:
            return self._units.scores[:, 0]
        ((high, low),) = self._pair_of("judging effects")
        return self._units.scores[:, high] - self._units.scores[:, low]

    @cached_property
    def _ahead(self) -> tuple[Array, Codes]:
        """Effects of each fold by learners of those before it, NaN in the first, and the fold of each row."""
        found, codes = sequential_predictions(self.call.frame, self._options, self._units)
        if not self._pairs:
            return found.effects[:, 0], codes
        ((high, low),) = self._pair_of("judging effects")
        return found.means[:, high] - found.means[:, low], codes

    @cached_property
    def _ahead_effect(self) -> Array:
        """The same, with one effect for all where each fold has one, as what differs between folds is chance."""
        tau, codes = self._ahead
        parts = [tau[codes == k] for k in range(1, int(codes.max()) + 1)]
        filled = np.where(codes > 0, tau, 0.0)
        return np.where(codes > 0, tau[codes > 0].mean(), 0.0) if all(map(same_for_all, parts)) else filled

    @cached_property
    def _ahead_rank(self) -> Array:
        """Its ranks within each fold, from 0 to 1: levels of different learners are no order of units."""
        from scipy.stats import rankdata

        tau, codes = self._ahead_effect, self._ahead[1]
        if same_for_all(tau[codes > 0]):
            return tau
        out = np.zeros(len(tau))
        for k in range(1, int(codes.max()) + 1):
            inside = codes == k
            out[inside] = (rankdata(tau[inside]) - 0.5) / max(int(inside.sum()), 1)
        return out

    @cached_property
    def _ahead_weights(self) -> Array:
        """Sampling weights, nothing in the first fold, of which no effect is predicted from others."""
        return np.where(self._ahead[1] > 0, self.call.frame.unit_weights, 0.0)

    def _flat(self, ranked: Array, given: Any, so: str = "nobody is ranked: ") -> tuple[str, ...]:
        """A note where nobody is ranked before another, and why."""
        if not same_for_all(ranked[self._ahead[1] > 0] if given is None else ranked):
            return ()
        what = "priority is" if so else "effects are"
        return (f"{so}{one_for_all(self) if given is None else f'the {what} the same for all rows'}",)

    def _residuals(self) -> tuple[Array, Array, Array, Array, Codes]:
        """Outcome, arm, their predictions from the covariates alone, and rows, of the two arms compared."""
        units = self._units
        if isinstance(units, DoseUnits):
            m, e = (units.first[key].mean(axis=1) for key in ("outcome", "treatment"))
            dose, step = self.call.frame.the_treatment.values, units.step
            return units.y, dose / step, m, e / step, np.arange(self.call.frame.n)
        ((high, low),) = self._pair_of("judging effects")
        codes = self.call.frame.the_treatment.codes
        rows = np.flatnonzero(np.isin(codes, (high, low)))
        P = units.first["treatment"].mean(axis=1)
        e = P[:, high] / (P[:, high] + P[:, low])
        m = self._outcome_of_both(high, low, e)
        return units.y[rows], (codes[rows] == high).astype(float), m[rows], e[rows], rows

    def _outcome_of_both(self, high: int, low: int, e: Array) -> Array:
        """The outcome given the covariates alone, in two arms together, as the first step's models have it."""
        first = self._units.first
        if low == 0 and self._units.kind is R_LEARNER:
            return np.asarray(first[f"outcome {high}"].mean(axis=1))
        if "outcome 0" in first:
            m = [first[f"outcome {arm}"].mean(axis=1) for arm in (high, low)]
        else:
            means = self._held.means
            m = [means[:, high], means[:, low]]
        return np.asarray(e * m[0] + (1 - e) * m[1])

    @property
    def _weights(self) -> Array | None:
        return self.call.frame.weights

    @property
    def _clusters(self) -> Codes | None:
        found = self.call.frame.clusters
        if len(found) > 1:
            raise CapabilityError(
                "judging effects has standard errors for clusters of one kind, and the formula has "
                f"{counted(len(found), 'kind')}; leave one in cluster(...)"
            )
        return found[0].codes if found else None

    @property
    def _kind(self) -> str:
        found = self.call.frame.clusters
        return f"CR2 ~ {found[0].name}" if found else "HC2"

    @property
    def _everyone(self) -> tuple[str, ...]:
        """A line where the estimand is of other units than those that are judged."""
        if target_arm(self.call.frame, self.call.options) is None:
            return ()
        estimand = estimand_text(self.call, str(self.call.options.estimand), always=True)
        return (f"Population: everyone, not the target of the {estimand}",)

    @property
    def _what(self) -> str:
        frame = self.call.frame
        contrast = self.answer.labels[0].contrast
        if self._pairs:
            contrast = " - ".join(frame.the_treatment.levels[k] for k in self._pairs[0])
        outcome = "" if frame.outcome is None else f" on {frame.outcome.name}"
        return f"{frame.the_treatment.name}{outcome}, {contrast}"


def seen_notes(given: Any) -> tuple[str, ...]:
    """A note on given effects that are predicted for the rows that they were learned from."""
    seen = isinstance(given, Effects) and not (given.new or given.held)
    return ("these effects were learned from the rows that judge them",) if seen else ()


def _refuse_halves(reps: int, seed: int) -> None:
    whole("reps", reps, "half-samples of the standard errors", MOST_REPS, 0)
    whole("seed", seed, "the seed of the half-samples", 2**32 - 1, 0)


MOST_REPS = 100_000
AHEAD_WORDS = "effects of each fold, predicted from the folds before it (the first is not judged)"
# What a legend calls them.
RANKED = {AHEAD_WORDS: "predicted effects"}
OBSERVED = {
    "uplift": "Uplift of observed outcomes: effect among the top share, times that share",
    "qini": "Qini of observed outcomes: gain of treating the top share, per head",
}
TITLES = {
    "toc": "Targeting operator characteristic: effect among the top share above that of all",
    "uplift": "Uplift: effect among the top share",
    "gain": "Cumulative gain of treating the top share",
    "qini": "Qini: gain of treating the top share beyond treating at random",
}
