"""Weighting: what is timed, beside the least arithmetic that gives the same numbers and a peer's loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import causalformula as cf
from tests.benchmarks import floors
from tests.benchmarks.cases import Case, Limit


def sample(n: int, k: int) -> tuple[pd.DataFrame, str, np.ndarray, np.ndarray, np.ndarray]:
    """Confounded data, their formula, and the intercept with the covariates, the treatment and the outcome."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, k))
    a = (rng.random(n) < 1 / (1 + np.exp(-0.2 * X[:, :5].sum(axis=1)))).astype(float)
    y = X.sum(axis=1) + a + rng.normal(size=n)
    names = [f"x{i}" for i in range(k)]
    data = pd.DataFrame(X, columns=names).assign(a=a, y=y)
    return data, f"y ~ treat(a) + adjust({' + '.join(names)})", np.column_stack([np.ones(n), X]), a, y


def ipw_asympt() -> Case:
    """The ATE with its stacked standard error, n = 2e5, k = 20."""
    data, formula, Z, a, y = sample(200_000, 20)

    def ours() -> Any:
        fit = cf.fit(formula, data, "ipw")
        return np.array([fit.estimate, fit.std_error])

    calls = {"ours": ours, "floor": lambda: floors.ipw_asympt(Z, a, y)}
    return Case("(e) ipw ATE, asympt, n = 2e5, k = 20", calls, (Limit("ours", "floor", 2),), rounds=3)


def aipw_asympt() -> Case:
    """The ATE by two GLMs with its stacked standard error, n = 2e5, k = 20."""
    data, formula, Z, a, y = sample(200_000, 20)

    def ours() -> Any:
        fit = cf.fit(formula, data, "aipw")
        return np.array([fit.estimate, fit.std_error])

    calls = {"ours": ours, "floor": lambda: floors.aipw_asympt(Z, a, y)}
    return Case("(i) aipw ATE by GLMs, asympt, n = 2e5, k = 20", calls, (Limit("ours", "floor", 2.5),), rounds=3)


def ebal_att() -> Case:
    """Entropy balancing for the ATT, n = 1e5, k = 20, beside a bare Newton on the dual and the weighted means."""
    data, formula, Z, a, y = sample(100_000, 20)

    def ours() -> Any:
        return np.array([cf.fit(formula, data, "ebal", estimand="ATT").estimate])

    calls = {"ours": ours, "floor": lambda: floors.ebal_att(Z, a, y)}
    return Case("(f) ebal ATT, n = 1e5, k = 20", calls, (Limit("ours", "floor", 3),), rounds=3)


COMPARED = ("difference_in_means", "regression", "ipw", "ebal", "cbps", "ipt", "subclass", "aipw")


def comparison() -> Case:
    """``compare`` of eight methods, n = 1e5, k = 10, beside the sum of its fits: data are bound once."""
    data, formula, *_ = sample(100_000, 10)

    def ours() -> Any:
        return cf.compare(formula, data, COMPARED).tidy()["estimate"].to_numpy()

    def fits() -> Any:
        return np.array([
            cf.fit("y ~ treat(a)" if name == "difference_in_means" else formula, data, name, estimand="ATE").estimate
            for name in COMPARED
        ])  # fmt: skip

    calls = {"ours": ours, "floor": fits}
    return Case("(j) compare of eight methods, n = 1e5, k = 10", calls, (Limit("ours", "floor", 1),), rounds=2)


def balance_table() -> Case:
    """A table of 30 covariates on ten times the rows: sorting takes 12 times as long, and the cache misses a third."""
    calls = {}
    for n in (100_000, 1_000_000):
        data, formula, *_ = sample(n, 30)
        fit = cf.fit(formula, data, "ipw")
        calls[f"n = {n:.0e}"] = lambda fit=fit: fit.design.balance().to_frame()
        del data, fit
    limits = (Limit("n = 1e+06", "n = 1e+05", 16),)
    return Case("(g) balance table of 30 covariates, linear in n", calls, limits, rounds=2, rtol=None)


def ipw_bootstrap() -> Case:
    """The whole ipw pipeline, 200 replicates, n = 5e3, k = 10; a fifth of the peer's loop is timed.

    On one thread each: a loop of small products runs ten times slower on two.
    """
    import statsmodels.api as sm

    data, formula, Z, a, y = sample(5_000, 10)

    def ours() -> Any:
        return cf.fit(formula, data, "ipw", vcov=cf.Bootstrap(reps=200, seed=1)).std_error

    def peer() -> Any:
        rng = np.random.default_rng(1)
        draws = []
        for _ in range(40):
            rows = rng.integers(0, len(y), len(y))
            p = sm.Logit(a[rows], Z[rows]).fit(disp=0).predict()
            w = a[rows] / p + (1 - a[rows]) / (1 - p)
            draws.append(sm.WLS(y[rows], sm.add_constant(a[rows]), weights=w).fit().params[1])
        return np.std(draws, ddof=1)

    return Case(
        "(h) ipw bootstrap, 200 replicates, n = 5e3, k = 10, one thread",
        {"ours": ours, "floor": lambda: floors.ipw_bootstrap(Z, a, y, 200), "statsmodels loop": peer},
        (Limit("ours", "floor", 2), Limit("ours", "statsmodels loop", 1 / 5)),
        rounds=3,
        # forty draws tell their standard deviation to a ninth of itself
        rtol=0.35,
        scale={"statsmodels loop": 5.0},
        threads=1,
    )


WEIGHTING: tuple[Callable[[], Case], ...] = (
    ipw_asympt,
    aipw_asympt,
    ebal_att,
    balance_table,
    ipw_bootstrap,
    comparison,
)
