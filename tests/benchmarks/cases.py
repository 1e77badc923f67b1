"""What is timed: the package, the bare-numpy floor and the peer, on the same numbers and in the same run."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import causalformula as cf
from causalformula.frame.regression_frame import bind_regression
from causalformula.inference.covariance import covariance
from causalformula.inference.linear import fit_linear
from tests.benchmarks import floors


@dataclass(frozen=True)
class Limit:
    """Seconds (or bytes) of one thing as a share of another's, and the most that is allowed."""

    what: str
    against: str
    most: float


@dataclass(frozen=True)
class Case:
    """Things that are timed side by side.

    Attributes
    ----------
    title : str
    calls : mapping of str to callable
        Each returns the numbers that it computes; those of one case agree (``rtol``).
    limits : tuple of Limit
    rounds : int
        The least time of so many rounds counts: the others were disturbed.
    once : tuple of str
        Slow peers that are timed in the first round only.
    rtol : float, optional
        Of the comparison with ``ours``; None where the numbers are random.
    scale : mapping of str to float
        Factor for a call that does a part of the work only (a tenth of the replicates, say).
    threads : int, optional
        Of the linear algebra, for every call; None for as many as there are.
    """

    title: str
    calls: dict[str, Callable[[], Any]]
    limits: tuple[Limit, ...]
    rounds: int = 5
    once: tuple[str, ...] = ()
    rtol: float | None = 1e-6
    scale: dict[str, float] = field(default_factory=dict)
    threads: int | None = None


def timed(case: Case) -> dict[str, float]:
    """Least seconds of each call, after one round that warms up; checks that the numbers agree."""
    with threadpool_limits(case.threads):
        return _timed(case)


def _timed(case: Case) -> dict[str, float]:
    best: dict[str, float] = {}
    for round_ in range(case.rounds + 1):
        for name, call in case.calls.items():
            if name in case.once and name in best:
                continue
            start = time.perf_counter()
            numbers = call()
            seconds = (time.perf_counter() - start) * case.scale.get(name, 1.0)
            if round_ or name in case.once:
                best[name] = min(seconds, best.get(name, np.inf))
            else:
                _agree(case, name, numbers)
    return best


def _agree(case: Case, name: str, numbers: Any) -> None:
    if case.rtol is not None and numbers is not None:
        expected = case.calls["floor"]()
        np.testing.assert_allclose(numbers, expected, rtol=case.rtol, err_msg=f"{case.title}: {name}")


def ratios(case: Case, seconds: dict[str, float]) -> list[tuple[Limit, float]]:
    """Each limit with the ratio that was measured."""
    return [(limit, seconds[limit.what] / seconds[limit.against]) for limit in case.limits]


def study(n: int, k: int, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame, str]:
    """A design matrix of ``k`` columns (intercept, treatment, confounders), the data and the confounders' names."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, k - 2))
    names = [f"x{j + 1}" for j in range(k - 2)]
    a = rng.binomial(1, 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    eta = 0.5 * a + x @ (0.4 / np.arange(1, k - 1))
    data = pd.DataFrame(x, columns=names).assign(
        A=a, y=eta + rng.normal(size=n), binary=rng.binomial(1, 1 / (1 + np.exp(-eta))).astype(float)
    )
    return np.column_stack([np.ones(n), a, x]), data, " + ".join(names)


# ---- the cases ------------------------------------------------------------------------------------------------------


def ols_hc3() -> Case:
    """Least squares with HC3, n = 1e6, k = 20; the formula's own time apart."""
    import statsmodels.api as sm

    _, data, names = study(1_000_000, 20)
    formula = f"y ~ A + {names}"
    frame = bind_regression(formula, data)
    X, y = frame.X, data["y"].to_numpy()

    def fit() -> Any:
        model = fit_linear(X, y, frame.names)
        return model.theta, covariance(model.estimate(), cf.HC("HC3")).std_error

    def peer() -> Any:
        model = sm.OLS(y, X).fit(cov_type="HC3")
        return model.params, model.bse

    def formula_alone() -> None:
        bind_regression(formula, data)

    def whole() -> Any:
        model = cf.lm(formula, data, vcov="HC3")
        return model.params, model.bse

    calls = {
        "ours": fit,
        "floor": lambda: floors.ols_hc3(X, y),
        "formula": formula_alone,
        "cf.lm": whole,
        "statsmodels": peer,
    }
    limits = (Limit("ours", "floor", 2.0), Limit("ours", "statsmodels", 1 / 6))
    return Case("(a) OLS with HC3, n = 1e6, k = 20", calls, limits, rounds=3, once=("statsmodels",))


