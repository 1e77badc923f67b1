"""Models with absorbed effects are those with dummies: estimates, covariances, resampling, predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.inference.sandwich import groupings

N = 160


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(17)
    a, b = rng.integers(0, 12, N), rng.integers(0, 7, N)
    x = rng.normal(size=N) + 0.3 * a
    z = rng.normal(size=N) + 50 * b
    w = rng.uniform(0.2, 3.0, N)
    w[[3, 8]] = 0
    y = 2 * x - z + rng.normal(size=12)[a] + rng.normal(size=7)[b] * x + rng.normal(size=N)
    return pd.DataFrame(
        {
            "y": y,
            "x": x,
            "z": z,
            "w": w,
            "o": rng.normal(size=N),
            "a": a,
            "b": np.array(list("pqrstuv"))[b],
            "g": a // 3,
            "d": (rng.random(N) < 0.4).astype(int),
            "f": rng.choice(["lo", "mid", "hi"], N),
        }
    )


PAIRS = {
    "one": ("y ~ x + z | a", "y ~ x + z + factor(a)"),
    "two": ("y ~ x + f + fe(a + b)", "y ~ x + f + factor(a) + b"),
    "combined": ("y ~ x + z | g^b", "y ~ x + z + factor(g):b"),
    "slopes": ("y ~ z | b[x] + a", "y ~ z + b + b:x + factor(a)"),
    "slope alone": ("y ~ z | a + b[[x]]", "y ~ z + factor(a) + b:x"),
    "offset": ("y ~ x + z + offset(o) | a", "y ~ x + z + offset(o) + factor(a)"),
}


@pytest.fixture(params=[(name, weights) for name in PAIRS for weights in (None, "w")], ids=str)
def pair(request, frame):
    """The absorbed model, that with dummies, and the coefficients that both have."""
    name, weights = request.param
    absorbed, dummies = (cf.lm(formula, frame, weights=weights) for formula in PAIRS[name])
    return absorbed, dummies, [term for term in absorbed.names if not np.isnan(absorbed.params[term])]


def near(found, wanted, rtol=1e-8):
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * np.abs(np.asarray(wanted)).max())


def test_estimates_fitted_values_and_statistics(pair):
    absorbed, dummies, terms = pair
    near(absorbed.params[terms], dummies.params[terms])
    near(absorbed.fitted, dummies.fitted)
    near(absorbed.residuals(), dummies.residuals())
    near(absorbed.hatvalues(), dummies.hatvalues(), 1e-7)
    near([absorbed.r_squared, absorbed.deviance], [dummies.r_squared, dummies.deviance])


@pytest.mark.parametrize(
    "vcov", ["classical", "HC0", "HC1", "HC2", "HC3", "HC4", "~g", "CR0 ~ b", "CR2 ~ g", "CR3 ~ a", "CR2 ~ d"]
)
def test_covariances(pair, vcov):
    absorbed, dummies, terms = pair
    if absorbed.df_residual != dummies.df_residual and not vcov.startswith(("HC0", "CR0")):
        # fixest counts each level of a slope, and a combination that others make up
        factor = dummies.df_residual / absorbed.df_residual if vcov in ("classical", "HC1", "~g") else 1.0
    else:
        factor = 1.0
    every = cf.ssc(K_fixef="full", t_df="conventional") if vcov in ("classical", "HC1", "~g") else None
    with_all = absorbed.with_vcov(vcov, ssc=every)
    other = dummies.with_vcov(vcov)
    near(with_all.vcov().loc[terms, terms], factor * other.vcov().loc[terms, terms], 1e-6 if vcov[:2] == "CR" else 1e-8)
    if vcov.startswith("CR2"):
        place = [dummies.regression.kept_names.index(term) for term in terms]
        near(with_all.covariance.df, other.covariance.df[place], 1e-6)


@pytest.mark.parametrize(
    "request_",
    [
        cf.Bootstrap(30, weights="exponential", seed=2),
        cf.Bootstrap(30, weights="exponential", cluster="a", seed=2),
        cf.Jackknife(),
        cf.Wild(200, cluster="g", seed=3),
        cf.Wild(200, cluster="d", seed=3),
        cf.Wild(100, seed=3),
    ],
    ids=repr,
)
def test_resampling(frame, request_):
    absorbed, dummies = (cf.lm(formula, frame, vcov=request_).tidy().set_index("term") for formula in PAIRS["two"])
    terms = list(absorbed.index)
    near(absorbed["p.value"], dummies.loc[terms, "p.value"])
    near(absorbed["conf.low"], dummies.loc[terms, "conf.low"], 1e-7)


def test_clusters_that_are_left_out_take_their_levels_along(frame):
    left = cf.Jackknife("a")
    found = cf.lm("y ~ x + z | a", frame, vcov=left)
    each = [cf.lm("y ~ x + z | a", frame[frame["a"] != k]).params for k in range(12)]
    spread = np.array(each) - np.mean(each, axis=0)
    near(found.vcov(), 11 / 12 * spread.T @ spread)


def test_a_bootstrap_of_rows_refits_on_those_that_were_drawn(frame):
    found = cf.lm("y ~ x | a + b", frame, vcov=cf.Bootstrap(10, seed=5))
    assert found.covariance.draws.shape == (10, 1)
    near(found.bse, np.std(found.covariance.draws, ddof=1, axis=0))
    drawn = cf.lm("y ~ x | a + b", frame, vcov=cf.Bootstrap(10, kind="studentized", seed=5))
    near(drawn.covariance.draws, found.covariance.draws)


@pytest.mark.parametrize("formula", [pair[0] for pair in PAIRS.values()])
def test_the_influence_is_the_derivative_of_a_reweighted_refit(frame, formula):
    found, step = cf.lm(formula, frame, weights="w"), 1e-5
    psi = found.influence()
    assert np.abs(psi.mean(axis=0)).max() < 1e-12 * np.abs(psi).max()
    for i in (0, 20, 77):
        up, down = (
            cf.lm(formula, frame.assign(w=np.where(np.arange(N) == i, frame["w"] + s * step, frame["w"])), weights="w")
            for s in (1, -1)
        )
        slope = N * (up.params - down.params).to_numpy() / (2 * step)
        np.testing.assert_allclose(psi[i], slope[found.regression.kept] * frame["w"][i], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("formula", [pair[0] for pair in PAIRS.values()])
def test_predictions_and_effects(frame, formula):
    found = cf.lm(formula, frame)
    near(found.predict(frame), found.fitted)
    own = found.predict(frame, fixed_effects=False)
    near(own, found.predict(fixed_effects=False))
    effects = found.fixed_effects()
    total = found.fitted - own
    if formula == "y ~ x + z | a":
        values = effects.set_index("level")["value"]
        near(values[frame["a"].astype(str)], total)
        assert effects["count"].sum() == N
    absent = frame.head(3).assign(**{effect.term.factors[0].id: None for effect in found.frame.effects})
    assert found.predict(absent).isna().all()


def test_effects_have_one_reference_a_connected_part():
    frame = pd.DataFrame(
        {"y": [1.0, 2, 4, 4, 7, 8, 1, 3], "a": list("ppqqrrss"), "t": list("uvuvxzxz"), "x": [1, 2, 2, 5, 3, 4, 4, 1]}
    )
    found = cf.lm("y ~ x | a + t", frame)
    effects = found.fixed_effects("t").set_index("level")["value"]
    assert effects[["u", "x"]].tolist() == [0, 0]
    assert (found.fixed_effects("a")["value"] != 0).all()
    near(found.predict(frame), found.fitted)


def test_rows_alone_in_a_level_leave_and_are_counted(frame):
    alone = pd.concat([frame, frame.head(2).assign(a=[98, 99]), frame.iloc[[2, 3]].assign(a=77, b=["m", "n"])])
    alone.loc[alone.index[5], "b"] = None
    found = cf.lm("y ~ x | a + b", alone)
    near(found.params, cf.lm("y ~ x | a + b", frame.drop(index=5)).params)
    assert (found.frame.left_out.singletons, found.dropped, found.missing_by) == (4, 1, {"b": 1})
    assert "  (4 fixed-effect singletons were removed)" in str(found)
    assert "  (1 observation deleted due to missingness)" in str(found)
    fit = cf.fit("y ~ treat(d) + x | a + b", alone)
    assert fit.call.frame.left_out.singletons == 4 and "4 fixed-effect singletons were removed" in str(fit)


def test_rows_of_weight_zero_keep_no_level(frame):
    more = pd.concat([frame, frame.head(3).assign(a=[70, 70, 71], w=[0, 1, 0])])
    found, plain = (cf.lm("y ~ x | a", one, weights="w") for one in (more, frame))
    near(found.params, plain.params)
    near(found.bse, plain.bse)
    out = found.frame.left_out
    assert (found.nobs, out.singletons, out.idle, out.rows, found.dropped) == (N - 2, 1, 2, 3, 0)
    kept = more.assign(w=np.where(np.arange(len(more)) == 5, 0.0, more["w"]))  # in a level that stays
    fit = cf.fit("y ~ treat(d) + x + weights(w) | a", kept)
    zero = int((kept["w"] == 0).sum())
    for each in (cf.lm("y ~ x | a", kept, weights="w"), fit):
        assert each.nobs == N + 3 - zero - 1
        assert f"Observations: {N + 2 - zero}" in str(each)
        assert "(1 fixed-effect singleton was removed)" in str(each)
        assert f"({zero} rows of weight zero take no part)" in str(each)
    assert "weight zero" not in str(cf.lm("y ~ x | a", kept[kept["w"] > 0], weights="w"))
    near(found.predict(frame), plain.predict(frame))


def test_a_model_of_effects_alone(frame):
    found = cf.lm("y ~ fe(a)", frame)
    near(found.fitted, frame.groupby("a")["y"].transform("mean"))
    near(found.hatvalues(), 1 / frame.groupby("a")["y"].transform("size"))
    near(found.sigma, cf.lm("y ~ factor(a)", frame).sigma)


def test_a_causal_fit_is_its_coefficient(frame):
    fit = cf.fit("y ~ treat(d) + x + z | a + b", frame)
    model = cf.lm("y ~ d + x + z | a + b", frame)
    near(fit.estimate, model.params["d"])
    for vcov in ("classical", "HC3", "~a", "CR2 ~ a"):
        near(fit.with_vcov(vcov).std_error, model.with_vcov(vcov).bse["d"])
        assert fit.with_vcov(vcov).covariance.df[0] == pytest.approx(model.with_vcov(vcov).covariance.df[0])
    near(fit.fixed_effects()["value"], model.fixed_effects()["value"])


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_effects_that_differ_are_those_with_dummies(frame, estimand):
    terms = "treat(d) + modify(x) + outcome(f) + adjust(z)"
    fit = cf.fit(f"y ~ {terms} + fe(a)", frame, estimand=estimand)
    dummies = cf.fit(f"y ~ {terms} + factor(a)", frame, estimand=estimand)
    near(fit.estimate, dummies.estimate)
    near(fit.std_error, dummies.std_error)
    near(fit.influence(), dummies.influence(), 1e-7)
    near(fit.by("f").tidy()["estimate"], dummies.by("f").tidy()["estimate"])
    request = cf.HC("HC3", unconditional=True)
    near(fit.with_vcov(request).std_error, dummies.with_vcov(request).std_error)
    again = cf.Bootstrap(15, weights="exponential", seed=1)
    near(fit.with_vcov(again).std_error, dummies.with_vcov(again).std_error)


def test_sampling_weights_and_doses(frame):
    fit = cf.fit("y ~ treat(x) + z + weights(w) | a + b", frame, contrast="slope")
    dummies = cf.fit("y ~ treat(x) + z + weights(w) + factor(a) + b", frame, contrast="slope")
    near([fit.estimate, fit.std_error], [dummies.estimate, dummies.std_error])
    assert fit.covariance.label == dummies.covariance.label


def test_clusters_of_the_absorbed_factor_do_not_count_it(frame):
    found = cf.lm("y ~ x + z | a", frame, vcov="~a")
    psi = found.influence()
    sums = np.array([psi[frame["a"] == k].sum(axis=0) for k in range(12)]) / N
    near(found.vcov(), 12 / 11 * (N - 1) / (N - 3) * sums.T @ sums)
    assert (found.covariance.df == 11).all()


def test_models_are_compared_beside_their_effects(frame):
    large, small = (cf.lm(f"y ~ {terms} | a + b", frame) for terms in ("x + f", "x"))
    plain = [cf.lm(f"y ~ {terms} + factor(a) + b", frame) for terms in ("x + f", "x")]
    near(cf.anova(small, large).table["F"][1:], cf.anova(*plain[::-1]).table["F"][1:])
    near(cf.waldtest(large, "f").statistic, cf.waldtest(*plain).statistic)
    assert "y ~ x | a + b" in str(cf.waldtest(large, "f"))
    near(cf.waldtest(large).statistic, cf.waldtest(plain[0], ["x", "f"]).statistic)
    near(
        cf.anova(cf.lm("y ~ x | a", frame), small).table["F"][1:],
        cf.anova(cf.lm("y ~ x + factor(a)", frame), plain[1]).table["F"][1:],
    )
    with pytest.raises(cf.OptionError, match="absorb different fixed effects"):
        cf.waldtest(large, cf.lm("y ~ x | a", frame))
    near(large.hypothesis("fmid = flo").test.statistic, plain[0].hypothesis("fmid = flo").test.statistic)
    near(cf.anova(large).table["Sum Sq"]["f"], cf.anova(*plain[::-1]).table["Sum of Sq"].iloc[1])


def test_a_table_lists_the_effects(frame):
    fits = [cf.lm("y ~ x", frame), cf.lm("y ~ x | a", frame), cf.fit("y ~ treat(d) | a + b[x]", frame)]
    rows = cf.table(fits).to_frame().set_index("term")
    assert rows.loc["FE: a"].tolist()[2:] == ["No", "Yes", "Yes"]
    assert rows.loc["FE: b"].tolist()[2:] == ["No", "No", "Yes"]
    assert rows.loc["Slopes: x (b)"].tolist()[2:] == ["No", "No", "Yes"]
    assert rows.loc["R2 Within"].tolist()[2] == ""
    assert "FE:" not in str(cf.table(fits[:1]))


@pytest.mark.parametrize("units", [3, 10, 150])
def test_an_effect_that_rests_on_one_unit_is_said_to(units):
    """Other units seem to know of it, whose columns are less the effects of periods."""
    rng = np.random.default_rng(units)
    panel = pd.DataFrame({"u": np.repeat(np.arange(units), 4), "t": np.tile(np.arange(4), units)})
    panel["y"], panel["x"] = rng.normal(size=(2, len(panel)))
    panel["d"] = ((panel["u"] == 0) & (panel["t"] > 1)).astype(int)
    found = cf.lm("y ~ d + x | u + t", panel, vcov="~u")
    assert np.isfinite(found.bse["d"])
    assert "Note: d rests on one cluster of u, whose own error these data cannot tell" in str(found)
    fit = cf.fit("y ~ treat(d) + x | u + t", panel, vcov="~u")
    assert np.isnan(fit.std_error) and "without one cluster of u it does not exist" in str(fit)
    panel["d"] = ((panel["u"] == 0) & (panel["t"] == 1)).astype(int)
    with pytest.warns(cf.CausalFormulaWarning, match="leverage one"):
        row = cf.lm("y ~ d + x | u + t", panel, vcov="HC3")
    assert np.isnan(row.bse["d"]) and row.bse["x"] > 0


def test_degrees_of_freedom_of_tests(frame):
    model = cf.lm("y ~ x | a + b", frame)
    n, k = N, 1 + 12 + 7 - 1
    assert model.covariance.df.tolist() == model.with_vcov("HC1").covariance.df.tolist() == [n - k]
    asked = {("min", "nonnested"): 6, ("conventional", "nonnested"): n - k + 6, ("conventional", "full"): n - k}
    asked |= {("conventional", "none"): n - 1, (4.5, "nonnested"): 4.5}
    for (t_df, effects), df in asked.items():
        found = cf.lm("y ~ x | a + b", frame, vcov="~b", ssc=cf.ssc(t_df=t_df, K_fixef=effects))
        assert found.covariance.df.tolist() == [df]
    assert model.with_vcov("~a + b").covariance.df.tolist() == [6]
    assert model.with_vcov(cf.Cluster("a", df=3)).covariance.df.tolist() == [3]
    other = model.with_vcov("classical", ssc=cf.ssc(K_adj=False))
    near(other.bse**2, model.bse**2 * (n - k) / (n - 1))
    assert "Standard-errors: classical (K_adj=False)\n" in str(other)
    assert "Standard-errors: IID \n" in str(model) == str(model.with_vcov("classical", ssc=cf.ssc()))
    asked = str(model.with_vcov("~a", ssc=cf.ssc(K_fixef="full")))
    assert "clustered by a (CR1S, fixest's rules (K_fixef='full'); clusters a: 12)" in asked


def test_small_sample_rules_of_a_model_without_effects(frame):
    model = cf.lm("y ~ x + z", frame)
    near(model.with_vcov("~a", ssc=cf.ssc()).bse, model.with_vcov("~a").bse)
    assert model.with_vcov("~a", ssc=cf.ssc()).covariance.df.tolist() == [11] * 3
    near(model.with_vcov("~a", ssc=cf.ssc(G_adj=False)).bse ** 2, model.with_vcov("~a").bse ** 2 * 11 / 12)
    near(model.with_vcov("~a", ssc=cf.ssc(K_adj=False)).bse, model.with_vcov("CR1 ~ a").bse)
    fit = cf.fit("y ~ treat(d) + x", frame, vcov="~a")
    near(
        cf.fit("y ~ treat(d) + x", frame, vcov="~a", ssc=cf.ssc(G_adj=False)).std_error,
        fit.std_error * (11 / 12) ** 0.5,
    )
    again = cf.fit("y ~ treat(d) + x + cluster(a)", frame, ssc=cf.ssc(t_df="conventional"))
    near(again.std_error, fit.std_error)
    assert fit.with_vcov("~a", ssc=cf.ssc()).covariance.df.tolist() == [11]


@pytest.mark.parametrize(
    ("formula", "method", "vcov"),
    [
        ("y ~ treat(d) + x | a + b", "regression", "~g"),
        ("y ~ treat(d) + x", "regression", cf.Cluster("g", unconditional=True)),
        ("y ~ treat(d) + adjust(x)", "aipw", "~g"),
        ("y ~ treat(d) + adjust(x)", "ipw", "~g"),
        ("y ~ treat(d) + iv(o + z) + adjust(x)", "liml", "~g"),
    ],
)
def test_influences_of_a_stretch_of_rows_at_a_time(frame, monkeypatch, formula, method, vcov):
    whole = cf.fit(formula, frame, method, vcov=vcov)
    monkeypatch.setattr(groupings, "AT_ONCE", 7)
    near(cf.fit(formula, frame, method, vcov=vcov).std_error, whole.std_error, 1e-12)


def test_the_design_is_there_when_asked_for():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"g": rng.integers(0, 30, 200), "x": 1e3 + rng.normal(size=200), "z": rng.normal(size=200)})
    data["y"] = data.x + data.z + rng.normal(size=200)
    kept = data.copy()
    model = cf.lm("y ~ x + z | g", data)
    data.loc[:, ["x", "z"]] = 0.0  # what the caller does with the data afterwards is not the fit's
    np.testing.assert_allclose(model.regression.X, kept[["x", "z"]], rtol=1e-13)
    np.testing.assert_allclose(model.predict(), cf.lm("y ~ x + z + factor(g)", kept).predict(), rtol=1e-10)


def test_a_product_that_only_the_tolerance_of_fixest_leaves_out_is_named():
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"u": np.arange(200) // 5, "a": rng.integers(0, 2, 200), "x": rng.normal(size=200)})
    d = d.assign(y=d["a"] * d["x"] + rng.normal(size=200), far=d["x"] + 2.0**30, twice=2 * d["a"])
    with pytest.warns(cf.CausalFormulaWarning, match="a:far left out as fixest does"):
        lost = cf.lm("y ~ a * far | u", d)
    assert np.isnan(lost.params.reindex(["a:far"])).all()
    centred = cf.lm("y ~ a * scale(far, scale = FALSE) | u", d)
    np.testing.assert_allclose(centred.params.iloc[-1], cf.lm("y ~ a * x | u", d).params["a:x"], rtol=1e-7)
    assert "left out as fixest" not in str(cf.lm("y ~ a * x + twice | u", d).summary())
