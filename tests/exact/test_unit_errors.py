"""Standard errors of unit effects: regressions by statsmodels, numerical gradients, and refits on resamples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy import stats

import causalformula as cf
from causalformula.errors import CapabilityError, OptionError

F = "y ~ treat(a) + adjust(x + z)"
M = "y ~ treat(a) + modify(x) + adjust(z)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(9)
    n = 120
    x, z = rng.normal(size=(2, n))
    a = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int)
    y = x + z + a * (1 + x) + rng.normal(size=n) * (1 + a)
    frame = pd.DataFrame({"y": y, "a": a, "x": x, "z": z, "c": np.arange(n) // 4, "k": rng.integers(1, 4, n)})
    return frame.assign(d=(y + rng.normal(size=n) > 0.5).astype(int), m=np.array(["p", "q", "r"])[np.arange(n) % 3])


def arms(data):
    """Design by arm, all rows' design, outcomes by arm."""
    X = sm.add_constant(data[["x", "z"]].to_numpy())
    inside = [data["a"].to_numpy() == arm for arm in (0, 1)]
    return X, inside, data["y"].to_numpy()


def crossed(data, arm=None):
    """The design of the S-learner, of the rows as they are or all in an arm."""
    a = data["a"].to_numpy() if arm is None else np.full(len(data), arm)
    x, z = data["x"].to_numpy(), data["z"].to_numpy()
    return np.column_stack([np.ones(len(data)), a, x, z, a * x])


def spread(J, V):
    return np.sqrt(np.einsum("ij,jk,ik->i", J, V, J))


@pytest.mark.parametrize("kind", ["HC0", "HC2", "HC3"])
def test_a_t_learner_of_glms_has_the_variance_of_each_regression(data, kind):
    X, inside, y = arms(data)
    fits = [sm.OLS(y[own], X[own]).fit(cov_type=kind) for own in inside]
    expected = np.sqrt(sum(spread(X, fit.cov_params()) ** 2 for fit in fits))
    fit = cf.fit(F, data, "t_learner")
    found = fit.effects(vcov=kind).to_frame(0.9)
    assert_allclose(found["std.error"], expected, rtol=1e-8)
    half = stats.t.ppf(0.95, len(data) - 6) * expected
    assert_allclose(found["conf.high"] - found["effect"], half, rtol=1e-8)
    if kind == "HC3":
        pd.testing.assert_frame_equal(fit.effects().to_frame(0.9), found)


def test_an_s_learner_of_glms_has_the_variance_of_its_regression(data):
    J = crossed(data, 1) - crossed(data, 0)
    ols = sm.OLS(data["y"], crossed(data))
    fit = cf.fit(M, data, "s_learner")
    for vcov, plain in {
        "HC3": ols.fit(cov_type="HC3"),
        "classical": ols.fit(),
        "CR1S ~ c": ols.fit(cov_type="cluster", cov_kwds={"groups": data["c"]}),
    }.items():
        found = fit.effects(vcov=vcov).to_frame()["std.error"]
        assert_allclose(found, spread(J, np.asarray(plain.cov_params())), rtol=1e-8, err_msg=vcov)
    clustered = cf.fit(M + " + cluster(c)", data, "s_learner")
    asked = clustered.effects(vcov="~c").to_frame()
    pd.testing.assert_frame_equal(clustered.effects().to_frame(), asked)
    assert not np.allclose(asked["std.error"], fit.effects().to_frame()["std.error"])


def test_weights_are_those_of_weighted_least_squares(data):
    X, inside, y = arms(data)
    w = data["k"].to_numpy()
    fits = [sm.WLS(y[own], X[own], weights=w[own]).fit(cov_type="HC0") for own in inside]
    expected = np.sqrt(sum(spread(X, fit.cov_params()) ** 2 for fit in fits))
    found = cf.fit(F + " + weights(k)", data, "t_learner").effects(vcov="HC0").to_frame()
    assert_allclose(found["std.error"], expected, rtol=1e-8)


