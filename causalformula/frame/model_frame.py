"""``ModelFrame``: a question bound to data. Outcome, treatment, designs, weights and groups, on the rows kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.errors import CapabilityError, DataError, OptionError
from causalformula.formula.expressions.evaluate import Env, Memory
from causalformula.formula.expressions.values import Value, take
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.spec import Spec, enclosed, plus
from causalformula.formula.language.syntax import Argument, Call, Node
from causalformula.formula.matrix.design import Contrasts, Evaluated, build
from causalformula.formula.matrix.recipe import Recipe
from causalformula.formula.matrix.terms import Terms, terms
from causalformula.frame.columns import Table
from causalformula.frame.counterfactual import Counterfactual
from causalformula.frame.grouping import Grouping, grouping, quartiles
from causalformula.frame.outcome import Outcome
from causalformula.frame.treatment import Kind, Treatment
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.families import Family

BINOMIAL = ("binomial", "quasibinomial")


@dataclass(frozen=True, eq=False)
class Design:
    """A design matrix with its names and recipe.

    Parameters
    ----------
    X : ndarray (n, p)
    names : tuple of str
        R's column names.
    recipe : Recipe
    values : mapping of int to Value
        The variables' values on the rows kept, by their place in the recipe's terms.
    """

    X: Array
    names: tuple[str, ...]
    recipe: Recipe
    values: Mapping[int, Value]

    @property
    def intercept(self) -> bool:
        """Whether the first column is the intercept."""
        return self.recipe.terms.intercept

    def at(self, label: str, value: Value) -> Counterfactual:
        """The columns that involve a variable, rebuilt from the recipe with the variable set to ``value``."""
        if label not in self.recipe.terms.labels:
            return Counterfactual(np.empty(0, dtype=np.intp), np.empty((len(self.X), 0)))
        place = self.recipe.terms.labels.index(label)
        columns, values = self.recipe.partial({**self.values, place: value}, {place}, len(self.X))
        return Counterfactual(columns, values)


@dataclass(frozen=True, eq=False)
class ModelFrame:
    """A formula bound to data.

    Parameters
    ----------
    spec : Spec
    table : Table
        The caller's data, never changed.
    rows : ndarray (n,) of int
        Positions of the rows kept.
    index : pandas Index (n,)
        Their labels.
    total : int
        Rows after ``subset``, before missing values were dropped.
    missing_by : mapping of str to int
        Rows in which each variable is missing.
    outcome : Outcome or None
    treatment : Treatment or None
    bodies : mapping of str to Node
        Right-hand sides by role, the dot expanded.
    values : mapping of str to Value
        Evaluated variables by label, on the rows kept.
    weights, offset : ndarray (n,) or None
    strata : Grouping or None
    clusters : tuple of Grouping
    counts, sampling : ndarray (n,) or None
        In a resample, how often each row was drawn, and the weights before that; ``weights`` are their product.
    notes : tuple of str
        What was said of how the data were read.
    """

    spec: Spec
    table: Table
    rows: Codes
    index: Any
    total: int
    missing_by: Mapping[str, int]
    outcome: Outcome | None
    treatment: Treatment | None
    bodies: Mapping[str, Node]
    values: Mapping[str, Value]
    memory: Memory
    contrasts: Contrasts | None = None
    env: Env | None = None
    weights: Array | None = None
    offset: Array | None = None
    strata: Grouping | None = None
    clusters: tuple[Grouping, ...] = ()
    counts: Array | None = None
    sampling: Array | None = None
    notes: tuple[str, ...] = ()
    # Designs and counterfactual columns depend on the rows alone: reweighted copies share them, and nothing is rebuilt.
    _memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_memo": {}}

    def __repr__(self) -> str:
        return f"ModelFrame({str(self.spec)!r}, {self.n} rows)"

    # -- sizes and weights -----------------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """Rows kept."""
        return len(self.rows)

    @property
    def nobs(self) -> int:
        """Rows of positive weight."""
        return self.n if self.weights is None else int((self.weights > 0).sum())

    @property
    def dropped(self) -> int:
        """Rows dropped for missing values."""
        return self.total - self.n

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
            rows=self.rows[rows],
            index=self.index[rows],
            outcome=None if self.outcome is None else Outcome(self.outcome.name, take(self.outcome.value, rows)),
            treatment=None if self.treatment is None else self.treatment.take(rows),
            values={k: take(v, rows) for k, v in self.values.items()},
            weights=None if self.weights is None else self.weights[rows],
            offset=None if self.offset is None else self.offset[rows],
            strata=None if self.strata is None else replace(self.strata, codes=self.strata.codes[rows]),
            clusters=tuple(replace(c, codes=c.codes[rows]) for c in self.clusters),
            counts=None if self.counts is None else self.counts[rows],
            sampling=None if self.sampling is None else self.sampling[rows],
            _memo={},
        )

    def with_treatment(self, rows: Codes) -> ModelFrame:
        """The same frame with row i given the treatment that row ``rows[i]`` had; everything else stays.

        No other variable of a formula is computed from the treatment (it would not parse), so only its own values, and
        the designs that hold it, change.
        """
        treatment = self.the_treatment
        moved = treatment.take(rows)
        kept = ("y", ("design", "adjust"), ("design", "propensity"))
        return replace(
            self,
            treatment=moved,
            values={**self.values, treatment.name: moved.column} if treatment.name in self.values else self.values,
            _memo={k: v for k, v in self._memo.items() if k in kept},
        )

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
            raise CapabilityError("this method needs treat(...) in the formula")
        return self.treatment

    # -- designs ---------------------------------------------------------------------------------------------------

    def has(self, role: str) -> bool:
        """Whether the formula holds a role."""
        return role in self.bodies or self.spec.has(role)

    def refuse_roles(self, roles: tuple[str, ...], why: str) -> None:
        """An ``OptionError`` when the formula holds a role that a method cannot use."""
        found = [role for role in roles if self.has(role)]
        if found:
            raise OptionError(f"{why}; the formula has {', '.join(f'{role}(...)' for role in found)}")

    def outcome_part(self, *, interact: bool = False) -> tuple[Any, ...]:
        """Key of the outcome model's design: treatment, confounders, outcome terms, modifiers and interactions."""
        return ("outcome", interact)

    def design(self, part: Any) -> Design:
        """One of the frame's designs, built once.

        Parameters
        ----------
        part : ("outcome", interact), ("weighted", interact), "adjust" or "propensity"
            ``weighted`` is the outcome model of a weighted sample, without the confounders.
        """
        design: Design = self._remember(("design", part), lambda: self._design(self._rhs(part)))
        return design

    def counterfactual(self, part: Any, key: Any, column: Value) -> Counterfactual:
        """The columns of a design that change when the treatment is set to ``column``; ``key`` names the setting."""

        def make() -> Counterfactual:
            return self.design(part).at(self.the_treatment.name, column)

        change: Counterfactual = self._remember(("at", part, key), make)
        return change

    def _rhs(self, part: Any) -> Node | None:
        rest = [self.bodies[k] for k in ("adjust", "modify") if k in self.bodies]
        if part == "adjust":
            return _sum(rest)
        if part == "propensity":
            return _sum([*rest, *(self.bodies[k] for k in ("propensity",) if k in self.bodies)])
        kind, interact = part
        treat = self.spec.treatment
        assert treat is not None
        # Under weighting the confounders are balanced, so the outcome model has only what is asked for.
        roles = ("outcome", "modify") if kind == "weighted" else ("adjust", "outcome", "modify")
        rest = [self.bodies[k] for k in roles if k in self.bodies]
        others = _sum(rest)
        if others is None:
            return treat
        if interact:
            return Call("*", (Argument(treat), Argument(parenthesised(others))))
        total = plus(treat, others)
        if "modify" in self.bodies:
            crossed = Call(":", (Argument(treat), Argument(parenthesised(self.bodies["modify"]))))
            total = plus(total, crossed)
        return total

    def _design(self, rhs: Node | None) -> Design:
        found = Terms((), (), (), ()) if rhs is None else terms(rhs, source=self.spec.source)
        values = tuple(self.values[label] for label in found.labels)
        complete = np.zeros(self.n, dtype=bool)
        evaluated = Evaluated(found, values, self.n, complete, {}, self.memory, self.env, self.spec.source)
        X, recipe, _ = build(evaluated, contrasts=self._contrasts_for(found))
        return Design(X, recipe.names, recipe, dict(enumerate(values)))

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
    def cluster_names(self) -> tuple[str, ...]:
        """Groupings that ``cluster(...)`` names."""
        return tuple(c.name for c in self.clusters)

    def groups(self, name: str) -> Grouping:
        """Codes of a column of the data on the rows kept; a missing value is a ``DataError``."""
        named = [*self.clusters] if self.strata is None else [*self.clusters, self.strata]
        for known in named:
            if known.name == name:
                return known
        return grouping(name, take(self.table.named(name), self.rows), self.index)

    def numbers(self, name: str) -> Array:
        """A numeric column of the data on the rows kept; a missing value is a ``DataError``."""
        value = take(self.table.named(name), self.rows)
        if not isinstance(value, np.ndarray):
            raise DataError(f"{name!r} must be numbers")
        if np.isnan(value.astype(float)).any():
            grouping(name, value, self.index)
        return value.astype(float)

    def remembered(self, key: Any, make: Any) -> Any:
        """What depends on the rows alone, made once and shared by reweighted copies."""
        found: Grouping = self._remember(key, make)
        return found

    def subgroups(self, name: str) -> Grouping:
        """Groups of a column for effects by group: its levels or values; quartiles of a number with more than ten."""
        if not isinstance(name, str):
            raise OptionError(f"effects are by one column, named by text, not {name!r}")
        value = take(self.table.named(name), self.rows)
        if self.spec.outcome is not None and name in variables(self.spec.outcome):
            raise OptionError(
                f"{name!r} is the outcome; effects by groups of it are no effects. Name a column that the treatment "
                "does not change"
            )
        if isinstance(value, np.ndarray) and len(np.unique(value[~np.isnan(value.astype(float))])) > 10:
            return quartiles(name, value.astype(float), self.index)
        return grouping(name, value, self.index)

    def is_modifier(self, name: str) -> bool:
        """Whether a column stands in ``modify(...)``."""
        return "modify" in self.bodies and name in variables(self.bodies["modify"])

    def data_used(self) -> Any:
        """The rows kept as a pandas frame (a copy)."""
        data = self.table.to_pandas().iloc[self.rows].copy()
        data.index = self.index
        return data


def parenthesised(node: Node) -> Node:
    """The node in parentheses where it is an operation."""
    return enclosed(node) if not (isinstance(node, Call) and node.function == "+") else Call("(", (Argument(node),))


def _sum(nodes: list[Node]) -> Node | None:
    total: Node | None = None
    for node in nodes:
        total = node if total is None else plus(total, enclosed(node))
    return total


__all__ = ["Design", "Kind", "ModelFrame"]
