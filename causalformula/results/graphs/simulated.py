"""Data from a structural model on a graph: as it is, under interventions, and for given units had things been done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import is_number, shown, whole
from causalformula.errors import DataError, IdentificationError, OptionError
from causalformula.formula.expressions.operators import NotNumbers, numbers
from causalformula.formula.expressions.values import kind
from causalformula.frame.columns import Table
from causalformula.graphs.diagram import Diagram, Edge
from causalformula.graphs.language import read_graph
from causalformula.graphs.structural import StructuralModel, node_values
from causalformula.inference.resampling.resample import fresh_seed
from causalformula.numerics.arrays import Array, Bools
from causalformula.results.graphs.tested import refuse_absent

if TYPE_CHECKING:
    import pandas as pd

MOST_UNITS = 10**8
# What each argument is, in words.
SHAPES = {
    "do": 'do= sets nodes to values, as do={"Drug": 1}',
    "effects": 'effects= names arrows, as {"Drug -> Severity": -10}',
    "equations": 'equations= gives functions by node, as {"Drug": lambda I_H, u: I_H + u > 0}',
}


def simulated(diagram: Diagram, n: Any, seed: int | None, effects: Any, equations: Any, do: Any) -> pd.DataFrame:
    """Units with disturbances of their own, those whose selected nodes are above zero."""
    import pandas as pd

    n = whole("n", n, "units", MOST_UNITS)
    rng, model = np.random.default_rng(fresh_seed(seed)), _model(diagram, effects, equations)
    done = _done(diagram, {} if do is None else do, n)
    values = model.solve(model.disturbances(n, rng), done)
    data = pd.DataFrame({name: _plain(values[name]) for name in diagram.nodes})
    for mark, variable in diagram.missing.items():
        data[variable] = data[variable].where(~_above_zero(mark, values[mark]), np.nan)
    kept = np.ones(len(data), dtype=bool)
    for mark in diagram.selected:
        kept &= _above_zero(mark, values[mark])
    return data[kept]


def counterfactual(diagram: Diagram, data: Any, effects: Any, equations: Any, do: Any) -> pd.DataFrame:
    """The same units, their disturbances read from the data, had something been done to them."""
    import pandas as pd

    table = Table(data)
    done = _done(diagram, do, table.n)
    moved = diagram.descendants(*done)
    lost = diagram.in_order(diagram.latent & moved)
    if lost:
        raise IdentificationError(f"{', '.join(lost)} is latent and would change: it cannot be read from the data")
    known = [name for name in diagram.nodes if name not in diagram.latent]
    refuse_absent(known, table)
    model = _model(diagram, effects, equations)
    changed = [name for name in known if name in moved - set(done)]
    units = {name: _column(table, name) for name in known if name in diagram.parents(*changed) | set(changed)}
    found, other = (model.counterfactual(units, done, latent) for latent in (0.0, 1.0))
    for name in diagram.topological:
        if name in changed and not _same(found[name], other[name]):
            hidden = diagram.drawn.in_order(diagram.drawn.parents(name) & diagram.drawn.latent)
            raise IdentificationError(
                f"how {name} changes depends on {', '.join(hidden)}, which is latent: no unit's own can be read from "
                "the data; simulate twice with one seed instead, with and without do="
            )
    own = table.to_pandas()
    columns = {
        name: _plain(found[name]) if name in moved else own.iloc[:, table.names.index(name)].to_numpy()
        for name in known
    }
    return pd.DataFrame(columns, index=table.index())


def _column(table: Table, name: str) -> Array:
    try:
        return numbers(table.named(name), "a structural model").astype(float)
    except NotNumbers as error:
        raise DataError(f"{name} is {kind(error.value)}, and a structural model is of numbers") from None


def _same(one: Array, other: Array) -> bool:
    text = one.dtype.kind == "U"
    return np.array_equal(one, other) if text else np.allclose(one, other, equal_nan=True)


def _model(diagram: Diagram, effects: Any, equations: Any) -> StructuralModel:
    slopes: dict[Edge, float] = {}
    for key, value in _mapping("effects", {} if effects is None else effects).items():
        edge = _edge(key)
        arrow = " -> ".join(edge)
        if edge in slopes:
            raise OptionError(f"effects= names {arrow} twice")
        if not is_number(value):
            raise OptionError(f"the effect of {arrow} is a number, not {shown(value)}")
        slopes[edge] = float(value)
    return StructuralModel(diagram, slopes, _mapping("equations", {} if equations is None else equations))


def _done(diagram: Diagram, do: Any, n: int) -> dict[str, Any]:
    done = _mapping("do", do)
    diagram.require(*done)
    for name, value in done.items():
        done[name] = node_values(f"do= sets {name} to", value, n)
        if done[name].dtype.kind == "f" and not np.isfinite(done[name]).all():
            raise OptionError(f"do= sets {name} to what is missing or infinite")
    return done


def _above_zero(mark: str, values: Any) -> Bools:
    if values.dtype.kind == "U":
        raise OptionError(f"{mark} decides who or what is in the data where it is above zero: it is a number, not text")
    return np.asarray(values > 0)


def _mapping(what: str, given: Any) -> dict[Any, Any]:
    if not isinstance(given, Mapping):
        raise OptionError(f"{SHAPES[what]}, not {shown(given)}")
    return dict(given)


def _edge(key: Any) -> Edge:
    if isinstance(key, tuple) and len(key) == 2 and all(isinstance(end, str) for end in key):
        return key
    read = read_graph(key).diagram.arrows if isinstance(key, str) else ()
    if len(read) != 1:
        raise OptionError(f"{SHAPES['effects']}, not {shown(key)}")
    return read[0]


def _plain(values: Any) -> Any:
    """Truth values as 0 and 1, as data have them."""
    return values.astype(int) if values.dtype == bool else values
