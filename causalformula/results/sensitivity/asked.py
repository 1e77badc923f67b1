"""What several kinds ask of a fit and of their options, and how they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalformula.backends.options import is_number
from causalformula.errors import OptionError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind as Treated
from causalformula.inference.checks import shown
from causalformula.inference.honest.study import as_numbers
from causalformula.numerics.arrays import Array
from causalformula.results.effects.core import ResultCore
from causalformula.results.sensitivity.linear import free_of_confounders


def not_the_effect(result: ResultCore) -> str:
    """Why these are not the effects over everyone that a fit was asked for; empty where they are."""
    if reason := free_of_confounders(result):
        return reason
    split = "" if result.query is None else result.query.split
    return f"these are effects by {split}: ask the fit that they came from" if split else ""


def not_binary(result: ResultCore) -> str:
    """Why there are no two arms of rows at hand; empty where there are."""
    frame = result.call.frame
    if not isinstance(frame, ModelFrame):
        return "it needs the rows at hand, and these stay where they are"
    if frame.treatment is None or frame.treatment.kind is not Treated.BINARY:
        return "it is of a treatment with two arms"
    return ""


def factors(name: str, given: Any, default: tuple[float, ...]) -> Array:
    """Factors on the odds of treatment, each once and in increasing order.

    Raises
    ------
    OptionError
        For what is no number from 1.
    """
    if given is None:
        return np.array(default)
    found = as_numbers(given)
    values = np.empty(0) if found is None or found.ndim > 1 else np.unique(found)
    if not len(values) or not np.isfinite(values).all() or values[0] < 1:
        raise OptionError(
            f"{name}={shown(given)}: by how much the odds of treatment may differ, a number from 1 (no hidden bias), "
            "or several in a list"
        )
    return values


def number(name: str, value: Any, what: str) -> float:
    """A finite number.

    Raises
    ------
    OptionError
        For what is none.
    """
    if not is_number(value):
        raise OptionError(f"{name}={shown(value)}: {what}, a number")
    return float(value)
