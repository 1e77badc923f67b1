"""What is used together with the package reads it rightly; each test skips where its neighbour is not installed."""

from __future__ import annotations

import sys
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.results.models import marginaleffects as adapter


@pytest.fixture(scope="module")
def heart() -> pd.DataFrame:
    heart = cf.datasets.load("heart").rename(columns={"I.H": "ill"})
    return heart.assign(severe=(heart["Severity"] > 52).astype(int), g=np.arange(len(heart)) % 20)


@pytest.fixture(scope="module")
def models(heart):
    return {
        "lm": cf.lm("Severity ~ Drug + ill", heart),
        "weighted": cf.lm("Severity ~ Drug + ill - 1", heart, weights="g"),
        "glm": cf.glm("severe ~ Drug + ill", heart, family="binomial"),
    }


# -- statsmodels' names --------------------------------------------------------------------------------------------

NAMES = ("llf", "df_resid", "df_model", "nobs", "cov_type", "endog_names")


@pytest.mark.parametrize("name", ["lm", "weighted", "glm"])
def test_statsmodels_names(models, name):
    ours, theirs = models[name], models[name].to_statsmodels()
    for what in NAMES:
        value, expected = getattr(ours, what), getattr(theirs, what, getattr(theirs.model, what, None))
        assert value == (expected if isinstance(expected, str) else pytest.approx(expected)), what
    assert ours.exog_names == list(theirs.model.exog_names)
    np.testing.assert_allclose(ours.fittedvalues[theirs.fittedvalues.index], theirs.fittedvalues, rtol=1e-7)
    if name == "glm":
        assert np.isnan(ours.rsquared) and np.isnan(ours.rsquared_adj)
        return
    np.testing.assert_allclose(ours.resid[theirs.resid.index], theirs.resid, rtol=1e-7, atol=1e-9)
    assert ours.rsquared == pytest.approx(theirs.rsquared)
    assert ours.rsquared_adj == pytest.approx(theirs.rsquared_adj)


@pytest.mark.parametrize(("vcov", "word"), [("HC3", "HC3"), ("~g", "cluster"), ("classical", "nonrobust")])
def test_kinds_of_covariance(models, vcov, word):
    model = models["lm"].with_vcov(vcov)
    assert model.cov_type == word == model.to_statsmodels().cov_type == model.hypothesis("b1 = 0").cov_type


def test_names_of_a_result(heart):
    fit = cf.fit("Severity ~ treat(Drug) + ill", heart, vcov="~g")
    assert (fit.endog_names, fit.exog_names, fit.cov_type) == ("Severity", ["Drug 1 - 0"], "cluster")


# -- snake case ----------------------------------------------------------------------------------------------------


def test_snake_case(heart, models):
    fit = cf.fit("Severity ~ treat(Drug) + modify(`I.H`)", heart.rename(columns={"ill": "I.H"}))
    for thing in (fit, models["lm"], models["lm"].hypothesis("b1 = 0"), models["lm"].hypothesis("b1 <= 0")):
        broom, snake = thing.tidy(), thing.tidy(names="snake")
        assert [name.replace(".", "_") for name in broom.columns] == list(snake.columns)
        pd.testing.assert_frame_equal(broom, snake.set_axis(broom.columns, axis=1))
    groups = fit.by("I.H").tidy(names="snake")
    assert "I.H" in groups.columns and "std_error" in groups.columns  # a column of the data keeps its name
    assert list(models["lm"].glance("snake").columns[:2]) == ["r_squared", "adj_r_squared"]
    assert {"log_lik", "aic", "bic"} <= set(fit.glance(names="snake").columns)
    assert "nobs" in cf.stack([fit, fit]).glance("snake").columns
    with pytest.raises(cf.OptionError, match="unknown names 'camel'"):
        fit.tidy(names="camel")


