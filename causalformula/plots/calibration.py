"""Whether propensity scores are probabilities, and whether weighting takes away what they tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.ties import tied
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain
from causalformula.plots.legends import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes


# What there is where nothing is weighted.
FIRST = "Unweighted"
TICKS = np.linspace(0, 1, 6)
# The quantile of the 95% Wilson interval.
Z = 1.959963984540054


def calibration(
    p: Array,
    treated: Bools,
    before: Array,
    after: Array | None = None,
    ax: Axes | None = None,
    *,
    bins: int = 10,
    alike: float = 0.5,
    label: str = "propensity score",
    who: str = "treated",
) -> Axes:
    """The share of treated units in groups of like propensity, before and after weighting.

    Before, a calibrated score lies on the diagonal: of the units with a score of 0.3, three in ten are treated. After,
    the score should no longer tell who is treated, so that the share is the same in every group. With the arms weighted
    to equal totals, which is how their means are compared, that share is one half: a level line.

    Parameters
    ----------
    p : ndarray (n,)
    treated : ndarray (n,) of bool
    before, after : ndarray (n,)
        Weights of both samples; ``after`` is None for a design without weights. Rows of no weight are left out.
    ax : matplotlib Axes, optional
    bins : int
        Groups of as many rows each.
    alike : float
        The share where the arms are alike: one over the number of arms.
    label, who : str
        What the score is, and whose share is drawn.

    Returns
    -------
    Axes

    Notes
    -----
    The bars are 95% Wilson intervals with effective sizes (see ``shares``). After weighting, a hollow mark without a
    bar is a group that lacks an arm: nothing is known of the weight which that arm would have there.
    """
    ax = new_axes(ax)
    score, share, low, high = shares(p, treated, before, bins)
    _groups_drawn(ax, score, share, low, high, COLOURS[1], FIRST if after is None else "Before")
    ax.plot([0, 1], [0, 1], color=COLOURS[1], linewidth=1, linestyle="--", label="if calibrated", zorder=1)
    if after is not None:
        _after(ax, shares(p, treated, equalised(after, treated, alike), bins), alike)
    _unit_square(ax)
    ax.set_xlabel(f"Mean {label} in the group")
    ax.set_ylabel(f"Share of {who} in the group" + ("" if after is None else "\n(after: arms of equal weight)"))
    legend(ax, columns=3 if len(ax.lines) > 4 else 2)
    return plain(ax)


def _groups_drawn(ax: Axes, score: Array, share: Array, low: Array, high: Array, colour: str, name: str) -> None:
    ax.vlines(score, low, high, color=colour, linewidth=1.4, zorder=2)
    ax.plot(score, share, "o-", color=colour, linewidth=1.4, markersize=5.5, label=name, zorder=3)


def _after(ax: Axes, groups: tuple[Array, Array, Array, Array], alike: float) -> None:
    """Groups of the weighted sample, those that lack an arm apart, and the line where arms are alike."""
    score, share, low, high = groups
    lone = (share == 0) | (share == 1)
    both = ~lone
    _groups_drawn(ax, score[both], share[both], low[both], high[both], COLOURS[0], "After")
    ax.plot([0, 1], [alike, alike], color=COLOURS[0], linewidth=1, linestyle="--", label="if alike", zorder=1)
    if lone.any():
        hollow = {"color": COLOURS[0], "markerfacecolor": "white", "markersize": 5.5, "label": "an arm missing"}
        ax.plot(score[lone], share[lone], "o", **hollow, zorder=4)


def _unit_square(ax: Axes) -> None:
    """Shares on both axes."""
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xticks(TICKS)
    ax.set_yticks(TICKS)


def equalised(w: Array, treated: Bools, share: float = 0.5) -> Array:
    """Weights of which one arm holds a share and the others hold the rest."""
    one, rest = float(w[treated].sum()), float(w[~treated].sum())
    return np.where(treated, w * (share / one), w * ((1 - share) / rest))


def shares(p: Array, treated: Bools, w: Array, bins: int) -> tuple[Array, Array, Array, Array]:
    """Weighted mean score, weighted share of treated and its 95% limits in groups of the score.

    Parameters
    ----------
    p, w : ndarray (n,)
        Scores and weights; the groups are those of the rows with weight.
    treated : ndarray (n,) of bool
    bins : int

    Notes
    -----
    Kish's effective size of each arm within the group gives the Wilson interval of a share; its limits are multiplied
    on the scale of odds by what the weights did to the odds. For equal weights this is the Wilson interval itself. A
    group of few, heavily weighted treated units has the wide interval of few units.
    """
    rows = w > 0
    p, treated, w = tied(p[rows]), treated[rows], w[rows]
    group = alike_groups(p, bins)
    one, rest = (np.bincount(group, w * arm) for arm in (treated, ~treated))
    sizes = [_effective(group, w * arm) for arm in (treated, ~treated)]
    total, size = one + rest, sizes[0] + sizes[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = (one / rest) / (sizes[0] / sizes[1])
    shift = np.where(np.isfinite(shift) & (shift > 0), shift, 1.0)
    low, high = (_shifted(limit, shift) for limit in _wilson(sizes[0] / size, size))
    return np.bincount(group, w * p) / total, one / total, low, high


def alike_groups(p: Array, bins: int) -> Codes:
    """Which group of like scores each row is in: as many rows in each, but that equal scores are in one."""
    cuts = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)))
    group = np.clip(np.searchsorted(cuts, p, side="right") - 1, 0, max(len(cuts) - 2, 0))
    return np.asarray(np.unique(group, return_inverse=True)[1])


def _effective(group: Codes, w: Array) -> Array:
    """Kish's effective size of each group; 0 where it has no weight."""
    total, squares = np.bincount(group, w), np.bincount(group, w**2)
    return np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)


