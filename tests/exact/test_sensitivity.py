"""Omitted confounders of linear models and E-values: algebra that is exact, cases by hand, and what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.inference.sensitivity.evalue import Counts, evalue_of
from causalformula.inference.sensitivity.linear import Hypothesis, LinearEffect, bound

mpl.use("agg")
PLAIN = "y ~ treat(a)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(20)
    n = 300
    x, z = rng.normal(size=(2, n))
    a = (x + z + rng.normal(size=n) > 0).astype(int)
    d = pd.DataFrame({"x": x, "z": z, "a": a, "f": rng.choice(list("uvw"), n), "w": rng.uniform(0.5, 2, n)})
    d["g"], d["dose"] = np.arange(n) % 30, a + 0.5 * x + rng.normal(size=n)
    d["i"] = np.where(rng.random(n) < 0.8, a, 1 - a)
    d["y"] = 1.0 + 0.8 * a + x + 1.5 * z + 0.3 * (d["f"] == "v") + rng.normal(size=n)
    d["ill"] = (d["y"] > 1.5).astype(int)
    return d


def r2(formula: str, left_out: str, data: pd.DataFrame, weights: str | None = None) -> float:
    """Partial R2 of terms: the share of the residual sum of squares that they take away."""
    short, long = (cf.lm(text, data, weights=weights).deviance for text in (formula, f"{formula} + {left_out}"))
    return 1 - long / short


# -- algebra ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("treatment", ["a", "dose"])
def test_the_long_regression_is_what_is_left_beside_its_confounder(data, treatment, weights):
    """Estimate and standard error with the true partial R2 are those of the regression that has the confounder."""
    short = f"y ~ {treatment} + x + f"
    long = cf.lm(f"{short} + z", data, weights=weights)
    model = cf.lm(short, data, weights=weights)
    strengths = r2(f"{treatment} ~ x + f", "z", data, weights), r2(short, "z", data, weights)
    smaller = abs(long.coef[treatment]) < abs(model.coef[treatment])
    row = model.sensitivity(treatment, reduce=bool(smaller)).adjusted(*strengths).iloc[0]
    assert row["adjusted_estimate"] == pytest.approx(long.coef[treatment], rel=1e-10)
    assert row["adjusted_se"] == pytest.approx(long.bse[treatment], rel=1e-10)
    limits = long.confint().loc[treatment]
    assert row[["adjusted_lower_CI", "adjusted_upper_CI"]].tolist() == pytest.approx(limits.tolist(), rel=1e-9)


def test_an_effect_is_its_coefficient(data):
    """The same numbers from the fit and from the model; with modifiers, of the effect that is averaged over them."""
    fit = cf.fit("y ~ treat(a) + adjust(x + f)", data)
    model = cf.lm("y ~ a + x + f", data)
    ours, theirs = fit.sensitivity(benchmark="x"), model.sensitivity("a", benchmark="x")
    pd.testing.assert_frame_equal(ours.tidy().iloc[:, 1:], theirs.tidy().iloc[:, 1:], rtol=1e-10)
    pd.testing.assert_frame_equal(
        ours.bounds.drop(columns="treatment"), theirs.bounds.drop(columns="treatment"), rtol=1e-9
    )
    by_x = cf.fit("y ~ treat(a) + adjust(f) + modify(x)", data)
    centred = cf.lm("y ~ a * xc + f", data.assign(xc=data["x"] - data["x"].mean()))
    np.testing.assert_allclose(
        by_x.sensitivity().tidy().iloc[:, 1:].astype(float), centred.sensitivity("a").tidy().iloc[:, 1:].astype(float)
    )
    own = centred.sensitivity("a", benchmark="f").bounds["adjusted_estimate"]
    np.testing.assert_allclose(by_x.sensitivity(benchmark="f").bounds["adjusted_estimate"], own, rtol=1e-9)


def test_shares_of_benchmarks_are_those_of_regressions(data):
    """One column, a factor whole, and a variable with all its terms."""
    model = cf.lm("y ~ a + x + f + I(x^2)", data)
    found = model.sensitivity("a", benchmark={"f": "f", "all of x": ["x", "I(x^2)"], "fv": "fv"}).benchmarks
    rest = {"f": ("x + I(x^2)", "f"), "all of x": ("f", "x + I(x^2)"), "fv": ("x + I(x^2) + (f == 'w')", "(f == 'v')")}
    for name, (kept, left_out) in rest.items():
        row = found[found["benchmark"] == name].iloc[0]
        assert row["r2dxj.x"] == pytest.approx(r2(f"a ~ {kept}", left_out, data), rel=1e-9)
        assert row["r2yxj.dx"] == pytest.approx(r2(f"y ~ a + {kept}", left_out, data), rel=1e-9)
    whole = cf.lm("y ~ a + f + poly(x, 2)", data).sensitivity("a", benchmark=["x", "f"]).benchmarks
    np.testing.assert_allclose(whole["r2yxj.dx"], found["r2yxj.dx"].iloc[[1, 0]], rtol=1e-9)


def test_a_benchmark_bounds_a_confounder_like_it(data):
    """Of a confounder that is independent of the covariates given the treatment, the true strength is the bound."""
    rng = np.random.default_rng(3)
    X = np.linalg.qr(np.column_stack([np.ones(200), rng.normal(size=(200, 5))]))[0][:, 1:]
    a = X[:, 0] + 0.5 * X[:, 1] + 0.5 * X[:, 2]
    y = a + 0.7 * X[:, 1] + 0.7 * X[:, 2] + 0.4 * X[:, 3]
    d = pd.DataFrame({"a": a, "x": X[:, 1], "z": X[:, 2], "y": y})
    found = cf.lm("y ~ a + x", d).sensitivity("a", benchmark="x").bounds.iloc[0]
    assert found["r2dz.x"] == pytest.approx(r2("a ~ x", "z", d), rel=1e-9)
    assert found["r2yz.dx"] >= r2("y ~ a + x", "z", d) - 1e-12
    assert found["adjusted_estimate"] <= cf.lm("y ~ a + x + z", d).coef["a"] + 1e-12


@pytest.mark.parametrize(("t", "df"), [(4.2, 783), (-2.5, 40), (9.0, 12), (30.0, 5)])
@pytest.mark.parametrize("q", [0.5, 1.0, 1.5])
def test_robustness_values_are_what_they_say(t, df, q):
    """At RV the estimate is the null; at RV alpha the smallest t over weaker confounders is the critical one."""
    one, asked = LinearEffect(2.0 * t, 2.0, df), Hypothesis(q, 0.05)
    rv = one.robustness(q)
    assert one.adjusted(rv, rv, asked).estimate == pytest.approx(asked.null(one.estimate), abs=1e-9)
    tested = one.robustness(q, 0.05)
    from scipy.stats import t as student

    critical = student.isf(0.025, df - 1)
    if tested == 0:
        assert abs(one.t(asked.null(one.estimate))) * np.sqrt((df - 1) / df) <= critical
        return
    shares = tested * np.linspace(0, 1, 2001)
    side = np.sign(t)
    for x in (tested, 0.9 * tested):
        least = (side * one.adjusted(x, shares, asked).t).min()
        assert least == pytest.approx(critical, rel=1e-5) if x == tested else least > critical


def test_cases_by_hand():
    """t = 2 with 16 degrees of freedom: f = 1/2, partial R2 = 1/5, RV = (sqrt(17) - 1) / 8."""
    one = LinearEffect(1.0, 0.5, 16)
    assert (one.f2, one.r2) == pytest.approx((0.25, 0.2))
    assert one.robustness() == pytest.approx((np.sqrt(17) - 1) / 8)
    # an extreme confounder explains the rest of the outcome, and as much of the treatment as this does of that
    assert one.adjusted(0.2, 1.0, Hypothesis()).estimate == pytest.approx(0.0, abs=1e-12)
    assert float(one.bias(0.5, 0.25)) == pytest.approx(0.5 * 4 * 0.5)
    # a covariate with a fifth of the treatment and a quarter of the outcome: r2dz.x = 1/4, r2zx.d = 1/16
    found = bound((0.2, 0.25), 1.0, 1.0, "x")
    assert found.r2dz_x == pytest.approx(0.25)
    assert found.r2yz_dx == pytest.approx((1 + 0.25) ** 2 / (1 - 1 / 16) / 3)


# -- what fits --------------------------------------------------------------------------------------------------------


def test_other_standard_errors_change_nothing_but_are_told(data):
    plain = cf.fit("y ~ treat(a) + adjust(x)", data)
    for vcov in ("HC3", "~g"):
        found = plain.with_vcov(vcov).sensitivity()
        pd.testing.assert_frame_equal(found.tidy(), plain.sensitivity().tidy())
        assert f"those of the fit ({plain.with_vcov(vcov).covariance.label}) play no part" in " ".join(
            str(found).split()
        )
    assert "Note" not in str(plain.sensitivity())
    weighted = cf.fit("y ~ treat(a) + adjust(x) + weights(w)", data).sensitivity()
    assert "the regression is weighted" in str(weighted)
    same = cf.lm("y ~ a + x", data, weights="w").sensitivity("a").tidy()
    np.testing.assert_allclose(weighted.tidy()["rv_q"], same["rv_q"], rtol=1e-9)


def test_kinds_by_what_fits(data):
    """The first kind of the table that a fit has; others by name."""
    kinds = {
        "LinearSensitivity": [
            cf.fit("y ~ treat(a) + adjust(x)", data), cf.fit("y ~ treat(a)", data),
            cf.fit("y ~ treat(a) + adjust(x)", data, "nearest", replace=True),
            cf.fit("y ~ treat(a) + adjust(x) | g", data),
        ],
        "EValues": [
            cf.fit("ill ~ treat(a) + adjust(x)", data, family="binomial"),
            cf.fit("exp(y) ~ treat(a) + adjust(x)", data, measure="ratio"),
        ],
        "Sensitivity": [cf.fit("y ~ treat(a) + adjust(x)", data, "dml")],
    }  # fmt: skip
    for name, fits in kinds.items():
        for fit in fits:
            assert "sensitivity" in dir(fit)
            assert type(fit.sensitivity()).__name__ == name, fit.call.text
            found = pickle.loads(pickle.dumps(fit.sensitivity()))
            assert str(found) == str(fit.sensitivity()) and found.sentence
    several = cf.fit("y ~ treat(f) + adjust(x)", data).sensitivity(benchmark="x")
    assert list(several.tidy()["treatment"]) == ["f v - u", "f w - u"] == list(several.bounds["treatment"])
    assert several.sentence.count("To explain it away") == 2


def test_rows_elsewhere(data):
    near, far = (
        cf.fit("y ~ treat(a) + adjust(x)", rows).sensitivity()
        for rows in (data, cf.scan([data[:200], data[200:]], limit=0))
    )
    np.testing.assert_allclose(near.tidy()["rv_qa"], far.tidy()["rv_qa"], rtol=1e-9)
    model = cf.lm("y ~ a + x", cf.scan([data], limit=0))
    assert model.sensitivity("a", benchmark="x").bounds["r2dz.x"].item() == pytest.approx(
        cf.lm("y ~ a + x", data).sensitivity("a", benchmark="x").bounds["r2dz.x"].item()
    )


REFUSED: dict[str, tuple[str, Callable[[pd.DataFrame], Any]]] = {
    "an instrument is there for unmeasured": ("Capability", lambda d: cf.fit(PLAIN + " + iv(i)", d).sensitivity()),
    "these are means": ("Capability", lambda d: cf.fit(PLAIN, d).means().sensitivity()),
    "derived from others": ("Capability", lambda d: cf.fit(PLAIN, d).hypothesis("b1 = 0").sensitivity()),
    "unknown kind 'linaer'; did you mean 'linear'": ("Option", lambda d: cf.fit(PLAIN, d).sensitivity("linaer")),
    "no sensitivity analysis of kind='omitted': they are of method='dml'. There is kind='linear', 'evalue'": (
        "Capability", lambda d: cf.fit(PLAIN, d).sensitivity("omitted"),
    ),
    "of kind='linear' has no option 'rare'; kind='evalue' has": (
        "Option", lambda d: cf.fit(PLAIN, d).sensitivity(rare=True),
    ),
    "kd=9: a confounder that is 9 times as strong as x would explain all of the treatment": (
        "Option", lambda d: cf.lm("y ~ a + x", d).sensitivity("a", benchmark="x", kd=9),
    ),
    "no covariate of the regression is 'q'": (
        "Option", lambda d: cf.lm("y ~ a + x", d).sensitivity("a", benchmark="q"),
    ),
    "it is the treatment itself": (
        "Capability", lambda d: cf.fit(PLAIN + " + adjust(x)", d).sensitivity(benchmark="a"),
    ),
    "benchmark='again': the regression leaves it out, as other terms imply it": (
        "Option", lambda d: cf.lm("y ~ a + x + again", d.assign(again=2 * d["x"])).sensitivity("a", benchmark="again"),
    ),
    "kd= and ky= are multiples of benchmark=": ("Option", lambda d: cf.lm("y ~ a + x", d).sensitivity("a", kd=2)),
    "it is part of the effect": (
        "Capability", lambda d: cf.fit(PLAIN + " + modify(x)", d).sensitivity(benchmark="x"),
    ),
    "kd has 3 numbers and ky has 2": (
        "Option", lambda d: cf.lm("y ~ a + x", d).sensitivity("a", benchmark="x", kd=[1, 2, 3], ky=[1, 2]),
    ),
    "the intercept is no effect": ("Capability", lambda d: cf.lm("y ~ a", d).sensitivity("(Intercept)")),
    "unknown term 'b'": ("Option", lambda d: cf.lm("y ~ a", d).sensitivity("b")),
    "b is not determined": ("Identification", lambda d: cf.lm("y ~ a + b", d.assign(b=2 * d["a"])).sensitivity("b")),
    "coefficients of a binomial model with the link probit are no ratios": (
        "Capability", lambda d: cf.glm("ill ~ a", d, family="binomial(link = 'probit')").sensitivity("a"),
    ),
    "ask for measure='difference'": (
        "Capability", lambda d: cf.fit("ill ~ treat(a)", d, measure="nnt").sensitivity("evalue"),
    ),
    "r2dz_x=1: a share of variance from 0 to below 1": (
        "Option", lambda d: cf.lm("y ~ a", d).sensitivity("a").adjusted(1, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_refused(data, message):
    error, call = REFUSED[message]
    with pytest.raises(getattr(cf, f"{error}Error")) as found:
        call(data)
    assert message in str(found.value)


def test_what_is_set_to_its_limit_is_told(data):
    d = data.assign(y=data["a"] + 9 * data["x"] + data["z"])
    found = cf.lm("y ~ a + x", d).sensitivity("a", benchmark="x", kd=0.5)
    assert found.bounds["r2yz.dx"].item() == 1
    assert "0.5x x: a confounder so many times as strong as x would explain more of the outcome than is left" in str(
        found
    )


# -- E-values ---------------------------------------------------------------------------------------------------------


def test_evalues_by_hand():
    """Two confounders' risk ratios E and E make the bias factor ``E^2 / (2 E - 1)``, the risk ratio itself."""
    assert evalue_of(2.0) == pytest.approx(2 + np.sqrt(2))
    for ratio in (1.0, 1.7, 0.25):
        e = evalue_of(ratio)
        assert e * e / (2 * e - 1) == pytest.approx(max(ratio, 1 / ratio))
    assert cf.evalue(1.0, 0.8, 1.2)["evalue"].tolist() == [1.0, 1.0]
    assert cf.evalue(4.0, measure="OR")["evalue"]["point"] == evalue_of(2.0)
    assert cf.evalue(2.0, 0.0, 3.0)["evalue"]["limit"] == 1.0
    limits = cf.evalue(0.5, 0.2, 0.8, measure="MD")["RR"]
    assert limits.tolist() == pytest.approx(np.exp([0.91 * 0.5, 0.91 * 0.2]))
    turned = cf.evalue(0.5, 0.2, 0.8, measure="OLS", sd=2, delta=-1)
    assert turned["RR"].tolist() == pytest.approx(np.exp([-0.91 * 0.25, -0.91 * 0.1]))


