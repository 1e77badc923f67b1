"""A screen: every row is a single fit's, p-values are adjusted and calibrated as by hand, failures are rows."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import registry
from causalformula.inference.calibration import empirical_null

pytestmark = pytest.mark.filterwarnings("ignore")
DRUGS = [f"d{k}" for k in range(6)]
NUMBERS = ["estimate", "std.error", "statistic", "df", "p.value", "conf.low", "conf.high"]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    n = 240
    x = rng.normal(size=(n, 2))
    d = pd.DataFrame(x, columns=["u", "v"]).assign(s=rng.choice(list("pqr"), n), g=np.arange(n) // 4)
    for k, name in enumerate(DRUGS):
        d[name] = (rng.random(n) < 1 / (1 + np.exp(0.5 - 0.6 * x[:, k % 2]))).astype(int)
    d["y"] = x.sum(axis=1) + d["d1"] + rng.normal(size=n)
    d["cost"] = np.exp(0.3 * x[:, 0] + rng.normal(size=n))
    d["ill"] = (rng.random(n) < 1 / (1 + np.exp(-x[:, 1] - d["d2"]))).astype(int)
    d["late"] = d["y"].where(rng.random(n) > 0.1)
    d.loc[d.index[:20], "d4"] = np.nan
    d["never"] = 0
    return d


def same_as(rows, fit) -> None:
    """The very numbers of a single fit."""
    own = fit.tidy()
    for name in ("term", "contrast"):
        assert rows[name].tolist() == own[name].tolist()
    np.testing.assert_array_equal(rows[NUMBERS].to_numpy(dtype=float), own[NUMBERS].to_numpy(dtype=float))


METHODS = [
    ("regression", {}),
    ("regression", {"vcov": "HC3", "interact": True}),
    ("regression", {"vcov": "~g", "ssc": cf.ssc(G_adj=False)}),
    ("ipw", {"estimand": "ATT"}),
    ("ebal", {}),
    ("nearest", {}),
    ("nearest", {"replace": True, "ties": True, "estimand": "ATE"}),
    ("subclass", {"subclass": 3}),
    ("aipw", {}),
    (None, {}),
]


@pytest.mark.parametrize(("method", "given"), METHODS)
def test_every_row_is_a_single_fit(data, method, given):
    """All pairs, with designs that the outcomes of a treatment share, and rows that differ between questions."""
    found = cf.screen(
        "y ~ treat(drug) + adjust(u + v)", data, method, treatments=["d0", "d4"], outcomes=["y", "late", "ill"], **given
    ).tidy()
    assert found[["treatment", "outcome"]].to_numpy().tolist() == [
        [drug, outcome] for drug in ("d0", "d4") for outcome in ("y", "late", "ill")
    ]
    for _, row in found.iterrows():
        fit = cf.fit(f"{row['outcome']} ~ treat({row['treatment']}) + adjust(u + v)", data, method, **given)
        same_as(row.to_frame().T, fit)
        assert row["rows"] == fit.nobs
        assert row["ess"] == fit.design.ess().iloc[-1].min()
        table = fit.design.balance(stats="smd").to_frame()
        adjusted = table["Diff.Adj"].fillna(table["Diff.Un"])
        assert row["balance"] == pytest.approx(adjusted.loc[["u", "v"]].abs().max(), rel=1e-9, abs=1e-9)


def test_several_effects_of_one_treatment(data):
    found = cf.screen("y ~ treat(a) + adjust(u)", data, treatments=["s", "d0"], contrast="pairwise").tidy()
    assert len(found) == 4
    same_as(found.iloc[:3], cf.fit("y ~ treat(s) + adjust(u)", data, contrast="pairwise"))


def test_a_dose_without_covariates_goes_its_own_way(data):
    found = cf.screen("y ~ treat(a)", data, treatments=["u", "d0"]).tidy()
    for k, name in enumerate(["u", "d0"]):
        same_as(found.iloc[[k]], cf.fit(f"y ~ treat({name})", data))


def test_columns_take_the_place_of_one_variable(data):
    found = cf.screen("~ treat(d0, ref = 1) + u", data, outcomes=["y", "cost"]).tidy()
    assert found["contrast"].tolist() == ["0 - 1"] * 2
    logs = cf.screen("log(y) ~ treat(d0) + u", data, outcomes=["cost"]).tidy()
    assert logs["outcome"].tolist() == ["log(cost)"]
    assert logs["estimate"][0] == cf.fit("log(cost) ~ treat(d0) + u", data).estimate
    whole = cf.screen("y ~ treat(factor(a)) + u", data, treatments=["d0"]).tidy()
    assert whole["estimate"][0] == cf.fit("y ~ treat(factor(d0)) + u", data).estimate
    panel = cf.datasets.load("did_panel")
    names = [c for c in panel.columns]
    did = cf.screen("Severity ~ did(a, Post)", panel, treatments=["Drug"]).tidy()
    assert "Drug" in names and did["estimate"][0] == cf.fit("Severity ~ did(Drug, Post)", panel).estimate


def test_a_treatment_among_the_covariates_is_left_out_of_its_own_question_and_said(data):
    found = cf.screen("y ~ treat(drug) + adjust(u + d0 + d1:v)", data, treatments=["d0", "d1", "d2"])
    table = found.tidy()
    for k, formula in enumerate(["u + d1:v", "u + d0", "u + d0 + d1:v"]):
        assert table["estimate"][k] == pytest.approx(
            cf.fit(f"y ~ treat(d{k}) + adjust({formula})", data).estimate, rel=1e-12
        )
    assert table["notes"][0].startswith("d0 is left out of the covariates") and "left out" not in table["notes"][2]
    assert "left out of the covariates where they are what is asked of: d0, d1" in str(found)


def test_the_dot_leaves_out_all_outcomes(data):
    frame = data[["y", "ill", "cost", "u", "d0", "d1"]]
    found = cf.screen("y ~ treat(d0) + .", frame, outcomes=["y", "ill"])
    own = cf.fit("y ~ treat(d0) + .", frame.drop(columns="ill"))
    assert found.tidy()["estimate"][0] == own.estimate
    assert "`.` in the formula leaves out the other outcomes" in str(found)
    both = cf.screen("y ~ treat(a) + .", frame.drop(columns=["ill", "cost"]), treatments=["d0", "d1"])
    assert both.tidy()["estimate"][1] == cf.fit("y ~ treat(d1) + u + d0", frame).estimate
    assert "stands for the other treatments too" in str(both)


def test_a_design_is_made_once_for_the_outcomes_on_its_rows(data, monkeypatch):
    made = []
    original = registry.run_design
    monkeypatch.setattr(registry, "run_design", lambda *given: made.append(given[0].n) or original(*given))
    cf.screen("y ~ treat(a) + u", data, "ipw", treatments=["d0", "d4"], outcomes=["y", "late", "ill", "cost"])
    complete, late = 240, int(data["late"].notna().sum())
    assert made == [complete, late, complete - 20, int((data["late"].notna() & data["d4"].notna()).sum())]


def test_counts_of_trials_share_no_design(data):
    frame = data.assign(a1=1 + data["ill"], b1=2, a2=3, b2=1 + data["ill"])
    with pytest.raises(
        cf.FormulaError, match="each of outcomes= takes the place of one variable, and the left side has"
    ):
        cf.screen("cbind(a1, b1) ~ treat(d0) + u", frame, outcomes=["a1"], family="binomial")
    found = cf.screen("cbind(a, 2) ~ treat(d0) + u", frame, outcomes=["a1", "b2"], family="binomial").tidy()
    assert found["estimate"].tolist() == [
        cf.fit(f"cbind({y}, 2) ~ treat(d0) + u", frame, family="binomial").estimate for y in ("a1", "b2")
    ]


# -- p-values ---------------------------------------------------------------------------------------------------------


def holm(p):
    order, out, m = np.argsort(p), np.empty(len(p)), len(p)
    out[order] = np.minimum(np.maximum.accumulate((m - np.arange(m)) * p[order]), 1)
    return out


def bh(p):
    order, out, m = np.argsort(p), np.empty(len(p)), len(p)
    out[order] = np.minimum(np.minimum.accumulate((m / np.arange(m, 0, -1)) * p[order][::-1])[::-1], 1)
    return out


@pytest.mark.parametrize(("words", "by_hand"), [("holm", holm), ("BH", bh), ("bh", bh)])
def test_adjusted_over_what_has_a_p_value(data, words, by_hand):
    found = cf.screen("y ~ treat(a) + u", data, treatments=[*DRUGS, "never"], adjust=words).tidy()
    assert np.isnan(found["p.adjusted"].iloc[-1])
    np.testing.assert_allclose(found["p.adjusted"][:6], by_hand(found["p.value"][:6].to_numpy()), rtol=1e-12)


def test_romano_wolf_is_that_of_the_fits_together(data):
    found = cf.screen("y ~ treat(a) + u", data, treatments=[*DRUGS, "never"], adjust="Romano-Wolf", seed=3, reps=499)
    fits = [cf.fit(f"y ~ treat({name}) + u", data) for name in DRUGS]
    own = cf.adjust_pvalues(fits, "romano_wolf", seed=3, reps=499)
    np.testing.assert_allclose(found.tidy()["p.adjusted"][:6], own["p.adjusted"], rtol=1e-12)
    assert np.isnan(found.tidy()["p.adjusted"][6]) and found.seed == 3
    assert "questions use different rows" in str(found) and "Romano-Wolf, over 6 effects); seed 3" in str(found)


def test_romano_wolf_takes_clusters_and_rows_of_the_same_label(data):
    twice = data.set_axis(np.zeros(len(data), dtype=int))
    found = cf.screen(
        "y ~ treat(a) + u", twice, treatments=DRUGS[:3], vcov="~g", adjust="romano_wolf", seed=3, reps=299
    )
    fits = [cf.fit(f"y ~ treat({name}) + u", data, vcov="~g") for name in DRUGS[:3]]
    own = cf.adjust_pvalues(fits, "romano_wolf", seed=3, reps=299)
    np.testing.assert_allclose(found.tidy()["p.adjusted"], own["p.adjusted"], rtol=1e-12)
    assert "different rows" not in str(found)


def test_an_effect_without_sampling_variation_leaves_the_others_their_p_values(data):
    asked = {"treatments": [DRUGS[0]], "adjust": "romano_wolf", "seed": 3, "reps": 299, "vcov": "HC0"}
    two = data.assign(same=3.0 * data[DRUGS[0]])
    found = cf.screen("y ~ treat(a)", two, outcomes=["same", "y"], **asked)
    alone = cf.screen("y ~ treat(a)", two, outcomes=["y"], **asked).tidy()["p.adjusted"]
    assert np.isnan(found.tidy()["p.adjusted"][0]) and found.tidy()["p.adjusted"][1] == alone[0]
    assert "over 1 effect)" in str(found)
    assert f"Note: no Romano-Wolf p-value without sampling variation: {DRUGS[0]} on same\n" in f"{found}\n"


def test_where_there_are_no_influences_it_is_said(data):
    found = cf.screen(
        "y ~ treat(a) + u", data, "nearest", treatments=DRUGS[:2], adjust="romano_wolf", replace=True, ties=True
    )
    assert found.tidy()["p.adjusted"].isna().all()
    assert "Note: no Romano-Wolf p-values: " in str(found) and "adjust='holm' needs p-values alone" in str(found)


@pytest.mark.parametrize("measure", ["difference", "odds_ratio"])
def test_p_values_are_calibrated_on_the_working_scale(data, measure):
    family = {"family": "binomial"} if measure == "odds_ratio" else {}
    given = {"treatments": DRUGS[:3], "negative_controls": DRUGS[2:], "measure": measure, **family}
    screened = cf.screen("ill ~ treat(a) + u", data, **given)
    found, controls = screened.tidy(), ["d2", "d3", "d4", "d5"]
    assert found["treatment"].tolist() == DRUGS and found["control"].tolist() == [False, False, *[True] * 4]
    fits = {name: cf.fit(f"ill ~ treat({name}) + u", data, measure=measure, **family) for name in DRUGS}
    x = {name: float(fit.answer.estimate.theta[0]) for name, fit in fits.items()}
    se = {name: float(fit.covariance.std_error[0]) for name, fit in fits.items()}

    def null_of(names):
        return empirical_null(np.array([x[name] for name in names]), np.array([se[name] for name in names]))

    assert screened.nulls == {"ill": null_of(controls)}
    for _, row in found.iterrows():
        name = row["treatment"]
        null = null_of([each for each in controls if each != name])  # a control's own is by the others
        assert row["p.calibrated"] == pytest.approx(null.p_value(x[name], se[name]), rel=1e-12)
    assert found["p.adjusted"].notna().tolist() == [True, True, *[False] * 4]
    np.testing.assert_allclose(found["p.adjusted"][:2], bh(found["p.value"][:2].to_numpy()))
    np.testing.assert_allclose(found["p.calibrated.adjusted"][:2], bh(found["p.calibrated"][:2].to_numpy()))


def test_outcomes_that_are_controls_have_a_null_for_each_treatment(data):
    given = {"treatments": ["d0", "d1"], "outcomes": ["y"], "negative_controls": ["u", "v", "late"]}
    screened = cf.screen("y ~ treat(a)", data, **given)
    assert list(screened.nulls) == ["d0", "d1"] and {null.n for null in screened.nulls.values()} == {3}
    assert len(screened.tidy()) == 8 and screened.tidy()["control"].sum() == 6
    by = cf.screen("y ~ treat(a)", data, treatments=DRUGS, outcomes=["y", "ill"], negative_controls=DRUGS[3:])
    assert list(by.nulls) == ["y", "ill"]


def test_calibrated_p_values_have_their_size_and_others_have_not():
    """Confounding that every drug has in its own measure, and no effect at all."""
    rng = np.random.default_rng(11)
    n, drugs, controls = 400, [f"a{k}" for k in range(60)], [f"c{k}" for k in range(60)]
    hidden = rng.normal(size=n)
    columns = {
        name: (rng.random(n) < 1 / (1 + np.exp(-rng.normal(0.5, 0.3) * hidden))).astype(int)
        for name in drugs + controls
    }
    frame = pd.DataFrame({**columns, "y": hidden + rng.normal(size=n)})
    found = cf.screen("y ~ treat(a)", frame, treatments=drugs, negative_controls=controls).tidy()
    own = found[~found["control"]]
    assert (own["p.value"] < 0.05).mean() > 0.5
    assert (own["p.calibrated"] < 0.05).mean() < 0.15 and 0.3 < own["p.calibrated"].mean() < 0.7


# -- what is said, and what fails -------------------------------------------------------------------------------------


def test_few_controls_and_no_spread_are_said(data):
    text = str(cf.screen("y ~ treat(a) + u + v", data, treatments=DRUGS, negative_controls=DRUGS[4:]))
    assert "Systematic error, by 2 negative controls" in text
    assert "count it as known: with fewer than 10 they are too small" in text
    same = data.assign(c0=data["d0"], c1=data["d0"])
    found = cf.screen("y ~ treat(a) + u", same, treatments=["d1"], negative_controls=["c0", "c1"])
    assert found.nulls[
        "y"
    ].sd == 0 and "vary no more than by chance: the systematic error's sd is estimated as 0" in str(found)


def test_scales_that_have_no_error_in_common_are_said(data):
    frame = data.assign(big=100 * data["y"], c0=data["u"], c1=data["v"])
    text = str(cf.screen("y ~ treat(d0)", frame, outcomes=["big"], negative_controls=["c0", "c1"]))
    assert "the outcomes are on scales up to" in text and "bring them to one scale" in text
    assert "on scales" not in str(cf.screen("y ~ treat(d0)", frame, outcomes=["y"], negative_controls=["c0", "c1"]))


def test_controls_that_fail_leave_no_calibration(data):
    frame = data.assign(n1=0)
    found = cf.screen("y ~ treat(a)", frame, treatments=["d0"], negative_controls=["never", "n1"])
    assert not found.nulls and found.tidy()["p.calibrated"].isna().all()
    assert "no calibration for y: fewer than two negative controls have an estimate" in str(found)


def test_failures_are_rows_with_their_message(data):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = cf.screen("y ~ treat(a) + u", data, treatments=["never", "d0"])
    table = found.tidy()
    assert table["error"][0].startswith("the treatment 'never' has only '0'") and table["error"][1] == ""
    assert np.isnan(table["estimate"][0]) and table["estimate"][1] == cf.fit("y ~ treat(d0) + u", data).estimate
    assert list(found.errors) == [("never", "y")]
    assert "1 question without an estimate (see error):\n  never: the treatment" in str(found)
    (message,) = [str(each.message) for each in heard]
    assert message.startswith("1 of 2 questions has no estimate; the first, never on y: the treatment")


def test_an_error_that_is_not_ours_is_a_row_too(data):
    def fragile(x):
        if x[0] > 0:
            raise ZeroDivisionError("no luck")
        return x

    frame = data.assign(good=-np.abs(data["y"]), bad=np.abs(data["y"]))
    found = cf.screen("f(y) ~ treat(d0) + u", frame, outcomes=["good", "bad"], env={"f": fragile}).tidy()
    assert found["error"][0] == "" and "no luck" in found["error"][1]


def test_where_all_fail_the_first_error_is_raised(data):
    with pytest.raises(cf.DataError, match="the treatment 'never' has only '0'"):
        cf.screen("y ~ treat(a) + u", data.assign(again=0), treatments=["never", "again"])


def test_weak_overlap_is_flagged_where_it_is_looked_at(data):
    rng = np.random.default_rng(0)
    frame = data.assign(sure=(data["u"] + 0.2 * rng.normal(size=240) > 0).astype(int))
    found = cf.screen("y ~ treat(a) + u", frame, "ipw", treatments=["d0", "sure"])
    assert found.tidy()["overlap"].tolist() == ["ok", "weak"]
    assert "weak overlap in 1 row: sure" in str(found)
    plain = cf.screen("y ~ treat(a) + u", frame, treatments=["d0", "sure"])
    assert plain.tidy()["overlap"].tolist() == ["", ""]
    assert "Balance is that of the data, which method regression does not weight" in str(plain)


def test_events_and_rows(data):
    screened = cf.screen("ill ~ treat(a) + u", data, treatments=["d0", "d4"])
    assert "\nRows: 220 to 240 by question, without up to 20 where values are missing\n" in str(screened)
    matched = cf.screen("ill ~ treat(a) + u", data, "nearest", treatments=["d0", "d1"])
    assert " by question\n" in str(matched) and "missing" not in str(matched)
    found = screened.tidy()
    assert found["events"].tolist() == [data["ill"].sum(), data["ill"][20:].sum()] and found["rows"].tolist() == [
        240,
        220,
    ]
    assert cf.screen("y ~ treat(a)", data, treatments=["d0"]).tidy()["events"].isna().all()
