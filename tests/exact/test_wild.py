"""The wild bootstrap against its definition: every replicate built row by row and refitted by least squares."""

import pickle
from itertools import product

import numpy as np
import pytest

import causalformula as cf
from causalformula.inference.request_text import read_request
from causalformula.inference.resampling.wild import Patterns, Roots, WildReference, multipliers

rng = np.random.default_rng(7)
N, G = 48, 6


@pytest.fixture(scope="module")
def data():
    import pandas as pd

    g = np.sort(rng.integers(0, G, N))
    x = rng.normal(size=N) + 0.3 * g
    a = (rng.random(N) < 0.5).astype(float)
    y = 1 + 0.4 * a + x + rng.normal(size=G)[g] + rng.normal(size=N) * (1 + a)
    return pd.DataFrame({"y": y, "a": a, "x": x, "g": g, "w": rng.integers(1, 4, N).astype(float)})


def by_hand(X, y, w, codes, c, value, V, *, null):
    """Replicated t statistics by explicit samples and refits; an independent computation in O(R n p)."""
    s = np.sqrt(w)
    X, y = X * s[:, None], y * s
    n, k = X.shape
    count = codes.max() + 1
    bread = np.linalg.inv(X.T @ X)
    factor = count / (count - 1) * (n - 1) / (n - k)

    def fit(target):
        beta = bread @ X.T @ target
        return beta, target - X @ beta

    def error(e):
        scores = np.array([X[codes == g].T @ e[codes == g] for g in range(count)]) @ bread @ c
        return np.sqrt(factor * (scores**2).sum())

    beta, e = fit(y)
    centre = value if null else c @ beta
    if null:
        beta = beta - bread @ c * (c @ beta - value) / (c @ bread @ c)
        e = y - X @ beta
    out = []
    for v in V:
        b, u = fit(X @ beta + e * v[codes])
        out.append((c @ b - centre) / error(u))
    return np.array(out)


def reference(fit):
    found = fit.covariance.reference
    assert isinstance(found, WildReference)
    return found


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.parametrize("weights", ["rademacher", "webb", "mammen"])
def test_replicates_are_refits(data, null, weights):
    request = cf.Wild(reps=60, weights=weights, null=null, cluster="g", seed=3)
    fit = cf.lm("y ~ a + x", data, weights="w").with_vcov(request)
    V = np.vstack(list(Patterns(G, request)))
    X = np.column_stack([np.ones(N), data.a, data.x])
    for j, root in enumerate(reference(fit).roots):
        c = np.eye(3)[j]
        for value in (0.0, 0.7):
            expected = by_hand(X, data.y.to_numpy(), data.w.to_numpy(), data.g.to_numpy(), c, value, V, null=null)
            np.testing.assert_allclose(root.at(value, null=null), expected, rtol=1e-8, atol=1e-10)


def test_rows_are_their_own_clusters_without_one(data):
    request = cf.Wild(reps=50, seed=1)
    fit = cf.lm("y ~ a + x", data).with_vcov(request)
    V = np.vstack(list(Patterns(N, request)))
    X = np.column_stack([np.ones(N), data.a, data.x])
    expected = by_hand(X, data.y.to_numpy(), np.ones(N), np.arange(N), np.eye(3)[1], 0.0, V, null=True)
    np.testing.assert_allclose(reference(fit).roots[1].at(0.0, null=True), expected, rtol=1e-8)
    np.testing.assert_allclose(fit.cov_params(), cf.lm("y ~ a + x", data).with_vcov("HC1").cov_params(), rtol=1e-10)


def test_few_clusters_are_enumerated(data):
    fit = cf.lm("y ~ a + x", data).with_vcov("wild ~ g")
    assert f"all {2**G} sign patterns" in fit.covariance.label
    V = np.array(list(product([1.0, -1.0], repeat=G)))
    X = np.column_stack([np.ones(N), data.a, data.x])
    t = by_hand(X, data.y.to_numpy(), np.ones(N), data.g.to_numpy(), np.eye(3)[1], 0.0, V, null=True)
    # the first pattern is the sample's own
    assert fit.pvalues["a"] == np.mean(np.abs(t) >= abs(t[0]) - 1e-9)
    assert fit.tvalues["a"] == pytest.approx(t[0], rel=1e-10)


def test_standard_error_is_cr1s(data):
    fit = cf.lm("y ~ a + x", data)
    expected = fit.with_vcov(cf.Cluster("g", type="CR1S"))
    np.testing.assert_allclose(fit.with_vcov("wild ~ g").cov_params(), expected.cov_params(), rtol=1e-10)


def test_random_p_value_counts_the_sample(data):
    fit = cf.lm("y ~ a + x", data).with_vcov(cf.Wild(reps=99, weights="webb", cluster="g", seed=5))
    root = reference(fit).roots[1]
    t = root.theta / root.error
    more = (np.abs(root.at(0.0, null=True)) >= abs(t)).sum()
    assert fit.pvalues["a"] == pytest.approx((more + 1) / 100, abs=1e-15)
    assert fit.pvalues["x"] >= 1 / 100