@pytest.mark.parametrize("method", ["s_learner", "t_learner"])
def test_probabilities_have_them_by_the_gradient(data, method):
    """The delta method, by a numerical gradient of statsmodels' logistic regressions."""
    X, inside, _ = arms(data)
    d = data["d"].to_numpy()
    if method == "s_learner":
        designs, ends, rows = [crossed(data)], [(0, crossed(data, 0)), (0, crossed(data, 1))], [slice(None)]
    else:
        designs, ends, rows = [X[own] for own in inside], [(0, X), (1, X)], inside
    fits = [sm.GLM(d[own], Z, sm.families.Binomial()).fit(tol=1e-14) for own, Z in zip(rows, designs, strict=True)]
    meat = [Z * (d[own] - fit.fittedvalues)[:, None] for own, Z, fit in zip(rows, designs, fits, strict=True)]
    bread = [
        np.linalg.inv((Z.T * (fit.fittedvalues * (1 - fit.fittedvalues))) @ Z)
        for Z, fit in zip(designs, fits, strict=True)
    ]

    def effect(coefs):
        low, high = (1 / (1 + np.exp(-Z @ coefs[j])) for j, Z in ends)
        return high - low

    expected, h = np.zeros(len(d)), 1e-5
    for j, fit in enumerate(fits):
        V = bread[j] @ (meat[j].T @ meat[j]) @ bread[j]
        moved = [
            [f.params + (sign * h * step if f is fit else 0) for f in fits]
            for step in np.eye(len(V))
            for sign in (1, -1)
        ]
        J = np.column_stack(
            [(effect(up) - effect(down)) / (2 * h) for up, down in zip(moved[::2], moved[1::2], strict=True)]
        )
        expected += spread(J, V) ** 2
    formula = (M if method == "s_learner" else F).replace("y", "d", 1)
    found = cf.fit(formula, data, method, family="binomial").effects(vcov="HC0").to_frame()
    assert_allclose(found["effect"], effect([fit.params for fit in fits]), rtol=1e-7, atol=1e-10)
    assert_allclose(found["std.error"], np.sqrt(expected), rtol=1e-6)


def test_several_levels_share_the_first(data):
    formula = "y ~ treat(m) + adjust(x + z)"
    X, y, m = arms(data)[0], data["y"].to_numpy(), data["m"].to_numpy()
    variances = [
        spread(X, sm.OLS(y[m == level], X[m == level]).fit(cov_type="HC3").cov_params()) ** 2 for level in "pqr"
    ]
    found = cf.fit(formula, data, "t_learner").effects().to_frame()
    assert_allclose(found["std.error r - p"], np.sqrt(variances[0] + variances[2]), rtol=1e-8)
    pairs = cf.fit(formula, data, "t_learner", contrast="pairwise").effects().to_frame()
    assert_allclose(pairs["std.error r - q"], np.sqrt(variances[1] + variances[2]), rtol=1e-8)


def test_new_units_have_them_too_and_those_with_holes_none(data):
    fit = cf.fit(F, data, "t_learner")
    some = data[["x", "z"]].iloc[[5, 2, 9]].assign(x=[data["x"][5], np.nan, data["x"][9]])
    found = fit.effects(some).to_frame()
    all_rows = fit.effects().to_frame()
    assert found.loc[2].isna().all()
    assert_allclose(found["std.error"].loc[[5, 9]], all_rows["std.error"].loc[[5, 9]], rtol=1e-10)
    assert np.isnan(fit.effects(some.iloc[[1]]).effect).all() and "nan" not in str(fit.effects(some.iloc[[1]]))
    assert "nan" not in str(fit.effects(some.iloc[[0]]))


def test_refits_are_labelled(data):
    request = cf.Bootstrap(reps=60, seed=2, kind="percentile")
    fit = cf.fit(F, data, "x_learner", folds=2)
    found = fit.effects(data[["x", "z"]].head(4), vcov=request)
    draws = found.errors.draws[:, :, 0]
    table = found.to_frame()
    assert_allclose(table["std.error"], draws.std(axis=0, ddof=1), rtol=1e-12)
    assert (table["conf.low"] < draws.mean(axis=0)).all() and (table["conf.high"] > draws.mean(axis=0)).all()
    assert "Standard errors: bootstrap of the learner, 60 replicates, pairs, percentile intervals, seed 2" in str(found)
    assert "regularises" not in str(found)
    again = fit.effects(data[["x", "z"]].head(4), vcov=request)
    pd.testing.assert_frame_equal(again.to_frame(), table)
    ridge = cf.fit(F, data, "t_learner", outcome_model="ridge", folds=2)
    told = str(ridge.effects(data[["x", "z"]].head(4), vcov=cf.Bootstrap(reps=8)))
    assert "resampling a learner that regularises has no theory: its intervals need not cover" in told


