"""Coarsening of numbers into bins, as coarsened exact matching does."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from causalformula.numerics.arrays import Array, Codes

RULES = ("sturges", "scott", "fd")
QUANTILES = re.compile(r"q[1-9]\d*")


def coarsened(x: Array, cut: str | int | Sequence[float]) -> Codes:
    """Bins of a number, closed on the left.

    Parameters
    ----------
    cut : str, int or sequence of numbers
        ``"sturges"``, ``"scott"`` or ``"fd"`` (Freedman and Diaconis), or a number: as many bins of equal width (0:
        every value is a bin). ``"q4"``: at the quartiles, and likewise. Numbers: where bins end.
    """
    if isinstance(cut, str):
        if QUANTILES.fullmatch(cut):
            return cut_at(x, np.quantile(x, np.linspace(0, 1, int(cut[1:]) + 1)[1:-1]))
        cut = _BINS[cut](x)
    if isinstance(cut, (int, np.integer)):
        if cut == 0:
            return np.unique(x, return_inverse=True)[1].astype(np.intp)
        edges = np.linspace(x.min(), x.max(), int(cut) + 1)
        return np.minimum(cut_at(x, edges[1:]), int(cut) - 1)
    return cut_at(x, np.asarray(cut, dtype=float))


def cut_at(x: Array, points: Array) -> Codes:
    """Bins between points, closed on the left."""
    return np.searchsorted(np.unique(points), x, side="right").astype(np.intp)


def _sturges(x: Array) -> int:
    return int(np.ceil(np.log2(len(x)) + 1))


def _scott(x: Array) -> int:
    return _by_width(x, 3.5 * float(x.std(ddof=1)) * len(x) ** (-1 / 3))


def _freedman_diaconis(x: Array) -> int:
    low, high = np.quantile(x, [0.25, 0.75])
    width = 2 * (high - low) * len(x) ** (-1 / 3)
    # as R's nclass.FD: without spread between the quartiles by the distance of outer quantiles
    share = 1 / 8
    while width == 0 and share >= 1 / 512:
        outer = np.quantile(x, [share, 1 - share])
        width = 2 * (outer[1] - outer[0]) / (1 - 2 * share) / 2 * len(x) ** (-1 / 3)
        share /= 2
    return _by_width(x, float(width) or 3.5 * float(x.std(ddof=1)) * len(x) ** (-1 / 3))


def _by_width(x: Array, width: float) -> int:
    return max(1, int(np.ceil(float(np.ptp(x)) / width))) if width > 0 else 1


_BINS = {"sturges": _sturges, "scott": _scott, "fd": _freedman_diaconis}
