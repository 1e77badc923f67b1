"""Whether propensity scores are probabilities, and whether weighting takes away what they tell apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.plots.draw import COLOURS, GREY, new_axes, plain

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Axes = Any


def calibration(p: Array, treated: Bools, s: Array, ax: Axes | None = None, *, bins: int = 10) -> Axes:
    """The share of treated units in groups of like propensity, against the mean score of each group.

    A calibrated score lies on the diagonal. The bars are 95% Wilson intervals of each share.

    Parameters
    ----------
    p : ndarray (n,)
    treated : ndarray (n,) of bool
    s : ndarray (n,)
        Sampling weights.
    ax : matplotlib Axes, optional
    bins : int
        Groups of equal size.
    """
    ax = new_axes(ax)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="Calibrated")
    score, share, low, high = shares(p, treated, s, bins)
    ax.vlines(score, low, high, color=COLOURS[0], linewidth=1.4)
    label = f"{len(score)} groups of like score"
    ax.plot(score, share, "o-", color=COLOURS[0], linewidth=1.4, markersize=5.5, label=label)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("Mean propensity score of the group")
    ax.set_ylabel("Share treated")
    ax.legend(frameon=False, loc="upper left")
    return plain(ax)


def shares(p: Array, treated: Bools, s: Array, bins: int) -> tuple[Array, Array, Array, Array]:
    """Mean score, share of treated and its 95% Wilson limits in groups of the score."""
    cuts = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)))
    group = np.clip(np.searchsorted(cuts, p, side="right") - 1, 0, max(len(cuts) - 2, 0))
    total = np.bincount(group, s)
    held = total > 0
    score, share = np.bincount(group, s * p)[held] / total[held], np.bincount(group, s * treated)[held] / total[held]
    size = total[held] ** 2 / np.bincount(group, s**2)[held]
    z = 1.959963984540054
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)) / (1 + z**2 / size)
    return score, share, middle - half, middle + half


def roc(p: Array, treated: Bools, before: Array, after: Array | None = None, ax: Axes | None = None) -> Axes:
    """How well the score tells the arms apart, before and after weighting.

    After weighting to a common population it should tell nothing: the curve falls on the diagonal, the area is 0.5.

    Parameters
    ----------
    p : ndarray (n,)
    treated : ndarray (n,) of bool
    before, after : ndarray (n,)
        Weights of both samples; ``after`` is None for a design without weights.
    ax : matplotlib Axes, optional
    """
    ax = new_axes(ax)
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="Arms alike: area 0.5")
    samples = [("Before", before, COLOURS[1])] + ([("After", after, COLOURS[0])] if after is not None else [])
    for name, w, colour in samples:
        false, true = roc_curve(p, treated, w)
        ax.plot(false, true, color=colour, linewidth=1.8, label=f"{name}: area {area(false, true):.3f}")
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("Share of controls above the score")
    ax.set_ylabel("Share of treated above the score")
    ax.legend(frameon=False, loc="lower right")
    return plain(ax)


def roc_curve(p: Array, treated: Bools, w: Array) -> tuple[Array, Array]:
    """Weighted shares of controls and of treated units above each score, from the highest score down."""
    order = np.argsort(-p, kind="stable")
    last = np.append(np.diff(p[order]) != 0, True)
    curves = []
    for arm in (~treated, treated):
        inside = np.where(arm, w, 0.0)[order]
        curves.append(np.concatenate([[0.0], np.cumsum(inside)[last] / inside.sum()]))
    return curves[0], curves[1]


def area(false: Array, true: Array) -> float:
    """Area under the curve by the trapezoidal rule: ties count half."""
    return float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))
