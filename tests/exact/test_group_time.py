"""Group-time effects of small panels solved by hand, and of how groups, gaps and weights are read."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import registry
from causalformula.inference.covariance import covariance

F = "y ~ did(g, t, unit = id)"


@pytest.fixture(autouse=True)
def quiet():
    """Groups of two units are small, which is said and tested elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        yield


@pytest.fixture
def small() -> pd.DataFrame:
    """Four periods; units 1, 2 first treated in 3, unit 3 and 4 in 4, units 5 and 6 never."""
    paths = {
        1: (3, [1, 2, 6, 7]), 2: (3, [3, 4, 6, 9]), 3: (4, [0, 1, 1, 5]), 4: (4, [2, 2, 4, 7]),
        5: (0, [5, 5, 6, 6]), 6: (0, [1, 2, 2, 4]),
    }  # fmt: skip
    rows = [(unit, g, t + 1, y) for unit, (g, path) in paths.items() for t, y in enumerate(path)]
    return pd.DataFrame(rows, columns=["id", "g", "t", "y"]).astype({"y": float})


def effects(fit) -> dict[tuple[int, int], float]:
    table = fit.tidy()
    return {(g, t): e for g, t, e in zip(table["group"], table["time"], table["estimate"], strict=True)}


def test_by_hand(small):
    """Changes of a group's mean less those of the never treated, whose means are 3, 3.5, 4, 5."""
    found = effects(cf.fit(F, small))
    assert found == pytest.approx({(3, 2): 0.5, (3, 3): 2.5, (3, 4): 3.5, (4, 2): 0.0, (4, 3): 0.5, (4, 4): 2.5})


def test_universal_base_and_not_yet_treated_by_hand(small):
    found = effects(cf.fit(F, small, base_period="universal"))
    assert found == pytest.approx({(3, 1): -0.5, (3, 3): 2.5, (3, 4): 3.5, (4, 1): -0.5, (4, 2): -0.5, (4, 4): 2.5})
    found = effects(cf.fit(F, small, control_group="notyettreated"))
    # group 3 in period 3 beside units 3 to 6, whose means in periods 2 and 3 are 2.5 and 3.25; group 4 in period 2
    # beside units 1, 2, 5 and 6, which gain 0.75
    assert found == pytest.approx({(3, 2): 0.5, (3, 3): 2.25, (3, 4): 3.5, (4, 2): -0.25, (4, 3): 0.5, (4, 4): 2.5})


def test_summaries_by_hand(small):
    fit = cf.fit(F, small)
    assert fit.aggregate().estimate == pytest.approx((2.5 + 3.5 + 2.5) / 3)
    dynamic = fit.aggregate("dynamic")
    assert dict(zip(dynamic.tidy()["event"], dynamic.tidy()["estimate"], strict=True)) == pytest.approx(
        {-2: 0.0, -1: 0.5, 0: 2.5, 1: 3.5}
    )
    assert dynamic.overall.estimate == pytest.approx(3.0)
    assert fit.aggregate("group").tidy()["estimate"].tolist() == pytest.approx([3.0, 2.5])
    assert fit.aggregate("calendar").tidy()["time"].tolist() == [3, 4]
    assert fit.aggregate("dynamic", balance_e=1).tidy()["event"].tolist() == [-1, 0, 1]
    assert fit.aggregate("dynamic", min_e=0, max_e=0).overall.estimate == pytest.approx(2.5)


def test_shares_weigh_the_groups_and_are_estimated(small):
    """With weights 3 on group 3 it has three quarters of the treated; the overall error holds that of the shares."""
    weighted = small.assign(w=np.where(small["g"] == 3, 3.0, 1.0))
    fit = cf.fit(F + " + weights(w)", weighted)
    assert fit.aggregate("dynamic", min_e=0, max_e=0).estimate == pytest.approx(2.5)
    assert fit.aggregate("group").overall.estimate == pytest.approx(0.75 * 3.0 + 0.25 * 2.5)
    assert fit.aggregate().estimate == pytest.approx((3 * 2.5 + 3 * 3.5 + 2.5) / 7)


