"""Instruments against formulas and slow arithmetic: the k-class, exact influences, Anderson-Rubin sets, strength."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalformula as cf
from causalformula.backends import registry
from causalformula.numerics.weak_instruments import effective_critical, tf_critical


def simulate(seed: int = 1, n: int = 300, strength: float = 0.8) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    u, x, z, z2 = rng.normal(size=(4, n))
    binary, g = rng.integers(0, 2, n), rng.integers(0, 10, n)
    q = strength * z + 0.4 * strength * z2 + 0.5 * x + u + rng.normal(size=n)
    a = (1.2 * binary + 0.3 * x + u + rng.normal(size=n) > 0.6).astype(int)
    return pd.DataFrame(
        {
            "y": 1 + 0.7 * q + 0.4 * x + u + rng.normal(size=n) * (1 + 0.3 * np.abs(z)) + 0.1 * g,
            "v": 1 + 0.7 * a + 0.4 * x + u + rng.normal(size=n),
            "q": q,
            "a": a,
            "x": x,
            "z": z,
            "z2": z2,
            "b": binary,
            "g": g,
            "f": rng.integers(1, 4, n),
            "w": rng.uniform(0.5, 2, n),
            "noise": rng.normal(size=n),
        }
    )


DATA = simulate()
OVER = "y ~ treat(q) + iv(z + z2) + adjust(x)"


def k_class(k: float) -> np.ndarray:
    """Coefficients (intercept, q, x) by the formula."""
    one = np.ones(len(DATA))
    X, Z = np.column_stack([one, DATA["q"], DATA["x"]]), np.column_stack([one, DATA["x"], DATA["z"], DATA["z2"]])
    M = np.eye(len(X)) - Z @ np.linalg.solve(Z.T @ Z, Z.T)
    inner = np.eye(len(X)) - k * M
    return np.linalg.solve(X.T @ inner @ X, X.T @ inner @ DATA["y"].to_numpy())


@pytest.mark.parametrize("k", [0.0, 0.5, 1.0, 1.01])
def test_k_class_is_its_formula(k):
    model = cf.fit(OVER, DATA, "liml", k=k).outcome
    np.testing.assert_allclose(model.params[["(Intercept)", "q", "x"]], k_class(k), rtol=1e-9)


def test_liml_minimises_the_ratio_of_residual_squares():
    """LIML is the b that minimises what exogenous columns, over what all instruments, leave of y - b q."""
    fit = cf.fit(OVER, DATA, "liml")

    def ratio(b: float) -> float:
        e = DATA["y"] - b * DATA["q"]
        inside = cf.lm("e ~ x", DATA.assign(e=e)).deviance
        return inside / cf.lm("e ~ x + z + z2", DATA.assign(e=e)).deviance

    k = fit.outcome.regression.instrumented.k
    assert k == pytest.approx(ratio(fit.estimate), rel=1e-10)
    assert k > 1
    assert all(ratio(fit.estimate + step) > k for step in (-0.01, 0.01))
    lowered = cf.fit(OVER, DATA, "liml", fuller=4.0)
    assert lowered.outcome.regression.instrumented.k == pytest.approx(k - 4 / (len(DATA) - 4), rel=1e-12)


def test_two_stages_by_hand():
    """The estimate is least squares on the first stage's fit; the errors are not, whose residuals are another's."""
    fit = cf.fit(OVER, DATA)
    fitted = cf.lm("q ~ x + z + z2", DATA).fitted
    second = cf.lm("y ~ p + x", DATA.assign(p=fitted))
    assert fit.estimate == pytest.approx(second.params["p"], rel=1e-11)
    assert abs(fit.std_error / second.bse["p"] - 1) > 0.01
    np.testing.assert_allclose(fit.outcome.fitted, fit.outcome.predict(DATA), rtol=1e-10)


def test_the_treatment_as_its_own_instrument_is_least_squares():
    same = DATA.assign(copy=DATA["q"])
    for vcov in ("classical", "HC0", "HC3", "CR2 ~ g"):
        fit = cf.fit("y ~ treat(q) + iv(copy) + adjust(x)", same, vcov=vcov)
        plain = cf.fit("y ~ treat(q) + adjust(x)", same, vcov=vcov)
        assert fit.estimate == pytest.approx(plain.estimate, rel=1e-10)
        assert fit.std_error == pytest.approx(plain.std_error, rel=1e-9)


def test_just_identified_liml_is_two_stage_least_squares():
    one, other = (cf.fit("y ~ treat(q) + iv(z) + adjust(x)", DATA, method) for method in ("iv", "liml"))
    assert one.estimate == pytest.approx(other.estimate, rel=1e-11)
    assert one.std_error == pytest.approx(other.std_error, rel=1e-9)


def test_binary_is_walds_ratio():
    fit = cf.fit("v ~ treat(a) + iv(b)", DATA)
    at = DATA.groupby("b")[["v", "a"]].mean().diff().iloc[1]
    assert fit.estimate == pytest.approx(at["v"] / at["a"], rel=1e-11)
    shares, means = fit.shares(), DATA.groupby("b")["a"].mean()
    assert shares["compliers"] == pytest.approx(at["a"])
    assert shares["always_takers"] == pytest.approx(means[0])
    assert shares["never_takers"] == pytest.approx(1 - means[1])
    assert "% of all, if it moves nobody" in str(fit)
    turned = cf.fit("v ~ treat(a) + iv(c)", DATA.assign(c=5 - 3 * DATA["b"])).shares()
    np.testing.assert_allclose(turned, shares, rtol=1e-10)


def test_compliers_by_their_definition():
    """Without other covariates, E[x a | b = 1] - E[x a | b = 0] over the same of a; here within a saturated one."""
    data = DATA.assign(x=(DATA["x"] > 0).astype(int))
    found = cf.fit("v ~ treat(a) + iv(b) + adjust(x)", data).compliers()
    fitted = cf.fit("t ~ treat(a) + iv(b) + adjust(x)", data.assign(t=data["x"] * data["a"]))
    assert found.loc["x", "compliers"] == pytest.approx(fitted.estimate, rel=1e-11)
    assert found.loc["x", "std.error"] == pytest.approx(fitted.std_error, rel=1e-10)
    assert found.loc["x", "everyone"] == pytest.approx(data["x"].mean())


# -- influence and covariances ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"method": "liml"}, {"method": "liml", "fuller": 1.0}, {"method": "liml", "k": 0.6}]
)
@pytest.mark.parametrize("more", ["", " + fe(g)", " + weights(w)"])
def test_overidentified_influence_is_the_derivative_of_refits(options, more):
    fit = cf.fit(OVER + more, DATA, **options)
    call, psi = fit.call, fit.influence()

    def at(row: int, step: float) -> float:
        w = np.ones(len(DATA))
        w[row] += step
        return float(registry.run(call.frame.reweight(w), call.options).estimate.theta[0])

    for row in (3, 77):
        slope = len(DATA) * (at(row, 1e-3) - at(row, -1e-3)) / 2e-3
        assert psi[row, 0] == pytest.approx(slope, abs=1e-5 * np.abs(psi).max())
    assert abs(psi.mean()) < 1e-10 * np.abs(psi).max()


def test_the_sandwich_holds_the_projection_fixed_and_the_exact_influence_does_not():
    exact, projected = (cf.fit(OVER, DATA, vcov=vcov).std_error for vcov in ("asympt", "HC0"))
    assert exact != pytest.approx(projected, rel=1e-6)
    assert exact == pytest.approx(projected, rel=0.05)
    just = [cf.fit("y ~ treat(q) + iv(z) + adjust(x)", DATA, vcov=vcov).std_error for vcov in ("asympt", "HC0")]
    assert just[0] == pytest.approx(just[1], rel=1e-10)


@pytest.mark.parametrize("vcov", ["classical", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize("method", ["iv", "liml"])
def test_absorbed_effects_are_dummies(vcov, method):
    if method == "liml" and vcov in ("HC2", "HC3"):
        pytest.skip("LIML has no leverages")
    one = cf.fit(OVER + " + fe(g)", DATA, method, vcov=vcov)
    other = cf.fit(OVER + " + adjust(factor(g))", DATA, method, vcov=vcov)
    assert one.estimate == pytest.approx(other.estimate, rel=1e-9)
    assert one.std_error == pytest.approx(other.std_error, rel=1e-9)
    np.testing.assert_allclose(one.diagnostics(), other.diagnostics(), rtol=1e-7)


def test_models_bootstrap_refits_both_stages():
    fit = cf.fit(OVER, DATA)
    model = fit.outcome.with_vcov("bootstrap(50, seed = 1)")
    assert model.bse["q"] == pytest.approx(fit.with_vcov("bootstrap(50, seed = 1)").std_error, rel=1e-8)
    assert fit.with_vcov("jackknife").std_error == pytest.approx(fit.with_vcov("HC3").std_error, rel=0.1)


def test_far_from_zero_keeps_digits():
    far = DATA.assign(x=DATA["x"] + 1e8, q=DATA["q"] + 1e6, z=DATA["z"] - 1e7)
    assert cf.fit(OVER, far).estimate == pytest.approx(cf.fit(OVER, DATA).estimate, rel=1e-6)


# -- weak instruments -------------------------------------------------------------------------------------------------


def by_definition(data: pd.DataFrame, value: float, vcov: str) -> float:
    """The Anderson-Rubin p-value: instruments in the regression of y - value q on all exogenous columns."""
    model = cf.lm("e ~ x + z + z2", data.assign(e=data["y"] - value * data["q"])).with_vcov(vcov)
    at = ["z", "z2"]
    theta, V = model.params[at].to_numpy(), model.cov_params().loc[at, at].to_numpy()
    return float(stats.f.sf(theta @ np.linalg.solve(V, theta) / 2, 2, model.df_residual))


@pytest.mark.parametrize("vcov", ["classical", "HC0", "HC3", "~g", "CR3 ~ g"])
def test_anderson_rubin_sets_end_where_the_test_does(vcov):
    fit = cf.fit(OVER, DATA, vcov=vcov)
    found = fit.anderson_rubin(0.9)
    assert found.kind == "interval"
    if vcov == "classical":  # weighed otherwise, surplus instruments put it elsewhere
        assert fit.estimate in found
    for end in found.intervals[0]:
        assert found.p_value(end) == pytest.approx(0.1, rel=1e-6)
    if vcov != "CR3 ~ g":  # whose degrees of freedom are its own
        for value in (-1.0, 0.3, 2.0):
            assert found.p_value(value) == pytest.approx(by_definition(DATA, value, vcov), rel=1e-8)


def test_anderson_rubin_sets_without_bounds_and_without_values():
    weak = cf.fit("y ~ treat(q) + iv(noise) + adjust(x)", DATA)
    whole = weak.anderson_rubin()
    assert (whole.kind, whole.intervals) == ("everything", ((-np.inf, np.inf),))
    assert "say nothing of it" in str(whole)
    least = min(whole.p_value(value) for value in np.linspace(-20, 20, 2001))
    level = 1 - (least + whole.p_value(1e9)) / 2
    halves = weak.anderson_rubin(level)
    assert halves.kind == "unbounded"
    assert "Unbounded: the instruments are weak" in str(halves)
    for low, high in halves.intervals:
        assert [halves.p_value(end) for end in (low, high) if np.isfinite(end)] == [pytest.approx(1 - level, rel=1e-6)]
    invalid = DATA.assign(y=DATA["y"] + 2 * DATA["z2"])
    empty = cf.fit(OVER, invalid).anderson_rubin()
    assert empty.kind == "empty"
    assert "instruments contradict each other" in str(empty)
    assert max(empty.p_value(value) for value in np.linspace(-9, 9, 500)) < 0.05


def test_the_set_is_of_the_contrast():
    one, ten = (cf.fit(OVER, DATA, contrast=step).anderson_rubin() for step in (1, -10))
    np.testing.assert_allclose(ten.intervals, [(-10 * one.intervals[0][1], -10 * one.intervals[0][0])], rtol=1e-9)
    pickle.loads(pickle.dumps(cf.fit(OVER, DATA))).anderson_rubin()


def test_effective_f():
    """Homoscedastic, it is the first stage's F; with one instrument the F of any covariance."""
    fit = cf.fit(OVER, DATA)
    F = fit.diagnostics().loc["Weak instruments", "statistic"]
    assert fit.effective_f()["effective.f"][0] == pytest.approx(F, rel=1e-10)
    one = cf.fit("y ~ treat(q) + iv(z) + adjust(x)", DATA, vcov="HC1")
    F = one.diagnostics().loc["Weak instruments", "statistic"]
    assert one.effective_f()["effective.f"][0] == pytest.approx(F, rel=1e-10)
    # Montiel Olea and Pflueger (2013), one instrument: 37.42, 23.11, 15.06 and 12.05
    np.testing.assert_allclose(one.effective_f()["critical.value"], [37.42, 23.11, 15.06, 12.05], atol=0.005)
    V = np.diag([1.0, 4.0])
    robust = float(np.array([1.0, 2.0]) @ np.array([1.0, 2.0])) / 5.0
    from causalformula.numerics.weak_instruments import effective_f

    assert effective_f(np.array([1.0, 2.0]), V, np.eye(2)) == pytest.approx(robust)
    assert effective_critical(V, np.eye(2), 0.1) < 23.11


