"""Every row of VARIANCES against its definition written out with n x n matrices, and the laws between them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from causalformula.inference.covariance import covariance
from causalformula.inference.estimate import Estimate, stack
from causalformula.inference.evidence import Draws, Fixed, Influence
from causalformula.inference.generalised import fit_glm
from causalformula.inference.linear import fit_linear
from causalformula.inference.regression import FittedRegression
from causalformula.inference.requests import HC, Asympt, Classical, Cluster
from causalformula.inference.sandwich.clusters import cr2, cr3
from causalformula.inference.sandwich.roots import inverse_root_times, nodes
from causalformula.inference.sandwich.variances import VARIANCES
from causalformula.inference.stage import Hat
from causalformula.numerics.families import family

seeds = st.integers(0, 2**31 - 1)
MODELS = ("ols", "wls", "logit", "probit", "poisson weighted")
N, G = 40, 9


def simulated(seed: int, model: str) -> tuple[FittedRegression, np.ndarray, np.ndarray]:
    """A fitted model, cluster codes of unequal sizes, and a Jacobian of two contrasts."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(N), rng.normal(size=(N, 2)), np.arange(N) % 2])
    codes = np.concatenate([np.arange(G), rng.integers(0, G, N - G) ** 2 % G])
    index = 0.3 * X.sum(axis=1) + 0.5 * rng.normal(size=G)[codes]
    weights = rng.uniform(0.5, 3, N)
    names = ("(Intercept)", "x", "z", "t")
    if model in ("ols", "wls"):
        y = index + rng.normal(size=N)
        fitted = fit_linear(X, y, names, weights=weights if model == "wls" else None)
    elif model == "poisson weighted":
        fitted = fit_glm(X, rng.poisson(np.exp(index)) + 0.0, names, family("poisson"), weights=weights, to_zero=True)
    else:
        # both outcomes on both sides of every covariate: no separation
        y = (rng.random(N) < 1 / (1 + np.exp(-index / 2))).astype(float)
        y[:8], X[:8, 1:3] = [0, 1, 0, 1, 0, 1, 0, 1], np.repeat([[2.0, 2.0], [-2, -2]], 4, axis=0)
        fitted = fit_glm(X, y, names, family("binomial", model), to_zero=True)
    return fitted, codes, rng.normal(size=(2, 4))


def estimate(fitted: FittedRegression, jac: np.ndarray) -> Estimate:
    names = tuple(f"c{k}" for k in range(len(jac)))
    return Estimate(names, jac @ fitted.theta, Influence((fitted.stage(),), jac, len(fitted.y), rooted=True))


def response_scale(hat: Hat) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Design, weights, residuals, working variances and bread on the scale of the response."""
    if hat.target is None:
        return hat.X, hat.w, hat.e, np.ones(len(hat.w)), np.linalg.inv(hat.X.T @ (hat.w[:, None] * hat.X))
    slope = np.sqrt(hat.w * hat.target)
    X = slope[:, None] * hat.X
    return X, 1 / hat.target, slope * hat.e, hat.target, np.linalg.inv(X.T @ (X / hat.target[:, None]))


def adjustment(hat: Hat, rows: np.ndarray, kind: str) -> np.ndarray:
    """A_g from its definition."""
    X, w, _, phi, M = response_scale(hat)
    IH = np.eye(len(w)) - X @ M @ (X * w[:, None]).T
    if kind == "CR3":
        return np.linalg.inv(IH[np.ix_(rows, rows)])
    V = (IH @ np.diag(phi) @ IH.T)[np.ix_(rows, rows)]
    D = np.diag(np.sqrt(phi[rows]))
    return D @ np.linalg.inv(np.real(sqrtm(D @ V @ D))) @ D


def clustered_by_definition(hat: Hat, codes: np.ndarray, jac: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The covariance and the degrees of freedom, with n x n and G x G matrices."""
    X, w, e, phi, M = response_scale(hat)
    IH = np.eye(len(w)) - X @ M @ (X * w[:, None]).T
    scores, P = [], []
    for g in np.unique(codes):
        rows = np.flatnonzero(codes == g)
        A = adjustment(hat, rows, kind)
        weighted = jac @ M @ (X[rows] * w[rows, None]).T
        scores.append(weighted @ A @ e[rows])
        P.append(IH[rows].T @ A.T @ weighted.T)
    df = []
    for c in range(len(jac)):
        p = np.array([one[:, c] for one in P])
        T = p @ np.diag(phi) @ p.T
        df.append(np.trace(T) ** 2 / (T**2).sum())
    return sum(np.outer(s, s) for s in scores), np.array(df)