@pytest.mark.parametrize("tails", ["symmetric", "equal"])
@pytest.mark.parametrize("null", [True, False])
def test_limits_are_where_the_test_stops_rejecting(data, null, tails):
    request = cf.Wild(reps=999, weights="webb", null=null, cluster="g", seed=2, tails=tails)
    fit = cf.lm("y ~ a + x", data).with_vcov(request)
    found = reference(fit)
    for level in (0.8, 0.95):
        low, high = found.limits(level)
        for root, ends in zip(found.roots, zip(low, high, strict=True), strict=True):
            for end in ends:
                step = 1e-7 * root.error * np.sign(end - root.theta)
                alpha = 1 - level + 1e-12  # 1 - 0.95 is a little below 0.05
                assert found.p_value(root, end - step) > alpha >= found.p_value(root, end + step)


def test_unrestricted_limits_are_percentile_t(data):
    request = cf.Wild(reps=999, weights="webb", null=False, cluster="g", seed=2)
    fit = cf.lm("y ~ a + x", data).with_vcov(request)
    root = reference(fit).roots[1]
    # rejected when at most 49 of the 999 replicates reach |t|: the 50th largest is the critical value
    critical = np.sort(np.abs(root.at(0.0, null=False)))[-50]
    ends = fit.conf_int().loc["a"].to_numpy()
    np.testing.assert_allclose(ends, root.theta + np.array([-1, 1]) * critical * root.error, rtol=1e-8)


def test_five_clusters_cannot_reject_with_signs_but_can_with_webb(data):
    five = data[data.g < 5]
    fit = cf.lm("y ~ a + x", five)
    assert np.isinf(fit.with_vcov("wild ~ g").conf_int().to_numpy()).all()
    assert fit.with_vcov("wild ~ g").pvalues.min() >= 1 / 16
    webb = fit.with_vcov(cf.Wild(weights="webb", cluster="g", seed=1)).conf_int()
    assert np.isfinite(webb.loc["x"]).all()


def test_effect_of_a_regression_is_the_coefficient(data):
    request = cf.Wild(reps=199, weights="webb", cluster="g", seed=4)
    effect = cf.fit("y ~ treat(a) + adjust(x)", data, vcov=request).tidy()
    model = cf.lm("y ~ a + x", data).with_vcov(request).tidy()
    names = ["estimate", "std.error", "statistic", "df", "p.value", "conf.low", "conf.high"]
    np.testing.assert_allclose(effect[names].iloc[0], model[names].iloc[1], rtol=1e-9)
    assert effect["df"].iloc[0] == G - 1


def test_equations_have_their_own_replicates(data):
    data = data.assign(arm=np.array(list("abc"))[np.arange(N) % 3])
    request = cf.Wild(reps=199, weights="webb", cluster="g", seed=4)
    fit = cf.fit("y ~ treat(arm) + adjust(x)", data, vcov=request)
    equation = fit.hypothesis("b2 - b1 = 0")
    direct = cf.fit("y ~ treat(arm) + adjust(x)", data, contrast=("b", "c"), vcov=request)
    names = ["estimate", "std.error", "p.value", "conf.low", "conf.high"]
    np.testing.assert_allclose(equation.tidy()[names], direct.tidy()[names], rtol=1e-8)


def test_average_over_an_interaction_is_linear_too(data):
    fit = cf.fit("y ~ treat(a) + modify(x)", data, vcov=cf.Wild(reps=64, cluster="g"))
    X = np.column_stack([np.ones(N), data.a, data.x, data.a * data.x])
    c = np.array([0, 1, 0, data.x.mean()])
    V = np.array(list(product([1.0, -1.0], repeat=G)))
    expected = by_hand(X, data.y.to_numpy(), np.ones(N), data.g.to_numpy(), c, 0.0, V, null=True)
    np.testing.assert_allclose(reference(fit).roots[0].at(0.0, null=True), expected, rtol=1e-7)


def test_cluster_of_the_formula_is_the_default(data):
    fit = cf.fit("y ~ treat(a) + adjust(x) + cluster(g)", data, vcov="wild")
    assert "clusters of g: 6" in fit.covariance.label


def test_rows_of_weight_zero_take_no_part(data):
    zero = data.assign(w=np.where(data.g == 2, 0.0, data.w))
    request = cf.Wild(reps=32, cluster="g")
    with_zero = cf.lm("y ~ a + x", zero, weights="w").with_vcov(request)
    without = cf.lm("y ~ a + x", zero[zero.w > 0], weights="w").with_vcov(request)
    assert len(reference(with_zero).roots[0].coefficients[0]) == 32
    np.testing.assert_allclose(with_zero.tidy().iloc[:, 1:], without.tidy().iloc[:, 1:], rtol=1e-9)


