"""Effects that differ between groups and grow: which event studies cover, and that two-way fixed effects do not."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

FORMULA = "y ~ did(g, t, unit = id)"
PERIODS, GROUPS, SHARES = 6, np.array([np.inf, 3, 5]), np.array([0.15, 0.45, 0.4])
ESTIMATORS = ("imputation", "sunab")


def panel(rng, units):
    """Large and growing effects on those treated first, small ones on the others, few that are never treated."""
    t = np.arange(1, PERIODS + 1)
    group = np.repeat(GROUPS, np.round(SHARES * units).astype(int))
    on = t >= group[:, None]
    effect = np.where(on, np.where(group[:, None] == 3, 1 + 1.5 * (t - 3), 0.2), 0.0)
    y = effect + 0.3 * t + 2 * rng.normal(size=(len(group), 1)) + rng.normal(size=on.shape)
    data = pd.DataFrame({"id": np.repeat(np.arange(len(group)), PERIODS), "g": np.repeat(group, PERIODS)})
    return data.assign(t=np.tile(t, len(group)), y=y.ravel(), on=on.ravel().astype(float), effect=effect.ravel())


def covers(limits, truth):
    return (limits[:, 0] <= truth) & (truth <= limits[:, 1])


def study(reps, seed=5, units=120):
    """Of each sample: whether the intervals at times 0 and 1, and of all, cover; the last one's error and estimate."""
    found = {name: [] for name in (*ESTIMATORS, "coefficient")}
    for child in np.random.SeedSequence(seed).spawn(reps):
        data = panel(np.random.default_rng(child), units)
        treated = data[data["on"] == 1]
        by_time = treated["effect"].groupby(treated["t"] - treated["g"]).mean()
        truth = np.array([by_time[0], by_time[1], treated["effect"].mean()])
        for name in ESTIMATORS:
            fit = cf.fit(FORMULA, data, name)
            limits = np.vstack([fit.aggregate("dynamic", min_e=0, max_e=1).confint(), fit.overall.confint()])
            found[name].append((*covers(limits, truth), fit.overall.std_error, fit.overall.estimate - truth[-1]))
        model = cf.lm("y ~ on | id + t", data, vcov="~id")
        found["coefficient"].append(covers(model.confint().to_numpy(), truth[-1:]))
    return {name: np.array(rows, dtype=float) for name, rows in found.items()}


def near(share, level, reps):
    return abs(share - level) <= 3.2 * np.sqrt(level * (1 - level) / reps)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        yield


@pytest.mark.parametrize("reps", [10, pytest.param(600, marks=pytest.mark.slow)])
def test_two_way_fixed_effects_do_not_cover_and_the_others_do(reps):
    found = study(reps)
    for name, table in found.items():
        print(name, table.mean(axis=0).round(4), table[:, -1].std(ddof=1).round(4))
    for name in ESTIMATORS:
        *covered, error, off = found[name].T
        assert all(near(each.mean(), 0.95, reps) for each in covered), name
        assert abs(off.mean()) < 4 * off.std(ddof=1) / np.sqrt(reps), name
        if reps > 100:
            assert 0.9 < np.sqrt(np.mean(error**2)) / off.std(ddof=1) < 1.1, name
    assert found["coefficient"].mean() < 0.3


def test_two_stage_errors_have_the_sampling_of_groups():
    """Where effects differ between groups, the error for the population's mean effect is the larger one."""
    fit = cf.fit(FORMULA, panel(np.random.default_rng(2), 200), "imputation")
    assert fit.with_vcov("two_stage").std_error > 1.02 * fit.std_error


def counts(rng, units):
    """Groups that differ in level and grow in proportion, and the mean effect on those treated."""
    t, group = np.arange(1, PERIODS + 1), np.array([np.inf, 3, 5])[np.arange(units) % 3]
    level = 0.3 + 0.5 * (group == 3) + 0.2 * (group == 5)
    mean = rng.gamma(4, 0.25, units)[:, None] * np.exp(level[:, None] + 0.25 * t)
    on = t >= group[:, None]
    rise = np.exp(0.2 + 0.1 * np.where(on, t - group[:, None], 0)) * on + ~on
    data = pd.DataFrame({"id": np.repeat(np.arange(units), PERIODS), "g": np.repeat(group, PERIODS)})
    y = rng.poisson(mean * rise).ravel()
    return data.assign(t=np.tile(t, units), y=y), (mean * (rise - 1))[on].mean()


@pytest.mark.parametrize("reps", [5, pytest.param(400, marks=pytest.mark.slow)])
def test_trends_in_proportion_are_for_a_poisson_regression(reps):
    found = {"poisson": [], "gaussian": []}
    for child in np.random.SeedSequence(9).spawn(reps):
        data, truth = counts(np.random.default_rng(child), 300)
        for family, rows in found.items():
            fit = cf.fit(FORMULA, data, "etwfe", family=family)
            rows.append((covers(fit.confint().to_numpy(), truth)[0], fit.std_error, fit.estimate - truth))
    covered, error, off = np.array(found["poisson"], dtype=float).T
    print(covered.mean(), error.mean(), off.std(ddof=1))
    assert near(covered.mean(), 0.95, reps) and abs(off.mean()) < 4 * off.std(ddof=1) / np.sqrt(reps)
    assert np.mean([row[0] for row in found["gaussian"]]) < 0.5
