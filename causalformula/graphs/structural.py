"""A structural model on a diagram: each node a function of its parents and a disturbance of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.errors import CapabilityError, GraphError, OptionError, choose
from causalformula.graphs.diagram import Diagram
from causalformula.numerics.arrays import Array

Equation = Callable[..., Any]
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
        A node's function of its parents, each by its name (dots as underscores), and of its disturbance: the parameter
        of any other name.
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
            _arguments(name, equation, drawn)

    def disturbances(self, n: int, rng: np.random.Generator) -> dict[str, Array]:
        """Independent standard normal disturbances, one a node and row: they make the units what they are."""
        return {name: rng.normal(size=n) for name in self.diagram.drawn.nodes}

    def solve(self, disturbances: Mapping[str, Array], do: Mapping[str, Any]) -> dict[str, Array]:
        """All nodes from the disturbances, some of them set from outside instead."""
        n = len(next(iter(disturbances.values())))
        values: dict[str, Array] = {}
        for name in self.diagram.drawn.topological:
            values[name] = np.full(n, do[name]) if name in do else self._value(name, values, disturbances[name])
        return values

    def _value(self, name: str, values: Mapping[str, Array], disturbance: Array) -> Array:
        drawn = self.diagram.drawn
        equation = self.equations.get(name)
        if equation is None:
            parts = [self.slopes.get((p, name), 1.0) * values[p] for p in drawn.in_order(drawn.parents(name))]
            return np.asarray(sum(parts, start=np.zeros(len(disturbance))) + disturbance)
        arguments = {
            word: disturbance if parent is None else values[parent]
            for word, parent in _arguments(name, equation, drawn).items()
        }
        found = np.asarray(equation(**arguments))
        return np.broadcast_to(found, disturbance.shape).copy()

    def counterfactual(self, data: Mapping[str, Array], do: Mapping[str, Any], latent: float = 0.0) -> dict[str, Array]:
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
        drawn, zero = self.diagram.drawn, np.zeros(len(next(iter(data.values()))))
        seen = {name: np.asarray(data.get(name, zero + latent), dtype=float) for name in drawn.nodes}
        changed = drawn.descendants(*do) - set(do)
        found = {**seen, **{name: np.full(len(zero), value) for name, value in do.items()}}
        for name in (n for n in drawn.topological if n in changed):
            found[name] = self._value(name, found, self._disturbance(name, seen))
        return found

    def _disturbance(self, name: str, seen: Mapping[str, Array]) -> Array:
        """What makes a node's equation give the values that were seen."""
        zero = np.zeros(len(seen[name]))
        with np.errstate(all="ignore"):  # an equation that is not made for such values is no line
            start, *others = (self._value(name, seen, zero + each).astype(float) for each in (0.0, *TRIED))
            slopes = [(value - start) / each for value, each in zip(others, TRIED, strict=True)]
            found = np.where(slopes[0] == 0, 0.0, (seen[name] - start) / slopes[0])
        line = all(np.allclose(slope, slopes[0], equal_nan=True) for slope in slopes)
        if not line or not np.allclose(self._value(name, seen, found), seen[name], equal_nan=True):
            raise CapabilityError(
                f"the equation of {name} does not add its disturbance, so no unit's can be read from data; "
                "simulate twice with one seed instead, with and without do="
            )
        return found


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
