"""Columns of any data frame (pandas, polars, pyarrow, ...) as the formula language's values."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from causalformula.errors import DataError, FormulaError, OptionError, did_you_mean, some
from causalformula.formula.expressions.values import Factor, Logical, Strings, Value
from causalformula.formula.language.deparse import symbol
from causalformula.frame.sources import eager, refuse_duplicates
from causalformula.frame.time_columns import OTHER_TIMES, read_times, times_of_objects, times_of_pandas
from causalformula.frame.treatment import level_label

# Whole numbers up to here are doubles, exactly.
EXACT = 2**53


class Table:
    """Reads columns of the caller's frame by name, without copying the rest or changing anything.

    Parameters
    ----------
    data : any eager frame that narwhals reads, a mapping of columns, or what gives an Arrow stream

    Raises
    ------
    DataError
        If it is no such frame, or a column name stands twice.
    """

    def __init__(self, data: Any):
        self.frame: nw.DataFrame[Any] = eager(data)
        # a pandas column may have any name; in a formula it is its text, in backquotes
        self.names: tuple[str, ...] = tuple(str(name) for name in self.frame.columns)
        refuse_duplicates(self.names)
        self.n = len(self.frame)
        self._labels, self._columns = self.index(), self.frame.to_native().columns
        self._texts = frozenset(self.frame.columns)
        self._read: dict[str, Value] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def column(self, name: str, source: str | None = None, span: tuple[int, int] | None = None) -> Value:
        """One column; an unknown name is a ``FormulaError`` with the nearest one."""
        if name not in self._read:
            if name not in self.names:
                near = did_you_mean(name, self.names, symbol) or self._hint(name)
                raise FormulaError(f"unknown column {name!r}{near}", source, span)
            self.refuse_changed(name)
            self._read[name] = read_column(self._series(name), name)
        return self._read[name]

    def named(self, name: Any) -> Value:
        """A column that an option names; an unknown one is an ``OptionError``."""
        if name not in self.names:
            raise OptionError(f"the data have no column {name!r}{self._hint(str(name))}")
        return self.column(name)

    def _hint(self, name: str) -> str:
        """The nearest name, or all of them."""
        return did_you_mean(name, self.names) or f"; the data have {some(self.names)}"

    def refuse_changed(self, name: str | None = None) -> None:
        """A ``DataError`` when the caller has changed the frame's rows, or dropped a column, since it was bound."""
        # pandas keeps one object for its columns until they change; looking through them for each takes k^2
        kept = name is None or self.frame.to_native().columns is self._columns
        gone = not kept and name not in {str(column) for column in self.frame.columns}
        labels = self.index()
        same = labels is self._labels or (len(labels) == self.n and labels.equals(self._labels))
        if gone or not same:
            what = f"column {name!r} is gone" if gone else f"they had {self.n} rows, or other labels, or another order"
            raise DataError(
                f"the data have changed since the fit ({what}), so no more columns can be read of them; fit again, or "
                "fit to data.copy() before changing the data in place"
            )

    def _series(self, name: str) -> nw.Series[Any]:
        if name in self._texts:
            return self.frame[name]
        native = self.frame.to_native()
        return nw.from_native(native.iloc[:, self.names.index(name)], series_only=True)

    def columns(self, names: Iterable[str]) -> dict[str, Value]:
        """Several columns by name."""
        return {name: self.column(name) for name in names}

    def select(self, names: Collection[str]) -> Table:
        """The same rows with some of the columns, in the data's order; what was read of them is not read again."""
        places = [k for k, name in enumerate(self.names) if name in names]
        found = Table(self.frame[:, places])
        found._read.update({name: value for name, value in self._read.items() if name in names})
        return found

    def hashes(self, name: str) -> NDArray[np.uint64]:
        """A number for each value of a column (n,), by which other values would be known."""
        import pandas as pd

        return np.asarray(pd.util.hash_pandas_object(self._series(name).to_pandas(), index=False), dtype=np.uint64)

    @property
    def numbered(self) -> bool:
        """Whether row labels are mere positions: 0, 1, 2, ..."""
        import pandas as pd

        labels = self._labels
        return isinstance(labels, pd.RangeIndex) and labels.start == 0 and labels.step == 1

    def begins(self, other: Table) -> bool:
        """Whether these are the first rows of another table, by the values in the columns that both have."""
        mine, others = self.to_pandas(), other.to_pandas().iloc[: self.n]
        common = [name for name in mine.columns if name in set(others.columns)]
        return bool(common) and bool(mine[common].equals(others[common]))

    def index(self) -> Any:
        """Row labels: the pandas index, or positions for frames that have none."""
        import pandas as pd

        native = self.frame.to_native()
        return native.index if isinstance(native, pd.DataFrame) else pd.RangeIndex(self.n)

    def to_pandas(self) -> Any:
        """The whole frame as pandas (a copy where it is not one already)."""
        self.refuse_changed()
        return self.frame.to_pandas()


