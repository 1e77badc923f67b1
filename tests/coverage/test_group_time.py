"""Group-time effects where adoption is staggered and effects differ and grow: do intervals and bands cover?"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import causalformula as cf

PERIODS, GROUPS = 5, np.array([0, 3, 4])
FORMULA = "y ~ did(g, t, unit = id) + adjust(x)"


def effect(group, since):
    """Larger for those treated first, and growing."""
    return np.where(since >= 0, (2.0 if group == 3 else 0.5) * (1 + since), 0.0)


def panel(rng, units=240, parallel=0.0):
    """Who is treated when follows a covariate that trends follow too; lasting and passing errors of the units."""
    x = rng.normal(size=units)
    odds = np.column_stack([np.ones(units), np.exp(0.4 * x - 0.3), np.exp(-0.3 * x - 0.2)])
    group = GROUPS[(rng.random(units)[:, None] > (odds / odds.sum(axis=1, keepdims=True)).cumsum(axis=1)).sum(axis=1)]
    t = np.arange(1, PERIODS + 1)
    y = x[:, None] * (1 + 0.5 * t) + 0.3 * t + 2 * rng.normal(size=(units, 1)) + rng.normal(size=(units, PERIODS))
    for k in (3, 4):
        y[group == k] += effect(k, t - k) + parallel * t
    columns = {"id": np.arange(units), "g": group, "x": x}
    data = pd.DataFrame({name: np.repeat(values, PERIODS) for name, values in columns.items()})
    return data.assign(t=np.tile(t, units), y=y.ravel())


def truth(table):
    return np.array([float(effect(g, t - g)) for g, t in zip(table["group"], table["time"], strict=True)])


def two_way(data):
    """The coefficient of being treated beside unit and period effects, with its clustered error."""
    treated = ((data["g"] > 0) & (data["t"] >= data["g"])).astype(float)

    def within(v):
        by_unit, by_time = v.groupby(data["id"]).transform("mean"), v.groupby(data["t"]).transform("mean")
        return v - by_unit - by_time + v.mean()

    d, y = within(treated), within(data["y"])
    beta = (d @ y) / (d @ d)
    scores = (d * (y - beta * d)).groupby(data["id"]).sum()
    return beta, np.sqrt((scores**2).sum()) / (d @ d)


def study(reps, seed=11, method="dr", units=240, **options):
    """Of each sample: whether each effect's interval, the band and the overall interval cover; the test before."""
    found = []
    for child in np.random.SeedSequence(seed).spawn(reps):
        data = panel(np.random.default_rng(child), units)
        fit = cf.fit(FORMULA, data, est_method=method, **options)
        table = fit.tidy()
        right = truth(table)
        # the overall effect is of the groups' shares in the population, which the sample's are near
        band = fit.simultaneous(seed=1, reps=499).table
        own = ((table["conf.low"] <= right) & (right <= table["conf.high"])).to_numpy()
        joint = bool(((band["conf.low"] <= right) & (right <= band["conf.high"])).all())
        dynamic = fit.aggregate("dynamic", min_e=0, max_e=0)
        found.append((*own, joint, fit.pretrends().p_value < 0.05, dynamic.std_error, dynamic.estimate))
    return np.array(found, dtype=float)


def near(share, level, reps):
    return abs(share - level) <= 3.2 * np.sqrt(level * (1 - level) / reps)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        yield


@pytest.mark.parametrize("reps", [60, pytest.param(1500, marks=pytest.mark.slow)])
def test_intervals_bands_and_the_test_before(reps):
    found = study(reps)
    *own, joint, rejected, error, estimate = found.T
    print(f"cells {np.mean(own):.4f}, joint {joint.mean():.4f}, rejected {rejected.mean():.4f}")
    assert all(near(each.mean(), 0.95, reps) for each in own)
    assert near(joint.mean(), 0.95, reps)
    assert near(rejected.mean(), 0.05, reps)
    ratio = np.sqrt(np.mean(error**2)) / estimate.std(ddof=1)
    assert abs(ratio - 1) <= 4 / np.sqrt(2 * reps)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dr_improved", "ipw", "reg"])
@pytest.mark.parametrize("control", ["nevertreated", "notyettreated"])
def test_other_estimators_and_controls(method, control):
    reps = 300
    *own, joint, rejected, _, _ = study(reps, 12, method, control_group=control).T
    assert all(near(each.mean(), 0.95, reps) for each in own)
    assert near(joint.mean(), 0.95, reps) and near(rejected.mean(), 0.05, reps)


