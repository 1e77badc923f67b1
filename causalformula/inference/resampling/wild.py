"""Wild and wild cluster bootstrap-t of a linear function of least-squares coefficients.

With ``X`` the (root-weighted) design, ``B = (X'X)^{-1}``, ``b = B c`` and clusters g, the data of a replicate are
``y*_g = X_g beta_0 + v_g u_g``, with ``u`` the residuals of the fit that ``beta_0`` comes from. Under the null
hypothesis ``c'beta = r``, ``beta_0 = beta - b delta`` with ``delta = (c'beta - r) / c'b``. The replicate's numerator
and the scores of its residuals are

    c'beta* - c'beta_0 = sum_g v_g b'z_g,        b'X_g'u*_g = v_g b'z_g - P_g' B sum_h v_h z_h,

with ``z_g = X_g'u_g`` and ``P_g = X_g'X_g b``: arrays of a row a cluster are all that replicates need. Because
``z_g = z_g(0) + delta P_g``, numerator and squared standard error are polynomials in ``delta`` whose coefficients are
computed once a replicate, and a test of another ``r`` (thus an interval by inversion) costs no new replicate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from causalformula.errors import CapabilityError, DataError
from causalformula.inference.evidence import Influence
from causalformula.inference.requests import HC, Cluster
from causalformula.inference.resampling.requests import Wild
from causalformula.inference.resampling.resample import fresh_seed
from causalformula.inference.sandwich.expanded import expanded
from causalformula.inference.sandwich.few import told_of_fewest
from causalformula.inference.sandwich.rules import rules_of
from causalformula.inference.sandwich.variances import VARIANCES
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.least_squares import group_scores

BLOCK_CELLS = 2_000_000
# Statistics this near are tied: a replicate that repeats the sample gives its t only up to rounding.
TIED = 1e-9
ROUNDING = 1e-11
FARTHEST = 2.0**40
# The level that tests usually have.
USUAL = 0.05


@dataclass(frozen=True, eq=False)
class Roots:
    """Replicates of one t statistic as functions of the null value.

    ``t*(delta) = (n0 + n1 delta) / sqrt(factor (d00 + 2 d01 delta + d11 delta^2))``.

    Parameters
    ----------
    theta, error : float
        Estimate and its cluster-robust (CR1S) standard error.
    slope : float
        ``c' B c``; ``delta = (theta - r) / slope``.
    factor : float
        Small-sample factor of the variance.
    coefficients : ndarray (5, R)
        ``n0, n1, d00, d01, d11``.
    """

    theta: float
    error: float
    slope: float
    factor: float
    coefficients: Array

    def at(self, value: float, *, null: bool) -> Array:
        """Replicated t statistics (R,) when the null value is ``value``, imposed or not."""
        n0, n1, d00, d01, d11 = self.coefficients
        delta = (self.theta - value) / self.slope if null else 0.0
        squares = self.factor * np.maximum(d00 + delta * (2 * d01 + delta * d11), 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (n0 + delta * n1) / np.sqrt(squares)
        # a replicate without any variation, 0/0, says nothing against the null
        return np.where(np.isnan(t), 0.0, t)


@dataclass(frozen=True, eq=False)
class WildReference:
    """p-values and limits of the wild bootstrap for each estimate.

    Parameters
    ----------
    roots : tuple of Roots
        One an estimate.
    null : bool
        Whether the null hypothesis is imposed.
    tails : {"symmetric", "equal"}
    exact : bool
        Whether the sample's own t is among the replicates: where all sign patterns are enumerated and the null is
        imposed. Otherwise the sample counts as one more, so that no p-value is zero: ``(b + 1) / (R + 1)``, which
        rejects at 5% when b / R does if ``0.05 (R + 1)`` is whole.
    values : ndarray (q,), optional
        Null values, which the reported estimates are differences from; zero where not given.
    """

    roots: tuple[Roots, ...]
    null: bool
    tails: str
    exact: bool
    values: Array | None = None

    @property
    def nulls(self) -> Array:
        """The null values (q,)."""
        return np.zeros(len(self.roots)) if self.values is None else self.values

    def p_values(self) -> Array:
        """Share of replicates at least as extreme as the sample's t for the null values (q,)."""
        return np.array([self.p_value(root, value) for root, value in zip(self.roots, self.nulls, strict=True)])

    def p_value(self, root: Roots, value: float) -> float:
        """p-value of one null value."""
        t = (root.theta - value) / root.error
        draws = root.at(value, null=self.null)
        slack = TIED * max(abs(t), 1e-300)
        if self.tails == "symmetric":
            return self._share(np.abs(draws) >= abs(t) - slack)
        return min(1.0, 2 * min(self._share(draws >= t - slack), self._share(draws <= t + slack)))

    def _share(self, extreme: Bools) -> float:
        own = 0 if self.exact else 1
        return float((extreme.sum() + own) / (len(extreme) + own))

    def limits(self, level: float) -> tuple[Array, Array]:
        """Null values that are not rejected at ``1 - level`` (q,) and (q,); infinite where none is rejected."""
        alpha = 1 - level
        both = np.array([[self._limit(root, alpha, side) for side in (-1.0, 1.0)] for root in self.roots])
        return both[:, 0] - self.nulls, both[:, 1] - self.nulls

    def _limit(self, root: Roots, alpha: float, side: float) -> float:
        """The value nearest to the estimate, on one side, where the p-value falls to ``alpha``."""
        if root.error == 0:
            return root.theta

        def kept(steps: float) -> bool:
            return self.p_value(root, root.theta + side * steps * root.error) > alpha + 1e-12

        return root.theta + side * root.error * _crossing(kept)


