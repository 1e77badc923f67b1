"""Which class a method's results have: the one that its record names, or ``Result``."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

from causalformula.backends import registry
from causalformula.backends.fit import Designed, DesignWeights, Fit, Query
from causalformula.results.call import Call
from causalformula.results.designs.core import DesignCore

PLAIN = "causalformula.results.result:Result"
DESIGN = "causalformula.results.design:Design"


def result_of(found: Fit, call: Call, design: DesignCore, vcov: Any) -> Any:
    """The result of a fit, under a covariance or the method's own, with the verbs of its family.

    Parameters
    ----------
    design : DesignCore
        What the fit was made with; its weights and equations are those that the fit returned.
    """
    query, call = Query(), replace(call, made=found.design, designed=found.designed)
    face = face_of(call.record.face)
    return face(
        found.answer, call.covariance(found.answer, vcov, query), call, found, replace(design, call=call), query
    )


def design_of(made: DesignWeights, call: Call, designed: Designed | None) -> Any:
    """The design of a method, with the verbs of its family."""
    return face_of(call.record.design_face, DESIGN)(made, call, designed)


def face_of(named: str, plain: str = PLAIN) -> Any:
    """The class that a record names: by name, as it stands above all that makes results, which designs do too."""
    module, _, name = (named or plain).partition(":")
    return getattr(import_module(module), name)


def elsewhere(method: str, verb: str) -> str:
    """Why a result has no such attribute: which methods' results have it, or that none has."""
    able = [r.name for r in registry.methods() if r.face and verb in vars(face_of(r.face))]
    if not able:
        return f"a result has no attribute {verb!r}"
    names = " and ".join(", ".join(f"method={name!r}" for name in part) for part in (able[:-1], able[-1:]) if part)
    return f"method {method!r} has no {verb}(); {names} {'have it' if len(able) > 1 else 'has'}"
