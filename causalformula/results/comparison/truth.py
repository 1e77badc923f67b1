"""The truth that estimates are compared with: a number for each effect, or the true effect of every unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from causalformula.backends.estimands import ESTIMANDS
from causalformula.backends.options import Options, is_number, shown
from causalformula.backends.target import target_weights
from causalformula.diagnostics.effect_accuracy import EffectAccuracy, effect_accuracy
from causalformula.errors import OptionError, counted
from causalformula.frame.columns import Table
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Array
from causalformula.results.families.units import UnitResult
from causalformula.results.reading.unit_truth import unit_truth
from causalformula.results.result import Result

KINDS = "truth= is the true effect, a number, or one for each effect in a list, or the true effect of every row"


def check_truth(truth: Any, table: Table) -> None:
    """An error for what is no number, no list of them, and no true effect of every row, before anything is fitted."""
    if truth is None:
        return
    if isinstance(truth, str):
        table.named(truth)
    if _of_rows(truth, (table.n,)):
        return
    listed = _listed(truth)
    if not (listed and all(map(is_number, listed))):
        raise OptionError(f"{KINDS}, not {shown(truth)}")


def _listed(truth: Any) -> list[Any]:
    return list(truth) if isinstance(truth, (list, tuple, np.ndarray)) else [truth]


def _of_rows(truth: Any, sizes: Sequence[int]) -> bool:
    """Whether a truth is of units: a column's name, a labelled vector, or one as long as the data."""
    flat = isinstance(truth, (list, tuple)) or (isinstance(truth, np.ndarray) and truth.ndim == 1)
    return _labelled(truth) or (flat and len(truth) in sizes and len(truth) > 1)


def _labelled(truth: Any) -> bool:
    """Whether a truth says itself that it is of rows."""
    return isinstance(truth, str) or hasattr(truth, "to_numpy")


def read_unit_truth(truth: Any, frame: ModelFrame, estimand: str, options: Options) -> Array | None:
    """True effects (n,) of the rows of the frame; None where the truth is a number for each effect.

    Raises
    ------
    OptionError
        Where their mean is no truth of the estimand or the measure.
    """
    if truth is None or not _of_rows(truth, (frame.table.n, frame.n)):
        return None
    found = unit_truth(truth, frame)
    remedy = "give the true effect as a number"
    if frame.spec.treatment is None:
        raise OptionError(f"true effects of units are of treat(...), which the formula does not have; {remedy}")
    row = ESTIMANDS[estimand]
    if row.tilted or estimand == "LATE":
        raise OptionError(f"true effects of units have no mean among {row.whose}, which is estimated; {remedy}")
    if options.measure not in (None, "difference"):
        raise OptionError(f"true effects of units are differences, and measure={options.measure!r}; {remedy}")
    return found


def read_truth(truth: Any, units: Array | None, first: Result) -> tuple[float, ...] | None:
    """The true effects, one for each effect that is compared: of units the mean in the target population.

    Parameters
    ----------
    truth : object
        As it was given.
    units : ndarray (n,), optional
        Of ``read_unit_truth``.
    first : Result
        A fit, whose effects these are.
    """
    if truth is None:
        return None
    labels, positive = [str(label) for label in first.answer.labels], first.answer.measure.reading == "exp"
    each = f"{len(labels)} effects ({', '.join(labels)})" if len(labels) > 1 else "one effect"
    if units is not None:
        return (_mean(truth, units, first, each),)
    listed = _listed(truth)
    if len(listed) != len(labels):
        rows = f", or one for each of the {first.call.frame.table.n} rows" if len(listed) > 1 else ""
        raise OptionError(
            f"truth= needs a number for each effect, and there {'are' * (len(labels) > 1) or 'is'} {each}{rows}"
        )
    if positive and min(listed) <= 0:
        raise OptionError(f"truth={shown(truth)}: a ratio is above 0")
    return tuple(float(each) for each in listed)


def _mean(truth: Any, units: Array, first: Result, each: str) -> float:
    """The mean of true effects of units in the target population."""
    count = len(first.answer.labels)
    if not _labelled(truth) and len(truth) == count:
        raise OptionError(
            f"truth= has {counted(count, 'number')}, and there are {each} and {counted(count, 'row')}: name the column "
            "of the data that has the true effects of rows"
        )
    if count > 1:
        raise OptionError(f"true effects of units are of one effect, and there are {each}; choose one by contrast=")
    w = target_weights(first.call.frame, first.call.options)
    return float(w @ units / w.sum())


def accuracy(fit: Result, truth: Array) -> EffectAccuracy:
    """Errors of a fit's effects of units, or of its one effect where it has none of units."""
    frame = fit.call.frame
    has = isinstance(fit, UnitResult)
    effect = np.asarray(fit.effects().effect) if has else np.full(frame.n, fit.read().estimate[0])
    return effect_accuracy(effect, truth, weights=frame.weights)
