"""What a formula asks, as plain data: the outcome and the role of every variable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import (
    FUNCTIONS,
    ROLES,
    enclosed,
    has_dot,
    is_operator,
    plus,
    variable_nodes,
    variables,
)
from causalformula.formula.language.syntax import Call, Node, Span, literal, walk
from causalformula.formula.language.to_formulaic import terms_text, treatment_text, variables_text

if TYPE_CHECKING:
    from formulaic import Formula


@dataclass(frozen=True, eq=False, repr=False)
class Role:
    """One role of a formula, such as ``treat(A, ref = "placebo")``.

    Two roles are equal when they are written alike; their place in the source takes no part.

    Attributes
    ----------
    kind : str
        A key of ``grammar.ROLES``.
    body : tuple of Node
        The positional arguments.
    options : tuple of (str, Node)
        The named ones.
    """

    kind: str
    body: tuple[Node, ...]
    options: tuple[tuple[str, Node], ...] = ()

    def __str__(self) -> str:
        named = [f"{name} = {deparse(value, exact=True)}" for name, value in self.options]
        return f"{self.kind}({', '.join([*(deparse(node, exact=True) for node in self.body), *named])})"

    def __repr__(self) -> str:
        return f"Role({str(self)!r})"

    # Comparing texts instead of trees: a sum of a thousand terms is a tree a thousand levels deep.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Role) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def nodes(self) -> Iterator[Node]:
        """Everything that the role holds: bodies, then values of options."""
        yield from self.body
        yield from (value for _, value in self.options)


@dataclass(frozen=True, eq=False, repr=False)
class Spec:
    """A causal question: which variable plays which role. No data, and ``parse(str(spec)) == spec``.

    Attributes
    ----------
    outcome : Node or None
        The left side; None for a design without an outcome.
    roles : tuple of Role
        In order of appearance. Bare terms and every ``adjust(...)`` are gathered in one ``adjust`` role.
    source : str
        The text as it was written; takes no part in equality.
    """

    outcome: Node | None
    roles: tuple[Role, ...]
    source: str = field(default="", compare=False)

    def __str__(self) -> str:
        left = "" if self.outcome is None else deparse(self.outcome, exact=True) + " "
        return f"{left}~ {' + '.join(str(role) for role in self.roles)}"

    def __repr__(self) -> str:
        return f"Spec({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    # -- roles ---------------------------------------------------------------------------------------------

    def of(self, kind: str) -> tuple[Role, ...]:
        """Roles of one kind, in order of appearance.

        Parameters
        ----------
        kind : str
            A role's name, such as ``adjust``.

        Returns
        -------
        tuple of Role
        """
        return tuple(role for role in self.roles if role.kind == kind)

    def has(self, kind: str) -> bool:
        """Whether the formula holds such a role.

        Parameters
        ----------
        kind : str

        Returns
        -------
        bool
        """
        return any(role.kind == kind for role in self.roles)

    def rhs(self, kind: str) -> Node | None:
        """Bodies of all roles of a kind, joined by ``+``; None when there is none.

        A body that takes terms away (``a - b``) is put in parentheses, so that it takes nothing from the others.

        Parameters
        ----------
        kind : str

        Returns
        -------
        Node or None
        """
        bodies = [body for role in self.of(kind) for body in role.body]
        if len(bodies) < 2:
            return bodies[0] if bodies else None
        return reduce(plus, (enclosed(body) for body in bodies))

    def option(self, kind: str, name: str) -> Node | None:
        """Value of a role's option, None when it was not given.

        Parameters
        ----------
        kind, name : str
            The role and its option, as ``treat`` and ``ref``.

        Returns
        -------
        Node or None
        """
        return next((value for role in self.of(kind) for key, value in role.options if key == name), None)

    @property
    def treatment(self) -> Node | None:
        """The body of ``treat``; None for a ``did`` formula."""
        return self.rhs("treat")

    @property
    def treatment_ref(self) -> str | float | bool | None:
        """The reference level that ``treat(A, ref = ...)`` names, as a Python value."""
        return literal(self.option("treat", "ref"))

    @property
    def design(self) -> bool:
        """Whether the left side is empty: a design without an outcome."""
        return self.outcome is None

    # -- variables -----------------------------------------------------------------------------------------

    def nodes(self) -> Iterator[Node]:
        """All expressions of the formula: the outcome, then each role's."""
        if self.outcome is not None:
            yield self.outcome
        for role in self.roles:
            yield from role.nodes()

    def variables(self) -> tuple[str, ...]:
        """Columns that the formula names, each once; the dot is not resolved here."""
        return tuple(dict.fromkeys(name for node in self.nodes() for name in variables(node)))

    def span_of(self, name: str) -> Span | None:
        """Where a variable first stands in ``source``.

        Parameters
        ----------
        name : str
            A column.

        Returns
        -------
        tuple of int, or None
            First character, and the one after the last.
        """
        spans = [piece.span for node in self.nodes() for piece in variable_nodes(node) if piece.id == name]
        return min(spans, default=None)

    def has_dot(self) -> bool:
        """Whether any role holds the dot, to be resolved with the data."""
        return any(has_dot(node) for node in self.nodes())

    def dot_excluded(self, kind: str = "adjust") -> set[str]:
        """Columns that the dot in a role leaves out: the outcome and all that have another role.

        Parameters
        ----------
        kind : str
            The role that holds the dot.

        Returns
        -------
        set of str
        """
        others = (node for role in self.roles if role.kind != kind for node in role.nodes())
        return {name for node in others for name in variables(node)} | set(
            variables(self.outcome) if self.outcome is not None else ()
        )

    def functions(self) -> tuple[str, ...]:
        """Functions of the caller's that the formula uses, each once."""
        calls = (piece for node in self.nodes() for piece in walk(node) if isinstance(piece, Call))
        own = (call.function for call in calls if not is_operator(call))
        return tuple(dict.fromkeys(name for name in own if name not in FUNCTIONS and name != "Surv"))

    # -- exchange ------------------------------------------------------------------------------------------

    def to_formulaic(self) -> dict[str, Formula]:
        """A formula of formulaic's for the left side (``"lhs"``), and for each role under its name.

        What is adjusted for, instruments and the treatment have an intercept, so that formulaic codes their factors by
        contrasts; the other parts hold columns. The option ``unit`` of ``did`` is a part, and ``ref`` of ``treat`` the
        base of its contrasts. ``formulaic.Formula(**parts)`` holds them all, and ``cf.fit`` takes it.

        Raises
        ------
        FormulaError
            For a piece that formulaic has not, or would read otherwise; it is named.
        """
        from formulaic import Formula

        texts = {} if self.outcome is None else {"lhs": variables_text([self.outcome], self.source)}
        for kind in dict.fromkeys(role.kind for role in self.roles):
            texts |= self._written(kind)
        return {name: Formula(text) for name, text in texts.items()}

    def _written(self, kind: str) -> dict[str, str]:
        """The parts that a role becomes."""
        body = self.rhs(kind)
        assert body is not None
        if kind == "treat":
            return {kind: treatment_text(body, self.option("treat", "ref"), self.source)}
        if ROLES[kind].reads == "expression":
            return {kind: variables_text((role.body[0] for role in self.of(kind)), self.source)}
        text = {kind: terms_text(body, self.source, intercept=ROLES[kind].adjusts)}
        unit = self.option(kind, "unit")
        return text if unit is None else {**text, "unit": variables_text([unit], self.source)}

    def to_json(self) -> str:
        """JSON text: the formula, its source, and its pieces for readers in other languages."""
        pieces = [
            {
                "kind": role.kind,
                "body": [deparse(node, exact=True) for node in role.body],
                "options": {name: deparse(value, exact=True) for name, value in role.options},
            }
            for role in self.roles
        ]
        outcome = None if self.outcome is None else deparse(self.outcome, exact=True)
        record = {"formula": str(self), "source": self.source, "functions": self.functions()}
        return json.dumps({**record, "outcome": outcome, "roles": pieces}, ensure_ascii=False)
