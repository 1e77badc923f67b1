"""Two-stage least squares, with the floor and the peers in the same run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

import causalformula as cf
from causalformula.inference.covariance import covariance
from causalformula.inference.instrumented import fit_instrumented
from causalformula.inference.structural import Equations
from tests.benchmarks import floors
from tests.benchmarks.cases import Case, Limit


def simulated(n: int, k: int) -> pd.DataFrame:
    """A dose, two instruments, and ``k`` columns of the structural equation with the intercept."""
    rng = np.random.default_rng(0)
    x, u, z = rng.normal(size=(n, k - 2)), rng.normal(size=n), rng.normal(size=(n, 2))
    q = z @ [0.5, 0.3] + 0.3 * x[:, 0] + u + rng.normal(size=n)
    y = 0.5 * q + x @ (0.4 / np.arange(1, k - 1)) + u + rng.normal(size=n)
    return pd.DataFrame(x, columns=confounders(k)).assign(y=y, q=q, z1=z[:, 0], z2=z[:, 1])


def confounders(k: int) -> list[str]:
    return [f"x{j + 1}" for j in range(k - 2)]


def equations(n: int, k: int) -> Equations:
    """The same as arrays, as a design holds them."""
    data, names = simulated(n, k), confounders(k)
    X = np.asfortranarray(np.column_stack([np.ones(n), data[["q", *names]]]))
    excluded = np.asfortranarray(data[["z1", "z2"]].to_numpy())
    return Equations(
        X, data["y"].to_numpy(), ("(Intercept)", "q", *names), excluded, ("z1", "z2"), np.array([1], dtype=np.intp)
    )


def by_pyfixest(data: pd.DataFrame, names: list[str]) -> Callable[[], Any]:
    import pyfixest as pf

    formula = f"y ~ {' + '.join(names)} | q ~ z1 + z2"

    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = pf.feols(formula, data, vcov="iid")
        return fit.coef()["q"], fit.se()["q"]

    return run


def by_linearmodels(data: pd.DataFrame, names: list[str]) -> Callable[[], Any]:
    from linearmodels.iv import IV2SLS

    formula = f"y ~ 1 + {' + '.join(names)} + [q ~ z1 + z2]"

    def run() -> Any:
        fit = IV2SLS.from_formula(formula, data).fit(cov_type="unadjusted", debiased=True)
        return fit.params["q"], fit.std_errors["q"]

    return run


def two_stages(n: int = 1_000_000, k: int = 20) -> Case:
    """From arrays as a design holds them beside the floor, and from the formula beside the peers'."""
    data, names = simulated(n, k), confounders(k)
    given = equations(n, k)
    Z = np.asfortranarray(given.all_instruments)
    formula = f"y ~ treat(q) + iv(z1 + z2) + adjust({' + '.join(names)})"

    def ours() -> Any:
        estimate = fit_instrumented(given).estimate()
        return estimate.theta[1], covariance(estimate, cf.Classical()).std_error[1]

    def whole() -> Any:
        fit = cf.fit(formula, data)
        return fit.estimate, fit.std_error

    calls: dict[str, Callable[[], Any]] = {
        "floor": lambda: floors.two_stages(given.X, Z, given.y, 1),
        "ours": ours,
        "cf.fit": whole,
    }
    limits = [Limit("ours", "floor", 2.0)]
    for peer, call in (("pyfixest", by_pyfixest), ("linearmodels", by_linearmodels)):
        if find_spec(peer) is not None:
            calls[peer] = call(data, names)
            limits.append(Limit("cf.fit", peer, 1.0))
    return Case(f"(y) two-stage least squares, n = {n:.0e}, k = {k}", calls, tuple(limits), rounds=5, threads=1)


INSTRUMENTS: tuple[Callable[[], Case], ...] = (two_stages,)