def test_tf_critical_values_are_those_published():
    """Lee, McCrary, Moreira and Porter (2022): 3.43 at F = 10, 18.66 at 4, the usual one from 104.67 on."""
    assert tf_critical(10.0) == pytest.approx(3.43, abs=0.005)
    assert tf_critical(4.0) == pytest.approx(18.66, abs=0.02)
    assert tf_critical(2.5**2) == pytest.approx(4.92, abs=0.005)
    assert tf_critical(104.68) == pytest.approx(stats.norm.ppf(0.975), abs=1e-6)
    assert tf_critical(100.0) > 1.961
    assert tf_critical(3.8) == np.inf
    row = cf.fit("y ~ treat(q) + iv(z) + adjust(x)", DATA).tf().iloc[0]
    assert row["conf.high"] - row["estimate"] == pytest.approx(row["critical.value"] * row["std.error"])


def test_several_terms():
    formula = "y ~ treat(q) + iv(z + z2 + z:x + z2:x) + modify(x)"
    fit = cf.fit(formula, DATA)
    found = fit.diagnostics()
    assert list(found.index[:2]) == ["Weak instruments (q)", "Weak instruments (q:x)"]
    assert set(fit.first_stages) == {"q", "q:x"}
    assert fit.first_stage is None
    stages = {name: cf.lm("t ~ x + z + z2 + z:x + z2:x", DATA.assign(t=t)).fitted for name, t in
              {"p": DATA["q"], "r": DATA["q"] * DATA["x"]}.items()}  # fmt: skip
    second = cf.lm("y ~ p + x + r", DATA.assign(**stages)).params
    np.testing.assert_allclose(fit.outcome.params[["q", "x", "q:x"]], second[["p", "x", "r"]], rtol=1e-9)
    assert fit.estimate == pytest.approx(second["p"] + second["r"] * DATA["x"].mean(), rel=1e-9)
    with pytest.raises(cf.CapabilityError, match="here are several: q, q:x"):
        fit.anderson_rubin()