def test_same_seed_same_bytes_and_pickles(data):
    request = cf.Wild(reps=500, weights="mammen", cluster="g", seed=11)
    a = cf.fit("y ~ treat(a) + adjust(x)", data, vcov=request)
    b = pickle.loads(pickle.dumps(a))
    c = a.with_vcov(request)
    assert a.tidy().equals(c.tidy()) and a.tidy().equals(b.tidy())
    other = a.with_vcov(cf.Wild(reps=500, weights="mammen", cluster="g", seed=12))
    assert not np.array_equal(reference(a).roots[0].coefficients, reference(other).roots[0].coefficients)


@pytest.mark.parametrize(("kind", "third"), [("rademacher", 0.0), ("webb", 0.0), ("mammen", 1.0), ("normal", 0.0)])
def test_multipliers_have_mean_zero_and_variance_one(kind, third):
    draws = multipliers(np.random.default_rng(1), (400, 1000), kind).ravel()
    error = 1 / np.sqrt(draws.size)
    assert abs(draws.mean()) < 4 * error
    assert abs((draws**2).mean() - 1) < 4 * np.std(draws**2) * error + 1e-12
    assert abs((draws**3).mean() - third) < 4 * np.std(draws**3) * error


def test_a_replicate_without_variation_does_not_reject():
    root = Roots(1.0, 0.5, 1.0, 1.0, np.zeros((5, 3)))
    np.testing.assert_array_equal(root.at(0.0, null=True), 0.0)


def test_agrees_with_wildboottest(data):
    peer = pytest.importorskip("wildboottest.wildboottest")
    X = np.column_stack([np.ones(N), data.a, data.x])
    for null in (True, False):
        theirs = peer.WildboottestCL(
            X=X, Y=data.y.to_numpy(), cluster=data.g.to_numpy(), R=np.array([0.0, 1.0, 0.0]), B=9999, parallel=False
        )
        theirs.get_scores(bootstrap_type="11", impose_null=null)
        theirs.get_weights(weights_type="rademacher")
        theirs.get_numer()
        theirs.get_denom()
        theirs.get_tboot()
        theirs.get_vcov()
        theirs.get_tstat()
        fit = cf.lm("y ~ a + x", data).with_vcov(cf.Wild(null=null, cluster="g"))
        ours = reference(fit).roots[1].at(0.0, null=null)
        # every sign pattern comes with its mirror image; the sample's own is in neither order special
        np.testing.assert_allclose(
            np.unique(np.abs(ours).round(8)), np.unique(np.abs(np.asarray(theirs.t_boot)).round(8)), rtol=1e-7
        )
        assert float(theirs.t_stat) == pytest.approx(fit.tvalues["a"], rel=1e-8)


def test_few_unequal_clusters_over_reject_with_cr1s_and_not_with_wild():
    draws = np.random.default_rng(20)
    sizes = np.array([4, 4, 6, 8, 10, 14, 20, 34])
    g = np.repeat(np.arange(8), sizes)
    import pandas as pd

    runs, rejected = 300, np.zeros(2)
    for _ in range(runs):
        x = draws.lognormal(sigma=1, size=8)[g]
        y = draws.normal(size=8)[g] + draws.normal(size=len(g))
        fit = cf.lm("y ~ x", pd.DataFrame({"y": y, "x": x, "g": g}))
        rejected += [fit.with_vcov("CR1S ~ g").pvalues["x"] < 0.05, fit.with_vcov("wild ~ g").pvalues["x"] <= 0.05]
    ordinary, wild = rejected / runs
    error = np.sqrt(0.05 * 0.95 / runs)
    assert ordinary > 0.15
    assert abs(wild - 0.05) < 4 * error


@pytest.mark.parametrize(("text", "cluster"), [("wild", None), ("wild ~ g", "g"), ("wild~`my g`", "my g")])
def test_text_requests(text, cluster):
    assert read_request(text) == cf.Wild(cluster=cluster)


def test_refusals(data):
    ones = data.assign(y=(data.y > 1).astype(float) + 1)
    with pytest.raises(cf.CapabilityError, match="linear in the coefficients"):
        cf.fit("y ~ treat(a) + adjust(x)", ones, measure="ratio", vcov="wild")
    with pytest.raises(cf.CapabilityError, match="least-squares"):
        cf.fit("y ~ treat(a) + adjust(x)", ones.assign(y=ones.y - 1), family="binomial", vcov="wild ~ g")
    with pytest.raises(cf.DataError, match="at least two clusters"):
        cf.fit("y ~ treat(a) + adjust(x)", data.assign(g=1), vcov="wild ~ g")
    with pytest.raises(cf.OptionError, match="weights must be one of rademacher"):
        cf.Wild(weights="radmacher")
    with pytest.raises(cf.OptionError, match="tails"):
        cf.Wild(tails="both")
    with pytest.raises(cf.OptionError, match="reps"):
        cf.Wild(reps=1)
