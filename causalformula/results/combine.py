"""Differences between fits on overlapping units, through their exact influences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.fit import Answer, Label
from causalformula.errors import CapabilityError, OptionError
from causalformula.inference.covariance import covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.requests import HC, Cluster
from causalformula.inference.scales import read_measure

if TYPE_CHECKING:
    from causalformula.results.result import Result

Array = NDArray[np.float64]


def subtract(a: Result, b: Result) -> Result:
    """``a - b`` row by row: rows are aligned by the data's row labels, clusters respected if either fit has them."""
    from causalformula.results.result import Result

    names = a.answer.estimate.names
    if len(names) != len(b.answer.estimate.names):
        raise OptionError(f"the fits have {len(names)} and {len(b.answer.estimate.names)} effects; a difference needs as many")
    if a.answer.measure.name != b.answer.measure.name:
        raise OptionError(f"the fits have measures {a.answer.measure.name} and {b.answer.measure.name}; use the same")
    union = a.call.frame.index.union(b.call.frame.index, sort=False)
    n = len(union)
    psi = _spread(a, union) - _spread(b, union)
    theta = a.answer.estimate.theta - b.answer.estimate.theta
    q = len(theta)
    estimate = Estimate(names, theta, Influence((), np.zeros((q, 0)), n, psi, always=True))
    request = next((r.covariance.request for r in (a, b) if isinstance(r.covariance.request, Cluster)), None)
    if request is None:
        found = covariance(estimate, HC("HC0"))
    else:
        codes = {name: _codes(a, b, name, union) for name in request.by}
        found = covariance(estimate, Cluster(request.by, type="CR1"), groups=codes)
    labels = tuple(Label(x.term, f"{x.contrast} (difference)", x.groups) for x in a.answer.labels)
    measure = "log_ratio" if a.answer.measure.reading == "exp" else a.answer.measure.name
    if a.answer.measure.reading == "inverse":
        raise CapabilityError("differences of numbers needed to treat have no interval; subtract differences instead")
    return Result(Answer(estimate, labels, read_measure("difference" if measure == "difference" else measure)), found, a.call, a.fit)


def _spread(result: Result, union: object) -> Array:
    """Influences on the union of rows, scaled so that their mean is the fit's own."""
    psi = result.influence()
    out = np.zeros((len(union), psi.shape[1]))  # type: ignore[arg-type]
    place = union.get_indexer(result.call.frame.index)  # type: ignore[attr-defined]
    out[place] = psi * (len(out) / len(psi))
    return out


def _codes(a: Result, b: Result, name: str, union: object) -> NDArray[np.intp]:
    """Cluster codes of the union, by the clusters' labels."""
    labels = np.empty(len(union), dtype=object)  # type: ignore[arg-type]
    for result in (a, b):
        groups = result.call.frame.groups(name)
        labels[union.get_indexer(result.call.frame.index)] = np.array(groups.levels, dtype=object)[groups.codes]  # type: ignore[attr-defined]
    return np.unique(labels.astype(str), return_inverse=True)[1]
