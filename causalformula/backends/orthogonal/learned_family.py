"""What a family is to learners: which outcomes it has, whether of probabilities, and what of it goes unused."""

from __future__ import annotations

import numpy as np

from causalformula.backends.learning.table import GLM, Learner
from causalformula.frame.model_frame import BINOMIAL, ModelFrame
from causalformula.numerics.arrays import Array
from causalformula.numerics.families import KINDS, Family


def family_outcome(frame: ModelFrame, family: Family) -> tuple[Array, bool]:
    """The outcome (n,), and whether a family makes its values 0 and 1 those of a probability.

    Raises
    ------
    DataError
        For values that the family does not have, as for a GLM.
    """
    y = frame.outcome_for(family)
    if family.name != "gaussian":  # which has them all, whatever the link that learners do without
        family.initialize(y, frame.unit_weights)
    return y, family.name in BINOMIAL and bool(np.isin(y, (0, 1)).all())


def family_notes(frame: ModelFrame, family: Family, learner: Learner) -> tuple[str, ...]:
    """A note on a family, or its link, that a learner of the outcome does without."""
    _, binary = family_outcome(frame, family)
    own = family.link_name == KINDS[family.name].link
    if own and (binary or family.variance_name == "constant"):
        return ()
    given = repr(family.name) if own and family.name != "quasi" else repr(str(family))
    if binary:
        return (f"the link of family={given} is of GLMs: learners predict probabilities without it",)
    how = (
        "the cross-fitted glm is least squares" if learner.name == GLM else "learners predict the mean by squared error"
    )
    return (f"family={given} is of GLMs: {how}",)