def ols_memory() -> float:
    """Most extra memory of ``cf.lm`` with HC3 (the design matrix included), in design matrices."""
    X, data, names = study(1_000_000, 20)
    size = X.nbytes
    del X
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    cf.lm(f"y ~ A + {names}", data, vcov="HC3").bse  # noqa: B018
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak - before) / size


def logit_gcomp() -> Case:
    """G-computation after a logistic regression, n = 2e5, k = 20."""
    import statsmodels.api as sm

    X, data, names = study(200_000, 20)
    y = data["binary"].to_numpy()

    def ours() -> Any:
        fit = cf.fit(f"binary ~ treat(A) + {names}", data, family="binomial")
        return fit.estimate, fit.std_error

    def peer() -> None:
        sm.GLM(y, X, family=sm.families.Binomial()).fit()

    calls = {"ours": ours, "floor": lambda: floors.logit_gcomp(X, y, 1), "statsmodels GLM alone": peer}
    limits = (Limit("ours", "floor", 2.5), Limit("ours", "statsmodels GLM alone", 1.0))
    return Case("(b) logit g-computation, delta method, n = 2e5, k = 20", calls, limits, rounds=3)


def bootstrap() -> Case:
    """Pairs bootstrap of least squares, 1000 replicates, n = 1e4, k = 10; a tenth of the peer's loop is timed."""
    import statsmodels.api as sm

    X, data, names = study(10_000, 10)
    y = data["y"].to_numpy()

    def ours() -> Any:
        return cf.fit(f"y ~ treat(A) + {names}", data, vcov=cf.Bootstrap(reps=1000, seed=1)).std_error

    def peer() -> Any:
        rng = np.random.default_rng(1)
        draws = []
        for _ in range(100):
            rows = rng.integers(0, len(y), len(y))
            draws.append(sm.OLS(y[rows], X[rows]).fit().params[1])
        return np.std(draws, ddof=1)

    calls = {"ours": ours, "floor": lambda: floors.pairs_bootstrap(X, y, 1, 1000), "statsmodels loop": peer}
    limits = (Limit("ours", "statsmodels loop", 1 / 20),)
    return Case(
        "(c) pairs bootstrap of OLS, 1000 replicates, n = 1e4, k = 10",
        calls,
        limits,
        rounds=5,
        # the sd of a hundred draws is off by a fourteenth of itself, and by three times that now and then
        rtol=0.3,
        scale={"statsmodels loop": 10.0},
    )


def heart() -> Case:
    """``cf.fit`` on a thousand rows, end to end, with its summary as text."""
    import statsmodels.formula.api as smf

    data = cf.datasets.load("heart").rename(columns={"I.H": "IH"})
    X = np.column_stack([np.ones(len(data)), data["Drug"], data["IH"]])
    y = data["Severity"].to_numpy()

    def ours() -> Any:
        fit = cf.fit("Severity ~ treat(Drug) + adjust(IH)", data)
        str(fit.summary())
        return fit.estimate, fit.std_error, fit.tvalues.iloc[0]

    def peer() -> Any:
        fit = smf.ols("Severity ~ Drug + IH", data).fit()
        str(fit.summary())
        return fit.params["Drug"], fit.bse["Drug"], fit.tvalues["Drug"]

    calls = {"ours": ours, "floor": lambda: floors.ols_effect(X, y, 1), "statsmodels": peer}
    return Case("(d) the heart example, summary printed", calls, (Limit("ours", "statsmodels", 1.0),), rounds=20)


CASES: tuple[Callable[[], Case], ...] = (ols_hc3, logit_gcomp, bootstrap, heart)
MEMORY = Limit("cf.lm", "the design matrix", 2.5)
