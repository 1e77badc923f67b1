"""What a difference in differences shows beside its effect: the four cell means, and the groups' trends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from causalformula.backends.fit import Query
from causalformula.errors import CapabilityError, some
from causalformula.numerics.arrays import Array
from causalformula.plots.trends import trends
from causalformula.results.effects.pictures import effects
from causalformula.results.result import Result
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.numbers import format_num
from causalformula.words import ResultPicture

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

DIGITS = 4


@dataclass(frozen=True, eq=False, repr=False)
class DidResult(Result):
    """A ``Result`` of two groups over two periods: its cell means and trends too."""

    def cells(self) -> pd.DataFrame:
        """The four cell means, of which the difference in differences without controls is made.

        Returns
        -------
        DataFrame
            One row a group and period: the two variables, ``mean`` (weighted by ``weights(w)``), ``rows`` and, with a
            unit, ``units``; only rows of positive weight.
        """
        import pandas as pd

        panel = self.call.frame.the_panel
        assert panel.groups is not None
        columns: dict[str, Any] = {
            panel.treated: np.repeat(panel.groups.levels, 2),
            panel.time: np.tile(panel.periods.levels, 2),
            "mean": self._means().ravel(),
            "rows": self._rows(),
        }
        if self.call.frame.unit is not None:
            columns["units"] = self._units(1)
        return pd.DataFrame(columns)

    def _rows(self) -> Array:
        """Rows of positive weight in each group and period (4,)."""
        frame = self.call.frame
        return np.bincount(frame.the_panel.cells[frame.unit_weights > 0], minlength=4)

    def _units(self, periods: int) -> list[int]:
        """Units with a row of positive weight in each group and period, or with ``periods`` 2 in each group."""
        frame, unit = self.call.frame, self.call.frame.unit
        assert unit is not None
        used, of = frame.unit_weights > 0, frame.the_panel.cells // periods
        return [len(np.unique(unit.codes[used & (of == k)])) for k in range(4 // periods)]

    def _means(self) -> Array:
        """Weighted means of the outcome, (groups, periods)."""
        frame = self.call.frame
        w, cells = frame.unit_weights, frame.the_panel.cells
        total = np.bincount(cells, w, minlength=4)
        return np.asarray(np.bincount(cells, w * frame.y, minlength=4) / total).reshape(2, 2)

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
        return super()._unanswered() | {"permutation_test"}

    # -- print and pictures ----------------------------------------------------------------------------------------

    def _of_effects(self) -> bool:
        return self.query is not None and self.query.kind == "effects"

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
        behind, panel = self.fit.models["outcome"], frame.the_panel
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
            for row, count in zip(body, self._units(2), strict=True):
                row.append(str(count))
        title = "Rows" if unit is None else f"Rows, and units of {unit.name}"
        return [title, Cells(groups, tuple(columns), tuple(map(tuple, body)), False)]

    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """``Drug = 0``, ``Drug = 1`` and ``Post = 0``, ``Post = 1``."""
        panel = self.call.frame.the_panel
        assert panel.groups is not None
        groups = tuple(f"{panel.treated} = {level}" for level in panel.groups.levels)
        return groups, tuple(f"{panel.time} = {level}" for level in panel.periods.levels)

    def _pictures(self) -> Mapping[str, Callable[[Any, Any, float], Any]]:
        return PICTURES

    def plot(self, kind: ResultPicture = "effects", ax: Axes | None = None, level: float = 0.95) -> Axes:
        """Draw the effects with their intervals, or the groups' means over time.

        The trends show the means of both groups in both periods and, dashed, where the treated would be without
        treatment if their trend were that of the others (given the controls, where there are some).

        Parameters
        ----------
        kind : {"effects", "trends"}
        ax : matplotlib Axes, optional
            One of a figure of your own; a new figure by default.
        level : float
            Of the intervals, which trends have none of.

        Returns
        -------
        Axes
        """
        return super().plot(kind, ax, level)


def _trends(result: DidResult, ax: Any, level: float) -> Any:
    """See ``DidResult.plot``; trends have no intervals, so the level is not used."""
    frame, (groups, _) = result.call.frame, result._names()
    panel = frame.the_panel
    assert panel.groups is not None
    without = result.fit.ask(Query("means")).estimate.theta[0]
    outcome = "" if frame.outcome is None else frame.outcome.name
    given = some(result._controls(), 3)
    return trends(
        ax, result._means(), without, groups, panel.periods.levels, time=panel.time, outcome=outcome, given=given
    )


PICTURES: Mapping[str, Callable[[Any, Any, float], Any]] = {"effects": effects, "trends": _trends}
