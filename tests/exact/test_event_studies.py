"""Event studies beside units and periods, imputation and the two-way coefficient, against dummies and sums by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import causalformula as cf

F = "y ~ did(g, t, unit = id)"
PERIODS = 6


def panel(seed=1, units=60, starts=(np.inf, 3, 4, 5), gaps=False):
    """Units over six periods, with effects that differ between groups and grow."""
    rng = np.random.default_rng(seed)
    start = np.array(starts)[np.arange(units) % len(starts)]
    data = pd.DataFrame({"id": np.repeat(np.arange(units), PERIODS), "t": np.tile(np.arange(PERIODS), units)})
    data["g"] = start[data["id"]]
    data["z"], data["x"] = rng.normal(size=units)[data["id"]], rng.normal(size=len(data))
    data["w"] = rng.uniform(0.5, 2, units)[data["id"]]
    since = (data["t"] - data["g"]).where(data["t"] >= data["g"], 0.0)
    data["effect"] = np.where(data["t"] >= data["g"], 0.2 * data["g"].clip(upper=9) + 0.5 * since, 0.0)
    data["y"] = 0.3 * data["t"] + data["z"] + 0.4 * data["x"] + data["effect"] + rng.normal(size=len(data))
    return data[(data["id"] * 7 + data["t"] * 3) % 11 > 0].reset_index(drop=True) if gaps else data


def dummies(*columns):
    return np.hstack([pd.get_dummies(column).to_numpy(dtype=float) for column in columns])


def wls(X, y, w):
    return np.linalg.lstsq(X * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]


@pytest.fixture(scope="module")
def gapped():
    return panel(gaps=True)


@pytest.mark.parametrize("method", ["did", "sunab", "etwfe"])
def test_regressions_are_those_with_dummies(gapped, method):
    d = gapped
    on, ever, w = (d["t"] >= d["g"]).to_numpy(), np.isfinite(d["g"]).to_numpy(), d["w"].to_numpy()
    if method == "did":
        cell, fit = np.where(ever & (d["t"] - d["g"] != -1), d["t"] - d["g"], np.nan), {"event_study": True}
    elif method == "sunab":
        cell, fit = np.where(ever & (d["t"] - d["g"] != -1), 100 * d["g"] + d["t"], np.nan), {}
    else:
        cell, fit = np.where(on, 100 * d["g"] + d["t"], np.nan), {"unit_effects": "unit"}
    values = np.unique(cell[~np.isnan(cell)])
    own = (cell[:, None] == values).astype(float)
    covariates = [d[["x"]].to_numpy()]
    if method == "etwfe":  # every cell, group and period has its own slope; so has the row that it is averaged over
        totals = [d["w"].groupby(d["g"]).transform("sum"), (d["w"] * d["x"]).groupby(d["g"]).transform("sum")]
        centred = (d["x"] - totals[1] / totals[0]).to_numpy()[:, None]
        covariates = [own * centred, dummies(d["g"]) * d[["x"]].to_numpy(), dummies(d["t"]) * d[["x"]].to_numpy()]
    b = wls(np.hstack([own, *covariates, dummies(d["id"], d["t"])]), d["y"].to_numpy(), w)
    effect = own @ b[: len(values)] + (own * centred @ b[len(values) : 2 * len(values)] if method == "etwfe" else 0)
    found = cf.fit(f"{F} + adjust(x) + weights(w)", d, method, **fit)
    for result, by in ((found.aggregate("dynamic"), d["t"] - d["g"]), (found.overall, 0 * d["t"])):
        kept = ~np.isnan(cell) & (on if result is found.overall else True)
        expected = (w * effect)[kept]
        means = pd.Series(expected).groupby(by[kept].to_numpy()).sum() / d["w"][kept].groupby(by[kept].to_numpy()).sum()
        np.testing.assert_allclose(result.tidy()["estimate"], means, rtol=1e-8)


@pytest.mark.parametrize(
    ("method", "options"),
    [("did", {}), ("did", {"event_study": True}), ("sunab", {}), ("imputation", {}), ("etwfe", {}),
     ("etwfe", {"family": "poisson"})],
)  # fmt: skip
def test_products_of_covariates_far_from_zero_are_not_lost(method, options):
    d = panel(units=120).assign(
        v=lambda d: np.round(64 * d["x"]) / 64, y=lambda d: np.exp((d["y"] + d["x"] * d["z"]) / 3)
    )
    d["far"] = d["v"] + 2.0**30
    near, far = (cf.fit(f"{F} + adjust({x} * z)", d, method, **options) for x in ("v", "far"))
    np.testing.assert_allclose(far.tidy()["estimate"], near.tidy()["estimate"], rtol=1e-6)
    np.testing.assert_allclose(far.tidy()["std.error"], near.tidy()["std.error"], rtol=1e-6)
    assert "far:z, a combination" not in str(far) and "far:z was removed" not in str(far)


@pytest.mark.parametrize("family", ["poisson", "binomial"])
@pytest.mark.parametrize("leads", [False, True])
def test_trends_on_the_scale_of_a_link_are_a_model_with_dummies(family, leads):
    """Averages of the differences of its fitted means, and the delta method over all coefficients, the dummies' too."""
    rng, d = np.random.default_rng(5), panel(units=300, gaps=True)
    outcome = rng.poisson(np.exp(d["y"] / 4)) if family == "poisson" else rng.binomial(1, 1 / (1 + np.exp(-d["y"] / 4)))
    d = d.assign(y=outcome.astype(float), o=rng.uniform(0, 0.3, len(d)))
    on = (d["t"] >= d["g"]).to_numpy()
    inside = np.isfinite(d["g"]).to_numpy() & (d["t"] != d["g"] - 1).to_numpy() if leads else on
    cell = np.where(inside, 100 * d["g"] + d["t"], np.nan)
    own = (cell[:, None] == np.unique(cell[inside])).astype(float)
    centred = (d["x"] - d["x"].groupby(d["g"]).transform("mean")).to_numpy()[:, None]
    x = d[["x"]].to_numpy()
    columns = [own, own * centred, dummies(d["g"]), dummies(d["t"])[:, 1:], dummies(d["g"]) * x]
    Z = np.hstack([*columns, dummies(d["t"])[:, 1:] * x])
    Z0 = np.hstack([0 * own, 0 * own, Z[:, 2 * own.shape[1] :]])
    link = sm.families.Poisson() if family == "poisson" else sm.families.Binomial()
    model = sm.GLM(d["y"].to_numpy(), Z, link, offset=d["o"].to_numpy()).fit(tol=1e-12, maxiter=100)
    mean = np.exp if family == "poisson" else lambda eta: 1 / (1 + np.exp(-eta))
    eta, held = Z @ model.params + d["o"].to_numpy(), Z0 @ model.params + d["o"].to_numpy()
    scores = np.zeros((300, Z.shape[1]))
    np.add.at(scores, d["id"].to_numpy(), Z * (d["y"] - mean(eta)).to_numpy()[:, None])
    bread = np.linalg.inv(Z.T @ (Z * (mean(eta) if family == "poisson" else mean(eta) * (1 - mean(eta)))[:, None]))
    control = "nevertreated" if leads else "notyettreated"
    fit = cf.fit(F + " + adjust(x) + offset(o)", d, "etwfe", family=family, control_group=control, vcov="CR0 ~ id")
    for result, by, of in (
        (fit.overall, 0 * d["t"], on), (fit.aggregate("dynamic"), d["t"] - d["g"], inside),
        (fit.aggregate("group"), d["g"], on), (fit.aggregate("calendar"), d["t"], on),
    ):  # fmt: skip
        parts = [of & (by == value).to_numpy() for value in np.unique(by[of])]
        expected = [(mean(eta) - mean(held))[part].mean() for part in parts]
        np.testing.assert_allclose(result.tidy()["estimate"], expected, rtol=1e-7)
        step, slopes = 1e-6, np.zeros((len(parts), Z.shape[1]))
        for j in range(Z.shape[1]):
            gap = mean(eta + step * Z[:, j]) - mean(held + step * Z0[:, j]) - mean(eta - step * Z[:, j])
            gap = gap + mean(held - step * Z0[:, j])
            slopes[:, j] = [gap[part].mean() / (2 * step) for part in parts]
        error = np.sqrt(((slopes @ bread @ scores.T) ** 2).sum(axis=1))
        np.testing.assert_allclose(result.tidy()["std.error"], error, rtol=1e-5)