def _crossing(kept: Callable[[float], bool]) -> float:
    """Where ``kept`` turns false, from 0 outwards, by doubling and bisection; infinite if it does not."""
    inside, outside = 0.0, 1.0
    while kept(outside):
        inside, outside = outside, 2 * outside
        if outside > FARTHEST:
            return np.inf
    while outside - inside > 1e-12 * outside:
        middle = (inside + outside) / 2
        if middle in (inside, outside):
            break
        inside, outside = (middle, outside) if kept(middle) else (inside, middle)
    return (inside + outside) / 2


@dataclass(frozen=True, eq=False)
class WildBootstrap:
    """What a wild bootstrap gives: the CR1S covariance, the reference distribution, a label, the seed if any, notes."""

    matrix: Array
    reference: WildReference
    clusters: int
    label: str
    seed: int | None
    notes: tuple[str, ...] = ()


def wild_bootstrap(evidence: Influence, theta: Array, request: Wild, codes: Codes | None) -> WildBootstrap:
    """Wild (cluster) bootstrap-t of estimates that are linear in least-squares coefficients.

    Each replicate multiplies the residuals of whole clusters by a random ``v_g`` with mean 0 and variance 1, and its t
    statistic uses the same CR1S variance as the sample's (HC1 where every row is its own cluster). With Rademacher
    weights and at most ``reps`` sign patterns, all are enumerated, the sample's own among them. The p-value is the
    share of replicates at least as extreme; the interval holds the values that a test does not reject. With fewer than
    six clusters and Rademacher weights nothing can be rejected at 5%, so limits are infinite; use ``weights="webb"``.

    Parameters
    ----------
    evidence : Influence
        One least-squares stage, and estimates ``jac @ coefficients``.
    theta : ndarray (q,)
    request : Wild
    codes : ndarray (n,) of int, optional
        Clusters 0..G-1; without them every row is its own.

    Raises
    ------
    CapabilityError
        If the estimate is not a linear function of least-squares coefficients.
    DataError
        For fewer than two clusters.

    References
    ----------
    Cameron, Gelbach and Miller (2008); Webb (2014); Roodman, Nielsen, MacKinnon and Webb (2019); MacKinnon (2022). R:
    ``fwildclusterboot::boottest`` (WCR11 with ``impose_null = TRUE``, else WCU11); Stata: ``boottest``.
    """
    hat = linear_root(evidence)
    _refuse_nonlinear(evidence, theta)
    found_in = codes is not None
    codes, count = present_clusters(hat, codes)
    factor = cr1s_factor(evidence, request, codes, count)
    hat, jac = expanded(hat, evidence.jac, [codes] if found_in else [])
    statistics = [_Statistic.of(hat, c, codes, count) for c in jac]
    patterns = Patterns(count, request)
    found = [np.concatenate(parts, axis=1) for parts in zip(*(_block(V, statistics) for V in patterns), strict=True)]
    own = np.array([s.a for s in statistics])
    matrix = factor * (own @ own.T)
    roots = tuple(
        Roots(float(th), float(np.sqrt(matrix[j, j])), s.slope, factor, found[j])
        for j, (th, s) in enumerate(zip(theta, statistics, strict=True))
    )
    reference = WildReference(roots, request.null, request.tails, patterns.holds_sample)
    seed = None if patterns.exact else patterns.seed
    return WildBootstrap(matrix, reference, count, _label(request, patterns, count), seed, _too_few(request, count))


