"""A structural model on a diagram: each node a function of its parents and a disturbance of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from causalformula.errors import CapabilityError, GraphError, OptionError, choose
from causalformula.graphs.diagram import Diagram
from causalformula.numerics.arrays import Array

Equation = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class StructuralModel:
    """Equations of all nodes, common causes that are not drawn among them.

    Attributes
    ----------
    diagram : Diagram
    slopes : mapping of (str, str) to float
        What one unit of a cause adds to its effect, for nodes without an equation; 1 where not given.
    equations : mapping of str to callable
        A node's function of its parents, each by its name (dots as underscores), and of its disturbance: the parameter
        of any other name.
    """

    diagram: Diagram
    slopes: Mapping[tuple[str, str], float]
    equations: Mapping[str, Equation]

    def __post_init__(self) -> None:
        drawn = self.diagram.drawn
        for edge, slope in self.slopes.items():
            if isinstance(slope, bool) or not isinstance(slope, Real):
                raise OptionError(f"the effect of {' -> '.join(edge)} is a number, not {slope!r}")
            if edge not in drawn.arrows:
                known = [" -> ".join(arrow) for arrow in drawn.arrows]
                raise GraphError(
                    f"the graph has no arrow {' -> '.join(edge)!r}{choose(' -> '.join(edge), known, 'it has')}"
                )
        for name, equation in self.equations.items():
            self.diagram.require(name)
            _arguments(name, equation, drawn)

    def disturbances(self, n: int, rng: np.random.Generator) -> dict[str, Array]:
        """Independent standard normal disturbances, one a node and row: they make the units what they are."""
        return {name: rng.normal(size=n) for name in self.diagram.drawn.nodes}

    def solve(self, disturbances: Mapping[str, Array], do: Mapping[str, Any]) -> dict[str, Array]:
        """All nodes from the disturbances, some of them set from outside instead."""
        n = len(next(iter(disturbances.values())))
        values: dict[str, Array] = {}
        for name in self.diagram.drawn.topological:
            values[name] = _set(name, do[name], n) if name in do else self._value(name, values, disturbances[name])
        return values

    def _value(self, name: str, values: Mapping[str, Array], disturbance: Array) -> Array:
        drawn = self.diagram.drawn
        equation = self.equations.get(name)
        if equation is None:
            causes = drawn.in_order(drawn.parents(name))
            if words := [p for p in causes if values[p].dtype.kind not in "biuf"]:
                raise OptionError(
                    f"{words[0]} has values that are no numbers: give {name}, which it causes, an equation of its own"
                )
            parts = [self.slopes.get((p, name), 1.0) * values[p] for p in causes]
            return np.asarray(sum(parts, start=np.zeros(len(disturbance))) + disturbance)
        arguments = {
            word: disturbance if parent is None else values[parent]
            for word, parent in _arguments(name, equation, drawn).items()
        }
        return _set(name, equation(**arguments), len(disturbance))

    def read_back(self, data: Mapping[str, Array]) -> dict[str, Array]:
        """Disturbances of given units: what they have beyond what their parents bring.

        Latent nodes are counted in the disturbances of their effects, which is all that is known of them.

        Raises
        ------
        CapabilityError
            Where an equation does not add its disturbance, so that a unit's cannot be told.
        """
        n = len(next(iter(data.values())))
        drawn, zero = self.diagram.drawn, np.zeros(n)
        values = {name: np.asarray(data.get(name, zero), dtype=float) for name in drawn.nodes}
        found = {}
        for name in drawn.nodes:
            found[name] = values[name] - self._value(name, values, zero) if name in data else zero
            if name in data and not np.allclose(self._value(name, values, found[name]), values[name]):
                raise CapabilityError(
                    f"the equation of {name} does not add its disturbance, so no unit's can be read from data; "
                    "simulate twice with one seed instead, with and without do="
                )
        return found


def _set(name: str, given: Any, n: int) -> Array:
    """One value for all units, or one for each."""
    found = np.asarray(given)
    if found.shape not in ((), (1,), (n,)):
        raise OptionError(f"{name} has values of shape {found.shape}: one for all units, or one for each of the {n}")
    return np.broadcast_to(found, (n,)).copy()


def _arguments(name: str, equation: Equation, drawn: Diagram) -> dict[str, str | None]:
    """The parent behind each parameter of an equation; None for the disturbance."""
    if not callable(equation):
        raise OptionError(f"the equation of {name} is a function of its parents and a disturbance, not {equation!r}")
    words = {parent.replace(".", "_").replace(" ", "_"): parent for parent in drawn.parents(name)}
    asked = list(inspect.signature(equation).parameters)
    others = [word for word in asked if word not in words]
    if len(others) > 1:
        known = choose(others[-1], words, f"the parents of {name} are") if words else f"; {name} has no parents"
        raise OptionError(
            f"the equation of {name} has the arguments {', '.join(others)}, of which only one can be its disturbance"
            f"{known}"
        )
    return {word: words.get(word) for word in asked}
