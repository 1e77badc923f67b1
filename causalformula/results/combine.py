"""Differences between fits on overlapping units, through their exact influences."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.fit import Answer, Label
from causalformula.errors import CapabilityError, DataError, OptionError, some
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
    labels_of = _units(a, b)
    union = labels_of(a).union(labels_of(b), sort=False)
    n = len(union)
    psi = _spread(a, labels_of(a), union) - _spread(b, labels_of(b), union)
    theta = a.answer.estimate.theta - b.answer.estimate.theta
    q = len(theta)
    estimate = Estimate(names, theta, Influence((), np.zeros((q, 0)), n, psi, always=True))
    request = next((r.covariance.request for r in (a, b) if isinstance(r.covariance.request, Cluster)), None)
    if request is None:
        found = covariance(estimate, HC("HC0"))
    else:
        codes = {name: _codes((a, b), labels_of, name, union) for name in request.by}
        found = covariance(estimate, Cluster(request.by, type="CR1"), groups=codes)
    labels = tuple(Label(x.term, f"{x.contrast} (difference)", x.groups) for x in a.answer.labels)
    measure = "log_ratio" if a.answer.measure.reading == "exp" else a.answer.measure.name
    if a.answer.measure.reading == "inverse":
        raise CapabilityError("differences of numbers needed to treat have no interval; subtract differences instead")
    return Result(Answer(estimate, labels, read_measure("difference" if measure == "difference" else measure)), found, a.call, a.fit)


def _units(a: Result, b: Result) -> Callable[[Result], Any]:
    """How the units of a fit are named: by position in data that both fits share, otherwise by the rows' labels.

    Raises
    ------
    DataError
        If labels repeat, so that the fits' rows cannot be told apart.
    """
    if a.call.frame.table.frame.to_native() is b.call.frame.table.frame.to_native():
        import pandas as pd

        return lambda result: pd.Index(result.call.frame.rows)
    for result in (a, b):
        index = result.call.frame.index
        if not index.is_unique:
            twice = some(index[index.duplicated()].unique())
            raise DataError(f"fits to different data are aligned by row labels, and labels repeat ({twice}); reset the index")
    return lambda result: result.call.frame.index


def _spread(result: Result, units: Any, union: Any) -> Array:
    """Influences on the union of rows, scaled so that their mean is the fit's own."""
    psi = result.influence()
    out = np.zeros((len(union), psi.shape[1]))
    place = union.get_indexer(units)
    out[place] = psi * (len(out) / len(psi))
    return out


def _codes(fits: tuple[Result, Result], labels_of: Callable[[Result], Any], name: str, union: Any) -> NDArray[np.intp]:
    """Cluster codes of the union, by the clusters' labels."""
    labels = np.empty(len(union), dtype=object)
    for result in fits:
        groups = result.call.frame.groups(name)
        labels[union.get_indexer(labels_of(result))] = np.array(groups.levels, dtype=object)[groups.codes]
    return np.unique(labels.astype(str), return_inverse=True)[1]
