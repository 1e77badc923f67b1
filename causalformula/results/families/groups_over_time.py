"""The groups of ``did(...)`` over time: their means, and of how many rows, units and clusters they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.errors import some
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.evidence import Influence
from causalformula.inference.requests import Cluster, Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.results.effects.core import ResultCore

if TYPE_CHECKING:
    import pandas as pd

NEVER = "never"


@dataclass(frozen=True, eq=False)
class GroupsOverTime:
    """Groups and periods of each row.

    Parameters
    ----------
    frame : ModelFrame
    treated, time : str
        The two variables.
    groups, periods : tuple of str
    cells : ndarray (n,) of int
        Group times the number of periods, plus period.
    """

    frame: ModelFrame
    treated: str
    time: str
    groups: tuple[str, ...]
    periods: tuple[str, ...]
    cells: Codes

    @property
    def size(self) -> int:
        """How many cells there are."""
        return len(self.groups) * len(self.periods)

    def means(self) -> Array:
        """Weighted means of the outcome, (groups, periods); NaN where there are no rows."""
        w = self.frame.unit_weights
        total = np.bincount(self.cells, w, minlength=self.size)
        sums = np.bincount(self.cells, w * self.frame.y, minlength=self.size)
        means = np.divide(sums, total, out=np.full(self.size, np.nan), where=total > 0)
        return means.reshape(len(self.groups), len(self.periods))

    def table(self) -> pd.DataFrame:
        """One row a group and period: mean, rows and units of positive weight."""
        import pandas as pd

        frame, used = self.frame, self.frame.unit_weights > 0
        rows = np.bincount(self.cells[used], minlength=self.size)
        columns: dict[str, Any] = {
            self.treated: np.repeat(self.groups, len(self.periods)),
            self.time: np.tile(self.periods, len(self.groups)),
            "mean": self.means().ravel(),
            "rows": rows,
        }
        if frame.unit is not None:  # which is there once a period
            columns["units"] = rows
        return pd.DataFrame(columns)


def groups_over_time(frame: ModelFrame) -> GroupsOverTime:
    """The two groups of two periods, or those with the same first treated period and, last, the never treated."""
    panel = frame.panel
    assert panel is not None
    size = len(panel.periods.levels)
    if panel.adoption is None:
        groups, codes = frame.the_panel.groups, panel.cells
        assert groups is not None
        return GroupsOverTime(frame, panel.treated, panel.time, groups.levels, panel.periods.levels, codes)
    adoption = panel.adoption
    never = bool((adoption.group < 0).any())
    names = (*adoption.names, NEVER) if never else adoption.names
    group = np.where(adoption.group < 0, len(adoption.names), adoption.group)
    cells = (group * size + panel.periods.codes).astype(np.intp)
    return GroupsOverTime(frame, panel.treated, panel.time, names, panel.periods.levels, cells)


def members_line(result: ResultCore, counts: Mapping[str, int]) -> str:
    """How many units, or rows, each group has."""
    unit = result.call.frame.unit
    return f"{'Rows' if unit is None else f'Units of {unit.name}'} by group:  {_each(counts)}"


def cluster_lines(result: ResultCore, groups: Mapping[str, Bools]) -> list[str]:
    """How many clusters of the standard errors each group has, which is given as its rows (n,) that take part."""
    unit, lines = result.call.frame.unit, []
    for name in _clusters(result.covariance.request):
        if unit is None or name != unit.name:
            codes = result.call.groups(name).codes
            counts = {group: len(np.unique(codes[rows])) for group, rows in groups.items() if rows.any()}
            lines += [f"Clusters of {name} by group:  {_each(counts)}", *_single(result, counts, name)]
    return lines


def _clusters(request: Request) -> tuple[str, ...]:
    """Groupings whose clusters count as independent."""
    if isinstance(request, Cluster):
        return request.by
    if isinstance(request, (Bootstrap, Jackknife, Wild)) and request.cluster is not None:
        return (request.cluster,)
    return ()


def _each(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


def _single(result: ResultCore, counts: Mapping[str, int], name: str) -> list[str]:
    """What is said of groups of one cluster, where no regression tells which estimates rest on it."""
    evidence = result.answer.estimate.evidence
    one = [group for group, count in counts.items() if count == 1]
    if not one or (isinstance(evidence, Influence) and evidence.root is not None):
        return []
    each = "one cluster" if len(one) == 1 else "one cluster each"
    return [f"{some(one)}: {each} of {name}, whose own error these data cannot tell; standard errors leave it out"]
