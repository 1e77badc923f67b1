"""A structural model on a diagram: each node a function of its parents and a disturbance of its own."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import CapabilityError, GraphError, OptionError, choose, counted
from causalformula.graphs.diagram import Diagram
from causalformula.inference.checks import shown
from causalformula.numerics.arrays import Array

Equation = Callable[..., Any]
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
# Disturbances at which an equation is tried, to see that it is a line in them.
TRIED = (1.0, -8.0, 0.3, 8.0)


@dataclass(frozen=True, eq=False)
class StructuralModel:
    """Equations of all nodes, common causes that are not drawn among them.

    Attributes
    ----------
    diagram : Diagram
    slopes : mapping of (str, str) to float
        What one unit of a cause adds to its effect, for nodes without an equation; 1 where not given.
    equations : mapping of str to callable
        A node's function of its parents, each by its name (dots and the like as underscores), and of its disturbance:
        the parameter of any other name.
    """

    diagram: Diagram
    slopes: Mapping[tuple[str, str], float]
    equations: Mapping[str, Equation]

    def __post_init__(self) -> None:
        drawn = self.diagram.drawn
        for edge in self.slopes:
            if edge not in drawn.arrows:
                known = [" -> ".join(arrow) for arrow in drawn.arrows]
                raise GraphError(
                    f"the graph has no arrow {' -> '.join(edge)!r}{choose(' -> '.join(edge), known, 'it has')}"
                )
        for name, equation in self.equations.items():
            self.diagram.require(name)
            self._check_arguments(name, _arguments(name, equation, self.diagram))

    def _check_arguments(self, name: str, arguments: Mapping[str, str | None]) -> None:
        """Refuse an equation that goes past a cause: data from it would not be the graph's."""
        unread = [p for p in self.diagram.in_order(self.diagram.parents(name)) if p not in arguments.values()]
        if unread:
            raise OptionError(
                f"the equation of {name} does not take {', '.join(unread)}, which the graph has as its cause"
            )
        for spouse in self.diagram.in_order(self.diagram.spouses(name)):
            raise OptionError(
                f"the equation of {name} cannot take the cause behind {name} <-> {spouse}, which has no name: draw it, "
                f"as in U [latent]; U -> {{{name} {spouse}}}"
            )
        given = [cause for cause, effect in self.slopes if effect == name]
        if given:
            raise OptionError(f"effects= gives {given[0]} -> {name}, and equations= gives {name}: give one of them")

    def disturbances(self, n: int, rng: np.random.Generator) -> dict[str, Array]:
        """Independent standard normal disturbances, one a node and row: they make the units what they are."""
        return {name: rng.normal(size=n) for name in self.diagram.drawn.nodes}

    def solve(self, disturbances: Mapping[str, Array], do: Mapping[str, Array]) -> dict[str, Array]:
        """All nodes from the disturbances, some of them set from outside instead."""
        values: dict[str, Array] = {}
        for name in self.diagram.drawn.topological:
            values[name] = do[name] if name in do else self._value(name, values, disturbances[name])
        return values

    def _value(self, name: str, values: Mapping[str, Array], disturbance: Array) -> Array:
        drawn = self.diagram.drawn
        equation = self.equations.get(name)
        if equation is None:
            causes = drawn.in_order(drawn.parents(name))
            for p in causes:
                if values[p].dtype.kind == "U":
                    raise OptionError(f"{p} is text, which {name} = {p} + ... cannot take: give equations= of {name}")
            parts = [self.slopes.get((p, name), 1.0) * values[p] for p in causes]
            return np.asarray(sum(parts, start=np.zeros(len(disturbance))) + disturbance)
        arguments = {
            word: disturbance if parent is None else values[parent]
            for word, parent in _arguments(name, equation, self.diagram).items()
        }
        try:
            found = equation(**arguments)
        except Exception as error:
            raise OptionError(f"the equation of {name} failed: {type(error).__name__}: {error}") from error
        return node_values(f"the equation of {name} gives", found, len(disturbance))

    def counterfactual(
        self, data: Mapping[str, Array], do: Mapping[str, Array], latent: float = 0.0
    ) -> dict[str, Array]:
        """Nodes of given units, had some been set from outside: what these change is solved again, the rest stays.

        The disturbance of a node that changes is what it has beyond what its parents bring, by whatever factor the
        equation has with it. Latent parents are counted in it, which is all that is known of them.

        Parameters
        ----------
        latent : float
            Taken for the value of all latent nodes; it matters not where these add to what the others bring.

        Raises
        ------
        CapabilityError
            Where an equation does not add its disturbance, so that a unit's cannot be told.
        """
        drawn, zero = self.diagram.drawn, np.zeros(len(next(iter(data.values()), ())))
        seen = {name: np.asarray(data.get(name, zero + latent), dtype=float) for name in drawn.nodes}
        changed = drawn.descendants(*do) - set(do)
        found = {**seen, **do}
        for name in (n for n in drawn.topological if n in changed):
            found[name] = self._value(name, found, self._disturbance(name, seen))
        return found

    def _disturbance(self, name: str, seen: Mapping[str, Array]) -> Array:
        """What makes a node's equation give the values that were seen."""
        zero = np.zeros(len(seen[name]))
        with np.errstate(all="ignore"):  # an equation that is not made for such values is no line
            tried = [self._value(name, seen, zero + each) for each in (0.0, *TRIED)]
            if not any(value.dtype.kind == "U" for value in tried):
                start, *others = (value.astype(float) for value in tried)
                slopes = [(value - start) / each for value, each in zip(others, TRIED, strict=True)]
                found = np.where(slopes[0] == 0, 0.0, (seen[name] - start) / slopes[0])
                line = all(np.allclose(slope, slopes[0], equal_nan=True) for slope in slopes)
                if line and np.allclose(self._value(name, seen, found), seen[name], equal_nan=True):
                    return found
        raise CapabilityError(
            f"the equation of {name} does not add its disturbance, so no unit's can be read from data; "
            "simulate twice with one seed instead, with and without do="
        )


