"""Weighting against bare numpy: the least arithmetic that gives the same numbers, timed in the same run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.benchmarks.cases import Case, Limit, ratios, timed

pytestmark = pytest.mark.benchmark


def sample(n, k):
    """Confounded data, their formula and arrays."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, k))
    a = (rng.random(n) < 1 / (1 + np.exp(-0.2 * X[:, :5].sum(axis=1)))).astype(float)
    y = X.sum(axis=1) + a + rng.normal(size=n)
    names = [f"x{i}" for i in range(k)]
    data = pd.DataFrame(X, columns=names).assign(a=a, y=y)
    return data, f"y ~ treat(a) + adjust({' + '.join(names)})", np.column_stack([np.ones(n), X]), a, y


def logit_newton(Z, a, s, b, steps):
    """Newton steps of a weighted logit."""
    for _ in range(steps):
        p = 1 / (1 + np.exp(-Z @ b))
        b = b + np.linalg.solve((Z * (s * p * (1 - p))[:, None]).T @ Z, Z.T @ (s * (a - p)))
    return b


def hajek(a, y, w):
    return (w * a) @ y / (w @ a) - (w * (1 - a)) @ y / (w @ (1 - a))


def ipw():
    """The ATE with its stacked standard error, n = 2e5, k = 20."""
    data, formula, Z, a, y = sample(200_000, 20)

    def floor():
        b = logit_newton(Z, a, np.ones(len(a)), np.zeros(Z.shape[1]), 6)
        p = 1 / (1 + np.exp(-Z @ b))
        w = a / p + (1 - a) / (1 - p)
        m1, m0 = (w * a) @ y / (w @ a), (w * (1 - a)) @ y / (w @ (1 - a))
        r = np.where(a == 1, (y - m1) / (w @ a), -(y - m0) / (w @ (1 - a)))
        c = Z.T @ (r * np.where(a == 1, -(1 - p) / p, p / (1 - p)))
        H = (Z * (p * (1 - p))[:, None]).T @ Z
        psi = w * r + (a - p) * (Z @ np.linalg.solve(H, c))
        return np.array([m1 - m0, np.sqrt(psi @ psi)])

    def ours():
        fit = cf.fit(formula, data, "ipw")
        return np.array([fit.estimate, fit.std_error])

    return Case("ipw ATE, n = 2e5, k = 20", {"ours": ours, "floor": floor}, (Limit("ours", "floor", 2),), rounds=3)


def ebal():
    """Entropy balancing for the ATT, n = 1e5, k = 20, beside a bare Newton on the dual and the weighted means."""
    data, formula, Z, a, y = sample(100_000, 20)

    def floor():
        C, target = Z[a == 0], Z[a == 1].mean(axis=0)
        lam = np.zeros(Z.shape[1])
        lam[0] = -np.log(len(C))
        for _ in range(8):
            w = np.exp(C @ lam)
            lam = lam - np.linalg.solve((C * w[:, None]).T @ C, C.T @ w - target)
        w = np.exp(C @ lam)
        return np.array([y[a == 1].mean() - w @ y[a == 0] / w.sum()])

    def ours():
        return np.array([cf.fit(formula, data, "ebal", estimand="ATT").estimate])

    return Case("ebal ATT, n = 1e5, k = 20", {"ours": ours, "floor": floor}, (Limit("ours", "floor", 3),), rounds=3)


def bootstrap():
    """The whole ipw pipeline, 200 replicates, n = 5e3, beside a warm-started Newton loop."""
    data, formula, Z, a, y = sample(5_000, 10)
    n = len(a)

    def floor():
        rng = np.random.default_rng(0)
        start = logit_newton(Z, a, np.ones(n), np.zeros(Z.shape[1]), 6)
        out = []
        for _ in range(200):
            s = rng.multinomial(n, np.full(n, 1 / n)).astype(float)
            p = 1 / (1 + np.exp(-Z @ logit_newton(Z, a, s, start, 4)))
            out.append(hajek(a, y, s * (a / p + (1 - a) / (1 - p))))
        return np.std(out, ddof=1)

    def ours():
        return cf.fit(formula, data, "ipw", vcov=cf.Bootstrap(reps=200, seed=1)).std_error

    limit = (Limit("ours", "floor", 2),)
    return Case("ipw bootstrap, 200 replicates, n = 5e3", {"ours": ours, "floor": floor}, limit, rounds=3, rtol=None)


@pytest.mark.parametrize("make", [ipw, ebal, bootstrap], ids=lambda make: make.__name__)
def test_as_fast_as_promised(make, capsys):
    case = make()
    seconds = timed(case)
    with capsys.disabled():
        print(f"\n{case.title}: " + ", ".join(f"{name} {1000 * s:.4g} ms" for name, s in seconds.items()))
    for limit, ratio in ratios(case, seconds):
        assert ratio <= limit.most, f"{limit.what} takes {ratio:.3g} x {limit.against}, {limit.most:.3g} is allowed"