def test_reduced_form():
    fit = cf.fit(OVER, DATA, vcov="HC1")
    plain = cf.lm("y ~ x + z + z2", DATA).with_vcov("HC1")
    np.testing.assert_allclose(fit.reduced_form.params, plain.params, rtol=1e-10)
    np.testing.assert_allclose(fit.reduced_form.bse, plain.bse, rtol=1e-10)
    np.testing.assert_allclose(fit.first_stage.bse, cf.lm("q ~ x + z + z2", DATA).with_vcov("HC1").bse, rtol=1e-10)
    assert "lm(q ~ " in str(fit.first_stage)
    assert "lm(y ~ " in str(fit.reduced_form)


# -- GMM --------------------------------------------------------------------------------------------------------------

STEPS = (2, 3, "iterated", "cue")


def weighted(e: np.ndarray, data: pd.DataFrame = DATA) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``Z'X``, ``Z'y`` and the inverse of White's covariance of the moments at residuals."""
    one = np.ones(len(data))
    X, Z = np.column_stack([one, data["q"], data["x"]]), np.column_stack([one, data["x"], data["z"], data["z2"]])
    return Z.T @ X, Z.T @ data["y"].to_numpy(), np.linalg.inv((Z * np.asarray(e)[:, None] ** 2).T @ Z)


