"""Refutation against refits by hand: everything is made anew, and p-values are what they say."""

from __future__ import annotations

import dataclasses
import json
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalformula as cf
from causalformula.backends import registry
from causalformula.results.refutation.refuters import REFUTERS
from causalformula.results.refutation.tables import _made_of, confounder

MANY = ["placebo", "random_common_cause", "subset", "bootstrap", "dummy_outcome"]
FORMULA = "y ~ treat(a) + adjust(x + z)"


def study(n=200, seed=0):
    """A study with an effect of one, an outcome ``w`` that it has none on, and another treatment without effect."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    a = (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int)
    y = a + x + z + rng.normal(size=n)
    return pd.DataFrame({"a": a, "x": x, "z": z, "y": y, "w": x + rng.normal(size=n), "e": x + rng.normal(size=n)})


@pytest.fixture(scope="module")
def data():
    return study()


@pytest.fixture(scope="module")
def fit(data):
    return cf.fit(FORMULA, data)


def panel(units=60, seed=0):
    """Six years of units, half of them treated from 2003 on."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"id": np.repeat(np.arange(units), 6), "year": np.tile(np.arange(2000, 2006), units)})
    data["a"] = data.id % 2
    own = np.repeat(rng.normal(size=units), 6)
    data["y"] = own + data.a * (data.year >= 2003) + rng.normal(size=len(data))
    return data


# ---- what is refitted -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", ["placebo", "random_common_cause", "subset", "dummy_outcome"])
@pytest.mark.parametrize("formula", [FORMULA, "y ~ treat(a) + adjust(x) + weights(q)", "y ~ treat(d) + adjust(x)"])
def test_many_at_once_are_the_refits_one_by_one(data, monkeypatch, test, formula):
    data = data.assign(q=np.linspace(1, 3, len(data)), d=data.a + data.z)
    fit = cf.fit(formula, data)
    fast = fit.refute([test], reps=6, seed=3).draws(test)
    slow = dataclasses.replace(registry.RECORDS["regression"], vary=None, batch=None)
    monkeypatch.setitem(registry.RECORDS, "regression", slow)
    np.testing.assert_allclose(fit.refute([test], reps=6, seed=3).draws(test), fast, rtol=1e-10, atol=1e-12)


def test_a_covariate_that_the_others_explain_has_no_effect_to_report(data):
    """The quick way leaves it to the fit, which says what cannot be told apart."""
    found = cf.fit("y ~ treat(a) + adjust(x + I(2 * x))", data).refute(["placebo"], reps=5, seed=1)
    assert np.isfinite(found.draws("placebo")).all()


def test_the_placebo_has_a_propensity_score_of_its_own():
    """A score that is kept makes an effect of nothing: x would be balanced for a treatment that it does not predict."""
    data = study(500, 1)
    data["y"] = 3 * data.x + data.z  # no effect, a strong confounder
    fit = cf.fit("y ~ treat(a) + adjust(x + z)", data, "ipw")
    draws = fit.refute(["placebo"], reps=40, seed=2).draws("placebo")[:, 0]
    w, rng = fit.design.weights.to_numpy(), np.random.default_rng(3)

    def stale():
        a = rng.permutation(data.a.to_numpy())
        return np.average(data.y[a == 1], weights=w[a == 1]) - np.average(data.y[a == 0], weights=w[a == 0])

    kept = np.array([stale() for _ in range(40)])
    # exact balance of the placebo's own score leaves little; the stale one leaves the whole chance imbalance of x
    assert draws.std() < 0.25 * kept.std()


def test_placebo_permutes_clusters_within_strata():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(40), 3)})
    data["s"] = (data.g >= 20).astype(int)
    data["a"] = ((data.g % 20) < np.where(data.s == 1, 15, 5)).astype(int)
    data["y"] = 5 * data.s + rng.normal(size=len(data))
    fit = cf.fit("y ~ treat(a) + strata(s) + cluster(g)", data, "difference_in_means")
    found = fit.refute(["placebo"], reps=50, seed=1)
    assert "a permuted over clusters of g within strata of s" in str(found)
    # across strata the placebo would take up the difference of 5 between them
    assert np.abs(found.draws("placebo")).max() < 1.5