def test_weights_that_change_within_units_are_told(small):
    """Each change has the weight of its base: in period 3 that of period 2, where units 1 and 2 weigh 1 and 3."""
    data = small.assign(w=np.where((small["id"] == 2) & (small["t"] == 2), 3.0, 1.0))
    fit = cf.fit(F + " + weights(w)", data)
    assert effects(fit)[3, 3] == pytest.approx((1 * 4 + 3 * 2) / 4 - 0.5)
    assert "the weights change within units" in str(fit)
    assert "the weights change" not in str(cf.fit(F + " + weights(w)", data.assign(w=2.0)))


def test_standard_errors_by_hand(small):
    """The variance of a difference of two means of changes, with n in place of n - 1."""
    fit = cf.fit(F, small)
    one, zero = np.array([4.0, 2.0]), np.array([1.0, 0.0])
    expected = np.sqrt(one.var() / 2 + zero.var() / 2)
    row = fit.tidy().query("group == 3 and time == 3")
    assert row["std.error"].item() == pytest.approx(expected, rel=1e-12)
    # with clusters of units there is the factor of the clusters, as everywhere
    again = fit.with_vcov("~id").tidy().query("group == 3 and time == 3")
    assert again["std.error"].item() == pytest.approx(expected * np.sqrt(6 / 5), rel=1e-12)


def test_who_is_never_treated(small):
    """0, NA, Inf and a period after the last are all never; the last is said."""
    expected = effects(cf.fit(F, small))
    for never in (np.nan, np.inf, 9.0):
        data = small.assign(g=np.where(small["g"] == 0, never, small["g"]))
        fit = cf.fit(F, data)
        assert effects(fit) == pytest.approx(expected)
        assert fit.nobs == 24
        assert ("2 units with g after the last period count as never treated" in str(fit)) == (never == 9.0)


def test_a_treatment_that_switches_on(small):
    data = small.assign(a=((small["g"] > 0) & (small["t"] >= small["g"])).astype(int))
    fit = cf.fit("y ~ did(a, t, unit = id)", data)
    assert effects(fit) == pytest.approx(effects(cf.fit(F, small)))
    assert "a unit's first treated period is the first in which it is 1 (4 units of 6)" in str(fit)


def test_treated_from_the_first_period_on(small):
    """No part in any effect, and told."""
    early = pd.DataFrame({"id": 7, "g": 1, "t": [1, 2, 3, 4], "y": [50.0, 10.0, 70.0, 0.0]})
    fit = cf.fit(F, pd.concat([small, early]), control_group="notyettreated")
    assert effects(fit) == pytest.approx(effects(cf.fit(F, small, control_group="notyettreated")))
    assert "1 unit treated from the first period on has no period before the treatment" in str(fit)
    assert fit.nobs == 24 and fit.influence().shape[0] == 7


def test_units_with_gaps(small):
    """Left out and counted; with allow_unbalanced_panel periods are samples of their own."""
    gaps = small[~((small["id"] == 1) & (small["t"] == 2))]
    fit = cf.fit(F, gaps)
    assert effects(fit) == pytest.approx(effects(cf.fit(F, small[small["id"] != 1])))
    assert "1 unit of 6 not observed in all periods: no part is taken by it" in str(fit)
    all_in = cf.fit(F, gaps, allow_unbalanced_panel=True)
    # of group 3 in period 3 the mean is 6, and in period 2 it is that of unit 2 alone, 4
    assert effects(all_in)[3, 3] == pytest.approx((6 - 4) - 0.5)
    assert all_in.influence().shape[0] == 6
    assert "each period counts as a sample of its own" in str(all_in)
    # of units without gaps it is no other estimate
    balanced = cf.fit(F, small, allow_unbalanced_panel=True)
    pd.testing.assert_frame_equal(balanced.tidy(), cf.fit(F, small).tidy())


def test_samples_of_different_units_have_the_panels_estimates(small):
    """Without covariates means are means; standard errors are those of independent rows."""
    panel, rows = cf.fit(F, small), cf.fit("y ~ did(g, t)", small)
    assert effects(rows) == pytest.approx(effects(panel))
    assert rows.influence().shape[0] == 24
    by_unit = rows.with_vcov("CR0 ~ id").tidy()["std.error"]
    assert by_unit.tolist() == pytest.approx(panel.tidy()["std.error"].tolist())


