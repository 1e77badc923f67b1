"""Balance statistics against their definitions, on small data by hand and on random data by hypothesis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import causalformula as cf
from causalformula.diagnostics.balance import Sample, across, balance_table, pair_tables
from causalformula.diagnostics.balance_plan import read_pairs, read_plan, read_thresholds
from causalformula.diagnostics.covariates import Covariate, covariates
from causalformula.diagnostics.moments import moments
from causalformula.diagnostics.overlap import arm_overlaps, supports
from causalformula.diagnostics.statistics import (
    bandwidth,
    col_w_corr,
    col_w_ks,
    col_w_ovl,
    col_w_smd,
    col_w_vr,
    densities,
    ks,
)
from causalformula.diagnostics.weights_summary import arm_weights, effective_size
from causalformula.frame.bind import bind


@st.composite
def samples(draw):
    """A covariate with ties, two arms of at least two, and weights some of which are zero."""
    seed = draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    n = draw(st.integers(6, 40))
    x = rng.integers(-4, 5, n) * draw(st.sampled_from([1.0, 0.37])) + draw(st.sampled_from([0.0, 1e6]))
    treated = np.zeros(n, dtype=bool)
    treated[: draw(st.integers(2, n - 2))] = True
    w = rng.exponential(size=n) * (rng.random(n) > 0.2)
    w[[0, 1, -1, -2]] = [1.0, 2.0, 0.5, 1.5]  # each arm has some weight
    return x, treated, w


def by_hand_ks(x, treated, w):
    below = [x <= v for v in x]
    one, zero = (np.array([w[arm & b].sum() / w[arm].sum() for b in below]) for arm in (treated, ~treated))
    return np.abs(one - zero).max()


@given(samples())
def test_ks_is_the_largest_gap(sample):
    x, treated, w = sample
    assert ks(x, treated, [w])[0] == pytest.approx(by_hand_ks(x, treated, w), abs=1e-12)


@given(samples())
def test_moments_are_weighted_means_and_scatter(sample):
    x, treated, w = sample
    found = moments([x, x - x.mean()], np.column_stack([w, np.where(treated, w, 0.0)]))
    for k, weight in enumerate((w, np.where(treated, w, 0.0))):
        mean = np.average(x, weights=weight)
        scatter = weight @ (x - mean) ** 2
        assert found.mean[0, k] == pytest.approx(mean, rel=1e-14)
        assert found.scatter[:, k] == pytest.approx([scatter, scatter], rel=1e-7, abs=1e-9)
        freedom = 1 - (weight**2).sum() / weight.sum() ** 2
        variance = found.variance(np.zeros(2, dtype=bool))[0, k]
        assert variance == pytest.approx(scatter / weight.sum() / freedom, rel=1e-7, abs=1e-9)


def test_moments_do_not_cancel():
    """An arm far from the whole sample's mean keeps the digits of its spread."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=9000), 1e7 + rng.normal(size=9000)])
    arm = np.arange(len(x)) >= 9000
    found = moments([x], np.column_stack([~arm, arm]).astype(float)).variance(np.array([False]))[0]
    np.testing.assert_allclose(found, [x[~arm].var(ddof=1), x[arm].var(ddof=1)], rtol=1e-9)


@given(samples())
def test_merged_moments_are_those_of_all_rows(sample):
    x, treated, w = sample
    both = moments([x], np.column_stack([np.where(treated, w, 0), np.where(treated, 0, w)])).merged()
    whole = moments([x], w[:, None])
    for name in ("total", "squares", "mean", "scatter"):
        np.testing.assert_allclose(getattr(both, name), getattr(whole, name), rtol=1e-7, atol=1e-8)


@given(samples(), st.integers(1, 4))
def test_unit_weights_are_the_plain_statistics(sample, copies):
    """Without weights: numpy's means and variances; a KS statistic is that of the rows repeated."""
    x, treated, _ = sample
    one, zero = x[treated], x[~treated]
    if min(np.ptp(one), np.ptp(zero)) == 0:
        return
    pooled = np.sqrt((one.var(ddof=1) + zero.var(ddof=1)) / 2)
    assert col_w_smd(x, treated)[0] == pytest.approx((one.mean() - zero.mean()) / pooled, abs=1e-9)
    assert col_w_vr(x, treated)[0] == pytest.approx(one.var(ddof=1) / zero.var(ddof=1), rel=1e-9)
    repeated = [np.repeat(v, copies) for v in (x, treated)]
    assert col_w_ks(x, treated)[0] == pytest.approx(col_w_ks(*repeated)[0], abs=1e-12)


