"""``table([fits])``: several fits side by side, in the layout of R's modelsummary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import flag, one_of
from causalformula.backends.registry import RECORDS
from causalformula.errors import OptionError, asks, did_you_mean
from causalformula.inference.request_text import spoken
from causalformula.results.reading.reading import check_level
from causalformula.results.table_input import absorbed_effects, check_layout, named_columns, notes_below, read_marks
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.markup import markdown, piped
from causalformula.results.text.summary import Summary
from causalformula.words import TableStatistic

if TYPE_CHECKING:
    import pandas as pd

NOTE_WIDTH = 80
STATISTICS = ("std.error", "conf.int", "p.value")

# Broom's name, modelsummary's name, decimals where estimates have three (None: text or a count).
GLANCE: dict[str, tuple[str, int | None]] = {
    "nobs": ("Num.Obs.", None),
    "r.squared": ("R2", 3),
    "adj.r.squared": ("R2 Adj.", 3),
    "within.r.squared": ("R2 Within", 3),
    "pseudo.r.squared": ("R2 Pseudo", 3),
    "AIC": ("AIC", 1),
    "BIC": ("BIC", 1),
    "logLik": ("Log.Lik.", 3),
    "statistic": ("F", 3),
    "sigma": ("Sigma", 3),
    "deviance": ("Deviance", 3),
    "null.deviance": ("Null deviance", 3),
    "df.residual": ("Residual df", None),
    "df.null": ("Null df", None),
    "method": ("Method", None),
    "estimand": ("Estimand", None),
    "vcov": ("Std.Errors", None),
}
DEFAULT_GLANCE = (
    "nobs",
    "r.squared",
    "adj.r.squared",
    "within.r.squared",
    "pseudo.r.squared",
    "AIC",
    "BIC",
    "logLik",
    "method",
    "estimand",
    "vcov",
)


@dataclass(frozen=True)
class Row:
    """One line of a table, its numbers already written.

    Attributes
    ----------
    part : {"estimates", "glance"}
    term : str
        The estimate or the statistic of the fit that the line is about.
    statistic : str
        ``estimate``, ``std.error``, ...; empty in the glance part.
    cells : tuple of tuple of str
        A column a fit, each split into the text and what hangs to its right: stars or a closing bracket.
    """

    part: str
    term: str
    statistic: str
    cells: tuple[tuple[str, str], ...]

    @property
    def label(self) -> str:
        """What stands on the left: a statistic's line is explained by the line above it."""
        return self.term if self.statistic in ("", "estimate") else ""


@dataclass(frozen=True)
class Table:
    """Several fits side by side: ``print`` it, or take it as text, markdown, HTML, LaTeX or a data frame.

    Attributes
    ----------
    names : tuple of str
        The columns.
    rows : tuple of Row
    legend : str
        The line that explains the stars; empty without them.
    notes : tuple of str
        What a reader must know of the fits, each with the columns that it is of.
    """

    names: tuple[str, ...]
    rows: tuple[Row, ...]
    legend: str = field(default="")
    notes: tuple[str, ...] = ()

    def _cells(self, *, hang: bool) -> Cells:
        """The body; ``hang`` pads on the right, so that right-justified numbers line up above their brackets."""
        tails = [max([0, *(len(row.cells[j][1]) for row in self.rows)]) if hang else 0 for j in range(len(self.names))]
        # A name is centred on nothing: its last letter hangs as a closing bracket would.
        heads = tuple(name + " " * max(0, tail - 1) for name, tail in zip(self.names, tails, strict=True))
        body = tuple(
            tuple(text + right.ljust(tail) for (text, right), tail in zip(row.cells, tails, strict=True))
            for row in self.rows
        )
        below = sum(row.part == "estimates" for row in self.rows)
        rules = (0, below, len(self.rows)) if below < len(self.rows) else (0, len(self.rows))
        return Cells(tuple(row.label for row in self.rows), heads, body, False, rules)

    def __str__(self) -> str:
        return self.as_text()

    def __repr__(self) -> str:
        return self.as_text()

    def as_text(self) -> str:
        """For the console, numbers aligned."""
        text = self._cells(hang=True).text()
        width = max(NOTE_WIDTH, *map(len, text.splitlines()))
        notes = [fill(note, width, subsequent_indent="    ", break_long_words=False) for note in self.notes]
        return text + "\n".join([self.legend] * bool(self.legend) + notes)

    def as_markdown(self) -> str:
        """A pipe table, as GitHub and Quarto read it."""
        return "\n\n".join([markdown(self._cells(hang=False)), *(piped(line) for line in self._below())])

    def as_html(self) -> str:
        """An HTML ``table``, and the legend and notes below it."""
        return self._summary().as_html()

    def as_latex(self) -> str:
        """A LaTeX ``tabular``, and the legend and notes below it."""
        return self._summary().as_latex()

    def _summary(self) -> Summary:
        cells = self._cells(hang=False)
        return Summary((cells, *self._below()))

    def _below(self) -> tuple[str, ...]:
        return (self.legend, *self.notes) if self.legend else self.notes

    def _repr_html_(self) -> str:
        return self.as_html()

    def _repr_markdown_(self) -> str:
        return self.as_markdown()

    def _repr_latex_(self) -> str:
        return self.as_latex()

    def to_frame(self) -> pd.DataFrame:
        """One row a line: ``part, term, statistic`` and a column a fit, all text."""
        import pandas as pd

        head = [(row.part, row.term, row.statistic) for row in self.rows]
        frame = pd.DataFrame(head, columns=["part", "term", "statistic"])
        for j, name in enumerate(self.names):
            frame[name] = ["".join(row.cells[j]) for row in self.rows]
        return frame


