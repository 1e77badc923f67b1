"""CR2 with Satterthwaite df beside the least arithmetic that gives the same numbers: ``pytest -m benchmark -s``."""

import time
from itertools import pairwise

import numpy as np
import pytest

from causalformula.inference.covariance import covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.generalised import fit_glm
from causalformula.inference.linear import fit_linear
from causalformula.inference.requests import Cluster
from causalformula.numerics.families import family

pytestmark = pytest.mark.benchmark


def seconds(task, repeat=7):
    best = np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - start)
    return best


def floor(X, e, bread, codes):
    """CR2 and the df of every coefficient: k x k algebra a cluster, one G x G matrix a coefficient."""
    L = np.linalg.cholesky(bread)
    order = np.argsort(codes, kind="stable")
    Z, residual = X[order] @ L, e[order]
    edges = np.flatnonzero(np.diff(codes[order], prepend=-1, append=-2))
    scores, energy, low = [], [], []
    for start, stop in pairwise(edges):
        z = Z[start:stop]
        values, vectors = np.linalg.eigh(z.T @ z)
        inner = (vectors / np.sqrt(1 - values)) @ vectors.T
        scores.append(inner @ (z.T @ residual[start:stop]))
        reach = (vectors * (values / np.sqrt(1 - values))) @ vectors.T @ L.T
        energy.append(((vectors * (values / (1 - values))) @ vectors.T @ L.T * L.T).sum(axis=0))
        low.append(reach)
    sums = np.array(scores) @ L.T
    energy, low = np.array(energy), np.array(low)
    df = []
    for j in range(X.shape[1]):
        T = np.diag(energy[:, j]) - low[:, :, j] @ low[:, :, j].T
        df.append(np.trace(T) ** 2 / (T**2).sum())
    return sums.T @ sums, np.array(df)


@pytest.fixture(scope="module")
def clustered():
    rng = np.random.default_rng(1)
    n, k = 20_000, 10
    X = np.column_stack([np.ones(n), rng.normal(size=(n, k - 1))])
    codes = rng.integers(0, 200, n)
    y = X.sum(axis=1) + rng.normal(size=200)[codes] + rng.normal(size=n)
    return X, y, codes, tuple(f"x{j}" for j in range(k))


def test_cr2(clustered):
    """n = 2e4 in 200 clusters, k = 10: within 3 x of the floor, matrix and degrees of freedom of every coefficient."""
    X, y, codes, names = clustered
    fitted = fit_linear(X, y, names)
    estimate = Estimate(names, fitted.theta, Influence((fitted.stage(),), np.eye(len(names)), len(y), rooted=True))
    request = Cluster("g", type="CR2")
    ours = covariance(estimate, request, groups={"g": codes})
    matrix, df = floor(X, fitted.hat.e, fitted.hat.bread, codes)
    np.testing.assert_allclose(ours.matrix, matrix, rtol=1e-8, atol=1e-14)
    np.testing.assert_allclose(ours.df, df, rtol=1e-8)
    mine = seconds(lambda: covariance(estimate, request, groups={"g": codes}))
    least = seconds(lambda: floor(X, fitted.hat.e, fitted.hat.bread, codes))
    print(f"\nCR2, n = 2e4, 200 clusters, k = 10: {mine:.4f} s, floor {least:.4f} s, ratio {mine / least:.2f}")
    assert mine <= 3 * least


def test_cr2_of_a_logit_with_two_clusters(clustered):
    """Clusters of half the sample: no matrix of a cluster's size is ever made."""
    X, y, _, names = clustered
    fitted = fit_glm(X, (y > 0).astype(float), names, family("binomial"), to_zero=True)
    estimate = Estimate(names, fitted.theta, Influence((fitted.stage(),), np.eye(len(names)), len(y), rooted=True))
    codes = {"g": np.arange(len(y)) % 2}
    mine = seconds(lambda: covariance(estimate, Cluster("g", type="CR2"), groups=codes), repeat=3)
    print(f"\nCR2 of a logit, two clusters of 10,000: {mine:.3f} s")
    assert mine < 2