def test_a_risk_difference_of_counts():
    """At the bias factor the smallest true difference is the one asked for; without confounders it is the usual one."""
    counts = Counts(30, 70, 10, 90)
    assert counts.least(1.0, 0.0) == pytest.approx(0.2)
    assert counts.least(1.0, 2.0) == pytest.approx(0.2 - 2 * np.sqrt(0.3 * 0.7 / 100 + 0.1 * 0.9 / 100))
    assert counts.factor(0.0, 0.0) == pytest.approx(3.0)
    for true, z in ((0.0, 1.96), (0.05, 0.0), (0.05, 1.0)):
        assert counts.least(counts.factor(true, z), z) == pytest.approx(true, abs=1e-12)
    assert cf.evalue([[12, 88], [10, 90]], measure="RD")["evalue"]["limit"] == 1.0


def test_evalues_of_fits(data):
    """Each measure as ``cf.evalue`` has it."""
    formula = "ill ~ treat(a) + adjust(x)"

    def fitted(measure: str, **options: Any) -> tuple[Any, pd.Series[Any]]:
        fit = cf.fit(formula, data, "ipw", measure=measure)
        return fit.sensitivity("evalue", **options).tidy(), fit.tidy().iloc[0]

    columns = ["estimate", "conf.low", "conf.high"]
    ours, row = fitted("ratio")
    pd.testing.assert_frame_equal(ours, cf.evalue(*row[columns]))
    for measure in ("difference", "log_ratio"):
        pd.testing.assert_frame_equal(fitted(measure)[0], ours, rtol=1e-9)
    for rare in (False, True):
        ours, row = fitted("odds_ratio", rare=rare)
        pd.testing.assert_frame_equal(ours, cf.evalue(*row[columns], measure="OR", rare=rare))
        pd.testing.assert_frame_equal(fitted("log_odds_ratio", rare=rare)[0], ours, rtol=1e-9)
    linear, model = cf.fit("y ~ treat(a) + adjust(x)", data), cf.lm("y ~ a + x", data)
    theirs = cf.evalue(linear.estimate, se=linear.std_error, sd=model.sigma, measure="OLS")
    pd.testing.assert_frame_equal(linear.sensitivity("evalue").tidy(), theirs, rtol=1e-9)
    pd.testing.assert_frame_equal(model.sensitivity("a", "evalue").tidy(), theirs, rtol=1e-9)
    weighting = cf.fit("y ~ treat(a) + adjust(x)", data, "ipw")
    pd.testing.assert_frame_equal(
        weighting.sensitivity("evalue").tidy(),
        cf.evalue(weighting.estimate, se=weighting.std_error, sd=data["y"].std(), measure="OLS"),
        rtol=1e-9,
    )
    assert "that of the outcome" in str(weighting.sensitivity("evalue"))
    logit = cf.glm("ill ~ a + x", data, family="binomial")
    odds = np.exp([logit.coef["a"], *logit.confint().loc["a"]])
    pd.testing.assert_frame_equal(logit.sensitivity("a").tidy(), cf.evalue(*odds, measure="OR"), rtol=1e-9)
    groups = linear.by("f").sensitivity("evalue").tidy()
    assert len(groups) == 6 and groups.loc["f=u a 1 - 0"].index.tolist() == ["point", "limit"]


