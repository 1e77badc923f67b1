"""What stacking needs of a fit: its estimates, their covariance, and its rows among those of all fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.fit import Label
from causalformula.errors import CapabilityError, OptionError
from causalformula.inference.covariance import Covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence, Repeated
from causalformula.inference.requests import HC, Asympt, Classical, Cluster, Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.inference.sandwich.joint import Joint, Part
from causalformula.inference.sandwich.single import HALF
from causalformula.inference.scales import Measure, read_measure
from causalformula.numerics.arrays import Array
from causalformula.results.effects.core import ResultCore
from causalformula.results.joint.units import Units
from causalformula.results.models.core import ModelCore

# Every stage and average re-estimated, over rows: what the fits' influences say without any convention of one method.
EXACT = Asympt(unconditional=True)


@dataclass(frozen=True, eq=False)
class Member:
    """What stacking needs of a fit."""

    fit: Any
    estimate: Estimate
    labels: tuple[Label, ...]
    measure: Measure
    covariance: Covariance

    @classmethod
    def of(cls, fit: Any) -> Member:
        """From a causal fit, or from the coefficients of a model."""
        if isinstance(fit, ResultCore):
            return cls(fit, fit.answer.estimate, fit.answer.labels, fit.answer.measure, fit.covariance)
        if isinstance(fit, ModelCore):
            estimate = fit.regression.estimate()
            labels = tuple(Label(name, "") for name in estimate.names)
            return cls(fit, estimate, labels, read_measure("difference"), fit.covariance)
        raise OptionError(f"fits are made by cf.fit, cf.lm or cf.glm; this is a {type(fit).__name__}")

    @property
    def frame(self) -> Any:
        """Its rows."""
        return self.fit.call.frame if isinstance(self.fit, ResultCore) else self.fit.frame

    @property
    def unit(self) -> str | None:
        """The grouping of the units that the influence is on; None where it is on rows."""
        evidence = self.estimate.evidence
        on_units = isinstance(evidence, Influence) and evidence.units is not None
        return self.frame.unit.name if on_units else None

    def parts(self, units: Units) -> tuple[list[Part], Array]:
        """Its evidence on the union, and its estimates as combinations of the parts'."""
        evidence, place = self.estimate.evidence, units.place(self.frame)
        if not isinstance(evidence, Influence):
            raise CapabilityError("a fit without influence function has no known covariance with another fit")
        # what is on units stands at each unit's first row; whoever joins it to rows clusters by the units
        place = place[evidence.first_rows]
        if isinstance(evidence, Joint):
            assert evidence.mix is not None
            return [replace(part, place=place[part.place]) for part in evidence.parts], evidence.mix
        return [Part(evidence, place, HALF if isinstance(self.fit, ResultCore) else np.inf)], np.eye(evidence.size)


def unstacked(fit: ResultCore) -> str:
    """Why a fit's influences say nothing exact of its covariance with another; empty where they do."""
    reason = fit.call.record.exempt.get("stacking")
    if reason:
        return f"its influence function is not known: {reason}"
    if isinstance(fit.answer.estimate.evidence, Repeated):
        return "a median over repetitions has no influence function; repeats=1 has"
    if not isinstance(fit.answer.estimate.evidence, Influence):
        return "it has no influence function"
    return ""


def common_request(members: Sequence[Member]) -> Request:
    """The sandwich that the fits share; else clusters where any fit has them, else the exact influences."""
    requests = [member.covariance.request for member in members]
    for request in requests:
        if not isinstance(request, (Classical, HC, Asympt, Cluster, Bootstrap, Jackknife, Wild)):
            raise CapabilityError(
                "a fit's own covariance matrix or its serial correlation says nothing of its covariance with another "
                "fit; give both fits a sandwich first, as in fit.with_vcov('HC3') or fit.with_vcov('~g')"
            )
    if isinstance(requests[0], (HC, Asympt, Cluster)) and all(r == requests[0] for r in requests):
        return requests[0]
    by = {cluster_names(request) for request in requests} - {()}
    if len(by) > 1:
        raise OptionError(
            f"the fits are clustered by {' and by '.join(' + '.join(b) for b in sorted(by))}; give them the same "
            "clusters with with_vcov(), or say which: cf.stack([...], vcov='~g')"
        )
    if not by and (unit := common_unit(members)) is not None:
        return Cluster((unit,))
    return Cluster(by.pop()) if by else EXACT


def common_unit(members: Sequence[Member]) -> str | None:
    """The units of fits whose influence is on them, where it is joined to influences on rows; None without such.

    Raises
    ------
    OptionError
        For units of several kinds.
    """
    named = {member.unit for member in members}
    if len(named - {None}) > 1:
        raise OptionError(f"the fits have different units: {' and '.join(sorted(u for u in named if u))}")
    return next(iter(named - {None}), None) if len(named) > 1 else None


def cluster_names(request: Request) -> tuple[str, ...]:
    """The clusters that a request names, of a sandwich or a resampling."""
    if isinstance(request, Cluster):
        return request.by
    name = getattr(request, "cluster", None)
    return () if name is None else (name,)