@pytest.mark.parametrize("reps", [40, pytest.param(600, marks=pytest.mark.slow)])
def test_two_way_fixed_effects_do_not_cover(reps):
    """Without any part of the covariate in trends and adoption: those treated early stand in as controls."""
    simple, fixed = [], []
    for child in np.random.SeedSequence(5).spawn(reps):
        data = panel(np.random.default_rng(child))
        data["y"] -= 0.5 * data["x"] * data["t"]
        fit = cf.fit("y ~ did(g, t, unit = id)", data)
        counts = np.array([(data.drop_duplicates("id")["g"] == g).sum() for g in (3, 4)])
        right = (counts[0] * 12.0 + counts[1] * 1.5) / (3 * counts[0] + 2 * counts[1])
        overall = fit.aggregate("simple").tidy().iloc[0]
        beta, error = two_way(data)
        simple.append(overall["conf.low"] <= right <= overall["conf.high"])
        fixed.append(abs(beta - right) <= 1.96 * error)
    print(f"group-time {np.mean(simple):.3f}, two-way {np.mean(fixed):.3f}")
    # the shares are the sample's own here, and their error counts: intervals are a little wide
    assert np.mean(simple) >= 0.95 - 3.2 * np.sqrt(0.95 * 0.05 / reps)
    assert np.mean(fixed) < 0.5


@pytest.mark.parametrize("reps", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_the_test_before_sees_trends_that_differ(reps):
    rejected = [
        cf.fit(FORMULA, panel(np.random.default_rng(child), parallel=0.6)).pretrends().p_value < 0.05
        for child in np.random.SeedSequence(6).spawn(reps)
    ]
    assert np.mean(rejected) > 0.8


@pytest.mark.parametrize("reps", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_samples_of_different_units(reps):
    """One period of each unit: no unit is seen twice, and rows are independent."""
    covered, errors, sizes = [], [], []
    for child in np.random.SeedSequence(9).spawn(reps):
        rng = np.random.default_rng(child)
        data = panel(rng, units=1200)
        data = data[data["t"] == rng.integers(1, PERIODS + 1, 1200)[data["id"]]]
        row = cf.fit("y ~ did(g, t) + adjust(x)", data).tidy().query("group == 3 and time == 4").iloc[0]
        covered.append(row["conf.low"] <= 4.0 <= row["conf.high"])
        errors.append(row["estimate"] - 4.0)
        sizes.append(row["std.error"])
    assert near(np.mean(covered), 0.95, reps)
    assert abs(np.sqrt(np.mean(np.square(sizes))) / np.std(errors) - 1) <= 4 / np.sqrt(2 * reps)


def curved(rng, units=600):
    """Trends and adoption that follow the square of a covariate, which no linear term of it has."""
    x = rng.uniform(-1.5, 1.5, units)  # so that nobody is nearly sure to be treated, or not to be
    late = rng.random(units) < 1 / (1 + np.exp(1.0 - 1.2 * x**2))
    t = np.arange(1, 4)
    y = np.where(late[:, None] & (t == 3), 1.0, 0.0) + t * (x**2)[:, None] + rng.normal(size=(units, 3))
    columns = {"id": np.arange(units), "g": np.where(late, 3, 0), "x": x}
    data = pd.DataFrame({name: np.repeat(values, 3) for name, values in columns.items()})
    return data.assign(t=np.tile(t, units), y=y.ravel())


@pytest.mark.parametrize("reps", [12, pytest.param(300, marks=pytest.mark.slow)])
def test_learners_find_the_shape_that_terms_miss(reps):
    lines = (LinearRegression(), LogisticRegression(C=1e6))
    learners = {"lines": lines, "squares": tuple(make_pipeline(PolynomialFeatures(2), each) for each in lines)}
    errors, covered = {name: [] for name in learners}, []
    for child in np.random.SeedSequence(21).spawn(reps):
        data = curved(np.random.default_rng(child))
        for name, found in errors.items():
            options = {"outcome_model": learners[name][0], "treatment_model": learners[name][1], "folds": 3}
            row = cf.fit(FORMULA, data, **options).tidy().query("time == 3").iloc[0]
            found.append((row["estimate"] - 1.0) / row["std.error"])
        covered.append(abs(errors["squares"][-1]) < 1.96)
    linear, squared = (np.mean(found) for found in errors.values())
    print(f"bias / s.e. with lines {linear:.2f}, with squares {squared:.2f}, coverage {np.mean(covered):.3f}")
    assert linear > 2
    assert abs(squared) < 3 / np.sqrt(reps)
    assert near(np.mean(covered), 0.95, reps)
