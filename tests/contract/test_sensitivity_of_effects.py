"""What ``sensitivity("rosenbaum" | "marginal" | "oster" | "tipping")`` and ``cf.rosenbaum`` give: page and picture."""

from __future__ import annotations

import pickle

import matplotlib
import numpy as np
import pandas as pd
import pytest

import causalformula as cf

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

F = "y ~ treat(a) + adjust(x)"


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=200)
    a = (rng.random(200) < 1 / (1 + np.exp(1 - x))).astype(int)
    y = 2 * a + x + rng.normal(size=200)
    return pd.DataFrame({"y": y, "a": a, "x": x, "b": (y > 1).astype(int)})


@pytest.fixture(scope="module")
def pages(data):
    matched = cf.fit(F, data, method="nearest", caliper=0.5)
    linear = cf.fit(F, data)
    return {
        "rosenbaum": matched.sensitivity("rosenbaum"),
        "marginal": cf.fit(F, data, method="ipw").sensitivity("marginal", reps=40),
        "oster": linear.sensitivity("oster"),
        "tipping": linear.sensitivity("tipping"),
    }


KINDS = ("rosenbaum", "marginal", "oster", "tipping")


@pytest.mark.parametrize("kind", KINDS)
def test_a_page(pages, kind):
    page = pages[kind]
    text = str(page)
    assert len(page.tidy())
    assert " ".join(page.sentence.split()) in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 165
    assert "<table" in page._repr_html_()


@pytest.mark.parametrize("kind", ("rosenbaum", "marginal", "oster", "tipping"))
def test_a_picture(pages, kind):
    ax = plt.figure().add_subplot()
    assert pages[kind].plot(ax=ax) is ax
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    assert ax.get_legend() is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_pickled(pages, kind):
    again = pickle.loads(pickle.dumps(pages[kind]))
    pd.testing.assert_frame_equal(again.tidy(), pages[kind].tidy())


def test_what_is_picked(data):
    assert type(cf.fit(F, data, method="nearest").sensitivity()).__name__ == "RosenbaumBounds"
    assert type(cf.fit(F, data, method="ebal", estimand="ATT").sensitivity(reps=0)).__name__ == "MarginalBounds"
    assert type(cf.fit(F, data, method="aipw").sensitivity(reps=0)).__name__ == "MarginalBounds"
    assert type(cf.fit(F, data).sensitivity()).__name__ == "LinearSensitivity"


def test_the_frames(pages):
    assert list(pages["rosenbaum"].tidy()) == [
        "gamma", "p.value.low", "p.value.high", "estimate.low", "estimate.high", "conf.low", "conf.high"
    ]  # fmt: skip
    assert list(pages["marginal"].tidy()) == [
        "term", "contrast", "gamma", "estimate.low", "estimate.high", "conf.low", "conf.high"
    ]  # fmt: skip
    assert list(pages["tipping"].tidy()) == [
        "term", "contrast", "tipped", "effect_observed", "exposure_confounder_effect", "confounder_outcome_effect",
        "effect_adjusted", "n_unmeasured_confounders",
    ]  # fmt: skip
    assert len(pages["oster"].tidy()) == 1


def test_sentences(pages, data):
    assert "explain the estimate" in pages["marginal"].sentence
    assert f"a factor of {pages['rosenbaum'].breakdown:.4g} or more" in pages["rosenbaum"].sentence
    assert "its mean differs by 0.5 sd" in pages["tipping"].sentence
    assert "selection on unobserved confounders must be" in pages["oster"].sentence
    none = cf.rosenbaum([1, 2, 3], [2, 1, 4])
    assert none.sentence.startswith("Already without hidden bias there is no evidence")
    both = cf.fit(F, data).sensitivity("tipping", prevalence=(0.6, 0.2), outcome=1.0)
    assert both.sentence.startswith("If 60% of the treated and 20% of the controls have it and it changes y by 1, ")
    never = cf.fit(F, data).sensitivity("tipping", prevalence=0.9, outcome=0.1)
    assert never.sentence == f"No such confounder explains the estimate of {never.observed[0].estimate:.4g} away."
    # a confounder that half of the controls have can tip the limit alone
    slope = 2 * cf.fit(F, data).tidy()["conf.low"][0] + 0.01
    half = cf.fit(F, data).sensitivity("tipping", prevalence=0.5, outcome=slope)
    assert half.sentence.startswith("No such confounder explains the estimate")
    assert "away. One takes the 95% interval to 0 if " in half.sentence
    dose = cf.fit("y ~ treat(x) + adjust(a)", data).sensitivity("tipping")
    assert "differs by 0.5 sd between the doses that are compared" in dose.sentence and "arms" not in str(dose)
    binary = cf.fit("b ~ treat(a) + adjust(x)", data, family="binomial", measure="ratio").sensitivity("tipping")
    assert "multiplies the mean of b" in binary.sentence


def test_pictures_of_the_two_kinds_of_rosenbaum_bounds(pages, data):
    assert "Effect" in pages["rosenbaum"].plot("estimate").get_ylabel()
    binary = cf.rosenbaum(data["b"][:50], data["b"][50:100])
    with pytest.raises(cf.CapabilityError, match="draw kind='p_value'"):
        binary.plot("estimate")
    assert binary.plot().get_ylabel().startswith("p-value")


