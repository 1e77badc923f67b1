"""``UnitResult``: effects for every unit, and how well they tell who gains."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.contrasts import contrasts
from causalformula.backends.meta.dose import DoseUnits
from causalformula.backends.meta.learners import held_predictions
from causalformula.backends.meta.options import MetaOptions
from causalformula.backends.meta.surfaces import Surfaces
from causalformula.backends.meta.units import Predicted, Units
from causalformula.backends.options import flag, is_number, one_of, shown, whole
from causalformula.diagnostics.budget import policy_value
from causalformula.diagnostics.effect_accuracy import same_for_all
from causalformula.diagnostics.effect_calibration import calibration_test, effect_groups
from causalformula.diagnostics.effect_losses import dr_loss, r_loss
from causalformula.diagnostics.rankings import REPS
from causalformula.diagnostics.regressed import Measured
from causalformula.diagnostics.targeting import score_curve
from causalformula.diagnostics.uplift import OutcomeCurve, outcome_curve
from causalformula.errors import CapabilityError, DataError, OptionError, asks, counted
from causalformula.inference.requests import Vcov
from causalformula.numerics.arrays import Array, Codes
from causalformula.results.families.faces import face_of
from causalformula.results.families.judged import Curve, EffectCalibration, Judged, Worth, area_of, worth_of
from causalformula.results.families.learned import LearnedResult
from causalformula.results.families.unit_effects import Effects, one_for_all
from causalformula.results.families.unit_errors import Pair, unit_errors

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.base import BaseEstimator

# By name, as it fits: it stands above the verbs.
ESTIMATOR = "causalformula.estimators.effects:estimator_of"
SCORES = "doubly robust scores of cross-fitted nuisances"


@dataclass(frozen=True, eq=False, repr=False)
class UnitResult(LearnedResult):
    """A ``Result`` of a method that has an effect for every unit."""

    # -- the effects -----------------------------------------------------------------------------------------------

    @asks
    def effects(self, newdata: Any = None, *, vcov: Vcov | None = None, held_out: bool = False) -> Effects:
        """The effect for every unit, by learners of all rows.

        Parameters
        ----------
        newdata : data frame, optional
            Other units: the covariates are enough.
        vcov : str or request, optional
            Standard errors of units: those of theory for an S- or T-learner of glms, HC3 by default (the formula's
            clusters where it has them); ``"bootstrap"`` refits any learner that takes weights.
        held_out : bool
            Predictions by learners that saw neither the row nor its fold, which is what the judging verbs read.

        Returns
        -------
        Effects
            ``to_frame()`` has one row a unit.

        Raises
        ------
        FormulaError, DataError
            For new data without a column, or with a level that was not there at the fit.
        CapabilityError
            For standard errors that theory does not have for this learner.
        """
        units = self._units
        if flag("held_out", held_out):
            if newdata is not None or vcov is not None:
                raise OptionError("held_out=True is of the rows of the fit, without standard errors")
            n = self.call.frame.n
            return Effects(self, self._held, np.ones(n, dtype=bool), self.call.frame.index, self._pairs, held=True)
        new = newdata is not None
        surfaces = Surfaces.of_new(self.call.frame, newdata) if new else Surfaces.of(self.call.frame)
        complete = surfaces.complete
        some = surfaces if complete.all() else surfaces.take(complete)
        errors = unit_errors(self.call, units, some, self._pairs, vcov)
        index = surfaces.index if new else self.call.frame.index
        return Effects(self, units.predict(some), complete, index, self._pairs, errors, new)

    def _unanswered(self) -> set[str]:
        return super()._unanswered() - {"effects"} | ({"means"} if isinstance(self.fit.units, DoseUnits) else set())

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

    def scores(self) -> pd.DataFrame:
        """Doubly robust scores of each effect, whose mean in any group of rows is its average effect there.

        Returns
        -------
        DataFrame
            A row a row of the data, a column a contrast.
        """
        import pandas as pd

        G, levels = self._units.scores, self.call.frame.the_treatment.levels
        found = {f"{levels[high]} - {levels[low]}": G[:, high] - G[:, low] for high, low in self._pairs}
        found = found or {self.answer.labels[0].contrast: G[:, 0]}
        return pd.DataFrame(found, index=self.call.frame.index)

    def as_estimator(self) -> BaseEstimator:
        """The fit as a scikit-learn estimator, which predicts effects, and can be cloned, searched and scored.

        Returns
        -------
        EffectEstimator
            Fitted: its ``result_`` is this fit, and nothing is fitted anew.
        """
        found: BaseEstimator = face_of(ESTIMATOR)(self)
        return found

    # -- judging ---------------------------------------------------------------------------------------------------

    @asks
    def toc(self, priority: Any = None, *, target: str = "AUTOC", reps: int = REPS, seed: int = 0) -> Curve:
        """Targeting operator characteristic: the effect among the top share by priority, above that of all.

        Parameters
        ----------
        priority : str or array, optional
            What units are ranked by: a column of the data, or numbers; by default the effects predicted for rows that
            were not learned from.
        target : {"AUTOC", "QINI"}
            How the curve's area is weighted.
        reps : int
            Half-samples of the standard errors; 0 for none.
        seed : int
            Of these.

        Returns
        -------
        Curve

        References
        ----------
        Yadlowsky et al. (2021). R: ``grf::rank_average_treatment_effect``.
        """
        return self._scored("toc", priority, one_of("target", target, TARGETS), reps, seed)

    @asks
    def rate(self, target: str = "AUTOC", priority: Any = None, *, reps: int = REPS, seed: int = 0) -> Curve:
        """Rank-weighted average treatment effect: the area under the TOC, 0 where the priority says nothing.

        Parameters
        ----------
        target : {"AUTOC", "QINI"}
        priority, reps, seed
            As in ``toc``.

        Returns
        -------
        Curve
            ``estimate`` and ``std_error``.

        References
        ----------
        Yadlowsky et al. (2021). R: ``grf::rank_average_treatment_effect``.
        """
        return self._scored("toc", priority, one_of("target", target, TARGETS), reps, seed)

    @asks
    def gain(self, priority: Any = None, *, reps: int = REPS, seed: int = 0) -> Curve:
        """Cumulative gain: what treating the top share by priority gains per head of the population.

        Parameters
        ----------
        priority, reps, seed
            As in ``toc``.

        Returns
        -------
        Curve
        """
        return self._scored("gain", priority, None, reps, seed)

    @asks
    def qini(self, priority: Any = None, *, observed: bool = False, reps: int = REPS, seed: int = 0) -> Curve:
        """Qini curve: what treating the top share gains per head, beyond treating as many at random.

        Parameters
        ----------
        priority, reps, seed
            As in ``toc``.
        observed : bool
            Of the outcomes of both arms as they are, as scikit-uplift has it, which only an experiment allows; by
            default of doubly robust scores.

        Returns
        -------
        Curve
        """
        return self._either("qini", priority, observed, reps, seed)

    @asks
    def uplift(self, priority: Any = None, *, observed: bool = False, reps: int = REPS, seed: int = 0) -> Curve:
        """Uplift curve: the effect among the top share by priority.

        Parameters
        ----------
        priority, observed, reps, seed
            As in ``qini``; the curve of observed outcomes is per head of the population.

        Returns
        -------
        Curve
        """
        return self._either("uplift", priority, observed, reps, seed)

    @asks
    def value(self, share: float | None = None, *, cost: Any = 0.0, priority: Any = None) -> Worth:
        """The worth of a rule: treat the top share by priority, or those whose predicted effect exceeds the cost.

        Parameters
        ----------
        share : float, optional
            The budget, a share of the population.
        cost : float or str
            Of treating one unit, in units of the outcome; or the column that has it.
        priority : str or array, optional
            As in ``toc``.

        Returns
        -------
        Worth
            Gain, gain less cost, that of treating all, and the difference; per head of the population.

        References
        ----------
        Athey and Wager (2021).
        """
        if share is not None and not (is_number(share) and 0 < share <= 1):
            raise OptionError(f"share={shown(share)}: which share of the population is treated, above 0 and at most 1")
        if not (isinstance(cost, str) or is_number(cost)):
            raise OptionError(f"cost={shown(cost)}: what treating one costs, a number, or the column that has it")
        costs = self.call.frame.numbers(cost) if isinstance(cost, str) else cost
        ranked, words = self._priority(priority)
        flat = self._flat(ranked)
        found = policy_value(
            self._gamma, ranked, share=share, cost=costs, weights=self._weights, clusters=self._clusters
        )
        labels, numbers = worth_of(found)
        rule = (
            f"treat the top {100 * found.share:.3g}%"
            if share is not None
            else f"treat where the priority exceeds the cost, {100 * found.share:.3g}% of the population"
        )
        title = f"Worth of treating by priority, per head ({self._what})"
        lines = (f"Priority: {words}", f"Rule: {rule}", f"Scores: {SCORES}")
        return Worth(title, lines, labels, numbers, self._kind, flat, found.share)

    @asks
    def calibration(self, groups: int = 5, *, effects: Any = None) -> EffectCalibration:
        """Whether units with larger predicted effects have larger effects: groups of like prediction, and grf's test.

        Parameters
        ----------
        groups : int
            Of as many rows each; fewer where predictions are the same.
        effects : Effects, str or array, optional
            Those judged, as in ``losses``.

        Returns
        -------
        EffectCalibration

        References
        ----------
        Chernozhukov et al. (2018), "Generic machine learning inference". R: ``grf::test_calibration``.
        """
        weights, clusters, (effect, words) = self._weights, self._clusters, self._judged(effects)
        whole("groups", groups, "groups of two rows or more of like prediction", max(len(effect) // 2, 1))
        found = effect_groups(effect, self._gamma, groups, weights=weights, clusters=clusters)
        y, a, m, e, rows = self._residuals()
        some = None if weights is None else weights[rows]
        cut = None if clusters is None else clusters[rows]
        test = calibration_test(y, a, m, e, effect[rows], weights=some, clusters=cut)
        labels = [f"group {k + 1}" for k in range(len(found.rows))]
        both = np.concatenate([found.estimated.estimate, found.spread.estimate])
        size = len(labels)
        jac = np.vstack([np.eye(size), np.eye(size)[-1] - np.eye(size)[0]])
        numbers = Measured(both, jac @ found.estimated.matrix @ jac.T, np.append(found.estimated.df, found.spread.df))
        labels.append(f"group {size} - group 1")
        if size == 1:
            numbers, labels = found.estimated, ["all"]
        few = self._flat(effect)
        if size != groups and not few:
            few = (f"predictions are alike, so that there are {counted(size, 'group')} of {groups}",)
        lines = (f"Groups by {words}", f"Scores: {SCORES}")
        return EffectCalibration(
            f"Average effects in groups of like predicted effect ({self._what})", lines,
            tuple(labels), numbers, self._kind, few, found, test,
        )  # fmt: skip

    @asks
    def losses(self, effects: Any = None) -> Judged:
        """Losses of the predicted effects that need no true ones, beside those of one effect for all.

        Parameters
        ----------
        effects : Effects, str or array, optional
            Others to be judged by this fit's nuisances: those of another learner that was fitted to other rows, a
            column of the data, or numbers; by default the effects predicted for rows that were not learned from.

        Returns
        -------
        Judged
            ``R-loss``, ``mean (Y - m - (A - e) tau)^2``, and ``DR-loss``, ``mean (score - tau)^2``, and of each what
            is gained over the best constant effect.

        References
        ----------
        Nie and Wager (2021); Kennedy (2023).
        """
        y, a, m, e, rows = self._residuals()
        weights, clusters, (effect, words) = self._weights, self._clusters, self._judged(effects)
        some = None if weights is None else weights[rows]
        cut = None if clusters is None else clusters[rows]
        found = {
            "R-loss": r_loss(y, a, m, e, effect[rows], weights=some, clusters=cut),
            "DR-loss": dr_loss(self._gamma, effect, weights=weights, clusters=clusters),
        }
        parts = [part for each in found.values() for part in (each.loss, each.gain)]
        labels = tuple(label for name in found for label in (name, f"{name}: gain over one effect"))
        numbers = Measured(
            np.array([part.estimate[0] for part in parts]), np.diag([float(part.matrix[0, 0]) for part in parts]),
            np.array([part.df[0] for part in parts]),
        )  # fmt: skip
        title, lines = f"Losses of predicted effects ({self._what})", (f"Of {words}",)
        return Judged(title, lines, labels, numbers, self._kind, self._flat(effect, ""))

    # -- what judging reads ----------------------------------------------------------------------------------------

    def _scored(self, kind: str, priority: Any, target: str | None, reps: int, seed: int) -> Curve:
        _refuse_halves(reps, seed)
        ranked, words = self._priority(priority)
        found = score_curve(
            self._gamma, ranked, kind, target=target, weights=self._weights, clusters=self._clusters, reps=reps,
            seed=seed,
        )  # fmt: skip
        return self._curve(found, words, f"Scores: {SCORES}", self._flat(ranked))

    def _either(self, kind: str, priority: Any, observed: bool, reps: int, seed: int) -> Curve:
        if not flag("observed", observed):
            return self._scored(kind, priority, None, reps, seed)
        if not self._pairs:
            raise CapabilityError(
                f"{kind}(observed=True) compares the outcomes of two arms, and {self.call.frame.the_treatment.name!r} "
                f"is a dose; {kind}() is of doubly robust scores, which a dose has too"
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
        return self._curve(found, words, line, self._flat(ranked))

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
        return Curve(title, (f"Priority: {words}", line), labels, numbers, label, notes, found, unit)

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


def _refuse_halves(reps: int, seed: int) -> None:
    whole("reps", reps, "half-samples of the standard errors", MOST_REPS, 0)
    whole("seed", seed, "the seed of the half-samples", 2**32 - 1, 0)


TARGETS = ("AUTOC", "QINI")
MOST_REPS = 100_000
HELD_WORDS = "effects predicted for rows that were not learned from"
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
