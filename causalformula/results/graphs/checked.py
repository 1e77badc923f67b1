"""A formula against a graph: what it adjusts for that it should not, and what it leaves open."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from causalformula.backends.front_door import FrontDoor
from causalformula.backends.options import Options, flag
from causalformula.backends.registry import record_of
from causalformula.errors import IdentificationError, IdentificationWarning, OptionError, did_you_mean, some, warn
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.spec import Spec
from causalformula.formula.language.syntax import Node
from causalformula.frame.model_frame import ModelFrame
from causalformula.graphs.adjustment import Question
from causalformula.graphs.frontdoor import front_doors, no_front_door
from causalformula.graphs.instruments import not_one
from causalformula.graphs.paths import Path, open_path, paths
from causalformula.graphs.separation import separated
from causalformula.results.graphs.graph import Graph
from causalformula.results.graphs.verb import dag as read_graph

ADJUSTED = ("adjust", "outcome", "propensity", "modify")
MOST_OPEN = 5


@dataclass(frozen=True)
class Asked:
    """What a formula and its method rest on, by names of nodes."""

    treatment: str
    outcome: str
    covariates: tuple[str, ...]
    instruments: tuple[str, ...]
    mediators: tuple[str, ...]
    offsets: tuple[str, ...]


def problems(graph: Graph, frame: ModelFrame, options: Options) -> tuple[str, ...]:
    """What the graph has against a formula, in words; empty where it has nothing.

    Raises
    ------
    GraphError, IdentificationError
        Where the graph does not have the treatment or the outcome, or has them the other way round.
    """
    asked = _asked(frame, options, set(graph.nodes))
    question = graph.question(asked.treatment, asked.outcome)
    known = set(graph.nodes)
    held = {kind: getattr(asked, kind) for kind in ("covariates", "instruments", "mediators", "offsets")}
    inside = {kind: tuple(n for n in names if n in known) for kind, names in held.items()}
    found = [*_unknown(graph, frame, (n for names in held.values() for n in names if n not in known))]
    # an offset takes away what it holds, as a covariate with the coefficient one
    found += [text for name in inside["offsets"] if (text := _wrong_covariate(question, name))]
    if asked.instruments:
        found += _instruments(question, inside["instruments"], inside["covariates"])
        found += _in_the_data(question, "instruments", (*inside["instruments"], *inside["covariates"]))
    elif isinstance(options, FrontDoor):
        found += _front_door(question, inside["mediators"], inside["covariates"])
        found += _in_the_data(question, "front doors", (*inside["mediators"], *inside["covariates"]))
    else:
        found += _adjustment(question, inside["covariates"])
    return tuple(found)


def read_dag(dag: Any, strict: Any) -> Graph | None:
    """The graph that a formula is checked against."""
    flag("strict", strict)
    if dag is None and strict:
        raise OptionError("strict=True is about the graph that dag= gives: give one")
    return None if dag is None else read_graph(dag)


def checked(graph: Graph, frame: ModelFrame, options: Options, strict: bool) -> ModelFrame:
    """The frame, with what the graph has against its formula among its notes.

    Raises
    ------
    IdentificationError
        Where there is something, and ``strict``.
    """
    found = problems(graph, frame, options)
    if found and strict:
        raise IdentificationError("; ".join(["the graph has this against the formula: " + found[0], *found[1:]]))
    for text in found:
        warn(text, IdentificationWarning)
    return replace(frame, notes=(*frame.notes, *(f"by the graph, {text}" for text in found)))


def with_mediators(graph: Graph, spec: Spec, method: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the front door with the graph's mediators, where none are named."""
    named = method in ("front_door", FrontDoor) or isinstance(method, FrontDoor)
    if not named or given.get("mediators", getattr(method, "mediators", None)) is not None:
        return dict(given)
    doors = front_doors(graph.question(*_ends(spec)))
    if not doors:
        raise IdentificationError("the graph has no front door for this effect, and mediators= names none")
    return {**given, "mediators": list(doors[0].mediators)}


def _ends(spec: Spec) -> tuple[str, str]:
    """The treatment and the outcome, each one variable."""
    return one_variable(spec.treatment, "a treatment"), one_variable(spec.outcome, "an outcome")


def one_variable(node: Node | None, what: str) -> str:
    """The one variable of an expression."""
    used = [] if node is None else variables(node)
    if len(used) != 1:
        raise OptionError(f"dag= needs {what} of one variable, as in Y ~ treat(A) + adjust(x)")
    return used[0]


def _asked(frame: ModelFrame, options: Options, nodes: Collection[str]) -> Asked:
    """The formula's variables by what they do: blocks, absorbed effects and an option's matches are adjusted for."""
    spec = frame.spec
    bodies = [frame.bodies[role] for role in ADJUSTED if role in frame.bodies]
    if "strata" in record_of(options).roles:
        bodies += [body for role in spec.of("strata") for body in role.body]
    absorbed = [name for effect in frame.effects for name in effect.held]
    own = tuple(name for name in options.columns if name in nodes)
    mediators = options.columns if isinstance(options, FrontDoor) else ()
    instrument = frame.bodies.get("iv")
    return Asked(
        *_ends(spec),
        tuple(
            dict.fromkeys([*(n for body in bodies for n in variables(body)), *absorbed, *(() if mediators else own)])
        ),
        () if instrument is None else tuple(variables(instrument)),
        tuple(mediators),
        tuple(dict.fromkeys(n for role in spec.of("offset") for body in role.body for n in variables(body))),
    )


