"""Whether data contradict a graph: each independence that it implies, tested."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import whole
from causalformula.errors import DataError, OptionError, choose, counted, some
from causalformula.formula.expressions.values import Factor, Logical, Strings, Value, as_factor, missing
from causalformula.frame.columns import Table
from causalformula.graphs.implications import Implication
from causalformula.inference.multiplicity import adjust
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.least_squares import least_squares
from causalformula.results.reading.reading import check_level
from causalformula.results.text.notebook import Shown

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
FEWEST_ROWS = 20
COLUMNS = ["independence", "method", "estimate", "statistic", "df", "n", "p.value", "p.adjusted"]


@dataclass(frozen=True, eq=False, repr=False)
class GraphTest(Shown):
    """The implied independences with their tests; made by ``Graph.test``.

    Attributes
    ----------
    rows : tuple of dict
    level : float
        Of the family, by Holm's adjustment.
    """

    rows: tuple[dict[str, Any], ...]
    level: float

    def to_frame(self) -> pd.DataFrame:
        """One row an independence: ``independence, method, estimate, statistic, df, n, p.value, p.adjusted``.

        ``estimate`` is a partial correlation; for a test of residuals it is missing.
        """
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=COLUMNS)

    @property
    def rejected(self) -> tuple[str, ...]:
        """Independences that the data contradict."""
        return tuple(row["independence"] for row in self.rows if row["p.adjusted"] < self.level)

    def __str__(self) -> str:
        if not self.rows:
            return "The graph implies no independence among measured variables: no data can contradict it"
        table = self.to_frame().to_string(index=False, na_rep="", float_format=lambda x: f"{x:.4g}")
        count = counted(len(self.rows), "implied independence")
        bad = self.rejected
        verdict = (
            f"The data contradict the graph in {len(bad)} of {count}: {some(bad)}"
            if bad
            else f"The data contradict none of {count}"
        )
        return (
            f"{table}\n{verdict} (Holm, {self.level:g})\n"
            "Note: many other graphs imply the same; and arrows, unlike their absence, are not tested"
        )

    __repr__ = __str__


def tested(found: Sequence[Implication], data: Any, seed: int, level: float) -> GraphTest:
    """Test each independence on the rows that have its variables.

    Raises
    ------
    DataError
        Where the data lack a variable, or have too few rows.
    """
    table = data if isinstance(data, Table) else Table(data)
    names = dict.fromkeys(name for one in found for name in (one.left, one.right, *one.given))
    refuse_absent(names, table)
    whole("seed", seed, "the seed of the folds", 2**32 - 1, 0)
    if check_level(level) > 0.5:
        raise OptionError(
            f"level={level:g} is how often the tests may contradict a right graph; did you mean {1 - level:g}?"
        )
    values = {name: table.named(name) for name in names}
    rows = [_tested(one, values, seed) for one in found]
    adjusted = adjust(np.array([row["p.value"] for row in rows], dtype=float), "holm")
    return GraphTest(tuple({**row, "p.adjusted": float(p)} for row, p in zip(rows, adjusted, strict=True)), level)


def refuse_absent(names: Iterable[str], table: Table) -> None:
    """A ``DataError`` where the data lack a column of nodes that were measured."""
    absent = [name for name in names if name not in table]
    if absent:
        hint = choose(absent[0], table.names, "the data have")
        columns, them = ("column", "it") if len(absent) == 1 else ("columns", "them")
        raise DataError(
            f"the data have no {columns} {some(absent)}, which the graph has as measured; mark {them} [latent]{hint}"
        )


def _tested(one: Implication, values: dict[str, Value], seed: int) -> dict[str, Any]:
    used = [values[name] for name in (one.left, one.right, *one.given)]
    gone = [lost for value in used if (lost := missing(value)) is not None]
    kept: Bools = ~np.logical_or.reduce(gone) if gone else np.ones(len(_columns(used[0])), dtype=bool)
    left, right = (_columns(value)[kept] for value in used[:2])
    given = np.column_stack([np.ones((int(kept.sum()), 1)), *(_columns(value)[kept] for value in used[2:])])
    if len(left) < max(FEWEST_ROWS, given.shape[1] + FOLDS):
        raise DataError(f"{one}: only {counted(len(left), 'complete row')}, too few for a test")
    for name, column in ((one.left, left), (one.right, right)):
        if not column.shape[1] or (column == column[0]).all():
            raise DataError(f"{name} is the same in every row, so nothing can be said of its independence")
    row = {"independence": str(one), "n": len(left)}
    if _is_levels(used[0], left) or _is_levels(used[1], right):
        return row | _residual_test(_residuals(left, given, seed), _residuals(right, given, seed))
    return row | _partial_correlation(left[:, 0], right[:, 0], given)


def _columns(value: Value) -> Array:
    """A variable as columns of numbers (n, k): indicators of all levels of a factor but the first."""
    if isinstance(value, (Strings, Factor)):
        factor = as_factor(value)
        levels = [k for k in range(len(factor.levels)) if (factor.codes == k).any()]
        return np.asarray((factor.codes[:, None] == np.array(levels[1:], dtype=int)).astype(float))
    if isinstance(value, Logical):
        return np.asarray(value.codes[:, None] == 1, dtype=float)
    if isinstance(value, np.ndarray):
        return value.astype(float).reshape(len(value), -1)
    raise DataError("a graph is tested on columns of numbers or levels")


def _is_levels(value: Value, columns: Array) -> bool:
    """Whether a variable has levels and no numbers; two values are levels too."""
    return isinstance(value, (Strings, Factor, Logical)) or len(np.unique(columns)) <= 2


def _partial_correlation(left: Array, right: Array, given: Array) -> dict[str, Any]:
    """R's ``cor.test`` of what the others leave: t with n - 2 - k degrees of freedom."""
    from scipy.special import stdtr

    fits = [least_squares(given, column) for column in (left, right)]
    a, b = (column - given @ np.nan_to_num(fit.coef) for column, fit in zip((left, right), fits, strict=True))
    df = len(left) - 1 - len(fits[0].kept)
    size = float(np.sqrt((a @ a) * (b @ b)))
    r = float(np.clip(a @ b / size, -1, 1)) if size > 0 else 0.0
    with np.errstate(divide="ignore"):
        statistic = float(r * np.sqrt(df / np.float64(1 - r**2))) if abs(r) < 1 else float(np.copysign(np.inf, r))
    p = float(2 * stdtr(df, -abs(statistic)))
    return {"method": "partial correlation", "estimate": r, "statistic": statistic, "df": df, "p.value": p}