def cr1s_factor(evidence: Influence, request: Wild, codes: Codes, count: int) -> float:
    """Of the variance, over so many clusters: fixest's where effects are absorbed."""
    hat, name = linear_root(evidence), request.cluster
    same = HC("HC1") if name is None else Cluster(name)
    rules = rules_of(same, evidence, {str(name): codes}, None if name is None else {name: count})
    return VARIANCES["CR1S"].factor(hat.nobs, hat.rank, count) if rules is None else rules.factor(count)


def present_clusters(hat: Hat, codes: Codes | None) -> tuple[Codes, int]:
    """Clusters 0..G-1 that have a row of positive weight, and G; without any, every such row is its own."""
    rows = hat.w > 0
    if codes is None:
        codes = np.where(rows, np.cumsum(rows) - 1, 0).astype(np.intp)
    else:
        codes = np.unique(np.where(rows, codes, codes[rows][0]), return_inverse=True)[1].astype(np.intp)
    count = int(codes.max()) + 1
    if count < 2:
        raise DataError("the wild bootstrap needs at least two clusters")
    return codes, count


def linear_root(evidence: Influence) -> Hat:
    """The one least-squares regression behind the estimates."""
    root = evidence.root
    if root is None or not root.least_squares or len(evidence.stages) != 1 or evidence.always:
        raise CapabilityError(
            "the wild bootstrap is for effects that are read off one least-squares regression; use vcov='bootstrap' "
            "or cf.Bootstrap(cluster=...)"
        )
    if root.instrumented is not None:
        raise CapabilityError(
            "the wild bootstrap puts new errors on a regression, and of an instrumented one the first stage's errors "
            "must move with them; use vcov='bootstrap' or cf.Bootstrap(cluster=...), or for the test of one effect "
            "fit.anderson_rubin(), which weak instruments and few clusters upset less"
        )
    if root.X.shape[1] != evidence.jac.shape[1] or evidence.stages[0].scores is not None:
        raise CapabilityError(
            "the wild bootstrap needs the regression's design, which a difference in means does not keep; use "
            "method='regression', which gives the same estimate"
        )
    return root


def answers(evidence: Influence, theta: Array) -> bool:
    """Whether there is a wild bootstrap of these estimates."""
    try:
        linear_root(evidence)
        _refuse_nonlinear(evidence, theta)
    except CapabilityError:
        return False
    return True


def _refuse_nonlinear(evidence: Influence, theta: Array) -> None:
    """Estimates must be ``jac @ coefficients``, not a nonlinear function that has that slope."""
    value = evidence.jac @ evidence.stages[0].theta
    scale = np.abs(evidence.jac) @ np.abs(evidence.stages[0].theta)
    if np.any(np.abs(value - theta) > 1e-8 * np.maximum(scale, np.abs(theta))):
        raise CapabilityError(
            "the wild bootstrap needs an effect that is linear in the coefficients: measure='difference'; for ratios "
            "use cf.Bootstrap(cluster=...)"
        )


@dataclass(frozen=True, eq=False)
class _Statistic:
    """Arrays of a row a cluster for one combination ``c`` (module docstring)."""

    slope: float
    a: Array
    p: Array
    P: Array
    zB: Array
    PB: Array

    @classmethod
    def of(cls, hat: Hat, c: Array, codes: Codes, count: int) -> _Statistic:
        X, bread, turned = hat.orthonormal(c[None, :])
        b = bread @ turned[0]
        z = group_scores(X, hat.multipliers(), codes, count)
        P = group_scores(X, hat.w * (X @ b), codes, count)
        return cls(float(turned[0] @ b), z @ b, P @ b, P, z @ bread, P @ bread)

    def coefficients(self, V: Array) -> Array:
        """``n0, n1, d00, d01, d11`` (5, r) of the replicates whose multipliers are the rows of ``V`` (r, G)."""
        inner0 = V * self.a - (V @ self.zB) @ self.P.T
        moved = V * self.p
        inner1 = moved - (V @ self.PB) @ self.P.T
        # Multipliers that are all alike repeat the sample: their t is its t at every null value, rounding or not.
        still = np.einsum("rg,rg->r", inner1, inner1) <= ROUNDING**2 * np.einsum("rg,rg->r", moved, moved)
        inner1[still] = 0.0
        squares = [np.einsum("rg,rg->r", x, y) for x, y in ((inner0, inner0), (inner0, inner1), (inner1, inner1))]
        return np.array([V @ self.a, moved.sum(axis=1), *squares])


