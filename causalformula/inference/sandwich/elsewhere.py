"""Estimates whose rows are elsewhere: their influences are made a chunk of rows at a time, and summed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from causalformula.errors import CapabilityError, DataError, some
from causalformula.inference.evidence import Accumulated, Exactly, Influence
from causalformula.inference.request_text import describe, quoted
from causalformula.inference.requests import HC, Asympt, Classical, Cluster, Request
from causalformula.inference.resampling.requests import Jackknife, Wild
from causalformula.inference.sandwich import ended
from causalformula.inference.sandwich.caveats import Leadership
from causalformula.inference.sandwich.definite import summed
from causalformula.inference.sandwich.dominant import DOMINANT, Lead, Led, dependence
from causalformula.inference.sandwich.ended import Ended, grouped, told
from causalformula.inference.sandwich.few import listed
from causalformula.inference.sandwich.grouped import Grouped, joint_keys
from causalformula.inference.sandwich.rows import other_sums, small_sample_factor, variance_row
from causalformula.inference.sandwich.single import Single, vanished
from causalformula.inference.sandwich.variances import VARIANCES, Variance, fitted_rows
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.linalg import triangular_factor

# What others know is the root of a sum: below this it is rounding.
NOTHING = 1e-7


@dataclass(frozen=True)
class _Squares:
    row: str
    fixed: bool
    unconditional: bool

    def __call__(self, influence: Influence, groups: list[Any]) -> Summed:
        matrix = other_sums(influence, VARIANCES[self.row], self.fixed, self.unconditional)
        root = influence.root
        rows = np.empty(0, dtype=np.intp) if root is None else fitted_rows(root)
        return Summed(matrix, None if root is None or not len(rows) else _rows_of(root, rows))


@dataclass(frozen=True, eq=False)
class Summed:
    """Outer products of influences added up, and the rows of leverage one, where there are some."""

    matrix: Array
    single: Hat | None

    def __add__(self, other: Summed) -> Summed:
        one, two = self.single, other.single
        if one is not None and two is not None:
            one = replace(one, X=np.vstack([one.X, two.X]), w=np.concatenate([one.w, two.w]))
        return Summed(self.matrix + other.matrix, one if one is not None else two)


@dataclass(frozen=True, eq=False)
class _Moved:
    """What moves with the errors of the rows that a model behind averaged scores fits exactly, and of the others.

    The others are a triangular factor: of them only their sums of squares are asked.
    """

    single: Array
    others: Array

    @classmethod
    def of(cls, influence: Influence, groups: list[Any]) -> _Moved:
        """Of a chunk."""
        assert influence.exactly is not None
        response, inside = influence.exactly.response, np.zeros(influence.n, dtype=bool)
        inside[influence.exactly.rows] = True
        return cls(response[inside], _factor(response[~inside]))

    def __add__(self, other: _Moved) -> _Moved:
        single, others = (np.vstack(pair) for pair in ((self.single, other.single), (self.others, other.others)))
        return _Moved(single, _factor(others))


def _factor(rows: Array) -> Array:
    return triangular_factor(rows, np.empty((len(rows), 0)), None)


def told_exactly(evidence: Accumulated) -> Influence:
    """The shape, with the rows that a model behind averaged scores fits exactly, where there are some."""
    if evidence.shape.exactly is None:
        return evidence.shape
    found: _Moved = evidence.gathered(_Moved.of)
    rows = Exactly(np.arange(len(found.single)), np.vstack([found.single, found.others]))
    return replace(evidence.shape, exactly=rows.map(evidence.mix))


def _rows_of(root: Hat, rows: Codes) -> Hat:
    """Some rows of a regression, by which it is known what they move."""
    return replace(root, X=root.X[rows], w=root.w[rows], e=root.e[rows], h=None, target=None)


@dataclass(frozen=True)
class _Groups:
    expected: bool
    fixed: bool
    unconditional: bool
    ordered: bool = False

    def __call__(self, influence: Influence, groups: list[Any]) -> Grouped | Ended | None:
        psi = influence.psi(expected=self.expected, fixed=self.fixed, unconditional=self.unconditional)
        keys, used = joint_keys(groups), _used(influence)
        values = np.column_stack([psi / influence.n, _leverages(influence)])
        return grouped(keys[used], values[used], _squared, self.ordered) if used.any() else None


@dataclass(frozen=True, eq=False)
class _Squared:
    """Number of clusters, the outer products of their sums added up, and the values of those that hold much."""

    count: int
    squares: Array
    many: tuple[Any, ...]

    def __add__(self, other: _Squared) -> _Squared:
        return _Squared(self.count + other.count, self.squares + other.squares, self.many + other.many)


def _squared(clusters: Grouped) -> _Squared:
    sums, leverages = clusters.sums[:, :-1], clusters.sums[:, -1]
    return _Squared(len(sums), sums.T @ sums, tuple(clusters.keys[leverages >= 1 - DOMINANT]))


def _by_cluster(evidence: Accumulated, task: _Groups, by: tuple[str, ...]) -> _Squared:
    ordered = evidence.groups(by) > ended.MOST_HELD
    found: _Squared = told(evidence.gathered(replace(task, ordered=ordered), by, ordered), _squared)
    return found


def told_of_held(evidence: Accumulated, counts: Mapping[str, int]) -> tuple[str, ...]:
    """A note where the sums of very many clusters took memory, as the engine does not sort by them."""
    held = {name: count for name, count in counts.items() if count > ended.MOST_HELD and not evidence.groups((name,))}
    if not held:
        return ()
    return (
        f"Note: the sums of {listed(held)} were held in memory, as the rows are not sorted by these where the data "
        "are. Memory for a chunk is enough where DuckDB reads the data (Parquet files, say) and the clusters are a "
        "column",
    )


def _used(influence: Influence) -> Bools:
    """Rows that take part, whose clusters are counted."""
    hat = influence.weighed
    if hat is None or (influence.root is not None and len(influence.stages) > 1) or len(hat.w) != influence.n:
        return np.ones(influence.n, dtype=bool)
    return np.asarray(hat.w > 0)


def _leverages(influence: Influence) -> Array:
    """Leverages (n,) of the root, where its columns are there: they tell which clusters hold much."""
    hat = influence.root
    if hat is None or hat.X.shape[1] != len(hat.bread) or not len(hat.bread):
        return np.zeros(influence.n)
    return np.where(hat.w > 0, hat.leverage(), 0.0)


def _direct(influence: Influence, groups: list[Any]) -> Array:
    assert influence.direct is not None
    return np.asarray(influence.direct.T @ influence.direct) / influence.n**2


# -- covariances -----------------------------------------------------------------------------------------------------


def needs_rows(request: Request) -> CapabilityError:
    """Of a request that needs all rows at once, and what there is instead."""
    what, by = f"vcov={describe(request)!r}", _by(request)
    if isinstance(request, Cluster) and request.fix:
        what = "fix=True"
    first, *others = by or ("g",)
    every = " + ".join([first, *others])
    return CapabilityError(
        f"{what} needs all rows at once, and these are not in memory: use 'classical', 'HC0' to 'HC3', 'asympt', "
        f"'CR0 ~ {every}', 'CR1 ~ {every}' or 'CR1S ~ {every}', 'bootstrap' or 'bootstrap ~ {first}', or fit to a "
        "sample of a million rows"
    )


def _by(request: Request) -> list[str]:
    """The clusters of a request, as texts have them."""
    match request:
        case Cluster(by=by):
            return [quoted(name) for name in by]
        case Jackknife(cluster=str() as name) | Wild(cluster=str() as name):
            return [quoted(name)]
    return []


def sandwich(evidence: Accumulated, request: Request) -> tuple[Array, Variance, bool, Single]:
    """The matrix of a request that sums over rows, its row of the table, whether first stages are held fixed.

    And the rows of leverage one, of which the matrix takes no account.

    Raises
    ------
    CapabilityError
        For a request that needs all rows at once.
    """
    if not isinstance(request, (HC, Asympt)) or getattr(request, "type", "") == "HC5":
        raise needs_rows(request)
    row, fixed = variance_row(request, evidence.shape)
    found: Summed = evidence.gathered(_Squares(row.name, fixed, request.unconditional))
    matrix = small_sample_factor(row, evidence.shape, evidence.shape.n) * (evidence.mix @ found.matrix @ evidence.mix.T)
    if evidence.shape.exactly is not None:
        return matrix, row, fixed, Single.of(told_exactly(evidence))
    rows = np.arange(0 if found.single is None else len(found.single.w))
    return matrix, row, fixed, Single.among(evidence.shape, found.single, rows)


def leadership(evidence: Accumulated, matrix: Array, request: Cluster, rests: float) -> Leadership:
    """Estimates that depend on one cluster of a grouping; see ``caveats.leadership``."""
    led, shape = Led.none(evidence.size), evidence.shape
    gone = np.zeros(evidence.size, dtype=bool)
    if shape.root is not None:
        gone = vanished(shape, shape.root, matrix)
        row, fixed = variance_row(request, shape)
        jac = shape.jac[:, -shape.stages[-1].size :]
        for name in request.by:
            many = _by_cluster(evidence, _Groups(row.expected, fixed, request.unconditional), (name,)).many
            if many:
                others = evidence.gathered(_Others(many), (name,))
                led |= dependence(others.leads(), others.whitening, jac, NOTHING)
    lost = led.alone & ((led.share >= rests) | gone)
    mostly = led.mostly & ~led.alone & ~led.untold
    return Leadership(lost, led.alone & ~lost, led.untold & ~led.alone, mostly)


@dataclass(frozen=True)
class _Others:
    """What all clusters but one know, for each of some that hold much."""

    keys: tuple[Any, ...]

    def __call__(self, influence: Influence, groups: list[Any]) -> Known:
        hat, key = influence.root, joint_keys(groups)
        assert hat is not None
        z = np.sqrt(hat.w)[:, None] * (hat.X @ hat.whitening)
        found = []
        for one in self.keys:
            rest = z[np.fromiter((each != one for each in key), dtype=bool, count=len(key))]
            found.append(rest.T @ rest)
        return Known(np.array(found), hat.whitening)


@dataclass(frozen=True, eq=False)
class Known:
    """Cross-products (k, p, p) of whitened columns over the rows outside each of k clusters."""

    products: Array
    whitening: Array

    def __add__(self, other: Known) -> Known:
        return Known(self.products + other.products, self.whitening)

    def leads(self) -> list[Lead]:
        """The clusters that lead, with the directions in which they do."""
        out = []
        for k, product in enumerate(self.products):
            values, vectors = np.linalg.eigh(product)
            few = values <= DOMINANT
            if few.any():
                out.append(Lead(k, np.empty(0, dtype=np.intp), vectors[:, few], np.sqrt(np.maximum(values[few], 0.0))))
        return out


def clustered(evidence: Accumulated, request: Cluster) -> tuple[Array, str, dict[str, int], bool]:
    """The matrix by clusters of one or several groupings, its label, the number of clusters of each, and ``fixed``."""
    row, fixed = variance_row(request, evidence.shape) if request.type not in ("CR2", "CR3") else (None, False)
    if row is None or request.fix:
        raise needs_rows(request)
    terms, counts = [], {}
    for size in range(1, len(request.by) + 1):
        for names in combinations(request.by, size):
            found = _by_cluster(evidence, _Groups(row.expected, fixed, request.unconditional), names)
            if found.count < 2:
                raise DataError(
                    f"clustering by {' and '.join(names)} leaves {found.count} cluster; at least two are needed"
                )
            factor = (-1) ** (size + 1) * small_sample_factor(row, evidence.shape, found.count)
            terms.append(factor * (evidence.mix @ found.squares @ evidence.mix.T))
            if size == 1:
                counts[names[0]] = found.count
    listed = some(f"{name}: {count}" for name, count in counts.items())
    return summed(terms), f"clustered by {' and '.join(request.by)} ({row.name}; clusters {listed})", counts, fixed


def classical(evidence: Accumulated, matrix: Array, request: Classical) -> Array:
    """The classical matrix, with the averages' own part where it is asked for."""
    if not request.unconditional or not evidence.averages:
        return matrix
    # the model's errors are uncorrelated with the covariates, so the two parts add
    return np.asarray(matrix + evidence.mix @ evidence.gathered(_direct) @ evidence.mix.T)
