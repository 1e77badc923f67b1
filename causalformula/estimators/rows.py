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
# What says which rows and which columns, and is not passed on as an option.
APART = ("formula", "method", "outcome")


def asked(estimator: Any, X: Any, y: Any = None) -> dict[str, Any]:
    """What an estimator asks of ``cf.fit``, by name.

    Parameters
    ----------
    estimator : EffectEstimator
    X, y
        As in its ``fit``.
    """
    formula, data, outcome = with_outcome(estimator.formula, estimator.outcome, X, y, estimator.env)
    given = {name: value for name, value in estimator.get_params(deep=False).items() if name not in APART}
    given = {name: value for name, value in given.items() if value is not None}
    return {"formula": formula, "data": data, "method": estimator.method, "outcome": outcome, **given}


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
    series = _series(frame, y)
    if len(series) != len(frame):
        raise DataError(f"y has {counted(len(series), 'value')}, and X has {counted(len(frame), 'row')}")
    if name not in frame.columns:
        return frame.with_columns(_labelled(series, frame).alias(name)).to_native()
    pairs = zip(frame[name].to_list(), series.to_list(), strict=True)
    if not all(a == b or (a != a and b != b) for a, b in pairs):
        raise DataError(f"y differs from the column {name!r} of X, which has its name in the formula; keep one")
    return frame.to_native()


def _series(frame: nw.DataFrame[Any], y: Any) -> nw.Series[Any]:
    """A column of the frame's own kind."""
    given = nw.from_native(y, series_only=True, pass_through=True)
    if isinstance(given, nw.Series) and given.implementation == frame.implementation:
        return given
    try:
        values = np.asarray(y)
    except ValueError:  # lists of different lengths
        values = np.empty((0, 0))
    if values.ndim != 1:
        raise DataError("y is one column, a value for each row: a series, or an array of one dimension")
    return nw.new_series(OUTCOME, values.tolist(), backend=frame.implementation)


def _labelled(series: nw.Series[Any], frame: nw.DataFrame[Any]) -> nw.Series[Any]:
    """A column in the order of the frame's rows, whatever its own labels: scikit-learn goes by place."""
    if not frame.implementation.is_pandas():
        return series
    moved: nw.Series[Any] = nw.from_native(series.to_native().set_axis(frame.to_native().index), series_only=True)
    return moved
