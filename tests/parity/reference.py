"""The stored values from R, the data that they were computed on, and the comparison that parity tests use."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causalformula.datasets import EXACT

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VALUES = HERE / "values"
BUNDLED = ROOT / "causalformula" / "datasets"
# Data under licences that do not allow shipping live beside the checkout, when they are there at all.
SHARED = ROOT.parent / "shared" / "reference" / "data"


@cache
def _read(name: str) -> str:
    return (VALUES / f"{name}.json").read_text(encoding="utf-8")


def case(name: str) -> dict[str, Any]:
    """One stored case: ``case, r_call, packages, data, warnings, values``; a fresh copy at every call."""
    return json.loads(_read(name))


def values(name: str) -> dict[str, Any]:
    """Only the ``values`` of a case."""
    return case(name)["values"]


def available(file: str) -> bool:
    """Whether ``data(file)`` can be read here."""
    return (BUNDLED / file).exists() or (SHARED / file).exists()


def data(file: str) -> pd.DataFrame:
    """The data of a case as R read them; skips the calling test where the file cannot be had.

    Factors are Categoricals with R's level order, unused levels included; an empty field is missing.
    """
    path = BUNDLED / file
    if not path.exists():
        path = SHARED / file
    if not path.exists():
        pytest.skip(f"{file} is not shipped with the package (licence) and ../shared/reference is absent")
    levels = _levels(file)
    types = dict.fromkeys(levels, str)
    frame = pd.read_csv(path, keep_default_na=False, na_values=["", "NA"], dtype=types, **EXACT)
    for column, order in levels.items():
        frame[column] = pd.Categorical(frame[column], categories=order)
    return frame


def _levels(file: str) -> dict[str, list[str]]:
    """Column to its levels in order, for the factor columns of one file."""
    path = SHARED / "levels.csv"
    if not path.exists():  # the bundled files have no factors
        return {}
    with path.open(encoding="utf-8", newline="") as source:
        rows = [row for row in csv.DictReader(source) if row["file"] == file]
    rows.sort(key=lambda row: int(row["order"]))
    columns = dict.fromkeys(row["column"] for row in rows)
    return {column: [row["level"] for row in rows if row["column"] == column] for column in columns}


def number(value: Any) -> float:
    """A stored number: null is NaN, ``"Inf"`` and ``"-Inf"`` are infinite, true and false are 1 and 0."""
    return np.nan if value is None else float(value)


def vector(value: Any) -> np.ndarray:
    """A stored vector, named (``{name: number}`` or ``{"names", "values"}``) or plain, as floats in R's order."""
    if isinstance(value, Mapping):
        value = value["values"] if set(value) == {"names", "values"} else list(value.values())
    return np.array([number(v) for v in (value if isinstance(value, list) else [value])])


def names(value: Mapping[str, Any]) -> list[str]:
    """The names of a stored named vector."""
    return list(value["names"]) if set(value) == {"names", "values"} else list(value)


def matrix(value: Mapping[str, Any]) -> pd.DataFrame:
    """A stored matrix as a float DataFrame, or, when cells are text, with those cells as they are."""
    cells = [[_cell(v) for v in row] for row in value["values"]]
    columns = value["cols"]
    if not cells:
        return pd.DataFrame(columns=columns, dtype=float)
    return pd.DataFrame(cells, index=value["rows"], columns=columns)


def table(value: Mapping[str, Any]) -> pd.DataFrame:
    """A stored R data frame; row names become the index where R had some."""
    columns = {name: [_cell(v) for v in column] for name, column in value["columns"].items()}
    return pd.DataFrame(columns, index=value.get("row_names"))


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value not in ("Inf", "-Inf"):
        return value
    return value if isinstance(value, bool) else number(value)


def close(a: Any, b: Any, rtol: float = 1e-8, scale: Any = 0.0, what: str = "value") -> None:
    """Assert ``|a - b| <= rtol * max(|b|, scale)`` everywhere, NaN and infinities in the same places.

    Parameters
    ----------
    a, b : array-like
        What we have and what R has, of one shape. Mappings and pandas objects are read in their own order.
    rtol : float
        The tolerance of the design's table for this kind of number.
    scale : array-like
        Size below which ``b`` counts as this: the standard error for an estimate, sqrt(V_ii V_jj) for a covariance.
    what : str
        Named in the message.
    """
    ours, theirs, floor = _array(a), _array(b), _array(scale)
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, R has {theirs.shape}"
    limit = rtol * np.maximum(np.abs(theirs), np.broadcast_to(floor, theirs.shape))
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        # an infinite limit would let any number pass for an infinity
        near = np.isfinite(theirs) & (np.abs(ours - theirs) <= limit)
    bad = ~(same | near)
    assert not bad.any(), _report(ours, theirs, limit, bad, rtol, what)


def covariance_scale(covariance: Any) -> np.ndarray:
    """sqrt(V_ii V_jj), the size of each entry of a covariance matrix; NaN rows (aliased) count as 0."""
    se = np.sqrt(np.nan_to_num(np.diag(_array(covariance))))
    return np.outer(se, se)


def _array(value: Any) -> np.ndarray:
    if isinstance(value, Mapping):
        if "rows" in value and "values" in value:
            return matrix(value).to_numpy(dtype=float)
        return vector(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = [_plain(v) for v in value]
    return np.asarray(np.nan if value is None else value, dtype=float)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return np.nan if value is None else value


def _report(ours: np.ndarray, theirs: np.ndarray, limit: np.ndarray, bad: np.ndarray, rtol: float, what: str) -> str:
    lines = [f"{what}: {int(bad.sum())} of {bad.size} differ from R by more than rtol {rtol:g}"]
    for place in map(tuple, np.argwhere(bad)[:8].tolist()):
        at = f"[{', '.join(map(str, place))}]" if place else ""
        lines.append(
            f"  {what}{at}: {float(ours[place])!r}, R {float(theirs[place])!r}, "
            f"difference {ours[place] - theirs[place]:.3g}, allowed {limit[place]:.3g}"
        )
    return "\n".join(lines)