def in_strata(seed, n=300):
    """A study with an effect of one, and strata that differ in the outcome and by chance in who is treated."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"x": rng.normal(size=n), "a": rng.integers(0, 2, n), "k": rng.integers(0, 10, n)})
    data["y"] = data.a + data.x + rng.normal(size=10)[data.k] + rng.normal(size=n)
    return data.assign(s=[f"s{k}" for k in data.k])


def test_strata_that_are_not_adjusted_for_are_said():
    data, vcov = in_strata(0), "bootstrap(9, seed = 1)"
    said = "s is not adjusted for: an effect here may be what strata with more of a than others make of the outcome"
    plain = cf.fit("y ~ treat(a) + x + strata(s)", data, vcov=vcov).refute(["placebo"], reps=5, seed=1)
    adjusted = cf.fit("y ~ treat(a) + x + factor(s) + strata(s)", data, vcov=vcov).refute(["placebo"], reps=5, seed=1)
    blocks = cf.fit("y ~ treat(a) + strata(s)", data).refute(["placebo"], reps=5, seed=1)
    absorbed = cf.fit("y ~ treat(a) + x + strata(s) | s", data, vcov=vcov).refute(["placebo"], reps=5, seed=1)
    assert [said in str(found) for found in (plain, adjusted, blocks, absorbed)] == [True, False, False, False]


def test_a_dummy_outcome_is_not_of_the_strata_either():
    p = []
    for seed in range(30):
        fit = cf.fit("y ~ treat(a) + x + strata(s)", in_strata(seed), vcov="bootstrap(9, seed = 1)")
        p.append(fit.refute(["dummy_outcome"], reps=40, seed=seed).to_frame()["p.value"][0])
    # permuted within strata, whose outcomes stay apart, it rejects two of three sound analyses
    assert np.mean(np.array(p) < 0.05) < 0.2


def test_placebo_of_a_difference_in_differences_moves_units():
    data = panel()
    fit = cf.fit("did(a, year >= 2003) + cluster(id)", data, outcome="y")
    found = fit.refute(["placebo"], reps=30, seed=1)
    again = np.random.SeedSequence([1, list(REFUTERS).index("placebo")]).spawn(30)
    order = np.random.default_rng(again[0]).permutation(np.arange(60))
    moved = data.assign(a=(order % 2)[data.id])
    by_hand = cf.fit("did(a, year >= 2003) + cluster(id)", moved, outcome="y")
    assert found.draws("placebo")[0, 0] == pytest.approx(by_hand.estimate, rel=1e-10)
    assert found.to_frame()["p.value"][0] > 0.01


@pytest.mark.parametrize(
    "vcov", ["~g", "CR2 ~ g", cf.Bootstrap(cluster="g", reps=9, seed=1), cf.Wild(cluster="g", reps=99)]
)
def test_clusters_of_the_standard_errors_stay_together(data, vcov):
    data = data.assign(g=np.arange(len(data)) % 8)
    found = cf.fit(FORMULA, data, vcov=vcov).refute(["subset", "bootstrap"], reps=5, seed=1)
    named = cf.fit(FORMULA + " + cluster(g)", data).refute(["subset", "bootstrap"], reps=5, seed=1)
    assert "80% of the clusters of g are kept" in str(found)
    for test in ("subset", "bootstrap"):
        np.testing.assert_allclose(found.draws(test), named.draws(test))
    assert "Note: bootstrap: 8 clusters of g are few to draw from" in str(found)


def test_folds_are_drawn_anew(data):
    fit = cf.fit(FORMULA, data, "dml", outcome_model="ridge", treatment_model="glm", seed=5)
    draws = fit.refute(["random_common_cause"], reps=3, seed=1).draws("random_common_cause")
    seeds = []
    for child in np.random.SeedSequence([1, list(REFUTERS).index("random_common_cause")]).spawn(3):
        rng = np.random.default_rng(child)
        seeds.append((rng.standard_normal(len(data)), int(rng.integers(2**31))))
    by_hand = [
        cf.fit(
            FORMULA + " + adjust(r)", data.assign(r=r), "dml", outcome_model="ridge", treatment_model="glm", seed=seed
        ).estimate
        for r, seed in seeds
    ]
    np.testing.assert_allclose(draws[:, 0], by_hand, rtol=1e-8)


def test_matches_are_made_anew(data):
    fit = cf.fit(FORMULA, data, "nearest")
    found = fit.refute(["subset"], reps=4, seed=1, share=0.5)
    child = np.random.SeedSequence([1, list(REFUTERS).index("subset")]).spawn(4)[0]
    rows = np.sort(np.random.default_rng(child).choice(200, 100, replace=False))
    by_hand = cf.fit(FORMULA, data.iloc[rows], "nearest")
    assert found.draws("subset")[0, 0] == pytest.approx(by_hand.estimate, rel=1e-10)
    assert "compares it with single refits" in str(found)


def starts(units=40, seed=0):
    """Seven years of units, some of which are treated from the third or the fifth on."""
    rng = np.random.default_rng(seed)
    data = pd.DataFrame({"id": np.repeat(np.arange(units), 7), "year": np.tile(np.arange(1, 8), units)})
    data["first"] = np.array([0, 3, 5])[data.id % 3]
    data["x"], data["z"], data["t"] = rng.normal(size=(3, len(data)))
    data["on"] = ((data["first"] > 0) & (data.year >= data["first"])).astype(int)
    data["t"] += data.z
    data["y"] = np.repeat(rng.normal(size=units), 7) + data.on + data.x + data.t + rng.normal(size=len(data))
    return data


@pytest.mark.parametrize(
    ("formula", "method", "options"),
    [
        ("y ~ did(first, year, unit = id)", None, {}),
        ("y ~ did(first, year, unit = id)", None, {"event_study": True}),
        ("y ~ did(first, year, unit = id) + adjust(x)", "sunab", {}),
        ("y ~ did(first, year, unit = id) + adjust(x)", "imputation", {}),
        ("y ~ did(first, year, unit = id)", "etwfe", {}),
        ("y ~ treat(t) + adjust(x) + iv(z) + cluster(id)", "iv", {}),
        ("y ~ treat(t) + adjust(x) + iv(z) + cluster(id)", "liml", {"fuller": 1}),
        ("y ~ treat(on) + x + cluster(id) | id + year", None, {}),
        ("y ~ treat(t) + iv(z) + cluster(id) | id + year", None, {}),
    ],
)
def test_refits_of_panels_and_instruments_by_hand(formula, method, options):
    data = starts()
    fit = cf.fit(formula, data, method, **options)
    found = fit.refute(["subset", "dummy_outcome"], reps=2, seed=1)
    first = {t: np.random.SeedSequence([1, list(REFUTERS).index(t)]).spawn(2)[0] for t in ("subset", "dummy_outcome")}
    units = np.random.default_rng(first["subset"]).choice(40, 32, replace=False)
    order = np.random.default_rng(first["dummy_outcome"]).permutation(len(data))
    fewer = cf.fit(formula, data[data.id.isin(units)], method, **options)
    other = cf.fit(formula, data.assign(y=data.y.to_numpy()[order]), method, **options)
    np.testing.assert_allclose(found.draws("subset")[0], fewer.params, rtol=1e-8)
    np.testing.assert_allclose(found.draws("dummy_outcome")[0], other.params, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("more", ["", " + weights(q)"])
def test_absorbed_effects_are_refuted_as_their_dummies(data, more):
    rng = np.random.default_rng(6)
    data = data.assign(k=rng.integers(0, 6, len(data)), q=rng.uniform(0.5, 2, len(data)))
    data["y"] += data.k
    absorbed, dummies = (cf.fit(f"y ~ treat(a) + x + {k}{more}", data) for k in ("fe(k)", "factor(k)"))
    tests = ["placebo", "random_common_cause", "bootstrap", "negative_control_exposure", "unobserved_confounder"]
    asked = {"reps": 4, "seed": 2, "negative_exposure": "e", "strengths": [0, 0.1, 0.3]}
    found, right = (fit.refute(tests, **asked) for fit in (absorbed, dummies))
    np.testing.assert_allclose(found.to_frame()["refuted"], right.to_frame()["refuted"], rtol=1e-8)
    # of the strength beside the absorbed effects, not beside the other covariates alone
    grids = [each.table("unobserved_confounder") for each in (found, right)]
    np.testing.assert_allclose(*grids, rtol=1e-8)


@pytest.mark.parametrize("method", ["regression", "ipw", "ebal"])
def test_leave_one_out_is_the_fit_without(data, method):
    fit = cf.fit("y ~ treat(a) + adjust(x + z + x:z)", data, method)
    table = fit.refute(["leave_one_out"]).table("leave_one_out").set_index("left.out")["refuted"]
    assert table["x"] == pytest.approx(cf.fit("y ~ treat(a) + adjust(z)", data, method).estimate, rel=1e-8)
    assert table["z"] == pytest.approx(cf.fit("y ~ treat(a) + adjust(x)", data, method).estimate, rel=1e-8)
    row = fit.refute(["leave_one_out"]).to_frame().iloc[0]
    assert row["refuted"] == table[(table - fit.estimate).abs().idxmax()]
    assert np.isnan(row["p.value"])


def test_negative_controls_are_the_fits_that_they_name(data, fit):
    data = data.assign(w=data.w.where(data.index > 4))
    robust = cf.fit(FORMULA, data, vcov="HC3")
    found = robust.refute(
        ["negative_control_outcome", "negative_control_exposure"], negative_outcome="w", negative_exposure="e"
    )
    table = found.to_frame().set_index("test")
    outcome = cf.fit("w ~ treat(a) + adjust(x + z)", data, vcov="HC3").tidy().iloc[0]
    exposure = cf.fit("y ~ treat(e) + adjust(x + z + a)", data, vcov="HC3").tidy().iloc[0]
    for test, one in (("negative_control_outcome", outcome), ("negative_control_exposure", exposure)):
        assert table.loc[test, "refuted"] == pytest.approx(one["estimate"], rel=1e-10)
        assert table.loc[test, "p.value"] == pytest.approx(one["p.value"], rel=1e-8)
    assert "on 5 rows fewer" in str(found)


def test_a_negative_exposure_of_another_kind_has_its_own_estimand(data):
    """The ATE of two arms is the method's own choice, and not kept for a control that is a number."""
    given = {"outcome_model": "ridge", "treatment_model": "glm", "folds": 2, "seed": 3}
    fit = cf.fit(FORMULA, data, "dml", **given)
    table = fit.refute(["negative_control_exposure"], negative_exposure="e").to_frame()
    right = cf.fit("y ~ treat(e) + adjust(x + z + a)", data, "dml", **given)
    assert table["refuted"][0] == pytest.approx(right.estimate, rel=1e-10)
    with pytest.raises(cf.OptionError, match="estimand='ATT' needs arms; 'e' is a dose"):
        cf.fit(FORMULA, data, "dml", estimand="ATT", **given).refute(
            ["negative_control_exposure"], negative_exposure="e"
        )


