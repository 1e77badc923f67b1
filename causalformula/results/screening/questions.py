"""The questions of a screen: the formula with each treatment, each outcome, or each pair in its place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.options import shown
from causalformula.errors import FormulaError, OptionError, did_you_mean, some
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import has_dot, variables
from causalformula.formula.language.reader import parse
from causalformula.formula.language.spec import Role, Spec
from causalformula.formula.language.syntax import Argument, Call, Name, Node
from causalformula.frame.columns import Table
from causalformula.frame.leave_out import COVARIATE_ROLES, without_terms

# What is screened.
TREATMENTS, OUTCOMES, PAIRS = "treatments", "outcomes", "pairs"


@dataclass(frozen=True, eq=False)
class Question:
    """One treatment and one outcome.

    Parameters
    ----------
    treatment, outcome : str
        As the table names them.
    spec : Spec
        The formula that asks.
    control : bool
        Whether it is a negative control: the effect is known to be none.
    left_out : tuple of str
        What stands among the formula's covariates and is the treatment, or the outcome, here.
    hidden : frozenset of str
        Columns that the dot of the formula does not stand for: the other outcomes.
    """

    treatment: str
    outcome: str
    spec: Spec
    control: bool = False
    left_out: tuple[str, ...] = ()
    hidden: frozenset[str] = frozenset()

    def columns(self, names: Iterable[str], extra: Collection[str]) -> set[str]:
        """Columns of the data that it may use."""
        if self.spec.has_dot():
            return set(names) - self.hidden
        return {*self.spec.variables(), *extra}

    def __str__(self) -> str:
        return f"{self.treatment} on {self.outcome}"


@dataclass(frozen=True)
class Lists:
    """What is screened, as it was given and checked.

    Parameters
    ----------
    treatments, outcomes : tuple of str or None
        None where the formula's own is asked for.
    controls : frozenset of str
    of : {"treatments", "outcomes"}
        What the controls are.
    """

    treatments: tuple[str, ...] | None
    outcomes: tuple[str, ...] | None
    controls: frozenset[str] = frozenset()
    of: str = ""

    @property
    def kind(self) -> str:
        """What the rows are told apart by."""
        if self.treatments is None:
            return OUTCOMES
        return TREATMENTS if self.outcomes is None else PAIRS


def read_lists(treatments: Any, outcomes: Any, controls: Any, table: Table) -> Lists:
    """The columns that are screened, and the negative controls among them, which join where they are not listed."""
    if treatments is None and outcomes is None:
        raise OptionError(
            'a screen is of treatments=, outcomes= or both: columns of the data, as in treatments=["drug1", "drug2"]'
        )
    found = {
        what: None if given is None else _columns(what, given, table)
        for what, given in ((TREATMENTS, treatments), (OUTCOMES, outcomes))
    }
    for name in found[TREATMENTS] or ():
        if name in (found[OUTCOMES] or ()):
            raise OptionError(f"{name!r} is both in treatments= and in outcomes=; it is one of them")
    if controls is None:
        return Lists(found[TREATMENTS], found[OUTCOMES])
    return _with_controls(found, _columns("negative_controls", controls, table))


def _columns(what: str, given: Any, table: Table) -> tuple[str, ...]:
    """Names of columns in a list, each once."""
    import pandas as pd

    listed = given.tolist() if isinstance(given, (np.ndarray, pd.Index, pd.Series)) else given
    if not isinstance(listed, (list, tuple)):
        example = f'["{given}"]' if isinstance(given, str) else '["drug1", "drug2"]'
        raise OptionError(f"{what}= lists columns of the data, as in {what}={example}, not {shown(given)}")
    names = tuple(listed)
    for name in names:
        if not isinstance(name, str):
            raise OptionError(f"{what}= lists columns by name, and {shown(name)} is no text")
        if name not in table:
            near = did_you_mean(name, table.names) or f"; the data have {some(table.names)}"
            raise OptionError(f"{what}= names {name!r}, which is no column of the data{near}")
    if not names:
        raise OptionError(f"{what}= is empty; name at least one column of the data")
    twice = [name for k, name in enumerate(names) if name in names[:k]]
    if twice:
        raise OptionError(f"{what}= names {some(map(repr, dict.fromkeys(twice)))} more than once")
    return names


def _with_controls(found: dict[str, tuple[str, ...] | None], controls: tuple[str, ...]) -> Lists:
    """Controls are treatments where treatments are screened, and outcomes where outcomes are; of pairs either."""
    of = TREATMENTS if found[OUTCOMES] is None else OUTCOMES
    if found[TREATMENTS] is not None and found[OUTCOMES] is not None:
        treated = [name for name in controls if name in found[TREATMENTS]]
        if treated and len(treated) < len(controls):
            raise OptionError(
                f"negative_controls= names {some(map(repr, treated))} of treatments= and others that are not; controls "
                "are all treatments, or all outcomes"
            )
        of = TREATMENTS if treated else OUTCOMES
    listed = found[of]
    other = found[OUTCOMES if of == TREATMENTS else TREATMENTS] or ()
    assert listed is not None
    for name in controls:
        if name in other:
            raise OptionError(f"negative_controls= are {of} here, and {name!r} is listed elsewhere")
    if set(listed) <= set(controls):
        raise OptionError(f"all {of} are negative controls, and there is nothing left to screen")
    joined = {**found, of: (*listed, *(name for name in controls if name not in listed))}
    return Lists(joined[TREATMENTS], joined[OUTCOMES], frozenset(controls), of)


def questions(spec: Spec, lists: Lists, functions: tuple[str, ...]) -> list[Question]:
    """Every question, those of one treatment after each other.

    Raises
    ------
    FormulaError
        Where it is not plain what a column takes the place of.
    OptionError
        For a treatment that is the formula's outcome, or the other way round.
    """
    (head,) = spec.of("treat") or spec.of("did")
    treated = None if lists.treatments is None else _slot(head.body[0], "treatments", str(head), spec)
    answered = None
    if lists.outcomes is not None and spec.outcome is not None:
        answered = _slot(spec.outcome, "outcomes", "the left side", spec)
    _refuse_own(spec, head, lists)
    return [
        _question(spec, head, (treated, a), (answered, y), lists, functions)
        for a in lists.treatments or (None,)
        for y in lists.outcomes or (None,)
    ]


def _slot(node: Node, what: str, where: str, spec: Spec) -> str:
    """The variable that the screened columns take the place of."""
    names = variables(node)
    if len(names) != 1:
        raise FormulaError(
            f"each of {what}= takes the place of one variable, and {where} has {some(names) or 'none'}; write one, "
            f"under any name, as in y ~ treat(drug) + adjust(x)",
            spec.source or None,
            node.span,
        )
    return names[0]


def _refuse_own(spec: Spec, head: Role, lists: Lists) -> None:
    """A treatment that is the formula's outcome, an outcome that is its treatment."""
    own = {
        TREATMENTS: () if spec.outcome is None or lists.outcomes is not None else variables(spec.outcome),
        OUTCOMES: () if lists.treatments is not None else [name for node in head.body for name in variables(node)],
    }
    for what, listed in ((TREATMENTS, lists.treatments), (OUTCOMES, lists.outcomes)):
        for name in listed or ():
            if name in own[what]:
                other = "outcome" if what == TREATMENTS else "treatment"
                raise OptionError(f"{what}= names {name!r}, which is the {other} of the formula")


