"""A question read, and answered: what every verb that fits by a method does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from causalformula.backends import registry
from causalformula.backends.distance import refuse_unknown_distance
from causalformula.backends.fit import Designed
from causalformula.backends.options import Options, check_functions, refuse_swapped
from causalformula.backends.routing import default_method, refuse_unread_roles
from causalformula.errors import CapabilityError, FormulaError, warn
from causalformula.formula.language import syntax
from causalformula.formula.language.reader import from_json, parse
from causalformula.formula.language.spec import Spec
from causalformula.formula.matrix.design import Contrasts
from causalformula.frame.bind import bind
from causalformula.frame.columns import Table
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.notices import told
from causalformula.frame.treatment import Kind
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import Request, with_rules
from causalformula.inference.small_sample import SmallSample
from causalformula.results.call import Call
from causalformula.results.design_fit import warn_of_caveats
from causalformula.results.families.faces import design_of, result_of
from causalformula.results.named import named_columns

if TYPE_CHECKING:
    from formulaic import Formula


def read_spec(formula: str | Formula, outcome: str | None, env: Mapping[str, Callable[..., Any]] | None) -> Spec:
    """A formula's text, or what ``Spec.to_json`` wrote, as a ``Spec``."""
    check_functions(env)
    if outcome is None and isinstance(formula, str) and formula.lstrip().startswith('{"'):
        return from_json(formula)
    return parse(formula, outcome, tuple(env or ()))


def read_question(
    formula: str | Spec | Formula, data: Any, outcome: str | None, env: Mapping[str, Callable[..., Any]] | None
) -> Spec:
    """The formula of an effect: with an outcome, of a kind that methods are there for.

    Raises
    ------
    FormulaError
        Where there is no outcome.
    CapabilityError
        For a survival outcome.
    """
    refuse_swapped(formula, data)
    check_functions(env)
    spec = formula if isinstance(formula, Spec) else read_spec(formula, outcome, env)
    if spec.outcome is None:
        raise FormulaError("no outcome: write it on the left of `~`, or give outcome=", spec.source, (0, 1))
    if isinstance(spec.outcome, syntax.Call) and spec.outcome.function == "Surv":
        raise CapabilityError("Surv(...) is part of the grammar, and no method for survival outcomes is available yet")
    return spec


def routed(
    spec: Spec,
    data: Any,
    method: str | Options | type[Options] | None,
    given: Mapping[str, Any],
    vcov: Any,
    ssc: SmallSample | None,
    *,
    subset: Any,
    na_action: str,
    contrasts: Contrasts | None,
    env: Mapping[str, Callable[..., Any]] | None,
) -> tuple[ModelFrame, Options, Request | None]:
    """A question on its way to a method: the formula bound to the data, the method's options, and the covariance.

    Parameters
    ----------
    method : str or Options, optional
        The one that the formula asks for where not given.
    given : mapping of str to object
        What of the question, and of the method's own options, is given.
    vcov, ssc : optional
        As for ``fit``.
    """
    named = method if method is not None else default_method(spec, given)
    record, wanted = registry.read_options(named, given)
    refuse_unread_roles(spec, record, named=method is not None)
    request = None if vcov is None else read_request(vcov, ssc)
    table = data if isinstance(data, Table) else Table(data)
    refuse_unknown_distance(wanted, table.names)
    extra = (*wanted.columns, *named_columns(request, table, record))
    rows: dict[str, Any] = {"subset": subset, "na_action": na_action, "contrasts": contrasts, "env": env}
    frame = bind(spec, table, extra=extra, family=wanted.outcome_family, **rows)
    if method is None and named == "difference_in_means" and frame.the_treatment.kind is Kind.CONTINUOUS:
        named = "regression"
    _, chosen = registry.read_options(named, given)
    return frame, chosen, request


def answered(
    call: Call, request: Request | None, ssc: SmallSample | None = None, designed: Designed | None = None
) -> Any:
    """The result of what was asked, under a covariance or the method's own; what must be said is a warning too.

    From a design where that is made already, on the same rows.
    """
    call = replace(call, options=registry.settled(call.frame, call.options))
    if ssc is not None:
        request = with_rules(call.default_vcov() if request is None else request, ssc)
    call.refuse_idle(request)
    found = registry.run(call.frame, call.options, designed)
    told(found.notes)
    made = design_of(found.design, call, found.designed)
    result = result_of(found, call, made, request)
    for note in result.design.imbalance:
        warn(note)
    warn_of_caveats(result)
    return result