def test_two_steps_by_hand():
    first = cf.fit(OVER, DATA).outcome
    G, c, W = weighted(DATA["y"] - first.fitted)
    expected = np.linalg.solve(G.T @ W @ G, G.T @ W @ c)
    fit = cf.fit(OVER, DATA, "gmm")
    np.testing.assert_allclose(fit.outcome.params[["(Intercept)", "q", "x"]], expected, rtol=1e-10)
    left = c - G @ expected
    row = fit.diagnostics().loc["Hansen's J"]
    assert row["statistic"] == pytest.approx(left @ W @ left, rel=1e-9)
    assert row["p.value"] == pytest.approx(stats.chi2.sf(left @ W @ left, 1), rel=1e-9)
    bread = np.linalg.inv(G.T @ W @ G) @ G.T @ W
    S = np.linalg.inv(weighted(DATA["y"] - fit.outcome.fitted)[2])
    assert fit.std_error == pytest.approx(np.sqrt((bread @ S @ bread.T)[1, 1]), rel=1e-10)


def test_iterated_and_continuous_are_what_they_say():
    iterated, continuous = (cf.fit(OVER, DATA, "gmm", steps=steps).outcome for steps in ("iterated", "cue"))
    order = ["(Intercept)", "q", "x"]
    G, c, W = weighted(DATA["y"] - iterated.fitted)
    np.testing.assert_allclose(iterated.params[order], np.linalg.solve(G.T @ W @ G, G.T @ W @ c), rtol=1e-10)

    def criterion(b: np.ndarray) -> float:
        one = np.ones(len(DATA))
        left = c - G @ b
        return float(left @ weighted(DATA["y"] - np.column_stack([one, DATA["q"], DATA["x"]]) @ b)[2] @ left)

    least, at = continuous.regression.instrumented.criterion, continuous.params[order].to_numpy()
    assert criterion(at) == pytest.approx(least, rel=1e-10)
    for step in 1e-3 * np.vstack([np.eye(3), -np.eye(3)]):
        assert criterion(at + step) > least


