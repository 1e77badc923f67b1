"""Group-time effects: what is timed, beside the peers that are there.

``diff-diff`` and ``csdid`` are timed where they are installed, in an environment of their own (the extra ``did``).
"""

from __future__ import annotations

import contextlib
import io
import tracemalloc
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

import causalformula as cf
from tests.benchmarks.cases import Case, Limit
from tests.benchmarks.learning import quiet

PERIODS = 10
COHORTS = (3, 4, 5, 6, 8)
KINDS = ("simple", "group", "dynamic", "calendar")
FORMULA = "y ~ did(g, t, unit = id) + adjust(x1 + x2)"


def panel(n: int, seed: int = 0) -> pd.DataFrame:
    """Units over ten periods, first treated in five of them or never, with a trend that a covariate has a part in."""
    rng = np.random.default_rng(seed)
    start = rng.choice([0, *COHORTS], n)
    x1, x2, level, t = rng.normal(size=n), rng.normal(size=n), rng.normal(size=n), np.arange(1, PERIODS + 1)
    since = np.where(start[:, None] > 0, t - start[:, None], -1)
    y = level[:, None] + 0.2 * t + 0.1 * t * x1[:, None] + np.where(since >= 0, 1 + 0.1 * since, 0.0)
    y = y + rng.normal(size=y.shape)
    each = {"id": np.arange(n), "g": start, "x1": x1, "x2": x2}
    columns = {name: np.repeat(values, PERIODS) for name, values in each.items()}
    return pd.DataFrame({**columns, "t": np.tile(t, n), "y": y.ravel()})


def ours(data: pd.DataFrame) -> float:
    """All group-time effects, and all summaries with their standard errors."""
    fit = cf.fit(FORMULA, data, est_method="dr")
    found = [fit.aggregate(kind) for kind in KINDS]
    assert all(summary.overall.std_error > 0 for summary in found)
    return found[0].overall.estimate


def bare(data: pd.DataFrame) -> float:
    """Every cell by itself with its models of treatment and outcome, no standard error: the mean after treatment."""
    first = data.iloc[::PERIODS]
    start, Y = first["g"].to_numpy(), data["y"].to_numpy().reshape(-1, PERIODS)
    X = np.column_stack([np.ones(len(first)), first[["x1", "x2"]]])
    total = weight = 0.0
    for group in COHORTS:
        part = (start == group) | (start == 0)
        D, Z, changed = (start[part] == group).astype(float), X[part], Y[part]
        for t in range(1, PERIODS):
            gamma = np.zeros(3)
            for _ in range(6):
                p = 1 / (1 + np.exp(-Z @ gamma))
                gamma += np.linalg.solve((Z * (p * (1 - p))[:, None]).T @ Z, Z.T @ (D - p))
            change = changed[:, t] - changed[:, min(group - 2, t - 1)]
            beta = np.linalg.lstsq(Z[D == 0], change[D == 0], rcond=None)[0]
            left, odds = change - Z @ beta, (1 - D) * np.exp(Z @ gamma)
            if t + 1 >= group:
                total += D.sum() * (left[D == 1].mean() - odds @ left / odds.sum())
                weight += D.sum()
    return total / weight


def by_diff_diff(data: pd.DataFrame) -> float:
    from diff_diff import CallawaySantAnna

    columns = {"outcome": "y", "unit": "id", "time": "t", "first_treat": "g", "covariates": ["x1", "x2"]}
    found = CallawaySantAnna(estimation_method="dr").fit(data, **columns, aggregate="all")
    return float(found.overall_att)


def by_csdid(data: pd.DataFrame) -> float:
    from csdid.att_gt import ATTgt

    with contextlib.redirect_stdout(io.StringIO()):
        columns = {"yname": "y", "gname": "g", "idname": "id", "tname": "t", "xformla": "y~x1+x2"}
        fit = ATTgt(**columns, data=data).fit(est_method="dr", bstrap=False)
        found = {kind: fit.aggte(typec=kind, bstrap=False, cband=False).atte["overall_att"] for kind in KINDS}
    return float(found["simple"])


def group_time_effects() -> Case:
    """Doubly robust effects of five groups in ten periods, with analytic standard errors and all summaries."""
    data = panel(10_000)
    calls: dict[str, Callable[[], Any]] = {"ours": partial(ours, data), "floor": partial(bare, data)}
    peers = {"diff_diff": by_diff_diff, "csdid": by_csdid}
    there = {name: partial(quiet, partial(call, data)) for name, call in peers.items() if find_spec(name)}
    limits = (Limit("ours", "floor", 4.0), *(Limit("ours", name, 1.0) for name in there))
    title = f"(u) group-time effects, 10,000 units, {PERIODS} periods, {len(COHORTS)} groups; the floor is bare cells"
    return Case(title, {**calls, **there}, limits, rtol=1e-5, threads=1)


def bytes_a_row(n: int) -> float:
    """Memory at its highest beyond the data's own, over rows."""
    data = panel(n)
    tracemalloc.start()
    ours(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / len(data)


GROUP_TIME: tuple[Callable[[], Case], ...] = (group_time_effects,)
