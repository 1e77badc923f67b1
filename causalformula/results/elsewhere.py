"""Fits to data that stay where they are: which source, whether its rows fit in memory, and the fit by passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TypeVar, cast

from causalformula.backends import registry
from causalformula.backends.fit import ROUNDING as PERFECT_SHARE
from causalformula.backends.fit import Fit, Query
from causalformula.backends.options import Options, whole
from causalformula.backends.routing import default_method, refuse_unread_roles
from causalformula.errors import CapabilityError, OptionError, asks, some, warn
from causalformula.formula.language.spec import Spec
from causalformula.frame.bound import BoundRows
from causalformula.frame.columns import Table
from causalformula.frame.notices import Aside, told
from causalformula.frame.treatment import Kind
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import with_rules
from causalformula.inference.small_sample import SmallSample
from causalformula.results.call import Call
from causalformula.results.design_fit import warn_of_caveats
from causalformula.results.designs.elsewhere import DesignElsewhere
from causalformula.results.families.elsewhere import DidElsewhere, ResultElsewhere, SubclassElsewhere
from causalformula.results.named import grouping_names
from causalformula.scale.estimators.did import with_units
from causalformula.scale.methods import METHODS
from causalformula.scale.passes import Passes
from causalformula.scale.plan import plan_question
from causalformula.scale.sources.recognise import of_frames, recognise
from causalformula.scale.sources.sampling import sampled
from causalformula.scale.sources.source import Source
from causalformula.scale.whole import WholeFrame

# Rows that are collected, and fitted in memory.
LIMIT = 1_000_000
# Results with verbs of their method's family.
FACES: dict[str, type[ResultElsewhere]] = {"subclass": SubclassElsewhere, "did": DidElsewhere}


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

    def sample(self, rows: int = LIMIT, *, seed: int = 0) -> Any:
        """Some rows by chance, in memory: for the methods that need all rows at once.

        Parameters
        ----------
        rows : int
            How many are drawn, without replacement; of fewer, all are given.
        seed : int
            The same seed draws the same rows, however the data are split and whichever engine reads them. Rows that
            have no number that stays (of a database, or of a Spark table that is not read from Parquet files) are
            others each time.

        Returns
        -------
        pyarrow.Table
            In the order of the data.
        """
        return sampled(self.source, rows, seed)

    def __repr__(self) -> str:
        return f"Scan({self.source.words}, limit={self.limit})"


@asks
def scan(data: Any, *, limit: int = LIMIT) -> Scan:
    """Data that are read where they are, a chunk of rows at a time.

    Parameters
    ----------
    data : path, address, table of an engine, or list of frames
        A path or glob of Parquet or CSV files, a list of these, or a folder of Parquet files;
        ``"duckdb:///file.db?table=t"``; a DuckDB relation, polars LazyFrame, Arrow dataset, scanner or record-batch
        reader, PySpark or Dask DataFrame, or ibis table, also as narwhals wraps them; or frames in memory that are one
        after another.
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
    whole("limit", limit, "the number of rows up to which data are collected", least=0)
    source = recognise(data)
    if source is None and isinstance(data, Sequence) and not isinstance(data, str):
        source = of_frames(data)
    if source is None:
        raise OptionError(
            "cf.scan takes a path or glob of Parquet or CSV files, or a list of these, 'duckdb:///file.db?table=t', a "
            "table of DuckDB, polars (lazy), Arrow (a dataset or reader), Spark, Dask or ibis, or a list of frames, "
            f"not a {type(data).__name__}; a frame in memory is given to the fit as it is"
        )
    return Scan(source, limit)


def scanned(data: Any) -> Scan | None:
    """What the caller gave as data, where it is elsewhere."""
    if isinstance(data, Scan):
        return data
    source = recognise(data)
    return None if source is None else Scan(source)


def collected(data: Scan) -> tuple[Any, tuple[str, ...]]:
    """The rows in memory, None where there are too many, and what is said of it."""
    count = data.source.rows()
    if count > data.limit:
        return None, ()
    return data.source.collect(), (Aside(f"{count} rows were collected from {data.source.words}"),)


