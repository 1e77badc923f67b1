"""The call behind a result: what was asked of which data, so that it can be asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.backends import registry
from causalformula.backends.fit import Answer, Query
from causalformula.backends.options import Options
from causalformula.formula.spec import Spec
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.covariance import Covariance, covariance
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import HAC, Bootstrap, Cluster, DriscollKraay, Jackknife, Request, Wild


@dataclass(frozen=True, eq=False)
class Call:
    """Formula, bound data and options of a fit.

    Parameters
    ----------
    text : str
        The formula as it was written.
    spec : Spec
    frame : ModelFrame
        Keeps a reference to the caller's data, so that columns outside the formula can be named.
    options : Options
    """

    text: str
    spec: Spec
    frame: ModelFrame
    options: Options

    @property
    def record(self) -> registry.Record:
        """The method's record."""
        return registry.record_of(self.options)

    def default_vcov(self) -> Request:
        """The method's default covariance; ``cluster(g)`` in the formula makes it ``~g``."""
        clusters = self.frame.cluster_names
        if not clusters:
            return read_request(self.options.own_vcov or self.record.default_vcov)
        return read_request(self.record.cluster_vcov.replace("{g}", " + ".join(f"`{c}`" for c in clusters)))

    def covariance(self, answer: Answer, request: Any, query: Query | None) -> Covariance:
        """Covariance of an answer; ``query`` tells the bootstrap what to read off each refit (None: not possible)."""
        request = self.default_vcov() if request is None else read_request(request)
        request = self._with_units(request)
        groups = self.codes(grouping_names(request))
        refit = self._refit(request, query, groups)
        return covariance(answer.estimate, request, groups=groups, refit=refit, n=self.frame.n)

    def _refit(
        self, request: Request, query: Query | None, groups: Mapping[str, NDArray[np.intp]]
    ) -> Callable[[NDArray[np.float64]], NDArray[np.float64]] | None:
        """Weights to replicates, with their standard errors where the request studentises them."""
        if query is None:
            return None
        again = {"frame": self.frame, "options": self.options, "query": query}
        if isinstance(request, Bootstrap) and request.kind == "studentized":
            clusters = groups[request.cluster] if request.cluster else None
            return partial(registry.studentized, **again, clusters=clusters)
        return partial(registry.replicates, **again)

    def _with_units(self, request: Request) -> Request:
        """``cluster(g)`` and ``strata(s)`` in the formula are the units and strata of a resampling that names none."""
        if not isinstance(request, (Bootstrap, Jackknife, Wild)):
            return request
        if request.cluster is None and self.frame.cluster_names:
            request = replace(request, cluster=self.frame.cluster_names[0])
        if isinstance(request, Bootstrap) and request.strata is None and self.frame.strata is not None:
            request = replace(request, strata=self.frame.strata.name)
        return request

    def codes(self, names: Iterable[str]) -> dict[str, NDArray[np.intp]]:
        """Group codes of columns of the data, on the rows kept."""
        return {name: self.frame.groups(name).codes for name in names}


def grouping_names(request: Request) -> tuple[str, ...]:
    """Columns that a request names."""
    if isinstance(request, Cluster):
        return request.by
    if isinstance(request, HAC):
        return () if request.order_by is None else (request.order_by,)
    if isinstance(request, DriscollKraay):
        return (request.time,)
    if isinstance(request, (Jackknife, Wild)):
        return () if request.cluster is None else (request.cluster,)
    if isinstance(request, Bootstrap):
        return tuple(name for name in (request.cluster, request.strata) if name is not None)
    return ()
