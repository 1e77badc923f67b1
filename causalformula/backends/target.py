"""The target of an estimate: the arm, and the weights, of the population that it averages over."""

from __future__ import annotations

import numpy as np

from causalformula.backends.estimands import ESTIMANDS
from causalformula.backends.options import Options
from causalformula.errors import OptionError, some
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.numerics.arrays import Array


def target_arm(frame: ModelFrame, options: Options) -> int | None:
    """Position of the arm whose units are the target; None where everyone is, or a weighted sample.

    Raises
    ------
    OptionError
        For a dose where the estimand needs arms; for several levels without ``focal``.
    """
    estimand, treatment = ESTIMANDS[str(options.estimand)], frame.the_treatment
    if treatment.kind is Kind.CONTINUOUS and estimand.focal:
        raise OptionError(
            f"estimand={estimand.name!r} needs arms; {treatment.name!r} is a dose, so only the ATE is defined"
        )
    if not estimand.focal:
        return None
    if options.focal is not None:
        return treatment.index(options.focal)
    if treatment.kind is Kind.MULTI and estimand.arm != 0:
        raise OptionError(
            f"estimand={estimand.name!r} with several levels needs focal=, the level whose units are the target: "
            f"{some(treatment.levels)}"
        )
    return estimand.arm


def target_weights(frame: ModelFrame, options: Options) -> Array:
    """Weights (n,) of the population that the estimand averages over, sampling weights included.

    Everyone, or the units of the target arm.

    Raises
    ------
    OptionError
        As ``target_arm``.
    """
    base = frame.unit_weights
    arm = None if frame.treatment is None else target_arm(frame, options)
    return base if arm is None else np.where(frame.the_treatment.codes == arm, base, 0.0)