def test_a_picture_of_shares_and_ratios(data):
    fit = cf.fit("b ~ treat(a) + adjust(x)", data, family="binomial", measure="ratio")
    ax = fit.sensitivity("tipping", prevalence=(0.6, 0.2)).plot()
    assert "share beyond the controls' 20%" in ax.get_xlabel()
    # the least imbalance that is asked about takes a ratio of thousands, which leaves the rest on the floor
    assert fit.sensitivity("tipping").plot().get_ylim()[1] < 50


def test_notes(data):
    assert "quantiles of the outcome are fitted with" in str(
        cf.fit("y ~ treat(a) + adjust(poly(x, 9))", data, method="ipw").sensitivity("marginal", reps=0)
    )
    near, far = (cf.fit(F, data, method="ipw").sensitivity("marginal", gamma=g, reps=0, sharp=True) for g in (1.2, 500))
    assert "too few of an arm's" in str(far)
    assert ("too few" in str(near)) == (near.breakdown > min(data["a"].sum(), 200 - data["a"].sum()) / 2 - 1)
    assert "too few" not in str(cf.fit(F, data, method="ipw").sensitivity("marginal", gamma=500, reps=0, sharp=False))
    assert "approximation is rough in 3 pairs that differ" in str(cf.rosenbaum([1.5, 2, 3], [1, 1, 1]))
    assert "rough" not in str(cf.rosenbaum(np.arange(1.0, 25), np.zeros(24)))
    weighted = cf.fit(F + " + weights(w)", data.assign(w=1.5), method="nearest")
    assert "sampling weights have no part" in str(weighted.sensitivity("rosenbaum"))
    adjusted = cf.fit(F + " + outcome(x)", data, method="nearest")
    assert "as they are" in str(adjusted.sensitivity("rosenbaum"))


@pytest.mark.parametrize("method", ["regression", "nearest", "ipw", "dml"])
@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
def test_rows_that_are_left_out_are_told(data, method):
    some = data.assign(x=data["x"].where(data.index > 2))
    page = cf.fit(F, some, method=method).sensitivity(**({"reps": 0} if method == "ipw" else {}))
    assert str(page).count("Note: 3 observations deleted due to missingness: x: 3") == 1
    assert "missingness" not in str(cf.fit(F, data, method=method).sensitivity("evalue"))
    assert "3 observations deleted" in str(cf.lm("y ~ a + x", some).sensitivity("a"))


REFUSED = [
    ("rosenbaum", {"method": "ipw"}, "method='nearest' makes some"),
    ("rosenbaum", {"method": "nearest", "replace": True}, "leave out replace=True"),
    ("rosenbaum", {"method": "nearest", "ratio": 2}, "'nearest' with ratio=1"),
    ("marginal", {"method": "regression"}, "method='ipw', 'aipw'"),
    ("marginal", {"method": "ipw", "estimand": "ATO"}, "are no inverse probabilities"),
    ("marginal", {"method": "ebal"}, "it is of the ATT and ATC"),
    ("marginal", {"method": "ipw", "trim": 0.9}, "trim= moves"),
    ("marginal", {"method": "ipw", "measure": "nnt"}, "use measure='difference'"),
    ("oster", {"method": "ipw"}, "method='regression'"),
    ("oster", {"measure": "ratio"}, "method='regression'"),
    ("tipping", {"measure": "nnt"}, "use measure='difference'"),
]


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
@pytest.mark.parametrize(("kind", "options", "words"), REFUSED)
def test_where_there_is_none(data, kind, options, words):
    outcome = data["b"] if options.get("measure") == "nnt" else data["y"] + 9
    fit = cf.fit("y ~ treat(a) + adjust(x)", data.assign(y=outcome), **options)
    with pytest.raises(cf.CapabilityError, match=words):
        fit.sensitivity(kind)


def test_what_makes_no_sense(data):
    fit, one, zero = cf.fit(F, data), [1.0, 2.0], [0.0, 1.0]
    for options, words in (
        ({"imbalance": 0.5, "prevalence": (0.5, 0.2)}, "give one of them"),
        ({"imbalance": 0}, "a number other than 0"),
        ({"prevalence": (0.5, 0.5)}, "a pair of different shares"),
        ({"prevalence": 0.5}, "give outcome= too"),
    ):
        with pytest.raises(cf.OptionError, match=words):
            fit.sensitivity("tipping", **options)
    with pytest.raises(cf.OptionError, match="here doses are compared"):
        cf.fit("y ~ treat(x) + adjust(a)", data).sensitivity("tipping", prevalence=(0.4, 0.2))
    with pytest.raises(cf.OptionError, match="to 1"):
        fit.sensitivity("oster", rmax=0.01)
    with pytest.raises(cf.OptionError, match="a number from 1"):
        cf.rosenbaum(one, zero, gamma=0.5)
    with pytest.raises(cf.DataError, match="2 treated and 1 control"):
        cf.rosenbaum(one, [1.0])
    with pytest.raises(cf.DataError, match="1 missing or infinite value"):
        cf.rosenbaum(one, [np.nan, 1.0])
    with pytest.raises(cf.DataError, match="there are no pairs"):
        cf.rosenbaum(np.empty(0), np.empty(0))
    ratio = cf.fit("b ~ treat(a) + adjust(x)", data, family="binomial", measure="ratio")
    with pytest.raises(cf.OptionError, match="above 0"):
        ratio.sensitivity("tipping", outcome=-2.0)
