"""Roles of a formula that neither the method nor the covariance reads: refused, or said in the print."""

from __future__ import annotations

import numpy as np

from causalformula.backends.registry import Record, find
from causalformula.backends.routing import matches_exactly, strata_text
from causalformula.errors import CapabilityError, some
from causalformula.formula.language.deparse import deparse, symbol
from causalformula.formula.language.grammar import summands
from causalformula.formula.language.syntax import Name
from causalformula.frame.grouping import Grouping
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.request_text import describe
from causalformula.inference.requests import Classical, Given, Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife


def refuse_idle_strata(frame: ModelFrame, record: Record, request: Request) -> None:
    """A ``CapabilityError`` for ``strata(s)`` that has no effect on the estimate nor on the covariance asked for."""
    if not _idle_strata(frame, record, request):
        return
    why = f"nor do standard errors that are {describe(request)!r}"
    if isinstance(request, Jackknife):
        why = "and the jackknife reads strata only where all are of two units, which it leaves out together"
    elif isinstance(request, Bootstrap):
        why = f"and the bootstrap has other units or strata ({_resampled(request)})"
    raise CapabilityError(
        f"method {record.name!r} does not use {strata_text(frame.spec)}, {why}; {_uses(frame, record)}"
    )


def _uses(frame: ModelFrame, record: Record) -> str:
    """What reads strata of this formula, each with what to write."""
    spec = frame.spec
    nodes = [piece for role in spec.of("strata") for body in role.body for _, piece in summands(body)]
    matched = matches_exactly(record)
    beside = [] if matched else ["vcov='bootstrap' draws within them"]
    experiment, roles = find("difference_in_means"), dict.fromkeys(role.kind for role in spec.roles)
    if frame.treatment is not None and frame.treatment.kind in experiment.treatments:
        others = [f"{role}(...)" for role in roles if role not in experiment.roles]
        without = f"without {some(others)} " if others else ""
        beside.insert(0, f"{without}method='difference_in_means' takes them for the blocks of an experiment")
    instead = [f"exact={' + '.join(map(deparse, nodes))!r} matches within them"] if matched else []
    if spec.has("treat") and len(nodes) == 1 and isinstance(nodes[0], Name):
        instead.append(f"fit.permutation_test(strata={nodes[0].id!r}) permutes within them")
    instead.append(f"adjust({' + '.join(f'factor({deparse(node)})' for node in nodes)}) adjusts for them")
    listed = " and ".join([", ".join(instead[:-1]), instead[-1]] if len(instead) > 1 else instead)
    return "; ".join([*([", ".join(beside)] if beside else []), f"in place of {strata_text(spec)}, {listed}"])


def _idle_strata(frame: ModelFrame, record: Record, request: Request) -> bool:
    """Whether the formula has strata that nothing reads; of a matrix that was given nothing is known."""
    strata = frame.strata
    if strata is None or "strata" in record.roles or isinstance(request, Given):
        return False
    read = (getattr(request, "strata", None), getattr(request, "cluster", None))
    return not (isinstance(request, (Bootstrap, Jackknife)) and strata.name in read)


def _resampled(request: Bootstrap) -> str:
    given = {"cluster": request.cluster, "strata": request.strata}
    return ", ".join(f"{name}={value!r}" for name, value in given.items() if value is not None)


def idle_notes(
    frame: ModelFrame, record: Record, request: Request, default: Request, read: tuple[str, ...], sampling: bool
) -> tuple[str, ...]:
    """What has no part in standard errors of this kind, or not the part that it should have.

    Parameters
    ----------
    request : Request
        With the units and strata that it takes from the formula.
    default : Request
        What the formula would have without ``vcov=``.
    read : tuple of str
        Groupings that the request names.
    sampling : bool
        Whether there are sampling weights.
    """
    notes = []
    asked = frame.cluster_names if frame.clusters or frame.unit else ()
    clusters = () if isinstance(request, Given) else tuple(c for c in asked if c not in read)
    if clusters:
        why = "a resampling has units of one grouping"
        if not set(asked) & set(read):
            why = f"without vcov= they are {describe(default)!r}"
        notes.append(
            f"cluster({' + '.join(clusters)}) has no part in these standard errors ({describe(request)}); {why}"
        )
    notes += [] if isinstance(request, Given) else _shared(frame, request, read)
    if _idle_strata(frame, record, request):
        notes.append(
            f"{strata_text(frame.spec)} has no part in these standard errors ({describe(request)}) nor in the estimate"
        )
    if isinstance(request, Classical) and sampling:
        notes.append(
            "classical standard errors take weights(...) for precisions, as R's lm(weights = ), and are wrong for "
            f"sampling weights; without vcov= they are {describe(default)!r}"
        )
    return tuple(notes)


def _shared(frame: ModelFrame, request: Request, read: tuple[str, ...]) -> list[str]:
    """What rows share that no cluster holds together: the group of a leave-one-out instrument."""
    groups = frame.groupings.get("loo", ())
    lost = [one for one in groups if not any(_nested(one, frame.groups(name)) for name in read)]
    return [
        f"rows of {one.name} share an instrument that is made of them, loo({symbol(one.name)}), and these standard "
        f"errors ({describe(request)}) take them for unrelated; use vcov='~{symbol(one.name)}'"
        for one in lost
    ]


def _nested(inner: Grouping, outer: Grouping) -> bool:
    """Whether all rows of a group are in one group of another grouping."""
    both = np.unique(inner.codes.astype(np.int64) * len(outer.levels) + outer.codes)
    return len(both) == len(np.unique(inner.codes))
