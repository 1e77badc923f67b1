"""Instruments: what moves the treatment and reaches the outcome by no other way, perhaps given covariates."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from causalformula.graphs.adjustment import Question
from causalformula.graphs.paths import Path, open_path
from causalformula.graphs.separation import separated, separators

# So many sets of covariates are tried for an instrument: fewer in a large graph, of so many in all.
MOST_COVARIATES, SETS_IN_ALL = 50, 1500


@dataclass(frozen=True)
class Instrument:
    """An instrument, and the covariates given which it is one (often none)."""

    name: str
    covariates: tuple[str, ...] = ()

    def __str__(self) -> str:
        given = f" given {', '.join(self.covariates)}" if self.covariates else ""
        return f"{self.name}{given}"


def instruments(question: Question) -> tuple[Instrument, ...]:
    """Instruments, each with minimal sets of covariates that the treatment does not cause (50 are tried at most).

    References
    ----------
    Brito and Pearl (2002); van der Zander, Textor and Liskiewicz (2015).
    """
    diagram, treatment, outcome = question.diagram, question.treatment, question.outcome
    if diagram.selected or diagram.missing or not question.on_the_way:
        return ()
    before = [n for n in diagram.measured if n not in diagram.descendants(treatment) | {outcome}]
    most = min(MOST_COVARIATES, max(2, SETS_IN_ALL // max(1, len(before))))
    found = []
    for name in before:
        others = [n for n in before if n != name]
        for covariates in islice(separators(question.backdoor, name, outcome, others), most):
            if not separated(diagram, [name], [treatment], covariates):
                found.append(Instrument(name, diagram.in_order(covariates)))
    return tuple(sorted(found, key=lambda one: len(one.covariates)))


def not_one(question: Question, name: str, covariates: tuple[str, ...]) -> Path | str:
    """Why a node is no instrument given covariates: the path by which it reaches the outcome, or words; else empty."""
    diagram = question.diagram
    if name in diagram.descendants(question.treatment):
        return f"{question.treatment} causes it"
    if separated(diagram, [name], [question.treatment], covariates):
        return f"it is independent of {question.treatment}" + (f" given {', '.join(covariates)}" if covariates else "")
    return open_path(question.backdoor, name, question.outcome, covariates) or ""
