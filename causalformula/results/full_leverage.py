"""What is said of rows of leverage one, which leave standard errors undefined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from causalformula.backends.fit import Answer
from causalformula.errors import some, warn
from causalformula.inference.covariance import Covariance
from causalformula.inference.evidence import Influence
from causalformula.inference.request_text import describe
from causalformula.numerics.arrays import Codes


def remedy_of(answer: Answer, rows: Codes) -> str:
    """What to do about rows of leverage one, which may be alone in their strata; empty where it is the usual."""
    evidence = answer.estimate.evidence
    stages = evidence.stages if isinstance(evidence, Influence) else ()
    if not len(rows) or not stages:
        return ""
    if isinstance(evidence, Influence) and evidence.exactly is not None:
        return f"Give the outcome model fewer terms, or drop {'it' if len(rows) == 1 else 'them'}"
    if stages[-1].name != "strata" or stages[-1].hat is None:
        return "" if len(stages) == 1 else "Drop " + ("it" if len(rows) == 1 else "them")
    # columns are cells of stratum and arm
    alone = sorted({int(k) // 2 + 1 for k in stages[-1].hat.X[rows].argmax(axis=1)})
    have = f"Stratum {alone[0]} has" if len(alone) == 1 else f"Strata {some(alone)} have"
    return f"{have} a single unit of an arm: use fewer strata, min_n=2 or 'classical'"


def told_of_full_leverage(found: Covariance, index: Any, remedy: str = "") -> Covariance:
    """Warn, and note for the print, that standard errors do not exist where rows have leverage one."""
    if not len(found.full_leverage):
        return found
    rows = index[found.full_leverage]
    one = len(rows) == 1
    some_are = "" if np.isnan(found.std_error).all() else "some "
    note = (
        f"{some_are}{describe(found.request)} standard errors are not defined: {'row' if one else 'rows'} {some(rows)} "
        f"{'has' if one else 'have'} leverage one ({'it' if one else 'each'} is fitted exactly, whatever its outcome). "
        + (remedy or f"Use 'classical', which takes all errors for equally large, or drop {'it' if one else 'them'}")
    )
    warn(note)
    return replace(found, notes=(*found.notes, note))