def test_density_is_the_sum_of_kernels():
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=60), rng.exponential(size=60)
    width = bandwidth(x)
    at = np.linspace(-2, 2, 21)
    exact = (np.exp(-0.5 * ((at[:, None] - x) / width) ** 2) @ w) / w.sum() / (width * np.sqrt(2 * np.pi))
    # R's grid of kernel distances is a thousandth short (until R 4.4), and the mass is shared between grid points
    np.testing.assert_allclose(densities(x, [w], width, at)[0], exact, rtol=5e-3)


def test_overlap_of_normals():
    """Two unit normals one apart overlap in 2 Phi(-1/2) = 0.617; kernels blur them a little."""
    z = np.linspace(0.0005, 0.9995, 1000)
    from scipy.special import ndtri

    x = np.concatenate([ndtri(z), ndtri(z) + 1])
    treated = np.arange(2000) >= 1000
    assert col_w_ovl(x, treated)[0] == pytest.approx(1 - 0.6171, abs=0.02)
    assert col_w_ovl(np.concatenate([ndtri(z), ndtri(z)]), treated)[0] == 0
    far = np.concatenate([ndtri(z), ndtri(z) + 50])
    assert col_w_ovl(far, treated)[0] == pytest.approx(1, abs=1e-3)


def test_a_covariate_of_one_value_has_no_density():
    assert np.isnan(col_w_ovl(np.array([1.0, 1, 1, 1, 2, 3]), [1, 1, 0, 0, 0, 0])[0])


def test_correlations_are_numpys_without_weights():
    rng = np.random.default_rng(4)
    a, x = rng.normal(size=(2, 50))
    b = (rng.random(50) > 0.5).astype(float)
    r = col_w_corr(np.column_stack([x, b]), a)
    assert r[0] == pytest.approx(np.corrcoef(x, a)[0, 1], rel=1e-12)
    assert r[1] == pytest.approx(np.corrcoef(b, a)[0, 1] * np.sqrt(50 / 49), rel=1e-12)


def test_balance_after_exact_weights():
    """Entropy balancing leaves no difference in means, and its weights are those that the table reads."""
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"x": rng.normal(size=200), "g": rng.choice(["u", "v", "w"], 200)})
    data["a"] = (rng.random(200) < 1 / (1 + np.exp(-data["x"]))).astype(int)
    design = cf.design("~ treat(a) + adjust(x + g)", data, "ebal", estimand="ATT")
    frame = design.balance().to_frame()
    assert list(frame.index) == ["x", "g_u", "g_v", "g_w"]
    assert frame["Diff.Adj"].abs().max() < 1e-8
    assert (frame["M.Threshold"] == "Balanced, <0.1").all()
    assert frame["Diff.Un"].abs().max() > 0.1


def frame_of(data, formula):
    return bind(cf.parse(formula), data)


def test_covariates_as_cobalt_names_them():
    rng = np.random.default_rng(6)
    n = 60
    data = pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "a": [0, 1] * 30,
            "x": rng.normal(size=n),
            "sex": ["F", "M", "M"] * 20,
            "site": ["p", "q", "r"] * 20,
            "flag": [True, False, False] * 20,
            "two": [1, 2, 2] * 20,
            "five": [0, 5, 5] * 20,
        }
    )
    found = covariates(frame_of(data, "y ~ treat(a) + adjust(x + sex + site + flag + two + five + log(x^2))"))
    assert [c.name for c in found] == ["x", "sex_M", "site_p", "site_q", "site_r", "flag", "two", "five", "log(x^2)"]
    assert [c.type for c in found] == ["Contin.", *["Binary"] * 7, "Contin."]
    by = {c.name: c.values for c in found}
    np.testing.assert_array_equal(by["two"], data["two"] == 2)
    np.testing.assert_array_equal(by["five"], data["five"] == 5)
    np.testing.assert_array_equal(by["flag"], data["flag"])