def read_column(series: nw.Series[Any], name: str | None = None) -> Value:
    """A column as numbers, logicals, strings or a factor; missing values of every kind become NA."""
    dtype = series.dtype
    name = series.name if name is None else name
    if dtype == nw.Boolean:
        return _logical(series)
    if dtype.is_integer():
        if series.is_null().any():
            return _whole_or_missing(series, name)
        return _whole(series.to_numpy())
    if dtype.is_numeric():
        return np.ascontiguousarray(series.cast(nw.Float64).to_numpy(), dtype=float)
    if isinstance(dtype, nw.Enum) or dtype in (nw.Categorical, nw.Enum):
        return _factor(series, name)
    if dtype == nw.String:
        native = series.to_native()
        return _encoded(native) if nw.dependencies.is_pyarrow_chunked_array(native) else _strings(series.to_numpy())
    if dtype == nw.Object:
        return _objects(series, name)
    if isinstance(dtype, nw.Datetime | nw.Date) or dtype in (nw.Datetime, nw.Date):
        return read_times(series)
    if advice := OTHER_TIMES.get(str(dtype).partition("(")[0]):
        raise DataError(f"column {name!r} has type {dtype}, which a formula cannot use; {advice}")
    if dtype == nw.Unknown and (times := times_of_pandas(series.to_native(), name)) is not None:
        return times
    raise DataError(
        f"column {name!r} has type {dtype}, which a formula cannot use; convert it to numbers, strings or categories"
    )


def _whole(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(values, dtype=np.int64) if values.dtype.kind in "iu" else np.asarray(values, dtype=float)


def _whole_or_missing(series: nw.Series[Any], name: str) -> NDArray[Any]:
    """Whole numbers as doubles, the only ones that can be missing; a ``DataError`` where these do not hold them."""
    largest = max((abs(int(end)) for end in (series.min(), series.max()) if end is not None), default=0)
    if largest > EXACT:
        raise DataError(
            f"column {name!r} has whole numbers past 2^53 beside missing ones, that doubles do not hold exactly; cast "
            "it to text if it holds labels, or fill the missing ones"
        )
    return np.asarray(series.cast(nw.Float64).to_numpy(), dtype=float)


def _logical(series: nw.Series[Any]) -> Logical:
    null = series.is_null().to_numpy()
    if not null.any():
        return Logical.of(np.asarray(series.to_numpy(), dtype=bool))
    return Logical.of(np.asarray(series.fill_null(False).to_numpy(), dtype=bool), np.asarray(null, dtype=bool))


def _factor(series: nw.Series[Any], name: str) -> Value:
    """Levels in the order of the categories; codes without a Python loop over rows."""
    native = series.to_native()
    if nw.dependencies.is_pandas_like_series(native) and native.dtype == "category":  # which may be ordered
        categories = native.cat.categories
        levels = tuple(level_label(v) for v in categories.tolist())
        return Factor(np.asarray(native.cat.codes.to_numpy(), dtype=np.int32), levels, bool(native.cat.ordered))
    known = _categories(series, native)
    text = _strings(np.asarray(series.cast(nw.String).to_numpy(), dtype=object))
    if known is None:
        return text
    place = {level: k for k, level in enumerate(known)}
    table = np.array([place[v] for v in text.table] + [-1], dtype=np.int32)
    return Factor(table[text.codes], known)


def _categories(series: nw.Series[Any], native: Any) -> tuple[str, ...] | None:
    """Categories of a frame that is not pandas: an Enum's or a dictionary's; None where they have no order.

    A polars Categorical has its categories in common with all others, so its levels are sorted as those of text are.
    """
    if isinstance(series.dtype, nw.Enum):
        return tuple(str(v) for v in series.dtype.categories)
    if nw.dependencies.is_pyarrow_chunked_array(native):
        chunks = native.unify_dictionaries().chunks
        return tuple(str(v) for v in chunks[0].dictionary.to_pylist()) if chunks else ()
    return None


def _strings(values: NDArray[Any]) -> Strings:
    import pandas as pd

    codes, table = pd.factorize(np.asarray(values, dtype=object), use_na_sentinel=True)
    return Strings(codes.astype(np.int32), tuple(str(v) for v in table))


def _encoded(native: Any) -> Strings:
    """Arrow's text, encoded by Arrow: no Python object a row."""
    found = native.dictionary_encode().unify_dictionaries().combine_chunks()
    if not len(found):
        return Strings(np.empty(0, dtype=np.int32), ())
    codes = found.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Strings(codes.astype(np.int32), tuple(found.dictionary.to_pylist()))


def _objects(series: nw.Series[Any], name: str) -> Value:
    """A pandas object column: strings, or numbers and logicals that lost their type to a missing value."""
    import pandas as pd

    values = series.to_numpy()
    null = np.asarray(pd.isna(values), dtype=bool)
    kind = pd.api.types.infer_dtype(values[~null], skipna=False)
    if kind == "boolean":
        return Logical.of(np.where(null, False, values).astype(bool), null)
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        return np.where(null, np.nan, values).astype(float)
    if kind in ("string", "empty"):
        return _strings(values)
    if kind in ("date", "datetime", "datetime64"):
        return times_of_objects(values, null)
    raise DataError(f"column {name!r} mixes kinds of values ({kind}); convert it to numbers, strings or categories")