def _unknown(graph: Graph, frame: ModelFrame, names: Iterable[str]) -> list[str]:
    found = [f"the graph has no node {n!r}, and says nothing of it{did_you_mean(n, graph.nodes)}" for n in names]
    lacking = [n for n in graph.diagram.measured if n not in frame.table]
    if lacking:
        one = len(lacking) == 1
        near = did_you_mean(lacking[0], frame.table.names) if one else ""
        columns, them = ("column", "it") if one else ("columns", "them")
        found.append(
            f"the data have no {columns} {some(map(repr, lacking))}, which the graph has as measured: mark {them} "
            f"[latent]{near}"
        )
    return found


def _adjustment(question: Question, covariates: tuple[str, ...]) -> list[str]:
    direct = replace(question, effect="direct").valid(covariates)
    leaves = " and leaves the direct effect" * direct
    found = [f"{text}{leaves}" for name in covariates if (text := _wrong_covariate(question, name))]
    given = set(covariates) | question.held(covariates)
    # a path through what must not be adjusted for has been told of
    closed = [path for path in _open_paths(question, given) if not _told(question, path, covariates)]
    found += [_still_open(path, covariates, question) for path in closed[:MOST_OPEN]]
    if len(closed) > MOST_OPEN:
        found.append(f"{len(closed) - MOST_OPEN} more paths are open")
    if not found and (path := open_path(question.backdoor, question.treatment, question.outcome, given)):
        found.append(_still_open(path, covariates, question))  # beyond those that are gone through one by one
    if not question.recovered(covariates):
        held = question.diagram.in_order(question.held(covariates))
        joined = [mark for mark in held if not separated(question.backdoor, [mark], [question.outcome])]
        found.append(
            f"who is in the data ({', '.join(joined)}) hangs together with {question.outcome}: the estimate is of "
            "those in the data"
        )
    return found


def _wrong_covariate(question: Question, name: str) -> str:
    diagram, treatment, outcome = question.diagram, question.treatment, question.outcome
    if name not in question.forbidden:
        return ""
    if name in question.on_the_way:
        way = " -> ".join((*diagram.way(treatment, name), *diagram.way(name, outcome)[1:]))
        return f"{name} is a mediator, {way}: adjusting for it takes away a part of the effect"
    way = " -> ".join(diagram.way(treatment, name))
    if name in diagram.descendants(outcome):
        return f"{name} is an effect of the outcome, {' -> '.join(diagram.way(outcome, name))}: adjusting for it biases"
    return f"{name} is a descendant of a mediator, {way}: adjusting for it takes away a part of the effect"


def _open_paths(question: Question, given: Collection[str]) -> list[Path]:
    everything = paths(question.backdoor, question.treatment, question.outcome)
    return [path for path in islice(everything, 1000) if path.open(question.diagram, given)]


def _told(question: Question, path: Path, covariates: Collection[str]) -> bool:
    """Whether a path is open only since something is adjusted for that must not be."""
    good = [name for name in covariates if name not in question.forbidden]
    return not path.open(question.diagram, {*good, *question.held(good)})


def _still_open(path: Path, covariates: tuple[str, ...], question: Question) -> str:
    opened = [n for n in covariates if set(path.colliders) & question.diagram.ancestors(n)]
    if opened:
        return f"adjusting for {', '.join(opened)}, a collider or an effect of one, opens {path}"
    usable = [name for name in path.others if name in question.candidates]
    remedy = f"adjust for {' or '.join(usable)}" if usable else "nothing on it may be adjusted for"
    return f"{path} stays open: {remedy}"


def _instruments(question: Question, names: tuple[str, ...], covariates: tuple[str, ...]) -> list[str]:
    found = [text for name in covariates if (text := _wrong_covariate(question, name))]
    for name in names:
        why = not_one(question, name, covariates)
        if isinstance(why, Path):
            why = f"it reaches {question.outcome} by {why}"
        if why:
            found.append(f"{name} is no instrument for {question.treatment}: {why}")
    return found


def _in_the_data(question: Question, design: str, used: tuple[str, ...]) -> list[str]:
    """Selection that hangs together with what a design uses: only of adjustment is known what it does."""
    marks = question.diagram.in_order(question.held(used))
    for name in (question.treatment, question.outcome, *used):
        if marks and not separated(question.diagram, marks, [name]):
            return [
                f"who is in the data ({', '.join(marks)}) hangs together with {name}: {design} are for data that "
                "nothing selected"
            ]
    return []


def _front_door(question: Question, mediators: tuple[str, ...], covariates: tuple[str, ...]) -> list[str]:
    why = no_front_door(question, mediators, covariates)
    if not why:
        return []
    doors = front_doors(question)
    which = f"the graph has {'; '.join(map(str, doors))}" if doors else "the graph has none"
    given = f" given {', '.join(covariates)}" if covariates else ""
    return [f"{', '.join(mediators) or 'nothing'}{given} is no front door: {why}; {which}"]