def test_negative_controls_of_a_formula_with_a_dot(data):
    """With another outcome the dot would stand for the old one too."""
    fit = cf.fit("y ~ treat(a) + adjust(. - w - e)", data)
    table = fit.refute(
        ["negative_control_outcome", "negative_control_exposure"], negative_outcome="w", negative_exposure="e"
    ).to_frame()
    outcome = cf.fit("w ~ treat(a) + adjust(x + z)", data).estimate
    np.testing.assert_allclose(table["refuted"], [outcome, cf.fit("y ~ treat(e) + adjust(x + z + a)", data).estimate])
    with pytest.raises(cf.OptionError, match=r"negative_outcome='w' is in adjust\(...\)"):
        cf.fit("y ~ treat(a) + adjust(.)", data).refute(negative_outcome="w")


def test_placebo_in_time_is_the_fit_before_the_change():
    data = panel()
    fit = cf.fit("did(a, year >= 2003) + cluster(id)", data, outcome="y")
    before = data[data.year < 2003].assign(late=lambda d: d.year >= 2002)
    by_hand = cf.fit("did(a, late) + cluster(id)", before, outcome="y").tidy().iloc[0]
    row = fit.refute(["placebo_in_time"]).to_frame().iloc[0]
    assert row["refuted"] == pytest.approx(by_hand["estimate"], rel=1e-10)
    assert row["p.value"] == pytest.approx(by_hand["p.value"], rel=1e-8)
    earlier = fit.refute(["placebo_in_time"], placebo_time=2001).to_frame().iloc[0]
    before["late"] = before.year >= 2001
    assert earlier["refuted"] == pytest.approx(
        cf.fit("did(a, late) + cluster(id)", before, outcome="y").estimate, rel=1e-10
    )
    coarse = cf.fit("did(a, post) + cluster(id)", data.assign(post=(data.year >= 2003) * 1), outcome="y")
    assert coarse.refute(["placebo_in_time"], time="year").to_frame()["refuted"][0] == pytest.approx(row["refuted"])


