"""The distribution of a design's weights, and of a covariate under them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.fit import effective_size
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain, plain_numbers

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Axes = Any
BINS = 40
# Beyond this ratio of the largest to the median weight, the axis is logarithmic.
LONG = 30.0


def weights(total: Array, arms: Mapping[str, Bools], ax: Axes | None = None, *, bins: int = BINS) -> Axes:
    """Histograms of the weights by arm, with effective sample sizes; weights of zero are counted and left out.

    Parameters
    ----------
    total : ndarray (n,)
    arms : mapping of str to ndarray (n,) of bool
    ax : matplotlib Axes, optional
    bins : int
    """
    ax = new_axes(ax)
    positive = total[total > 0]
    low, high = float(positive.min()), float(positive.max())
    log = high > LONG * float(np.median(positive))
    edges = np.geomspace(low, high, bins + 1) if log else np.linspace(low, high, bins + 1)
    if not high > low:
        edges = np.linspace(low - 0.5, high + 0.5, bins + 1)
    for k, (name, inside) in enumerate(arms.items()):
        w = total[inside]
        colour = COLOURS[k % len(COLOURS)]
        zeros = int((w == 0).sum())
        said = f"{name}: effective size {effective_size(w):.1f} of {len(w)}" + (f", {zeros} zeros" if zeros else "")
        ax.hist(w[w > 0], bins=edges, color=colour, alpha=0.3)
        ax.hist(w[w > 0], bins=edges, color=colour, histtype="step", linewidth=1.4, label=said)
    if log:
        ax.set_xscale("log")
        plain_numbers(ax, high / low)
    ax.set_xlabel("Weight" + (" (logarithmic scale)" if log else ""))
    ax.set_ylabel("Rows")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=1 if len(arms) < 4 else 2)
    return plain(ax)


def ecdf(
    x: Array,
    arms: Mapping[str, Bools],
    before: Array,
    after: Array | None = None,
    ax: Axes | None = None,
    *,
    label: str = "",
) -> Axes:
    """Weighted distribution functions of a covariate by arm: dashed before weighting, solid after it.

    Parameters
    ----------
    x : ndarray (n,)
    arms : mapping of str to ndarray (n,) of bool
    before, after : ndarray (n,)
        Weights of both samples; ``after`` is None for a design without weights.
    ax : matplotlib Axes, optional
    label : str
        Of the axis.
    """
    ax = new_axes(ax)
    samples = [("before", before, "--", 1.2)]
    samples = [*samples, ("after", after, "-", 2.0)] if after is not None else [("", before, "-", 2.0)]
    for k, (name, inside) in enumerate(arms.items()):
        for said, w, line, width in samples:
            at, height = distribution(x[inside], w[inside])
            text = f"{name}, {said}" if said else name
            colour = COLOURS[k % len(COLOURS)]
            ax.step(at, height, where="post", color=colour, linestyle=line, linewidth=width, label=text)
    ax.axhline(1, color=GREY, linewidth=0.6)
    ax.set_ylim(0, 1.02)
    ax.set_xlabel(label)
    ax.set_ylabel("Share at or below")
    ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return plain(ax)


def distribution(x: Array, w: Array) -> tuple[Array, Array]:
    """Values in order and the weighted share at or below each, starting from zero."""
    order = np.argsort(x, kind="stable")
    height = np.cumsum(w[order]) / w.sum()
    last = np.append(np.diff(x[order]) > 0, True)
    at = x[order][last]
    return np.concatenate([at[:1], at]), np.concatenate([[0.0], height[last]])
