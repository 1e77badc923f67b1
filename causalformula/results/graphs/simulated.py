"""Data from a structural model on a graph: as it is, under interventions, and for given units had things been done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.errors import DataError, GraphError, IdentificationError, OptionError, choose
from causalformula.graphs.diagram import Diagram, Edge
from causalformula.graphs.language import read_graph
from causalformula.graphs.structural import Equation, StructuralModel
from causalformula.inference.checks import check_seed
from causalformula.inference.resampling.resample import fresh_seed
from causalformula.numerics.arrays import Array

if TYPE_CHECKING:
    import pandas as pd

Effects = Mapping[str | Edge, float]
Equations = Mapping[str, Equation]


def simulated(
    diagram: Diagram, n: Any, seed: int | None, effects: Effects, equations: Equations, do: Mapping[str, Any] | None
) -> pd.DataFrame:
    """Units with disturbances of their own, those whose selected nodes are above zero."""
    import pandas as pd

    check_seed(seed)
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise OptionError(f"n={n!r}: units, a whole number from 1")
    model, rng = _model(diagram, effects, equations), np.random.default_rng(fresh_seed(seed))
    done = _done(diagram, do)
    values = model.solve(model.disturbances(int(n), rng), done)
    data = pd.DataFrame({name: _plain(values[name]) for name in diagram.nodes})
    for mark, variable in diagram.missing.items():
        data[variable] = data[variable].where(np.asarray(values[mark] <= 0), np.nan)
    kept = np.ones(len(data), dtype=bool)
    for mark in diagram.selected:
        kept &= np.asarray(values[mark] > 0)
    return data[kept]


def counterfactual(
    diagram: Diagram, data: pd.DataFrame, effects: Effects, equations: Equations, do: Mapping[str, Any]
) -> pd.DataFrame:
    """The same units, their disturbances read from the data, had something been done to them."""
    import pandas as pd

    done = _done(diagram, do)
    lost = diagram.in_order(diagram.latent & (diagram.descendants(*done) - set(done)))
    if lost:
        raise IdentificationError(f"{', '.join(lost)} is latent and would change: it cannot be read from the data")
    known = [name for name in diagram.nodes if name not in diagram.latent]
    absent = [name for name in known if name not in data]
    if absent:
        raise GraphError(f"the data have no column {absent[0]!r}{choose(absent[0], map(str, data), 'they have')}")
    model = _model(diagram, effects, equations)
    found = model.solve(model.read_back({name: _numbers(data, name) for name in known}), done)
    return pd.DataFrame({name: _plain(found[name]) for name in known}, index=data.index)


def _numbers(data: pd.DataFrame, name: str) -> Array:
    try:
        return data[name].to_numpy(dtype=float)
    except (TypeError, ValueError):
        raise DataError(
            f"column {name!r} holds no numbers, and no disturbance is read from words: code its levels as numbers"
        ) from None


def _model(diagram: Diagram, effects: Effects, equations: Equations) -> StructuralModel:
    return StructuralModel(diagram, {_edge(key): value for key, value in effects.items()}, dict(equations))


def _done(diagram: Diagram, do: Mapping[str, Any] | None) -> dict[str, Any]:
    if not isinstance(do, (Mapping, type(None))):
        raise OptionError(f'do= sets nodes to values, as do={{"Drug": 1}}, not {do!r}')
    diagram.require(*(do or {}))
    return dict(do or {})


def _edge(key: str | Edge) -> Edge:
    if isinstance(key, tuple) and len(key) == 2:
        return key
    read = read_graph(key).diagram.arrows if isinstance(key, str) else ()
    if len(read) != 1:
        raise OptionError(f'effects= names arrows, as {{"Drug -> Severity": -10}}, not {key!r}')
    return read[0]


def _plain(values: Any) -> Any:
    """Truth values as 0 and 1, as data have them."""
    return values.astype(int) if values.dtype == bool else values