def test_a_made_confounder_does_what_the_formula_of_omitted_variables_says(data, fit):
    """Cinelli and Hazlett (2020): ``bias = se sqrt(df) sqrt(R2_y R2_a / (1 - R2_a))``."""
    table = fit.refute(["unobserved_confounder"], strengths=[0, 0.1, 0.3], seed=1).table("unobserved_confounder")
    se, df = fit.std_error, len(data) - 4
    for y in (0.0, 0.1, 0.3):
        for a in (0.0, 0.1, 0.3):
            expected = fit.estimate - se * np.sqrt(df * y * a / (1 - a))
            assert table.loc[y, a] == pytest.approx(expected, rel=1e-9)


def test_a_confounder_beside_an_offset(data):
    rng = np.random.default_rng(4)
    long = rng.uniform(1, 50, len(data))
    y = rng.poisson(long * np.exp(0.3 * data.a + 0.2 * data.x))
    counted = cf.fit("y ~ treat(a) + x + offset(o)", data.assign(y=y, o=np.log(long)), family="poisson")
    a, e, noise = _made_of(counted.call.frame, counted, np.random.default_rng(9), 1.0)
    u = confounder((a, e, noise), 0.2, 0.3)
    X = np.column_stack([np.ones(len(data)), data.x, np.log(long), data.a])
    # the outcome's own part is what the treatment, the covariates and the offset leave of it
    rest = [v - X @ np.linalg.lstsq(X, v, rcond=None)[0] for v in (y.astype(float), u)]
    assert np.corrcoef(*rest)[0, 1] ** 2 == pytest.approx(0.3)


