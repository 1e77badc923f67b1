"""Losses of predicted effects that need no true effect: the R-loss and the doubly robust loss."""

from __future__ import annotations

from dataclasses import dataclass

from causalformula.diagnostics.regressed import Measured, mean_of, numbers, sample_weights
from causalformula.errors import DataError
from causalformula.numerics.arrays import Array, Codes


@dataclass(frozen=True, eq=False)
class EffectLoss:
    """Mean loss of predicted effects, that of the best constant effect, and the gain over it.

    Parameters
    ----------
    loss : Measured
        Its level holds the noise of outcomes; differences between models do not.
    constant : Measured
        The loss of the constant effect that has the least.
    gain : Measured
        ``constant - loss``: above 0 where the predictions say more than one number does.
    effect : float
        The best constant effect.
    """

    loss: Measured
    constant: Measured
    gain: Measured
    effect: float


def r_loss(
    y: Array,
    a: Array,
    m: Array,
    e: Array,
    effect: Array,
    *,
    weights: Array | None = None,
    clusters: Codes | None = None,
) -> EffectLoss:
    r"""R-loss of predicted effects, ``mean((y - m - (a - e) tau)^2)``.

    Parameters
    ----------
    y, a : ndarray (n,)
        Outcome, and treatment of 0 and 1 or a dose.
    m, e : ndarray (n,)
        Their predictions from the covariates alone, from other rows.
    effect : ndarray (n,)
        Predicted effects, from other rows.
    weights : ndarray (n,), optional
        Sampling weights.
    clusters : ndarray (n,) of int, optional

    Returns
    -------
    EffectLoss

    Raises
    ------
    DataError
        For missing or infinite numbers, those of another length, or a treatment that its predictions explain wholly.

    Notes
    -----
    Up to what no prediction of effects can change it is ``mean((a - e)^2 (tau - truth)^2)``: an error counts most where
    both arms are likely. Standard errors as in ``dr_loss``.

    References
    ----------
    Nie, X. and Wager, S. (2021), Quasi-oracle estimation of heterogeneous treatment effects, Biometrika 108, 299-319.
    """
    tau = numbers("the predicted effects", effect)
    n = len(tau)
    given = {"the outcome": y, "the treatment": a, "the predicted outcome": m, "the propensity": e}
    y, a, m, e = (numbers(what, values, n) for what, values in given.items())
    w, u, v = sample_weights(weights, n), y - m, a - e
    size = float(w @ v**2)
    if not size > 0:
        raise DataError("the treatment is its own prediction in every row, so that no effect can be told")
    best = float(w @ (v * u)) / size
    return _compared((u - v * tau) ** 2, (u - v * best) ** 2, best, weights, clusters)


def dr_loss(scores: Array, effect: Array, *, weights: Array | None = None, clusters: Codes | None = None) -> EffectLoss:
    r"""Doubly robust loss of predicted effects, ``mean((Gamma - tau)^2)``.

    Parameters
    ----------
    scores : ndarray (n,)
        Doubly robust scores of one contrast, from nuisances learned on other rows.
    effect : ndarray (n,)
        Predicted effects, from other rows.
    weights : ndarray (n,), optional
        Sampling weights.
    clusters : ndarray (n,) of int, optional

    Returns
    -------
    EffectLoss

    Raises
    ------
    DataError
        For missing or infinite numbers, or those of another length.

    Notes
    -----
    Up to what no prediction can change it is ``mean((tau - truth)^2)``, the square of the PEHE. The standard errors are
    those of means of the rows' losses (HC2, with clusters CR2): that the best constant is estimated does not matter to
    first order, as it is a minimum.

    References
    ----------
    Kennedy, E. H. (2023), Towards optimal doubly robust estimation of heterogeneous causal effects, Electronic Journal
    of Statistics 17, 3008-3049.
    """
    scores = numbers("the scores", scores)
    tau = numbers("the predicted effects", effect, len(scores))
    w = sample_weights(weights, len(scores))
    best = float(w @ scores / w.sum())
    return _compared((scores - tau) ** 2, (scores - best) ** 2, best, weights, clusters)


def _compared(loss: Array, constant: Array, best: float, weights: Array | None, clusters: Codes | None) -> EffectLoss:
    mean, flat, gain = (mean_of(values, weights, clusters) for values in (loss, constant, constant - loss))
    return EffectLoss(mean, flat, gain, best)
