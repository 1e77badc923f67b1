"""Who may be whose partner: exact and anti-exact matching, calipers and units, as conditions on rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.backends.matching.calipers import DISTANCE, Caliper
from causalformula.backends.matching.options import METRIC_WORDS, Nearest
from causalformula.errors import DataError, OptionError, some
from causalformula.formula.expressions.values import Factor, Logical, Matrix, Strings, Value, as_factor
from causalformula.frame.grouping import Grouping, crossed, grouping
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.frame.side import side_columns, side_values
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.matching.metrics import coordinates, without_part
from causalformula.numerics.matching.task import WIDEST, Apart, Gap


@dataclass(frozen=True, eq=False)
class Conditions:
    """What partners must have in common, or not.

    Parameters
    ----------
    strata : Grouping, optional
        Of exact matching.
    others : tuple of Gap or Apart
    caliper, beyond : float
        On the distance that units are matched on.
    widths : tuple of (str, float)
        All calipers in the variables' units, in MatchIt's order, for the print.
    units : ndarray (n,) of int, optional
    """

    strata: Grouping | None
    others: tuple[Gap | Apart, ...]
    caliper: float
    beyond: float
    widths: tuple[tuple[str, float], ...]
    units: Codes | None

    @property
    def codes(self) -> Codes | None:
        """Strata of exact matching, by row."""
        return None if self.strata is None else self.strata.codes


def read_conditions(frame: ModelFrame, options: Nearest, score: Array | None, kept: Bools) -> Conditions:
    """The conditions that the options ask for.

    Parameters
    ----------
    score : ndarray (n,), optional
        The distance measure.
    kept : ndarray (n,) of bool
        Rows whose standard deviation a caliper is in.
    """
    caliper, beyond, widths = WIDEST, -1.0, []
    others: list[Gap | Apart] = []
    for each in options.calipers:
        values = score if each.name == DISTANCE else caliper_values(frame, each.name)
        assert values is not None
        width = _width(each, values, kept)
        widths.append((f"<{DISTANCE}>" if each.name == DISTANCE else each.name, width))
        if each.name == DISTANCE and options.on_score:
            caliper, beyond = (width, beyond) if width >= 0 else (caliper, -width)
        else:
            others.append(Gap(values, abs(width), width < 0))
    if options.antiexact is not None:
        others += [
            Apart(grouping(name, value, frame.index).codes) for name, value in side_groups(frame, options.antiexact)
        ]
    strata = None if options.exact is None else exact_strata(frame, options.exact)
    units = None if options.unit_id is None else frame.groups(options.unit_id).codes
    return Conditions(strata, tuple(others), caliper, beyond, tuple(widths), units)


def refuse_treatment(frame: ModelFrame, options: Nearest) -> None:
    """An ``OptionError`` where an option names the treatment, in which partners differ by definition."""
    named = {option: side_columns((getattr(options, option),)) for option in ("exact", "antiexact", "mahvars")}
    named |= {"caliper": [each.name for each in options.calipers], "unit_id": [options.unit_id]}
    named |= {"distance": [options.distance] if isinstance(options.distance, str) else []}
    for option, columns in named.items():
        if frame.the_treatment.name in columns:
            raise OptionError(
                f"{option}= names {frame.the_treatment.name!r}, the treatment, and partners are of different arms; "
                "leave it out"
            )


def _width(each: Caliper, values: Array, kept: Bools) -> float:
    """A caliper in the variable's units."""
    if not each.standard:
        return each.width
    spread = float(values[kept].std(ddof=1))
    if not spread > 0:
        what = "the distance" if each.name == DISTANCE else repr(each.name)
        raise DataError(
            f"{what} is the same in all rows, so its caliper has no standard deviation to be in; leave it out of "
            "caliper="
        )
    return each.width * spread


