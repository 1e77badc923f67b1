"""Data in Parquet: time and memory of fits that read them a chunk at a time, each in a process of its own.

``python -m tests.benchmarks.at_scale WHO WHAT FOLDER PASSES THREADS`` is such a process; it prints JSON.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tests.benchmarks import chunked_floors
from tests.benchmarks.cases import Limit

COVARIATES = [f"x{j}" for j in range(1, 8)]
RIGHT = " + ".join(COVARIATES)
PIECE = 1_000_000
# Rows, where a run is not told otherwise by the environment: a tenth of those of the limits.
ROWS, FEWER = "CAUSALFORMULA_BENCHMARK_ROWS", 2_000_000
FITS = {"ols": "OLS with HC1", "logit": "logit", "ipw": "ipw with stacked s.e."}
TWICE = Limit("ours", "reading and adding up", 2.0)
MEMORY = Limit("peak memory", "1.5 GB", 1.0)
FASTER = Limit("two threads", "one", 1.0)
# A tenth as many rows take a tenth of the time, give or take what each fit takes for itself.
LINEAR = Limit("seconds a row", "those of a tenth as many rows", 1.25)


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


def _duckreg(folder: str) -> Any:
    """Coefficients alone: its HC1 makes a matrix as large as the number of distinct rows squared."""
    from duckreg.estimators import DuckRegression

    table = f"read_parquet('{folder}/*.parquet')"
    fit = DuckRegression(":memory:", table, f"y ~ A + {RIGHT}", cluster_col="", seed=0, n_bootstraps=0)
    fit.fit()
    return (fit.point_estimate,)


def _counted() -> list[int]:
    """A list that grows by one with each pass of DuckDB."""
    from causalformula.scale.sources.duck import Duck

    made, pieces = [], Duck.pieces

    def counting(self: Duck, columns: Any) -> Any:
        made.append(len(columns))
        return pieces(self, columns)

    Duck.pieces = counting  # type: ignore[method-assign]
    return made


def _engine_on(threads: int) -> None:
    """DuckDB on as many threads as add up: one worker is one core, and two are two."""
    import duckdb

    connect = duckdb.connect
    duckdb.connect = lambda *given, **named: connect(*given, config={"threads": threads}, **named)


def measured(who: str, what: str, folder: str, passes: int = 0, threads: int = 1) -> dict[str, Any]:
    """Seconds, passes, peak memory in bytes and the numbers of one fit, after one of a few rows that warms up."""
    import joblib

    run: dict[str, Callable[[str], Any]] = {
        "ours": lambda path: _ours(what, path),
        "floor": lambda path: _floor(what, path, passes),
        "pyfixest": lambda path: _pyfixest(what, path),
        "duckreg": _duckreg,
    }
    _engine_on(threads)
    with joblib.parallel_config(n_jobs=threads):
        run[who](f"{folder}-few")
        made = _counted()
        start = time.perf_counter()
        numbers = run[who](folder)
        seconds = time.perf_counter() - start
    # Linux counts in kilobytes, macOS in bytes
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    numbers = [np.atleast_1d(each).tolist() for each in numbers]
    return {"seconds": seconds, "passes": len(made), "memory": memory, "numbers": numbers}


# -- what is compared ------------------------------------------------------------------------------------------------


def alone(who: str, what: str, folder: Path, passes: int = 0, threads: int = 1) -> dict[str, Any]:
    """The same, in a process of its own: the peak of its memory is that of the fit, and of what it imports."""
    asked = [sys.executable, "-m", __name__, who, what, str(folder), str(passes), str(threads)]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def least(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The run that was disturbed less."""
    return other if not one or other["seconds"] < one["seconds"] else one


def installed(name: str) -> bool:
    """Whether a peer is there."""
    return find_spec(name) is not None


def rows_asked() -> int:
    """How many rows a run has."""
    return int(os.environ.get(ROWS, FEWER))


def compared(what: str, rows: int, rounds: int = 1) -> list[tuple[str, float | None, Limit | None]]:
    """What was measured of one fit, the least time of some rounds: words, or a ratio with its limit."""
    with TemporaryDirectory() as place:
        folder, tenth = Path(place) / "all", Path(place) / "tenth"
        for each, count in ((folder, rows), (tenth, rows // 10)):
            write(each, count)
            write(each.with_name(f"{each.name}-few"), 2000)
        return _compared(what, folder, tenth, rounds)


def _compared(what: str, folder: Path, tenth: Path, rounds: int) -> list[tuple[str, float | None, Limit | None]]:
    ours: dict[str, Any] = {}
    floor, two, fewer = ours, ours, ours
    for _ in range(rounds):
        ours = least(ours, alone("ours", what, folder))
        floor = least(floor, alone("floor", what, folder, ours["passes"]))
        two = least(two, alone("ours", what, folder, threads=2))
        fewer = least(fewer, alone("ours", what, tenth))
    for mine, known in zip(ours["numbers"], floor["numbers"], strict=True):
        np.testing.assert_allclose(mine, known, rtol=1e-6, err_msg=what)
    # DuckDB on another number of threads cuts its batches elsewhere
    np.testing.assert_allclose(two["numbers"], ours["numbers"], rtol=1e-10, err_msg=what)
    found: list[tuple[str, float | None, Limit | None]] = [
        (f"ours: {ours['seconds']:.3g} s, {ours['passes']} passes, {ours['memory'] / 1e9:.2f} GB", None, None),
        (f"DuckDB reading and numpy adding up: {floor['seconds']:.3g} s", None, None),
    ]
    if what != "ipw" and installed("pyfixest"):
        peer = alone("pyfixest", what, folder)
        words = f"pyfixest in memory: {peer['seconds']:.3g} s, {peer['memory'] / 1e9:.2f} GB"
        found.append((words, None, None))
    if what == "ols" and installed("duckreg"):
        found.append((_beside_duckreg(folder, ours["numbers"][0]), None, None))
    return [
        *found,
        ("", ours["seconds"] / floor["seconds"], TWICE),
        ("", ours["memory"] / 1.5e9, MEMORY),
        ("", two["seconds"] / ours["seconds"], FASTER),
        ("", ours["seconds"] / fewer["seconds"] / 10, LINEAR),
    ]


def _beside_duckreg(folder: Path, coef: list[float]) -> str:
    try:
        peer = alone("duckreg", "ols", folder)
    except subprocess.CalledProcessError as error:
        # its ibis calls what DuckDB 2 no longer has
        return f"duckreg does not run here: {error.stderr.strip().splitlines()[-1]}"
    np.testing.assert_allclose(coef, peer["numbers"][0], rtol=1e-6, err_msg="duckreg")
    return f"duckreg, coefficients without s.e.: {peer['seconds']:.3g} s, {peer['memory'] / 1e9:.2f} GB"


if __name__ == "__main__":
    print(json.dumps(measured(*sys.argv[1:4], *map(int, sys.argv[4:]))))  # type: ignore[arg-type]