def test_products_leave_out_what_never_meets():
    data = pd.DataFrame({"y": np.arange(8.0), "a": [0, 1] * 4, "x": np.arange(8.0) ** 2, "s": list("ffffmmmm")})
    frame = frame_of(data, "y ~ treat(a) + adjust(x + s)")
    names = [c.name for c in covariates(frame, int=True, poly=3)]
    assert names == ["x", "s_m", "x²", "x³", "x * s_f", "x * s_m"]
    crossed = [c.name for c in covariates(frame_of(data, "y ~ treat(a) + adjust(x * s)"))]
    assert crossed == ["x", "s_m", "x * s_f", "x * s_m"]


def test_across_takes_the_worst_pair():
    rng = np.random.default_rng(7)
    x, b = rng.normal(size=90), (rng.random(90) > 0.5).astype(float)
    arms = {name: np.arange(90) % 3 == k for k, name in enumerate("abc")}
    sample = Sample(arms, None, np.ones(90), rng.exponential(size=90))
    columns = [Covariate("x", x, False, "x"), Covariate("b", b, True, "b")]
    tables = pair_tables(columns, sample, read_plan(("smd", "variance_ratio", "ks"), "raw", "pooled", False))
    worst = across(list(tables.values()))
    for name in ("Diff.Adj", "KS.Un"):
        np.testing.assert_array_equal(
            worst.columns[f"Max.{name}"], np.max([np.abs(t.columns[name]) for t in tables.values()], axis=0)
        )
    ratios = np.array([t.columns["V.Ratio.Adj"][0] for t in tables.values()])
    assert worst.columns["Max.V.Ratio.Adj"][0] == np.maximum(ratios, 1 / ratios).max()
    assert np.isnan(worst.columns["Max.V.Ratio.Adj"][1])


def test_pairs_by_hand():
    """Three arms of four rows: every number of a pair's table from its definition, the divisor over all three arms."""
    x = np.array([1.0, 2, 4, 5, 2, 3, 3, 8, 0, 1, 6, 9])
    b = np.array([0.0, 1, 1, 0, 1, 1, 0, 1, 0, 0, 0, 1])
    w = np.array([1.0, 2, 1, 1, 3, 1, 1, 1, 1, 1, 2, 2])
    codes = np.repeat([0, 1, 2], 4)
    arms = {name: codes == k for k, name in enumerate("abc")}
    plan = read_plan(("smd", "variance_ratio", "ks"), "raw", "pooled", False)
    columns = [Covariate("x", x, False, "x"), Covariate("b", b, True, "b")]
    tables = pair_tables(columns, Sample(arms, None, np.ones(12), w), plan)
    assert list(tables) == [("a", "b"), ("a", "c"), ("b", "c")]
    pooled = np.sqrt(np.mean([x[codes == k].var(ddof=1) for k in range(3)]))
    for low, high in tables:
        one, zero, found = arms[high], arms[low], tables[low, high].columns
        before = x[one].mean() - x[zero].mean()
        after = (w[one] @ x[one]) / w[one].sum() - (w[zero] @ x[zero]) / w[zero].sum()
        shares = [(w[arm] @ b[arm]) / w[arm].sum() for arm in (one, zero)]
        np.testing.assert_allclose(found["Diff.Un"], [before / pooled, b[one].mean() - b[zero].mean()], rtol=1e-12)
        np.testing.assert_allclose(found["Diff.Adj"], [after / pooled, shares[0] - shares[1]], rtol=1e-12)
        ratio = x[one].var(ddof=1) / x[zero].var(ddof=1)
        np.testing.assert_allclose(found["V.Ratio.Un"], [ratio, np.nan], rtol=1e-12)
        both = one | zero
        assert found["KS.Adj"][0] == pytest.approx(by_hand_ks(x[both], one[both], w[both]), rel=1e-12)
    # a (mean 3, weighted 14/5) against b (4, 20/6), by the numbers themselves
    variances = [10 / 3, 22 / 3, 18]
    divisor = np.sqrt(sum(variances) / 3)
    assert tables["a", "b"].columns["Diff.Un"][0] == pytest.approx(1 / divisor, rel=1e-12)
    assert tables["a", "b"].columns["Diff.Adj"][0] == pytest.approx((20 / 6 - 14 / 5) / divisor, rel=1e-12)