def test_gmm_of_equal_variances_is_of_the_k_class():
    for steps, method in ((1, "iv"), (2, "iv"), ("cue", "liml")):
        fit, other = (
            cf.fit(OVER, DATA, "gmm", steps=steps, wmatrix="unadjusted"),
            cf.fit(OVER, DATA, method, vcov="HC0"),
        )
        assert fit.estimate == pytest.approx(other.estimate, rel=1e-12)
        assert fit.std_error == pytest.approx(other.std_error, rel=1e-12)


@pytest.mark.parametrize("steps", STEPS)
def test_just_identified_gmm_is_two_stage_least_squares(steps):
    formula = "y ~ treat(q) + iv(z) + adjust(x)"
    for vcov in ("classical", "HC0", "asympt", "~g"):
        one, other = cf.fit(formula, DATA, "gmm", steps=steps, vcov=vcov), cf.fit(formula, DATA, vcov=vcov)
        assert (one.estimate, one.std_error) == (other.estimate, other.std_error)
    assert one.diagnostics().loc["Sargan", "df1"] == 0


@pytest.mark.parametrize("wmatrix", ["robust", "~g"])
@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("more", ["", " + fe(f)", " + weights(w)", " + modify(x)"])
def test_influence_of_gmm_is_the_derivative_of_refits(steps, wmatrix, more):
    """With the weight matrix, and with what absorbed effects make of the instruments in it."""
    formula = OVER.replace("iv(z + z2)", "iv(z + z2 + z:x + z2:x)") if "modify" in more else OVER
    fit = cf.fit(formula + more, DATA, "gmm", steps=steps, wmatrix=wmatrix)
    call, psi = fit.call, fit.influence()

    def at(row: int, step: float) -> float:
        w = np.ones(len(DATA))
        w[row] += step
        return float(registry.run(call.frame.reweight(w), call.options).estimate.theta[0])

    slope = len(DATA) * (at(77, 1e-3) - at(77, -1e-3)) / 2e-3
    assert psi[77, 0] == pytest.approx(slope, abs=1e-5 * np.abs(psi).max())
    assert abs(psi.mean()) < 1e-10 * np.abs(psi).max()


