"""A bound formula without some of its roles: on the same rows, and nothing that is there already is built anew."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from causalformula.formula.language.reader import parse
from causalformula.formula.language.spec import Spec
from causalformula.frame.model_frame import ModelFrame


def without(frame: ModelFrame, kinds: Collection[str]) -> ModelFrame:
    """The same rows with roles left out of the formula.

    Parameters
    ----------
    frame : ModelFrame
    kinds : collection of str
        The roles, such as ``propensity``. Designs that do not hold them are shared with ``frame``, whichever of the two
        builds them first.
    """
    spec = Spec(frame.spec.outcome, tuple(role for role in frame.spec.roles if role.kind not in kinds))
    return replace(
        frame,
        spec=parse(str(spec), None, tuple(frame.env or ())),
        bodies={role: body for role, body in frame.bodies.items() if role not in kinds},
        offset=None if "offset" in kinds else frame.offset,
        groupings={role: found for role, found in frame.groupings.items() if role not in kinds},
    )
