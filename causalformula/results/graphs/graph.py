"""``Graph``: a causal diagram that writes formulas, checks them, and is itself tested on data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causalformula.backends.options import one_of
from causalformula.errors import IdentificationError, OptionError, asks
from causalformula.graphs import write
from causalformula.graphs.adjustment import Question
from causalformula.graphs.diagram import Diagram, Edge
from causalformula.graphs.implications import Implication, implications
from causalformula.graphs.separation import separated
from causalformula.plots.dag import draw_dag
from causalformula.results.graphs.identified import EFFECTS, Identification, coloured
from causalformula.results.graphs.simulated import counterfactual, simulated
from causalformula.results.graphs.tested import GraphTest, tested
from causalformula.results.text.notebook import Shown

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False, eq=False)
class Graph(Shown):
    """A causal diagram; made by ``cf.dag``.

    Two are equal that have the same nodes, edges and marks, in whatever order they were written.

    Attributes
    ----------
    diagram : Diagram
        Nodes, arrows, bidirected edges, and which nodes are latent, selected or mark missing values.
    exposures, outcomes : tuple of str
        What the text marks as ``[exposure]`` and ``[outcome]``: treatment and outcome where none are named.
    adjusted : tuple of str
        What the text marks as ``[adjusted]``, as dagitty does: ``plot`` shows what that leaves open. A choice of an
        analysis, not a fact of the graph, so that ``identify`` passes over it.
    source : str
        The text as it was written.
    """

    diagram: Diagram
    exposures: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    adjusted: tuple[str, ...] = ()
    source: str = ""

    def __str__(self) -> str:
        return write.text(self.diagram, self._roles)

    def __repr__(self) -> str:
        return str(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self._facts == other._facts

    def __hash__(self) -> int:
        return hash(self._facts)

    @property
    def _facts(self) -> tuple[frozenset[Any], ...]:
        return (*self.diagram.facts, *map(frozenset, self._roles.values()))

    @property
    def _roles(self) -> Mapping[str, tuple[str, ...]]:
        return {"exposure": self.exposures, "outcome": self.outcomes, "adjusted": self.adjusted}

    @property
    def nodes(self) -> tuple[str, ...]:
        """All nodes, in order of appearance."""
        return self.diagram.nodes

    @property
    def latent(self) -> tuple[str, ...]:
        """Nodes that nobody measured."""
        return self.diagram.in_order(self.diagram.latent)

    # -- what identifies an effect ---------------------------------------------------------------------------------

    @asks
    def identify(
        self, treatment: str | None = None, outcome: str | None = None, effect: str = "total"
    ) -> Identification:
        """Find the designs that identify an effect.

        Parameters
        ----------
        treatment, outcome : str, optional
            Those that the text marks, where not given.
        effect : {"total", "direct"}
            All that the treatment does, or what it does by its own arrow to the outcome, with mediators held fixed.

        Returns
        -------
        Identification
            ``.adjustment_sets .optimal .front_door .instruments .paths .expression .formula``; it prints as text.

        Raises
        ------
        GraphError
            For an unknown node.
        IdentificationError
            Where the treatment or outcome is latent, or the outcome causes the treatment.

        Examples
        --------
        >>> import causalformula as cf
        >>> g = cf.dag("I.H -> Drug; I.H -> Severity; Drug -> Severity")
        >>> g.identify("Drug", "Severity").adjustment_sets
        (('I.H',),)
        """
        return Identification(self.question(treatment, outcome, effect))

    @asks
    def formula(
        self,
        outcome: str | None = None,
        treatment: str | None = None,
        effect: str = "total",
        design: str | None = None,
    ) -> str:
        """Write the causal formula that ``cf.fit`` takes.

        Parameters
        ----------
        outcome, treatment : str, optional
            Those that the text marks, where not given.
        effect : {"total", "direct"}
        design : {"adjustment", "instrument", "front door"}, optional
            Adjustment (the optimal set where there is one, else the smallest) where it identifies the effect, else an
            instrument. A front door must be asked for: its formula goes to ``method="front_door"``.

        Returns
        -------
        str

        Raises
        ------
        IdentificationError
            Where no such design identifies the effect, with the path that stays open.

        Examples
        --------
        >>> import causalformula as cf
        >>> cf.dag("I.H -> {Drug Severity}; Drug -> Severity").formula("Severity", "Drug")
        'Severity ~ treat(Drug) + adjust(I.H)'
        """
        found = self.identify(treatment, outcome, effect)
        if design is not None or found.method is None:
            return found.formula if design is None else found.formula_for(design)
        if found.instruments:
            return found.formula_for("instrument")
        raise IdentificationError(
            f"{found.why_not}. A front door identifies it: cf.fit({found.formula!r}, data, method='front_door', "
            f"mediators={found.options['mediators']!r}); design='front door' writes the formula"
        )

    @asks
    def question(self, treatment: str | None = None, outcome: str | None = None, effect: str = "total") -> Question:
        """The effect that is asked for, checked.

        Parameters
        ----------
        treatment, outcome : str, optional
        effect : {"total", "direct"}

        Returns
        -------
        Question

        Raises
        ------
        GraphError
            For an unknown node.
        OptionError
            For an unknown effect, or where no treatment or outcome is named.
        IdentificationError
            Where the treatment or outcome is latent, or the outcome causes the treatment.
        """
        a = self._one("treatment", treatment, self.exposures)
        y = self._one("outcome", outcome, self.outcomes)
        self.diagram.require(a, y)
        one_of("effect", effect, EFFECTS)
        for what, name in (("treatment", a), ("outcome", y)):
            if name not in self.diagram.measured:
                kind = "latent" if name in self.diagram.latent else "a mark of who is in the data"
                raise IdentificationError(f"the {what} {name} is {kind}: no data have its effect")
        if a == y:
            raise IdentificationError(f"{a} is both treatment and outcome")
        if back := self.diagram.way(y, a):
            raise IdentificationError(
                f"the outcome causes the treatment: {' -> '.join(back)}. Ask for the effect of {y}"
            )
        return Question(self.diagram, a, y, effect)

    def _one(self, what: str, name: str | None, marked: tuple[str, ...]) -> str:
        if name is not None:
            return name
        if len(marked) != 1:
            raise OptionError(f"which {what}? The graph marks {', '.join(marked) or 'none'}: name it")
        return marked[0]

    @asks
    def separated(self, left: str, right: str, given: Iterable[str] = ()) -> bool:
        """Whether two nodes are d-separated: independent given others in all data that fit the graph.

        Parameters
        ----------
        left, right : str
        given : iterable of str

        Returns
        -------
        bool
        """
        self.diagram.require(left, right)
        held = self.diagram.listed("given", given)
        return separated(self.diagram, [left], [right], held)

    # -- the graph and data ----------------------------------------------------------------------------------------

    def implications(self) -> tuple[Implication, ...]:
        """Conditional independences that the graph implies: one for every pair of measured nodes that have one.

        Returns
        -------
        tuple of Implication
            ``.left .right .given``, the last the smallest of the minimal sets that were tried: at most 50, fewer in
            graphs of more than forty nodes.
        """
        return implications(self.diagram)

    @asks
    def test(self, data: Any, seed: int = 0, level: float = 0.05) -> GraphTest:
        """Test each implied independence: whether the data contradict the graph.

        Parameters
        ----------
        data : data frame
            With a column for every measured node.
        seed : int
            Of the folds.
        level : float
            Of all tests together, by Holm's adjustment: how often, at most, they contradict a right graph.

        Returns
        -------
        GraphTest
            Among numbers a partial correlation; where a variable has levels, a test that products of out-of-fold
            residuals have mean zero (the generalised covariance measure).

        Raises
        ------
        DataError
            Where a column is missing from the data.

        References
        ----------
        Shah and Peters (2020), with Hotelling's F; Holm (1979).
        """
        return tested(self.implications(), data, seed, level)

    # -- structural models -----------------------------------------------------------------------------------------

    @asks
    def simulate(
        self,
        n: int,
        seed: int | None = None,
        *,
        effects: Mapping[str | Edge, float] | None = None,
        equations: Mapping[str, Callable[..., Any]] | None = None,
        do: Mapping[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Data from a structural model on the graph; with one seed always the same units, whatever is done to them.

        Parameters
        ----------
        n : int
            Units.
        seed : int, optional
        effects : mapping, optional
            What one unit of a cause adds to its effect, as ``{"Drug -> Severity": -10}``; 1 where not given.
        equations : mapping of str to callable, optional
            Functions in place of the linear ones, ``{"Drug": lambda I_H, u: I_H + u > 0}``: of all parents by their
            names (dots and the like as underscores), and of a standard normal disturbance by any other name.
        do : mapping, optional
            Nodes set from outside, as ``{"Drug": 1}``, or to a value for each unit. With the seed of a call without
            it: the same units' counterfactuals.

        Returns
        -------
        DataFrame
            Measured and latent nodes. Rows whose selected nodes are not above zero are left out (they keep their
            labels), and values are missing whose ``[missing = ...]`` node is above zero.

        Raises
        ------
        GraphError
            For a node or an arrow that the graph does not have.
        OptionError
            For an equation that does not take its parents and one disturbance, or of a node with a ``<->``.
        """
        return simulated(self.diagram, n, seed, effects, equations, do)

    @asks
    def counterfactual(
        self,
        data: pd.DataFrame,
        do: Mapping[str, Any],
        *,
        effects: Mapping[str | Edge, float] | None = None,
        equations: Mapping[str, Callable[..., Any]] | None = None,
    ) -> pd.DataFrame:
        """What given units would have been, had something been done to them.

        Disturbances of the nodes that change are read from the data, and their equations solved again with these.

        Parameters
        ----------
        data : data frame
            Rows with a column for every node that is not latent.
        do : mapping
            Nodes set from outside, as ``{"Drug": 1}``.
        effects, equations
            As in ``simulate``; those of nodes that change must add their disturbance, or so many times it.

        Returns
        -------
        DataFrame

        Raises
        ------
        CapabilityError
            Where such an equation does not add its disturbance.
        IdentificationError
            Where what is done changes a latent node, or acts on a node by more or less with a latent one.
        """
        return counterfactual(self.diagram, data, effects, equations, do)

    # -- other forms -----------------------------------------------------------------------------------------------

    def to_dagitty(self) -> str:
        """The text that dagitty reads, in R and on its page."""
        return write.dagitty(self.diagram, self._roles)

    def to_dot(self) -> str:
        """The text that Graphviz draws; latent nodes and common causes dashed."""
        return write.dot(self.diagram, self._roles)

    def to_mermaid(self) -> str:
        """The text that mermaid draws in Markdown pages."""
        return write.mermaid(self.diagram)

    def to_networkx(self) -> nx.DiGraph:
        """A networkx digraph, a latent node in place of each bidirected edge; nodes have ``latent, selected``.

        Those that the text marks otherwise have ``exposure, outcome, adjusted`` or ``missing`` too.
        """
        return write.digraph(self.diagram, self._roles)

    @asks
    def plot(
        self,
        treatment: str | None = None,
        outcome: str | None = None,
        given: Iterable[str] | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Draw the graph in layers, causes to the left of their effects; latent nodes dashed.

        Parameters
        ----------
        treatment, outcome : str, optional
            Between them causal paths and open backdoor paths are coloured; those that the text marks where not given.
        given : iterable of str
            What is adjusted for, drawn grey: paths that it blocks are not coloured. That which the text marks where
            not given.
        ax : matplotlib Axes, optional

        Returns
        -------
        Axes

        Raises
        ------
        OptionError
            For ``given`` without a treatment and an outcome.
        """
        named = treatment is not None or outcome is not None or (len(self.exposures) == len(self.outcomes) == 1)
        chosen = self.adjusted if given is None else self.diagram.listed("given", given)
        if not named and given is not None and chosen:
            raise OptionError("given= blocks paths between a treatment and an outcome: name these two")
        causal, biasing = coloured(self.identify(treatment, outcome), chosen) if named else ((), ())
        return draw_dag(self.diagram, ax, causal, biasing, chosen)
