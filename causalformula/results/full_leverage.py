"""What is said of rows of leverage one, which leave standard errors undefined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from causalformula.backends.fit import Answer
from causalformula.errors import some, warn
from causalformula.inference.covariance import Covariance
from causalformula.inference.evidence import Influence
from causalformula.inference.sandwich.caveats import fewer_terms, full_leverage_words
from causalformula.numerics.arrays import Codes


def remedy_of(answer: Answer, rows: Codes) -> str:
    """What to do about rows of leverage one, which may be alone in their strata; empty where it is the usual."""
    evidence = answer.estimate.evidence
    stages = evidence.stages if isinstance(evidence, Influence) else ()
    if not len(rows) or not stages:
        return ""
    if isinstance(evidence, Influence) and evidence.exactly is not None:
        return fewer_terms(len(rows))
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
    named = f"{'row' if len(rows) == 1 else 'rows'} {some(rows)}"
    note = full_leverage_words(found.request, found.std_error, named, remedy)
    warn(note)
    return replace(found, notes=(*found.notes, note))
