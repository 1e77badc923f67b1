"""Whether the order of rows decided between units that no match could tell apart."""

from __future__ import annotations

import numpy as np

from causalformula.numerics.arrays import Array, Codes


def decided_by_rows(Z: Array, rows: Codes, strata: Codes | None, times: Codes) -> int:
    """At how many points units stand of which some were used least, and others more often.

    Parameters
    ----------
    Z : ndarray (n, m)
    rows : ndarray (k,) of int
        Units that are alike but for where they stand.
    strata : ndarray (n,) of int or None
        Units of different strata are never alike.
    times : ndarray (n,) of int
        How often each unit was used.
    """
    if not len(rows):
        return 0
    used = times[rows]
    least = used == used.min()
    if least.all():
        return 0
    if Z.shape[1] == 1 and strata is None:
        values = Z[rows, 0]
        few, more = np.sort(values[least]), np.unique(values[~least])
        return int((np.searchsorted(few, more, side="right") > np.searchsorted(few, more)).sum())
    keys = [*Z[rows].T, *([] if strata is None else [strata[rows]])]
    order = np.lexsort(keys)
    alike = np.ones(len(rows) - 1, dtype=bool)
    for key in keys:
        ordered = key[order]
        alike &= ordered[1:] == ordered[:-1]
    least = least[order]
    return len(np.unique(np.cumsum(~alike)[alike & (least[1:] != least[:-1])]))