def test_the_worst_has_no_means():
    """Means and standard deviations belong to a pair; the largest of them over pairs says nothing."""
    arms = {name: np.arange(30) % 3 == k for k, name in enumerate("abc")}
    columns = [Covariate("x", np.arange(30.0) ** 2, False, "x")]
    plan = read_plan(("smd",), "raw", "pooled", False, moments=True)
    tables = list(pair_tables(columns, Sample(arms, None, np.ones(30), None), plan).values())
    assert "M.0.Un" in tables[0].columns
    assert list(across(tables).columns) == ["Max.Diff.Un", "Max.Diff.Adj"]
    # the worst of worst keeps one prefix
    again = across([across(tables), across(tables[:1])])
    np.testing.assert_array_equal(again.columns["Max.Diff.Un"], across(tables).columns["Max.Diff.Un"])


def test_pairs_that_levels_name():
    levels = ("a", "b", "c", "7")
    every = (("a", "b"), ("a", "c"), ("a", "7"), ("b", "c"), ("b", "7"), ("c", "7"))

    def pairs(which):
        return read_pairs(which, "arm", levels, str)

    assert pairs("all") == every == pairs(levels)
    assert pairs("b") == pairs(["b"]) == pairs(["b", "b"]) == (("a", "b"), ("b", "c"), ("b", "7"))
    assert pairs(("c", "a")) == (("a", "c"),)
    assert pairs(7) == (("a", "7"), ("b", "7"), ("c", "7"))
    assert pairs(np.array(["a", "b", "c"])) == (("a", "b"), ("a", "c"), ("b", "c"))
    # a level of that name is a level
    assert read_pairs("all", "arm", ("all", "b", "c"), str) == (("all", "b"), ("all", "c"))


def test_overlap_by_hand():
    """Two scores of three arms: ranges, what all arms have, and the rows that leave it on either score."""
    a = np.array([0.1, 0.4, 0.5, 0.2, 0.6, 0.3, 0.3, 0.45, 0.7, 0.9])
    b = np.array([0.5, 0.3, 0.2, 0.6, 0.3, 0.25, 0.4, 0.2, 0.25, 0.05])
    codes = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    arms = {name: codes == k for k, name in enumerate("pqr")}
    s, w = np.ones(10), np.array([0.0, 1, 3, 1, 1, 1, 2, 2, 2, 50])
    s[9] = 0.0  # a row that no sampling weight counts extends no range
    common = supports({"p": a, "q": b}, arms, s > 0)
    assert common == {"p": (0.3, 0.5), "q": (0.25, 0.4)}
    found = arm_overlaps(arms, s, w, {"p": a, "q": b})
    assert found["p"].ranges == {"p": (0.1, 0.5), "q": (0.2, 0.5)}
    assert found["r"].ranges == {"p": (0.3, 0.7), "q": (0.2, 0.4)}
    assert [arm.outside.tolist() for arm in found.values()] == [[0, 2], [3, 4], [7, 8]]
    assert [arm.dropped for arm in found.values()] == [1, 0, 0]
    assert (found["p"].rows, found["p"].largest, found["p"].share) == (3, 3.0, 0.75)
    assert (found["r"].rows, found["r"].before, found["r"].after) == (3, 3.0, 3.0)
    assert found["p"].after == pytest.approx(16 / 10)


def test_swapping_the_arms_turns_the_signs():
    rng = np.random.default_rng(8)
    x, treated, w = rng.normal(size=50), rng.random(50) > 0.5, rng.exponential(size=50)
    columns = [Covariate("x", x, False, "x")]
    plan = read_plan(("smd", "variance_ratio", "ks", "ovl"), "raw", "pooled", False)
    one = balance_table(columns, Sample({"0": ~treated, "1": treated}, None, np.ones(50), w), plan).columns
    other = balance_table(columns, Sample({"1": treated, "0": ~treated}, None, np.ones(50), w), plan).columns
    assert other["Diff.Adj"] == pytest.approx(-one["Diff.Adj"], rel=1e-12)
    assert other["V.Ratio.Adj"] == pytest.approx(1 / one["V.Ratio.Adj"], rel=1e-12)
    assert other["KS.Adj"] == pytest.approx(one["KS.Adj"], rel=1e-12)
    assert other["OVL.Adj"] == pytest.approx(one["OVL.Adj"], rel=1e-9)


