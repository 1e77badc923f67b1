"""Refutation of a linear regression: what is timed, beside DoWhy where it is installed (the extra ``dowhy``)."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

import causalformula as cf
from tests.benchmarks.cases import Case, Limit

REPS = 100
# The same tests by both names.
TESTS = {
    "placebo": ("placebo_treatment_refuter", {"placebo_type": "permute"}),
    "random_common_cause": ("random_common_cause", {}),
    "subset": ("data_subset_refuter", {}),
    "bootstrap": ("bootstrap_refuter", {}),
    "dummy_outcome": ("dummy_outcome_refuter", {}),
}
NAMES = [f"x{j}" for j in range(5)]


def study() -> pd.DataFrame:
    """A thousand rows, five confounders."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 5))
    a = (rng.random(1000) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
    return pd.DataFrame(x, columns=NAMES).assign(a=a, y=a + x.sum(axis=1) + rng.normal(size=1000))


def by_dowhy(data: pd.DataFrame) -> Callable[[], Any]:
    """The five tests of DoWhy, of an estimate that is there already."""
    logging.disable(logging.WARNING)
    from dowhy import CausalModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CausalModel(data, treatment="a", outcome="y", common_causes=NAMES)
        effect = model.identify_effect(proceed_when_unidentifiable=True)
        estimate = model.estimate_effect(effect, method_name="backdoor.linear_regression")

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, given in TESTS.values():
                asked = {**given, "num_simulations": REPS, "show_progress_bar": False}
                model.refute_estimate(effect, estimate, method_name=name, **asked)

    return run


def five_refuters() -> Case:
    """Five tests of a hundred refits each, n = 1000; beside them the regression itself, and DoWhy."""
    data = study()
    fit = cf.fit(f"y ~ treat(a) + adjust({' + '.join(NAMES)})", data)
    X = np.column_stack([np.ones(1000), data[["a", *NAMES]]])
    y = data["y"].to_numpy()

    def ours() -> None:
        fit.refute(list(TESTS), reps=REPS, seed=1)

    def floor() -> None:
        for _ in range(REPS * len(TESTS)):
            np.linalg.lstsq(X, y, rcond=None)

    calls: dict[str, Callable[[], Any]] = {"ours": ours, "500 bare least squares": floor}
    limits = [Limit("ours", "500 bare least squares", 3.0)]
    if find_spec("dowhy") is not None:
        calls["DoWhy"] = by_dowhy(data)
        limits.append(Limit("ours", "DoWhy", 1 / 20))
    title = "(n) five refuters of a hundred refits, n = 1000" + ("" if "DoWhy" in calls else "; DoWhy is left out")
    return Case(title, calls, tuple(limits), rounds=3, once=("DoWhy",), rtol=None, threads=1)


REFUTING: tuple[Callable[[], Case], ...] = (five_refuters,)
