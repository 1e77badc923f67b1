"""What is said of predictions for units that no probability, and no difference of two, can have."""

from __future__ import annotations

import numpy as np

from causalformula.errors import counted
from causalformula.frame.model_frame import BINOMIAL
from causalformula.numerics.arrays import Array
from causalformula.results.families.learned import LearnedResult

# Rounding about the bounds is no prediction beyond them.
SLACK = 1e-9


def beyond_notes(fit: LearnedResult, means: Array, effects: Array) -> tuple[str, ...]:
    """A note on means outside 0 to 1 and effects outside -1 to 1 of an outcome that is 0 or 1, or a share."""
    binary = np.isin(fit.fit.units.y, (0, 1)).all() or fit.call.options.outcome_family.name in BINOMIAL
    if not binary:
        return ()
    levels = int(((means < -SLACK) | (means > 1 + SLACK)).sum())
    beyond = int((np.abs(effects) > 1 + SLACK).sum())
    parts = [f"{counted(levels, 'prediction')} of {means.size} under a level outside [0, 1]"] if levels else []
    parts += [f"{counted(beyond, 'effect')} of {effects.size} outside [-1, 1]"] if beyond else []
    return (f"{' and '.join(parts)}, which no probability has",) if parts else ()
