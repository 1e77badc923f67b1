"""A file of answers: those that are there are not asked for again, and an interruption loses nothing that is done."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from causalformula.backends.options import shown
from causalformula.errors import CapabilityError, OptionError
from causalformula.formula.expressions.values import Factor
from causalformula.frame.columns import Table
from causalformula.inference.request_text import read_request
from causalformula.results.screening.answers import Answer, Asked
from causalformula.results.screening.questions import Question
from causalformula.results.screening.rows import COLUMNS, complete

KEY = b"causalformula.screen"
# Seconds between two writings of the file, which is small and written as a whole.
EVERY = 1.0
Rows = tuple[dict[str, Any], ...]


@dataclass(eq=False)
class Store:
    """Rows of finished questions, in memory and in a Parquet file.

    Parameters
    ----------
    path : Path
    settings : mapping of str to str
        What all its answers have in common.
    table : Table
        The data, by whose values a question is known again.
    extra : frozenset of str
        Columns named outside the formula.
    """

    path: Path
    settings: Mapping[str, str]
    table: Table
    extra: frozenset[str]
    held: dict[tuple[str, str], Rows] = field(default_factory=dict)
    digests: dict[str, bytes] = field(default_factory=dict)
    written: float = 0.0

    @classmethod
    def open(cls, path: Any, settings: Mapping[str, str], table: Table, extra: frozenset[str]) -> Store:
        """The store of a path, with what is in the file.

        Raises
        ------
        OptionError
            For a path that cannot be written, a file of something else, and one of a screen with other settings.
        CapabilityError
            Without pyarrow.
        """
        if not isinstance(path, (str, os.PathLike)) or not os.fsdecode(path).endswith(".parquet"):
            raise OptionError(f"path= is a Parquet file, as in path='results.parquet', not {shown(path)}")
        found = cls(Path(os.fsdecode(path)), settings, table, extra)
        _arrow()
        if found.path.is_dir() or not found.path.absolute().parent.is_dir():
            raise OptionError(f"path={str(path)!r}: a file in a folder that is there, as in path='results.parquet'")
        if found.path.exists():
            found.held = _read(found.path, settings)
        return found

    def finished(self, question: Question) -> Rows | None:
        """The rows of a question that is answered already; None for one that is not, or that failed.

        Raises
        ------
        OptionError
            Where the answer is of other data, or of another formula.
        """
        rows = self.held.get((question.treatment, question.outcome))
        if rows is None or rows[0]["error"]:
            return None
        if rows[0]["data"] != self.fingerprint(question):
            raise OptionError(
                f"path={str(self.path)!r} holds an answer for {question} on other data: values of its columns have "
                "changed since. Give another path=, or delete the file"
            )
        return rows

    def add(self, answers: Sequence[Answer]) -> None:
        """Keep answers, and write the file where that is some time ago."""
        for each in answers:
            mark = {"data": self.fingerprint(each.question)}
            rows = tuple(complete({**row, **mark}) for row in each.rows)
            self.held[each.question.treatment, each.question.outcome] = rows
        if time.monotonic() - self.written > EVERY:
            self.write()

    def write(self) -> None:
        """The whole file anew, which takes the old one's place at once: it is never there in half."""
        pa = _arrow()
        rows = [row for each in self.held.values() for row in each]
        types = {"text": pa.string(), "number": pa.float64(), "flag": pa.bool_(), "texts": pa.list_(pa.string())}
        columns = {name: pa.array([row[name] for row in rows], types[kind]) for name, kind in COLUMNS.items()}
        found = pa.table(columns).replace_schema_metadata({KEY: json.dumps(dict(self.settings))})
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            pa.parquet.write_table(found, beside)
            os.replace(beside, self.path)
        finally:
            beside.unlink(missing_ok=True)
        self.written = time.monotonic()

    def fingerprint(self, question: Question) -> str:
        """What a question is known by: its formula, and the values of the columns that it uses."""
        made = hashlib.blake2b(str(question.spec).encode(), digest_size=16)
        for name in sorted(question.columns(self.table.names, self.extra)):
            if name in self.table:
                made.update(self._digest(name))
        return made.hexdigest()

    def _digest(self, name: str) -> bytes:
        if name not in self.digests:
            value = self.table.column(name)
            # values alike in levels of another order are other contrasts
            levels = repr((value.levels, value.ordered)) if isinstance(value, Factor) else ""
            made = (name.encode(), self.table.hashes(name).tobytes(), levels.encode())
            self.digests[name] = hashlib.blake2b(b"\0".join(made)).digest()
        return self.digests[name]


def settings_of(formula: str, asked: Asked) -> dict[str, str]:
    """What the answers of a file must have in common, as texts."""
    subset = asked.subset
    if subset is not None and not isinstance(subset, str):
        subset = hashlib.blake2b(np.asarray(subset).tobytes(), digest_size=16).hexdigest()
    vcov = None if asked.vcov is None else read_request(asked.vcov)
    options = {f"{name}=": repr(value) for name, value in sorted(asked.given.items())}
    return {
        "formula": formula,
        "method=": repr(asked.method),
        **options,
        "vcov=": repr(vcov),
        "ssc=": repr(asked.ssc),
        "level=": repr(asked.level),
        "subset=": repr(subset),
        "na_action=": repr(asked.na_action),
        "contrasts=": repr(asked.contrasts),
        "env=": repr(sorted(asked.env or ())),
    }


def _read(path: Path, settings: Mapping[str, str]) -> dict[tuple[str, str], Rows]:
    """The rows of a file, by question."""
    pa = _arrow()
    try:
        found = pa.parquet.read_table(path)
        held = json.loads((found.schema.metadata or {})[KEY])
        rows = found.select(list(COLUMNS)).to_pylist()
    except (pa.ArrowException, KeyError, ValueError, OSError) as error:
        raise OptionError(f"path={str(path)!r} is there, and no file of a screen; give another path=") from error
    for name in dict.fromkeys((*held, *settings)):
        if held.get(name) != settings.get(name):
            was, now = (each.get(name, "nothing") for each in (held, settings))
            raise OptionError(
                f"path={str(path)!r} holds answers with {name} {was}, and here it is {now}; give another path=, or "
                "delete the file"
            )
    out: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        numbers = {name: np.nan for name, kind in COLUMNS.items() if kind == "number" and row[name] is None}
        out.setdefault((row["treatment"], row["outcome"]), []).append({**row, **numbers})
    return {question: tuple(each) for question, each in out.items()}


def _arrow() -> Any:
    """Pyarrow, with its reader and writer of Parquet."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise CapabilityError(
            "path= writes Parquet, which needs pyarrow: pip install 'causalformula[arrow]'"
        ) from error
    return pyarrow