def test_altair_draws_every_row(models):
    alt = pytest.importorskip("altair", reason="altair is not installed")
    chart = alt.Chart(models["lm"].tidy(names="snake")).mark_point().encode(x="std_error:Q", y="term:N")
    (rows,) = chart.to_dict()["datasets"].values()
    assert [row["std_error"] for row in rows] == list(models["lm"].bse)


# -- tables --------------------------------------------------------------------------------------------------------


def cells(table: cf.table, row: str) -> list[str]:
    """A row of a table, a text a column."""
    frame = table.to_frame()
    return frame[frame["term"] == row].iloc[0, 3:].tolist()


def test_tables_beside_statsmodels(heart, models):
    api = pytest.importorskip("statsmodels.formula.api")
    sm = pytest.importorskip("statsmodels.api")
    named = api.ols("Severity ~ Drug + ill", heart).fit()
    bare = sm.OLS(heart["Severity"].to_numpy(), sm.add_constant(heart[["Drug", "ill"]]).to_numpy()).fit(cov_type="HC3")
    table = cf.table({"ours": models["lm"], "theirs": named})
    for row in ("(Intercept)", "Drug", "ill", "Num.Obs.", "R2", "R2 Adj.", "AIC", "BIC", "Log.Lik.", "Std.Errors"):
        one, other = cells(table, row)
        assert one == other != ""
    assert cells(cf.table([bare], rename={"x1": "Drug"}), "Std.Errors") == ["HC3"]
    logit = api.glm("severe ~ Drug + ill", heart, family=sm.families.Binomial()).fit()
    table = cf.table([models["glm"], logit, api.logit("severe ~ Drug + ill", heart).fit(disp=0)], statistic="conf.int")
    for row in ("Drug", "AIC", "BIC", "Log.Lik."):
        assert len(set(cells(table, row))) == 1


@pytest.mark.parametrize(
    ("make", "label", "likelihood"),
    [
        (lambda api, d: api.rlm("Severity ~ Drug + ill", d).fit(cov="H2"), ["Huber's H2"], False),
        (lambda api, d: api.quantreg("Severity ~ Drug + ill", d).fit(), ["Kernel density"], False),
        (lambda api, d: api.gee("Severity ~ Drug + ill", "g", d).fit(), ["Clustered"], False),
        (lambda api, d: api.gee("Severity ~ Drug + ill", "g", d).fit(cov_type="naive"), ["Classical"], False),
        (lambda api, d: api.negativebinomial("many ~ Drug + ill", d).fit(disp=0), ["Classical"], True),
    ],
)
def test_other_fits_of_statsmodels(heart, make, label, likelihood):
    api = pytest.importorskip("statsmodels.formula.api")
    fit = make(api, heart.assign(many=np.arange(len(heart)) ** 2 % 7))
    table = cf.table([fit], statistic="std.error")
    assert cells(table, "Std.Errors") == label
    assert cells(table, "Drug")[0].startswith(f"{fit.params['Drug']:.3f}")
    frame = table.to_frame()
    assert ("AIC" in set(frame["term"])) is likelihood
    if likelihood:
        assert float(cells(table, "AIC")[0]) == pytest.approx(fit.aic, abs=0.06)


