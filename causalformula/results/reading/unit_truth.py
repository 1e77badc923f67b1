"""True effects of units as a caller has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalformula.errors import DataError, counted
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Array


def unit_truth(truth: Any, frame: ModelFrame) -> Array:
    """True effects (n,) of the rows of a fit.

    Parameters
    ----------
    truth : str, Series or array
        A column of the data, or numbers: a Series by its row labels, an array in the order of the rows, all those of
        the data or those kept.

    Raises
    ------
    DataError
        For a truth of another length, or what is no number.
    """
    if isinstance(truth, str):
        return frame.numbers(truth)
    values = true_numbers(truth, frame.index)
    if values.shape == (frame.table.n,):
        values = values[frame.rows]
    return as_long(values, frame.n)


def true_numbers(truth: Any, index: Any) -> Array:
    """Numbers, those of a Series by these row labels where it has other ones."""
    import pandas as pd

    if isinstance(truth, pd.Series) and not truth.index.equals(index) and index.isin(truth.index).all():
        truth = truth.loc[index]
    try:
        return np.asarray(truth, dtype=float)
    except (TypeError, ValueError, OverflowError):
        raise DataError("truth= is the true effect of each row: numbers, or the name of a column") from None


def as_long(values: Array, n: int) -> Array:
    """The numbers, where there are n of them."""
    if values.shape != (n,):
        shape = counted(len(values), "value") if values.ndim == 1 else f"the shape {values.shape}"
        raise DataError(f"the truth has {shape}, and there are effects of {counted(n, 'row')}")
    return values
