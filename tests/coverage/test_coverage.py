"""Do 95% intervals cover what they claim to, on designs whose effect is known?

Coverage must lie within three Monte Carlo standard errors of its nominal value, and the standard error near the Monte
Carlo standard deviation. The short form always runs; the long one is marked slow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

SIZES = [200, pytest.param(4000, marks=pytest.mark.slow)]
LEVEL = 0.95


@dataclass(frozen=True)
class Study:
    """A design, the question asked of it, and the truths that its intervals aim at."""

    draw: Callable[[np.random.Generator], pd.DataFrame]
    ask: Callable[[pd.DataFrame], object]
    truth: Callable[[pd.DataFrame], float]


def run(study, reps, seed=20240):
    """Coverage, root mean square standard error over Monte Carlo sd of the errors, and mean error over that sd.

    It is the squares of standard errors that are unbiased; their plain mean falls short in small samples.
    """
    children = np.random.SeedSequence(seed).spawn(reps)
    covered, errors, sizes = [], [], []
    for child in children:
        data = study.draw(np.random.default_rng(child))
        row = study.ask(data).tidy(LEVEL).iloc[0]
        truth = study.truth(data)
        covered.append(row["conf.low"] <= truth <= row["conf.high"])
        errors.append(row["estimate"] - truth)
        sizes.append(row["std.error"])
    sd = np.std(errors, ddof=1)
    return np.mean(covered), np.sqrt(np.mean(np.square(sizes))) / sd, np.mean(errors) / sd


def valid(study, reps):
    coverage, ratio, bias = run(study, reps)
    print(f"coverage {coverage:.4f}, rms s.e. / sd {ratio:.3f}, bias / sd {bias:.3f}")
    assert abs(coverage - LEVEL) <= 3 * np.sqrt(LEVEL * (1 - LEVEL) / reps)
    # the sd of the errors is itself estimated: its relative error is 1 / sqrt(2 reps), more with heavy tails
    assert abs(ratio - 1) <= 4 / np.sqrt(2 * reps)
    assert abs(bias) <= 4 / np.sqrt(reps)
    return coverage


# -- regression ----------------------------------------------------------------------------------------------------


def confounded(rng, n=250):
    """Effects 2 + x, more treatment where x is large: the ATE is 2, the sample's is 2 + mean(x)."""
    x = rng.normal(size=n)
    a = rng.random(n) < 1 / (1 + np.exp(-x))
    y = 1 + x + (2 + 1.5 * x) * a + rng.normal(size=n)
    return pd.DataFrame({"y": y, "a": a.astype(int), "x": x})


def regress(**options):
    return lambda data: cf.fit("y ~ treat(a) + modify(x)", data, **options)


def mean_x_of_treated():
    """E[x | a = 1] under `confounded`, by quadrature."""
    t, w = np.polynomial.hermite_e.hermegauss(80)
    p = 1 / (1 + np.exp(-t))
    return float((w * p * t).sum() / (w * p).sum())


POPULATION = {"ATE": 2.0, "ATT": 2 + 1.5 * mean_x_of_treated(), "ATC": 2 - 1.5 * mean_x_of_treated()}


def sample_effect(estimand):
    def truth(data):
        effects = 2 + 1.5 * data["x"]
        return float(effects[{"ATE": data["a"] >= 0, "ATT": data["a"] == 1, "ATC": data["a"] == 0}[estimand]].mean())

    return truth


@pytest.mark.parametrize("reps", SIZES)
@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
@pytest.mark.parametrize("vcov", ["classical", "HC3"])
def test_conditional_intervals_cover_the_samples_effect(estimand, vcov, reps):
    valid(Study(confounded, regress(estimand=estimand, vcov=vcov), sample_effect(estimand)), reps)


@pytest.mark.parametrize("reps", SIZES)
@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@pytest.mark.parametrize(
    "vcov", [cf.Classical(unconditional=True), cf.HC("HC3", unconditional=True)], ids=["classical", "HC3"]
)
def test_unconditional_intervals_cover_the_populations_effect(estimand, vcov, reps):
    valid(Study(confounded, regress(estimand=estimand, vcov=vcov), lambda data: POPULATION[estimand]), reps)


def test_conditional_intervals_are_too_short_for_the_population():
    """What `unconditional=True` is for."""
    coverage, ratio, _ = run(Study(confounded, regress(), lambda data: POPULATION["ATE"]), 200)
    assert coverage < 0.92
    assert ratio < 0.95


def heteroscedastic(rng, n=150):
    """Constant effect 1, noise that grows with x and with treatment, a third treated."""
    x = rng.uniform(0, 3, size=n)
    a = rng.random(n) < 0.15 + 0.2 * x
    y = 1 + x + 1.0 * a + rng.normal(size=n) * (0.2 + x) * (1 + a)
    return pd.DataFrame({"y": y, "a": a.astype(int), "x": x})


@pytest.mark.parametrize("reps", SIZES)
def test_robust_intervals_under_heteroscedasticity(reps):
    study = Study(heteroscedastic, lambda data: cf.fit("y ~ treat(a) + x", data, vcov="HC3"), lambda data: 1.0)
    valid(study, reps)


def clustered(rng, groups=60, size=8):
    """Treatment and part of the noise belong to the cluster."""
    g = np.repeat(np.arange(groups), size)
    a = rng.permutation(groups)[g] % 2
    x = rng.normal(size=len(g))
    y = 1 + 0.5 * a + x + rng.normal(size=groups)[g] + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "a": a, "x": x, "g": g})


@pytest.mark.parametrize("reps", SIZES)
@pytest.mark.parametrize("formula", ["y ~ treat(a) + x + cluster(g)", "y ~ treat(a) + cluster(g)"], ids=["CR1S", "CR2"])
def test_clustered_intervals(formula, reps):
    valid(Study(clustered, lambda data: cf.fit(formula, data), lambda data: 0.5), reps)