@pytest.mark.parametrize(
    ("message", "args", "options"),
    [
        ("estimate=-1.0: a ratio is a number above 0", (-1,), {}),
        ("are not on both sides of the estimate, 2", (2, 2.5, 3), {}),
        ("rare= is of odds and hazard ratios", (2,), {"rare": True}),
        ("measure='OLS' needs sd=", (2,), {"measure": "OLS"}),
        ("sd= is of measure='OLS'", (2,), {"measure": "MD", "sd": 1}),
        ("delta= is of measure='OLS'", (2,), {"delta": 2}),
        ("give se= or limits, not both", (2, 1, 3), {"measure": "MD", "se": 1}),
        ("se= is of measure='MD' and 'OLS'", (2,), {"se": 1}),
        ("measure='RD' takes counts", (0.2,), {"measure": "RD"}),
        ("the risk of the exposed is the smaller one", ([[1, 9], [2, 8]],), {"measure": "RD"}),
        ("level= is of measure='RD'", (2,), {"level": 0.9}),
        ("unknown measure 'rr'; did you mean 'RR'?", (2,), {"measure": "rr"}),
    ],
)
def test_evalue_refuses(message, args, options):
    with pytest.raises(cf.OptionError) as found:
        cf.evalue(*args, **options)
    assert message in str(found.value)


