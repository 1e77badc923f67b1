"""The distribution of a covariate in the arms, before and after weighting: functions, densities, quantiles.

Each picture has both samples in one axes; ``grid`` has a row of panels a covariate, and a column a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.diagnostics.statistics import densities, weighted_bandwidth, weighted_quantiles
from causalformula.numerics.arrays import Array, Bools
from causalformula.plots.draw import COLOURS, GREY, new_axes, plain
from causalformula.plots.legends import cut, cut_apart, legend, palette, width_in_letters

if TYPE_CHECKING:
    from matplotlib.axes import Axes


POINTS = 401
# Kernels narrower than this share of the range of the values are narrower than the picture can show.
NARROWEST = 0.005
# Quantiles that are compared, at the most; and so few different points that their areas can be told apart.
MOST_QUANTILES, FEW = 1000, 30
# MatchIt's band about the diagonal: a tenth of the range.
BAND = 0.1


@dataclass(frozen=True, eq=False)
class Column:
    """A covariate in a picture.

    Parameters
    ----------
    name : str
    x : ndarray (n,)
    levels : tuple of str
        What the values 0, 1, ... stand for; none for a number.
    """

    name: str
    x: Array
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Weighted:
    """A sample in a picture: its name, its weights (n,), and how its lines are drawn."""

    name: str
    w: Array
    line: str
    width: float


Panel = Callable[["Axes", Column, Mapping[str, Bools], Sequence[Weighted]], None]


def samples(before: Array, after: Array | None) -> list[Weighted]:
    """Dashed before weighting and solid after it; solid where there are no weights."""
    if after is None:
        return [Weighted("", before, "-", 2.0)]
    return [Weighted("Before", before, "--", 1.2), Weighted("After", after, "-", 2.0)]


# ---- pictures of one covariate ---------------------------------------------------------------------------------------


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
        Weights of both samples, whose rows of weight zero are left out; ``after`` is None for a design without weights.
    ax : matplotlib Axes, optional
    label : str
        Of the axis.

    Returns
    -------
    Axes
    """
    return one(draw_ecdf, Column(label, x), arms, before, after, ax)


def density(
    x: Array,
    arms: Mapping[str, Bools],
    before: Array,
    after: Array | None = None,
    ax: Axes | None = None,
    *,
    label: str = "",
    levels: Sequence[str] = (),
) -> Axes:
    """Weighted kernel densities of a covariate by arm, or bars of the shares of its levels.

    Parameters
    ----------
    x, arms, before, after, ax, label
        As of ``ecdf``.
    levels : sequence of str
        What the values 0, 1, ... of a categorical covariate stand for.

    Notes
    -----
    Gaussian kernels; every arm of every sample has its own bandwidth, Scott's of a weighted sample.

    Returns
    -------
    Axes
    """
    return one(draw_density, Column(label, x, tuple(levels)), arms, before, after, ax)


def qq(
    x: Array,
    arms: Mapping[str, Bools],
    before: Array,
    after: Array | None = None,
    ax: Axes | None = None,
    *,
    label: str = "",
) -> Axes:
    """Quantiles of a covariate in the second of two arms against those in the first, before and after weighting.

    Arms alike lie on the diagonal; the dashed lines are a tenth of the range away from it, as in MatchIt. Of a
    covariate with few values the points have the area of their number.

    Parameters
    ----------
    x, arms, before, after, ax, label
        As of ``ecdf``.

    Notes
    -----
    As many quantiles as the smaller arm has rows, a thousand at the most: the least values at or below which lie
    ``(k - 1/2) / m`` of the weight.

    Returns
    -------
    Axes
    """
    return one(draw_qq, Column(label, x), arms, before, after, ax)


def one(
    panel: Panel,
    column: Column,
    arms: Mapping[str, Bools],
    before: Array,
    after: Array | None,
    ax: Axes | None,
) -> Axes:
    """One covariate, with both samples in one axes."""
    ax = new_axes(ax, 5.2 if panel is draw_qq else 4.0)
    (column,), arms, shown = _used([column], arms, samples(before, after))
    panel(ax, column, arms, shown)
    if panel is draw_qq:
        for axis, arm in zip((ax.xaxis, ax.yaxis), cut_apart(arms), strict=True):
            axis.set_label_text(f"Quantiles of {cut(column.name, 24)}, {arm}")
        legend(ax, columns=2)
        return plain(ax)
    ax.set_ylim(bottom=0)
    ax.set_xlabel(cut(column.name, 50))
    ax.set_ylabel(_heights(panel, column))
    columns = 2 if len(arms) <= 4 else 3
    legend(ax, columns=columns, handles=_keys(arms, shown, columns))
    return plain(ax)


