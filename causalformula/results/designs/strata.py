"""How many rows of each arm are in each stratum of a design."""

from __future__ import annotations

import numpy as np

from causalformula.results.designs.core import DesignCore
from causalformula.results.text.coefmat import Cells


def strata_parts(design: DesignCore) -> list[str | Cells]:
    """Parts of a print that count the rows of each stratum, as MatchIt's summary does; none without strata.

    ``None`` are the rows that are in no stratum, of the arms' rows (with sampling weight) that ``All`` counts.
    """
    made = design.design_weights
    if not made.strata or made.subclass is None:
        return []
    used = design.call.frame.unit_weights > 0
    numbers = range(1, made.strata + 1)
    everyone = [used & arm for arm in design.arms().values()]
    rows = [[int((arm & (made.subclass == k)).sum()) for k in numbers] for arm in everyone]
    counts = np.array(
        [[*row, int(arm.sum()) - sum(row), int(arm.sum())] for row, arm in zip(rows, everyone, strict=True)]
    )
    names = [*map(str, numbers), "None", "All"]
    if not counts[:, -2].any():
        counts, names = np.delete(counts, -2, axis=1), [*map(str, numbers), "All"]
    body = tuple(tuple(map(str, row)) for row in np.vstack([counts, counts.sum(axis=0)]))
    return ["", "Sample sizes by subclass", Cells((*design.arm_names(), "Total"), tuple(names), body, False)]
