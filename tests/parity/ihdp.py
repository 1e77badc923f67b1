"""The IHDP benchmark, ten replicates of it: ``python -m tests.parity.ihdp`` prints the tables of vignette 05."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

import causalformula as cf
from tests.parity.reference import data

QUESTION = f"y_factual ~ treat(treatment) + adjust({' + '.join(f'x{k}' for k in range(1, 26))})"
CLASSIC: dict[str, Any] = {
    "linear regression": "regression",
    "propensity matching": "nearest",
    "stratification": "subclass",
    "weighting": "ipw",
}
LEARNERS = {"S": cf.SLearner, "T": cf.TLearner, "X": cf.XLearner, "R": cf.RLearner, "DR": cf.DRLearner}
MODELS = ("glm", "ridge", "boosting")
COLUMNS = ("PEHE", "PEHE / s.d.", "error of the average")


def replicate(k: int) -> pd.DataFrame:
    """One of the ten, with the true effects of its infants; skips the calling test where the file is not there."""
    return data(f"ihdp_npci_{k}.csv").assign(ite=lambda d: d["mu1"] - d["mu0"])


def compared(k: int, methods: dict[str, Any]) -> pd.DataFrame:
    """The table of methods on one replicate, by name."""
    study = replicate(k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = cf.compare(QUESTION, study, methods, truth="ite").tidy().set_index("name")
    return found.assign(share=found["PEHE"] / study["ite"].std(ddof=0), off=found["error"].abs())


def every_learner() -> dict[str, Any]:
    """Five learners, each with three models."""
    return CLASSIC | {f"{name}, {m}": make(model=m) for m in MODELS for name, make in LEARNERS.items()}


def ten() -> pd.DataFrame:
    """Means over ten replicates with their Monte Carlo errors: a row a method, two columns a number."""
    tables = [compared(k, every_learner())[["PEHE", "share", "off"]] for k in range(1, 11)]
    stacked = np.array([table.to_numpy(dtype=float) for table in tables])
    mean, error = stacked.mean(axis=0), stacked.std(axis=0, ddof=1) / np.sqrt(len(stacked))
    columns = {}
    for j, name in enumerate(COLUMNS):
        columns |= {name: mean[:, j], f"{name}, error": error[:, j]}
    return pd.DataFrame(columns, index=tables[0].index)


def as_markdown(found: pd.DataFrame) -> str:
    """The table as the vignette has it."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS)]
    for name, row in found.iterrows():
        cells = (f"{row[column]:.2f} ({row[f'{column}, error']:.2f})" for column in COLUMNS)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown(ten()))
