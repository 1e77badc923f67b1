"""Coefficients with their intervals: of one model, or of several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import flag
from causalformula.errors import DataError, OptionError, asks
from causalformula.plots.draw import COLOURS, GREY, drawable, intervals, new_axes, plain, short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MARKS = ("o", "s", "D", "^", "v", "P", "X")
# The share of a row that its intervals take.
ROOM = 0.62


@asks
def coefficients(
    model: Any | Sequence[Any] | Mapping[str, Any],
    ax: Axes | None = None,
    level: float = 0.95,
    intercept: bool = False,
) -> Axes:
    """Coefficients with their intervals, of whatever has a ``tidy()`` of them, as a ``Model``; several side by side.

    Parameters
    ----------
    model : Model, or sequence or mapping of them
        Or other objects with a ``tidy()`` of one row a coefficient. A mapping names them in the legend.
    ax : matplotlib Axes, optional
    level : float
        Of the intervals.
    intercept : bool
        Whether the intercept is drawn, whose scale is seldom that of the others.

    Returns
    -------
    Axes

    Raises
    ------
    OptionError
        For what has no coefficients.
    DataError
        Where there is no coefficient to draw.
    """
    flag("intercept", intercept)
    if isinstance(model, Mapping):
        named = {str(name): _read(one, level, intercept) for name, one in model.items()}
    elif isinstance(model, Sequence) and not isinstance(model, str):
        named = {f"({k + 1})": _read(one, level, intercept) for k, one in enumerate(model)}
    else:
        shown = _read(model, level, intercept)
        named = {"": shown}
    if not named or not any(len(shown) for shown in named.values()):
        raise DataError("the model has no coefficient but its intercept; draw it with intercept=True")
    if len(named) == 1:
        (shown,) = named.values()
        estimate, low, high = _limits(shown)
        ax = intervals(ax, _labels(shown), estimate, low, high, null=0.0)
    else:
        ax = _side_by_side(named, ax)
    ax.set_xlabel(f"Coefficient, {100 * level:g}% interval")
    return ax


def _read(model: Any, level: float, intercept: bool) -> pd.DataFrame:
    tidy = drawable(model, "tidy", "coefficients").tidy(level=level)
    if "estimate" not in tidy or "conf.low" not in tidy:
        raise OptionError("coefficients() draws fits, whose tidy() has estimates and their limits")
    return tidy[(tidy["term"] != "(Intercept)") | intercept]


def _labels(shown: pd.DataFrame) -> list[str]:
    if "contrast" not in shown:
        return list(shown["term"])
    return [f"{term} {contrast}".strip() for term, contrast in zip(shown["term"], shown["contrast"], strict=True)]


def _limits(shown: pd.DataFrame) -> list[Any]:
    return [shown[name].to_numpy(dtype=float) for name in ("estimate", "conf.low", "conf.high")]


def _side_by_side(named: Mapping[str, pd.DataFrame], ax: Axes | None) -> Axes:
    """A row a coefficient, in it an interval for each model that has it, in the order of the legend."""
    terms = list(dict.fromkeys(label for shown in named.values() for label in _labels(shown)))
    texts = [short(term) for term in terms]
    each = max(0.5, 0.17 * len(named), *(0.15 + 0.2 * (text.count("\n") + 1) for text in texts))
    ax = new_axes(ax, height=1.6 + each * len(terms))
    ax.axvline(0.0, color=GREY, linewidth=1, linestyle="--", zorder=1)
    for k, (name, shown) in enumerate(named.items()):
        estimate, low, high = _limits(shown)
        shift = ROOM * ((k + 0.5) / len(named) - 0.5)
        rows = np.array([terms.index(label) for label in _labels(shown)]) + shift
        colour, mark = COLOURS[k % len(COLOURS)], MARKS[k // len(COLOURS) % len(MARKS)]
        ax.hlines(rows, low, high, color=colour, linewidth=1.5, zorder=2)
        ax.plot(estimate, rows, mark, color=colour, markersize=5, zorder=3, label=name)
    for k in range(1, len(terms)):
        ax.axhline(k - 0.5, color="0.9", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(terms)), texts)
    ax.set_ylim(len(terms) - 0.5, -0.5)
    ax.margins(x=0.08)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=min(4, len(named)), frameon=False, fontsize="small",
        borderaxespad=0.2, columnspacing=1.2, handletextpad=0.3,
    )  # fmt: skip
    return plain(ax)
