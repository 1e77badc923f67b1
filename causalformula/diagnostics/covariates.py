"""The covariates whose balance is read: one column a number, all levels of a factor, powers and products on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np

from causalformula.formula.expressions.values import Factor, Logical, Matrix, Strings, Value, as_factor
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.parts import PROPENSITY
from causalformula.numerics.arrays import Array
from causalformula.numerics.ties import tied

Product = Callable[["Covariate", "Covariate"], "Covariate | None"]
POWERS = {2: "²", 3: "³"}


@dataclass(frozen=True, eq=False)
class Covariate:
    """One row of a balance table.

    Parameters
    ----------
    name : str
    values : ndarray (n,)
    binary : bool
        Whether the values are 0 and 1.
    source : str
        The variable that it was made of.
    distance : bool
        Whether it is the propensity score.
    """

    name: str
    values: Array
    binary: bool
    source: str
    distance: bool = False

    @property
    def type(self) -> str:
        """As cobalt writes it."""
        return "Distance" if self.distance else "Binary" if self.binary else "Contin."


def covariates(
    frame: ModelFrame,
    *,
    int: bool = False,
    poly: int = 1,
    without: str | None = None,
    like: ModelFrame | None = None,
) -> list[Covariate]:
    """Covariates of the treatment model, in the formula's order.

    Parameters
    ----------
    frame : ModelFrame
    int : bool
        Pairwise products too, with all levels of categorical covariates.
    poly : int
        Powers of the continuous covariates up to this one.
    without : str, optional
        A variable left out: the one whose levels separate the tables.
    like : ModelFrame, optional
        Rows that have every level, where the frame's own may not. Products that do not vary in the frame are then there
        too.

    Notes
    -----
    As cobalt: a number with two values becomes 0/1 (0 stays 0, otherwise the smaller does), a factor of two levels is
    the row of its second, one of several levels has a row each. Variables that do not vary are left out of products.
    """
    design = frame.design(PROPENSITY)
    used = sorted({i for term in design.recipe.terms.coding for i, _ in term})
    labels = design.recipe.terms.labels
    known = design.values if like is None else like.design(PROPENSITY).values
    variables = [(labels[i], design.values[i], known[i]) for i in used if labels[i] != without]
    out = [column for label, value, all_of in variables for column in columns_of(label, value, all_of)]
    product = partial(_product, constant=like is not None)
    crossed = [[labels[i] for i, _ in term] for term in design.recipe.terms.coding if len(term) > 1 and not int]
    products = bool(crossed) or int
    crossing = variables if products else []
    whole = [column for label, value, all_of in crossing for column in columns_of(label, value, all_of, whole=True)]
    for names in crossed:
        out += _crossed(whole, names, product)
    for power in range(2, poly + 1):
        mark = POWERS.get(power, f"^{power}")
        plain = [c for c in out if not c.binary and c.source in {label for label, *_ in variables}]
        out += [Covariate(c.name + mark, c.values**power, False, f"{c.source}{mark}") for c in plain]
    if int:
        out += [p for a, b in combinations(whole, 2) if a.source != b.source and (p := product(a, b)) is not None]
    return out


def columns_of(label: str, value: Value, known: Value, whole: bool = False) -> list[Covariate]:
    """Columns of a variable, of which ``known`` has every level; ``whole`` gives both levels of a binary one."""
    if isinstance(value, Matrix):
        names = value.names or tuple(str(k + 1) for k in range(value.values.shape[1]))
        return [Covariate(label + name, value.values[:, k], False, label) for k, name in enumerate(names)]
    if isinstance(value, (Factor, Strings)):
        return _levels(label, as_factor(value), as_factor(known).drop_unused(), whole)  # type: ignore[arg-type]
    x, among = (v.codes.astype(float) if isinstance(v, Logical) else np.asarray(v, dtype=float) for v in (value, known))
    distinct = np.unique(among) if len(np.unique(among[:1000])) <= 2 else among[:3]
    if len(distinct) > 2:
        return [Covariate(label, x, False, label)]
    zero = 0.0 if 0 in distinct else distinct[0]
    coded = (x != zero).astype(float)
    if whole and len(distinct) == 2:
        return [Covariate(f"{label}_{k}", np.abs(coded - (1 - k)), True, label) for k in (0, 1)]
    return [Covariate(label, coded, True, label)]


def _levels(label: str, factor: Factor, known: Factor, whole: bool) -> list[Covariate]:
    shown = known.levels if whole or len(known.levels) != 2 else known.levels[1:]
    place = {level: k for k, level in enumerate(factor.levels)}
    return [
        Covariate(f"{label}_{level}", (factor.codes == place.get(level, -2)).astype(float), True, label)
        for level in shown
    ]


def _product(a: Covariate, b: Covariate, constant: bool = False) -> Covariate | None:
    values = a.values * b.values
    if not constant and not np.ptp(values):
        return None
    return Covariate(f"{a.name} * {b.name}", values, a.binary and b.binary, f"{a.source} * {b.source}")


def _crossed(whole: list[Covariate], names: list[str], product: Product) -> list[Covariate]:
    """Rows of an interaction that the formula has: products over all levels."""
    found: list[Covariate] = [c for c in whole if c.source == names[0]]
    for name in names[1:]:
        found = [p for a in found for b in whole if b.source == name and (p := product(a, b)) is not None]
    return found


def distance_row(values: Array, name: str = "prop.score") -> Covariate:
    """The propensity score or another distance as a row of the table, which comes first."""
    # scores of the same covariates are the same, up to rounding; without covariates all are
    return Covariate(name, tied(values), False, name, distance=True)