def test_imputation_is_the_mean_above_the_model_of_untreated_rows(gapped):
    """With the conservative standard error as sums over units, ``sqrt(sum_i (sum_t v_it e_it)^2)``."""
    d = gapped
    on, w, y = (d["t"] >= d["g"]).to_numpy(), d["w"].to_numpy(), d["y"].to_numpy()
    Z = np.hstack([dummies(d["id"], d["t"]), d[["x"]]])
    e = y - Z @ wls(Z[~on], y[~on], w[~on])
    fit = cf.fit(f"{F} + adjust(x) + weights(w)", d, "imputation")
    for result, inside in (
        (fit, on),
        (fit.aggregate("dynamic", min_e=1, max_e=1), on & (d["t"] - d["g"] == 1).to_numpy()),
    ):
        share = np.where(inside, w, 0) / w[inside].sum()
        assert result.estimate == pytest.approx(share @ e, rel=1e-9)
        through = np.linalg.pinv(Z[~on].T @ (Z[~on] * w[~on, None])) @ (Z.T @ share)
        v = np.where(on, share, -w * (Z @ through))
        for request, cell in (("asympt", 100 * d["g"] + d["t"]), ("two_stage", 0 * d["t"])):
            left = e.copy()
            for value in np.unique(cell[inside]):
                part = inside & (cell == value).to_numpy()
                left[part] -= w[part] @ e[part] / w[part].sum()
            expected = np.sqrt((np.bincount(d["id"], v * left) ** 2).sum())
            assert result.with_vcov(request).std_error == pytest.approx(expected, rel=1e-8)


