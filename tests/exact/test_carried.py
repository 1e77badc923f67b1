"""Equations among estimates under each kind of covariance, and what models share with causal fits."""

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.inference.resampling.intervals import BCa, acceleration
from causalformula.inference.resampling.resample import interval

N = 120


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(8)
    g, h = rng.integers(0, 8, N), rng.integers(0, 9, N)
    x, a = rng.normal(size=N), rng.integers(0, 2, N)
    y = 1 + 0.8 * a + 0.5 * x + 0.5 * rng.normal(size=8)[g] + rng.normal(size=N)
    f = np.array(list("uvw"))[rng.integers(0, 3, N)]
    b = (y > 1).astype(float)
    return pd.DataFrame({"y": y, "a": a, "x": x, "f": f, "g": g, "h": h, "b": b, "q": g % 3, "t": np.arange(N)})


# -- several ways of clustering ------------------------------------------------------------------------------------


def crossed():
    """Data whose two-way variance of the effect is negative."""
    for seed in range(300):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({name: rng.normal(size=36) for name in ("y", "x")})
        frame = frame.assign(a=rng.integers(0, 2, 36), g=rng.integers(0, 3, 36), h=rng.integers(0, 4, 36))
        one = {by: cf.lm("y ~ a + x", frame, vcov=f"CR0 ~ {by}").cov_params().loc["a", "a"] for by in ("g", "h")}
        both = cf.lm("y ~ a + x", frame.assign(k=frame.g * 4 + frame.h), vcov="CR0 ~ k").cov_params().loc["a", "a"]
        if one["g"] + one["h"] < both:
            return frame
    raise AssertionError("no negative variance was drawn")


def test_a_negative_variance_has_no_standard_error():
    frame = crossed()
    with pytest.warns(cf.CausalFormulaWarning, match="variance of a 1 - 0 is negative"):
        fit = cf.fit("y ~ treat(a) + adjust(x)", frame, vcov="CR0 ~ g + h")
    row = fit.tidy().iloc[0]
    assert row[["std.error", "statistic", "p.value", "conf.low", "conf.high"]].isna().all()
    assert "not positive semidefinite" in str(fit) and "fix=True" in str(fit) and "***" not in str(fit)
    assert np.isnan(fit.hypothesis("b1 = 0").test.p_value)
    with pytest.warns(cf.CausalFormulaWarning):
        model = cf.lm("y ~ a + x", frame, vcov="CR0 ~ g + h")
    assert np.isnan(model.bse["a"]) and "not positive semidefinite" in str(model.summary())


@pytest.mark.parametrize("fix", [False, True])
def test_a_repair_is_of_the_coefficients(data, fix):
    """An effect and the coefficient that it is have one standard error, repaired or not."""
    frame = crossed() if fix else data
    request = cf.Cluster(["g", "h"], type="CR0", fix=fix)
    effect = cf.fit("y ~ treat(a) + adjust(x)", frame, vcov=request)
    model = cf.lm("y ~ a + x", frame, vcov=request)
    assert effect.std_error == pytest.approx(model.bse["a"], rel=1e-9)
    assert ("negative eigenvalues set to zero" in effect.covariance.label) == fix
    if fix:
        with pytest.warns(cf.CausalFormulaWarning):
            raw = cf.lm("y ~ a + x", frame, vcov="CR0 ~ g + h").cov_params().to_numpy()
        values, vectors = np.linalg.eigh(raw)
        mended = (vectors * np.maximum(values, 0)) @ vectors.T
        np.testing.assert_allclose(model.cov_params(), mended, rtol=1e-8, atol=1e-12)
        stacked = cf.stack([effect, effect], vcov=request)
        assert "negative eigenvalues set to zero" in stacked.covariance.label


# -- the bootstrap -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["percentile", "basic", "normal"])
def test_equations_are_mapped_draw_by_draw(data, kind):
    request = cf.Bootstrap(99, kind, seed=1)
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, vcov=request)
    model = cf.lm("y ~ a + x", data, vcov=request)
    draws = np.exp(fit.covariance.draws) - 1
    expected = interval(draws, np.exp(fit.answer.estimate.theta) - 1, 0.95, kind)[0]
    for found in (fit.hypothesis("exp(b1) = 1"), model.hypothesis("exp(a) = 1")):
        row = found.tidy().iloc[0]
        np.testing.assert_allclose([row["conf.low"], row["conf.high"]], expected, rtol=1e-7)
        assert row["std.error"] == pytest.approx(draws.std(ddof=1), rel=1e-7)
    same = fit.hypothesis("b1 = 0").tidy().iloc[0]
    np.testing.assert_allclose(same[["conf.low", "conf.high"]].astype(float), fit.conf_int().iloc[0], rtol=1e-10)


