"""What ``table()`` is asked to lay out: the fits and their names, marks, and the notes below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from causalformula.backends.options import flag, is_number, listed_names, shown, whole
from causalformula.errors import OptionError
from causalformula.formula.language.absorbed import plain_name
from causalformula.frame.bound import BoundRows
from causalformula.results.comparison.core import ComparisonCore
from causalformula.results.effects.core import ResultCore
from causalformula.results.effects.facts import notes_of
from causalformula.results.models.core import ModelCore
from causalformula.results.models.summary import model_notes
from causalformula.results.neighbours import neighbour, refuse_several
from causalformula.results.several_core import FitsCore

if TYPE_CHECKING:
    import pandas as pd

# modelsummary's marks and cut-offs (R's own printed tables mark 0.1 with a dot and have other cut-offs for the rest).
STARS: dict[str, float] = {"+": 0.1, "*": 0.05, "**": 0.01, "***": 0.001}


@runtime_checkable
class Fitted(Protocol):
    """What a column is made of: a ``Result``, a ``Model``, or anything that reads as broom has it."""

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row an estimate."""
        ...

    def glance(self) -> pd.DataFrame:
        """One row of statistics of the fit."""
        ...


def named_columns(
    fits: Sequence[Any] | Mapping[str, Any] | ComparisonCore, names: Sequence[str] | None
) -> tuple[tuple[str, ...], list[Fitted]]:
    """Names of the columns, and what each is made of."""
    refuse_several(fits)
    if isinstance(fits, ComparisonCore):
        fits = fits.fits
    if isinstance(fits, FitsCore):
        names = fits.names if names is None else names
    if isinstance(fits, Mapping):
        names, fits = (list(map(str, fits)) if names is None else names), list(fits.values())
    if not isinstance(fits, Sequence):
        raise OptionError("table() takes a list of fits: cf.table([fit])")
    if not fits:
        raise OptionError("there is no fit to lay out")
    fits = [one for fit in fits for one in (fit if isinstance(fit, FitsCore) else (fit,))]
    columns = [_column(fit) for fit in fits]
    names = [f"({k + 1})" for k in range(len(fits))] if names is None else listed_names(names, len(fits))
    return tuple(names), columns


def _column(fit: Any) -> Fitted:
    """A fit as it is, or another package's as ours read."""
    refuse_several(fit)
    found = neighbour(fit) or fit
    if not isinstance(found, Fitted):
        raise OptionError(
            "table() lays out fits of cf.fit, cf.lm or cf.glm, of statsmodels and of pyfixest; not "
            f"{type(fit).__name__}"
        )
    return found


def read_marks(stars: bool | Mapping[str, float]) -> dict[str, float]:
    """Marks and their cut-offs."""
    if isinstance(stars, Mapping):
        if not all(isinstance(mark, str) and is_number(cut) and 0 < cut <= 1 for mark, cut in stars.items()):
            raise OptionError(f"stars= gives marks their p-values, as in stars={{'*': 0.05}}, not {shown(stars)}")
        return dict(stars)
    return dict(STARS) if flag("stars", stars, ", or marks with their p-values: {'*': 0.05}") else {}


def check_layout(rename: Any, glance: Any, digits: Any) -> None:
    """Refuse what is no renaming, no list of statistics and no number of decimals."""
    if rename is not None and not isinstance(rename, Mapping) and not callable(rename):
        raise OptionError(f"rename= is a dict of new names, or a function of the old one, not {shown(rename)}")
    texts = isinstance(glance, (list, tuple)) and all(isinstance(name, str) for name in glance)
    if glance is not None and not texts:
        raise OptionError(f"glance= lists names, as in glance=['nobs', 'r.squared'], not {shown(glance)}")
    whole("digits", digits, "the number of decimals", 15, 0)


def absorbed_effects(fit: Fitted) -> tuple[str, ...]:
    """What a fit absorbs, as the rows of a table name it: ``FE: unit``, and ``Slopes: x (unit)``."""
    frame = fit.call.frame if isinstance(fit, ResultCore) else fit.frame if isinstance(fit, ModelCore) else None
    found = []
    for effect in frame.effects if isinstance(frame, BoundRows) else ():
        found += [f"FE: {effect.name}"] if effect.term.intercept else []
        found += [f"Slopes: {plain_name(node)} ({effect.name})" for node in effect.term.slopes]
    return tuple(found)


def notes_below(columns: Sequence[str], fits: Sequence[Fitted]) -> tuple[str, ...]:
    """Notes of the fits, each once, with the columns that it is of."""
    found: dict[str, list[str]] = {}
    for name, fit in zip(columns, fits, strict=True):
        for note in dict.fromkeys(_notes_of(fit)):
            found.setdefault(note.removeprefix("Note: "), []).append(name)
    return tuple(f"{', '.join(names)}: {note}" for note, names in found.items())


def _notes_of(fit: Fitted) -> Sequence[str]:
    if isinstance(fit, ResultCore):
        return notes_of(fit)
    return model_notes(fit) if isinstance(fit, ModelCore) else ()