def _residuals(columns: Array, given: Array, seed: int) -> Array:
    """What models without a row's fold leave of it: logistic ones for indicators, linear ones for numbers."""
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    out = np.empty_like(columns)
    folds = list(KFold(FOLDS, shuffle=True, random_state=seed).split(columns))
    X = given[:, 1:]
    if not X.shape[1]:
        for rest, fold in folds:
            out[fold] = columns[fold] - columns[rest].mean(axis=0)
        return out
    for j, y in enumerate(columns.T):
        indicator = bool(np.isin(y, (0.0, 1.0)).all())
        for rest, fold in folds:
            if indicator and len(np.unique(y[rest])) == 1:
                out[fold, j] = y[fold] - y[rest[0]]
                continue
            model = make_pipeline(
                StandardScaler(), LogisticRegression(max_iter=1000) if indicator else LinearRegression()
            )
            model.fit(X[rest], y[rest])
            out[fold, j] = y[fold] - (model.predict_proba(X[fold])[:, 1] if indicator else model.predict(X[fold]))
    return out


def _residual_test(left: Array, right: Array) -> dict[str, Any]:
    """The generalised covariance measure: products of residuals have mean zero (Shah and Peters 2020).

    With F in place of chi-squared, as the spread of many products is itself an estimate (Hotelling 1931).
    """
    from scipy.special import fdtrc

    products = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
    mean, spread = products.mean(axis=0), np.cov(products, rowvar=False).reshape(products.shape[1], -1)
    values, vectors = np.linalg.eigh(spread)
    good = values > 1e-10 * values.max()
    n, df = len(left), int(good.sum())
    statistic = float(n * ((mean @ vectors[:, good]) ** 2 / values[good]).sum())
    p = float(fdtrc(df, n - df, statistic * (n - df) / (df * (n - 1)))) if df else 1.0
    return {"method": "residuals", "estimate": np.nan, "statistic": statistic, "df": df, "p.value": p}