def test_bca_of_an_equation_goes_through_its_influence(data):
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, vcov=cf.Bootstrap(199, "bca", cluster="g", seed=1))
    found = fit.hypothesis("exp(b1) = 1")
    reference = found.covariance.reference
    assert isinstance(reference, BCa)
    expected = acceleration(found.answer.estimate.evidence, data["g"].to_numpy())
    np.testing.assert_allclose(reference.acceleration, expected, rtol=1e-12)
    # of an increasing function the influence is the same up to scale, and so is the acceleration
    draws, theta = np.exp(fit.covariance.draws) - 1, np.exp(fit.answer.estimate.theta) - 1
    twin = BCa(draws, theta, fit.covariance.reference.acceleration)
    np.testing.assert_allclose(found.conf_int().iloc[0], np.ravel(twin.limits(0.95)), rtol=1e-9)


def test_studentized_falls_back_and_says_so(data):
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, vcov=cf.Bootstrap(99, "studentized", seed=1))
    own = fit.hypothesis("b1 = 0.5")
    np.testing.assert_allclose(own.conf_int().iloc[0], fit.conf_int().iloc[0] - 0.5, rtol=1e-10)
    other = fit.hypothesis("exp(b1) = 1")
    assert "Intervals: percentile" in str(other) and "no studentized interval" in str(other)
    ratio = cf.fit("b ~ treat(a)", data, measure="ratio", vcov=cf.Bootstrap(99, seed=1)).hypothesis("b1 = 1")
    assert (ratio.covariance.draws > -1).all()


def test_an_equation_that_replicates_leave_undefined(data):
    model = cf.lm("y ~ a + x + t", data, vcov=cf.Bootstrap(99, seed=1))
    sign = "" if model.coef["t"] > 0 else "-"
    with pytest.raises(cf.OptionError, match=r"not defined on .* of 99"):
        model.hypothesis(f"log({sign}t) = 1")


# -- models --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cluster", [None, "g"])
def test_studentized_bootstrap_of_a_model(data, cluster):
    request = cf.Bootstrap(99, "studentized", seed=1, cluster=cluster)
    effect = cf.fit("y ~ treat(a) + adjust(x)", data, vcov=request)
    model = cf.lm("y ~ a + x", data, vcov=request)
    np.testing.assert_allclose(model.conf_int().loc["a"], effect.conf_int().iloc[0], rtol=1e-7)
    logit = cf.glm("b ~ a + x", data, family="binomial", vcov=request)
    limits = logit.conf_int()
    assert (limits[0] < logit.coef).all() and (limits[1] > logit.coef).all()


def test_hypotheses_of_a_model_take_another_covariance(data):
    model = cf.lm("y ~ a + x", data)
    found = model.hypothesis(["a = 0", "x = 1"]).with_vcov("~g")
    again = model.with_vcov("~g").hypothesis(["a = 0", "x = 1"])
    assert found.test.p_value == again.test.p_value != model.hypothesis(["a = 0", "x = 1"]).test.p_value


def test_a_model_says_what_has_a_permutation_test(data):
    with pytest.raises(cf.CapabilityError, match=r"cf.fit\('y ~ treat"):
        cf.lm("y ~ a + x", data).permutation_test()


# -- joint tests ---------------------------------------------------------------------------------------------------


def test_redundant_restrictions_and_a_short_covariance_are_told_apart(data):
    model = cf.lm("y ~ a + x + f", data, vcov="~q")
    with pytest.raises(cf.OptionError, match="comes from 3 clusters of q, has rank 2"):
        model.hypothesis(["a = 0", "x = 0", "fv = 0", "fw = 0"])
    with pytest.raises(cf.OptionError, match=r"2 restrictions are not independent \(rank 1\)"):
        model.hypothesis(["a = 0", "2 * a = 0"])
    with pytest.raises(cf.OptionError, match="variance of zero"):
        model.hypothesis("a = a")


