"""``iv(loo(judge))``: leave-one-out means as instruments, against jackknife estimators and slow arithmetic."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import registry


def cases(seed: int = 1, judges: int = 40, each: int = 6, lenient: float = 1.0) -> pd.DataFrame:
    """Cases are drawn to judges within courts; courts differ in their cases, and judges in their leniency."""
    rng = np.random.default_rng(seed)
    judge = np.repeat(np.arange(judges), each)
    n, court = len(judge), judge % 4
    u, x = rng.normal(size=(2, n))
    index = lenient * rng.normal(size=judges)[judge] + u + 0.5 * court + 0.3 * x
    a = (index + rng.normal(size=n) > 0.8).astype(int)
    data = pd.DataFrame({"judge": judge, "court": court, "x": x, "a": a, "q": index, "w": rng.uniform(0.5, 2, n)})
    return data.assign(
        y=1 + 0.5 * a + u + 0.4 * court + 0.2 * x + rng.normal(size=n), arm=np.where(a == 1, "yes", "no")
    )


DATA = cases()
N = len(DATA)


def jackknife_fits(data: pd.DataFrame, treatment: str, weights: np.ndarray | None = None) -> np.ndarray:
    """What each row's first stage on judges' dummies predicts when the row has no part in it, one by one."""
    w = np.ones(len(data)) if weights is None else weights
    dummies, a = pd.get_dummies(data["judge"]).to_numpy(float), data[treatment].to_numpy(float)
    fits = np.empty(len(data))
    for i in range(len(data)):
        rest = np.arange(len(data)) != i
        root = np.sqrt(w[rest])
        fits[i] = dummies[i] @ np.linalg.lstsq(dummies[rest] * root[:, None], a[rest] * root, rcond=None)[0]
    return fits


def test_without_covariates_it_is_jive_with_judges_dummies():
    """Angrist, Imbens and Krueger's (1999) JIVE1: ``(X~'X)^{-1} X~'y``, X~ the first stage's leave-one-out fits."""
    fit = cf.fit("y ~ treat(a) + iv(loo(judge))", DATA)
    a, y, one = DATA["a"].to_numpy(float), DATA["y"].to_numpy(), np.ones(N)
    jive = np.column_stack([one, jackknife_fits(DATA, "a")])
    X = np.column_stack([one, a])
    theta = np.linalg.solve(jive.T @ X, jive.T @ y)
    assert fit.estimate == pytest.approx(theta[1], rel=1e-10)
    # and its variance clustered by judge, by hand
    scores = jive * (y - X @ theta)[:, None]
    sums = np.add.reduceat(scores, np.arange(0, N, 6))
    A = np.linalg.inv(jive.T @ X)
    V = A @ sums.T @ sums @ A.T * 40 / 39
    assert fit.std_error == pytest.approx(np.sqrt(V[1, 1]), rel=1e-10)
    assert fit.std_error == fit.with_vcov("~judge").std_error
    assert "clustered by judge" in str(fit)


def test_weights_weigh_the_other_rows():
    fit = cf.fit("y ~ treat(a) + iv(loo(judge)) + weights(w)", DATA)
    made = DATA.assign(z=jackknife_fits(DATA, "a", DATA["w"].to_numpy()))
    by_hand = cf.fit("y ~ treat(a) + iv(z) + weights(w)", made, vcov="~judge")
    assert fit.estimate == pytest.approx(by_hand.estimate, rel=1e-10)
    assert fit.std_error == pytest.approx(by_hand.std_error, rel=1e-10)


def test_beside_covariates_residuals_are_averaged():
    """Dobbie, Goldin and Yang (2018): residuals first, then the mean of the others'; absorbed effects equal dummies."""
    left = cf.lm("a ~ x + factor(court)", DATA).resid.to_numpy()
    total = DATA.assign(r=left).groupby("judge")["r"].transform("sum").to_numpy()
    made = DATA.assign(z=(total - left) / 5)
    by_hand = cf.fit("y ~ treat(a) + iv(z) + adjust(x) + fe(court)", made, vcov="~judge")
    fit = cf.fit("y ~ treat(a) + iv(loo(judge)) + adjust(x) + fe(court)", DATA)
    dummies = cf.fit("y ~ treat(a) + iv(loo(judge)) + adjust(x + factor(court))", DATA)
    assert fit.estimate == pytest.approx(by_hand.estimate, rel=1e-9)
    assert fit.std_error == pytest.approx(by_hand.std_error, rel=1e-9)
    assert fit.estimate == pytest.approx(dummies.estimate, rel=1e-9)
    np.testing.assert_allclose(fit.augment()["loo(judge)"], made["z"], atol=1e-12)
    np.testing.assert_allclose(fit.diagnostics(), by_hand.diagnostics(), rtol=1e-8)
    np.testing.assert_allclose(fit.anderson_rubin().intervals, by_hand.anderson_rubin().intervals, rtol=1e-8)
    assert "less what is explained by the terms held fixed" in str(fit)


