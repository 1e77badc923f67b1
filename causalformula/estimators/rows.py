"""The rows that scikit-learn hands over, covariates and outcome apart, as the one frame that a formula reads."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from causalformula.errors import DataError, OptionError, counted, some
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.reader import with_tilde
from causalformula.formula.language.spec import Spec
from causalformula.frame.sources import eager
from causalformula.results.answered import read_spec

# What the outcome is called where neither the formula nor the caller names it.
OUTCOME = "outcome"


def with_outcome(formula: Any, outcome: str | None, X: Any, y: Any, env: Any = None) -> tuple[Any, Any, str | None]:
    """Formula, data and ``outcome=`` as ``fit`` takes them, with ``y`` as the column that the left side names.

    Parameters
    ----------
    formula : str, Spec or formulaic.Formula
    outcome : str, optional
        The left side, where the formula has none.
    X : data frame
    y : array, optional
        Without it the frame is as it is, and the outcome one of its columns.
    env : mapping of str to callable, optional
        Functions that the formula calls.

    Raises
    ------
    DataError
        For ``y`` of another length, of several columns, or that differs from the column of this name.
    OptionError
        For a left side that is not of one column.
    """
    if y is None:
        return formula, X, outcome
    formula = str(formula) if isinstance(formula, Spec) else formula
    bare = outcome is None and isinstance(formula, str) and "~" not in formula
    spec = read_spec(with_tilde(formula) if bare else formula, outcome, env)
    if spec.outcome is None:
        spec, outcome = read_spec(formula, OUTCOME, env), OUTCOME
    assert spec.outcome is not None
    names = variables(spec.outcome)
    if len(names) != 1:
        raise OptionError(
            f"y= is one column, and the formula's left side, {deparse(spec.outcome)}, is of {some(names) or 'none'}: "
            "leave the outcome in X, and y= out"
        )
    return formula, _joined(eager(X), names[0], y), outcome


def _joined(frame: nw.DataFrame[Any], name: str, y: Any) -> Any:
    """The frame with y as a column."""
    series = _series(frame, name, y)
    if len(series) != len(frame):
        raise DataError(f"y has {counted(len(series), 'value')}, and X has {counted(len(frame), 'row')}")
    if name in frame.columns:
        mine, given = np.asarray(frame[name].to_list(), dtype=object), np.asarray(series.to_list(), dtype=object)
        if not all(a == b or (a != a and b != b) for a, b in zip(mine, given, strict=True)):
            raise DataError(f"y differs from the column {name!r} of X, which has its name in the formula; keep one")
        return frame.to_native()
    return frame.with_columns(series).to_native()


def _series(frame: nw.DataFrame[Any], name: str, y: Any) -> nw.Series[Any]:
    """A column of the frame's own kind, in the order of its rows whatever the labels of y."""
    given = nw.from_native(y, series_only=True, pass_through=True)
    if isinstance(given, nw.Series) and given.implementation == frame.implementation:
        native = given.to_native()
        if given.implementation.is_pandas():
            native = native.reset_index(drop=True) if len(native) != len(frame) else native.set_axis(_labels(frame))
        return nw.from_native(native, series_only=True).alias(name)
    try:
        values = np.asarray(y)
    except ValueError:  # lists of different lengths
        values = np.empty((0, 0))
    if values.ndim != 1:
        raise DataError("y is one column, a value for each row: a series, or an array of one dimension")
    made = nw.new_series(name, values.tolist(), backend=frame.implementation)
    if frame.implementation.is_pandas() and len(made) == len(frame):
        return nw.from_native(made.to_native().set_axis(_labels(frame)), series_only=True)
    return made


def _labels(frame: nw.DataFrame[Any]) -> Any:
    return frame.to_native().index
