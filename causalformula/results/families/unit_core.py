"""``UnitCore``: what effects of units are judged by, read off a fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.contrasts import contrasts
from causalformula.backends.meta.dose import DoseUnits
from causalformula.backends.meta.learners import held_predictions
from causalformula.backends.meta.options import MetaOptions
from causalformula.backends.meta.units import Predicted, Units
from causalformula.backends.options import flag, whole
from causalformula.diagnostics.effect_accuracy import same_for_all
from causalformula.diagnostics.targeting import score_curve
from causalformula.diagnostics.uplift import OutcomeCurve, outcome_curve
from causalformula.errors import CapabilityError, DataError, OptionError, counted
from causalformula.numerics.arrays import Array, Codes
from causalformula.results.families.judged import Curve, area_of
from causalformula.results.families.learned import LearnedResult
from causalformula.results.families.unit_effects import Effects, one_for_all
from causalformula.results.families.unit_errors import Pair

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
        ranked, words = self._priority(priority)
        found = score_curve(
            self._gamma, ranked, kind, target=target, weights=self._weights, clusters=self._clusters, reps=reps,
            seed=seed,
        )  # fmt: skip
        return self._curve(found, words, self._scores_line, (*self._flat(ranked), *seen_notes(priority)))

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
        ranked, words = self._priority(priority)
        weights, clusters = self._weights, self._clusters
        found = outcome_curve(
            y[rows], (codes[rows] == high).astype(float), ranked[rows], kind,
            weights=None if weights is None else weights[rows], clusters=None if clusters is None else clusters[rows],
            reps=reps, seed=seed,
        )  # fmt: skip
        line = "Outcomes: as observed, which compares like with like in an experiment only"
        return self._curve(found, words, line, (*self._flat(ranked), *seen_notes(priority)))

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
        about = (f"Priority: {words}", line)
        return Curve(title, about, labels, numbers, label, notes, found, unit, RANKED.get(words, words))

    def _priority(self, priority: Any) -> tuple[Array, str]:
        """What units are ranked by, and what that is in words."""
        if priority is None:
            return self._held_effect, HELD_WORDS
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

    def _judged(self, effects: Any) -> tuple[Array, str]:
        """Effects that are judged, of the one contrast there is, and what they are in words."""
        if self._pairs:  # a dose has one effect
            self._pair_of("judging effects")
        return self._priority(effects)

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
    def _held_effect(self) -> Array:
        """Held-out effects; their mean where each fold has one for all, as what differs between folds is chance."""
        found = self._held_effects.mean(axis=1)
        return np.full(len(found), found.mean()) if self._one_effect else found

    @property
    def _held_effects(self) -> Array:
        if not self._pairs:
            return self._held_each.effects[:, :, 0]
        ((high, low),) = self._pair_of("judging effects")
        return self._held_each.means[:, :, high] - self._held_each.means[:, :, low]

    @cached_property
    def _one_effect(self) -> bool:
        """Whether the learners without a fold predict one effect for it, all of them."""
        tau, folds = self._held_effects, self._units.folds
        parts = [tau[folds.inside(r, k), r] for r in range(folds.repeats) for k in range(folds.size)]
        return all(same_for_all(part) for part in parts if len(part))

    def _flat(self, ranked: Array, so: str = "nobody is ranked: ") -> tuple[str, ...]:
        """A note where nobody is ranked before another, and why."""
        if not same_for_all(ranked):
            return ()
        what = "priority is" if so else "effects are"
        why = one_for_all(self) if ranked is self._held_effect else f"the {what} the same for all rows"
        return (f"{so}{why}",)

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
        P, m = units.first["treatment"].mean(axis=1)[rows], self._held.means[rows]
        e = P[:, high] / (P[:, high] + P[:, low])
        return units.y[rows], (codes[rows] == high).astype(float), e * m[:, high] + (1 - e) * m[:, low], e, rows

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
HELD_WORDS = "effects predicted for rows that were not learned from"
# What a legend calls them.
RANKED = {HELD_WORDS: "predicted effects"}
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
