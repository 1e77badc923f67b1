"""Each covariance where it should hold, and its failure where it should not: few clusters, heteroscedastic errors.

The short form always runs; the long one is marked slow.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

LEVEL = 0.95
# replicates of the study; of the wild bootstrap, in which 8 clusters have 256 sign patterns, all of them taken
SIZES = [400, pytest.param(4000, marks=pytest.mark.slow)]


def intervals(draw, requests, truth, reps, seed):
    """Share of the intervals of each request that cover the truth, in the same simulated studies."""
    covered = {str(request): [] for request in requests}
    for child in np.random.SeedSequence(seed).spawn(reps):
        fit = draw(np.random.default_rng(child))
        for request in requests:
            row = fit.with_vcov(request).tidy(LEVEL).iloc[0]
            covered[str(request)].append(row["conf.low"] <= truth <= row["conf.high"])
    shares = {name: float(np.mean(hits)) for name, hits in covered.items()}
    print("  ".join(f"{name}: {share:.3f}" for name, share in shares.items()))
    return shares


def near(share, reps):
    """Within three Monte Carlo standard errors of the level, or above it."""
    return share >= LEVEL - 3 * np.sqrt(LEVEL * (1 - LEVEL) / reps)


def few_clusters(rng):
    """Eight clusters of unequal size with common shocks; the treatment is given to three whole clusters."""
    sizes = np.array([10, 12, 14, 16, 20, 24, 30, 40])
    g = np.repeat(np.arange(8), sizes)
    treated = rng.permutation(8)[:3]
    a = np.isin(g, treated).astype(int)
    y = 1 + 0.5 * a + rng.normal(size=8)[g] + rng.normal(size=len(g))
    return cf.fit("y ~ treat(a)", pd.DataFrame({"y": y, "a": a, "g": g}), "regression")


@pytest.mark.parametrize("reps", SIZES)
def test_with_few_clusters_cr1_covers_too_little_and_cr2_does_not(reps):
    """CR1 is too short even with G - 1 degrees of freedom; CR2 with Satterthwaite's and the wild bootstrap are not."""
    seven = cf.Cluster("g", type="CR1", df=7)
    wild = cf.Wild(reps=255, cluster="g", seed=1)
    shares = intervals(few_clusters, ["classical", "CR1 ~ g", seven, "CR2 ~ g", wild], 0.5, reps, seed=31)
    assert shares["classical"] < 0.75
    assert shares["CR1 ~ g"] < 0.90
    assert shares[str(seven)] < 0.93
    assert near(shares["CR2 ~ g"], reps)
    assert near(shares[str(wild)], reps)


def many_clusters(rng):
    """Sixty clusters of ten, the treatment within clusters."""
    g = np.repeat(np.arange(60), 10)
    a = (rng.random(600) < 0.5).astype(int)
    y = 1 + (0.5 + rng.normal(size=60)[g]) * a + rng.normal(size=60)[g] + rng.normal(size=600)
    return cf.fit("y ~ treat(a)", pd.DataFrame({"y": y, "a": a, "g": g}), "regression")


@pytest.mark.parametrize("reps", SIZES)
def test_with_many_clusters_they_agree_and_rows_do_not_do(reps):
    shares = intervals(many_clusters, ["HC3", "CR1 ~ g", "CR2 ~ g"], 0.5, reps, seed=32)
    assert shares["HC3"] < 0.90
    assert near(shares["CR1 ~ g"], reps)
    assert near(shares["CR2 ~ g"], reps)


def uneven_noise(rng):
    """A quarter treated, with three times the noise, in 80 rows."""
    a = (np.arange(80) < 20).astype(int)
    x = rng.normal(size=80)
    y = 1 + 0.5 * a + x + rng.normal(size=80) * (1 + 2 * a)
    return cf.fit("y ~ treat(a) + x", pd.DataFrame({"y": y, "a": a, "x": x}))


@pytest.mark.parametrize("reps", SIZES)
def test_under_heteroscedasticity_hc3_covers_and_classical_does_not(reps):
    shares = intervals(uneven_noise, ["classical", "HC0", "HC3"], 0.5, reps, seed=33)
    assert shares["classical"] < 0.88
    assert shares["HC0"] < shares["HC3"]
    assert near(shares["HC3"], reps)


@pytest.mark.parametrize("reps", SIZES)
def test_joint_tests_with_few_clusters(reps):
    """Size of the 5% test that two effects are zero: Hotelling's under CR2 holds it, the F of CR1 is far above."""
    rejected = {"CR1 ~ g": 0, "CR2 ~ g": 0}
    for child in np.random.SeedSequence(34).spawn(reps):
        rng = np.random.default_rng(child)
        g = np.repeat(np.arange(12), 12)
        arm = rng.permutation(np.repeat(["u", "v", "w"], 4))[g]
        d = pd.DataFrame({"y": rng.normal(size=12)[g] + rng.normal(size=144), "arm": arm, "g": g})
        model = cf.lm("y ~ arm", d)
        for vcov in rejected:
            rejected[vcov] += model.with_vcov(vcov).hypothesis(["armv = 0", "armw = 0"]).test.p_value < 0.05
    print({name: count / reps for name, count in rejected.items()})
    assert rejected["CR1 ~ g"] / reps > 0.10
    assert rejected["CR2 ~ g"] / reps <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / reps)