@asks
def table(
    fits: Sequence[Any] | Mapping[str, Any],
    *,
    names: Sequence[str] | None = None,
    stars: bool | Mapping[str, float] = True,
    statistic: TableStatistic | None = "std.error",
    rename: Mapping[str, str] | Callable[[str], str] | None = None,
    glance: Sequence[str] | None = None,
    level: float = 0.95,
    digits: int = 3,
    notes: bool = True,
) -> Table:
    """Lay several fits out side by side: estimates, their uncertainty below them, then statistics of the fits.

    Parameters
    ----------
    fits : sequence or mapping of str to Result or Model
        One column each; a mapping names its columns. Fits of statsmodels and pyfixest may stand beside ours, and the
        several ``Fits`` of a stepwise formula among them.
    names : sequence of str, optional
        Names of the columns; ``(1)``, ``(2)``, ... where not given.
    stars : bool or mapping of str to float
        Marks for p-values below their cut-off: by default ``+ p < 0.1, * p < 0.05, ** p < 0.01, *** p < 0.001``.
    statistic : {"std.error", "conf.int", "p.value"} or None
        What stands below each estimate: ``(s.e.)``, ``[low, high]`` or ``(p)``.
    rename : mapping of str to str, or callable, optional
        New names of the rows. Rows that get the same name share a line, so that effects of several methods and
        coefficients of models can be put beside each other.
    glance : sequence of str, optional
        Which of ``glance()`` to show below, in this order; by default the usual ones, where a fit has them.
    level : float
        Of ``conf.int``.
    digits : int
        Decimals of the estimates and of the statistics of the fits (``AIC`` and ``BIC`` have two less). A number below
        one of the last of them is written with so many significant digits instead: ``0.000123``, not ``0.000``.
    notes : bool
        Say below the table what the prints of the fits say in notes (few clusters, rows left out), once for each.

    Returns
    -------
    Table

    Raises
    ------
    OptionError
        For what is no fit, a value that an argument does not take, or a statistic that no fit has.

    Notes
    -----
    R: ``modelsummary::modelsummary(list(...), stars = TRUE)``. A coefficient that the data do not determine, a limit or
    an error that does not exist is ``NA``; a row that a fit does not have is blank.

    Examples
    --------
    >>> import causalformula as cf
    >>> heart = cf.datasets.load("heart")
    >>> naive = cf.fit("Severity ~ treat(Drug)", heart)
    >>> print(cf.table([naive], glance=["nobs"]))
    --------------------
                  (1)
    --------------------
    Drug 1 - 0  3.471***
               (0.800)
    --------------------
    Num.Obs.     1000
    --------------------
    + p < 0.1, * p < 0.05, ** p < 0.01, *** p < 0.001
    """
    columns, fitted = named_columns(fits, names)
    if statistic is not None:
        one_of("statistic", statistic, STATISTICS)
    marks = read_marks(stars)
    check_layout(rename, glance, digits)
    check_level(level)
    read = [_by_row(fit.tidy(level=level), rename, name) for fit, name in zip(fitted, columns, strict=True)]
    rows = _estimate_rows(read, statistic, marks, digits)
    rows += _glance_rows([fit.glance().iloc[0].to_dict() for fit in fitted], glance, digits)
    rows += _effect_rows([absorbed_effects(fit) for fit in fitted])
    legend = ", ".join(f"{mark} p < {cut:g}" for mark, cut in marks.items())
    told = notes_below(columns, fitted) if flag("notes", notes) else ()
    return Table(columns, tuple(rows), legend, told)


# ---- estimates ------------------------------------------------------------------------------------------------------


