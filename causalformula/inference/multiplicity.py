"""Adjusting p-values of a family of tests that are not taken to be anything in particular of each other."""

from __future__ import annotations

import numpy as np

from causalformula.errors import OptionError, choose
from causalformula.numerics.arrays import Array

METHODS = ("bonferroni", "holm", "hochberg", "bh", "by")


def adjust(p: Array, method: str) -> Array:
    """Adjusted p-values, as R's ``p.adjust``; NaN stay NaN and do not count.

    Parameters
    ----------
    method : {"bonferroni", "holm", "hochberg", "bh", "by"}
        The first three control the chance of any false rejection (Hochberg's under positive dependence); Benjamini and
        Hochberg (1995) and Benjamini and Yekutieli (2001) the expected share of false ones among the rejections.

    Raises
    ------
    OptionError
        For an unknown method.
    """
    if method not in METHODS:
        raise OptionError(f"unknown method {method!r}{choose(method, METHODS)}")
    p = np.asarray(p, dtype=float)
    out = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    out[known] = _adjusted(p[known], method)
    return out


def _adjusted(p: Array, method: str) -> Array:
    m = len(p)
    order = np.argsort(p, kind="stable")
    rank = np.arange(1, m + 1)
    factor = {
        "bonferroni": np.full(m, float(m)),
        "holm": m - rank + 1.0,
        "hochberg": m - rank + 1.0,
        "bh": m / rank,
        "by": m / rank * (1 / rank).sum(),
    }[method]
    scaled = factor * p[order]
    if method == "holm":
        scaled = np.maximum.accumulate(scaled)
    elif method != "bonferroni":
        scaled = np.minimum.accumulate(scaled[::-1])[::-1]
    out = np.empty(m)
    out[order] = np.minimum(scaled, 1.0)
    return out