def test_the_strongest_confounder_is_one_with_an_answer(data):
    fit = cf.fit(FORMULA, data, "ipw")
    found = fit.refute(["unobserved_confounder"], strengths=[0, 0.02, 0.9999], seed=1)
    table, row = found.table("unobserved_confounder"), found.to_frame().iloc[0]
    # one that is all but the treatment leaves no overlap
    assert list(table[0.9999].isna()) == [True] * 3
    assert row.refuted == table.loc[0.9999, 0.02] > 0
    assert row.verdict == "not gone with partial R2 of 0.02 (treatment) and 0.9999 (outcome)"


def test_a_confounder_has_the_strength_that_is_asked_for():
    rng = np.random.default_rng(0)
    parts, _ = np.linalg.qr(rng.normal(size=(50, 3)))
    a, e, noise = parts.T
    u = confounder((a, e, noise), 0.2, 0.3)
    rest = u - (u @ a) * a
    assert (u @ a) ** 2 / (u @ u) == pytest.approx(0.2)
    assert (rest @ e) ** 2 / (rest @ rest) == pytest.approx(0.3)


# ---- p-values and verdicts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("test", "null"), [("placebo", 0.0), ("dummy_outcome", 0.0), ("subset", None)])
def test_p_values_are_of_the_mean_by_the_spread(fit, test, null):
    found = fit.refute([test], reps=30, seed=4)
    draws = found.draws(test)[:, 0]
    target = fit.estimate if null is None else null
    row = found.to_frame().iloc[0]
    assert row["p.value"] == pytest.approx(stats.ttest_1samp(draws, target).pvalue, rel=1e-10)
    assert row["refuted"] == pytest.approx(draws.mean())
    assert row["estimate"] == fit.estimate


def test_ratios_are_judged_on_their_logarithm():
    data = study(300, 2)
    data["y"] = (data.y > 0).astype(int)
    fit = cf.fit(FORMULA, data, family="binomial", measure="odds_ratio")
    found = fit.refute(["placebo"], reps=20, seed=1)
    logs = np.log(found.draws("placebo")[:, 0])
    row = found.to_frame().iloc[0]
    assert row["refuted"] == pytest.approx(np.exp(logs.mean()))
    assert row["p.value"] == pytest.approx(stats.ttest_1samp(logs, 0).pvalue)