def caliper_values(frame: ModelFrame, name: str) -> Array:
    """The numbers that a caliper is on; a ``DataError`` for a column of levels."""
    if not isinstance(frame.table.named(name), np.ndarray):
        raise DataError(
            f"a caliper is the largest difference of numbers, and {name!r} has levels; exact='~ {name}' lets partners "
            "be of one level only"
        )
    return frame.numbers(name)


def idle_columns(frame: ModelFrame, named: list[tuple[str, Value]], metric: str, used: Bools) -> list[str]:
    """A note that names the variables that add nothing to a distance, which its generalised inverse passes over."""
    X, names = metric_columns(named, first=False)
    idle = without_part(metric, X, frame.the_treatment.codes == 1, used)
    told = dict.fromkeys(name for name, without in zip(names, idle, strict=True) if without)
    if not told:
        return []
    adds = "adds" if len(told) == 1 else "add"
    within = "" if metric == "robust_mahalanobis" else " within the arms"
    why = f"no spread{within}, or a combination of the variables before"
    return [f"{some(told)} {adds} nothing to the {METRIC_WORDS[metric]} distance ({why})"]


def exact_strata(frame: ModelFrame, text: str) -> Grouping:
    """Rows that have the same values of all variables of a one-sided formula."""
    return crossed([grouping(name, value, frame.index) for name, value in side_groups(frame, text)], ", ")


def side_groups(frame: ModelFrame, text: str) -> list[tuple[str, Value]]:
    """Variables of a one-sided formula that rows can be grouped by; of a matrix each column."""
    out: list[tuple[str, Value]] = []
    for label, value in side_values(frame, text):
        out += columns_of(label, value)
    return out


def columns_of(label: str, value: Value) -> list[tuple[str, Value]]:
    """A variable, or the columns of a matrix, each as a variable."""
    if not isinstance(value, Matrix):
        return [(label, value)]
    names = value.names or tuple(str(k + 1) for k in range(value.values.shape[1]))
    return [(label + name, value.values[:, k]) for k, name in enumerate(names)]


def metric_columns(named: list[tuple[str, Value]], first: bool = True) -> tuple[Array, tuple[str, ...]]:
    """Columns (n, p) between which distances are computed, and the variable of each.

    All dummies of a factor, over the square root of two: rows in different levels are one apart. ``first=False`` leaves
    out that of the first level, which the others imply.
    """
    columns, names = [], []
    for label, value in named:
        for name, column in columns_of(label, value):
            found = _dummies(column)
            found = found if first or found.shape[1] == 1 else found[:, 1:]
            columns.append(found)
            names += [name] * found.shape[1]
    return np.hstack(columns), tuple(names)


def metric_coordinates(frame: ModelFrame, named: list[tuple[str, Value]], metric: str, used: Bools) -> Array:
    """Coordinates (n, r) in which Euclidean distance is the distance of variables that was asked for.

    Raises
    ------
    DataError
        If nothing is left to tell rows apart.
    """
    X, names = metric_columns(named)
    varies = np.ptp(X[used], axis=0) > 0
    if not varies.any():
        raise DataError(f"{some(dict.fromkeys(names))}: the same in all rows, so there is no distance to match on")
    Z = coordinates(metric, X[:, varies], frame.the_treatment.codes == 1, used, frame.weights)
    if not Z.shape[1]:
        raise DataError(
            f"{some(dict.fromkeys(names))}: the same in all rows of an arm, so there is no {METRIC_WORDS[metric]} "
            "distance to match on; use distance='scaled_euclidean', or other variables"
        )
    return Z


def _dummies(value: Value) -> Array:
    if isinstance(value, (Factor, Strings)):
        factor = as_factor(value).drop_unused()
        return (factor.codes[:, None] == np.arange(len(factor.levels))) / np.sqrt(2)
    x = value.codes if isinstance(value, Logical) else value
    return np.asarray(x, dtype=float)[:, None]


def covariate_values(frame: ModelFrame) -> list[tuple[str, Value]]:
    """The variables of the treatment model, by label."""
    design = frame.design(PROPENSITY)
    return [(design.recipe.terms.labels[place], value) for place, value in design.values.items()]
