"""Joint wild bootstrap tests against their definition, and equations under the wild bootstrap."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.inference.resampling.wild import Patterns
from causalformula.inference.resampling.wild_joint import wild_wald

N, G = 60, 6


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    g = np.sort(rng.integers(0, G, N))
    x, z = rng.normal(size=N) + 0.3 * g, rng.normal(size=N)
    a = (rng.random(N) < 0.5).astype(float)
    y = 1 + 0.5 * a + x + rng.normal(size=G)[g] + rng.normal(size=N) * (1 + a)
    f = np.array(list("uvw"))[np.arange(N) % 3]
    return pd.DataFrame({"y": y, "a": a, "x": x, "z": z, "f": f, "g": g, "w": rng.integers(1, 4, N).astype(float)})


def by_hand(X, y, w, codes, R, r, V, *, null):
    """The sample's Wald statistic and the replicates', from explicit samples and refits."""
    s = np.sqrt(w)
    X, y = X * s[:, None], y * s
    n, k = X.shape
    bread = np.linalg.inv(X.T @ X)
    factor = G / (G - 1) * (n - 1) / (n - k)

    def statistic(target, about):
        beta = bread @ X.T @ target
        e = target - X @ beta
        scores = np.array([X[codes == c].T @ e[codes == c] for c in range(G)]) @ bread @ R.T
        gap = R @ beta - about
        return float(gap @ np.linalg.solve(factor * scores.T @ scores, gap))

    beta = bread @ X.T @ y
    away = bread @ R.T @ np.linalg.solve(R @ bread @ R.T, R @ beta - r)
    beta0 = beta - away if null else beta
    u = y - X @ beta0
    return statistic(y, r), np.array([statistic(X @ beta0 + v[codes] * u, R @ beta0) for v in V])


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.parametrize("weights", ["rademacher", "webb"])
def test_joint_replicates_are_refits(data, null, weights):
    request = cf.Wild(reps=40, weights=weights, null=null, cluster="g", seed=2)
    model = cf.lm("y ~ a + x + z", data, weights="w")
    R, r = np.array([[0.0, 1, 0, 0], [0, 0, 1, -1.0]]), np.array([0.25, 0.5])
    estimate = model.regression.estimate().contrast(R, ["p", "q"])
    found = wild_wald(estimate.evidence, estimate.theta - r, request, data["g"].to_numpy())
    V = np.vstack(list(Patterns(G, request)))
    X = np.column_stack([np.ones(N), data.a, data.x, data.z])
    t, draws = by_hand(X, data.y.to_numpy(), data.w.to_numpy(), data.g.to_numpy(), R, r, V, null=null)
    assert found.statistic == pytest.approx(t, rel=1e-9)
    np.testing.assert_allclose(found.draws, draws, rtol=1e-7, atol=1e-9)
    assert found.p_value == pytest.approx(((draws >= t * (1 - 1e-9)).sum() + 1) / 41)


def test_joint_test_of_a_model_enumerates(data):
    found = cf.lm("y ~ a + x + z", data, vcov="wild ~ g").hypothesis(["a = 0.25", "x = z"]).test
    R, r = np.array([[0.0, 1, 0, 0], [0, 0, 1, -1.0]]), np.array([0.25, 0.0])
    V = np.array(list(product([1.0, -1.0], repeat=G)))
    X = np.column_stack([np.ones(N), data.a, data.x, data.z])
    t, draws = by_hand(X, data.y.to_numpy(), np.ones(N), data.g.to_numpy(), R, r, V, null=True)
    assert found.statistic == pytest.approx(t, rel=1e-9)
    assert found.p_value == pytest.approx(np.mean(draws >= t * (1 - 1e-9)))
    assert "wild bootstrap" in str(found) and f"all {2**G} sign patterns" in str(found)
    assert "F =" not in str(found) and "DF" not in str(found)


def test_constants_are_imposed(data):
    """An equation's own right side is the null value of its replicates."""
    request = cf.Wild(reps=199, weights="webb", cluster="g", seed=4)
    model = cf.lm("y ~ a + x", data, vcov=request)
    effect = cf.fit("y ~ treat(a) + adjust(x)", data, vcov=request)
    shifted = cf.lm("I(y - 0.5 * a) ~ a + x", data, vcov=request)
    for equation in (model.hypothesis("a = 0.5"), effect.hypothesis("b1 = 0.5")):
        row, twin = equation.tidy().iloc[0], shifted.tidy().iloc[1]
        names = ["estimate", "std.error", "p.value", "conf.low", "conf.high", "df"]
        np.testing.assert_allclose(row[names].astype(float), twin[names].astype(float), rtol=1e-8)
        assert equation.test.p_value == pytest.approx(row["p.value"])
    again = effect.hypothesis("b1 = 0.5").hypothesis("2 * b1 = 0").tidy().iloc[0]
    assert again["p.value"] == pytest.approx(shifted.pvalues["a"])
    assert again["conf.high"] == pytest.approx(2 * shifted.conf_int().loc["a", 1])
    assert model.hypothesis("a = 0").tidy()["p.value"][0] == model.pvalues["a"]


def test_test_by_groups_is_the_joint_wild_test(data):
    by = cf.fit("y ~ treat(a) + modify(f)", data, vcov="wild ~ g").by("f")
    assert "wild bootstrap" in by.test.method and "DF" not in str(by.test)
    model = cf.lm("y ~ a * f", data, vcov="wild ~ g").hypothesis(["a:fv = 0", "a:fw = 0"])
    assert by.test.p_value == pytest.approx(model.test.p_value, abs=1e-12)
    assert by.test.statistic == pytest.approx(model.test.statistic, rel=1e-8)


def test_nested_models_are_compared_by_replicates(data):
    large, small = cf.lm("y ~ a + x + z", data, vcov="wild ~ g"), cf.lm("y ~ a", data)
    found = cf.waldtest(large, small)
    assert found.p_value == pytest.approx(large.hypothesis(["x = 0", "z = 0"]).test.p_value)
    assert "Pr(wild)" in str(found)


def test_nonlinear_equations_are_refused(data):
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, vcov="wild ~ g")
    with pytest.raises(cf.CapabilityError, match="linear in the coefficients"):
        fit.hypothesis("exp(b1) = 1")


def test_unrestricted_p_values_are_never_zero(data):
    """Without the null imposed no sign pattern repeats the sample, which counts as one more."""
    strong = data.assign(y=data.y + 20 * data.a)
    fit = cf.lm("y ~ a + x", strong, vcov=cf.Wild(cluster="g", null=False))
    assert fit.pvalues["a"] == pytest.approx(1 / (2**G + 1))
    joint = fit.hypothesis(["a = 0", "x = 0"]).test
    assert joint.p_value >= 1 / (2**G + 1)


def test_too_few_clusters_are_said(data):
    few = data[data.g < 4]
    fit = cf.fit("y ~ treat(a) + adjust(x)", few, vcov="wild ~ g")
    text = str(fit)
    assert "16 sign patterns" in text and "no p-value is below 0.125" in text and "webb" in text
    assert "-Inf" in text
    assert not cf.fit("y ~ treat(a) + adjust(x)", data, vcov="wild ~ g").covariance.notes


def test_wild_has_no_unconditional_form():
    with pytest.raises(cf.OptionError, match="unconditional"):
        cf.Wild(unconditional=True)
