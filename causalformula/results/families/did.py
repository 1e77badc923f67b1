"""What a difference in differences shows beside its effects: means of groups and periods, summaries, trends before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from causalformula.backends.did.aggregate import KINDS, Aggregated
from causalformula.backends.did.decomposition import decomposed
from causalformula.backends.did.outcomes import TwoPeriods
from causalformula.backends.did.panels import COVARIATES
from causalformula.backends.fit import Query
from causalformula.backends.options import one_of, shown
from causalformula.errors import CapabilityError, OptionError, asks, some
from causalformula.frame.parts import PROPENSITY
from causalformula.numerics.arrays import Array
from causalformula.numerics.families import family as read_family
from causalformula.plots.trends import trends
from causalformula.results.effects.pictures import effects
from causalformula.results.families.averaged import averaged_tables
from causalformula.results.families.decomposition import Decomposition
from causalformula.results.families.event_pictures import pictures_of, study
from causalformula.results.families.group_time import (
    averages_of,
    group_time_of,
    of_groups,
    pretest,
    refuse_one_effect,
    tables,
)
from causalformula.results.families.groups_over_time import cluster_lines, groups_over_time
from causalformula.results.honest.of_fit import HonestTrends, by_event
from causalformula.results.reading.reading import Reading
from causalformula.results.reading.test import Test
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_num
from causalformula.words import Aggregation, ResultPicture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DIGITS = 4
# Columns of labels that may be numbers.
GROUPED = ("group", "time", "event")


def _numbers(texts: list[Any]) -> list[Any]:
    """Whole numbers and others as such, where all are."""
    try:
        values = [float(text) for text in texts]
    except (TypeError, ValueError):
        return texts
    return [int(value) if value.is_integer() else value for value in values]


@dataclass(frozen=True, eq=False, repr=False)
class DidResult(HonestTrends):
    """A ``Result`` of a difference in differences: the means of its cells, trends, and summaries of many effects."""

    def cells(self) -> pd.DataFrame:
        """The means of the outcome in each group and period, of which a difference in differences is made.

        Returns
        -------
        DataFrame
            One row a group and period: the two variables, ``mean`` (weighted by ``weights(w)``), ``rows`` and, with a
            unit, ``units``; only rows of positive weight. Of groups that are treated at different times the last is
            ``never``.
        """
        return groups_over_time(self.call.frame).table()

    def _means(self) -> Array:
        return groups_over_time(self.call.frame).means()

    def _units(self) -> list[int]:
        """Units with a row of positive weight in each of two groups."""
        frame, unit = self.call.frame, self.call.frame.unit
        assert unit is not None
        used, group = frame.unit_weights > 0, frame.the_panel.cells // 2
        return [len(np.unique(unit.codes[used & (group == g)])) for g in (0, 1)]

    # -- groups that are treated at different times ---------------------------------------------------------------

    @asks
    def aggregate(
        self,
        kind: Aggregation = "simple",
        *,
        min_e: float = -np.inf,
        max_e: float = np.inf,
        balance_e: float | None = None,
    ) -> Self:
        """Means of the effects over time, weighted by the groups' shares, which are estimated too.

        Parameters
        ----------
        kind : {"simple", "group", "dynamic", "calendar"}
            One number of all effects from the treatment on; or one a group, one an event time (the time since the first
            treated period), or one a period.
        min_e, max_e : float
            Event times that take part: of ``"dynamic"`` both, of the others the longest (``max_e``).
        balance_e : float, optional
            Of ``"dynamic"``: only groups that are observed so long after their treatment began, and no event time
            later than that, so that all event times are of the same groups.

        Returns
        -------
        Result
            One row a group, event time or period; ``.overall`` is the Result of their overall mean: over groups by
            their shares, over event times from 0 on and over periods with equal weights.

        Raises
        ------
        CapabilityError
            Of two groups over two periods, and of a summary.
        OptionError
            Where no effect is left.

        References
        ----------
        Callaway and Sant'Anna (2021), section 3. R: ``did::aggte``.
        """
        refuse_one_effect(self, "aggregate")
        if not of_groups(self):
            raise CapabilityError("this is a summary already; ask the fit that it came from")
        one_of("kind", kind, KINDS)
        for name, value in {"min_e": min_e, "max_e": max_e, "balance_e": balance_e or 0}.items():
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or np.isnan(value):
                raise OptionError(f"{name}={shown(value)} is no event time, which is a number")
        idle = {"min_e": min_e > -np.inf, "balance_e": balance_e is not None}
        if kind != "dynamic" and (given := [name for name, there in idle.items() if there]):
            raise OptionError(
                f"aggregate({kind!r}) makes no use of {some(given)}, which say which event times aggregate('dynamic') "
                "shows; max_e= is of all"
            )
        return self._ask(Aggregated(how=kind, min_e=min_e, max_e=max_e, balance_e=balance_e))

    @cached_property
    def overall(self) -> Self:
        """The overall mean of a summary, a Result of one effect; of all group-time effects the simple mean."""
        refuse_one_effect(self, "overall")
        averages = averages_of(self)
        asked = self.query if isinstance(self.query, Aggregated) else Aggregated()
        if averages is not None and asked is not self.query and not self.answer.labels[0].groups:
            return self
        if asked.overall or (asked is self.query and asked.how == "simple"):
            return self
        return self._ask(replace(asked, overall=True))

    def pretrends(self) -> Test:
        """Wald test that all effects before treatment, and before its anticipation, are zero.

        Parallel trends before treatment are no proof of parallel trends after it, and the test has little power where
        standard errors are large.

        Returns
        -------
        Test

        Raises
        ------
        CapabilityError
            Where there are no effects before treatment.

        References
        ----------
        R: ``did::att_gt()``'s W and Wpval; Roth (2022) on what passing it says.
        """
        averages = averages_of(self)
        usual = averages is not None and of_groups(self) and averages.usual == "simple"
        found = pretest(self.aggregate("dynamic") if usual else self)
        if found is None:
            raise CapabilityError("no effect is of a time before treatment, so there are no trends to test")
        return found

    def decompose(self) -> Decomposition:
        """What the coefficient of ``y ~ treatment | unit + period``, two-way fixed effects, is made of.

        It is a weighted mean of the differences in differences of all pairs of groups (Goodman-Bacon), among them those
        that compare with groups under treatment already; and, if trends are parallel, one of the effects of groups in
        periods, whose weights may be negative (de Chaisemartin and D'Haultfoeuille).

        Returns
        -------
        Decomposition
            ``.to_frame() .by_type() .weights() .coefficient .within .plot()``.

        Raises
        ------
        CapabilityError
            For units that are not observed in all periods, and with an offset.

        References
        ----------
        Goodman-Bacon (2021), Journal of Econometrics 225, 254-277; de Chaisemartin and D'Haultfoeuille (2020), American
        Economic Review 110, 2964-2996. R: ``bacondecomp::bacon`` 0.1.1.
        """
        frame = self.call.frame
        assert frame.panel is not None and frame.outcome is not None
        ahead, family = getattr(self.call.options, "anticipation", 0), self.call.options.family
        early = f"the treatment counts from its first period on: anticipation={ahead:g} has no part in this"
        linear = f"the coefficient is that of least squares, and family={str(family)!r} has no part in this"
        told = (*(early,) * bool(ahead), *(linear,) * (read_family(family).name != "gaussian"))
        return Decomposition(decomposed(frame, told), frame.panel, frame.outcome.name)

    def permutation_test(self, *args: Any, **refused: Any) -> NoReturn:
        """Not for a difference in differences, whose groups were not assigned by lot.

        Parameters
        ----------
        *args
            Those of other fits.

        Raises
        ------
        CapabilityError
            Always.
        """
        raise CapabilityError(
            "a permutation test takes every order of the groups for equally likely, and a difference in differences is "
            "for groups that were not drawn by lot. Where they were, compare the changes: one row a unit, "
            "treat(...), and permutation_test() of that fit; for few clusters ask for with_vcov('wild')"
        )

    def _unanswered(self) -> set[str]:
        gone = super()._unanswered() | {"permutation_test"}
        if not self._over_time():
            return gone | {"aggregate", "honest", "overall", "pretrends"}
        return gone | {"means", "by"} | (set() if of_groups(self) else {"aggregate"})

    # -- print and pictures ----------------------------------------------------------------------------------------

    def _heads(self) -> Mapping[str, Any]:
        """Event times, and groups and periods that are numbers, as numbers."""
        heads = dict(super()._heads())
        return {name: _numbers(values) if name in GROUPED else values for name, values in heads.items()}

    def _effects(self, reading: Reading, level: float) -> list[str | Cells]:
        """As R's ``did`` prints group-time effects and their summaries."""
        averages = averages_of(self)
        if averages is not None:
            several = bool(self.answer.labels[0].groups)
            return averaged_tables(self, averages, reading, level, self.overall if several else None)
        if group_time_of(self) is None:
            return super()._effects(reading, level)
        overall = None if of_groups(self) or self.overall is self else self.overall
        return tables(self, reading, level, overall)

    def _over_time(self) -> bool:
        return group_time_of(self) is not None or averages_of(self) is not None

    def _comparable(self) -> Self:
        return self.overall if self._over_time() else self

    def _of_effects(self) -> bool:
        return self.query is not None and self.query.kind == "effects" and not self._over_time()

    def _lines(self, level: float) -> list[str]:
        """Of means, whose they are."""
        if self.query is None or self.query.kind != "means":
            return []
        (other, group), (_, period) = self._names()
        return [f"Of the rows with {group} at {period}: {other}, without treatment, is by parallel trends"]

    def _tables(self) -> list[str | Cells]:
        """The cell means with their changes, and how many rows they are of."""
        if not self._of_effects():
            return []
        frame, (groups, periods) = self.call.frame, self._names()
        outcome = "" if frame.outcome is None else frame.outcome.name
        means = self._means()
        change = means[:, 1] - means[:, 0]
        texts = format_num(np.concatenate([means.ravel(), change]), DIGITS)
        body = tuple((texts[2 * g], texts[2 * g + 1], texts[4 + g]) for g in (0, 1))
        mean = "Mean" if frame.weights is None else "Weighted mean"
        cells = Cells(groups, (*periods, "Change"), body, False)
        return ["", f"{mean} of {outcome}", cells, *self._arithmetic(change), "", *self._counts(groups, periods)]

    def _arithmetic(self, change: Array) -> list[str]:
        """The difference of the changes, and what the estimate is adjusted for."""
        numbers = np.array([change[1], change[0], change[1] - change[0]])
        treated, other, difference = (text.strip() for text in format_num(numbers, DIGITS))
        subtracted = f"({other})" if other.startswith("-") else other
        lines = [f"Difference in differences: {treated} - {subtracted} = {difference}"]
        controls = self._controls()
        return lines + ([f"The estimate is adjusted for {some(controls, 3)}"] if controls else [])

    def _controls(self) -> list[str]:
        """Terms of the regression beside the two variables and their product; offsets too."""
        frame = self.call.frame
        behind, panel = self.fit.models.get("outcome"), frame.the_panel
        if behind is None:
            parts = [frame.design(part).recipe.terms.term_labels for part in (COVARIATES, PROPENSITY)]
            return list(dict.fromkeys(label for labels in parts for label in labels))
        assert behind.part is not None
        recipe = frame.design(behind.part).recipe
        own = {panel.treated, panel.time}
        used = [{recipe.terms.labels[i] for i, _ in coding} for coding in recipe.coding]
        found = [label for label, inside in zip(recipe.terms.term_labels, used, strict=True) if inside - own]
        return found + (["the offset"] if frame.offset is not None else [])

    def _counts(self, groups: tuple[str, ...], periods: tuple[str, ...]) -> list[str | Cells]:
        table, unit = self.cells(), self.call.frame.unit
        counts = table["rows"].to_numpy().reshape(2, 2)
        columns, body = list(periods), [[str(n) for n in row] for row in counts]
        if unit is not None:
            columns.append("Units")
            for row, count in zip(body, self._units(), strict=True):
                row.append(str(count))
        title = "Rows" if unit is None else f"Rows, and units of {unit.name}"
        return [title, Cells(groups, tuple(columns), tuple(map(tuple, body)), False), *self._clusters(groups)]

    def _clusters(self, groups: tuple[str, ...]) -> list[str]:
        """How many clusters each of two groups has, where no regression tells what rests on one of them."""
        frame = self.call.frame
        if not isinstance(self.fit.outcomes, TwoPeriods):
            return []
        inside = {name: (frame.unit_weights > 0) & (frame.the_panel.cells // 2 == g) for g, name in enumerate(groups)}
        return cluster_lines(self, inside)

    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """``Drug = 0``, ``Drug = 1`` and ``Post = 0``, ``Post = 1``."""
        panel = self.call.frame.the_panel
        assert panel.groups is not None
        groups = tuple(f"{panel.treated} = {level}" for level in panel.groups.levels)
        return groups, tuple(f"{panel.time} = {level}" for level in panel.periods.levels)

    def _pictures(self) -> Mapping[str, Callable[[Any, Any, float], Any]]:
        return pictures_of(self) if self._over_time() else PICTURES

    def plot(
        self,
        kind: ResultPicture | None = None,
        ax: Axes | None = None,
        level: float = 0.95,
        *,
        beside: Mapping[str, DidResult] | None = None,
    ) -> Axes:
        """Draw the effects with their intervals, or the groups' means over time.

        The trends show the means of the groups in all periods and, dashed, where the treated would be without
        treatment if their trend were that of the others (given the controls, where there are some). Group-time effects
        are a grid of groups and periods, and their summaries an event study: with the interval of each and the band
        of all at once, whose draws are always the same; other ones are in ``simultaneous(seed=)``.

        Parameters
        ----------
        kind : {"effects", "trends", "grid", "event_study"}, optional
            Where not given, ``"grid"`` for group-time effects, ``"event_study"`` for their summaries, and
            ``"effects"`` otherwise.
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.
        level : float
            Of the intervals, which trends have none of.
        beside : mapping of str to DidResult, optional
            Of an event study: other ones, by the name of their estimators, each a little aside.

        Returns
        -------
        Axes

        Raises
        ------
        OptionError
            For ``beside=`` of another picture, or of results that are not by event time too.
        """
        if beside is not None:
            check_beside(self, kind, beside)
            return study(self, ax, level, beside)
        return super().plot(next(iter(self._pictures())) if kind is None else kind, ax, level)


def check_beside(result: DidResult, kind: str | None, beside: object) -> None:
    """An ``OptionError`` for what cannot be drawn beside an event study."""
    if kind not in (None, "event_study"):
        raise OptionError(f"beside= is of plot('event_study'), not of plot({kind!r})")
    if not isinstance(beside, Mapping) or not all(isinstance(other, DidResult) for other in beside.values()):
        raise OptionError("beside= takes results by name, as in beside={'imputation': other.aggregate('dynamic')}")
    for name, other in {"this result": result, **beside}.items():
        if not by_event(other):
            raise OptionError(
                f"{name} is not by time since treatment; event studies are drawn together: ask aggregate('dynamic')"
            )


def _trends(result: DidResult, ax: Any, level: float) -> Any:
    """See ``DidResult.plot``; trends have no intervals, so the level is not used."""
    frame, (groups, _) = result.call.frame, result._names()
    panel = frame.the_panel
    assert panel.groups is not None
    means = result._means()
    without = result.fit.ask(Query("means")).estimate.theta[0]
    outcome = "" if frame.outcome is None else frame.outcome.name
    given = some(result._controls(), 3)
    return trends(ax, means, without, groups, panel.periods.levels, time=panel.time, outcome=outcome, given=given)


PICTURES: Mapping[str, Callable[[Any, Any, float], Any]] = {"effects": effects, "trends": _trends}
