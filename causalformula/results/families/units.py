"""``UnitResult``: effects for every unit, and how well they tell who gains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.meta.dose import DoseUnits
from causalformula.backends.meta.surfaces import Surfaces
from causalformula.backends.options import flag, is_number, one_of, shown, whole
from causalformula.diagnostics.budget import policy_value
from causalformula.diagnostics.effect_calibration import calibration_test, effect_groups
from causalformula.diagnostics.effect_losses import dr_loss, r_loss
from causalformula.diagnostics.rankings import REPS
from causalformula.diagnostics.regressed import Measured
from causalformula.diagnostics.targeting import TARGETS
from causalformula.errors import OptionError, asks, counted
from causalformula.inference.requests import Vcov
from causalformula.results.families.faces import face_of
from causalformula.results.families.judged import Curve, EffectCalibration, Judged, Worth, worth_of
from causalformula.results.families.unit_core import UnitCore, seen_notes
from causalformula.results.families.unit_effects import Effects
from causalformula.results.families.unit_errors import unit_errors

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.base import BaseEstimator

# By name, as it fits: it stands above the verbs.
ESTIMATOR = "causalformula.estimators.effects:estimator_of"


@dataclass(frozen=True, eq=False, repr=False)
class UnitResult(UnitCore):
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
            Predictions by learners that saw neither the row nor its fold, over the repetitions. (The verbs that judge
            read others, of each fold by learners of the folds before it.)

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

    def scores(self) -> pd.DataFrame:
        """Doubly robust scores of each effect, whose mean in any group of rows is its average effect there.

        Returns
        -------
        DataFrame
            A row a row of the data, a column a contrast. Over ``repeats=`` they are means, while the fit's estimate
            is a median: their mean is then near it, and not the same. For an ATT or ATC too they are those of everyone.
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
            What units are ranked by: a column of the data, or numbers; by default the effects of each
            fold as the folds before it predict them, ranked within the fold. The first fold is not judged, and of
            several repetitions of the folds the first is.
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
        Yadlowsky et al. (2021). Folds one after the other, so that tests keep their level: Wager (2024), "Sequential
        validation of treatment heterogeneity". R: ``grf::rank_average_treatment_effect``.
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
        """Uplift curve: the effect among the top share by priority; of observed outcomes, that times the share.

        Parameters
        ----------
        priority, observed, reps, seed
            As in ``qini``. The two curves differ: by default the effect among the top share, which ends in the average
            effect as does that of treating at random; with ``observed=True`` scikit-uplift's, that effect times the
            share, a gain per head of the population.

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

        Raises
        ------
        OptionError
            For a share that is none, or of less than one row; for a cost that is no number.

        References
        ----------
        Athey and Wager (2021).
        """
        if share is not None and not (is_number(share) and 0 < share <= 1):
            raise OptionError(f"share={shown(share)}: which share of the population is treated, above 0 and at most 1")
        if not (isinstance(cost, str) or is_number(cost)):
            raise OptionError(f"cost={shown(cost)}: what treating one costs, a number, or the column that has it")
        costs = self.call.frame.numbers(cost) if isinstance(cost, str) else cost
        clusters = self._clusters
        ranked, words, weights = self._judged(priority) if share is None else self._ranked(priority)
        flat = self._flat(ranked, priority)
        found = policy_value(self._gamma, ranked, share=share, cost=costs, weights=weights, clusters=clusters)
        labels, numbers = worth_of(found)
        rule = (
            f"treat the top {100 * found.share:.3g}%"
            if share is not None
            else f"treat where the priority exceeds the cost, {100 * found.share:.3g}% of the population"
        )
        title = f"Worth of treating by priority, per head ({self._what})"
        lines = (f"Priority: {words}", f"Rule: {rule}", self._scores_line, *self._everyone)
        return Worth(title, lines, labels, numbers, self._kind, (*flat, *seen_notes(priority)), found.share)

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
        clusters, (effect, words, weights) = self._clusters, self._judged(effects)
        whole("groups", groups, "groups of two rows or more of like prediction", max(len(effect) // 2, 1))
        order = self._ahead_rank if effects is None else None
        found = effect_groups(effect, self._gamma, groups, order=order, weights=weights, clusters=clusters)
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
        few = self._flat(effect, effects)
        if size != groups and not few:
            few = (f"predictions are alike, so that there are {counted(size, 'group')} of {groups}",)
        lines = (f"Groups by {words}", self._scores_line, *self._everyone)
        return EffectCalibration(
            f"Average effects in groups of like predicted effect ({self._what})", lines,
            tuple(labels), numbers, self._kind, (*few, *seen_notes(effects)), found, test,
        )  # fmt: skip

    @asks
    def losses(self, effects: Any = None) -> Judged:
        """Losses of the predicted effects that need no true ones, beside those of one effect for all.

        Parameters
        ----------
        effects : Effects, str or array, optional
            Others to be judged by this fit's nuisances: those of another learner that was fitted to other rows, a
            column of the data, or numbers; by default the effects of each fold as the folds before it predict them.

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
        clusters, (effect, words, weights) = self._clusters, self._judged(effects)
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
        title, lines = f"Losses of predicted effects ({self._what})", (f"Of {words}", *self._everyone)
        return Judged(
            title, lines, labels, numbers, self._kind, (*self._flat(effect, effects, ""), *seen_notes(effects))
        )