def rows_by_definition(name: str, hat: Hat) -> np.ndarray:
    """Squared multipliers of the residuals, one a row."""
    h = np.diag(np.sqrt(hat.w)[:, None] * hat.X @ hat.bread @ hat.X.T * np.sqrt(hat.w))
    n, k = hat.X.shape
    mean = k / n
    return {
        "asympt": np.ones(n),
        "HC0": np.ones(n),
        "HC1": np.full(n, n / (n - k)),
        "linearised": np.full(n, n / (n - 1)),
        "HC2": 1 / (1 - h),
        "HC3": 1 / (1 - h) ** 2,
        "HC4": (1 - h) ** -np.minimum(4, h / mean),
        "HC4m": (1 - h) ** -(np.minimum(1, h / mean) + np.minimum(1.5, h / mean)),
        "HC5": (1 - h) ** -(np.minimum(h / mean, max(4, 0.7 * h.max() / mean)) / 2),
    }[name]


def agree(ours: np.ndarray, theirs: np.ndarray, rtol: float = 1e-9) -> None:
    scale = np.sqrt(np.abs(np.outer(np.diag(theirs), np.diag(theirs))))
    assert np.abs(ours - theirs).max() <= rtol * scale.max(), np.abs(ours - theirs) / scale


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", [row.name for row in VARIANCES.values() if not row.clustered])
@settings(max_examples=30)
@given(seed=seeds)
def test_rows_against_the_definition(model: str, name: str, seed: int) -> None:
    fitted, _, jac = simulated(seed, model)
    hat = fitted.hat
    bread = np.linalg.inv(fitted.observed) if name == "asympt" else hat.bread
    u = (hat.w * hat.e) ** 2 * rows_by_definition(name, hat)
    expected = jac @ bread @ (hat.X.T @ (u[:, None] * hat.X)) @ bread @ jac.T
    agree(covariance(estimate(fitted, jac), Asympt() if name == "asympt" else HC(name)).matrix, expected)


