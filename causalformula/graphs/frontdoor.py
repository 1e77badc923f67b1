"""Front-door sets: mediators through which the whole effect goes, and which nothing unmeasured reaches."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from causalformula.graphs.adjustment import MOST_SUBSETS_OF, Question, subsets
from causalformula.graphs.diagram import reached
from causalformula.graphs.separation import separated


@dataclass(frozen=True)
class FrontDoor:
    """Mediators, and the covariates that are adjusted for beside them (often none)."""

    mediators: tuple[str, ...]
    covariates: tuple[str, ...] = ()

    def __str__(self) -> str:
        given = f" given {', '.join(self.covariates)}" if self.covariates else ""
        return f"{', '.join(self.mediators)}{given}"


def front_doors(question: Question) -> tuple[FrontDoor, ...]:
    """Minimal front-door sets, each with the fewest covariates that it needs.

    Mediators intercept every causal path; given the covariates, which the treatment does not cause, nothing else joins
    the treatment to the mediators, and given the treatment too nothing else joins these to the outcome.

    References
    ----------
    Pearl (1995); Fulcher, Shpitser, Marealle and Tchetgen Tchetgen (2020) for the covariates.
    """
    diagram, treatment, outcome = question.diagram, question.treatment, question.outcome
    if diagram.selected or diagram.missing or question.effect == "direct":
        return ()
    between = diagram.in_order(set(diagram.measured) & question.on_the_way - {outcome})[:MOST_SUBSETS_OF]
    before = [n for n in diagram.measured if n not in diagram.descendants(treatment) | {outcome}][:MOST_SUBSETS_OF]
    found: list[FrontDoor] = []
    for mediators in subsets(between):
        if any(set(door.mediators) <= set(mediators) for door in found) or not _intercepts(question, mediators):
            continue
        for covariates in subsets(before) if _feasible(question, mediators, before) else ():
            if _nothing_else(question, mediators, covariates):
                found.append(FrontDoor(mediators, covariates))
                break
    return tuple(found)


def _feasible(question: Question, mediators: tuple[str, ...], before: Collection[str]) -> bool:
    """Whether each condition by itself can be met: if any set separates, the candidates among the ancestors do."""
    treatment, outcome, diagram = question.treatment, question.outcome, question.diagram
    first = diagram.ancestors(treatment, *mediators).intersection(before)
    second = diagram.ancestors(treatment, outcome, *mediators).intersection(before)
    return _treatment_separated(question, mediators, first) and _outcome_separated(question, mediators, second)


def is_front_door(question: Question, mediators: tuple[str, ...], covariates: tuple[str, ...]) -> bool:
    """Whether mediators and covariates, minimal or not, are one."""
    before = set(question.diagram.measured) - question.diagram.descendants(question.treatment)
    return (
        set(covariates) <= before
        and _intercepts(question, mediators)
        and _nothing_else(question, mediators, covariates)
    )


def _intercepts(question: Question, mediators: tuple[str, ...]) -> bool:
    """Whether every causal path runs through a mediator."""
    children = {n: question.diagram.children(n) - set(mediators) for n in question.diagram.nodes}
    return bool(mediators) and question.outcome not in reached(children, [question.treatment])


def _nothing_else(question: Question, mediators: tuple[str, ...], covariates: Collection[str]) -> bool:
    """Whether nothing but the causal paths joins the treatment to the mediators and these to the outcome."""
    return _treatment_separated(question, mediators, covariates) and _outcome_separated(question, mediators, covariates)


def _treatment_separated(question: Question, mediators: tuple[str, ...], covariates: Collection[str]) -> bool:
    diagram, treatment = question.diagram, question.treatment
    inner = diagram.without((treatment, child) for child in diagram.children(treatment))
    return separated(inner, [treatment], mediators, covariates)


def _outcome_separated(question: Question, mediators: tuple[str, ...], covariates: Collection[str]) -> bool:
    diagram = question.diagram
    inner = diagram.without((m, child) for m in mediators for child in diagram.children(m))
    return separated(inner, mediators, [question.outcome], {question.treatment, *covariates})
