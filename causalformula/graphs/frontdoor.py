"""Front-door sets: mediators through which the whole effect goes, and which nothing unmeasured reaches."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from causalformula.graphs.adjustment import MOST_SUBSETS_OF, Question, subsets
from causalformula.graphs.diagram import Diagram, reached, way
from causalformula.graphs.paths import open_path
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


def no_front_door(question: Question, mediators: tuple[str, ...], covariates: tuple[str, ...]) -> str:
    """Why mediators and covariates, minimal or not, are no front door, with the path; empty where they are one."""
    diagram, treatment, outcome = question.diagram, question.treatment, question.outcome
    for name in covariates:
        if name not in diagram.measured or name in diagram.descendants(treatment):
            return f"{treatment} causes {name}" if name in diagram.measured else f"{name} was not measured"
    if not _intercepts(question, mediators):
        around = way(_around(question, mediators), treatment, outcome)
        return f"{' -> '.join(around)} goes around" if around else f"{treatment} does not act on {outcome} through it"
    for name in mediators:
        before = open_path(_not_from(question, (treatment,)), treatment, name, covariates)
        behind = open_path(_not_from(question, mediators), name, outcome, {treatment, *covariates})
        if path := before or behind:
            usable = [n for n in path.others if n in question.candidates and n not in (treatment, *mediators)]
            return f"{path} stays open" + (f": adjust for {' or '.join(usable)}" if usable and path.backdoor else "")
    return ""


def _around(question: Question, mediators: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Children of each node, mediators left out."""
    return {n: question.diagram.children(n) - set(mediators) for n in question.diagram.nodes}


def _intercepts(question: Question, mediators: tuple[str, ...]) -> bool:
    """Whether every causal path runs through a mediator."""
    return bool(mediators) and question.outcome not in reached(_around(question, mediators), [question.treatment])


def _nothing_else(question: Question, mediators: tuple[str, ...], covariates: Collection[str]) -> bool:
    """Whether nothing but the causal paths joins the treatment to the mediators and these to the outcome."""
    return _treatment_separated(question, mediators, covariates) and _outcome_separated(question, mediators, covariates)


def _not_from(question: Question, names: Collection[str]) -> Diagram:
    """The diagram without the arrows that leave some nodes."""
    return question.diagram.without((name, child) for name in names for child in question.diagram.children(name))


def _treatment_separated(question: Question, mediators: tuple[str, ...], covariates: Collection[str]) -> bool:
    treatment = question.treatment
    return separated(_not_from(question, (treatment,)), [treatment], mediators, covariates)


def _outcome_separated(question: Question, mediators: tuple[str, ...], covariates: Collection[str]) -> bool:
    inner = _not_from(question, mediators)
    return separated(inner, mediators, [question.outcome], {question.treatment, *covariates})