def test_raw_is_the_plain_mean():
    made = DATA.assign(z=jackknife_fits(DATA, "a"))
    fit = cf.fit("y ~ treat(a) + iv(loo(judge, raw = TRUE)) + fe(court)", DATA)
    assert fit.estimate == pytest.approx(cf.fit("y ~ treat(a) + iv(z) + fe(court)", made).estimate, rel=1e-10)
    assert "less what" not in str(fit)
    text = cf.fit("y ~ treat(arm) + iv(loo(judge, raw = TRUE)) + fe(court)", DATA)
    assert text.estimate == pytest.approx(fit.estimate, rel=1e-12)
    assert "share of arm = yes in the other rows of judge" in str(text)


def test_several_levels_and_products():
    """One mean for each level of the treatment; products with other terms are those of the mean."""
    arms = np.array(["a", "b", "c"])[np.digitize(DATA["q"], [0, 1.2])]
    data = DATA.assign(arm=arms, b=(arms == "b") * 1.0, c=(arms == "c") * 1.0)
    made = data.assign(zb=jackknife_fits(data, "b"), zc=jackknife_fits(data, "c"))
    fit = cf.fit("y ~ treat(arm) + iv(loo(judge))", data)
    by_hand = cf.fit("y ~ treat(arm) + iv(zb + zc)", made)
    np.testing.assert_allclose(fit.params, by_hand.params, rtol=1e-8)
    assert list(fit.first_stages["armb"].names) == ["(Intercept)", "loo(judge)b", "loo(judge)c"]
    crossed = cf.fit("y ~ treat(q) + iv(loo(judge, raw = TRUE) + loo(judge, raw = TRUE):x) + modify(x)", DATA)
    made = DATA.assign(z=jackknife_fits(DATA, "q"))
    assert crossed.estimate == pytest.approx(cf.fit("y ~ treat(q) + iv(z + z:x) + modify(x)", made).estimate, rel=1e-9)


@pytest.mark.parametrize("method", ["iv", "liml"])
@pytest.mark.parametrize(
    "formula",
    [
        "y ~ treat(a) + iv(loo(judge))",
        "y ~ treat(q) + iv(loo(judge) + loo(judge):x) + adjust(x) + fe(court) + weights(w)",
        "y ~ treat(q) + iv(loo(judge, raw = TRUE) + loo(judge, raw = TRUE):x) + modify(x)",
    ],
)
def test_the_influence_is_the_derivative_of_refits_that_make_the_instrument_anew(method, formula):
    fit = cf.fit(formula, DATA, method)
    call, psi = fit.call, fit.influence()

    def at(row: int, step: float) -> float:
        w = np.ones(N)
        w[row] += step
        return float(registry.run(call.frame.reweight(w), call.options).estimate.theta[0])

    for row in (3, 77):
        slope = N * (at(row, 1e-3) - at(row, -1e-3)) / 2e-3
        assert psi[row, 0] == pytest.approx(slope, abs=2e-5 * np.abs(psi).max())
    assert abs(psi.mean()) < 1e-9 * np.abs(psi).max()
    with pytest.warns(cf.CausalFormulaWarning, match="share an instrument that is made of them"):
        assert fit.with_vcov("asympt").std_error != pytest.approx(fit.with_vcov("HC0").std_error, rel=1e-4)


@pytest.mark.parametrize("wmatrix", ["robust", "~judge"])
@pytest.mark.parametrize("steps", [2, 3, "iterated", "cue"])
@pytest.mark.parametrize(
    "formula",
    [
        "y ~ treat(q) + iv(loo(judge) + x)",
        "y ~ treat(q) + iv(loo(judge) + loo(judge):x) + adjust(x) + fe(court) + weights(w)",
    ],
)
def test_gmm_moves_with_the_instruments_that_are_made_anew(formula, steps, wmatrix):
    fit = cf.fit(formula, DATA, "gmm", steps=steps, wmatrix=wmatrix)
    call, psi = fit.call, fit.influence()

    def at(row: int, step: float) -> float:
        w = np.ones(N)
        w[row] += step
        return float(registry.run(call.frame.reweight(w), call.options).estimate.theta[0])

    for row in (3, 77):
        slope = N * (at(row, 1e-3) - at(row, -1e-3)) / 2e-3
        assert psi[row, 0] == pytest.approx(slope, abs=2e-5 * np.abs(psi).max())
    assert abs(psi.mean()) < 1e-9 * np.abs(psi).max()


OVER = "y ~ treat(q) + iv(loo(judge) + loo(judge):x) + adjust(x) + fe(court)"
EACH = [("iv", {}), ("liml", {}), ("gmm", {}), ("gmm", {"steps": "cue"})]


