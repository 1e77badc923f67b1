"""From a design to an effect: the outcome enters, and the weights and their estimating equations stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from causalformula.backends import registry
from causalformula.backends.fit import told_of_perfect
from causalformula.backends.other_words import OPTION_HINTS
from causalformula.errors import CapabilityError, DataError, FormulaError, OptionError, choose, counted, some, warn
from causalformula.formula.language.reader import parse, with_tilde
from causalformula.formula.language.spec import Role, Spec
from causalformula.frame.bind import bind
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.notices import told
from causalformula.frame.parts import PROPENSITY
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import Request
from causalformula.results.call import Call
from causalformula.results.designs.core import DesignCore
from causalformula.results.effects.core import ResultCore
from causalformula.results.families.faces import result_of
from causalformula.results.named import named_columns

# What the formula of the estimate may add to that of the design.
ADDED = ("outcome", "modify", "cluster", "offset", "strata")
QUESTION = registry.ESTIMATED
# What cf.design was given beside the method's options.
SETTLED = ("data", "method", "subset", "na_action", "contrasts", "env")


def estimated(design: DesignCore, formula: str | None, vcov: Any, question: Mapping[str, Any]) -> Any:
    """The effect by the design's weights; see ``Design.fit``."""
    record, made = design.call.record, design.designed
    if made is None or record.estimate is None:
        raise CapabilityError(f"method {record.name!r} has no estimate apart from its design; use cf.fit(...)")
    given = {k: v for k, v in question.items() if v is not None}
    _, options = registry.read_options(design.call.options, given)
    spec = merged(design.call.spec, formula, tuple(design.call.frame.env or ()))
    request = None if vcov is None else read_request(vcov)
    frame = rebound(design, spec, request)
    call = Call(spec.source, spec, frame, options)
    call.refuse_idle(request)
    registry.refuse_measure(frame, options)
    registry.refuse_counts(frame, record)
    found = told_of_perfect(record.estimate(frame, made, options), frame)
    told(note for note in found.notes if note not in design.notes)
    result = result_of(found, call, replace(design, design_weights=found.design, call=call), request)
    warn_of_caveats(result)
    return result


def refuse_settled(design: DesignCore, other: Iterable[str]) -> None:
    """An ``OptionError`` for what ``Design.fit`` does not take: most of it the design has already."""
    settled = (*SETTLED, *(field.name for field in fields(design.call.options)))
    for name in other:
        if name in settled:
            raise OptionError(f"{name}= is of the design, which is made already; give it to cf.design(..., {name}=...)")
        if name in ("dag", "strict"):
            raise OptionError(f"design.fit has no option {name!r}: {OPTION_HINTS[name]}")
        raise OptionError(f"design.fit has no option {name!r}{choose(name, ('vcov', *QUESTION), 'it takes')}")


def warn_of_caveats(result: ResultCore) -> None:
    """Warn of what is true of these standard errors; not before they are known, which may be refused."""
    request = result.covariance.request
    for note in (*result.fit.caveats_under(request), *result.call.idle_notes(request)):
        warn(note)


def merged(made: Spec, formula: str | None, functions: tuple[str, ...]) -> Spec:
    """The design's formula with the outcome, and what else the estimate's formula adds to it.

    Raises
    ------
    FormulaError
        For another treatment, or a role that belongs to the design.
    """
    if formula is None:
        if made.outcome is None:
            raise FormulaError(f"the design has no outcome; write one, as in design.fit('Y ~ {made.of('treat')[0]}')")
        return made
    asked = parse(with_tilde(formula), None, functions)
    if asked.outcome is None:
        raise FormulaError("no outcome: write it on the left of `~`", asked.source, (0, 1))
    for role in asked.roles:
        _allowed(role, made, asked.source)
    # terms of an outcome model are the estimate's: those of an earlier formula do not stay
    for role in made.of("outcome"):
        if not asked.has("outcome"):
            warn(f"{role} stands in the design's formula and not in this one, so the outcome model is without it")
    kept = [role for role in made.roles if role.kind != "outcome" and role not in asked.roles]
    added = [role for role in asked.roles if role.kind in ADDED or role in made.roles]
    text = str(Spec(asked.outcome, (*kept, *added)))
    return parse(text, None, functions)


def _allowed(role: Role, made: Spec, source: str) -> None:
    if role.kind == "treat":
        (treat,) = made.of("treat")
        if role.body != treat.body or (role.options and role.options != treat.options):
            raise FormulaError(f"the design is for {treat}; it cannot estimate the effect of {role}", source)
    elif role.kind not in ADDED and role not in made.roles:
        hint = f"put {role} in cf.design(...)"
        if role.kind == "adjust":
            hint = "outcome(...) adds terms to the outcome model"
        raise FormulaError(f"{role} belongs to the design, which is made already; {hint}", source)


def rebound(design: DesignCore, spec: Spec, request: Request | None) -> ModelFrame:
    """The estimate's frame, on the design's rows.

    Raises
    ------
    DataError
        If the outcome or another new variable is missing in a row of the design.
    OptionError
        If a modifier was not among what the design balances.
    """
    made, options = design.call.frame, design.call.options
    rows = np.zeros(made.table.n, dtype=bool)
    rows[made.rows] = True
    extra = (*options.columns, *named_columns(request, made.table, design.call.record))
    frame = bind(spec, made.table, extra=extra, subset=rows, contrasts=made.contrasts, env=made.env)
    if frame.n < made.n:
        by = ", ".join(f"{k}: {v}" for k, v in frame.missing_by.items() if v)
        lost, first = made.index[~np.isin(made.rows, frame.rows)], next(iter(frame.missing_by))
        have, named = ("has", "row") if len(lost) == 1 else ("have", "rows")
        raise DataError(
            f"{counted(len(lost), 'row')} of the design {have} a missing value in the outcome's formula ({by}; "
            f'{named} {some(lost)}); make the design on complete rows, as in cf.design(..., subset="!is.na({first})")'
        )
    balanced, wanted = made.design(PROPENSITY).names, frame.design(PROPENSITY).names
    if set(balanced) != set(wanted):
        other = sorted(set(wanted) ^ set(balanced))
        raise OptionError(
            f"the design balances other terms than this formula asks for: {some(other)}; put them in cf.design(...)"
        )
    return replace(frame, total=made.total, missing_by=made.missing_by)