def test_several_effects_have_a_row_each():
    data = study(240, 3)
    data["arm"] = np.where(data.a == 0, "none", np.where(data.z > 0, "high", "low"))
    fit = cf.fit("y ~ treat(arm, ref = 'none') + adjust(x)", data)
    table = fit.refute(["placebo", "leave_one_out"], reps=10, seed=1).to_frame()
    assert list(table.columns) == ["test", "term", "contrast", "estimate", "refuted", "p.value", "verdict"]
    assert list(table.test) == ["placebo"] * 2 + ["leave_one_out"] * 2
    assert list(table.estimate[:2]) == list(fit.tidy().estimate)


@pytest.mark.parametrize("effect", [2, 0])
@pytest.mark.parametrize("method", ["regression", "ebal", "aipw"])
def test_rounding_is_no_move(data, method, effect):
    tests = ["random_common_cause", "subset", "bootstrap", "leave_one_out"]
    exact = cf.fit(FORMULA, data.assign(y=effect * data.a + 3 * data.x + 1), method)
    found = exact.refute(tests, reps=20, seed=1)
    table = found.to_frame()
    assert list(table["p.value"][:3]) == [1, 1, 1]
    assert list(table.verdict) == ["the effect stays, as it should"] * 3 + ["moves the most without x"]
    left = found.table("leave_one_out").set_index("left.out")["moved.se"]
    assert left["z"] == 0
    assert np.isnan(left["x"])
    # a spread that is small beside the outcome is no rounding yet
    near = cf.fit(FORMULA, data.assign(y=effect * data.a + 3 * data.x + 1e-6 * data.y), method)
    assert 0 < near.refute(["subset"], reps=20, seed=1).to_frame()["p.value"][0] < 1


def test_a_covariate_that_moves_nothing():
    data = panel()
    data["x"] = np.repeat(np.random.default_rng(2).normal(size=60), 6)
    found = cf.fit("y ~ did(a, year >= 2003) + x + cluster(id)", data).refute(["leave_one_out"])
    # every unit has all years, so what is its own for good takes no part in the difference of differences
    assert found.to_frame().verdict[0] == "stays the same without any of them"
    assert found.table("leave_one_out")["moved.se"][0] == 0


def test_the_tables_are_in_the_json(data, fit):
    found = fit.refute(["leave_one_out", "unobserved_confounder"], strengths=[0, 0.2], seed=1)
    tables = json.loads(found.to_json())["tables"]
    left, grid = tables["leave_one_out"], tables["unobserved_confounder"]
    assert [row["left.out"] for row in left] == ["x", "z"]
    assert [row["refuted"] for row in left] == list(found.table("leave_one_out")["refuted"])
    table = found.table("unobserved_confounder")
    assert len(grid) == 4
    assert all(row["refuted"] == table.loc[row["outcome"], row["treatment"]] for row in grid)
    for caption in ("The effect without each covariate", "by its partial R2 with the treatment and the outcome:"):
        assert caption in str(found)


def test_matches_of_the_grid_are_said_to_differ(data, fit):
    matched = cf.fit(FORMULA, data, "nearest")
    found = [each.refute(["unobserved_confounder"], strengths=[0, 0.1], seed=1) for each in (matched, fit)]
    assert ["made anew in each cell" in str(each) for each in found] == [True, False]


def test_verdicts_and_what_the_print_says(fit):
    found = fit.refute(MANY, reps=20, seed=2)
    table = found.to_frame()
    assert list(table.columns) == ["test", "estimate", "refuted", "p.value", "verdict"]
    good = table["p.value"] >= 0.05
    assert (table.verdict.str.contains("as it should") == good).all()
    assert "placebo, random_common_cause, subset, bootstrap and dummy_outcome cannot see an omitted confounder" in str(
        found
    )


