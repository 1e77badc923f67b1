"""A screen of two hundred drugs, beside the sum of its fits; and of many outcomes, whose weights are made once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

import causalformula as cf
from tests.benchmarks.cases import Case, Limit

DRUGS, OUTCOMES = 200, 50
COVARIATES = [f"x{j}" for j in range(5)]


def claims() -> pd.DataFrame:
    """A thousand patients, two hundred drugs, fifty outcomes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 5))
    a = (rng.random((1000, DRUGS)) < 1 / (1 + np.exp(1 - x[:, [0]] / 2))).astype(int)
    y = x.sum(axis=1, keepdims=True) + rng.normal(size=(1000, OUTCOMES))
    columns = dict(zip(COVARIATES, x.T, strict=True))
    columns |= {f"a{k}": a[:, k] for k in range(DRUGS)} | {f"y{k}": y[:, k] for k in range(OUTCOMES)}
    return pd.DataFrame(columns)


def _silent(run: Callable[[], Any]) -> Callable[[], Any]:
    def silently() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run()

    return silently


def screened_drugs() -> Case:
    """Each drug's weights, as one question in a screen and as one fit."""
    data, right = claims(), " + ".join(COVARIATES)
    drugs = [f"a{k}" for k in range(DRUGS)]

    def ours() -> Any:
        return cf.screen(f"y0 ~ treat(drug) + {right}", data, "ipw", treatments=drugs).tidy()

    def fits() -> Any:
        return pd.concat([cf.fit(f"y0 ~ treat({name}) + {right}", data, "ipw").tidy() for name in drugs])

    title = f"screen of {DRUGS} drugs by ipw, n = 1000"
    return Case(
        title, {"ours": _silent(ours), "fits": _silent(fits)}, (Limit("ours", "fits", 1.0),), rounds=3, rtol=None
    )


def screened_outcomes() -> Case:
    """One drug's entropy weights for fifty outcomes, made once or each time."""
    data, right = claims(), " + ".join(COVARIATES)
    outcomes = [f"y{k}" for k in range(OUTCOMES)]

    def ours() -> Any:
        return cf.screen(f"~ treat(a0) + {right}", data, "ebal", outcomes=outcomes).tidy()

    def fits() -> Any:
        return pd.concat([cf.fit(f"{name} ~ treat(a0) + {right}", data, "ebal").tidy() for name in outcomes])

    title = f"screen of {OUTCOMES} outcomes by ebal, n = 1000"
    return Case(
        title, {"ours": _silent(ours), "fits": _silent(fits)}, (Limit("ours", "fits", 0.9),), rounds=3, rtol=None
    )


SCREENING = (screened_drugs, screened_outcomes)