def test_the_denominator_is_in_the_table(data):
    model = cf.lm("y ~ a + x", data, vcov="jackknife ~ g")
    for test in (model.hypothesis(["a = 0", "x = 0"]).test, cf.waldtest(model)):
        assert test.df == (2.0, 7.0)
        assert test.table["Den.Df"].iloc[1] == 7 and "Den.Df" in str(test)
    assert "Den.Df" not in cf.waldtest(model.with_vcov("HC3")).table


def test_tables_say_that_they_are_classical(data):
    model, small = cf.lm("y ~ a + x", data), cf.lm("y ~ a", data)
    robust = model.with_vcov("HC3")
    for found in (cf.anova(robust, small), robust.drop1(), cf.anova(robust)):
        assert "by the classical variances, not by HC3" in str(found)
    assert "classical" not in str(cf.anova(model, small))


# -- other requests ------------------------------------------------------------------------------------------------


def test_cr1p_needs_more_clusters_than_coefficients(data):
    with pytest.raises(cf.DataError, match="3 clusters for 3 coefficients"):
        cf.lm("y ~ a + x", data, vcov="CR1p ~ q")
    with pytest.raises(cf.DataError, match="CR1p"):
        cf.fit("y ~ treat(a) + adjust(x)", data, vcov="CR1p ~ q")


def test_factors_without_degrees_of_freedom_are_nan(data):
    assert cf.lm("y ~ a", data.groupby("a").head(1), vcov="HC1").bse.isna().all()


def test_bootstrap_of_one_unit(data):
    with pytest.raises(cf.DataError, match="one cluster of one"):
        cf.fit("y ~ treat(a) + adjust(x)", data.assign(one=1), vcov=cf.Bootstrap(50, cluster="one"))
    with pytest.raises(cf.OptionError, match="single row"):
        cf.lm("y ~ a + x", data, vcov=cf.Bootstrap(50, strata="t"))


def test_too_few_replicates_are_said(data):
    model = cf.lm("y ~ a + x", data, vcov=cf.Bootstrap(10, "bca", seed=1))
    with pytest.warns(cf.CausalFormulaWarning, match="10 bootstrap replicates are too few"):
        model.conf_int()


def test_serial_requests_that_the_data_do_not_bear(data):
    with pytest.warns(cf.CausalFormulaWarning, match="lag 200 reaches beyond the data's 120 rows"):
        cf.lm("y ~ a + x", data, vcov=cf.HAC(lag=200))
    with pytest.warns(cf.CausalFormulaWarning, match="lag 100 reaches beyond the data's 9 periods"):
        cf.lm("y ~ a + x", data, vcov=cf.DriscollKraay("h", 100))
    with pytest.raises(cf.OptionError, match="does not say the order of the rows"):
        cf.lm("y ~ a + x", data, vcov=cf.HAC(order_by="g"))
    cf.lm("y ~ a + x", data, vcov=cf.HAC(order_by="t"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CR2", "'CR2 ~ g'"),
        ("HAC", "did you mean 'NeweyWest'"),
        ("wild ~ g + h", "takes one column of clusters"),
        ("DriscollKraay(t)", "'DriscollKraay ~ t'"),
        ("~g:h", r"'g:h' is no column.*'~g \+ h'"),
        ("nonsense", "CR1p ~ g"),
    ],
)
def test_hints_for_texts_that_nearly_are_requests(data, text, said):
    with pytest.raises(cf.OptionError, match=said):
        cf.lm("y ~ a + x", data, vcov=text)


# -- quasi families ------------------------------------------------------------------------------------------------

QUASI = "quasi(link = 'logit', variance = 'mu(1-mu)')"


def test_a_stage_starts_again_where_rs_start_diverges(data, recwarn):
    """The score equations are quasibinomial's, and so is the effect."""
    found = cf.fit("b ~ treat(a) + adjust(x)", data, family=QUASI)
    twin = cf.fit("b ~ treat(a) + adjust(x)", data, family="quasibinomial")
    assert found.estimate == pytest.approx(twin.estimate, rel=1e-8)
    assert found.std_error == pytest.approx(twin.std_error, rel=1e-6)
    assert not found.fit.notes and not list(recwarn)


def test_the_variance_of_a_quasi_family_is_printed(data):
    fit = cf.fit("b ~ treat(a) + adjust(x)", data, family=QUASI)
    assert "variance mu(1-mu)" in str(fit) and 'variance = "mu(1-mu)"' in str(fit.outcome)
    model = cf.glm("I(y^2) ~ x", data, family="quasi(link = 'log', variance = 'mu')")
    assert 'variance = "mu"' in model.call
