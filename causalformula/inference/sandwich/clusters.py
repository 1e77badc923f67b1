"""CR2 and CR3: residuals adjusted cluster by cluster, and Satterthwaite degrees of freedom for each contrast.

With ``X`` the design, ``W`` the working weights, ``M = (X'WX)^{-1}`` and ``H = X M X'W``, cluster g contributes
``s_g = X_g' W_g A_g e_g``. CR3 takes ``A_g = (I - H_gg)^{-1}``: the jackknife over clusters. CR2 takes the symmetric
``A_g = D_g (D_g [(I - H) Phi (I - H)']_gg D_g)^{-1/2} D_g`` with ``D = Phi^{1/2}``, which makes the covariance unbiased
when Phi is the errors' covariance (Bell and McCaffrey 2002; Pustejovsky and Tipton 2018). As in clubSandwich, Phi is
the identity for ``lm``, weighted or not, and the model's variance of the response for a GLM.

The degrees of freedom of a contrast ``c'theta`` are ``(sum_g T_gg)^2 / sum_gh T_gh^2``, where ``T_gh = p_g' Phi p_h``
and ``p_g = (I - H)_g' A_g' W_g X_g M c``. Everything is done on whitened columns ``Z = X L`` with ``L L' = M``, where
each ``T_gh`` is a diagonal plus a product of low rank; no matrix has n or G rows and columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from causalformula.errors import CapabilityError
from causalformula.inference.sandwich.apart import apart
from causalformula.inference.sandwich.dominant import Dominant, basis_of, dominant, dominating, of_rows
from causalformula.inference.sandwich.roots import inverse_root_times, power_of_free
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.linalg import gram

# Numbers held at once for a batch of clusters of one size.
BATCH_CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class Adjusted:
    """Adjusted influences by cluster, and degrees of freedom.

    Parameters
    ----------
    sums : ndarray (G, q)
        ``J M s_g``: the clusters' parts of ``theta_hat - theta``.
    df : ndarray (q,)
        Satterthwaite's, for each row of J.
    """

    sums: Array
    df: Array


@dataclass(frozen=True, eq=False)
class Batch:
    """Clusters of one size: what the sums and the degrees of freedom need of them, on whitened columns.

    With ``E_g = A_g' W_g Z_g``: ``scores = E'e``, ``energy = E' Phi E``, ``a = Z'E`` and ``b = Z'WE`` (None where it
    equals ``a``, which it does when the weights are inverse variances).
    """

    ids: Codes
    scores: Array
    energy: Array
    a: Array
    b: Array | None


def cr2(hat: Hat, codes: Codes, count: int, jac: Array) -> Adjusted:
    """Bell and McCaffrey's adjustment, ``clubSandwich::vcovCR(type = 'CR2')``."""
    return _adjusted(hat, codes, count, jac, -0.5)


def cr3(hat: Hat, codes: Codes, count: int, jac: Array) -> Adjusted:
    """The jackknife's adjustment, ``clubSandwich::vcovCR(type = 'CR3')``."""
    return _adjusted(hat, codes, count, jac, -1.0)


def _adjusted(hat: Hat, codes: Codes, count: int, jac: Array, power: float) -> Adjusted:
    problem = Problem.of(hat, codes, count)
    contrasts = problem.contrasts(jac)
    sums = np.zeros((count, len(jac)))
    moments = Moments.zeros(problem, len(jac))
    few = Few.of(problem, power)
    for rows, ids in batches(codes, few.others, count, problem.width):
        batch = problem.batch(rows, ids, power)
        sums[ids] = batch.scores @ contrasts
        moments = moments.add(batch, contrasts)
    for one in few.clusters:
        sums[one.id] = one.scores @ contrasts
    return Adjusted(sums, moments.df(few, contrasts))


@dataclass(frozen=True, eq=False)
class Few:
    """The clusters that dominate, which are adjusted one by one.

    Parameters
    ----------
    clusters : list of Dominant
    others : ndarray (n,) of bool, optional
        Rows of positive weight of the other clusters; None when these are all rows.
    between : mapping of pairs of int to ndarray (p, p)
        ``L'X'W^2X L`` of all clusters but two of these, by their places; empty where weights are inverse variances.
    """

    clusters: list[Dominant]
    others: Bools | None
    between: Mapping[tuple[int, int], Array]

    @classmethod
    def of(cls, problem: Problem, power: float) -> Few:
        """Found and adjusted."""
        hat = problem.hat
        found = problem.found
        if not found:
            return cls([], problem.used, {})
        clusters = [
            dominant(hat, rows, g, power, problem.Q is None, problem.L, k == 0) for k, (g, rows) in enumerate(found)
        ]
        others = hat.w > 0
        squares = []
        for _, rows in found:
            others[rows] = False
            squares.append(problem.squared(rows))
        rest = problem.squared(np.flatnonzero(others))
        pairs = [(j, k) for j in range(len(found)) for k in range(len(found)) if j != k and problem.Q is not None]
        between = {
            (j, k): rest + np.sum([S for i, S in enumerate(squares) if i not in (j, k)] or [0.0 * rest], axis=0)
            for j, k in pairs
        }
        return cls(clusters, others, between)

    def products(self, contrasts: Array) -> Iterator[Array]:
        """``T_gh`` (q, q) of all ordered pairs of them, each with itself too."""
        for j, one in enumerate(self.clusters):
            for k, other in enumerate(self.clusters):
                T = one.whole if j == k else one.product(other, self.between.get((j, k)))
                yield contrasts.T @ T @ contrasts