def test_a_method_that_makes_effects_of_nothing_is_caught(monkeypatch, fit):
    """The same regression with 0.3 added: a placebo and a dummy outcome show it, a subset cannot."""
    honest = registry.RECORDS["regression"]

    def biased(frame, options):
        found = honest.run(frame, options)
        estimate = dataclasses.replace(found.answer.estimate, theta=found.answer.estimate.theta + 0.3)
        return dataclasses.replace(found, answer=dataclasses.replace(found.answer, estimate=estimate))

    monkeypatch.setitem(registry.RECORDS, "regression", dataclasses.replace(honest, run=biased, vary=None, batch=None))
    again = cf.fit(FORMULA, study())
    table = again.refute(["placebo", "dummy_outcome", "subset"], reps=20, seed=1).to_frame().set_index("test")
    assert (table.loc[["placebo", "dummy_outcome"], "p.value"] < 0.01).all()
    assert "an effect where there is none" in table.verdict["placebo"]
    assert table.loc["subset", "p.value"] > 0.01


@pytest.mark.parametrize("dummy", ["permuted", "simulated"])
@pytest.mark.parametrize("kind", ["numbers", "zero and one", "counts", "text"])
def test_dummy_outcomes_of_every_kind(data, dummy, kind):
    y = {
        "numbers": data.y,
        "zero and one": (data.y > 0).astype(int),
        "counts": data.y.abs().round().astype(int),
        "text": np.where(data.y > 0, "yes", "no"),
    }[kind]
    family = {"numbers": "gaussian", "counts": "poisson"}.get(kind, "binomial")
    fit = cf.fit(FORMULA, data.assign(y=y), family=family)
    row = fit.refute(["dummy_outcome"], reps=10, seed=1, dummy=dummy).to_frame().iloc[0]
    assert abs(row["refuted"]) < 0.3
    assert row["p.value"] > 0.001


# ---- seeds ----------------------------------------------------------------------------------------------------------


class Elsewhere:
    """joblib's door to other processes: what goes through is pickled, and read again."""

    used = 0

    def __init__(self, n_jobs=None):
        Elsewhere.used += 1

    def __call__(self, calls):
        return [pickle.loads(pickle.dumps(function))(*args, **kwargs) for function, args, kwargs in calls]


@pytest.mark.parametrize(("method", "reps"), [("regression", 60), ("ipw", 12), ("nearest", 12)])
def test_the_same_seed_gives_the_same_bytes_at_any_n_jobs(data, monkeypatch, method, reps):
    monkeypatch.setattr(joblib, "Parallel", Elsewhere)
    fit = cf.fit(FORMULA, data, method)
    tests = [test for test in [*MANY, "leave_one_out"] if (method, test) != ("nearest", "bootstrap")]
    alone = fit.refute(tests, reps=reps, seed=7, n_jobs=1)
    before = Elsewhere.used
    shared = fit.refute(tests, reps=reps, seed=7, n_jobs=2)
    assert Elsewhere.used > before
    for test in tests[:-1]:
        assert alone.draws(test).tobytes() == shared.draws(test).tobytes()
    pd.testing.assert_frame_equal(alone.to_frame(), shared.to_frame(), check_exact=True)


@pytest.mark.slow
def test_the_same_bytes_from_processes(data):
    fit = cf.fit(FORMULA, data, "ipw")
    alone, shared = (fit.refute(MANY, reps=60, seed=7, n_jobs=n) for n in (1, 2))
    assert all(alone.draws(test).tobytes() == shared.draws(test).tobytes() for test in MANY)


def test_draws_do_not_depend_on_the_other_tests(fit):
    alone = fit.refute(["subset"], reps=5, seed=1).draws("subset")
    np.testing.assert_array_equal(alone, fit.refute(MANY, reps=5, seed=1).draws("subset"))
    assert not np.array_equal(alone, fit.refute(["subset"], reps=5, seed=2).draws("subset"))


def test_a_drawn_seed_is_reported(fit):
    found = fit.refute(["placebo"], reps=5)
    np.testing.assert_array_equal(
        fit.refute(["placebo"], reps=5, seed=found.seed).draws("placebo"), found.draws("placebo")
    )
    assert f"seed {found.seed}" in str(found)
    alone = fit.refute(["unobserved_confounder"], strengths=[0, 0.1])
    assert f"Seed {alone.seed}" in str(alone)
    assert "eed" not in str(fit.refute(["leave_one_out"])).partition("What each does")[0]


def test_nothing_is_changed(data, fit):
    before, estimate = data.copy(), fit.estimate
    fit.refute(MANY, reps=5, seed=1)
    pd.testing.assert_frame_equal(data, before)
    assert fit.estimate == estimate
