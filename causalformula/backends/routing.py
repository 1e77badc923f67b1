"""Which method answers a formula that names none, and which roles a method reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from causalformula.backends import registry
from causalformula.backends.estimands import ATE
from causalformula.errors import CapabilityError, OptionError, caret
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.roles import short
from causalformula.formula.language.spec import Role, Spec
from causalformula.formula.language.syntax import is_name

ADJUSTING = ("adjust", "outcome", "propensity", "modify", "fe", "offset")


def default_method(spec: Spec, given: Mapping[str, Any]) -> str:
    """The method of a formula that names none.

    A role may have a method of its own (``default_for`` on its record). A difference in means has no outcome model: a
    family, or an estimand other than the ATE, asks for the regression.
    """
    for record in registry.methods():
        if any(spec.has(role) for role in record.default_for):
            return record.name
    usual = {"family": "gaussian", "estimand": ATE}
    asked = (isinstance(given.get(name, word), str) and given.get(name, word) == word for name, word in usual.items())
    modelled = not all(asked) or "interact" in given
    return "regression" if modelled or any(spec.has(role) for role in ADJUSTING) else "difference_in_means"


def refuse_unread_roles(spec: Spec, record: registry.Record, *, named: bool = True) -> None:
    """A role that the method would silently ignore is a ``CapabilityError``, which blames no method nobody named."""
    unread = [role for role in spec.roles if role.kind not in record.roles and role.kind != "strata"]
    if not unread:
        return
    explained = [role for role in unread if role.kind in record.unread]
    role = (explained or unread)[0]
    message = f"method {record.name!r} does not use {role.kind}(...)"
    able = [
        r.name
        for r in registry.methods()
        if {role.kind for role in unread} <= set(r.roles) and all(map(spec.has, r.required))
    ]
    if explained:
        message += f": {record.unread[role.kind]}"
    elif able:
        message += f"; these do: {', '.join(able)}"
    elif named:
        message += f"; no method that is available yet does{_meanwhile(role)}"
    else:
        message = f"{role.kind}(...) needs a method that is not available yet{_meanwhile(role)}"
    if role.kind == "fe" and able and not explained:
        message += _few_groups(role)
    raise CapabilityError(pointed(message, spec, role))


def _meanwhile(role: Role) -> str:
    """What to write until a method for the role is there."""
    return _few_groups(role) if role.kind == "fe" else ""


def _few_groups(role: Role) -> str:
    """What to write instead of absorbed effects."""
    groups = role.body[0]
    g = short(deparse(groups)) if is_name(groups) else "g"
    return f". For few groups write factor({g}) among the terms"


def pointed(message: str, spec: Spec, role: Role) -> str:
    """A message with the place of a role in the formula's text."""
    span = role.body[0].span
    return f"{message}\n{caret(spec.source, span)}" if spec.source and span[1] > span[0] else message


def strata_text(spec: Spec) -> str:
    """The strata as the formula writes them."""
    return " + ".join(str(role) for role in spec.of("strata"))


def matches_exactly(record: registry.Record) -> bool:
    """Whether a method makes matches that may be held to strata, and that no bootstrap makes anew."""
    return "exact" in record.options.__dataclass_fields__


def refuse_strata_of_design(spec: Spec, record: registry.Record) -> None:
    """A ``CapabilityError`` for ``strata(s)`` in the formula of a design, which no design is made within."""
    if spec.has("strata") and "strata" not in record.roles:
        within = (
            "For matches within strata see exact="
            if matches_exactly(record)
            else "For a bootstrap within strata write them in the formula of the estimate, as in "
            "design.fit('Y ~ treat(A) + strata(s)', vcov='bootstrap')"
        )
        raise CapabilityError(
            f"a design by method {record.name!r} does not use {strata_text(spec)}: adjust(...) balances columns, a "
            f"factor's levels among them. {within}"
        )


def refuse_estimated(options: Mapping[str, Any]) -> None:
    """An ``OptionError`` for what a design has no use for, as the estimate asks for it."""
    for name in ("outcome", "vcov", *registry.ESTIMATED):
        if name in options:
            how = "design.fit('Y ~ ...')" if name == "outcome" else f"design.fit(..., {name}=...)"
            raise OptionError(f"{name}= is of the estimate, and a design has no outcome yet; give it to {how}")