def _by_row(tidy: pd.DataFrame, rename: Any, name: str) -> dict[str, dict[str, Any]]:
    """Rows of ``tidy()`` by their label: groups, term and contrast, renamed."""
    groups = list(tidy.columns[: list(tidy.columns).index("term")])
    out: dict[str, dict[str, Any]] = {}
    for record in tidy.to_dict("records"):
        parts = [f"{g}={record[g]}" for g in groups] + [record["term"], record.get("contrast", "")]
        label = _renamed(" ".join(str(part) for part in parts if part), rename)
        if label in out:
            raise OptionError(f"two rows of {name} are called {label!r}; give them different names in rename=")
        out[label] = {str(k): v for k, v in record.items()}
    return out


def _renamed(label: str, rename: Any) -> str:
    if rename is None:
        return label
    if isinstance(rename, Mapping):
        return str(rename.get(label, label))
    try:
        return str(rename(label))
    except TypeError as error:
        raise OptionError(f"rename= as a function takes a row's name and gives the new one; here: {error}") from None


def _estimate_rows(
    read: Sequence[Mapping[str, Mapping[str, Any]]], statistic: str | None, marks: Mapping[str, float], digits: int
) -> list[Row]:
    rows = []
    for label in _in_order([list(column) for column in read]):
        found = [column.get(label) for column in read]
        rows.append(Row("estimates", label, "estimate", tuple(_estimate(r, marks, digits) for r in found)))
        if statistic is not None:
            rows.append(Row("estimates", label, statistic, tuple(_statistic(r, statistic, digits) for r in found)))
    return rows


def _in_order(columns: Sequence[Sequence[str]]) -> list[str]:
    """Labels of all columns: a new one stands where its own column has it, next to what is there already."""
    out: list[str] = []
    for column in columns:
        place = next((out.index(label) for label in column if label in out), len(out))
        for label in column:
            if label in out:
                place = out.index(label) + 1
            else:
                out.insert(place, label)
                place += 1
    return out


def _estimate(record: Mapping[str, Any] | None, marks: Mapping[str, float], digits: int) -> tuple[str, str]:
    if record is None:
        return "", ""
    p = record["p.value"]
    # The mark with the smallest cut-off above p; none for a missing p.
    passed = [(cut, mark) for mark, cut in marks.items() if p < cut]
    return _fixed(record["estimate"], digits), min(passed)[1] if passed else ""


def _statistic(record: Mapping[str, Any] | None, statistic: str, digits: int) -> tuple[str, str]:
    # an aliased coefficient says NA once
    if record is None or np.isnan(record["estimate"]):
        return "", ""
    if statistic == "conf.int":
        low, high = (_fixed(record[end], digits) for end in ("conf.low", "conf.high"))
        return f"[{low}, {high}", "]"
    value = record[statistic]
    text = _fixed(value, digits)
    if statistic == "p.value" and value < 10.0**-digits:
        text = f"<{_fixed(10.0**-digits, digits)}"
    return f"({text}", ")"


def _fixed(value: float, digits: int) -> str:
    """So many decimals, and as many significant digits where these would not show them; R's words for the rest."""
    if not np.isfinite(value):
        return "NA" if np.isnan(value) else "Inf" if value > 0 else "-Inf"
    small = 0 < abs(value) < 10.0**-digits
    return f"{value:#.{max(1, digits)}g}" if small else f"{value:.{digits}f}"


# ---- statistics of the fits -----------------------------------------------------------------------------------------


def _glance_rows(read: Sequence[Mapping[str, Any]], wanted: Sequence[str] | None, digits: int) -> list[Row]:
    known = dict.fromkeys(name for glance in read for name in glance)
    for name in wanted or ():
        if name not in known:
            raise OptionError(f"no fit has {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}")
    rows = []
    for name in DEFAULT_GLANCE if wanted is None else wanted:
        title, decimals = GLANCE.get(name, (name, 3))
        shown = None if decimals is None else max(0, decimals + digits - 3)
        cells = tuple((_glance_cell(_in_words(name, glance.get(name)), shown), "") for glance in read)
        if wanted is not None or any(text for text, _ in cells):
            rows.append(Row("glance", title, "", cells))
    return rows


def _effect_rows(read: Sequence[Sequence[str]]) -> list[Row]:
    """Fixed effects that a fit absorbs, as fixest's ``etable`` lists them: Yes or No in each column."""
    names = dict.fromkeys(name for one in read for name in one)
    return [Row("glance", name, "", tuple(("Yes" if name in one else "No", "") for one in read)) for name in names]


def _in_words(name: str, value: Any) -> Any:
    """Methods and covariances as papers call them; anything else as it is."""
    if not isinstance(value, str):
        return value
    if name == "vcov":
        return spoken(value)
    return RECORDS[value].words if name == "method" and value in RECORDS else value


def _glance_cell(value: Any, digits: int | None) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, str) or digits is None:
        return str(value) if isinstance(value, str) else f"{value:g}" if value != int(value) else str(int(value))
    return _fixed(value, digits)
