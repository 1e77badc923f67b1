"""The groups of ``did(...)`` over time: their means and how many rows and units these are of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Array, Codes

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
