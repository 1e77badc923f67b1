"""``Overlap``: whether the arms have units alike, and how few of them carry the weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.diagnostics.overlap import ArmOverlap
from causalformula.errors import counted, some
from causalformula.results.text.cobalt import aligned, table_text
from causalformula.results.text.notebook import Shown

if TYPE_CHECKING:
    import pandas as pd

Limits = tuple[float, float]
# The name of the only score of two arms; those of several levels are named by the level.
SCORE = ""


@dataclass(frozen=True, eq=False, repr=False)
class Overlap(Shown):
    """Propensity ranges by arm, rows beyond the common support, largest weights and effective sample sizes.

    Attributes
    ----------
    arms : mapping of str to ArmOverlap
    supports : mapping of str to (float, float)
        The range of each score in which every arm has units, from the largest minimum to the least maximum: of the
        one score of two arms (named ``""``), of each level's with several levels; empty without a score.
    index : pandas Index
        Row labels.
    notes : tuple of str
        Rows left out for missing values, rows discarded, weights trimmed, thin arms.
    remark : str
        Why there are no ranges, and what to look at instead; or what the weights are of, where they make no design.
    """

    arms: Mapping[str, ArmOverlap]
    supports: Mapping[str, Limits]
    index: Any
    notes: tuple[str, ...] = field(default=())
    remark: str = ""

    @property
    def support(self) -> Limits | None:
        """The common support of the propensity score of two arms; None without one, and with several levels."""
        return self.supports.get(SCORE)

    def to_frame(self) -> pd.DataFrame:
        """One row an arm.

        Returns
        -------
        DataFrame
            ``rows`` (with sampling weight), ``min`` and ``max`` of the propensity score in the arm (missing without
            one), ``outside`` (rows beyond the common support), ``largest`` (weight), ``share`` (of the arm's total
            weight that it has), ``ess.unweighted`` and ``ess.weighted``. Several levels have a score each, so that
            their ranges are ``min.a, max.a, min.b, ...`` by level, and a row is outside if any of its scores is.
        """
        import pandas as pd

        ends = {"min": 0, "max": 1}
        rows = []
        for a in self.arms.values():
            row: dict[str, float] = {"rows": a.rows}
            for score in self.supports or (SCORE,):
                limits = a.ranges.get(score, (np.nan, np.nan))
                row |= {f"{end}.{score}" if score else end: limits[k] for end, k in ends.items()}
            row |= {"outside": len(a.outside), "largest": a.largest, "share": a.share}
            rows.append(row | {"ess.unweighted": a.before, "ess.weighted": a.after})
        return pd.DataFrame(rows, index=list(self.arms))

    def outside(self) -> dict[str, list[Any]]:
        """Row labels beyond the common support, by arm."""
        return {name: [self.index[i] for i in arm.outside] for name, arm in self.arms.items()}

    def __repr__(self) -> str:
        arms = self.arms.values()
        columns = [("Rows", [str(a.rows) for a in arms])]
        if self.support is not None:
            limits = [a.ranges[SCORE] for a in arms]
            columns += [("Min score", aligned([low for low, _ in limits], 4))]
            columns += [("Max score", aligned([high for _, high in limits], 4))]
        if self.supports:
            columns += [("Outside", [str(len(a.outside)) for a in arms])]
        columns += [
            ("Largest weight", aligned([a.largest for a in arms], 4)),
            ("Its share", [f"{100 * a.share:.1f}%" for a in arms]),
            ("ESS", aligned([a.after for a in arms], 2)),
        ]
        lines = ["Overlap", table_text(list(self.arms), columns)]
        if self.supports and self.support is None:
            lines.append(self._scores())
        if self.supports:
            lines.append(self._common())
        lines += [self.remark] if self.remark else []
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines).rstrip("\n")

    __str__ = __repr__

    def _scores(self) -> str:
        """The range of each level's score in each arm, and the part that all arms have."""
        columns = []
        for name, arm in self.arms.items():
            columns.append((f"in {name}", _spans([arm.ranges[score] for score in self.supports])))
        columns.append(("in common", _spans(list(self.supports.values()))))
        return "Propensity score of each level\n" + table_text(list(self.supports), columns)

    def _common(self) -> str:
        """The common support in words, and the rows beyond it."""
        empty = {name: limits for name, limits in self.supports.items() if limits[0] > limits[1]}
        if empty:
            name, (low, high) = next(iter(empty.items()))
            score = f"score of {name}" if name else "score"
            return f"No common support: no {score} lies in every arm's range ({low:.4g} > {high:.4g})"
        beyond = [self.index[i] for a in self.arms.values() for i in a.outside]
        if self.support is None:
            text = "Common support: all scores within their range in common"
        else:
            low, high = self.support
            text = f"Common support: {self._noun()} from {low:.4g} to {high:.4g}"
        text += f"; {counted(len(beyond), 'row')} {'lies' if len(beyond) == 1 else 'lie'} outside"
        if not beyond:
            return text
        dropped = sum(a.dropped for a in self.arms.values())
        weightless = f"; {dropped} of them {'has' if dropped == 1 else 'have'} weight 0" if dropped else ""
        return f"{text} ({'row' if len(beyond) == 1 else 'rows'} {some(beyond)}){weightless}"

    def _noun(self) -> str:
        """What the score is called: another distance may leave the unit interval."""
        limits = [limit for a in self.arms.values() for limit in a.ranges[SCORE]]
        return "propensity scores" if min(limits) >= 0 and max(limits) <= 1 else "distances"


def _spans(limits: list[Limits]) -> list[str]:
    lows, highs = (aligned([pair[k] for pair in limits], 4) for k in (0, 1))
    return [
        f"[{low}, {high}]" if pair[0] <= pair[1] else "none"
        for low, high, pair in zip(lows, highs, limits, strict=True)
    ]
