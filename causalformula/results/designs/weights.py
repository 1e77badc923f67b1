"""``WeightsSummary``: a design's weights in numbers, printed as WeightIt prints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causalformula.diagnostics.weights_summary import ArmWeights
from causalformula.results.text.cobalt import aligned, short, table_text
from causalformula.results.text.notebook import Shown
from causalformula.results.text.page import matrix_text

if TYPE_CHECKING:
    import pandas as pd

# Length of the widest bar of the ranges, in characters.
BAR = 29


@dataclass(frozen=True, eq=False, repr=False)
class WeightsSummary(Shown):
    """Ranges, largest weights, variability and effective sample sizes of weights (sampling weights included).

    Attributes
    ----------
    arms : mapping of str to ArmWeights
        ``treated`` and ``control``, the levels of a treatment with several, or ``all``.
    index : pandas Index
        Row labels.
    sizes : DataFrame
        Effective sample sizes, as ``Design.ess()`` has them.
    top : int
        How many of the largest weights are shown.
    notes : tuple of str
        Rows left out for missing values, and what was done to the weights: trimmed, discarded.
    """

    arms: Mapping[str, ArmWeights]
    index: Any
    sizes: pd.DataFrame
    top: int
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """One row an arm: ``min, max, coef.of.var, mad, entropy, zeros``."""
        import pandas as pd

        rows = [[a.low, a.high, a.variation, a.mad, a.entropy, a.zeros] for a in self.arms.values()]
        names = ["min", "max", "coef.of.var", "mad", "entropy", "zeros"]
        return pd.DataFrame(rows, index=list(self.arms), columns=names).astype({"zeros": int})

    def extremes(self) -> pd.DataFrame:
        """The largest weights: ``arm, row, weight``, by arm from the largest down."""
        import pandas as pd

        rows = [(name, self.index[i], w) for name, arm in self.arms.items() for i, w in reversed(arm.top)]
        return pd.DataFrame(rows, columns=["arm", "row", "weight"])

    def __repr__(self) -> str:
        by = " by group" if list(self.arms) != ["all"] else ""
        parts = [
            "                  Summary of weights\n\n- Weight ranges:\n\n" + self._ranges(),
            f"- Units with the {self.top} most extreme weights{by}:\n" + self._extremes(),
            "- Weight statistics:\n\n" + self._statistics(),
            "- Effective Sample Sizes:\n\n" + sizes_text(self.sizes, 2),
        ]
        text = "\n".join(parts).rstrip("\n")
        return text + "".join(f"\nNote: {note}" for note in self.notes)

    __str__ = __repr__

    def _ranges(self) -> str:
        arms = self.arms.values()
        least, most = min(a.low for a in arms), max(a.high for a in arms)
        columns = [
            ("Min", aligned([a.low for a in arms], 4)),
            ("", [_bar(a, least, most) for a in arms]),
            ("Max", aligned([a.high for a in arms], 4)),
        ]
        return table_text(list(self.arms), columns)

    def _extremes(self) -> str:
        shown = max(len(a.top) for a in self.arms.values())
        rows, cells = [], []
        for name, arm in self.arms.items():
            gap = [""] * (shown - len(arm.top))
            rows += ["", f" {name.rjust(max(map(len, self.arms)))}"]
            cells += [gap + [str(self.index[i]) for i, _ in arm.top], gap + [short(w, 4) for _, w in arm.top]]
        return matrix_text(rows, [""] * shown, cells)

    def _statistics(self) -> str:
        arms = self.arms.values()
        columns = [
            ("Coef of Var", aligned([a.variation for a in arms], 3, missing="NaN")),
            ("MAD", aligned([a.mad for a in arms], 3, missing="NaN")),
            ("Entropy", aligned([a.entropy for a in arms], 3, missing="NaN")),
            ("# Zeros", [str(a.zeros) for a in arms]),
        ]
        return table_text(list(self.arms), columns)


def _bar(arm: ArmWeights, least: float, most: float) -> str:
    """An arm's range as a bar on the scale of all."""
    unit = (most - least) / BAR or 1.0
    low, high, start, end = (round(x / unit) for x in (arm.low, arm.high, least, most))
    bar = "|" + "-" * max(0, high - low - 2) + "|"
    before = " " * (low - start)
    return (before + bar).ljust(end - start)


def sizes_text(sizes: pd.DataFrame, digits: int, rows: tuple[str, ...] | None = None) -> str:
    """A table of effective sample sizes, as cobalt and WeightIt print it."""
    columns = [(str(name), aligned(sizes[name].tolist(), digits, " ")) for name in sizes.columns]
    return table_text(rows or [str(r) for r in sizes.index], columns)