@pytest.mark.parametrize(
    ("groups", "label"),
    [
        (lambda d: d["g"], "Clustered by g"),
        (lambda d: d[["g", "h"]], "Clustered by g and h"),
        (lambda d: d["g"].to_numpy(), "Clustered"),
    ],
)
def test_clusters_of_statsmodels_are_named_as_ours(heart, groups, label):
    api = pytest.importorskip("statsmodels.formula.api")
    data = heart.assign(h=np.arange(len(heart)) // 100)
    fit = api.ols("Severity ~ Drug + ill", data)
    try:
        fit = fit.fit(cov_type="cluster", cov_kwds={"groups": groups(data)})
    except KeyError:
        pytest.skip("this statsmodels takes one grouping, or an array")
    assert cells(cf.table([fit]), "Std.Errors") == [label]


@pytest.mark.parametrize(("grouped", "label"), [(False, "Classical"), (True, "Clustered")])
def test_standard_errors_of_a_hazards_model(heart, grouped, label):
    api = pytest.importorskip("statsmodels.formula.api")
    model = api.phreg("Severity ~ Drug + ill", heart[heart["Severity"] > 0])
    fit = model.fit(groups=heart.loc[heart["Severity"] > 0, "g"].to_numpy()) if grouped else model.fit()
    assert cells(cf.table([fit]), "Std.Errors") == [label]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reml", [True, False])
def test_fixed_effects_of_a_mixed_model(heart, reml):
    api = pytest.importorskip("statsmodels.formula.api")
    fit = api.mixedlm("Severity ~ Drug + ill", heart, groups=heart["g"]).fit(reml=reml)
    frame = cf.table([fit]).to_frame()
    assert list(dict.fromkeys(frame["term"]))[:4] == ["(Intercept)", "Drug", "ill", "Num.Obs."]
    assert cells(cf.table([fit]), "Std.Errors") == ["Classical"]
    assert ("Log.Lik." in set(frame["term"])) is not reml  # REML has no likelihood of the data


def test_several_equations_are_no_column(heart):
    api = pytest.importorskip("statsmodels.formula.api")
    fit = api.mnlogit("arm ~ ill", heart.assign(arm=heart["g"] % 3)).fit(disp=0)
    with pytest.raises(cf.OptionError, match="statsmodels' MNLogit has 2 equations"):
        cf.table([fit])


def several_of_pyfixest(count):
    """A multiple fit as pyfixest's, which is not installed everywhere."""
    kind = type("FixestMulti", (), {"to_list": lambda self: [None] * count, "tidy": lambda self: None})
    kind.__module__ = "pyfixest.estimation.FixestMulti_"
    return kind()


@pytest.mark.parametrize("given", [lambda m: m, lambda m: [m], lambda m: {"a": m}])
def test_a_multiple_fit_is_no_column(given):
    with pytest.raises(cf.OptionError, match=r"FixestMulti of pyfixest is 2 fits.*cf\.table\(fit\.to_list\(\)\)"):
        cf.table(given(several_of_pyfixest(2)))


def test_the_fits_of_a_multiple_fit_are_columns(heart):
    pyfixest = pytest.importorskip("pyfixest", reason="pyfixest is not installed")
    several = pyfixest.feols("Severity ~ sw(Drug, ill)", heart)
    with pytest.raises(cf.OptionError, match="is 2 fits"):
        cf.table([several])
    assert len(cells(cf.table(several.to_list()), "Num.Obs.")) == 2


def test_tables_beside_pyfixest(heart, models):
    pf = pytest.importorskip("pyfixest", reason="pyfixest is not installed")
    table = cf.table([models["lm"], pf.feols("Severity ~ Drug + ill", heart)], level=0.9, statistic="conf.int")
    for row in ("(Intercept)", "Drug", "Num.Obs.", "R2", "Std.Errors"):
        one, other = cells(table, row)
        assert one == other != ""
    absorbed = pf.feols("Severity ~ Drug + ill | g", heart, vcov={"CRV1": "g"})
    assert cells(cf.table([absorbed]), "Std.Errors") == ["Clustered by g"]


def test_maketables(heart, models):
    maketables = pytest.importorskip("maketables", reason="maketables is not installed")
    reader = maketables.extractors.get_extractor(models["lm"])
    theirs = models["lm"].to_statsmodels()
    for key, value in {"N": 1000, "r2": theirs.rsquared, "adj_r2": theirs.rsquared_adj, "ll": theirs.llf}.items():
        assert reader.stat(models["lm"], key) == pytest.approx(value)
    assert reader.stat(models["lm"], "se_type") == "nonrobust" and reader.depvar(models["lm"]) == "Severity"
    table = reader.coef_table(models["lm"])
    np.testing.assert_allclose(table["ci95l"], theirs.conf_int()[0])
    fit = cf.fit("Severity ~ treat(Drug) + ill", heart)
    text = maketables.ETable([models["lm"], fit], type="df").df.to_string()
    assert text.count("-9.888") == 2 and "Severity" in text


# -- marginaleffects -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def me(heart):
    found = pytest.importorskip("marginaleffects", reason="marginaleffects is not installed")
    api = pytest.importorskip("statsmodels.formula.api")
    try:
        found.avg_comparisons(api.ols("Severity ~ Drug + ill", heart).fit(), variables="Drug")
    except Exception as error:  # of versions that do not go together, whatever it is
        polars = version("polars")
        pytest.skip(f"marginaleffects {version('marginaleffects')} does not run beside polars {polars}: {error}")
    return found


def number(frame, name: str) -> float:
    return frame[name].to_list()[0]


@pytest.mark.parametrize(
    ("right", "causal", "options"),
    [
        ("Drug * ill", "treat(Drug) + modify(ill)", {}),
        ("Drug + poly(ill, 2) + factor(g)", "treat(Drug) + poly(ill, 2) + factor(g)", {"vcov": "HC3"}),
    ],
)
def test_comparisons_of_a_linear_model(me, heart, right, causal, options):
    model = cf.lm(f"Severity ~ {right}", heart, **options)
    theirs = me.avg_comparisons(model.to_marginaleffects(), variables="Drug")
    ours = cf.fit(f"Severity ~ {causal}", heart, **options)
    assert number(theirs, "estimate") == pytest.approx(ours.estimate, rel=1e-8)
    assert number(theirs, "std_error") == pytest.approx(ours.std_error, rel=1e-6)


def test_comparisons_of_a_generalised_model(me, heart):
    data = heart.assign(o=0.1 * heart["g"])
    model = cf.glm("severe ~ Drug + ill", data, family="binomial", offset="o")
    ours = cf.fit("severe ~ treat(Drug) + ill + offset(o)", data, family="binomial", vcov="~g")
    theirs = me.avg_comparisons(model.to_marginaleffects(), variables="Drug", vcov="~g")
    assert number(theirs, "estimate") == pytest.approx(ours.estimate, rel=1e-6)
    assert number(theirs, "std_error") == pytest.approx(ours.std_error, rel=1e-4)
    means = me.avg_predictions(model.to_marginaleffects(), variables={"Drug": [0, 1]}, by="Drug")
    np.testing.assert_allclose(
        sorted(means["estimate"].to_list(), reverse=True), sorted(ours.means().params, reverse=True), rtol=1e-6
    )


def test_without_a_formula_or_the_package(heart, monkeypatch):
    monkeypatch.setitem(sys.modules, "marginaleffects.classes", None)
    with pytest.raises(cf.CapabilityError, match=r"install causalformula\[marginaleffects\]|not installed"):
        cf.lm("Severity ~ Drug", heart).to_marginaleffects()


def test_a_polars_that_marginaleffects_does_not_know_is_named(heart, monkeypatch):
    polars = pytest.importorskip("polars", reason="polars is not installed")

    class Abstract:
        def __init__(self, *given):
            raise polars.exceptions.InvalidOperationError("'is_in' cannot check for Float64\nHint: cast")

    classes = SimpleNamespace(ModelAbstract=Abstract, ModelVault=lambda **given: None)
    monkeypatch.setitem(sys.modules, "marginaleffects", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "marginaleffects.classes", classes)
    monkeypatch.setitem(sys.modules, "marginaleffects.utils", SimpleNamespace(ingest=polars.from_pandas))
    monkeypatch.setattr(adapter, "version", lambda name: {"marginaleffects": "0.6.0", "polars": "2.1.0"}[name])
    with pytest.raises(
        cf.CapabilityError, match=r'marginaleffects 0\.6\.0 .* beside polars 2\.1\.0 \(.*Float64\); .*"polars<2"'
    ):
        cf.lm("Severity ~ Drug", heart).to_marginaleffects()