def batches(codes: Codes, used: Bools | None, count: int, width: int) -> Iterator[tuple[Codes, Codes]]:
    """Rows (m, s) and cluster numbers (m,), for clusters of one size s at a time, a bounded number of rows at once."""
    place = np.arange(len(codes)) if used is None else np.flatnonzero(used)
    inside = codes[place]
    order = place[np.argsort(inside, kind="stable")]
    sizes = np.bincount(inside, minlength=count)
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes[sizes > 0]):
        members = np.flatnonzero(sizes == size)
        step = max(1, BATCH_CELLS // int(size * width))
        for k in range(0, len(members), step):
            ids = members[k : k + step]
            yield order[starts[ids][:, None] + np.arange(size)], ids


@dataclass(frozen=True, eq=False)
class Problem:
    """A root regression as the adjustments see it.

    Parameters
    ----------
    hat : Hat
    L : ndarray (p, p)
        Whitens the columns: ``L L' = M``.
    used : ndarray (n,) of bool, optional
        Rows of positive weight; None when all are.
    Q : ndarray (p, p), optional
        ``L' X'W^2X L``; None where the weights are inverse variances (or all equal).
    found : list of (int, ndarray of int)
        Clusters that dominate with their rows; L is the basis of the first.
    columns : ndarray (k, p), optional
        The columns as combinations of those of the whole regression, where clusters stand apart.
    """

    hat: Hat
    L: Array
    used: Bools | None
    Q: Array | None
    found: list[tuple[int, Codes]]
    columns: Array | None = None

    def contrasts(self, jac: Array) -> Array:
        """Estimates ``jac`` (q, k) of the coefficients of the whole regression, on whitened columns (p, q)."""
        return np.asarray(self.L.T @ (jac if self.columns is None else jac @ self.columns).T)

    @classmethod
    def of(cls, hat: Hat, codes: Codes, count: int) -> Problem:
        """Whiten the columns, and see whether the weights are inverse variances and which clusters dominate."""
        if hat.X.shape[1] != len(hat.bread):
            raise CapabilityError("CR2 and CR3 need the design of a regression; use 'CR1' or a bootstrap over clusters")
        # of a regression with instruments the adjustments are those of its projected columns
        hat, columns = apart(replace(hat, regressors=None), codes, count)
        if not len(hat.bread):
            return cls(hat, np.empty((0, 0)), hat.w > 0, None, [], columns)
        hat = hat.in_unit()
        used = hat.w > 0
        weights = hat.w[used]
        found = dominating(hat, codes, count)
        L = basis_of(hat, found[0][1], hat.whitening) if found else hat.whitening
        consistent = hat.target is not None or bool(weights.min() == weights.max())
        problem = cls(hat, L, None if used.all() else used, None, found, columns)
        if consistent:
            return problem
        others = np.ones(len(hat.w), dtype=bool)
        for _, rows in found:
            others[rows] = False
        Q = L.T @ gram(hat.X[others] if found else hat.X, (hat.w[others] if found else hat.w) ** 2) @ L
        return replace(problem, Q=np.sum([Q, *(problem.squared(rows) for _, rows in found)], axis=0))

    def squared(self, rows: Codes) -> Array:
        """``L'X'W^2X L`` of some rows (p, p)."""
        weighted = self.hat.w[rows][:, None] * of_rows(self.hat, rows, self.L)
        return np.asarray(weighted.T @ weighted)

    @property
    def width(self) -> int:
        """Numbers a row needs in a batch."""
        return 3 * (len(self.L) + 1)

    def batch(self, rows: Codes, ids: Codes, power: float) -> Batch:
        """The adjustment of clusters of one size."""
        root = np.sqrt(self.hat.w[rows])
        z = (self.hat.X[rows] * root[:, :, None]) @ self.L
        e = root * self.hat.e[rows]
        if power == -0.5 and self.hat.target is not None:
            return self._modelled(ids, z, e, self.hat.target[rows])
        if power == -0.5 and self.Q is not None:
            return self._identity(ids, z, e, root)
        return self._common(ids, z, e, root, power)

    def _common(self, ids: Codes, z: Array, e: Array, root: Array, power: float) -> Batch:
        """``A`` is a power of ``I - zz'``: p x p algebra on the clusters' cross-products."""
        gram = _t(z) @ z
        values, vectors = np.linalg.eigh(gram)
        inner = (vectors * power_of_free(values, power)[:, None, :]) @ _t(vectors)
        scores = (inner @ (_t(z) @ e[:, :, None]))[:, :, 0]
        a = gram @ inner
        if self.Q is None:
            return Batch(ids, scores, inner @ a, a, None)
        twice = _t(z) @ (z * (root**2)[:, :, None])
        return Batch(ids, scores, inner @ twice @ inner, a, twice @ inner)

    def _identity(self, ids: Codes, z: Array, e: Array, root: Array) -> Batch:
        """Weights that are not inverse variances: ``(I - H)(I - H)'`` is the identity plus a term of rank 2p."""
        assert self.Q is not None
        p = len(self.L)
        plain, weighted = z / root[:, :, None], z * root[:, :, None]
        U = np.concatenate([plain, weighted], axis=2)
        core = np.block([[self.Q, -np.eye(p)], [-np.eye(p), np.zeros((p, p))]])
        q, r = np.linalg.qr(U)
        values, vectors = np.linalg.eigh(r @ core @ _t(r))
        change = (vectors * (power_of_free(-values, -0.5) - 1)[:, None, :]) @ _t(vectors)
        E = weighted + q @ (change @ (_t(q) @ weighted))
        scores = (_t(E) @ (e / root)[:, :, None])[:, :, 0]
        return Batch(ids, scores, _t(E) @ E, _t(plain) @ E, _t(weighted) @ E)

    def _modelled(self, ids: Codes, z: Array, e: Array, target: Array) -> Batch:
        """A GLM: ``Phi (Phi (I - zz') Phi)^{-1/2} z`` in the units of ``sqrt(w) e``."""
        E = inverse_root_times(z, target)
        scores = (_t(E) @ e[:, :, None])[:, :, 0]
        return Batch(ids, scores, _t(E) @ E, _t(z) @ E, None)


def _t(stack: Array) -> Array:
    return np.asarray(np.swapaxes(stack, -1, -2))


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over clusters from which the degrees of freedom of every contrast follow.

    ``T = diag(energy) + F core F'`` with F the stacked ``[a, b]`` of a contrast, so that
    ``sum T_gh^2 = sum energy^2 + 2 sum energy diag(F core F') + tr (core F'F)^2``.
    """

    core: Array
    trace: Array
    square: Array
    gram: Array

    @classmethod
    def zeros(cls, problem: Problem, q: int) -> Moments:
        """Nothing added yet."""
        p = len(problem.L)
        core = -np.eye(p)
        if problem.Q is not None:
            core = np.block([[problem.Q, -np.eye(p)], [-np.eye(p), np.zeros((p, p))]])
        return cls(core, np.zeros(q), np.zeros(q), np.zeros((q, len(core), len(core))))

    def add(self, batch: Batch, contrasts: Array) -> Moments:
        """With the clusters of a batch."""
        energy = np.einsum("mpq,pq->mq", batch.energy @ contrasts, contrasts)
        F = batch.a @ contrasts
        if batch.b is not None:
            F = np.concatenate([F, batch.b @ contrasts], axis=1)
        low = np.einsum("mpq,mpq->mq", F, self.core @ F)
        by_contrast = np.moveaxis(F, 2, 0)
        return Moments(
            self.core,
            self.trace + (energy + low).sum(axis=0),
            self.square + (energy * (energy + 2 * low)).sum(axis=0),
            self.gram + _t(by_contrast) @ by_contrast,
        )

    def df(self, few: Few, contrasts: Array) -> Array:
        """Satterthwaite's degrees of freedom (q,); NaN for a contrast that no cluster contributes to."""
        turned = self.core @ self.gram
        total = self.square + np.einsum("qij,qji->q", turned, turned)
        trace = self.trace
        for one in few.clusters:
            left = one.left @ contrasts
            total = total + 2 * np.einsum("iq,qij,jq->q", left, self.gram, left)
            trace = trace + np.einsum("pq,pr,rq->q", contrasts, one.whole, contrasts)
        for T in few.products(contrasts):
            total = total + np.diagonal(T) ** 2
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(trace**2 / total)