FACTORS: dict[str, Callable[[float, float, float], float]] = {
    "CR0": lambda n, k, g: 1.0,
    "CR1": lambda n, k, g: g / (g - 1),
    "CR1S": lambda n, k, g: g * (n - 1) / ((g - 1) * (n - k)),
    "CR1p": lambda n, k, g: g / (g - k),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", [row.name for row in VARIANCES.values() if row.clustered])
@settings(max_examples=30)
@given(seed=seeds)
def test_clusters_against_the_definition(model: str, name: str, seed: int) -> None:
    fitted, codes, jac = simulated(seed, model)
    hat = fitted.hat
    found = covariance(estimate(fitted, jac), Cluster("g", type=name), groups={"g": codes})
    if name in FACTORS:
        scores = hat.X * (hat.w * hat.e)[:, None]
        sums = np.array([scores[codes == g].sum(axis=0) for g in np.unique(codes)]) @ hat.bread @ jac.T
        agree(found.matrix, FACTORS[name](N, 4, len(sums)) * sums.T @ sums)
        assert (found.df == (N - 4 if hat.least_squares else np.inf)).all()
    else:
        matrix, df = clustered_by_definition(hat, codes, jac, name)
        agree(found.matrix, matrix, 1e-7)
        np.testing.assert_allclose(found.df, df, rtol=1e-7)


@pytest.mark.parametrize("model", ["ols", "logit", "probit", "poisson weighted"])
@pytest.mark.parametrize(("cr", "hc"), [("CR0", "HC0"), ("CR2", "HC2"), ("CR3", "HC3")])
@settings(max_examples=30)
@given(seed=seeds)
def test_singleton_clusters_give_the_hc_twin(model: str, cr: str, hc: str, seed: int) -> None:
    fitted, _, jac = simulated(seed, model)
    one = estimate(fitted, jac)
    agree(covariance(one, Cluster("i", type=cr), groups={"i": np.arange(N)}).matrix, covariance(one, HC(hc)).matrix)


@pytest.mark.parametrize("model", ["ols", "wls"])
@given(seed=seeds)
def test_singleton_clusters_of_a_linear_model_give_hc1(model: str, seed: int) -> None:
    fitted, _, jac = simulated(seed, model)
    one = estimate(fitted, jac)
    agree(
        covariance(one, Cluster("i", type="CR1S"), groups={"i": np.arange(N)}).matrix, covariance(one, HC("HC1")).matrix
    )
    agree(
        covariance(one, Cluster("i", type="CR3"), groups={"i": np.arange(N)}).matrix, covariance(one, HC("HC3")).matrix
    )


@settings(max_examples=20)
@given(seed=seeds)
def test_cr2_is_unbiased_under_its_working_model(seed: int) -> None:
    """E[V] = M when the errors are independent with unit variance: the mean of the quadratic form is exact."""
    fitted, codes, _ = simulated(seed, "ols")
    hat, p = fitted.hat, 4
    IH = np.eye(N) - hat.X @ hat.bread @ hat.X.T
    total = np.zeros((p, p))
    for column in IH.T:
        one = Hat(hat.X, hat.w, column, hat.bread, 1.0, N - p, True, N)
        sums = cr2(one, codes, int(codes.max()) + 1, np.eye(p)).sums
        total += sums.T @ sums
    agree(total, hat.bread)


@given(seed=seeds)
def test_cr3_is_the_jackknife_over_clusters(seed: int) -> None:
    fitted, codes, _ = simulated(seed, "wls")
    hat, count = fitted.hat, int(codes.max()) + 1
    left_out = []
    for g in range(count):
        kept = codes != g
        again = fit_linear(hat.X[kept], fitted.y[kept], fitted.names, weights=hat.w[kept])
        left_out.append(fitted.theta - again.theta)
    np.testing.assert_allclose(cr3(hat, codes, count, np.eye(4)).sums, left_out, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("model", ["ols", "wls", "poisson weighted"])
@pytest.mark.parametrize("name", ["CR2", "CR3"])
@settings(max_examples=20)
@given(seed=seeds)
def test_a_cluster_that_its_own_dummy_absorbs_counts_for_nothing(model: str, name: str, seed: int) -> None:
    fitted, codes, _ = simulated(seed, model)
    codes = np.where(codes == 0, 1, codes)
    codes[0] = 0
    weights = None if model == "ols" else fitted.weights
    X = np.column_stack([fitted.X, codes == 0])

    def fit(rows: slice, columns: int) -> FittedRegression:
        w = None if weights is None else weights[rows]
        names = tuple("abcde"[:columns])
        if fitted.linear:
            return fit_linear(X[rows, :columns], fitted.y[rows], names, weights=w)
        # the dummy's row is fitted exactly, so its outcome must be one that a finite coefficient fits
        y = np.where(codes == 0, fitted.y + 1, fitted.y)[rows]
        return fit_glm(X[rows, :columns], y, names, fitted.family, weights=w, to_zero=True)

    request, slopes = Cluster("g", type=name), np.eye(5)[1:3]
    whole = covariance(estimate(fit(slice(None), 5), slopes), request, groups={"g": codes})
    part = covariance(estimate(fit(slice(1, None), 4), slopes[:, :4]), request, groups={"g": codes[1:]})
    agree(whole.matrix, part.matrix, 1e-7)
    np.testing.assert_allclose(whole.df, part.df, rtol=1e-6)


@given(seed=seeds)
def test_an_identical_second_clustering_changes_nothing(seed: int) -> None:
    fitted, codes, jac = simulated(seed, "ols")
    relabelled = (codes * 7 + 3) % 23
    both = covariance(estimate(fitted, jac), Cluster(("g", "h")), groups={"g": codes, "h": relabelled})
    agree(both.matrix, covariance(estimate(fitted, jac), Cluster("g"), groups={"g": codes}).matrix)


@given(seed=seeds)
def test_two_groupings_by_inclusion_and_exclusion(seed: int) -> None:
    fitted, g, jac = simulated(seed, "ols")
    h = np.random.default_rng(seed).integers(0, 6, N)
    found = covariance(estimate(fitted, jac), Cluster(("g", "h"), type="CR1"), groups={"g": g, "h": h})
    one = estimate(fitted, jac)
    parts = [covariance(one, Cluster("k", type="CR1"), groups={"k": k}).matrix for k in (g, h, g * 6 + h)]
    expected = parts[0] + parts[1] - parts[2]
    agree(found.matrix, expected)
    # the repair is that of the coefficients' matrix, whatever is read off them
    every = estimate(fitted, np.eye(jac.shape[1]))
    parts = [covariance(every, Cluster("k", type="CR1"), groups={"k": k}).matrix for k in (g, h, g * 6 + h)]
    values, vectors = np.linalg.eigh(parts[0] + parts[1] - parts[2])
    request = Cluster(("g", "h"), type="CR1", fix=True)
    mended = covariance(estimate(fitted, jac), request, groups={"g": g, "h": h})
    agree(mended.matrix, jac @ (vectors * np.maximum(values, 0)) @ vectors.T @ jac.T)


REQUESTS = {
    "classical": Classical(),
    "HC3": HC("HC3"),
    "~g": Cluster("g"),
    "CR2": Cluster("g", type="CR2"),
    "asympt": Asympt(),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@settings(max_examples=25)
@given(seed=seeds)
def test_maps_compose_and_the_covariance_follows(model: str, request_: object, seed: int) -> None:
    fitted, codes, jac = simulated(seed, model)
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(3, 2)), rng.normal(size=(2, 3))
    start = estimate(fitted, jac)
    two_steps = start.contrast(A, "abc").contrast(B, "de")
    at_once = start.contrast(B @ A, "de")
    groups = {"g": codes}
    V = covariance(start, request_, groups=groups).matrix
    agree(covariance(two_steps, request_, groups=groups).matrix, covariance(at_once, request_, groups=groups).matrix)
    agree(covariance(two_steps, request_, groups=groups).matrix, B @ A @ V @ A.T @ B.T)
    np.testing.assert_allclose(two_steps.theta, B @ A @ start.theta, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["influence", "draws", "fixed"])
@given(seed=seeds)
def test_evidence_is_closed_under_map_select_contrast_and_stack(kind: str, seed: int) -> None:
    fitted, _, jac = simulated(seed, "ols")
    rng = np.random.default_rng(seed)
    draws = rng.normal(size=(60, 2))
    start = {
        "influence": estimate(fitted, jac),
        "draws": Estimate(("c0", "c1"), draws.mean(axis=0), Draws(draws)),
        "fixed": Estimate(("c0", "c1"), np.array([1.0, 2.0]), Fixed(np.array([[2.0, 0.3], [0.3, 1.0]]), 7.0)),
    }[kind]
    request = HC("HC0") if kind != "fixed" else Classical()
    V = covariance(start, request).matrix
    assert type(start.select([1]).evidence) is type(start.evidence)
    agree(covariance(start.select([1]), request).matrix, V[1:, 1:])
    assert start.select([1, 0]).names == ("c1", "c0")
    C = rng.normal(size=(1, 2))
    agree(covariance(start.contrast(C, ["d"]), request).matrix, C @ V @ C.T)
    mapped = start.map(np.exp, np.diag(np.exp(start.theta)), ["e0", "e1"])
    np.testing.assert_allclose(mapped.theta, np.exp(start.theta))
    if kind == "draws":
        agree(covariance(mapped, request).matrix, np.cov(np.exp(draws), rowvar=False))
    else:
        agree(covariance(mapped, request).matrix, np.outer(np.exp(start.theta), np.exp(start.theta)) * V)
    if kind != "fixed":
        joined = stack([start, start.select([0])])
        which = [0, 1, 0]
        agree(covariance(joined, request).matrix, V[np.ix_(which, which)])


@given(seed=seeds, exponent=st.floats(-40, 0))
def test_inverse_roots_by_quadrature(seed: int, exponent: float) -> None:
    """The nodes are right to rounding over their whole range, however wide."""
    low = 10**exponent
    x = np.exp(np.random.default_rng(seed).uniform(np.log(low), 0, 50))
    t, weight = nodes(low, 1.0)
    np.testing.assert_allclose((weight / (t**2 + x[:, None])).sum(axis=1), x**-0.5, rtol=1e-13)


@given(seed=seeds)
def test_inverse_root_of_a_cluster(seed: int) -> None:
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.normal(size=(7, 3)))[0]
    z = q * np.sqrt([0.2, 0.7, 1.0])  # the last direction is the cluster's own
    phi = rng.uniform(0.05, 3, 7)
    B = phi[:, None] * (np.eye(7) - z @ z.T) * phi
    values, vectors = np.linalg.eigh(B)
    root = np.where(values > 1e-9, np.maximum(values, 1e-9) ** -0.5, 0.0)
    expected = phi[:, None] * ((vectors * root) @ vectors.T @ z)
    np.testing.assert_allclose(inverse_root_times(z[None], phi[None])[0], expected, rtol=1e-8, atol=1e-10)