def test_a_t_learner_of_glms_resampled_is_near_its_theory(data):
    fit = cf.fit(F, data, "t_learner", folds=2)
    theory = fit.effects().to_frame()["std.error"]
    resampled = fit.effects(vcov=cf.Bootstrap(reps=100, seed=1)).to_frame()["std.error"]
    assert 0.85 < (resampled / theory).median() < 1.15


def test_others_are_refused(data):
    fit, linear = cf.fit(F, data, "dr_learner"), cf.fit(F, data, "t_learner")
    with pytest.raises(CapabilityError) as caught:
        fit.effects(vcov="HC3")
    assert str(caught.value) == (
        "vcov='HC3': theory has no standard errors for effects of units by the DR-learner of glm, only by an S- or "
        "T-learner of two glms; vcov='bootstrap' refits it on resamples"
    )
    with pytest.raises(
        CapabilityError, match=r"^vcov='jackknife' is not offered for effects of units; use 'bootstrap'"
    ):
        linear.effects(vcov="jackknife")
    with pytest.raises(CapabilityError, match="kind='bca' needs an influence, which effects of units have not"):
        fit.effects(vcov=cf.Bootstrap(reps=10, kind="bca"))
    with pytest.raises(CapabilityError, match=r"no intervals for effects of units by this DR-learner; effects\(vcov="):
        fit.effects().confint()
    with pytest.raises(CapabilityError, match=r"no intervals for predictions of rows held out; effects\(\) has"):
        linear.effects(held_out=True).confint()
    with pytest.raises(OptionError, match="held_out=True is of the rows of the fit, without standard errors"):
        linear.effects(held_out=True, vcov="HC3")


@pytest.mark.parametrize(
    ("formula", "method"),
    [
        ("y ~ treat(a) + adjust({} + z)", "t_learner"),
        ("d ~ treat(a) + adjust({} + z)", "t_learner"),
        ("y ~ treat(a) + modify({}) + adjust(z)", "s_learner"),
        ("d ~ treat(a) + modify({}) + adjust(z)", "s_learner"),
        ("y ~ treat(x) + modify({}) + adjust(a)", "s_learner"),
    ],
)
@pytest.mark.parametrize("far", [1e7, -3e8])
def test_a_covariate_far_from_zero_changes_neither_effects_nor_their_errors(data, formula, method, far):
    moved = data.assign(u=data["z"] + 2 * data["x"], v=data["z"] + 2 * data["x"] + far)
    near, away = (cf.fit(formula.format(name), moved, method).effects() for name in ("u", "v"))
    names = ["effect", "std.error"]
    assert near.to_frame()["std.error"].std() > 1e-3  # they differ between units
    assert_allclose(away.to_frame()[names], near.to_frame()[names], rtol=1e-5)
    assert not away.errors.notes
    new = cf.fit(formula.format("v"), moved, method).effects(newdata=moved.iloc[3:9]).to_frame()
    assert_allclose(new[names], near.to_frame()[names].iloc[3:9], rtol=1e-5)


def test_a_dose_far_from_zero_changes_neither_effects_nor_their_errors(data):
    tables = [data.assign(d=data["x"] + data["k"] + far) for far in (0, 1e8)]
    fits = [cf.fit("y ~ treat(d) + modify(x) + adjust(z)", table, "s_learner") for table in tables]
    near, away = (fit.effects().to_frame()[["effect", "std.error"]] for fit in fits)
    assert near["std.error"].std() > 1e-3
    assert_allclose(away, near, rtol=1e-5)
    new = fits[1].effects(tables[1].head(5)).to_frame()
    assert_allclose(new[["effect", "std.error"]], near.head(5), rtol=1e-5)