def test_a_covariate_that_lasts_has_a_slope_in_each_period():
    """The same as its product with the periods: alone it would be in the units' effects, without a word."""
    d = panel()
    for method in ("sunab", "imputation", "did"):
        more = {"event_study": True} if method == "did" else {}
        a, b = (cf.fit(f"{F} + adjust({terms})", d, method, **more) for terms in ("z", "z:factor(t)"))
        np.testing.assert_allclose(a.tidy()["estimate"], b.tidy()["estimate"], rtol=1e-9)
        np.testing.assert_allclose(a.tidy()["std.error"], b.tidy()["std.error"], rtol=1e-7)
        assert "z is the same in all periods of a unit" in str(a) and "is the same in all periods" not in str(b)
        assert abs(a.overall.estimate - cf.fit(F, d, method, **more).overall.estimate) > 1e-3


def test_anticipation_moves_the_reference_and_what_counts_as_untreated():
    d = panel()
    found = cf.fit(F, d, "sunab", anticipation=1).tidy()
    assert -2 not in found["event"].tolist() and -1 in found["event"].tolist()
    early = cf.fit("y ~ did(early, t, unit = id)", d.assign(early=d["g"] - 1), "imputation")
    ahead = cf.fit(F, d, "imputation", anticipation=1)
    np.testing.assert_allclose(
        ahead.aggregate("dynamic").tidy()["estimate"], early.aggregate("dynamic", min_e=1).tidy()["estimate"]
    )


def test_two_periods_are_one_difference():
    d = panel()[lambda d: d["t"].isin([2, 3]) & (d["g"] != 4) & (d["g"] != 5)]
    d = d.assign(b=np.isfinite(d["g"]).astype(int))
    expected = cf.fit("y ~ did(b, t, unit = id)", d)
    for method, more in (("did", {"event_study": True}), ("sunab", {}), ("imputation", {}), ("etwfe", {})):
        fit = cf.fit("y ~ did(b, t, unit = id)", d, method, **more)
        assert fit.overall.estimate == pytest.approx(expected.estimate, rel=1e-9)
        assert fit.overall.std_error == pytest.approx(expected.std_error, rel=0.05)


