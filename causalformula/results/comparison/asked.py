"""What ``compare()`` is asked: the methods by name, their options, and the roles that each leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends import registry
from causalformula.backends.estimands import ESTIMANDS
from causalformula.backends.options import Options, one_of, shown
from causalformula.backends.registry import Record
from causalformula.backends.routing import ADJUSTING, refuse_unread_roles
from causalformula.errors import CapabilityError, OptionError, choose
from causalformula.formula.language.spec import Spec
from causalformula.frame.fewer_roles import without
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import Given, Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife

# Roles that say what is asked, and of whom: without one of them the question would be another.
ASKED = ("treat", "did", "weights", "cluster", "censoring")
UNADJUSTED = "unadjusted"


@dataclass(frozen=True, eq=False)
class Asked:
    """One method of a comparison.

    Parameters
    ----------
    name : str
    words : str
        The method in words.
    label : str
        What its rows are called: these words, or the name that was given.
    options : Options
    request : Request or None
        Its covariance; None for the method's own.
    left_out : tuple of str
        Roles of the formula that it does not use.
    chosen : str
        What was chosen for it so that it gives the estimand, in words; empty where nothing was.
    """

    name: str
    words: str
    label: str
    options: Options
    request: Request | None = None
    left_out: tuple[str, ...] = ()
    chosen: str = ""

    @property
    def record(self) -> Record:
        """The method's record."""
        return registry.record_of(self.options)

    @property
    def leaves(self) -> str:
        """What it leaves out, as the table has it."""
        return ", ".join(f"{kind}(...)" for kind in self.left_out)


def read_methods(methods: Any, estimand: str, question: Mapping[str, Any]) -> list[Asked]:
    """The methods with their options, all for one estimand, contrast and measure."""
    given = _given(methods)
    one_of("estimand", estimand, ESTIMANDS)
    records = [_record(method) for _, method in given]
    _refuse_unable(records, estimand)
    found = [_asked(name, method, estimand, question) for name, method in given]
    named = isinstance(methods, Mapping)
    _refuse_twice(found, named)
    for what in ("contrast", "measure", "focal"):
        _refuse_several(found, what)
    return found if named else _numbered(found)


def _given(methods: Any) -> list[tuple[str, Any]]:
    """Names, empty where they are not given, and methods."""
    if isinstance(methods, Mapping):
        for name in methods:
            if not isinstance(name, str) or not name.strip():
                raise OptionError(
                    f"methods= as a mapping gives methods their names, which are texts, not {shown(name)}"
                )
        given = list(methods.items())
    elif isinstance(methods, Sequence) and not isinstance(methods, (str, bytes)):
        given = [("", method) for method in methods]
    else:
        raise OptionError(f'methods= lists methods, as in methods=["regression", "ipw"], not {shown(methods)}')
    if not given:
        raise OptionError("methods= is empty; list at least one method, as in methods=['regression', 'ipw']")
    return given


def _record(method: Any) -> Record:
    if isinstance(method, type) and issubclass(method, Options):
        method = method()
    return registry.record_of(method) if isinstance(method, Options) else registry.find(method)


def _refuse_unable(records: Sequence[Record], estimand: str) -> None:
    """An ``OptionError`` for methods that do not give the estimand, with those that do."""
    unable = list(dict.fromkeys(record.name for record in records if estimand not in record.estimands))
    if not unable:
        return
    able = [record.name for record in registry.methods() if estimand in record.estimands]
    listed = f"these do: {', '.join(able)}" if able else "no method that is available yet does"
    shared = [one for one in records[0].estimands if all(one in record.estimands for record in records)]
    if len(unable) == len(dict.fromkeys(record.name for record in records)) and shared:
        listed = f"{'all of them' if len(unable) > 1 else 'it'} can answer with estimand={shared[0]!r}"
    raise OptionError(
        f"method{'s' * (len(unable) > 1)} {' and '.join(map(repr, unable))} {'do' if len(unable) > 1 else 'does'} not "
        f"estimate the {estimand}, and a comparison is of one estimand; {listed}"
    )


def _asked(name: str, method: Any, estimand: str, question: Mapping[str, Any]) -> Asked:
    if isinstance(method, type) and issubclass(method, Options):
        method = method()
    record = _record(method)
    if isinstance(method, Options) and method.estimand not in (None, estimand):
        raise OptionError(
            f"the options of method {record.name!r} ask for the {method.estimand}, and the comparison for the "
            f"{estimand}; a comparison is of one estimand, which estimand= names"
        )
    options = method if isinstance(method, Options) else record.options()
    # a family is of an outcome model; a difference of two means has none
    given = {k: v for k, v in question.items() if k != "family" or "outcome" in record.roles}
    form = {k: v for k, v in record.forms.get(estimand, {}).items() if getattr(options, k) == _default(record, k)}
    record, options = registry.read_options(options, {**given, **form, "estimand": estimand})
    chosen = ", ".join(f"{k}={v!r}" for k, v in form.items())
    if chosen:
        chosen = f"{chosen} is chosen for method {record.name!r}, by which it gives the {estimand}"
    return Asked(name or record.name, record.words, name or record.words, options, chosen=chosen)


