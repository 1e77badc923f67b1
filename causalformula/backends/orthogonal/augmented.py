"""Augmented means of cross-fitted nuisances: the score that doubly robust estimators of an average share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.backends.contrasts import Setting
from causalformula.backends.options import Options
from causalformula.backends.orthogonal.fitted import target_share
from causalformula.backends.orthogonal.nuisances import CrossFitted
from causalformula.backends.outcomes import averaged
from causalformula.backends.propensity import estimand_weights
from causalformula.backends.target import target_arm
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.estimate import Estimate
from causalformula.numerics.arrays import Array


def learned_means(
    frame: ModelFrame, options: Options, part: CrossFitted, wanted: Sequence[Setting], target: Array
) -> Estimate:
    """Augmented means from nuisances of other folds, which the orthogonal score lets count as known."""
    codes, share, y = frame.the_treatment.codes, target_share(frame, options), frame.outcome_for(options.outcome_family)
    w, _ = estimand_weights(part.P, codes, str(options.estimand), target_arm(frame, options), target)
    scores = []
    for setting in wanted:
        m = part.m[:, int(setting.key)]
        scores.append(share * m + (codes == setting.key) * w * (y - m))
    names = [setting.label for setting in wanted]
    return averaged(names, np.column_stack(scores), target, (), np.zeros((len(wanted), 0)), share)
