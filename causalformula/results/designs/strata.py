"""How many rows of each arm are in each stratum of a design, and which are in none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Bools
from causalformula.results.designs.core import DesignCore
from causalformula.results.designs.pairs import set_codes
from causalformula.results.text.coefmat import Cells

if TYPE_CHECKING:
    import pandas as pd


def left_out(design: DesignCore) -> tuple[Bools, Bools]:
    """Rows of sampling weight that are unmatched, and those discarded before matching."""
    made, s = design.design_weights, design.call.frame.unit_weights
    without = (made.weights == 0) & (s > 0)
    discarded = np.zeros(len(s), dtype=bool) if made.discarded is None else made.discarded & (s > 0)
    return without & ~discarded, discarded


def subclass_sizes(design: DesignCore) -> pd.DataFrame:
    """Rows of both arms by stratum, as MatchIt's summary has them; those in none are unmatched or discarded."""
    import pandas as pd

    made, used = design.design_weights, design.call.frame.unit_weights > 0
    codes = set_codes(made)
    assert codes is not None
    groups = {str(k + 1): codes == k for k in range(made.strata)}
    groups |= dict(zip(("Unmatched", "Discarded"), left_out(design), strict=True))
    counts = {name: [int((rows & used & arm).sum()) for arm in design.arms().values()] for name, rows in groups.items()}
    shown = {name: [*n, sum(n)] for name, n in counts.items() if any(n) or name.isdigit()}
    everyone = [int((used & arm).sum()) for arm in design.arms().values()]
    return pd.DataFrame({**shown, "All": [*everyone, sum(everyone)]}, index=[*design.arm_names(), "Total"])


def strata_parts(design: DesignCore) -> list[str | Cells]:
    """Parts of a print that count the rows of each stratum; none without strata."""
    if not design.design_weights.strata:
        return []
    sizes = subclass_sizes(design)
    body = tuple(tuple(map(str, row)) for row in sizes.to_numpy().tolist())
    return ["", "Sample sizes by subclass", Cells(tuple(sizes.index), tuple(sizes), body, False)]
