"""``cf.lm``, ``cf.glm`` and ``Model``: what they offer, checked against definitions and against statsmodels."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import CapabilityError, CausalFormulaWarning, DataError, FormulaError, OptionError
from causalformula.inference.generalised import fit_glm
from causalformula.inference.linear import fit_linear

HEART = cf.datasets.load("heart")


def made(n: int = 200, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    f = rng.choice(["a", "b", "c"], n)
    return pd.DataFrame(
        {
            "x": x,
            "z": z,
            "f": f,
            "g": rng.integers(0, 12, n),
            "w": rng.uniform(0.3, 2, n),
            "o": rng.normal(size=n) / 3,
            "y": 1 + x - z + (f == "b") + rng.normal(size=n),
            "b": (rng.uniform(size=n) < 1 / (1 + np.exp(-x))).astype(int),
            "k": rng.poisson(np.exp(0.3 + 0.4 * x)),
            "e": rng.exponential(np.exp(0.5 + 0.2 * x)) + 0.05,
        },
        index=[f"r{i}" for i in range(n)],
    )


DATA = made()
# Without a canonical link R stops some way from the solution.
FAR = {"epsilon": 1e-15, "maxit": 100}
MODELS = {
    "lm": lambda d: cf.lm("y ~ x * f + offset(o)", d, weights="w"),
    "gaussian": lambda d: cf.glm("y ~ x + z", d, weights="w"),
    "logit": lambda d: cf.glm("b ~ x + f", d, family="binomial", offset="o"),
    "probit": lambda d: cf.glm("b ~ x + z", d, family="binomial(link = 'probit')", **FAR),
    "poisson": lambda d: cf.glm("k ~ x + f", d, family="poisson", weights="w"),
    "quasipoisson": lambda d: cf.glm("k ~ x", d, family="quasipoisson"),
    "gamma": lambda d: cf.glm("e ~ x", d, family="Gamma(link = 'log')", weights="w", **FAR),
}
each = pytest.mark.parametrize("name", MODELS)


# -- statsmodels -----------------------------------------------------------------------------------------------------


@each
def test_to_statsmodels(name: str) -> None:
    model = MODELS[name](DATA)
    theirs = model.to_statsmodels()
    assert list(theirs.params.index) == list(model.params.index)
    np.testing.assert_allclose(theirs.params, model.params, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(theirs.bse, model.bse, rtol=1e-3)
    np.testing.assert_allclose(theirs.df_resid, model.df_residual)
    np.testing.assert_allclose(getattr(theirs, "deviance", getattr(theirs, "ssr", None)), model.deviance, rtol=1e-7)


def test_to_statsmodels_of_counts_and_aliased_columns() -> None:
    data = DATA.assign(m=DATA["k"] + 1, twice=2 * DATA["x"], zero=np.where(DATA["z"] > 1, 0.0, DATA["w"]))
    counts = cf.glm("cbind(k, m) ~ x + twice", data, family="binomial")
    theirs = counts.to_statsmodels()
    assert list(theirs.params.index) == ["(Intercept)", "x"]
    np.testing.assert_allclose(theirs.params, counts.params.dropna(), rtol=1e-6)
    np.testing.assert_allclose(theirs.bse, counts.bse.dropna(), rtol=1e-4)
    weighted = cf.lm("y ~ x", data, weights="zero")
    theirs = weighted.to_statsmodels()
    np.testing.assert_allclose(theirs.bse, weighted.bse, rtol=1e-10)
    assert (theirs.nobs, theirs.df_resid) == (weighted.nobs, weighted.df_residual)
    with pytest.raises(CapabilityError, match="statsmodels"):
        cf.glm("k ~ x", data, family="quasi(variance = 'mu', link = 'log')").to_statsmodels()


@pytest.mark.parametrize("vcov", ["HC0", "HC1", "HC2", "HC3", "HC4", "~g", "CR0 ~ g", "asympt"])
@each
def test_to_statsmodels_keeps_the_covariance(name: str, vcov: str) -> None:
    model = MODELS[name](DATA).with_vcov(vcov)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        theirs = model.to_statsmodels()
    np.testing.assert_allclose(theirs.cov_params(), model.cov_params(), rtol=1e-14)
    np.testing.assert_allclose(theirs.bse, model.bse, rtol=1e-14)
    np.testing.assert_allclose(theirs.pvalues, model.pvalues, rtol=1e-4)
    np.testing.assert_allclose(theirs.conf_int(), model.conf_int(), rtol=1e-4, atol=1e-5)
    assert theirs.cov_type == ("cluster" if "g" in vcov else vcov)
    assert f"Standard errors: {model.covariance.label}" in str(theirs.summary()) or not model.regression.linear
    second = theirs.t_test(np.eye(len(model.params))[1])
    np.testing.assert_allclose(second.sd.item(), model.bse.iloc[1], rtol=1e-12)


def test_to_statsmodels_agrees_with_statsmodels_own_covariances_of_a_linear_model() -> None:
    model = cf.lm("y ~ x * f", DATA)
    codes = {"groups": DATA["g"].to_numpy(), "df_correction": False}
    plain = model.to_statsmodels().model
    for vcov, given in [
        *((f"HC{k}", {"cov_type": f"HC{k}"}) for k in range(4)),
        ("~g", {"cov_type": "cluster", "cov_kwds": codes}),
        ("CR0 ~ g", {"cov_type": "cluster", "cov_kwds": codes | {"use_correction": False}}),
    ]:
        theirs, ours = plain.fit(use_t=True, **given), model.with_vcov(vcov).to_statsmodels()
        np.testing.assert_allclose(ours.cov_params(), theirs.cov_params(), rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(ours.pvalues, theirs.pvalues, rtol=1e-9)
        np.testing.assert_allclose(ours.fvalue, theirs.fvalue, rtol=1e-9)


@pytest.mark.parametrize(
    ("vcov", "message"),
    [
        (cf.Bootstrap(60, seed=1), "come from its replicates; .* normal tests"),
        (cf.Wild(99, seed=1), "come from its replicates; .* t tests"),
        ("CR2 ~ g", "degrees of freedom of its own for each coefficient; .* smallest of them"),
    ],
)
def test_to_statsmodels_says_what_it_cannot_carry(vcov: object, message: str) -> None:
    model = cf.lm("y ~ x + z", DATA, vcov=vcov)
    with pytest.warns(CausalFormulaWarning, match=message):
        theirs = model.to_statsmodels()
    np.testing.assert_allclose(theirs.bse, model.bse, rtol=1e-12)


# -- inference -------------------------------------------------------------------------------------------------------


@each
def test_influence_is_the_derivative_in_the_weights(name: str) -> None:
    """psi_i = n w_i d theta / d w_i, by refits at the exact solution; and the mean is zero."""
    model = MODELS[name](DATA)
    fit, n = model.regression, len(DATA)

    def refit(i: int, step: float) -> np.ndarray:
        w = fit.weights.copy()
        w[i] *= 1 + step
        given = {"weights": w, "offset": fit.offset}
        if fit.linear:
            return fit_linear(fit.X, fit.y, fit.names, **given).coef
        return fit_glm(fit.X, fit.y, fit.names, fit.family, to_zero=True, **given).coef

    psi = model.influence()
    size = np.abs(psi).max(axis=0)
    assert (np.abs(psi.mean(axis=0)) <= 1e-4 * size).all()
    for i in (0, 57):
        slope = n * (refit(i, 1e-3) - refit(i, -1e-3)) / 2e-3
        np.testing.assert_allclose(psi[i] / size, slope / size, atol=1e-4)


def test_covariances_by_definition() -> None:
    model = cf.lm("y ~ x + z", DATA)
    X = cf.model_matrix("~ x + z", DATA).to_numpy()
    bread, e = np.linalg.inv(X.T @ X), model.residuals().to_numpy()
    hc0 = bread @ (X.T * e**2) @ X @ bread
    np.testing.assert_allclose(model.with_vcov("HC0").cov_params(), hc0, rtol=1e-10)
    sums = np.array([(X * e[:, None])[DATA["g"] == g].sum(axis=0) for g in range(12)])
    np.testing.assert_allclose(model.with_vcov("CR0 ~ g").vcov(), bread @ sums.T @ sums @ bread, rtol=1e-10)
    given = model.with_vcov(hc0)
    np.testing.assert_allclose(given.bse, model.with_vcov("HC0").bse, rtol=1e-12)
    assert (given.tidy()["df"] == model.df_residual).all()
    assert np.isinf(model.with_vcov(cf.HC("HC0", df=np.inf)).tidy()["df"]).all()
    assert cf.lm("y ~ x + z", DATA, vcov="HC3").bse.equals(model.with_vcov("HC3").bse)


def test_a_given_matrix_may_cover_aliased_coefficients() -> None:
    model = cf.lm("y ~ x + twice + z", DATA.assign(twice=2 * DATA["x"]))
    full = model.with_vcov("HC1").cov_params()
    assert full.loc["twice"].isna().all()
    again = model.with_vcov(full.fillna(0.0).to_numpy())
    pd.testing.assert_series_equal(again.bse, model.with_vcov("HC1").bse)


@pytest.mark.parametrize("name", ["lm", "logit", "poisson"])
def test_bootstrap(name: str) -> None:
    """Replicates are refits under the drawn frequencies, whatever evaluates them."""
    model = MODELS[name](DATA)
    booted = model.with_vcov(cf.Bootstrap(reps=200, seed=11))
    again = model.with_vcov(cf.Bootstrap(reps=200, seed=11))
    np.testing.assert_array_equal(booted.cov_params(), again.cov_params())
    np.testing.assert_allclose(booted.bse, model.with_vcov("HC1").bse, rtol=0.35)
    draws = booted.covariance.draws
    np.testing.assert_allclose(booted.bse, draws.std(axis=0, ddof=1))
    from causalformula.inference.resampling.resample import Plan

    child = np.random.SeedSequence(11).spawn(200)[0]
    counts = Plan(len(DATA)).weights(child).astype(int)
    rows = np.repeat(np.arange(len(DATA)), counts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        refit = MODELS[name](DATA.iloc[rows].reset_index(drop=True))
    np.testing.assert_allclose(draws[0], refit.params, rtol=1e-4, atol=1e-5)
    clustered = model.with_vcov(cf.Bootstrap(reps=50, seed=1, cluster="g"))
    assert "clusters of g" in str(clustered.summary())


def test_hypotheses() -> None:
    model = cf.lm("y ~ x + z + f", DATA)
    both = model.hypothesis(["x = 1", "b4 = b5"])
    V = model.cov_params().to_numpy()
    R = np.array([[0, 1, 0, 0, 0], [0, 0, 0, 1, -1.0]])
    gap = R @ model.params.to_numpy() - [1, 0]
    np.testing.assert_allclose(both.tidy()["estimate"], gap)
    np.testing.assert_allclose(both.tidy()["std.error"], np.sqrt(np.diag(R @ V @ R.T)))
    np.testing.assert_allclose(both.test.statistic, gap @ np.linalg.solve(R @ V @ R.T, gap) / 2)
    assert both.test.df == (2, model.df_residual)
    assert "hypothesis" in str(both)
    ratio = cf.glm("b ~ x + z", DATA, family="binomial").hypothesis("exp(x) = 1")
    np.testing.assert_allclose(ratio.estimate[0], np.exp(cf.glm("b ~ x + z", DATA, family="binomial").params["x"]) - 1)
    assert isinstance(ratio.test.df, float)
    with pytest.raises(FormulaError, match="unknown estimate"):
        model.hypothesis("xx = 0")
    aliased = cf.lm("y ~ x + twice + z", DATA.assign(twice=2 * DATA["x"]))
    np.testing.assert_allclose(aliased.hypothesis("b4 = 0").estimate, aliased.params["z"])
    with pytest.raises(OptionError, match="aliased"):
        aliased.hypothesis("twice = 0")


def test_profile_limits_solve_their_equation() -> None:
    """Twice the fall of the log-likelihood at a limit is the chi-squared quantile."""
    model = cf.glm("k ~ x + z", DATA, family="poisson", epsilon=1e-14)
    limits = model.confint(method="profile")
    for value in limits.loc["x"]:
        there = cf.glm("k ~ z", DATA.assign(at=value * DATA["x"]), family="poisson", offset="at", epsilon=1e-14)
        assert there.deviance - model.deviance == pytest.approx(3.841458820694124, rel=1e-8)
    pd.testing.assert_frame_equal(cf.lm("y ~ x", DATA).confint(method="profile"), cf.lm("y ~ x", DATA).confint())
    with pytest.raises(OptionError, match="wald"):
        model.confint(method="exact")


def test_profile_limit_that_does_not_exist_is_missing() -> None:
    data = pd.DataFrame({"y": [0, 0, 1, 1, 0, 1, 1, 1], "x": [0, 0, 0, 0, 0, 1, 1, 1]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        limits = cf.glm("y ~ x", data, family="binomial").confint(method="profile")
    assert np.isnan(limits.loc["x", "97.5 %"])


# -- rows ------------------------------------------------------------------------------------------------------------


def test_row_labels_and_missing_rows() -> None:
    data = DATA.copy()
    data.loc["r3", "x"] = np.nan
    data.loc[["r3", "r8"], "y"] = np.nan
    model = cf.lm("y ~ x + f", data)
    assert (model.dropped, model.missing_by) == (2, {"y": 2, "x": 1})
    assert "r3" not in model.fitted.index and "r4" in model.fitted.index
    assert model.residuals().index.equals(model.hatvalues().index)
    assert "(2 observations deleted due to missingness)" in str(model.summary())
    assert "(2 observations deleted due to missingness)" in str(model.with_vcov("HC1").summary())
    with pytest.raises(DataError, match=r"missing values in y \(2\), x \(1\)"):
        cf.lm("y ~ x + f", data, na_action="fail")
    by_weight = cf.lm("y ~ z", DATA.assign(w=DATA["w"].where(DATA["w"] > 0.4)), weights="w")
    assert by_weight.missing_by == {"w": int((DATA["w"] <= 0.4).sum())}
    clustered = cf.lm("y ~ z", DATA.assign(c=DATA["g"].where(DATA["g"] > 0)), vcov="~c")
    assert clustered.dropped == (DATA["g"] == 0).sum()


def test_augment_and_glance() -> None:
    model = cf.lm("y ~ x + f", DATA, weights="w")
    rows = model.augment()
    assert list(rows.columns)[-7:] == [".fitted", ".resid", ".hat", ".sigma", ".cooksd", ".std.resid", ".weights"]
    np.testing.assert_allclose(rows[".fitted"] + rows[".resid"], DATA["y"])
    without = cf.lm("y ~ x + f", DATA.drop("r5"), weights="w")
    assert rows.loc["r5", ".sigma"] == pytest.approx(without.sigma, rel=1e-10)
    shift = (without.params - model.params).to_numpy()
    moved = shift @ np.linalg.inv(model.cov_params()) @ shift / model.rank
    assert rows.loc["r5", ".cooksd"] == pytest.approx(moved, rel=1e-9)
    glance = model.glance().iloc[0]
    assert list(model.glance().columns) == [
        "r.squared", "adj.r.squared", "sigma", "statistic", "p.value", "df", "logLik", "AIC", "BIC", "deviance",
        "df.residual", "nobs", "vcov",
    ]  # fmt: skip
    assert glance["statistic"] == pytest.approx(model.fstatistic[0])
    assert list(cf.glm("b ~ x", DATA, family="binomial").glance().columns) == [
        "null.deviance", "df.null", "logLik", "AIC", "BIC", "deviance", "df.residual", "nobs", "vcov",
    ]  # fmt: skip
    assert "x" in DATA and ".fitted" not in DATA


def test_unknown_types_are_refused() -> None:
    model = cf.lm("y ~ x", DATA)
    with pytest.raises(OptionError, match="did you mean 'pearson'"):
        model.residuals("pearsons")
    with pytest.raises(OptionError, match="link, response"):
        model.predict(type="terms")
    with pytest.raises(OptionError, match="confidence, prediction"):
        model.predict(interval="conf")
    with pytest.raises(CapabilityError, match="prediction intervals"):
        cf.glm("b ~ x", DATA, family="binomial").predict(interval="prediction")


# -- predictions -----------------------------------------------------------------------------------------------------


@each
def test_predictions_of_the_same_rows(name: str) -> None:
    """The recipe gives new data what it gave the old; limits of a mean stay inside its range."""
    model = MODELS[name](DATA)
    for kind in ("link", "response"):
        here = model.predict(type=kind, se_fit=True, interval="confidence")
        there = model.predict(DATA, type=kind, se_fit=True, interval="confidence")
        pd.testing.assert_frame_equal(here, there, rtol=1e-9)
        assert ((here["lwr"] <= here["fit"]) & (here["fit"] <= here["upr"])).all()
    np.testing.assert_allclose(model.predict(type="response"), model.fitted)
    limits = model.predict(type="response", interval="confidence")
    if model.regression.family.name == "binomial":
        assert limits.to_numpy().min() > 0 and limits.to_numpy().max() < 1


def test_predictions_use_the_covariance() -> None:
    model = cf.lm("y ~ x", DATA)
    X = cf.model_matrix("~ x", DATA).to_numpy()
    robust = model.with_vcov("HC3")
    expected = np.sqrt(np.einsum("ij,jk,ik->i", X, robust.cov_params(), X))
    np.testing.assert_allclose(robust.predict(se_fit=True)["se.fit"], expected)


def test_predictions_for_new_data() -> None:
    model = cf.lm("y ~ poly(x, 2) + f", DATA)
    with pytest.raises(DataError, match="'d'"):
        model.predict(pd.DataFrame({"x": [0.0], "f": ["d"]}))
    with pytest.raises(FormulaError, match="unknown column 'f'"):
        model.predict(pd.DataFrame({"x": [0.0]}))
    found = model.predict(pd.DataFrame({"x": [0.0, np.nan], "f": ["a", "b"]}, index=["p", "q"]))
    assert list(found.index) == ["p", "q"] and np.isnan(found["q"]) and not np.isnan(found["p"])
    aliased = cf.lm("y ~ x + twice", DATA.assign(twice=2 * DATA["x"]))
    with pytest.warns(CausalFormulaWarning, match="1 of 2 predictions"):
        aliased.predict(pd.DataFrame({"x": [1.0, 1.0], "twice": [2.0, 5.0]}))
    with pytest.warns(CausalFormulaWarning, match="weight one"):
        cf.lm("y ~ x", DATA, weights="w").predict(interval="prediction")


def test_offsets_add_up() -> None:
    inside = cf.lm("y ~ x + offset(o) + offset(z)", DATA)
    beside = cf.lm("y ~ x + offset(o)", DATA, offset="z")
    np.testing.assert_allclose(inside.params, beside.params, rtol=1e-12)
    new = DATA.head(4)
    np.testing.assert_allclose(inside.predict(new), beside.predict(new))
    by_hand = cf.lm("I(y - o - z) ~ x", DATA)
    np.testing.assert_allclose(inside.params, by_hand.params, rtol=1e-12)


# -- the formula and its data ----------------------------------------------------------------------------------------


def test_binomial_outcomes_say_the_same() -> None:
    data = DATA.assign(
        logical=DATA["b"] == 1,
        text=np.where(DATA["b"] == 1, "yes", "no"),
        category=pd.Categorical(np.where(DATA["b"] == 1, "ill", "well"), categories=["never", "well", "ill"]),
        failures=1 - DATA["b"],
    )
    base = cf.glm("b ~ x", data, family="binomial").params
    for left in ("logical", "text", "category", "cbind(b, failures)", "b == 1", "factor(b)"):
        np.testing.assert_allclose(cf.glm(f"{left} ~ x", data, family="binomial").params, base, rtol=1e-12)
    three = cf.glm("f ~ x", data.assign(f=DATA["f"].where(DATA["f"] != "c", "b")), family="binomial")
    assert three.nobs == len(DATA)


def test_dot_subset_and_contrasts() -> None:
    few = DATA[["y", "x", "f"]]
    assert list(cf.lm("y ~ .", few).params.index) == ["(Intercept)", "x", "fb", "fc"]
    by_text = cf.lm("y ~ x", DATA, subset="f != 'c' & x > 0")
    by_mask = cf.lm("y ~ x", DATA, subset=((DATA["f"] != "c") & (DATA["x"] > 0)).to_numpy())
    np.testing.assert_allclose(by_text.params, by_mask.params)
    summed = cf.lm("y ~ f", DATA, contrasts={"f": "contr.sum"})
    assert list(summed.params.index) == ["(Intercept)", "f1", "f2"]
    # a level that the subset leaves out has no column
    assert list(cf.lm("y ~ f", DATA, subset="f != 'b'").params.index) == ["(Intercept)", "fc"]
    halves = cf.lm("y ~ half(x)", DATA, env={"half": lambda v: v / 2})
    np.testing.assert_allclose(halves.params["half(x)"], 2 * cf.lm("y ~ x", DATA).params["x"])


def test_inputs_are_not_changed() -> None:
    before = DATA.copy(deep=True)
    model = cf.lm("y ~ x + f", DATA, weights="w", vcov="~g")
    model.augment()
    model.predict(DATA)
    pd.testing.assert_frame_equal(DATA, before)


@each
def test_pickles(name: str) -> None:
    model = MODELS[name](DATA)
    again = pickle.loads(pickle.dumps(model))
    assert str(again.summary()) == str(model.summary())
    pd.testing.assert_series_equal(again.predict(DATA.head(3)), model.predict(DATA.head(3)))
    pd.testing.assert_series_equal(again.with_vcov("~g").bse, model.with_vcov("~g").bse)


def test_pickles_without_functions_that_do_not() -> None:
    model = cf.lm("y ~ half(x)", DATA, env={"half": lambda v: v / 2})
    again = pickle.loads(pickle.dumps(model))
    pd.testing.assert_series_equal(again.params, model.params)
    with pytest.raises(FormulaError, match="half"):
        again.predict(DATA)


MISTAKES = [
    (lambda: cf.lm("y ~ xx", DATA), FormulaError, "unknown column 'xx'; did you mean 'x'"),
    (lambda: cf.lm("~ x", DATA), FormulaError, "no outcome"),
    (lambda: cf.lm("y ~ treat(x)", DATA), FormulaError, "causal role"),
    (lambda: cf.lm("y + x", DATA), FormulaError, "no `~`"),
    (lambda: cf.lm("f ~ x", DATA), OptionError, "family='binomial'"),
    (lambda: cf.lm("cbind(y, x) ~ z", DATA), DataError, "2 columns"),
    (lambda: cf.lm("y ~ x", DATA, weights=DATA["w"]), OptionError, "name of a column"),
    (lambda: cf.lm("y ~ x", DATA, weights="ww"), FormulaError, "unknown column 'ww'"),
    (lambda: cf.lm("y ~ x", DATA, weights="f"), DataError, "weights(f) must be numbers"),
    (lambda: cf.lm("y ~ x", DATA, weights="mean(w)"), OptionError, "1 value"),
    (lambda: cf.lm("y ~ x", DATA, weights="-w"), DataError, "below zero"),
    (lambda: cf.lm("y ~ x", DATA, weights="0 * w"), DataError, "all zero"),
    (lambda: cf.lm("y ~ log(0 * g)", DATA), DataError, "infinite"),
    (lambda: cf.lm("y ~ x", DATA, na_action="drop"), OptionError, "omit, fail"),
    (lambda: cf.lm("y ~ x", DATA, subset="x"), OptionError, "not a condition"),
    (lambda: cf.lm("y ~ x", DATA, subset="x > 99"), DataError, "subset leaves no row"),
    (lambda: cf.lm("y ~ x", DATA.iloc[:0]), DataError, "no rows"),
    (lambda: cf.lm("y ~ x", DATA, vcov="HC9"), OptionError, "unknown covariance"),
    (lambda: cf.lm("y ~ x", DATA, vcov="~nowhere"), OptionError, "no column 'nowhere'"),
    (lambda: cf.lm("y ~ x", DATA, contrasts={"q": "contr.sum"}), OptionError, "no factor"),
    (lambda: cf.glm("b ~ x", DATA, family="binomal"), OptionError, "did you mean 'binomial'"),
    (lambda: cf.glm("f ~ x", DATA, family="binomial"), DataError, "more than two levels"),
    (lambda: cf.glm("y ~ x", DATA, family="binomial"), DataError, "between 0 and 1"),
    (lambda: cf.glm("y ~ x", DATA, family="poisson"), DataError, "negative values"),
    (lambda: cf.glm("cbind(b, k, g) ~ x", DATA, family="binomial"), DataError, "3 columns"),
    (lambda: cf.glm("cbind(b, y) ~ x", DATA, family="binomial"), DataError, "below zero"),
    (lambda: cf.lm("y ~ x", DATA).confint(95), OptionError, "did you mean 0.95"),
]  # fmt: skip


@pytest.mark.parametrize("mistake", range(len(MISTAKES)), ids=[m[2] for m in MISTAKES])
def test_mistakes_are_named(mistake: int) -> None:
    call, kind, words = MISTAKES[mistake]
    with pytest.raises(kind) as caught:
        call()
    assert words in str(caught.value)


# -- warnings --------------------------------------------------------------------------------------------------------


def test_separation_and_non_convergence_are_warned_of_and_recorded() -> None:
    apart = pd.DataFrame({"y": [0, 0, 0, 1, 1, 1], "x": [1.0, 2, 3, 4, 5, 6]})
    with pytest.warns(CausalFormulaWarning, match="fitted probabilities numerically 0 or 1 occurred"):
        model = cf.glm("y ~ x", apart, family="binomial")
    assert "glm.fit: fitted probabilities numerically 0 or 1 occurred" in model.notes
    with pytest.warns(CausalFormulaWarning, match="did not converge"):
        short = cf.glm("k ~ x", DATA, family="poisson", maxit=2)
    assert not short.converged and short.iterations == 2
    with pytest.warns(CausalFormulaWarning, match="perfect fit"):
        cf.lm("I(2 * x + 1) ~ x", DATA).summary()


def test_start_is_used() -> None:
    plain = cf.glm("k ~ x", DATA, family="poisson")
    near = cf.glm("k ~ x", DATA, family="poisson", start=plain.params.to_numpy())
    assert near.iterations < plain.iterations
    np.testing.assert_allclose(near.params, plain.params, rtol=1e-6)


# -- print -----------------------------------------------------------------------------------------------------------


def test_calls_can_be_typed_again() -> None:
    assert 'cf.lm("y ~ x", weights="w", subset="x > 0")' in str(cf.lm("y ~ x", DATA, weights="w", subset="x > 0"))
    assert 'cf.glm("b ~ x", family="binomial")' in str(cf.glm("b ~ x", DATA, family="binomial"))
    probit = cf.glm("b ~ x", DATA, family="binomial(link = 'probit')")
    assert "family='binomial(link = \"probit\")'" in str(probit)


def test_summary_has_parts_for_documents() -> None:
    summary = cf.lm("y ~ x + f", DATA).summary()
    assert "<table>" in summary.as_html() and "Residual standard error" in summary.as_html()
    assert r"\begin{tabular}" in summary.as_latex()
    assert summary.as_text() == str(summary)
    with_limits = str(cf.lm("y ~ x + f", DATA).summary(level=0.9))
    assert with_limits.startswith(str(summary)) and "5 %" in with_limits
    robust = str(cf.lm("y ~ x", DATA, vcov="HC3").summary())
    assert "t test of coefficients:" in robust and "Standard errors: HC3" in robust
    assert "<table>" in cf.lm("y ~ x", DATA)._repr_html_()


def test_models_of_a_causal_fit() -> None:
    fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", HEART)
    plain = cf.lm("Severity ~ Drug + I.H", HEART)
    assert str(fit.outcome.summary()).split("Residuals:")[1] == str(plain.summary()).split("Residuals:")[1]
    assert "lm(Severity ~ Drug + I.H)" in str(fit.outcome)
    np.testing.assert_allclose(fit.outcome.predict(HEART.head()), plain.predict(HEART.head()))
    pd.testing.assert_frame_equal(fit.outcome.tidy(), plain.tidy())
    logit = cf.fit("I(Severity > 50) ~ treat(Drug) + adjust(I.H)", HEART, family="binomial")
    assert "glm(I(Severity > 50) ~ Drug + I.H, family = binomial)" in str(logit.outcome.summary())
    assert pickle.loads(pickle.dumps(fit)).outcome.nobs == 1000


# -- edge cases ------------------------------------------------------------------------------------------------------


def test_as_many_coefficients_as_rows() -> None:
    data = pd.DataFrame({"y": [1.0, 2, 4], "f": ["a", "b", "c"]})
    model = cf.lm("y ~ f", data)
    assert model.df_residual == 0 and model.bse.isna().all()
    assert "ALL 3 residuals are 0: no residual degrees of freedom!" in str(model.summary())
    more = cf.lm("y ~ x + I(x^2) + I(x^3) + I(x^4)", pd.DataFrame({"y": [1.0, 3, 2], "x": [1.0, 2, 3]}))
    assert more.rank == 3 and more.params.isna().sum() == 2


def test_no_coefficients() -> None:
    model = cf.lm("y ~ 0", DATA)
    assert model.rank == 0 and len(model.params) == 0 and model.fstatistic is None
    assert "No Coefficients" in str(model.summary())
    assert model.predict(DATA.head(2)).tolist() == [0.0, 0.0]
