"""What the command writes: results, comparisons, screens and refutations as text, JSON, CSV or HTML."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from causalformula.errors import OptionError
from causalformula.results.comparison.comparison import Comparison
from causalformula.results.effects.facts import facts
from causalformula.results.refutation.refutation import Refutation
from causalformula.results.result import Result
from causalformula.results.screening.screen import Screen
from causalformula.results.several import Fits

FORMATS = ("text", "json", "csv", "html")


def _as_text(result: Result, level: float) -> str:
    return str(result.summary(level=level))


def _as_html(result: Result, level: float) -> str:
    return result.summary(level=level).as_html()


def _as_csv(result: Result, level: float) -> str:
    return result.tidy(level=level).to_csv(index=False)


def _as_json(result: Result | Fits[Result], level: float) -> str:
    """What was asked, ``"tidy": [one object an effect]`` and ``"glance": {...}``; NaN is null, infinity a text.

    Of several fits ``"fits": [one such object each]``.
    """
    several = isinstance(result, Fits)
    document = {"fits": [_document(one, level) for one in result]} if several else _document(result, level)
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


def _document(result: Result, level: float) -> dict[str, Any]:
    tidy = [_plain(row) for row in result.tidy(level=level).to_dict("records")]
    glance = _plain(result.glance().to_dict("records")[0])
    return {**facts(result), "level": level, "tidy": tidy, "glance": glance}


WRITERS: dict[str, Callable[[Any, float], str]] = {
    "text": _as_text,
    "json": _as_json,
    "csv": _as_csv,
    "html": _as_html,
}


REFUTATIONS: dict[str, Callable[[Refutation], str]] = {
    "text": str,
    "json": Refutation.to_json,
    "csv": lambda found: found.to_frame().to_csv(index=False),
    "html": lambda found: found.summary().as_html(),
}


def _screen_as_json(found: Screen) -> str:
    """The table as a list of objects, the systematic error by negative controls, and the notes."""
    nulls = {name: {"mean": null.mean, "sd": null.sd, "n": null.n} for name, null in found.nulls.items()}
    document = {
        "formula": found.formula, "adjust": found.adjust, "level": found.level, "seed": found.seed,
        "tidy": [_plain(row) for row in found.tidy().to_dict("records")], "nulls": nulls, "notes": list(found.notes),
    }  # fmt: skip
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


SCREENS: dict[str, Callable[[Screen], str]] = {
    "text": str,
    "json": _screen_as_json,
    "csv": lambda found: found.tidy().to_csv(index=False),
    "html": Screen.as_html,
}


def _comparison_as_json(found: Comparison, level: float) -> str:
    """What was asked; ``tidy, agreement, balance``, lists of objects; ``test``, the joint test of agreement."""
    own = {name: value for name, value in facts(found.first).items() if name not in ("method", "vcov", "seed")}
    own |= {"formula": found.frame.spec.source, "nobs": int(found.frame.nobs), "notes": list(found.notes)}
    tables = {"tidy": found.tidy(level), "agreement": found.agreement()}
    if found.frame.spec.treatment is not None:
        tables["balance"] = found.balance()
    rows = {name: [_plain(row) for row in table.to_dict("records")] for name, table in tables.items()}
    test = found.test
    joint = None if test is None else {"method": test.method, "statistic": test.statistic, "p.value": test.p_value}
    document = {**own, "level": level, **rows, "test": None if joint is None else _plain(joint)}
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)


COMPARISONS = WRITERS | {"json": _comparison_as_json}


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    """A cell as JSON has it: numpy scalars unwrapped, NaN and NA as null."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if math.isinf(value):
            return "Inf" if value > 0 else "-Inf"
        return None if math.isnan(value) else value
    return None if str(value) in ("<NA>", "NaT") else str(value)


def write(text: str, out: str | None) -> None:
    """Write a text, and the end of its last line, to a file or the standard output."""
    text = text if text.endswith("\n") else text + "\n"
    if out is None:
        encoding = sys.stdout.encoding or "utf-8"  # a terminal that lacks curly quotes shows question marks
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        return
    try:
        Path(out).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise OptionError(f"--out {out}: cannot be written: {error.strerror or error}") from error


def as_table(rows: Sequence[Mapping[Any, str]]) -> str:
    """Rows under their column names, aligned on the left; the last column is as long as it likes."""
    header = list(rows[0])
    cells = [header, *([row[name] for name in header] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def listed(items: Iterable[Any], default: Any = None) -> str:
    """Items as a comma-separated text in their order, the default in front and starred."""
    words = [str(item) for item in items if item != default]
    return ", ".join(words if default is None else [f"{default}*", *words])
