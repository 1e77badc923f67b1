"""``ModelFrame``: a question bound to data. Outcome, treatment, designs, weights and groups, on the rows kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.errors import CapabilityError, DataError, OptionError, choose
from causalformula.formula.expressions.evaluate import Env, Memory
from causalformula.formula.expressions.operators import floats
from causalformula.formula.expressions.times import Times
from causalformula.formula.expressions.values import Value, take
from causalformula.formula.language.grammar import enclosed, plus, variables
from causalformula.formula.language.spec import Spec
from causalformula.formula.language.syntax import Argument, Call, Name, Node
from causalformula.formula.matrix.design import Contrasts, Evaluated, build
from causalformula.formula.matrix.terms import Terms, terms
from causalformula.frame.bound import BoundRows
from causalformula.frame.counterfactual import Counterfactual
from causalformula.frame.design_matrix import DesignMatrix
from causalformula.frame.grouping import Grouping, grouping, quartiles
from causalformula.frame.outcome import Outcome
from causalformula.frame.panel import Panel
from causalformula.frame.parts import ADJUST, PROPENSITY, Part
from causalformula.frame.treatment import Treatment
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.families import Family

# A column of more numbers or dates than this is cut at its quartiles for effects by group.
MOST_VALUES = 10
SEVERAL = "this is of two groups, and did(...) has groups that are treated at different times"
BINOMIAL = ("binomial", "quasibinomial")


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelFrame(BoundRows):
    """A formula bound to data.

    Parameters
    ----------
    spec : Spec
    outcome : Outcome or None
    treatment : Treatment or None
    bodies : mapping of str to Node
        Right-hand sides by role, the dot expanded.
    values : mapping of str to Value
        Evaluated variables by label, on the rows kept.
    panel : Panel or None
        The variables of ``did(...)``; its two groups are the ``treatment``.
    weights, offset : ndarray (n,) or None
    counts, sampling : ndarray (n,) or None
        In a resample, how often each row was drawn, and the weights before that; ``weights`` are their product.
    """

    spec: Spec
    outcome: Outcome | None
    treatment: Treatment | None
    bodies: Mapping[str, Node]
    values: Mapping[str, Value]
    memory: Memory
    panel: Panel | None = None
    contrasts: Contrasts | None = None
    env: Env | None = None
    weights: Array | None = None
    offset: Array | None = None
    counts: Array | None = None
    sampling: Array | None = None
    # Designs and counterfactual columns depend on the rows alone: reweighted copies share them, and nothing is rebuilt.
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_memo": {}}

    def __repr__(self) -> str:
        return f"ModelFrame({str(self.spec)!r}, {self.n} rows)"

    # -- sizes and weights -----------------------------------------------------------------------------------------

    @property
    def nobs(self) -> int:
        """Rows of positive weight."""
        return self.n if self.weights is None else int((self.weights > 0).sum())

    @property
    def unit_weights(self) -> Array:
        """Sampling weights, ones where there are none."""
        return np.ones(self.n) if self.weights is None else self.weights

    @property
    def frequencies(self) -> Array:
        """How many rows each row stands for: one, how often a resample drew it, zero where its weight is zero."""
        return self.sampled.astype(float) if self.counts is None else self.sampled * self.counts

    @property
    def sampled(self) -> Bools:
        """Rows of positive sampling weight, those that a resample did not draw among them."""
        weights = self.weights if self.counts is None else self.sampling
        return np.ones(self.n, dtype=bool) if weights is None else weights > 0

    def reweight(self, w: Array) -> ModelFrame:
        """The same frame with weights multiplied by ``w``, which count as repeated rows; no matrix is rebuilt."""
        return replace(
            self,
            weights=w if self.weights is None else self.weights * w,
            counts=w if self.counts is None else self.counts * w,
            sampling=self.weights if self.counts is None else self.sampling,
        )

    def take(self, rows: Codes) -> ModelFrame:
        """Some of the rows (repeats allowed)."""
        return replace(
            self,
            **self.taken(rows),
            outcome=None if self.outcome is None else Outcome(self.outcome.name, take(self.outcome.value, rows)),
            treatment=None if self.treatment is None else self.treatment.take(rows),
            values={k: take(v, rows) for k, v in self.values.items()},
            weights=None if self.weights is None else self.weights[rows],
            offset=None if self.offset is None else self.offset[rows],
            panel=None if self.panel is None else self.panel.take(rows),
            counts=None if self.counts is None else self.counts[rows],
            sampling=None if self.sampling is None else self.sampling[rows],
            _memo={},
        )

    def with_treatment(self, rows: Codes) -> ModelFrame:
        """The same frame with row i given the treatment that row ``rows[i]`` had; everything else stays.

        No other variable of a formula is computed from the treatment (it would not parse), so only its own values, and
        the designs that hold it, change. Of ``did(...)`` it is the group.
        """
        treatment = self.the_treatment
        moved = treatment.take(rows)
        kept = ("y", self.design_key(ADJUST), self.design_key(PROPENSITY))
        return replace(
            self,
            treatment=moved,
            panel=None if self.panel is None else self.panel.exchanged(rows),
            values={**self.values, treatment.name: moved.column} if treatment.name in self.values else self.values,
            _memo={k: v for k, v in self._memo.items() if k in kept},
        )

    def with_outcome(self, value: Value, name: str | None = None) -> ModelFrame:
        """The same frame with another outcome (n,); designs stay as they are."""
        label = name or self._the_outcome().name
        return replace(self, outcome=Outcome(label, value), _memo={k: v for k, v in self._memo.items() if k != "y"})

    def with_column(self, label: str, value: Value, role: str | None = None) -> ModelFrame:
        """The same frame with other values (n,) of a variable, or a new one that joins a role's terms.

        Parameters
        ----------
        label : str
            The variable as the formula writes it; ``log(x)`` is another variable than ``x``.
        value : Value
        role : str, optional
            Where a new variable stands; that of the formula's own stays.

        Raises
        ------
        CapabilityError
            For the treatment and the outcome, which have ways of their own, and for a variable that is not there.
        """
        special = {self.treatment.name if self.treatment else None, self.outcome.name if self.outcome else None}
        if label in special:
            raise CapabilityError(f"{label!r} is the treatment or the outcome; use with_treatment or with_outcome")
        if role is None and label not in self.values:
            raise CapabilityError(f"the formula has no variable {label!r}{choose(label, self.values)}")
        bodies = dict(self.bodies)
        if role is not None:
            bodies[role] = plus(enclosed(bodies[role]), Name(label)) if role in bodies else Name(label)
        kept = {k: v for k, v in self._memo.items() if k == "y"}
        return replace(self, values={**self.values, label: value}, bodies=bodies, _memo=kept)

    # -- outcome and treatment -------------------------------------------------------------------------------------

    @property
    def y(self) -> Array:
        """The outcome as numbers (n,)."""
        y: Array = self._remember("y", lambda: self._the_outcome().numeric())
        return y

    def outcome_for(self, family: Family) -> Array:
        """The outcome as a family reads it: a binomial one takes two-level factors too."""
        if family.name in BINOMIAL:
            return self._the_outcome().binary()
        return self.y

    def _the_outcome(self) -> Outcome:
        if self.outcome is None:
            raise DataError("this formula has no outcome; write one on the left of `~`")
        return self.outcome

    @property
    def the_treatment(self) -> Treatment:
        """The treatment, which a backend for ``treat`` may rely on."""
        if self.treatment is None:
            several = self.panel is not None and self.panel.adoption is not None
            raise CapabilityError(SEVERAL if several else "this method needs treat(...) in the formula")
        return self.treatment

    @property
    def the_panel(self) -> Panel:
        """The groups and periods, which a backend for ``did`` may rely on."""
        if self.panel is None:
            raise CapabilityError("this method needs did(A, time) in the formula")
        if self.panel.groups is None:
            raise CapabilityError(self.panel.other or SEVERAL)
        return self.panel

    # -- designs ---------------------------------------------------------------------------------------------------

    def has(self, role: str) -> bool:
        """Whether the formula holds a role."""
        return role in self.bodies or self.spec.has(role)

    def refuse_roles(self, roles: tuple[str, ...], why: str) -> None:
        """An ``OptionError`` when the formula holds a role that a method cannot use."""
        found = [role for role in roles if self.has(role)]
        if found:
            raise OptionError(f"{why}; the formula has {', '.join(f'{role}(...)' for role in found)}")

    def design(self, part: Part) -> DesignMatrix:
        """One of the frame's design matrices, built once.

        Raises
        ------
        CapabilityError
            For what is no ``Part``.
        """
        if not isinstance(part, Part):
            raise CapabilityError(f"a design matrix is named by a Part, as Part('outcome'), not by {part!r}")
        design: DesignMatrix = self._remember(self.design_key(part), lambda: self._design(part))
        return design

    def design_key(self, part: Part) -> tuple[Any, ...]:
        """What a design is remembered by: its terms, which several parts may have, and frames with other roles too."""
        return ("design", part.record.heads, part.interact, tuple(r for r in part.record.roles if r in self.bodies))

    def counterfactual(self, part: Part, key: Any, column: Value) -> Counterfactual:
        """The columns of a design that change when the treatment is set to ``column``; ``key`` names the setting."""

        def make() -> Counterfactual:
            return self.design(part).at(self.the_treatment.name, column)

        change: Counterfactual = self._remember(("at", self.design_key(part), key), make)
        return change

    def cell(self, part: Part, group: int, period: int) -> Counterfactual:
        """The columns of a design that change when every row is put into a group and a period of ``did(...)``."""

        def make() -> Counterfactual:
            panel, design = self.the_panel, self.design(part)
            rows = np.full(self.n, int(np.flatnonzero(panel.cells == 2 * group + period)[0]))
            return design.at_all({panel.treated: take(panel.first, rows), panel.time: take(panel.second, rows)})

        change: Counterfactual = self._remember(("cell", self.design_key(part), group, period), make)
        return change

    def _rhs(self, part: Part) -> Node | None:
        """The right-hand side of a design: what stands in front, then the terms of its roles."""
        others = _sum([self.bodies[role] for role in part.record.roles if role in self.bodies])
        head = self._head(part)
        if head is None or others is None:
            return others if head is None else head
        if part.interact:
            return Call("*", (Argument(head), Argument(parenthesised(others))))
        total = plus(head, others)
        if "modify" in self.bodies:
            total = plus(total, Call(":", (Argument(head), Argument(parenthesised(self.bodies["modify"])))))
        return total

    def _head(self, part: Part) -> Node | None:
        if part.record.heads == "treat":
            treat = self.spec.treatment
            if treat is None:
                raise CapabilityError("this design matrix needs treat(...) in the formula")
            return treat
        if part.record.heads == "did":
            (role,) = self.spec.of("did") or (None,)
            if role is None:
                raise CapabilityError("this design matrix needs did(...) in the formula")
            return Call("*", tuple(Argument(body) for body in role.body))
        return None

    def _design(self, part: Part) -> DesignMatrix:
        rhs, bare = self._rhs(part), bool(self.effects) and part.record.heads == "treat"
        found = Terms((), (), (), ()) if rhs is None else terms(rhs, source=self.spec.source)
        values, none = tuple(self.values[label] for label in found.labels), np.zeros(self.n, dtype=bool)
        evaluated = Evaluated(found, values, self.n, none, {}, self.memory, self.env, self.spec.source)
        X, recipe, _ = build(evaluated, contrasts=self._contrasts_for(found), bare=bare)
        return DesignMatrix(X, recipe.names, recipe, dict(enumerate(values)))

    def _contrasts_for(self, found: Terms) -> Contrasts | None:
        """Contrasts of the variables that this design has (others belong to other designs)."""
        if not isinstance(self.contrasts, Mapping):
            return self.contrasts
        return {k: v for k, v in self.contrasts.items() if k in found.labels}

    def _remember(self, key: Any, make: Any) -> Any:
        if key not in self._memo:
            self._memo[key] = make()
        return self._memo[key]

    # -- groups ----------------------------------------------------------------------------------------------------

    @property
    def clusters(self) -> tuple[Grouping, ...]:
        """What ``cluster(...)`` names."""
        return self.groupings.get("cluster", ())

    @property
    def cluster_names(self) -> tuple[str, ...]:
        """What ``cluster(...)`` names; without it the units of ``did(..., unit = id)``, or g of ``loo(g)``."""
        own = ("cluster", "unit", "loo")
        return next((tuple(c.name for c in self.groupings[role]) for role in own if self.groupings.get(role)), ())

    @property
    def strata(self) -> Grouping | None:
        """The strata or blocks, those of several variables taken together."""
        return next(iter(self.groupings.get("strata", ())), None)

    @property
    def unit(self) -> Grouping | None:
        """The units that ``did(..., unit = id)`` names."""
        return next(iter(self.groupings.get("unit", ())), None)

    def remembered(self, key: Any, make: Any) -> Any:
        """What depends on the rows alone, made once and shared by reweighted copies."""
        found: Grouping = self._remember((key, tuple(self.bodies)), make)
        return found

    def subgroups(self, name: str) -> Grouping:
        """Groups of a column for effects by group: levels or values; quartiles of many numbers, dates or times."""
        if not isinstance(name, str):
            raise OptionError(f"effects are by one column, named by text, not {name!r}")
        value = take(self.table.named(name), self.rows)
        if self.spec.outcome is not None and name in variables(self.spec.outcome):
            raise OptionError(
                f"{name!r} is the outcome; effects by groups of it are no effects. Name a column that the treatment "
                "does not change"
            )
        if isinstance(value, np.ndarray | Times):
            numbers = floats(value, name)
            if len(np.unique(numbers[~np.isnan(numbers)])) > MOST_VALUES:
                return quartiles(name, value if isinstance(value, Times) else numbers, self.index)
        return grouping(name, value, self.index)

    def is_modifier(self, name: str, part: Part | None = None) -> bool:
        """Whether the effect may vary by a column: one in ``modify(...)``, or where ``part`` crosses all its terms."""
        roles = part.record.roles if part is not None and part.interact else ("modify",)
        return any(name in variables(self.bodies[role]) for role in roles if role in self.bodies)


def whole_numbers(values: Array) -> bool:
    """Whether all values are whole numbers, but for the rounding of a quotient."""
    return bool(np.allclose(values, np.rint(values), rtol=1e-9, atol=1e-9))


def parenthesised(node: Node) -> Node:
    """The node in parentheses where it is an operation."""
    return enclosed(node) if not (isinstance(node, Call) and node.function == "+") else Call("(", (Argument(node),))


def _sum(nodes: list[Node]) -> Node | None:
    total: Node | None = None
    for node in nodes:
        total = node if total is None else plus(total, enclosed(node))
    return total