def node_values(what: str, given: Any, n: int) -> NDArray[Any]:
    """A node's values (n,): numbers, truth values or text, one for all rows or one a row."""
    try:
        found = np.asarray(given)
    except (TypeError, ValueError):  # rows of different lengths
        found = np.empty(0, dtype=object)
    if found.dtype == object and all(isinstance(value, str) for value in found.ravel()):
        found = found.astype(str)
    if found.dtype.kind not in "biufU" or found.shape not in ((), (n,)):
        size = f" of shape {found.shape}" if found.ndim else ""
        raise OptionError(f"{what} a number, or one for each of {counted(n, 'unit')}, not {shown(given)}{size}")
    return np.broadcast_to(found, (n,)).copy()


def _word(parent: str) -> str:
    """A node's name as an argument may have it."""
    word = re.sub(r"\W", "_", parent)
    return word if word.isidentifier() and not iskeyword(word) else f"_{word}"


def _arguments(name: str, equation: Equation, diagram: Diagram) -> dict[str, str | None]:
    """The parent behind each parameter of an equation; None for the disturbance."""
    if not callable(equation):
        raise OptionError(f"the equation of {name} is a function of its parents and a disturbance, not {equation!r}")
    words = {_word(parent): parent for parent in diagram.in_order(diagram.parents(name))}
    try:
        parameters = inspect.signature(equation).parameters
    except (TypeError, ValueError):  # functions that are not written in Python may have none to read
        parameters = None
    if parameters is None or any(one.kind not in _BY_NAME for one in parameters.values()):
        example = ", ".join([*words, "u"])
        raise OptionError(
            f"the equation of {name} takes arguments by name, as lambda {example}: ..., not {shown(equation)}"
        )
    asked = list(parameters)
    others = [word for word in asked if word not in words]
    if len(others) > 1:
        known = choose(others[-1], words, f"the parents of {name} are") if words else f"; {name} has no parents"
        raise OptionError(
            f"the equation of {name} has the arguments {', '.join(others)}, of which only one can be its disturbance"
            f"{known}"
        )
    return {word: words.get(word) for word in asked}
