"""How near predicted effects are to true ones, where these are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.diagnostics.regressed import numbers, sample_weights
from causalformula.numerics.arrays import Array

# A spread below this share of the largest number is that of rounding.
CONSTANT = 1e-12


def same_for_all(effect: Array) -> bool:
    """Whether effects are one number, but for rounding."""
    return len(effect) > 0 and float(np.ptp(effect)) <= CONSTANT * float(np.abs(effect).max())


@dataclass(frozen=True)
class EffectAccuracy:
    """Errors of predicted effects against true ones, weighted.

    Parameters
    ----------
    pehe : float
        Precision in estimating heterogeneous effects: the root mean squared error.
    mae : float
        Mean absolute error.
    bias : float
        Mean error: that of the average effect.
    correlation : float
        Pearson's; NaN where ``undefined`` says why.
    undefined : str
        Why there is no correlation, or nothing.
    """

    pehe: float
    mae: float
    bias: float
    correlation: float
    undefined: str = ""


def effect_accuracy(effect: Array, truth: Array, *, weights: Array | None = None) -> EffectAccuracy:
    r"""Errors of predicted unit effects: PEHE, mean absolute error, bias and correlation.

    .. math:: \mathrm{PEHE} = \sqrt{\frac{\sum_i w_i (\hat\tau_i - \tau_i)^2}{\sum_i w_i}}

    Parameters
    ----------
    effect, truth : ndarray (n,)
        Predicted and true effects.
    weights : ndarray (n,), optional
        Sampling weights.

    Returns
    -------
    EffectAccuracy

    Raises
    ------
    DataError
        For missing or infinite numbers, or a truth of another length.

    References
    ----------
    Hill, J. L. (2011), Bayesian nonparametric modeling for causal inference, Journal of Computational and Graphical
    Statistics 20, 217-240.
    """
    tau = numbers("the predicted effects", effect)
    true = numbers("the true effects", truth, len(tau))
    w = sample_weights(weights, len(tau))
    share = w / w.sum()
    error = tau - true
    told = {"the predicted effects": tau[w > 0], "the true effects": true[w > 0]}
    same = [what for what, x in told.items() if same_for_all(x)]
    a, b = tau - share @ tau, true - share @ true
    correlation = np.nan if same else float(np.clip(share @ (a * b) / np.sqrt((share @ a**2) * (share @ b**2)), -1, 1))
    undefined = f"no correlation: {' and '.join(same)} are the same for every row" if same else ""
    return EffectAccuracy(
        float(np.sqrt(share @ error**2)), float(share @ np.abs(error)), float(share @ error), correlation, undefined
    )
