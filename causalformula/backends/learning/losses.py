"""How well a learned function predicts rows that it did not see."""

from __future__ import annotations

import numpy as np

from causalformula.backends.learning.crossfit import Learned
from causalformula.numerics.arrays import Array


def loss(learned: Learned, weights: Array) -> tuple[float, float]:
    """Mean loss of the predictions, and of the trivial predictor: squared error, or the negative log likelihood.

    The trivial predictor is the mean of the rows that the task is learned from.
    """
    task = learned.task
    rows = np.ones(len(task.y), dtype=bool) if task.rows is None else task.rows
    w, y = weights[rows], task.y[rows]
    share = w / w.sum()
    if task.kind == "regression":
        target = y.reshape(len(y), -1)
        gap = (target - learned.predictions[rows]) ** 2
        return float((share @ gap).mean()), float((share @ (target - share @ target) ** 2).mean())
    codes = y.reshape(len(y), -1).astype(np.intp)
    P = np.clip(learned.predictions[rows], 1e-15, 1.0)
    own = np.take_along_axis(P, codes[:, :, None], axis=2)[..., 0]
    marginal = np.array([np.bincount(column, share, minlength=task.classes) for column in codes.T])
    trivial = np.where(marginal > 0, marginal * np.log(np.where(marginal > 0, marginal, 1.0)), 0.0).sum(axis=1)
    return float(-(share @ np.log(own)).mean()), float(-trivial.mean())
