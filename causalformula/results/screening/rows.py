"""The rows of a screen: the columns that an answer fills, and their types in a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# Shown in this order; the others are for the page and the calibration.
SHOWN = {
    "treatment": "text", "outcome": "text", "term": "text", "contrast": "text", "estimate": "number",
    "std.error": "number", "statistic": "number", "df": "number", "p.value": "number", "conf.low": "number",
    "conf.high": "number", "rows": "number", "events": "number", "ess": "number", "balance": "number",
    "balance.covariate": "text", "overlap": "text", "notes": "texts", "error": "text",
}  # fmt: skip
BEHIND = {
    "working": "number", "working.se": "number", "weighted": "flag", "method": "text", "estimand": "text",
    "measure": "text", "vcov": "text", "unit": "number", "dropped": "number", "data": "text",
}  # fmt: skip
COLUMNS = {**SHOWN, **BEHIND}
_EMPTY: Mapping[str, Any] = {"text": "", "number": np.nan, "texts": (), "flag": False}


def complete(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with every column; those of a question that failed are missing, or empty."""
    return {name: row.get(name, _EMPTY[kind]) for name, kind in COLUMNS.items()}


def frame_of(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a data frame."""
    import pandas as pd

    listed = [complete(row) for row in rows]
    found = {}
    for name, kind in COLUMNS.items():
        values = [row[name] for row in listed]
        found[name] = pd.Series(
            [tuple(value) for value in values] if kind == "texts" else values,
            dtype={"number": float, "flag": bool, "texts": object}.get(kind),
        )
    return pd.DataFrame(found)