# -- pictures ---------------------------------------------------------------------------------------------------------


def test_pictures(data):
    """The thick contour passes where both shares are the robustness value, and a curve meets the null at partial R2."""
    found = cf.lm("y ~ a + x", data).sensitivity("a", benchmark="x", kd=[0.1, 0.2])
    row = found.tidy().iloc[0]
    for of, share in (("estimate", row["rv_q"]), ("t", row["rv_qa"])):
        ax = found.plot(of=of)
        thick = next(each for each in ax.collections if np.max(np.asarray(each.get_linewidth())) == 2)
        points = np.vstack([path.vertices for path in thick.get_paths()])
        assert np.abs(points - share).max(axis=1).min() < 0.03
        assert [text.get_text().split(" (")[0] for text in ax.get_legend().get_texts()][1:] == [
            "no confounders", "0.1x x", "0.2x x",
        ]  # fmt: skip
        plt.close(ax.figure)
    ax = found.plot("extreme")
    x, y = ax.lines[0].get_data()
    assert np.interp(0.0, -np.asarray(y), x) == pytest.approx(row["r2yd.x"], rel=1e-2)
    assert y[0] == pytest.approx(row["estimate"])
    plt.close(ax.figure)
    own = plt.figure().subplots()
    assert found.plot("extreme", of="t", ax=own) is own
    plt.close(own.figure)
    ratio = cf.fit("exp(y) ~ treat(a) + adjust(x)", data, measure="ratio").sensitivity("evalue")
    ax = ratio.plot()
    a, b = ax.lines[0].get_data()
    assert np.interp(ratio.tidy()["evalue"]["point"], a, b) == pytest.approx(ratio.tidy()["evalue"]["point"], rel=1e-3)
    plt.close(ax.figure)
    with pytest.raises(cf.OptionError, match="effect=1: there are 1, counted from 0"):
        ratio.plot(1)
