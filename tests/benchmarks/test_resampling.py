"""The wild cluster bootstrap beside ``wildboottest``, and BCa limits without refits: ``pytest -m benchmark -s``."""

import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import registry
from causalformula.inference.resampling.intervals import acceleration

pytestmark = pytest.mark.benchmark


def seconds(task, repeat=3):
    best = np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - start)
    return best


@pytest.fixture(scope="module")
def clustered():
    rng = np.random.default_rng(1)
    n, k = 100_000, 8
    x = rng.normal(size=(n, k))
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(k)])
    frame["a"] = (rng.random(n) < 0.5).astype(float)
    frame["g"] = rng.integers(0, 50, n)
    frame["y"] = x.sum(axis=1) + 0.01 * frame.a + rng.normal(size=50)[frame.g] + rng.normal(size=n)
    return frame


def test_wild_cluster_bootstrap(clustered):
    """9,999 replicates, n = 1e5, 50 clusters: faster than the peer, and no array of n x replicates."""
    peer = pytest.importorskip("wildboottest.wildboottest")
    formula = "y ~ a + " + " + ".join(f"x{j}" for j in range(8))
    fit = cf.lm(formula, clustered)
    effect = cf.fit(f"y ~ treat(a) + adjust({formula.partition('a + ')[2]})", clustered)
    X = np.column_stack([np.ones(len(clustered)), clustered.a, clustered[[f"x{j}" for j in range(8)]]])
    y, g = clustered.y.to_numpy(), clustered.g.to_numpy()

    def theirs():
        w = peer.WildboottestCL(X=X, Y=y, cluster=g, R=np.eye(10)[1], B=9999, seed=1, parallel=False)
        w.get_scores(bootstrap_type="11", impose_null=True)
        w.get_weights(weights_type="rademacher")
        w.get_numer()
        w.get_denom()
        w.get_tboot()
        w.get_vcov()
        w.get_tstat()
        w.get_pvalue(pval_type="two-tailed")
        return w

    request = cf.Wild(reps=9999, cluster="g", seed=1)
    # one effect, test and interval, against the peer's one test without an interval
    ours = seconds(lambda: effect.with_vcov(request).tidy())
    peers = seconds(theirs)
    print(f"\nwild cluster bootstrap: {ours:.3f} s; wildboottest {peers:.3f} s; ratio {ours / peers:.2f}")
    assert ours < peers
    every = seconds(lambda: fit.with_vcov(request).tidy(), 1)
    print(f"all ten coefficients: {every:.3f} s")
    tracemalloc.start()
    effect.with_vcov(request)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"peak memory {peak / 2**20:.0f} MB")
    assert peak < 8 * 9999 * len(clustered) / 20
    assert abs(effect.with_vcov(request).pvalues.iloc[0] - float(theirs().pvalue)) < 0.02


def test_bca_takes_no_jackknife():
    """1000 replicates of an OLS, n = 1e4: the acceleration from the influence costs next to nothing."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(10_000, 10)), columns=[f"x{j}" for j in range(10)])
    frame["a"] = (rng.random(10_000) < 0.5).astype(float)
    frame["y"] = frame.sum(axis=1) + rng.normal(size=10_000)
    fit = cf.fit("y ~ treat(a) + adjust(" + " + ".join(f"x{j}" for j in range(10)) + ")", frame)
    bootstrapped = fit.with_vcov(cf.Bootstrap(reps=1000, kind="bca", seed=1))
    whole = seconds(lambda: fit.with_vcov(cf.Bootstrap(reps=1000, kind="bca", seed=1)).tidy())
    refined = seconds(lambda: (acceleration(fit.answer.estimate.evidence), bootstrapped.tidy()))
    one = seconds(lambda: registry.run(fit.call.frame, fit.call.options))
    print(f"\nBCa of 1000 replicates: {whole:.3f} s, of which acceleration and limits {refined:.4f} s")
    print(f"a jackknife by refits would add {1e4 * one:.0f} s")
    assert refined < 0.1 * whole