@pytest.mark.parametrize(("method", "options"), EACH)
def test_reweighted(method, options):
    """Weights have no unit, a weight of zero is no row, and judges may be counted twice, though not a row alone."""
    fit = cf.fit(OVER, DATA, method, **options)
    twice = DATA["judge"] % 3 == 0
    data = DATA.assign(two=2.0, zero=np.arange(N) % 6 != 5, often=1.0 + twice)
    same = cf.fit(OVER + " + weights(two)", data, method, **options)
    assert (same.estimate, same.std_error) == pytest.approx((fit.estimate, fit.std_error), rel=1e-9)
    one, other = (
        cf.fit(OVER + " + weights(zero)", data, method, **options),
        cf.fit(OVER, data[data["zero"]], method, **options),
    )
    assert (one.estimate, one.std_error) == pytest.approx((other.estimate, other.std_error), rel=1e-9)
    if method != "gmm":  # whose weight matrix has the squares of weights
        again = pd.concat([data, data[twice].assign(judge=data["judge"] + 100)])
        one, other = cf.fit(OVER + " + weights(often)", data, method), cf.fit(OVER, again, method)
        assert one.estimate == pytest.approx(other.estimate, rel=1e-9)


def test_the_weight_matrix_has_the_clusters_of_judges():
    fit, named = cf.fit(OVER, DATA, "gmm"), cf.fit(OVER, DATA, "gmm", wmatrix="~judge")
    assert (fit.estimate, fit.std_error) == (named.estimate, named.std_error)
    assert "(moments clustered by judge)" in str(fit)
    assert "weight matrix has" not in str(fit)
    single = cf.fit("y ~ treat(a) + iv(loo(judge))", DATA, "gmm")
    assert single.estimate == cf.fit("y ~ treat(a) + iv(loo(judge))", DATA).estimate


def test_clustered_by_judge_the_instruments_own_sampling_changes_nothing():
    """Reweighting whole judges leaves every mean as it is, so exact influences sum to the scores' sums by judge."""
    fit = cf.fit("y ~ treat(a) + iv(loo(judge))", DATA, vcov="CR0 ~ judge")
    sums = np.add.reduceat(fit.influence()[:, 0], np.arange(0, N, 6)) / N
    assert fit.std_error == pytest.approx(np.sqrt(sums @ sums), rel=1e-10)


def test_resamples_make_it_anew():
    """A row drawn twice has no other self: its copies leave with it. The jackknife leaves out whole judges."""
    fit = cf.fit("y ~ treat(a) + iv(loo(judge))", DATA)
    w = np.random.default_rng(0).integers(0, 3, N).astype(float)
    again = registry.run(fit.call.frame.reweight(w), fit.call.options)
    others = DATA.assign(w=w, wa=w * DATA["a"])
    sums = others.groupby("judge")[["w", "wa"]].transform("sum")
    z = (sums["wa"] - others["wa"]) / (sums["w"] - others["w"])
    by_hand = cf.fit("y ~ treat(a) + iv(z) + weights(w)", others.assign(z=z)[w > 0])
    assert float(again.estimate.theta[0]) == pytest.approx(by_hand.estimate, rel=1e-10)
    left = np.array([cf.fit("y ~ treat(a) + iv(loo(judge))", DATA[DATA["judge"] != g]).estimate for g in range(40)])
    se = np.sqrt(39 / 40 * np.sum((left - left.mean()) ** 2))
    assert fit.with_vcov("jackknife").std_error == pytest.approx(se, rel=1e-8)
    same = pickle.loads(pickle.dumps(fit)).with_vcov("bootstrap(100, seed = 1)")
    assert same.std_error == fit.with_vcov("bootstrap(100, seed = 1)").std_error


def test_rows_without_others_are_left_out_and_counted():
    """Alone with a judge, alone in a court once those have left, and of a judge whose other case has no weight."""
    data = pd.concat([DATA, DATA.iloc[:5]], ignore_index=True).assign(w=1.0)
    data.loc[[N, N + 1], ["judge", "court"]] = [[90, 70], [91, 70]]  # their court goes with them
    data.loc[[N + 2, N + 3], "judge"] = 92
    data.loc[[N + 2, N + 4], "w"] = 0.0
    data.loc[N + 4, "judge"] = 93
    fit = cf.fit("y ~ treat(a) + iv(loo(judge)) + fe(court) + weights(w)", data)
    plain = cf.fit("y ~ treat(a) + iv(loo(judge)) + fe(court)", DATA)
    assert fit.estimate == pytest.approx(plain.estimate, rel=1e-10)
    assert (fit.call.frame.left_out.alone, fit.call.frame.left_out.idle) == (3, 2)
    assert "(3 rows without another row in the group of loo(judge) were removed)" in str(fit)
    assert "(2 rows of weight zero take no part)" in str(fit)
    gone = DATA.assign(judge=DATA["judge"].astype("float").mask(DATA.index == 7))
    assert "1 observation deleted due to missingness: judge: 1" in str(cf.fit("y ~ treat(a) + iv(loo(judge))", gone))


def test_far_from_zero_and_in_other_units():
    far = DATA.assign(q=DATA["q"] * 1e-3 + 1e6, judge=DATA["judge"].astype(str) + " of the court")
    for more in ("", " + fe(court)", " + adjust(x)"):
        plain = cf.fit("y ~ treat(q) + iv(loo(judge))" + more, DATA)
        assert cf.fit("y ~ treat(q) + iv(loo(judge))" + more, far).estimate == pytest.approx(
            1e3 * plain.estimate, rel=1e-5
        )