def test_weights_of_gmm_are_rows_where_its_clusters_are_the_first_ones():
    data = DATA.assign(id=np.arange(len(DATA)))
    repeated = data.loc[data.index.repeat(data["f"])]
    for steps in (2, "cue"):
        one = cf.fit(OVER + " + weights(f)", data, "gmm", steps=steps, vcov="HC0")
        other = cf.fit(OVER, repeated, "gmm", steps=steps, wmatrix="~id", vcov="CR0 ~ id")
        assert one.estimate == pytest.approx(other.estimate, rel=1e-9)
        assert one.std_error == pytest.approx(other.std_error, rel=1e-9)
    dropped = data.assign(zero=np.where(np.arange(len(data)) % 7, 1, 0))
    one = cf.fit(OVER + " + weights(zero)", dropped, "gmm", vcov="HC1")
    assert one.std_error == pytest.approx(cf.fit(OVER, dropped[dropped["zero"] > 0], "gmm", vcov="HC1").std_error)


@pytest.mark.parametrize("steps", STEPS)
def test_gmm_has_no_units(steps):
    """Moments of other units and origins: the same estimate in its own."""
    other = DATA.assign(z=1e5 * DATA["z"] - 1e7, z2=1e-4 * DATA["z2"], x=DATA["x"] + 1e6, y=1e4 * DATA["y"])
    one, scaled = (cf.fit(OVER, data, "gmm", steps=steps) for data in (DATA, other))
    assert scaled.estimate == pytest.approx(1e4 * one.estimate, rel=1e-7)
    assert scaled.std_error == pytest.approx(1e4 * one.std_error, rel=1e-7)


def test_two_steps_beside_absorbed_effects_are_those_beside_dummies():
    one, other = (cf.fit(OVER + more, DATA, "gmm") for more in (" + fe(g)", " + adjust(factor(g))"))
    assert one.estimate == pytest.approx(other.estimate, rel=1e-9)
    assert one.diagnostics().iloc[-1]["statistic"] == pytest.approx(other.diagnostics().iloc[-1]["statistic"], rel=1e-8)


def test_the_weight_matrix_has_the_clusters_of_the_formula():
    named, own = cf.fit(OVER + " + cluster(g)", DATA, "gmm"), cf.fit(OVER, DATA, "gmm", wmatrix="~g")
    assert (named.estimate, named.std_error) == (own.estimate, own.std_error)
    assert named.estimate != pytest.approx(cf.fit(OVER, DATA, "gmm").estimate, rel=1e-4)


def test_models_bootstrap_of_gmm_counts_rows():
    fit = cf.fit(OVER, DATA, "gmm")
    model = fit.outcome.with_vcov("bootstrap(50, seed = 1)")
    assert model.bse["q"] == pytest.approx(fit.with_vcov("bootstrap(50, seed = 1)").std_error, rel=1e-8)
    drawn = np.bincount(np.random.default_rng(2).integers(0, len(DATA), len(DATA)), minlength=len(DATA))
    again = registry.run(fit.call.frame.reweight(drawn.astype(float)), fit.call.options).estimate.theta[0]
    assert again == pytest.approx(cf.fit(OVER, DATA.loc[DATA.index.repeat(drawn)], "gmm").estimate, rel=1e-9)


def test_classical_errors_of_gmm_are_of_equal_variances():
    fit = cf.fit(OVER, DATA, "gmm", vcov="classical")
    hat = fit.outcome.regression.hat
    G, _, W = weighted(DATA["y"] - cf.fit(OVER, DATA).outcome.fitted)
    bread = np.linalg.inv(G.T @ W @ G) @ G.T @ W
    one = np.ones(len(DATA))
    Z = np.column_stack([one, DATA["x"], DATA["z"], DATA["z2"]])
    assert fit.std_error == pytest.approx(np.sqrt(hat.dispersion * (bread @ Z.T @ Z @ bread.T)[1, 1]), rel=1e-9)