def _used(
    columns: Sequence[Column], arms: Mapping[str, Bools], shown: Sequence[Weighted]
) -> tuple[list[Column], dict[str, Bools], list[Weighted]]:
    """The rows that have weight in the first sample, so that all samples have the scales of these."""
    rows = shown[0].w > 0
    return (
        [replace(column, x=column.x[rows]) for column in columns],
        {name: inside[rows] for name, inside in arms.items()},
        [replace(sample, w=sample.w[rows]) for sample in shown],
    )


def _heights(panel: Panel, column: Column) -> str:
    """What the vertical axis shows."""
    return "Share at or below" if panel is draw_ecdf else "Share of the arm" if column.levels else "Density"


def _keys(arms: Mapping[str, Bools], shown: Sequence[Weighted], columns: int) -> list[Any]:
    """The arms by colour, the samples by kind of line in a column of their own: few entries for many arms."""
    keys = [_key(colour, "-", 2.0, name) for name, colour in zip(cut_apart(arms), palette(len(arms)), strict=True)]
    if len(shown) == 1:
        return keys
    rows = max(-(-len(arms) // (columns - 1)), 2)
    keys += [_key("none", "", 0, "")] * (rows * (columns - 1) - len(arms))
    keys += [_key("black", sample.line, sample.width, sample.name) for sample in shown]
    return keys + [_key("none", "", 0, "")] * (rows - 2)


def _key(colour: Any, line: Any, width: float, name: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linestyle=line, linewidth=width, label=name)


# ---- panels ----------------------------------------------------------------------------------------------------------


def _pieces(
    column: Column, arms: Mapping[str, Bools], shown: Sequence[Weighted]
) -> list[tuple[int, str, Weighted, Array, Array]]:
    """Position and label of an arm, sample, and the values and weights of the arm's rows that have weight."""
    out = []
    for k, (name, inside) in enumerate(zip(cut_apart(arms), arms.values(), strict=True)):
        for sample in shown:
            rows = inside & (sample.w > 0)
            label = f"{name}, {sample.name.lower()}" if sample.name else name
            if rows.any():
                out.append((k, label, sample, column.x[rows], sample.w[rows]))
    return out


def draw_ecdf(ax: Axes, column: Column, arms: Mapping[str, Bools], shown: Sequence[Weighted]) -> None:
    """Steps, a line an arm and a sample."""
    colours = palette(len(arms))
    for k, label, sample, x, w in _pieces(column, arms, shown):
        at, height = distribution(x, w)
        line, width = sample.line, sample.width
        ax.step(at, height, where="post", color=colours[k], linestyle=line, linewidth=width, label=label)
    ax.axhline(1, color=GREY, linewidth=0.6)
    ax.set_ylim(0, 1.02)
    ax.set_yticks(np.linspace(0, 1, 6))


def distribution(x: Array, w: Array) -> tuple[Array, Array]:
    """Values in order and the weighted share at or below each, starting from zero."""
    order = np.argsort(x, kind="stable")
    height = np.cumsum(w[order]) / w.sum()
    last = np.append(np.diff(x[order]) > 0, True)
    at = x[order][last]
    return np.concatenate([at[:1], at]), np.concatenate([[0.0], height[last]])


def draw_density(ax: Axes, column: Column, arms: Mapping[str, Bools], shown: Sequence[Weighted]) -> None:
    """Curves, or the bars of a categorical covariate, an arm and a sample each."""
    if column.levels:
        _bars(ax, column, arms, shown)
        return
    colours = palette(len(arms))
    for k, label, sample, x, w in _pieces(column, arms, shown):
        width = max(weighted_bandwidth(x, w), NARROWEST * float(np.ptp(column.x)))
        at = np.linspace(x.min() - 3 * width, x.max() + 3 * width, POINTS)
        curve = densities(x, [w], width, at)[0]
        if sample is shown[-1]:
            ax.fill_between(at, curve, color=colours[k], alpha=0.12, linewidth=0)
        ax.plot(at, curve, color=colours[k], linestyle=sample.line, linewidth=sample.width, label=label)
    ax.yaxis.set_major_formatter(lambda y, _: f"{y:g}")


def _bars(ax: Axes, column: Column, arms: Mapping[str, Bools], shown: Sequence[Weighted]) -> None:
    """Shares of each level, the arms side by side: outlines of the sample before in front of filled bars after."""
    colours, place = palette(len(arms)), np.arange(len(column.levels))
    wide = 0.8 / len(arms)
    for k, label, sample, x, w in _pieces(column, arms, shown):
        share = np.bincount(x.astype(int), w, len(place)) / w.sum()
        last = sample is shown[-1]
        ax.bar(
            place + (k - (len(arms) - 1) / 2) * wide,
            share,
            0.88 * wide,
            facecolor=(colours[k], 0.3) if last else "none",
            edgecolor=colours[k],
            linestyle=sample.line,
            linewidth=1.2,
            zorder=2 if last else 3,
            label=label,
        )
    names = cut_apart(column.levels, 16)
    crowded = len(names) * (max(map(len, names)) + 2) > width_in_letters(ax)
    slanted: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(place, names, **(slanted if crowded else {}))
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, len(place) - 0.4)


def draw_qq(ax: Axes, column: Column, arms: Mapping[str, Bools], shown: Sequence[Weighted]) -> None:
    """Points, the diagonal and the band about it; hollow before weighting, full after it."""
    first, second = arms.values()
    low, high = float(column.x.min()), float(column.x.max())
    band = BAND * (high - low)
    ends = np.array([low, high])
    for sample in shown:
        rows = [arm & (sample.w > 0) for arm in (first, second)]
        if not all(inside.any() for inside in rows):
            continue
        points, count = quantile_pairs(*((column.x[inside], sample.w[inside]) for inside in rows))
        full = sample is shown[-1]
        colour = COLOURS[0] if full else COLOURS[1]
        area = 300 * count / count.sum() if len(count) <= FEW else np.full(len(count), 14.0)
        face = colour if full else "none"
        ax.scatter(
            points[:, 0],
            points[:, 1],
            s=area,
            facecolors=face,
            edgecolors=colour,
            linewidths=0.9,
            alpha=0.7,
            label=sample.name or "Quantiles",
            zorder=3,
        )
    ax.plot(ends, ends, color=GREY, linewidth=1, label="Alike", zorder=1)
    inner = ends - [0, band]
    for at, to, label in ((inner, inner + band, "Off by a tenth of the range"), (inner + band, inner, "_band")):
        ax.plot(at, to, color=GREY, linewidth=1, linestyle="--", label=label, zorder=1)


def quantile_pairs(first: tuple[Array, Array], second: tuple[Array, Array]) -> tuple[Array, Array]:
    """Different pairs of quantiles of two weighted samples (values and weights), and how often each occurs."""
    size = min(len(first[0]), len(second[0]), MOST_QUANTILES)
    probs = (np.arange(size) + 0.5) / size
    pairs = np.column_stack([weighted_quantiles(x, w, probs) for x, w in (first, second)])
    found, count = np.unique(pairs, axis=0, return_counts=True)
    return found, count.astype(float)


# ---- several covariates ----------------------------------------------------------------------------------------------


def grid(
    panel: Panel,
    columns: Sequence[Column],
    arms: Mapping[str, Bools],
    before: Array,
    after: Array | None,
    remark: str = "",
) -> Any:
    """A figure with a row of panels a covariate, and columns before and after; returns the array of axes.

    Both panels of a row have the same scales, and one legend stands above all; a remark is its last entry.
    """
    import matplotlib.pyplot as plt

    alone = [replace(sample, line="-", width=1.6) for sample in samples(before, after)]
    columns, arms, shown = _used(columns, arms, alone)
    width, height = (3.4, 3.1) if panel is draw_qq else (3.6, 1.9)
    size = (width * max(len(shown), 1.5), 0.7 + height * len(columns))
    figure, axs = plt.subplots(
        len(columns), len(shown), figsize=size, squeeze=False, sharex="row", sharey="row", layout="constrained"
    )
    for column, row in zip(columns, axs, strict=True):
        for sample, ax in zip(shown, row, strict=True):
            panel(ax, column, arms, [sample])
            plain(ax)
            if panel is not draw_qq:
                ax.set_xlabel(cut(column.name))
            if panel is not draw_density or not column.levels:
                ax.locator_params(axis="x", nbins=4)
        if panel is not draw_qq:
            row[0].set_ylim(bottom=0)  # once both are drawn, as it ends the fitting of the limits that they share
        row[0].set_ylabel(cut(column.name) if panel is draw_qq else _heights(panel, column))
    for sample, ax in zip(shown, axs[0], strict=True):
        ax.set_title(sample.name, fontsize="medium")
    if panel is draw_qq:
        first, second = cut_apart(arms)
        figure.supxlabel(f"Quantiles, {first}", fontsize="medium")
        figure.supylabel(f"Quantiles, {second}", fontsize="medium")
        keys = [line for line in axs[0, 0].lines if not line.get_label().startswith("_")]
    else:
        keys = _keys(arms, shown[:1], 1)
    _above(figure, [*keys, _key("none", "", 0, remark)] if remark else keys)
    return axs


def _above(figure: Any, handles: Sequence[Any]) -> None:
    """One legend above all panels, in as many columns as fit the width."""
    for count in range(len(handles), 0, -1):
        made = figure.legend(handles=handles, loc="outside upper center", ncols=count, frameon=False, fontsize="medium")
        if count == 1 or made.get_window_extent().width <= figure.bbox.width:
            return
        made.remove()
