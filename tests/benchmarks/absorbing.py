"""Absorbed fixed effects, clustered: what is timed, beside pyfixest and linearmodels where they are installed.

The extra is ``pyfixest``.
"""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

import causalformula as cf
from causalformula.numerics.absorption.absorber import Absorber
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.linalg import group_scores
from tests.benchmarks import floors
from tests.benchmarks.cases import Case, Limit

NAMES = [f"x{j}" for j in range(5)]


@dataclass(frozen=True)
class Rows:
    """Five columns and an outcome (last), with two factors; the first one's levels are the clusters."""

    first: np.ndarray
    second: np.ndarray
    M: np.ndarray

    @staticmethod
    def of(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> Rows:
        a, b = rng.normal(size=first.max() + 1)[first], rng.normal(size=second.max() + 1)[second]
        X = np.asfortranarray(rng.normal(size=(len(first), 5)) + 0.5 * (a + b)[:, None])
        y = X.sum(axis=1) + a + b + rng.normal(size=len(first))
        return Rows(first, second, np.asfortranarray(np.column_stack([X, y])))

    def data(self) -> pd.DataFrame:
        return pd.DataFrame(self.M, columns=[*NAMES, "y"]).assign(first=self.first, second=self.second)


def panel(units: int, periods: int = 10, lost: float = 0.0) -> Rows:
    """Units by periods, of which a share of rows is lost."""
    rng = np.random.default_rng(0)
    first, second = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    kept = rng.random(len(first)) >= lost
    return Rows.of(first[kept], second[kept], rng)


def jobs(workers: int, firms: int, periods: int = 10, movers: float = 0.3) -> Rows:
    """Workers in firms, of whom a few change once, to any other."""
    rng = np.random.default_rng(1)
    before, after = rng.integers(0, firms, workers), rng.integers(0, firms, workers)
    change = np.where(rng.random(workers) < movers, rng.integers(1, periods, workers), periods)
    later = np.arange(periods) >= change[:, None]
    firm = np.where(later, after[:, None], before[:, None]).ravel()
    return Rows.of(np.repeat(np.arange(workers), periods), firm, rng)


def clustered(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Coefficients of the last of the demeaned columns on the others, and their standard errors by cluster."""
    X, y = values[:, :-1], values[:, -1]
    bread = np.linalg.inv(X.T @ X)
    beta = bread @ (X.T @ y)
    sums = group_scores(X, y - X @ beta, codes, int(codes.max()) + 1)
    return np.concatenate([beta, np.sqrt(np.diag(bread @ (sums.T @ sums) @ bread))])


def ours(rows: Rows) -> np.ndarray:
    effects = [Effect(codes, int(codes.max()) + 1) for codes in (rows.first, rows.second)]
    demeaned = Absorber(effects).demean(rows.M)
    assert demeaned.converged
    return clustered(demeaned.values, rows.first)


def formula() -> str:
    return f"y ~ {' + '.join(NAMES)} | first + second"


def whole(rows: Rows) -> Callable[[], np.ndarray]:
    """The verb, from the formula to the standard errors, without small-sample factors."""
    data, none = rows.data(), cf.ssc(K_adj=False, G_adj=False)

    def run() -> np.ndarray:
        model = cf.lm(formula(), data, vcov="~first", ssc=none)
        return np.concatenate([model.params.to_numpy(), model.bse.to_numpy()])

    return run


def absorbing_memory(units: int = 100_000) -> float:
    """Most extra memory of ``cf.lm``, clustered (the design matrix included), in design matrices."""
    rows = panel(units)
    data, size = rows.data(), rows.M[:, :-1].nbytes
    cf.lm(formula(), panel(100).data(), vcov="~first").bse  # noqa: B018 (what is imported is not the fit's)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    cf.lm(formula(), data, vcov="~first").bse  # noqa: B018
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak - before) / size


# The design, from which the effects are taken in place, is kept, as are seven vectors of the rows: 2.5.
ABSORBING_MEMORY = Limit("cf.lm", "the design matrix", 3.0)


def by_pyfixest(rows: Rows, **options: Any) -> Callable[[], np.ndarray]:
    """Its regression from the formula, without small-sample factors."""
    import pyfixest as pf

    data = rows.data()

    def run() -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            none = pf.ssc(k_adj=False, G_adj=False)
            fit = pf.feols(formula(), data, vcov={"CRV1": "first"}, ssc=none, fixef_rm="none", **options)
        return np.concatenate([fit.coef().to_numpy(), fit.se().to_numpy()])

    return run


def by_linearmodels(rows: Rows) -> Callable[[], np.ndarray]:
    from linearmodels.panel import PanelOLS

    data = rows.data().set_index(["first", "second"])

    def run() -> np.ndarray:
        model = PanelOLS(data["y"], data[NAMES], entity_effects=True, time_effects=True)
        fit = model.fit(cov_type="clustered", cluster_entity=True, debiased=False, group_debias=False)
        return np.concatenate([fit.params.to_numpy(), fit.std_errors.to_numpy()])

    return run


def two_way(letter: str, lost: float, most: float, units: int = 100_000) -> Case:
    rows = panel(units, lost=lost)
    calls: dict[str, Callable[[], Any]] = {
        "floor": lambda: clustered(floors.alternating_means(rows.M, (rows.first, rows.second)), rows.first),
        "ours": lambda: ours(rows),
        "cf.lm": whole(rows),
    }
    limits = [Limit("ours", "floor", most)]
    if find_spec("pyfixest") is not None:
        calls["pyfixest"] = by_pyfixest(rows)
        limits += [Limit("ours", "pyfixest", 0.5), Limit("cf.lm", "pyfixest", 1.0)]
    if find_spec("linearmodels") is not None:
        calls["linearmodels"] = by_linearmodels(rows)
        limits += [Limit("ours", "linearmodels", 1 / 5), Limit("cf.lm", "linearmodels", 1 / 5)]
    title = f"({letter}) two-way effects, clustered, n = {len(rows.M):.1e}, {units:.0e} units, {lost:.0%} of rows lost"
    return Case(title, calls, tuple(limits), rounds=3, once=("linearmodels",), threads=1)


def absorbed_balanced() -> Case:
    """Every unit in every period: alternating means are there after one round, and nothing can be faster."""
    return two_way("u", 0.0, 1.6)


def absorbed_unbalanced() -> Case:
    """Rows lost at random: alternating means take many rounds."""
    return two_way("v", 0.15, 0.7)


def absorbed_jobs(workers: int = 100_000, firms: int = 10_000) -> Case:
    """Two large factors that few movers link; pyfixest's default takes minutes, and its other way is timed."""
    rows = jobs(workers, firms)
    calls: dict[str, Callable[[], Any]] = {"ours": lambda: ours(rows)}
    limits: list[Limit] = []
    if find_spec("pyfixest") is not None:
        from pyfixest import LsmrDemeaner

        calls["floor"] = by_pyfixest(rows, demeaner=LsmrDemeaner())
        limits.append(Limit("ours", "floor", 0.5))
    title = f"(w) workers and firms, n = {len(rows.M):.0e}, {workers:.0e} and {firms:.0e}; the floor is pyfixest's lsmr"
    return Case(title, calls, tuple(limits), rounds=2, rtol=1e-5 if limits else None, threads=1)


def counts(units: int, lost: float) -> pd.DataFrame:
    """Units by periods with counts in place of the outcome."""
    rows = panel(units, lost=lost)
    rng, scaled = np.random.default_rng(2), rows.data()
    eta = 0.2 * rows.M[:, :-1].sum(axis=1) + 0.5 * rng.normal(size=units)[rows.first]
    return scaled.assign(y=rng.poisson(np.exp(eta)))


def absorbed_counts(units: int = 20_000) -> Case:
    """A poisson regression beside units and periods: its weights are new at every step."""
    data, none = counts(units, 0.1), cf.ssc(K_adj=False, G_adj=False)

    def glm() -> np.ndarray:
        model = cf.glm(formula(), data, family="poisson", vcov="~first", ssc=none)
        return np.concatenate([model.params.to_numpy(), model.bse.to_numpy()])

    calls: dict[str, Callable[[], Any]] = {"cf.glm": glm}
    limits: list[Limit] = []
    if find_spec("pyfixest") is not None:
        import pyfixest as pf

        def theirs() -> np.ndarray:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit = pf.fepois(formula(), data, vcov={"CRV1": "first"}, ssc=pf.ssc(k_adj=False, G_adj=False))
            return np.concatenate([fit.coef().to_numpy(), fit.se().to_numpy()])

        calls["floor"] = theirs
        limits.append(Limit("cf.glm", "floor", 1.0))
    title = (
        f"(x) counts, two-way effects, n = {len(data):.1e}, {units:.0e} units, 10% of rows lost; the floor is fepois"
    )
    return Case(title, calls, tuple(limits), rounds=2, rtol=1e-5 if limits else None, threads=1)


ABSORBING: tuple[Callable[[], Case], ...] = (
    absorbed_balanced,
    absorbed_unbalanced,
    absorbed_jobs,
    absorbed_counts,
)