@pytest.mark.parametrize("vcov", ["~b", "CR0 ~ b"])
@pytest.mark.parametrize("method", ["iv", "liml", "gmm"])
def test_clusters_that_cut_across_absorbed_effects(method, vcov):
    """Clusters are looked at beside columns for the effects, which instruments project on themselves."""
    data = DATA.assign(b=(np.arange(len(DATA)) * 7) % 25)
    fit = cf.fit(OVER + " + fe(f)", data, method, vcov=vcov)
    dummies = cf.fit(OVER + " + adjust(factor(f))", data, method, vcov=vcov)
    if method != "gmm" and vcov == "CR0 ~ b":
        assert fit.std_error == pytest.approx(dummies.std_error, rel=1e-9)
    assert fit.std_error == pytest.approx(dummies.std_error, rel=0.05)


@pytest.mark.parametrize("more", ["", " + weights(w)"])
@pytest.mark.parametrize("vcov", ["CR2 ~ g", "CR3 ~ g", "CR2 ~ f", "HC4"])
def test_adjustments_by_leverage_beside_absorbed_effects_are_those_beside_dummies(vcov, more):
    one = cf.fit(OVER + " + fe(g)" + more, DATA, vcov=vcov)
    other = cf.fit(OVER + " + adjust(factor(g))" + more, DATA, vcov=vcov)
    assert one.std_error == pytest.approx(other.std_error, rel=1e-9)
    np.testing.assert_allclose(one.tidy()["df"], other.tidy()["df"], rtol=1e-8)


@pytest.mark.parametrize("method", ["iv", "liml"])
@pytest.mark.parametrize("offset", [1e4, 1e7])
def test_products_with_a_modifier_far_from_zero_keep_digits(method, offset):
    formula = "y ~ treat(q) + iv(z + z2 + z:x) + modify(x)"
    near, far = (cf.fit(formula, DATA.assign(x=DATA["x"] + shift), method) for shift in (0, offset))
    assert far.estimate == pytest.approx(near.estimate, rel=1e-9)
    assert far.std_error == pytest.approx(near.std_error, rel=1e-9)
    assert far.with_vcov("HC1").std_error == pytest.approx(near.with_vcov("HC1").std_error, rel=1e-9)
    np.testing.assert_allclose(far.influence(), near.influence(), atol=1e-8 * np.abs(near.influence()).max())
    if offset < 1e6:  # tests of the products as they are given have fewer
        at = ["Wu-Hausman", "Sargan"]
        np.testing.assert_allclose(far.diagnostics().loc[at], near.diagnostics().loc[at], rtol=1e-5)


@pytest.mark.parametrize(
    ("vcov", "same"), [(cf.Bootstrap(reps=20, cluster="g", seed=1), "~g"), (cf.Jackknife(), "HC1")]
)
def test_tests_of_a_resampled_fit_are_robust_as_it_is(vcov, same):
    """Replicates are of the effect; the first stage's F and the sets take the sandwich that is nearest to them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        fit, plain = cf.fit(OVER, DATA, vcov=vcov), cf.fit(OVER, DATA, vcov=same)
    np.testing.assert_allclose(fit.diagnostics(), plain.diagnostics(), rtol=1e-12)
    assert fit.anderson_rubin().intervals == plain.anderson_rubin().intervals
    assert f"DF ({same})" in str(fit)


@pytest.mark.parametrize("vcov", ["bootstrap(50, seed = 1)", "jackknife"])
@pytest.mark.parametrize(
    ("formula", "method"),
    [
        (OVER + " + cluster(g)", "iv"),
        (OVER + " + cluster(g)", "gmm"),
        ("y ~ treat(q) + adjust(x) + cluster(g)", "regression"),
        ("y ~ treat(q) + iv(loo(g)) + adjust(x)", "iv"),
    ],
)
def test_models_behind_a_fit_are_resampled_by_its_units(formula, method, vcov):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        fit = cf.fit(formula, DATA, method, vcov=vcov)
        model = fit.outcome.with_vcov(vcov)
        rows = cf.fit(formula.replace(" + cluster(g)", ""), DATA, method).outcome.with_vcov(vcov)
    assert "clusters of g" in model.covariance.label
    assert model.bse["q"] == pytest.approx(fit.std_error, rel=1e-8)
    if "cluster" in formula:
        assert rows.bse["q"] != pytest.approx(fit.std_error, rel=1e-3)