def test_where_nobody_is_never_treated_the_last_group_is_the_comparison():
    d = panel(starts=(3, 4, 5))
    before = d[d["t"] < 5].assign(g=lambda d: d["g"].replace(5, np.inf))
    for method in ("sunab", "etwfe"):
        a, b = cf.fit(F, d, method), cf.fit(F, before, method)
        np.testing.assert_allclose(a.tidy()["estimate"], b.tidy()["estimate"], rtol=1e-9)
        assert "the comparison is g = 5, the group that is treated last" in str(a)
    fit = cf.fit(F, d, "imputation")
    assert "everybody is treated in t = 5, which takes no part" in str(fit)
    np.testing.assert_allclose(fit.estimate, cf.fit(F, d[d["t"] < 5], "imputation").estimate, rtol=1e-9)


# -- the two-way coefficient ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("starts", [(np.inf, 3, 4, 5), (-1, 2, 4), (2, 3, 5), (np.inf, 0, 1, 4)])
@pytest.mark.parametrize("weights", ["", " + weights(w)"])
def test_comparisons_sum_to_the_coefficient(starts, weights):
    d = panel(3, starts=starts).assign(on=lambda d: (d["t"] >= d["g"]).astype(float))
    found = cf.fit(F + weights, d, "imputation").decompose()
    model = cf.lm("y ~ on | id + t", d, weights="w" if weights else None)
    table = found.to_frame()
    assert (table["weight"] > 0).all() and table["weight"].sum() == pytest.approx(1, abs=1e-12)
    assert found.coefficient == pytest.approx(model.params["on"], rel=1e-9)
    assert table["weight"] @ table["estimate"] == pytest.approx(model.params["on"], rel=1e-9)
    kinds = found.by_type()
    assert kinds["weight"] @ kinds["estimate"] == pytest.approx(model.params["on"], rel=1e-9)


@pytest.mark.parametrize("starts", [(np.inf, 3, 4, 5), (-1, 2, 4)])
def test_comparisons_with_covariates_sum_to_the_coefficient(starts):
    d = panel(3, starts=starts).assign(on=lambda d: (d["t"] >= d["g"]).astype(float))
    found = cf.fit(F + " + adjust(x + z) + weights(w)", d, "imputation").decompose()
    model = cf.lm("y ~ on + x + z:factor(t) | id + t", d, weights="w")
    table, (share, within) = found.to_frame(), found.within
    assert 0 < share < 1 and table["weight"].sum() == pytest.approx(1, abs=1e-12)
    assert found.coefficient == pytest.approx(model.params["on"], rel=1e-8)
    total = share * within + (1 - share) * (table["weight"] @ table["estimate"])
    assert total == pytest.approx(found.coefficient, rel=1e-8)
    assert found.weights()["weight"].sum() == pytest.approx(1)
    assert "of differences within groups by the" in str(found)


def test_a_weight_that_is_zero_is_not_negative():
    d = panel(units=40, starts=(np.inf, 3, 4, 5)).assign(t=lambda d: d["t"] + 1)
    found = cf.fit("y ~ did(I(g + 1), t, unit = id)", d, "sunab").decompose()
    least = found.weights().set_index(["group", "time"]).sort_index()["weight"]
    assert least.loc[4, "6"] == 0 and "0 have a negative weight" in str(found)


def test_the_coefficient_may_be_below_zero_where_all_effects_are_above():
    """Without errors it is the mean of the effects by the weights of cells, some of which are negative."""
    d = panel(starts=(1, 4), units=40)
    d["effect"] = np.where(d["t"] >= d["g"], 1 + 3.0 * (d["t"] - d["g"]) * (d["g"] == 1), 0.0)
    found = cf.fit("y ~ did(g, t, unit = id)", d.assign(y=d["effect"] + d["z"] + d["t"]), "imputation").decompose()
    weights = found.weights()
    effects = d[d["t"] >= d["g"]].groupby(["g", "t"])["effect"].first()
    assert weights["weight"].sum() == pytest.approx(1)
    assert weights["weight"] @ effects.to_numpy() == pytest.approx(found.coefficient)
    assert (d.loc[d["t"] >= d["g"], "effect"] > 0).all() and found.coefficient < 0
    assert weights["negative"].any() and (weights["negative"] == (weights["weight"] < 0)).all()
    assert f"{weights['negative'].sum()} have a negative weight" in str(found)
    assert "already: they\nare differences of effects where effects change over time" in str(found)
