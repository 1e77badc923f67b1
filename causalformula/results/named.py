"""What a covariance names: groupings, and columns of the data."""

from __future__ import annotations

from causalformula.backends import registry
from causalformula.backends.fit import OWN_GROUPINGS
from causalformula.frame.columns import Table
from causalformula.inference.requests import HAC, Cluster, DriscollKraay, Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild


def named_columns(request: Request | None, table: Table, record: registry.Record) -> tuple[str, ...]:
    """Columns of the data that a covariance names; a design's own groupings are none."""
    names = () if request is None else grouping_names(request)
    own = OWN_GROUPINGS if record.make_design is not None else ()
    return tuple(name for name in names if name in table or name not in own)


def grouping_names(request: Request) -> tuple[str, ...]:
    """Columns that a request names."""
    if isinstance(request, Cluster):
        return request.by
    if isinstance(request, HAC):
        return tuple(name for name in (request.unit, request.order_by) if name is not None)
    if isinstance(request, DriscollKraay):
        return (request.time,)
    if isinstance(request, (Jackknife, Wild)):
        return () if request.cluster is None else (request.cluster,)
    if isinstance(request, Bootstrap):
        return tuple(name for name in (request.cluster, request.strata) if name is not None)
    return ()
