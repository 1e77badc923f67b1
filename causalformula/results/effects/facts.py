"""What was asked and of which data, as plain values: the part of a result that is not its numbers."""

from __future__ import annotations

from typing import Any

from causalformula.frame.model_frame import ModelFrame
from causalformula.results.effects.core import ResultCore


def facts(result: ResultCore) -> dict[str, Any]:
    """Everything that a reader of the numbers must know, as JSON has it.

    Returns
    -------
    dict
        ``formula, outcome, treatment, method, estimand, measure, nobs, rows_dropped, rows_left_out, missing_by, vcov,
        seed, notes``; ``vcov`` is the printed name of the standard errors, ``missing_by`` the rows missing by variable,
        and ``rows_left_out`` those that absorbed effects fit exactly.
    """
    frame, covariance = result.call.frame, result.covariance
    return {
        "formula": result.call.text,
        "outcome": None if frame.outcome is None else frame.outcome.name,
        "treatment": None if frame.treatment is None else frame.treatment.name,
        "method": result.call.record.name,
        "estimand": result.fit.estimand,
        "measure": result.answer.measure.name,
        "nobs": int(result.nobs),
        "rows_dropped": int(frame.dropped),
        "rows_left_out": int(frame.left_out.rows),
        "missing_by": {str(name): int(count) for name, count in frame.missing_by.items()},
        "vcov": covariance.label,
        "seed": covariance.seed,
        "notes": notes_of(result),
    }


def notes_of(result: ResultCore) -> list[str]:
    """What the print says in notes of the data, the fit, its balance and its standard errors."""
    covariance = result.covariance
    return [*_of_data(result), *result.fit.notes_under(covariance.request), *_balance(result), *covariance.notes]


def estimate_notes(result: ResultCore) -> list[str]:
    """The notes that are true of the estimate, whatever its standard errors, as the print has them."""
    return [f"Note: {note}" for note in (*_of_data(result), *result.fit.notes, *_balance(result))]


def _of_data(result: ResultCore) -> tuple[str, ...]:
    # several fits together have rows in common, and no frame
    return result.call.frame.notes if isinstance(result.call.frame, ModelFrame) else ()


def _balance(result: ResultCore) -> tuple[str, ...]:
    # that of several fits is among their notes
    return result.design.imbalance if isinstance(result.call.frame, ModelFrame) else ()