# -- a nonlinear model ---------------------------------------------------------------------------------------------


def binary(rng, n=400):
    x = rng.normal(size=n)
    a = rng.random(n) < 1 / (1 + np.exp(-0.7 * x))
    y = rng.random(n) < 1 / (1 + np.exp(0.3 - 0.8 * a - x))
    return pd.DataFrame({"y": y.astype(int), "a": a.astype(int), "x": x})


def standardised():
    """Mean potential outcomes of `binary`, by quadrature."""
    t, w = np.polynomial.hermite_e.hermegauss(80)
    w = w / w.sum()
    return tuple(float(w @ (1 / (1 + np.exp(0.3 - 0.8 * a - t)))) for a in (0, 1))


P0, P1 = standardised()
TRUTHS = {"difference": P1 - P0, "ratio": P1 / P0, "odds_ratio": P1 / (1 - P1) / (P0 / (1 - P0))}


@pytest.mark.parametrize("reps", SIZES)
@pytest.mark.parametrize("measure", TRUTHS)
def test_measures_of_a_standardised_logit(measure, reps):
    def ask(data):
        vcov = cf.HC("HC0", unconditional=True)
        return cf.fit(
            "y ~ treat(a) + x",
            data,
            family="binomial",
            measure={"ratio": "log_ratio", "odds_ratio": "log_odds_ratio"}.get(measure, measure),
            vcov=vcov,
        )

    truth = TRUTHS[measure] if measure == "difference" else float(np.log(TRUTHS[measure]))
    valid(Study(binary, ask, lambda data: truth), reps)


@pytest.mark.slow
def test_bootstrap_intervals_of_a_standardised_logit():
    def ask(data):
        return cf.fit("y ~ treat(a) + x", data, family="binomial", vcov=cf.Bootstrap(reps=399, seed=1))

    valid(Study(binary, ask, lambda data: TRUTHS["difference"]), 400)


def test_bootstrap_intervals_of_a_linear_model():
    def ask(data):
        return cf.fit("y ~ treat(a) + modify(x)", data, vcov=cf.Bootstrap(reps=199, seed=1))

    valid(Study(confounded, ask, lambda data: POPULATION["ATE"]), 150)


# -- experiments ---------------------------------------------------------------------------------------------------


def two_arms(rng, n=60):
    """A third treated, twice as noisy as the others."""
    a = rng.permutation(np.arange(n) % 3 == 0)
    y = 1.0 * a + rng.normal(size=n) * np.where(a, 2, 1)
    return pd.DataFrame({"y": y, "a": a.astype(int)})


def blocks(rng):
    """Blocks of 8, 16 and 24 with different means, effects 0, 1 and 2, and shares treated: the effect is 4/3."""
    parts = []
    for k, (size, treated) in enumerate([(8, 2), (16, 8), (24, 16)]):
        a = rng.permutation(size) < treated
        parts.append(
            pd.DataFrame({"y": 3 * k + k * a + rng.normal(size=size) * (1 + a), "a": a.astype(int), "s": f"b{k}"})
        )
    return pd.concat(parts, ignore_index=True)


def pairs(rng, count=25):
    """Matched pairs whose means differ."""
    mean = np.repeat(rng.normal(scale=3, size=count), 2)
    a = np.tile([0, 1], count)
    y = mean + 0.5 * a + rng.normal(size=2 * count)
    return pd.DataFrame({"y": y, "a": a, "s": np.repeat(np.arange(count), 2)})


EXPERIMENTS = {
    "two arms": Study(two_arms, lambda data: cf.fit("y ~ treat(a)", data), lambda data: 1.0),
    "blocks": Study(blocks, lambda data: cf.fit("y ~ treat(a) + strata(s)", data), lambda data: 4 / 3),
    "pairs": Study(pairs, lambda data: cf.fit("y ~ treat(a) + strata(s)", data), lambda data: 0.5),
}


@pytest.mark.parametrize("reps", SIZES)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_differences_in_means(name, reps):
    valid(EXPERIMENTS[name], reps)


def test_equal_variances_would_not_do():
    """The classical variance is wrong when the smaller arm is the noisier: what HC2 is for."""
    study = Study(two_arms, lambda data: cf.fit("y ~ treat(a)", data, vcov="classical"), lambda data: 1.0)
    coverage, ratio, _ = run(study, 300)
    assert coverage < 0.93
    assert ratio < 0.93


# -- sampling weights ----------------------------------------------------------------------------------------------


def unequal_sampling(rng):
    """A population from which the noisy are sampled rarely, and weigh the more."""
    n = 4000
    x, a = rng.normal(size=n), rng.integers(0, 2, n)
    noisy = rng.random(n) < 0.3
    p = np.where(noisy, 0.03, 0.3)
    y = x + a * (1 + noisy) + np.where(noisy, 4.0, 1.0) * rng.normal(size=n)
    d = pd.DataFrame({"y": y, "a": a, "x": x, "w": 1 / p})
    return d[rng.random(n) < p]


@pytest.mark.parametrize("reps", SIZES)
def test_sampling_weights(reps):
    """The default covers; the classical one, which takes weights for precisions, is far too small."""
    formula = "y ~ treat(a) + x + weights(w)"
    valid(Study(unequal_sampling, lambda d: cf.fit(formula, d), lambda d: 1.3), reps)
    coverage, ratio, _ = run(
        Study(unequal_sampling, lambda d: cf.fit(formula, d, vcov="classical"), lambda d: 1.3), 200
    )
    assert coverage < 0.85
    assert ratio < 0.75
