"""The units and strata of a resampling that names none: those that the formula gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from causalformula.backends.fit import OWN_GROUPINGS
from causalformula.frame.grouping import Grouping
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.requests import Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.scale.whole import WholeFrame


def in_units(frame: ModelFrame, request: Request, groups: Callable[[str], Grouping]) -> Request:
    """``cluster(g)`` and ``strata(s)`` in the formula are the units and strata of a resampling that names none."""
    if not isinstance(request, (Bootstrap, Jackknife, Wild)):
        return request
    if request.cluster is None and frame.cluster_names:
        request = replace(request, cluster=frame.cluster_names[0])
    elif request.cluster is None and frame.unit is not None:
        request = replace(request, cluster=frame.unit.name)
    if (
        isinstance(request, Wild)
        or isinstance(frame, WholeFrame)
        or frame.strata is None
        or getattr(request, "strata", None) is not None
    ):
        return request
    if request.cluster in OWN_GROUPINGS and request.cluster not in frame.table:
        return request  # sets that the design makes are not made within strata
    return _within_strata(frame, frame.strata, request, groups)


def _within_strata(
    frame: ModelFrame, strata: Grouping, request: Bootstrap | Jackknife, groups: Callable[[str], Grouping]
) -> Bootstrap | Jackknife:
    """Where all strata are of two units, matched pairs, they are the units; others are a bootstrap's strata."""
    units = np.arange(frame.n) if request.cluster is None else groups(request.cluster).codes
    apart = np.unique(np.column_stack([strata.codes, units])[frame.unit_weights > 0], axis=0)
    counts = np.unique(apart[:, 0], return_counts=True)[1]
    if counts.max() == 1 and request.cluster is not None:
        return request
    if (counts == 2).all():
        return replace(request, cluster=strata.name)
    return replace(request, strata=strata.name) if isinstance(request, Bootstrap) else request
