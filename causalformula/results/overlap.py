"""``Overlap``: whether the arms have units alike, and how few of them carry the weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causalformula.diagnostics.overlap import ArmOverlap
from causalformula.errors import some
from causalformula.results.cobalt_text import aligned, table_text

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Overlap:
    """Propensity ranges by arm, rows beyond the common support, largest weights and effective sample sizes.

    Attributes
    ----------
    arms : mapping of str to ArmOverlap
    support : tuple of float or None
        Range of the propensity score in which every arm has units; None without a score.
    index : pandas Index
        Row labels.
    notes : tuple of str
        Warnings about thin arms.
    """

    arms: Mapping[str, ArmOverlap]
    support: tuple[float, float] | None
    index: Any
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """One row an arm: ``rows, min, max, outside, largest, share, ess.unweighted, ess.weighted``."""
        import pandas as pd

        arms = self.arms.values()
        rows = [[a.rows, a.low, a.high, len(a.outside), a.largest, a.share, a.before, a.after] for a in arms]
        names = ["rows", "min", "max", "outside", "largest", "share", "ess.unweighted", "ess.weighted"]
        return pd.DataFrame(rows, index=list(self.arms), columns=names)

    def outside(self) -> dict[str, list[Any]]:
        """Row labels beyond the common support, by arm."""
        return {name: [self.index[i] for i in arm.outside] for name, arm in self.arms.items()}

    def __repr__(self) -> str:
        arms = self.arms.values()
        columns = [("Rows", [str(a.rows) for a in arms])]
        if self.support is not None:
            columns += [
                ("Min score", aligned([a.low for a in arms], 4)),
                ("Max score", aligned([a.high for a in arms], 4)),
                ("Outside", [str(len(a.outside)) for a in arms]),
            ]
        columns += [
            ("Largest weight", aligned([a.largest for a in arms], 4)),
            ("Its share", [f"{100 * a.share:.1f}%" for a in arms]),
            ("ESS", aligned([a.after for a in arms], 2)),
        ]
        lines = ["Overlap", table_text(list(self.arms), columns)]
        if self.support is not None:
            lines.append(self._support())
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines).rstrip("\n")

    def _support(self) -> str:
        assert self.support is not None
        low, high = self.support
        if low > high:
            return f"No common support: no score lies in every arm's range ({low:.4g} > {high:.4g})"
        beyond = [self.index[i] for a in self.arms.values() for i in a.outside]
        text = f"Common support: propensity scores from {low:.4g} to {high:.4g}; {len(beyond)} rows lie outside"
        return f"{text} (rows {some(beyond)})" if beyond else text

    __str__ = __repr__
