"""Data in Parquet: time and memory of fits that read them a chunk at a time, each in a process of its own.

``python -m tests.benchmarks.at_scale WHO WHAT FOLDER [PASSES]`` is such a process; it prints what it measured as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import chunked_floors

COVARIATES = [f"x{j}" for j in range(1, 8)]
RIGHT = " + ".join(COVARIATES)
PIECE = 1_000_000
# Rows, where a run is not told otherwise: a tenth of those of the limits.
ROWS = "CAUSALFORMULA_BENCHMARK_ROWS"
FEWER = 2_000_000


def write(folder: Path, rows: int, seed: int = 0) -> None:
    """Ten columns in Parquet files of a million rows; the first of them are the same of any number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    for k, first in enumerate(range(0, rows, PIECE)):
        n, rng = min(PIECE, rows - first), np.random.default_rng([seed, k])
        x = rng.normal(size=(len(COVARIATES), n))
        a = (rng.random(n) < 1 / (1 + np.exp(-0.3 * x[:3].sum(axis=0)))).astype(float)
        eta = 0.5 * a + (0.4 / np.arange(1, len(x) + 1)) @ x
        columns = {"y": eta + rng.normal(size=n), "d": (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float), "A": a}
        columns |= dict(zip(COVARIATES, x, strict=True))
        pq.write_table(pa.table(columns), folder / f"part-{k:03}.parquet")


# -- the processes ---------------------------------------------------------------------------------------------------


def _ours(what: str, folder: str) -> Any:
    import causalformula as cf

    data = cf.scan(folder, limit=0)
    if what == "ols":
        model = cf.lm(f"y ~ A + {RIGHT}", data, vcov="HC1")
        return model.params, model.bse
    if what == "logit":
        model = cf.glm(f"d ~ A + {RIGHT}", data, family="binomial")
        return model.params, model.bse
    fit = cf.fit(f"y ~ treat(A) + {RIGHT}", data, "ipw")
    return fit.estimate, fit.std_error


def _floor(what: str, folder: str, passes: int) -> Any:
    if what == "ols":
        return chunked_floors.ols_hc1(folder, "y", ["A", *COVARIATES], passes)
    if what == "logit":
        return chunked_floors.logit(folder, "d", ["A", *COVARIATES], passes)
    return chunked_floors.ipw(folder, "y", "A", COVARIATES, passes)


def _pyfixest(what: str, folder: str) -> Any:
    import pandas as pd
    import pyfixest as pf

    formula = f"{'y' if what == 'ols' else 'd'} ~ A + {RIGHT}"
    data = pd.read_parquet(folder)
    fit = pf.feols(formula, data, vcov="HC1") if what == "ols" else pf.feglm(formula, data, family="logit")
    return fit.coef(), fit.se()


def _counted() -> list[int]:
    """A list that grows by one with each pass of DuckDB."""
    from causalformula.scale.sources.duck import Duck

    made, pieces = [], Duck.pieces

    def counting(self: Duck, columns: Any) -> Any:
        made.append(len(columns))
        return pieces(self, columns)

    Duck.pieces = counting  # type: ignore[method-assign]
    return made


def job(who: str, what: str, folder: str, passes: int = 0) -> dict[str, Any]:
    """Seconds, passes, peak memory in bytes and the numbers of one fit, after one of a few rows that warms up."""
    run: dict[str, Callable[[str], Any]] = {
        "ours": lambda path: _ours(what, path),
        "floor": lambda path: _floor(what, path, passes),
        "pyfixest": lambda path: _pyfixest(what, path),
    }
    run[who](f"{folder}-few")
    made = _counted()
    start, begun = time.perf_counter(), time.process_time()
    numbers = run[who](folder)
    seconds = time.perf_counter() - start
    cpu = time.process_time() - begun
    # Linux counts in kilobytes, macOS in bytes
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": seconds,
        "cpu": cpu,
        "passes": len(made),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "numbers": [np.atleast_1d(each).tolist() for each in numbers],
    }


if __name__ == "__main__":
    print(json.dumps(job(*sys.argv[1:4], *map(int, sys.argv[4:]))))  # type: ignore[arg-type]