def _block(V: Array, statistics: list[_Statistic]) -> list[Array]:
    return [s.coefficients(V) for s in statistics]


@dataclass(frozen=True, eq=False)
class Patterns:
    """Blocks of multipliers (r, G): random, or every pattern of signs where there are few.

    Parameters
    ----------
    count : int
        Clusters.
    request : Wild
    """

    count: int
    request: Wild
    seed: int = -1

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", fresh_seed(self.request.seed))

    @property
    def exact(self) -> bool:
        """Whether all sign patterns are enumerated."""
        return self.request.weights == "rademacher" and self.count < 62 and 2**self.count <= self.request.reps

    @property
    def holds_sample(self) -> bool:
        """Whether one of the replicates is the sample itself: under the null, the pattern of plus signs."""
        return self.exact and self.request.null

    def __iter__(self) -> Iterator[Array]:
        size = max(1, BLOCK_CELLS // self.count)
        if self.exact:
            signs = np.array(list(product((1.0, -1.0), repeat=self.count)))
            yield from (signs[i : i + size] for i in range(0, len(signs), size))
            return
        rng = np.random.default_rng(self.seed)
        for start in range(0, self.request.reps, size):
            yield multipliers(rng, (min(size, self.request.reps - start), self.count), self.request.weights)


def multipliers(rng: np.random.Generator, shape: tuple[int, int], kind: str) -> Array:
    """Independent draws with mean 0 and variance 1.

    Parameters
    ----------
    kind : {"rademacher", "webb", "mammen", "normal"}
        Signs; Webb's six points; Mammen's two points, with third moment 1; standard normal.
    """
    if kind == "normal":
        return rng.standard_normal(shape)
    if kind == "mammen":
        root = np.sqrt(5.0)
        return np.asarray(np.where(rng.random(shape) < (root + 1) / (2 * root), (1 - root) / 2, (1 + root) / 2))
    points = np.array([1.0, -1.0])
    if kind == "webb":
        points = np.sqrt([0.5, 1.0, 1.5])
        points = np.concatenate([-points, points])
    return np.asarray(points[rng.integers(0, len(points), shape, dtype=np.int8)])


def described(request: Wild, patterns: Patterns, count: int) -> str:
    """How the replicates were made, in words."""
    unit = f"clusters of {request.cluster}: {count}" if request.cluster else f"rows: {count}"
    null = "null imposed" if request.null else "null not imposed"
    many = f"all {2**count} sign patterns" if patterns.exact else f"{request.reps} replicates, seed {patterns.seed}"
    return f"{unit}; {request.weights}, {null}, {many}"


def _label(request: Wild, patterns: Patterns, count: int) -> str:
    se = "CR1S" if request.cluster else "HC1"
    return f"{se}; p-values and limits by wild bootstrap ({described(request, patterns, count)})"


def _too_few(request: Wild, count: int) -> tuple[str, ...]:
    """A note where the sign patterns are so few that nothing is rejected at 5%, whatever the data."""
    patterns = 2.0 ** min(count, 62)
    # a pattern and its mirror image have opposite t; the sample is one of the patterns only under the null
    least = 1 if request.tails == "symmetric" else 2
    smallest = 2 / patterns if request.null else least / (patterns + 1)
    if request.weights != "rademacher" or smallest <= USUAL:
        return told_of_fewest({request.cluster: count}) if request.cluster else ()
    unit, of = ("clusters", f", cluster={request.cluster!r}") if request.cluster else ("rows", "")
    return (
        f"Note: {count} {unit} have {patterns:g} sign patterns, so that no p-value is below {smallest:.4g} and 95% "
        "limits are infinite, whatever the data; " + f"cf.Wild(weights='webb'{of}) has more patterns",
    )