def _question(
    spec: Spec,
    head: Role,
    treated: tuple[str | None, str | None],
    answered: tuple[str | None, str | None],
    lists: Lists,
    functions: tuple[str, ...],
) -> Question:
    """One question: columns in their places, and out of the covariates."""
    (slot, a), (left, y) = treated, answered
    treatment, outcome, roles = head.body[0], spec.outcome, list(spec.roles)
    if a is not None:
        treatment = replaced(treatment, str(slot), a)
        roles[roles.index(head)] = replace(head, body=(treatment, *head.body[1:]))
    if y is not None:
        outcome = Name(y) if outcome is None else replaced(outcome, str(left), y)
    screened = [name for name in (a, y) if name is not None]
    kept, left_out = _without(roles, screened, spec.source)
    source = str(Spec(outcome, tuple(kept)))
    others = frozenset(lists.outcomes or ()) - {y} if spec.has_dot() else frozenset[str]()
    return Question(
        treatment=_text(treatment),
        outcome="" if outcome is None else _text(outcome),
        spec=parse(source, None, functions),
        control=bool({a, y} & lists.controls),
        left_out=left_out,
        hidden=others,
    )


def _text(node: Node) -> str:
    """A column's name, or an expression as it is written."""
    return node.id if isinstance(node, Name) else deparse(node)


def replaced(node: Node, old: str, new: str) -> Node:
    """An expression with another column in the place of one."""
    if isinstance(node, Name):
        return Name(new) if node.id == old else node
    if isinstance(node, Call):
        return Call(node.function, tuple(Argument(replaced(x.value, old, new), x.name) for x in node.args))
    return node


def _without(roles: Sequence[Role], names: Sequence[str], source: str) -> tuple[list[Role], tuple[str, ...]]:
    """Roles whose terms hold none of some variables, and which of these they held."""
    kept, met = [], set[str]()
    for role in roles:
        if role.kind not in COVARIATE_ROLES or not any(set(names) & set(variables(body)) for body in role.body):
            kept.append(role)
            continue
        bodies = []
        for body in role.body:
            if has_dot(body) or not set(names) & set(variables(body)):
                bodies.append(body)
                continue
            left, held = without_terms(body, names, source)
            met |= held & set(names)
            bodies += [left] if left is not None else []
        kept += [replace(role, body=tuple(bodies))] if bodies else []
    return kept, tuple(name for name in names if name in met)