def in_memory(data: Any, verb: str) -> tuple[Table, tuple[str, ...]]:
    """The rows as a table, for a verb that needs all of them, and what is said of fetching them.

    Raises
    ------
    CapabilityError
        Where they are elsewhere, and too many.
    """
    found = None if isinstance(data, Table) else scanned(data)
    if found is None:
        return data if isinstance(data, Table) else Table(data), ()
    rows, said = collected(found)
    if rows is None:
        raise CapabilityError(
            f"{verb} needs all rows in memory, and {found.source.words} has more than {found.limit}: give it a sample "
            "of them, cf.scan(data).sample(rows), or cf.scan(data, limit=...) with a higher limit"
        )
    return Table(rows), said


F = TypeVar("F", bound=BoundRows)


def with_notes(frame: F, notes: tuple[str, ...]) -> F:
    """A frame whose print says more."""
    return replace(frame, notes=(*notes, *frame.notes)) if notes else frame


def refuse_graph(graph: object) -> None:
    """A ``CapabilityError`` for a graph beside rows that are elsewhere: what it says is tested on the rows."""
    if graph is not None:
        raise CapabilityError("dag= is tested on rows in memory; check the graph on a sample, and fit without it here")


def answered_elsewhere(
    spec: Spec,
    data: Scan,
    method: str | Options | type[Options] | None,
    given: Mapping[str, Any],
    vcov: Any,
    ssc: SmallSample | None,
    rules: Mapping[str, Any],
) -> ResultElsewhere:
    """The result of a question to rows that are elsewhere.

    Parameters
    ----------
    method, given, vcov, ssc
        As in ``answered.routed``.
    rules : mapping
        ``subset, na_action, contrasts, env``, as in ``bind``.

    Raises
    ------
    CapabilityError
        For a method that needs all rows in memory.
    """
    named = method if method is not None else default_method(spec, given)
    record, options = registry.read_options(named, given)
    refuse_unread_roles(spec, record, named=method is not None)
    request = None if vcov is None else read_request(vcov, ssc)
    if record.name not in METHODS:
        _refuse_method(record.name, data)
    extra = (*options.columns, *(() if request is None else grouping_names(request)))
    passes = Passes(data.source, plan_question(spec, data.source, extra=extra, **rules))
    frame = with_units(WholeFrame.of(passes))
    if method is None and record.name == "difference_in_means" and frame.the_treatment.kind is Kind.CONTINUOUS:
        record, options = registry.read_options("regression", given)
    registry.refuse_treatment(frame, record)
    registry.refuse_measure(frame, options)
    registry.refuse_counts(frame, record)
    call = Call(spec.source or str(spec), spec, frame, options)
    if ssc is not None:
        request = with_rules(call.default_vcov() if request is None else request, ssc)
    call.refuse_idle(request)
    found = told_of_perfect(METHODS[record.name](frame, options))
    told(found.notes)
    made = DesignElsewhere(found.design, call, cast(Any, found.designed))
    for note in made.imbalance:
        warn(note)
    covariance = call.covariance(found.answer, request, Query())
    face = FACES.get(record.name, ResultElsewhere)
    result = face(found.answer, covariance, call, found, cast(Any, made), Query())
    warn_of_caveats(result)
    return result


def _refuse_method(name: str, data: Scan) -> NoReturn:
    raise CapabilityError(
        f"method {name!r} needs all rows in memory, and {data.source.words} has more than {data.limit}; "
        f"{some(METHODS)} run where the data are. Fit to a sample of the rows, or give cf.scan(data, limit=...) a "
        "higher limit"
    )


def told_of_perfect(found: Fit) -> Fit:
    """See ``backends.fit``."""
    behind = found.models.get("outcome")
    if behind is None or not behind.model.perfect(PERFECT_SHARE):
        return found
    note = "essentially perfect fit: what is left of the outcome is rounding, and so are the standard errors"
    return replace(found, notes=(*found.notes, note))
