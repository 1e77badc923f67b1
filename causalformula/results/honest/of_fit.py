"""``fit.honest``: what an event study says when trends need not be parallel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from causalformula.backends.did.aggregate import Aggregated
from causalformula.backends.did.averages import Averages
from causalformula.backends.did.imputation import Imputation
from causalformula.errors import CapabilityError, asks, some
from causalformula.numerics.arrays import Array
from causalformula.results.effects.core import ResultCore
from causalformula.results.families.event_pictures import reference_of
from causalformula.results.families.group_time import averages_of, of_groups, refuse_one_effect, values_of
from causalformula.results.honest.sensitivity import TrendSensitivity
from causalformula.results.honest.verb import honest
from causalformula.results.result import Result
from causalformula.words import HonestMethod, TrendBound, TrendDirection, TrendKind

if TYPE_CHECKING:
    from causalformula.numerics.arrays import HasArray

# The smallest share of a step of time that tells two steps apart.
STEP = 1e-8
IMPUTED = (
    "imputed effects are compared with all untreated periods of their units, not with the one before treatment, "
    "so that a violation before treatment is in them otherwise than these restrictions take it to be"
)


@dataclass(frozen=True, eq=False, repr=False)
class HonestTrends(Result):
    """A ``Result`` whose effects by time since treatment may be asked how far they rest on parallel trends."""

    @asks
    def honest(
        self,
        kind: TrendKind,
        *,
        M: float | Sequence[float] | HasArray | None = None,
        l_vec: Sequence[float] | HasArray | None = None,
        alpha: float = 0.05,
        method: HonestMethod | None = None,
        direction: TrendDirection | None = None,
        bound: TrendBound | None = None,
        seed: int = 0,
    ) -> TrendSensitivity:
        """Intervals for an effect when trends need not be parallel: ``cf.honest`` of this event study.

        The coefficients are those of ``aggregate("dynamic")``, before and after the reference period, which is left
        out; so are their covariance and its clusters.

        Parameters
        ----------
        kind : {"relative_magnitude", "smoothness"}
        M, l_vec, alpha, method, direction, bound, seed : optional
            As of ``cf.honest``. Periods after treatment, the weights of which are ``l_vec``, are those after the
            reference; with ``anticipation=`` the first ones are before treatment.

        Returns
        -------
        TrendSensitivity

        Raises
        ------
        CapabilityError
            Where no coefficient is of a time before the reference, or none after it; where they are not compared with
            one reference, as group-time effects of a varying base are not; and where times have gaps.

        References
        ----------
        Rambachan and Roth (2023). R: ``HonestDiD``.
        """
        study = self._by_event()
        betas, sigma, num_pre, notes = coefficients(study)
        found = honest(
            betas, sigma, kind, num_pre=num_pre, num_post=len(betas) - num_pre, M=M, l_vec=l_vec, alpha=alpha,
            method=method, direction=direction, bound=bound, seed=seed,
        )  # fmt: skip
        errors = tuple(note.removeprefix("Note: ") for note in study.covariance.notes)
        return replace(found, notes=(*notes, *study.fit.notes, *errors))

    def _by_event(self) -> Self:
        """The event study that this is, or is summarised by."""
        refuse_one_effect(self, "honest")
        if by_event(self):
            return self
        if not of_groups(self):
            raise CapabilityError("honest() is of effects by time since treatment: ask the fit or aggregate('dynamic')")
        return self._ask(Aggregated(how="dynamic"))


def by_event(result: ResultCore) -> bool:
    """Whether the rows are times since treatment."""
    labels = result.answer.labels
    return bool(labels) and tuple(group for group, _ in labels[0].groups) == ("event",)


def coefficients(study: ResultCore) -> tuple[Array, Array, int, tuple[str, ...]]:
    """Coefficients (q,) and covariance without the reference, how many are before it, and what to tell of them.

    Raises
    ------
    CapabilityError
        Where they are no event study of one reference and of times without gaps.
    """
    times = np.array([float(value) for value in values_of(study, "event")])
    reference, notes = _reference(study, times)
    kept = times != reference
    num_pre, num_post = int((times < reference).sum()), int((times > reference).sum())
    for count, side in ((num_pre, "before"), (num_post, "after")):
        if not count:
            raise CapabilityError(f"no effect is of a time {side} the reference, {reference:g}: {MISSING[side]}")
    _refuse_gaps(np.unique(np.append(times, reference)))
    sigma = np.asarray(study.covariance.matrix)[np.ix_(kept, kept)]
    if not np.isfinite(sigma).all():
        raise CapabilityError("these effects have no covariance; ask for another one by with_vcov()")
    return study.answer.estimate.theta[kept], sigma, num_pre, (*_told_of_first(times[times > reference][0]), *notes)


def _told_of_first(first: float) -> tuple[str, ...]:
    """Which event time the first one after the reference is, where it is not that of the treatment."""
    if first == 0:
        return ()
    ahead = ": with anticipation= the first ones are before treatment" if first < 0 else ""
    return (f"period 1 after treatment is the event time {first:g}{ahead}",)


MISSING = {
    "before": "without one the data say nothing of how trends depart from each other (pretrends= of an imputation, "
    "control_group='nevertreated' of 'etwfe' and earlier periods give some)",
    "after": "there is no effect whose interval could be asked for; widen max_e",
}


def _reference(study: ResultCore, times: Array) -> tuple[float, tuple[str, ...]]:
    """The event time that all others are compared with, and what to tell of it."""
    averages, found, options = averages_of(study), reference_of(study), study.call.options
    held = getattr(options, "reference", None) or ()
    if len(held) > 1:
        there = some([f"{value:g}" for value in held])
        raise CapabilityError(
            f"honest() needs one reference, and here there are {there}: with several a "
            "linear trend is taken out of the effects before and after treatment"
        )
    if found is not None:
        return found, ()
    if averages is None and getattr(options, "base_period", "") == "varying":
        raise CapabilityError(
            "effects before treatment are changes from one period to the next, and honest() needs all compared with "
            "one reference period: fit with base_period='universal'"
        )
    if averages is not None and not (averages.cells.event < -averages.ahead).any():
        raise CapabilityError(f"no effect is of a time before treatment: {MISSING['before']}")
    if averages is not None and isinstance(options, Imputation):
        return _left_out(averages), (IMPUTED,)
    raise CapabilityError("honest() needs one reference, and here groups are compared with different event times")


def _left_out(averages: Averages) -> float:
    """The one time before treatment that has no coefficient, of an imputation, which does not name a reference."""
    rows = averages.rows
    ahead = np.unique(rows.event[rows.used & np.isfinite(rows.event) & (rows.event < -averages.ahead)])
    left = np.setdiff1d(ahead, averages.cells.event)
    if len(left) != 1 or left[0] != ahead[-1]:
        held = some([f"{value:g}" for value in left], 6) if len(left) else "none of them"
        raise CapabilityError(
            "honest() needs effects before treatment that are compared with the last time before it alone, and here "
            f"the reference is {held}: ask for pretrends=True, all times but that one"
        )
    return float(left[0])


def _refuse_gaps(times: Array) -> None:
    """Restrictions are on changes from one period to the next, so that steps of time must be of one size."""
    steps = np.diff(times)
    gaps = np.flatnonzero(steps > steps.min() * (1 + STEP))
    if len(gaps):
        before, after = times[gaps[0]], times[gaps[0] + 1]
        raise CapabilityError(
            f"honest() restricts changes from one period to the next, and between the event times {before:g} and "
            f"{after:g} there is a gap; leave out what is beyond it by aggregate('dynamic', min_e=, max_e=)"
        )
