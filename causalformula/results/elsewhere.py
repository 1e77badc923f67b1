"""Fits to data that stay where they are: which source, whether its rows fit in memory, and the fit by passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from causalformula.backends import registry
from causalformula.backends.fit import DesignWeights, Fit, Query
from causalformula.backends.fit import ROUNDING as PERFECT_SHARE
from causalformula.backends.options import Options, whole
from causalformula.errors import CapabilityError, OptionError, asks, some
from causalformula.frame.notices import Aside, told
from causalformula.inference.away import away
from causalformula.inference.requests import Request
from causalformula.results.call import Call
from causalformula.results.families.elsewhere import DesignElsewhere, ResultElsewhere
from causalformula.scale.estimators.regression import regression
from causalformula.scale.passes import Passes
from causalformula.scale.plan import plan_question
from causalformula.scale.sources.recognise import of_frames, recognise
from causalformula.scale.sources.source import Source
from causalformula.scale.whole import WholeFrame

# Rows that are collected, and fitted in memory.
LIMIT = 1_000_000
# The methods that run by passes.
METHODS: dict[str, Callable[[WholeFrame, Any], Fit]] = {"regression": regression}


@dataclass(frozen=True, eq=False)
class Scan:
    """Data that stay where they are, and the number of rows up to which they are collected.

    Parameters
    ----------
    source : Source
    limit : int
    """

    source: Source
    limit: int = LIMIT

    def __repr__(self) -> str:
        return f"Scan({self.source.words}, limit={self.limit})"


@asks
def scan(data: Any, *, limit: int = LIMIT) -> Scan:
    """Data that are read where they are, a chunk of rows at a time.

    Parameters
    ----------
    data : path, address, table of an engine, or list of frames
        A path or glob of Parquet or CSV files, ``"duckdb:///file.db?table=t"``, a DuckDB relation; or frames in memory
        that are one after another.
    limit : int
        Data of at most this many rows are collected and fitted in memory; 0 collects none.

    Returns
    -------
    Scan
        What ``cf.fit``, ``cf.lm`` and ``cf.glm`` take as data.

    Raises
    ------
    OptionError
        For what is none of these.
    DataError
        Where there is no such file.
    """
    if limit != 0:
        whole("limit", limit, "the number of rows up to which data are collected", 10**15)
    frames = isinstance(data, Sequence) and not isinstance(data, str)
    source = of_frames(data) if frames else recognise(data)
    if source is None:
        raise OptionError(
            "cf.scan takes a path or glob of Parquet or CSV files, 'duckdb:///file.db?table=t', a DuckDB relation or a "
            f"list of frames, not a {type(data).__name__}; a frame in memory is given to the fit as it is"
        )
    return Scan(source, limit)


def scanned(data: Any) -> Scan | None:
    """What the caller gave as data, where it is elsewhere."""
    if isinstance(data, Scan):
        return data
    source = recognise(data)
    return None if source is None else Scan(source)


def collected(data: Scan) -> tuple[Any, tuple[str, ...]] | None:
    """The rows in memory, and what is said of it; None where there are too many."""
    count = data.source.rows()
    if count > data.limit:
        return None
    return data.source.collect(), (Aside(f"{count} rows were collected from {data.source.words}"),)


def answered_elsewhere(
    text: str, spec: Any, data: Scan, options: Options, request: Request | None, given: Mapping[str, Any]
) -> ResultElsewhere:
    """The result of a question to rows that are elsewhere.

    Parameters
    ----------
    given : mapping
        ``extra, subset, na_action, contrasts, env``, as in ``bind``.

    Raises
    ------
    CapabilityError
        For a method that needs all rows in memory.
    """
    record = registry.record_of(options)
    method = METHODS.get(record.name)
    if method is None:
        raise CapabilityError(
            f"method {record.name!r} needs all rows in memory, and {data.source.words} has more than {data.limit}; "
            f"{some(METHODS)} run where the data are. Fit to a sample of the rows, or give cf.scan(data, limit=...) a "
            "higher limit"
        )
    passes = Passes(data.source, plan_question(spec, data.source, **given))
    frame = WholeFrame.of(passes)
    registry.refuse_treatment(frame, record)
    registry.refuse_measure(frame, options)
    registry.refuse_counts(frame, record)
    call = Call(text, spec, frame, options)
    call.refuse_idle(request)
    found = told_of_perfect(method(frame, options))
    told(found.notes)
    made = DesignElsewhere(DesignWeights(away(passes.words)), call)
    covariance = call.covariance(found.answer, request, Query())
    return ResultElsewhere(found.answer, covariance, call, found, cast(Any, made), Query())


def told_of_perfect(found: Fit) -> Fit:
    """See ``backends.fit``."""
    behind = found.models.get("outcome")
    if behind is None or not behind.model.perfect(PERFECT_SHARE):
        return found
    note = "essentially perfect fit: what is left of the outcome is rounding, and so are the standard errors"
    return replace(found, notes=(*found.notes, note))