def test_periods_that_are_not_consecutive(small):
    """The base is the last period before the treatment, and event times are differences of periods."""
    two = {1: 1, 2: 3, 3: 7, 4: 8}
    data = small.assign(t=small["t"].map(two), g=small["g"].map({0: 0, 3: 5, 4: 8}))  # 5 lies between 3 and 7
    fit = cf.fit(F, data)
    assert list(effects(fit).values()) == pytest.approx(list(effects(cf.fit(F, small)).values()))
    assert fit.aggregate("dynamic").tidy()["event"].tolist() == [-5, -2, -1, 0, 2, 3]


def test_some_rows_of_a_frame(small):
    """Units that are not among them have no number, and clusters are of those that are."""
    fit = cf.fit(F + " + cluster(s)", small.assign(s=small["id"] // 2))
    frame = fit.call.frame.take(np.flatnonzero(small["id"] != 2))
    found = registry.run(frame, fit.call.options)
    assert found.estimate.evidence.n == 5
    assert covariance(found.estimate, cf.Cluster("s"), groups={"s": frame.groups("s").codes}).matrix.shape == (6, 6)


def test_outcomes_far_from_zero_keep_their_digits(small):
    rng = np.random.default_rng(2)
    more = pd.concat([small.assign(id=small["id"] + 10 * k, y=small["y"] + rng.normal(size=24)) for k in range(9)])
    more["x"] = rng.normal(size=len(more))
    for formula in (F, "y ~ did(g, t)"):
        near, far = (
            cf.fit(formula + " + x", more.assign(y=more["y"] + by, x=more["x"] * 1e5 + by)) for by in (0.0, 1e7)
        )
        np.testing.assert_allclose(far.params, near.params, atol=1e-7)
        np.testing.assert_allclose(far.bse, near.bse, rtol=1e-6)


def test_without_covariates_all_estimators_are_one(small):
    expected = effects(cf.fit(F, small))
    for method in ("dr", "dr_improved", "ipw", "reg"):
        fit = cf.fit(F, small, est_method=method)
        assert effects(fit) == pytest.approx(expected)
        np.testing.assert_allclose(fit.bse, cf.fit(F, small).bse, rtol=1e-9)


def test_a_group_of_one_unit_is_told(small):
    fit = cf.fit(F, small[small["id"] != 1])
    assert "g = 3: a single unit, whose own error no influence shows" in str(fit)
    assert "few treated units in g = 4 (2): standard errors and normal limits are rough" in str(fit)


def test_bands_and_the_trends_before(small):
    rng = np.random.default_rng(1)
    more = pd.concat([small.assign(id=small["id"] + 10 * k, y=small["y"] + rng.normal(size=24)) for k in range(20)])
    fit = cf.fit(F, more, base_period="universal")
    bands = fit.aggregate("dynamic").simultaneous(seed=1)
    assert 1.96 < bands.critical_value < 3
    assert bands.table["event"].tolist() == [-3, -2, 0, 1]
    pd.testing.assert_frame_equal(bands.table, fit.aggregate("dynamic").simultaneous(seed=1).table)
    before = fit.tidy().query("time < group").index
    theta, v = fit.answer.estimate.theta[before], fit.covariance.matrix[np.ix_(before, before)]
    assert fit.pretrends().statistic == pytest.approx(theta @ np.linalg.solve(v, theta))
    assert fit.pretrends().df == len(before)


def test_a_bootstrap_draws_whole_units_and_refits_summaries(small):
    rng = np.random.default_rng(1)
    more = pd.concat([small.assign(id=small["id"] + 10 * k, y=small["y"] + rng.normal(size=24)) for k in range(20)])
    dynamic = cf.fit(F, more).aggregate("dynamic")
    boot = dynamic.with_vcov(cf.Bootstrap(reps=60, seed=1))
    assert "clusters of id" in boot.covariance.label
    np.testing.assert_allclose(boot.covariance.std_error, dynamic.covariance.std_error, rtol=0.3)
    assert boot.overall.std_error == pytest.approx(dynamic.overall.std_error, rel=0.3)
