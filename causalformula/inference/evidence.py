"""What stands behind an estimate: influences, draws, or a fixed covariance. Each is closed under linear maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from causalformula.errors import CapabilityError, DataError
from causalformula.inference.requests import Request
from causalformula.inference.stage import Hat, Stage, influence_weights
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.least_squares import group_sums


@dataclass(frozen=True, eq=False)
class Own:
    """A variance that an estimator has by itself, for the requests that ask for it.

    Parameters
    ----------
    compute : callable
        ``compute(request) -> ndarray (p, p)``, of the values that it was made for.
    jac : ndarray (q, p)
        Of the estimate in these.
    notes : callable
        ``notes(request) -> tuple of str``: what a reader should know of it.
    """

    compute: Callable[[Request], Array]
    jac: Array
    notes: Callable[[Request], tuple[str, ...]] = lambda request: ()

    @property
    def size(self) -> int:
        """Number of estimates."""
        return int(self.jac.shape[0])

    def map(self, jac: Array) -> Own:
        """The variance of a smooth function with Jacobian ``jac`` (r, q)."""
        return replace(self, jac=jac @ self.jac)

    def matrix(self, request: Request) -> Array:
        """Covariance (q, q)."""
        return np.asarray(self.jac @ self.compute(request) @ self.jac.T)


@dataclass(frozen=True, eq=False)
class Exactly:
    """Rows of leverage one in the outcome model behind averaged scores, which have no residual.

    Parameters
    ----------
    rows : ndarray (k,) of int
    response : ndarray (n, q)
        How the estimates move with the error of each row, in units of equal errors.
    """

    rows: Codes
    response: Array

    def map(self, jac: Array) -> Exactly:
        """Of a smooth function with Jacobian ``jac`` (r, q)."""
        return replace(self, response=self.response @ jac.T)

    def shares(self, least: float) -> Array:
        """Shares (k, q) of these rows in the variances under equal errors; zero below the square of ``least``."""
        size = np.sqrt((self.response**2).sum(axis=0))
        part = np.abs(self.response[self.rows]) / np.where(size > 0, size, 1.0)
        return np.where(part > least, part, 0.0) ** 2


@dataclass(frozen=True, eq=False)
class Influence:
    """The estimate is a smooth functional of stacked estimating equations and of averages over rows.

    ``psi_i = n (sum_s L_s' g_{s,i}) + direct_i`` with ``theta_hat - theta ~ mean(psi)``.

    Parameters
    ----------
    stages : tuple of Stage
        In order; a stage may depend on those before it.
    jac : ndarray (q, P)
        Derivative of the estimate in all stage parameters, concatenated.
    direct : ndarray (n, q), optional
        The averages' own influence (the sampling of the covariates that the estimate averages over).
    always : bool
        Whether ``direct`` belongs to every variance (doubly robust scores) or only to unconditional ones.
    df_special : mapping of str to ndarray (q,)
        Degrees of freedom that a design gives for one covariance (Welch's for ``HC2``).
    rooted : bool
        Whether the last stage is the regression whose residuals drive the estimate. Leverage, residual degrees of
        freedom and the wild bootstrap are then that regression's; a score that is averaged (``always``) has none.
    units : ndarray (rows,) of int, optional
        The unit 0..n-1 of each row, where the influence is on units that have several rows.
    held : bool
        Whether nuisances are held fixed, as those of other folds are under an orthogonal score.
    own : Own, optional
        A variance that the estimator has beside those that are sums over rows.
    exactly : Exactly, optional
        Rows that a model behind averaged scores fits exactly, where there are some; a root knows its own.
    used : ndarray (n,) of bool, optional
        Which take part, where not all do and no regression says it.
    """

    stages: tuple[Stage, ...]
    jac: Array
    n: int
    direct: Array | None = None
    always: bool = False
    df_special: Mapping[str, Array] = field(default_factory=dict)
    rooted: bool = False
    units: Codes | None = None
    own: Own | None = None
    held: bool = False
    exactly: Exactly | None = None
    used: Bools | None = None

    def __post_init__(self) -> None:
        if self.rooted and (self.always or not self.stages or self.stages[-1].hat is None):
            raise ValueError("only a regression, whose estimate is no averaged score, can be the root")

    @property
    def size(self) -> int:
        """Number of estimates."""
        return int(self.jac.shape[0])

    @property
    def root(self) -> Hat | None:
        """The regression whose residuals drive the estimate, where there is one."""
        return self.stages[-1].hat if self.rooted else None

    @property
    def weighed(self) -> Hat | None:
        """The regression whose weights say which rows take part: the root, or else the last one that there is."""
        return self.root or next((stage.hat for stage in reversed(self.stages) if stage.hat is not None), None)

    @property
    def estimated_first_stage(self) -> bool:
        """Whether an earlier stage enters a later one."""
        return any(s.cross for s in self.stages)

    @property
    def rows(self) -> int:
        """Rows of the data, of which a unit may have several."""
        return self.n if self.units is None else len(self.units)

    @property
    def first_rows(self) -> Codes:
        """The first row of each unit (n,); every row where rows are the units."""
        if self.units is None:
            return np.arange(self.n)
        return np.unique(self.units, return_index=True)[1].astype(np.intp)

    def on_units(self, codes: Codes, name: str = "the grouping") -> Codes:
        """A grouping of rows as one of units.

        Raises
        ------
        DataError
            Where rows of one unit are in different groups.
        """
        if self.units is None:
            return codes
        each = codes[self.first_rows]
        if not np.array_equal(each[self.units], codes):
            raise DataError(f"{name} changes within units; the influence is on units, so groups must hold whole units")
        return each

    def map(self, jac: Array) -> Influence:
        """Influence of a smooth function with Jacobian ``jac`` (r, q)."""
        direct = None if self.direct is None else self.direct @ jac.T
        own = None if self.own is None else self.own.map(jac)
        exactly = None if self.exactly is None else self.exactly.map(jac)
        return replace(self, jac=jac @ self.jac, direct=direct, df_special={}, own=own, exactly=exactly)

    def psi(
        self,
        *,
        adjust: Array | None = None,
        expected: bool = False,
        fixed: bool = False,
        unconditional: bool = True,
    ) -> Array:
        """Rows' influences (n, q), with the root's rows multiplied by ``adjust`` where given.

        ``fixed`` treats what was estimated before as known: the stages before a regression, and of averaged scores all.
        """
        parts = self.psi_parts(
            max(self.n, 1), adjust=adjust, expected=expected, fixed=fixed, unconditional=unconditional
        )
        return next(parts)[1]

    def psi_parts(
        self, step: int, *, adjust: Array | None = None, expected: bool, fixed: bool, unconditional: bool
    ) -> Iterator[tuple[slice, Array]]:
        """``psi`` of so many rows at a time, and which these are: all at once are as large as a design matrix."""
        alone = fixed and self.always and self.direct is not None
        weights = [] if alone else influence_weights(self.stages, self.jac, expected=expected, fixed=fixed)
        for first in range(0, max(self.n, 1), step):
            rows = slice(first, min(first + step, self.n))
            total = np.zeros((rows.stop - first, self.size))
            for k, (stage, w) in enumerate(zip(self.stages, weights, strict=not alone)):
                if np.any(w):
                    by = adjust if self.rooted and k == len(self.stages) - 1 else None
                    total += stage.project(w, by, exact=not expected, rows=rows)
            total *= self.n
            if self.direct is not None and (unconditional or self.always):
                total += self.direct[rows]
            yield rows, total
            del total


@dataclass(frozen=True, eq=False)
class Repeated:
    """Estimates of repeated sample splits, which are summarised by their median.

    ``theta`` is the median of ``theta_r``, and its covariance that of ``V_r + (theta_r - theta)(theta_r - theta)'``
    (Chernozhukov et al. 2018, section 3.4).

    Parameters
    ----------
    parts : tuple of Influence
        Of each repetition.
    values : ndarray (R, q)
        Estimates of each repetition.
    """

    parts: tuple[Influence, ...]
    values: Array

    @property
    def size(self) -> int:
        """Number of estimates."""
        return int(self.values.shape[1])

    def map(self, jac: Array) -> Repeated:
        """A linear map of every repetition."""
        return Repeated(tuple(part.map(jac) for part in self.parts), self.values @ jac.T)


@dataclass(frozen=True, eq=False)
class Draws:
    """Replicates of the estimate (R, q)."""

    values: Array

    @property
    def size(self) -> int:
        """Number of estimates."""
        return int(self.values.shape[1])

    def map(self, jac: Array) -> Draws:
        """Draws of a linear map."""
        return Draws(self.values @ jac.T)


@dataclass(frozen=True, eq=False)
class Fixed:
    """A covariance that comes with the estimator and answers to no request.

    Parameters
    ----------
    matrix : ndarray (q, q)
    df : float
        Degrees of freedom (``inf`` for normal).
    label : str
        The request that it answers.
    words : str
        What the print adds to that.
    """

    matrix: Array
    df: float = np.inf
    label: str = "given"
    words: str = ""

    @property
    def size(self) -> int:
        """Number of estimates."""
        return len(self.matrix)

    def map(self, jac: Array) -> Fixed:
        """Covariance of a linear map."""
        return replace(self, matrix=jac @ self.matrix @ jac.T)


class Part(Protocol):
    """Estimates that are functionals of the same chunks; it pickles."""

    def at(self, chunk: Any) -> Influence:
        """Their influence on the rows of a chunk, with the equations, Jacobians and averages of all rows.

        ``n`` is the number of rows of the chunk: sums of ``psi / n`` over rows then add up over chunks.
        """
        ...


# What is asked of the influences of a chunk, and the groups of its rows.
Task = Callable[[Influence, list[Any]], Any]


class Rows(Protocol):
    """Where the rows are."""

    def gather(self, part: Part, task: Task, by: tuple[str, ...], ordered: bool = False) -> Any:
        """What a task says of the influences of all chunks and the groups of their rows, added up by ``+``.

        With ``ordered`` rows come sorted by their groups, and what is said of them is added up in this order.
        """
        ...

    def groups(self, by: tuple[str, ...]) -> int:
        """About how many groups there are, where rows can be sorted by them; 0 where they cannot."""
        ...


@dataclass(frozen=True, eq=False)
class Accumulated:
    """Evidence whose sums over rows are made by passes.

    Parameters
    ----------
    rows : Rows
    part : Part
    shape : Influence
        The same without rows: stages, Jacobian and number of rows of all rows.
    mix : ndarray (q, m)
        The estimates as combinations of the part's.
    averages : bool
        Whether the part has averages' own influence.
    """

    rows: Rows
    part: Part
    shape: Influence
    mix: Array
    averages: bool = False
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        """Number of estimates."""
        return len(self.mix)

    def map(self, jac: Array) -> Accumulated:
        """Evidence of a smooth function with Jacobian ``jac`` (r, q)."""
        return replace(self, shape=self.shape.map(jac), mix=jac @ self.mix)

    def gathered(self, task: Task, by: tuple[str, ...] = (), ordered: bool = False) -> Any:
        """What a task says of the part's own influences on all rows, asked once; tasks that are equal say the same."""
        key = (task, by)
        if key not in self._known:
            self._known[key] = self.rows.gather(self.part, task, by, ordered)
        return self._known[key]

    def groups(self, by: tuple[str, ...]) -> int:
        """About how many groups there are, asked once; 0 where rows cannot be sorted by them."""
        if by not in self._known:
            self._known[by] = self.rows.groups(by)
        return int(self._known[by])


Evidence = Influence | Repeated | Draws | Fixed | Own | Accumulated


def influence_error(evidence: object, counts: Array | None = None, clusters: Codes | None = None) -> Array:
    """Standard error (q,) from the exact influence: the infinitesimal jackknife, ``sqrt(sum_g s_g^2) / n``.

    Parameters
    ----------
    evidence : Influence
        Of the estimate, refitted with ``counts`` as frequency weights where they are given.
    counts : ndarray (n,), optional
        How often each row was drawn. A row drawn c times is c rows: its influence, which carries c, enters as
        ``c (psi / c)^2``.
    clusters : ndarray (n,) of int, optional
        Units drawn whole.

    Raises
    ------
    CapabilityError
        If there is no influence.
    """
    if not isinstance(evidence, Influence):
        raise CapabilityError("kind='studentized' needs an influence function, which this estimator lacks")
    values = evidence.psi()
    repeats = np.ones(evidence.n)
    if counts is not None:
        repeats = counts[evidence.first_rows]
    if clusters is not None:
        clusters = evidence.on_units(clusters)
        groups = int(clusters.max()) + 1
        values = group_sums(values, clusters, groups)
        each = np.zeros(groups)
        each[clusters] = repeats
        repeats = each
    used = repeats > 0
    return np.asarray(np.sqrt((values[used] ** 2 / repeats[used, None]).sum(axis=0)) / evidence.n)
