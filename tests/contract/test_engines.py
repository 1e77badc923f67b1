"""Work on a Dask cluster and on Spark, through joblib: the numbers of one process, to the last bit."""

from __future__ import annotations

import os
import re
import shutil
import sys
import warnings
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

import causalformula as cf
from causalformula.inference import refit
from tests.vignettes import ROOT, namespace

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]
F = "Severity ~ treat(Drug) + adjust(I.H)"
HEART = cf.datasets.load("heart").iloc[:200].reset_index(drop=True)
CODE = re.compile(r"^```\{code-block\} python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def dask():
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: the extra `engines`")
    given = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**given) as cluster, distributed.Client(cluster):
        yield partial(joblib.parallel_config, "dask")


@pytest.fixture(scope="module")
def spark():
    pyspark = pytest.importorskip("pyspark.sql", reason="pyspark is not installed: the extra `engines`")
    joblibspark = pytest.importorskip("joblibspark", reason="joblibspark is not installed: the extra `engines`")
    if shutil.which("java") is None:
        pytest.skip("Spark needs a Java runtime")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = pyspark.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    joblibspark.register_spark()
    yield partial(joblib.parallel_config, "spark", n_jobs=2)
    session.stop()


@pytest.fixture(params=["dask", "spark"])
def engine(request):
    """A context in which joblib's work goes to a cluster."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def fit():
    return cf.fit(F, HEART, "ipw")


def screened(fit):
    data = HEART.assign(late=HEART["I.H"] > 0, none=0, Other=np.arange(200) % 7)
    given = {"treatments": ["Drug", "late", "none"], "outcomes": ["Severity", "Other"], "adjust": "romano_wolf"}
    return cf.screen("Severity ~ treat(a) + adjust(I.H)", data, seed=1, reps=99, **given).tidy().fillna(-1).to_numpy()


def cross_fitted(fit):
    """A forest's sum over its trees is in the order in which threads come, where there are several."""
    forest = RandomForestRegressor(40)
    fits = [cf.fit(F, HEART, "aipw", outcome_model=forest, treatment_model="glm", seed=1, folds=k) for k in (2, 3)]
    return np.array([[fit.estimate, fit.std_error] for fit in fits])


WORK = {
    "bootstrap": lambda fit: fit.with_vcov(cf.Bootstrap(150, seed=1)).covariance.draws,
    "jackknife": lambda fit: fit.with_vcov("jackknife").covariance.matrix,
    "permutation": lambda fit: fit.permutation_test(120, seed=1).draws,
    "refutation": lambda fit: fit.refute(["placebo", "leave_one_out"], 60, seed=1).to_frame().fillna(-1).to_numpy(),
    "comparison": lambda fit: cf.compare(F, HEART, ["ipw", "regression", "ebal"]).tidy().fillna(-1).to_numpy(),
    "cross-fitting": cross_fitted,
    "screen": screened,
}


@pytest.mark.parametrize("work", WORK)
def test_the_numbers_of_one_process(fit, engine, work):
    alone = WORK[work](fit)
    with engine():
        found = WORK[work](fit)
    np.testing.assert_array_equal(found, alone)


def _where(k):
    """The process that a piece is in, and how many it would be shared by in turn."""
    return os.getpid(), joblib.effective_n_jobs(None)


def test_none_takes_the_configuration_and_a_number_is_kept(engine):
    here = os.getpid()
    with engine():
        assert joblib.effective_n_jobs(None) == 2
        elsewhere = refit.spread(_where, range(6), None)
        assert refit.spread(_where, range(6), 1) == [(here, 1)] * 6
        streamed = list(refit.stream(_where, range(6), None))
    for found in (elsewhere, streamed):
        assert len(found) == 6 and here not in {process for process, _ in found}
        # what is done within a piece stays there
        assert {shared for _, shared in found} == {1}


def _dies_once(mark, k):
    if k == 2 and not Path(mark).exists():
        Path(mark).touch()
        os._exit(1)
    return k**2


def test_a_worker_that_dies_loses_nothing(dask, tmp_path):
    with dask():
        assert refit.spread(partial(_dies_once, str(tmp_path / "dead")), range(6), None) == [k**2 for k in range(6)]
    assert (tmp_path / "dead").exists()


@pytest.mark.parametrize("k", [0, 1])
def test_the_page_runs(request, k):
    """Each block of the page, as it is written there."""
    request.getfixturevalue(("dask", "spark")[k])
    text = (ROOT / "docs" / "parallel.md").read_text(encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = namespace(text)
        code = CODE.findall(text)[k + 1].replace("spark.stop()", "").replace("reps=2000", "reps=100")
        exec(compile(code, "<page>", "exec"), names)
    made = names["refuted"] if k == 0 else names["compared"]
    assert len(made.to_frame())
