"""A question with fewer covariates: every term that holds one of some variables is left out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import reduce

from causalformula.errors import OptionError, choose
from causalformula.formula.language.grammar import has_dot, plus, variables
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.spec import Spec
from causalformula.formula.language.syntax import Node
from causalformula.formula.matrix.terms import terms
from causalformula.frame.model_frame import ModelFrame

COVARIATE_ROLES = ("adjust", "outcome", "propensity", "modify")


def covariate_names(frame: ModelFrame) -> list[str]:
    """The variables that the covariates' terms are made of, in the formula's order."""
    found: dict[str, None] = {}
    for role in COVARIATE_ROLES:
        if role in frame.bodies:
            nodes = terms(frame.bodies[role], source=frame.spec.source).variables
            found |= dict.fromkeys(name for node in nodes for name in variables(node))
    return list(found)


def without(frame: ModelFrame, names: Collection[str]) -> ModelFrame:
    """The same frame without the covariates' terms that hold any of some variables.

    Raises
    ------
    OptionError
        For a name that no covariate's term has.
    """
    bodies, met = dict(frame.bodies), set[str]()
    for role in COVARIATE_ROLES:
        if role not in bodies:
            continue
        body, held = without_terms(bodies.pop(role), names, frame.spec.source)
        met |= held
        if body is not None:
            bodies[role] = body
    for name in names:
        if name not in met:
            raise OptionError(f"no covariate of the formula has {name!r}{choose(name, sorted(met))}")
    return replace(frame, bodies=bodies, _memo={k: v for k, v in frame._memo.items() if k == "y"})


def without_terms(body: Node, names: Collection[str], source: str) -> tuple[Node | None, set[str]]:
    """A right-hand side without the terms that hold any of some variables, and all variables that it had.

    None where no term is left.
    """
    found = terms(body, source=source)
    parts = [{name for i, _ in term for name in variables(found.variables[i])} for term in found.coding]
    kept = [label for label, part in zip(found.term_labels, parts, strict=True) if not part & set(names)]
    return summed(kept), {name for part in parts for name in part}


def summed(labels: Sequence[str]) -> Node | None:
    """Terms by their labels, joined by ``+``; None where there are none."""
    return reduce(plus, map(parse_expression, labels)) if labels else None


def with_adjusted(frame: ModelFrame, labels: Sequence[str]) -> ModelFrame:
    """The same frame with other terms in ``adjust(...)``, of variables that are there."""
    bodies, body = dict(frame.bodies), summed(labels)
    bodies.pop("adjust", None)
    if body is not None:
        bodies["adjust"] = body
    return replace(frame, bodies=bodies, _memo={k: v for k, v in frame._memo.items() if k == "y"})


def without_dot(spec: Spec, frame: ModelFrame) -> Spec:
    """The formula with the terms that a dot stood for: beside other terms it would stand for others."""
    roles = []
    for role in spec.roles:
        if any(has_dot(node) for node in role.body):
            body = summed(terms(frame.bodies[role.kind], source=spec.source).term_labels)
            assert body is not None
            role = replace(role, body=(body,))
        roles.append(role)
    return replace(spec, roles=tuple(roles))