def test_thresholds_are_read_by_either_name():
    plan = read_plan(("smd", "variance_ratio", "ks"), "raw", "pooled", False)
    assert read_thresholds(0.1, plan) == {"Diff": 0.1}
    assert read_thresholds({"m": 0.05, "v": 0.5, "ks": 0.1}, plan) == {"Diff": 0.05, "V.Ratio": 2.0, "KS": 0.1}
    assert read_thresholds({"mean.diffs": 0.05, "variance.ratios": 2}, plan) == {"Diff": 0.05, "V.Ratio": 2.0}
    with pytest.raises(cf.OptionError, match="not among the statistics asked for"):
        read_thresholds({"ovl": 0.1}, plan)
    dose = read_plan(("smd", "ks"), "raw", "all", True)
    assert read_thresholds({"correlations": 0.1, "ks": 0.2}, dose) == {"Corr": 0.1, "KS.Target": 0.2}


def test_a_plain_threshold_is_for_differences():
    plan = read_plan(("ks", "smd"), "raw", "pooled", False)
    assert read_thresholds(0.2, plan) == {"Diff": 0.2}
    alone = read_plan("ks", "raw", "pooled", False)
    assert read_thresholds(0.1, alone) == {}  # the default of every table
    with pytest.raises(cf.OptionError, match=r"is for smd, which was not asked for.*threshold=\{'ks': 0.2\}"):
        read_thresholds(0.2, alone)


@pytest.mark.parametrize(
    ("theirs", "ours"), [("mean.diffs", "smd"), ("m", "smd"), ("variance.ratios", "variance_ratio")]
)
def test_cobalts_names_of_statistics(theirs, ours):
    assert read_plan(theirs, "raw", "pooled", False).stats == read_plan(ours, "raw", "pooled", False).stats


def test_cobalts_names_of_all_statistics():
    names = ("mean.diffs", "variance.ratios", "ks.statistics", "ovl.coefficients")
    assert read_plan(names, "raw", "pooled", False).stats == ("Diff", "V.Ratio", "KS", "OVL")
    assert read_plan(("correlations", "ks.statistics.target"), "raw", "all", True).stats == ("Corr", "KS.Target")


def test_weights_in_numbers():
    w = np.array([0.0, 1.0, 2.0, 2.0, 3.0, 9.0])
    found = arm_weights(w, np.array([True, True, True, True, True, False]), 2)
    assert (found.low, found.high, found.zeros) == (1.0, 3.0, 1)
    # of equal weights the earlier row counts as the larger
    assert found.top == ((2, 2.0), (4, 3.0))
    inside = w[:5]
    assert found.variation == pytest.approx(inside.std(ddof=1) / inside.mean())
    assert found.mad == pytest.approx(np.abs(inside - inside.mean()).mean() / inside.mean())
    scaled = inside[1:] / inside[1:].mean()
    assert found.entropy == pytest.approx((scaled * np.log(scaled)).mean())
    assert effective_size(inside) == pytest.approx(64 / 18)


@pytest.mark.parametrize("constant", [0.1, 1e9 / 3, -1e-9 / 7])
@pytest.mark.parametrize("method", ["ipw", "ebal"])
def test_what_does_not_vary_has_no_variance_ratio(constant, method):
    """Whatever rounding makes of its variance."""
    rng = np.random.default_rng(1)
    d = pd.DataFrame({"x": rng.normal(size=501), "a": rng.integers(0, 2, 501), "k": constant})
    table = cf.design("~ treat(a) + adjust(x + z)", d.assign(z=constant), method).balance().to_frame()
    assert table.loc["z", "Diff.Un"] == table.loc["z", "Diff.Adj"] == 0
    assert np.isnan(table.loc["z", ["V.Ratio.Un", "V.Ratio.Adj"]].astype(float)).all()
    score = cf.design("~ treat(a) + adjust(k)", d, "ipw").balance().to_frame().loc["prop.score"]
    assert np.isnan(score[["V.Ratio.Un", "V.Ratio.Adj"]].astype(float)).all()
    assert score["Diff.Adj"] == 0