def _wilson(share: Array, size: Array) -> tuple[Array, Array]:
    middle = (share + Z**2 / (2 * size)) / (1 + Z**2 / size)
    half = Z * np.sqrt(share * (1 - share) / size + Z**2 / (4 * size**2)) / (1 + Z**2 / size)
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def _shifted(share: Array, factor: Array) -> Array:
    """A share whose odds are multiplied."""
    return np.asarray(share * factor / (share * factor + 1 - share))


def roc(
    p: Array,
    treated: Bools,
    before: Array,
    after: Array | None = None,
    ax: Axes | None = None,
    *,
    label: str = "score",
    who: tuple[str, str] = ("controls", "treated"),
) -> Axes:
    """How well the score tells the arms apart, before and after weighting.

    After weighting to a common population it should tell nothing: the curve falls on the diagonal, the area is 0.5.

    Parameters
    ----------
    p : ndarray (n,)
    treated : ndarray (n,) of bool
    before, after : ndarray (n,)
        Weights of both samples; ``after`` is None for a design without weights.
    ax : matplotlib Axes, optional
    label : str
        What the score is.
    who : pair of str
        Names of the units that are not treated and of those that are.

    Returns
    -------
    Axes
    """
    ax = new_axes(ax)
    samples = [("Before", before, COLOURS[1]), ("After", after, COLOURS[0])]
    samples = [(FIRST, before, COLOURS[0])] if after is None else samples
    for name, w, colour in samples:
        false, true = roc_curve(p, treated, w)
        ax.plot(false, true, color=colour, linewidth=1.8, label=f"{name}: area {area(false, true):.3f}")
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="Arms alike: area 0.5", zorder=1)
    _unit_square(ax)
    ax.set_xlabel(f"Share of {who[0]} above the {label}")
    ax.set_ylabel(f"Share of {who[1]} above the {label}")
    legend(ax)
    return plain(ax)


def roc_curve(p: Array, treated: Bools, w: Array) -> tuple[Array, Array]:
    """Weighted shares of controls and of treated units above each score, from the highest score down."""
    p = tied(p)
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