def _default(record: Record, name: str) -> Any:
    return getattr(record.options(), name)


def _refuse_twice(found: Sequence[Asked], named: bool) -> None:
    """The same method with the same options says nothing new."""
    if named:
        return
    for k, one in enumerate(found):
        if any(one.record is other.record and _same(one.options, other.options) for other in found[:k]):
            raise OptionError(
                f"method {one.record.name!r} is listed twice with the same options; list it once, or give options, as "
                f"in cf.{one.record.options.__name__}(...)"
            )


def _same(a: Options, b: Options) -> bool:
    try:
        return bool(a == b)
    except ValueError:  # options that hold arrays
        return False


def _refuse_several(found: Sequence[Asked], what: str) -> None:
    """An ``OptionError`` where options ask different questions, which no table can set side by side."""
    values = {one.name: getattr(one.options, what) for one in found}
    first = next(iter(values.values()))
    for name, value in values.items():
        if not _equal(value, first):
            remedy = f"{what}= of the comparison is for all" if what != "focal" else "give all the same"
            raise OptionError(
                f"the methods are asked with {what} {first!r} and {name!r} with {value!r}; a comparison is of one "
                f"question: {remedy}"
            )


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(np.all(a == b))


def _numbered(found: Sequence[Asked]) -> list[Asked]:
    """Methods that are there several times have numbers."""
    counts = Counter(one.name for one in found)
    seen: Counter[str] = Counter()
    out = []
    for one in found:
        seen[one.name] += 1
        number = f" ({seen[one.name]})" if counts[one.name] > 1 else ""
        out.append(replace(one, name=one.name + number, words=one.words + number, label=one.label + number))
    return out


# ---- covariances ----------------------------------------------------------------------------------------------------


def with_requests(asked: Sequence[Asked], vcov: Any) -> list[Asked]:
    """The methods with their covariances: one for all, or a mapping by name."""
    if not isinstance(vcov, Mapping):
        request = None if vcov is None else read_request(vcov)
        if isinstance(request, Given):
            raise OptionError("vcov= as a matrix is of one fit; give it by name, as in vcov={'ipw': matrix}")
        return [replace(one, request=request) for one in asked]
    names = [one.name for one in asked]
    for name in vcov:
        if name not in names:
            raise OptionError(f"vcov= names {shown(name)}, which is not compared{choose(str(name), names)}")
    read = {name: None if request is None else read_request(request) for name, request in vcov.items()}
    return [replace(one, request=read.get(one.name)) for one in asked]


# ---- roles ----------------------------------------------------------------------------------------------------------


def with_roles(asked: Sequence[Asked], spec: Spec) -> list[Asked]:
    """The methods with the roles that each leaves out.

    Raises
    ------
    CapabilityError
        For a method without a role that says what is asked: ``treat``, ``did``, ``weights`` or ``cluster``.
    """
    essential = Spec(spec.outcome, tuple(role for role in spec.roles if role.kind in ASKED), spec.source)
    for one in asked:
        refuse_unread_roles(essential, one.record)
        if not any(spec.has(kind) for kind in ("treat", "did")):
            raise CapabilityError("the formula has no treatment: write treat(...), as in Y ~ treat(A) + adjust(x)")
    kinds = tuple(dict.fromkeys(role.kind for role in spec.roles if role.kind not in ASKED))
    left = [tuple(kind for kind in kinds if not _reads(one, kind)) for one in asked]
    return [replace(one, left_out=out, chosen=_told(one, out)) for one, out in zip(asked, left, strict=True)]


def _reads(one: Asked, kind: str) -> bool:
    """Whether a method with its options, or its covariance, uses a role."""
    resampled = isinstance(one.request, (Bootstrap, Jackknife))
    used = kind in one.record.roles and kind not in one.record.idle(one.options)
    return used or (kind == "strata" and resampled)


def _told(one: Asked, left_out: Sequence[str]) -> str:
    """What was chosen for it: a form that only leaves roles out is its own where the formula has none of them."""
    idle = one.record.idle(one.options)
    return one.chosen if not idle or set(idle) & set(left_out) else ""


def refuse_unable_here(asked: Sequence[Asked], frames: Sequence[ModelFrame]) -> None:
    """Refuse a method that cannot give the estimand of this treatment, before anything is fitted."""
    for one, frame in zip(asked, frames, strict=True):
        registry.refuse_treatment(frame, one.record)
        if one.record.refuse is not None:
            one.record.refuse(frame, one.options)


def frames_of(asked: Sequence[Asked], frame: ModelFrame) -> list[ModelFrame]:
    """The frame of each method, with the roles that it uses; methods of the same roles share one, and its designs."""
    made: dict[tuple[str, ...], ModelFrame] = {(): frame}
    for one in asked:
        if one.left_out not in made:
            made[one.left_out] = without(frame, one.left_out)
    return [made[one.left_out] for one in asked]


def unadjusted(left_out: Sequence[str], frame: ModelFrame) -> bool:
    """Whether nothing that the formula adjusts for is left."""
    there = [kind for kind in ADJUSTING if frame.has(kind)]
    return bool(there) and all(kind in left_out for kind in there)
