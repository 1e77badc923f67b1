"""Why an effect is not identified: only the terms that matter, and what to do."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import refits, registry
from causalformula.backends.fit import Query


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 150
    d = pd.DataFrame({"x": rng.normal(size=n), "a": np.arange(n) % 2})
    d["f"] = np.array(["lo", "mid", "hi"])[rng.integers(0, 3, n)]
    return d.assign(y=d["x"] + d["a"] + rng.normal(size=n), twin=1 - d["a"], double=2 * d["x"])


def message(formula, data, kind=cf.IdentificationError, **options) -> str:
    with pytest.raises(cf.CausalFormulaError) as caught:
        cf.fit(formula, data, **options)
    assert type(caught.value) is kind
    return str(caught.value)


def test_an_arm_without_a_level(data):
    text = message("y ~ treat(a) + modify(f)", data[(data["a"] == 0) | (data["f"] != "lo")])
    assert "a:flo is zero in every row (no row of positive weight has a = 1 and f = lo)" in text
    assert "drop that term from modify(...)" in text
    assert "estimand='ATT'" in text


def test_a_level_that_is_all_treated(data):
    text = message("y ~ treat(a) + modify(f)", data[(data["a"] == 1) | (data["f"] != "lo")])
    assert "a:flo = a combination of flo" in text
    assert "estimand='ATC'" in text


@pytest.mark.parametrize(("estimand", "arm"), [("ATT", 0), ("ATC", 1)])
def test_the_estimand_that_is_advised_is_identified(data, estimand, arm):
    """Over units of the arm that lacks the level, the effect is that without the level's rows."""
    kept = data[(data["a"] == arm) | (data["f"] != "lo")]
    found = cf.fit("y ~ treat(a) + modify(f)", kept, estimand=estimand).estimate
    without = cf.fit("y ~ treat(a) + modify(f)", kept[kept["f"] != "lo"], estimand=estimand).estimate
    assert found == pytest.approx(without, rel=1e-10)


def test_terms_that_do_not_matter_are_not_named(data):
    text = message("y ~ treat(a) + adjust(x + double + twin)", data)
    assert "twin = a combination of (Intercept), a." in text
    assert "double" not in text


def test_columns_of_a_tiny_scale_are_named(data):
    text = message("y ~ treat(a) + adjust(I(twin * 1e-12))", data)
    assert "I(twin * 1e-12) = a combination of (Intercept), a." in text


def test_numbers_that_were_read_as_text(data):
    text = message("y ~ treat(a) + adjust(s)", data.assign(s=data["x"].astype(str)))
    assert text.endswith("s is text with 150 distinct values, each a level of its own; convert it to numbers")
    assert len(text) < 700
    assert "is text" not in message("y ~ treat(a) + adjust(f + twin)", data)


def test_an_arm_without_weight(data):
    text = message("y ~ treat(a) + x + weights(a)", data, cf.DataError)
    assert "no row of positive weight has a = 0" in text
    text = message("y ~ treat(f) + x + weights(w)", data.assign(w=(data["f"] != "mid") * 1.0), cf.DataError)
    assert "f = mid" in text


# -- experiments ---------------------------------------------------------------------------------------------------


def test_an_arm_of_one_unit(data):
    one = data.assign(a=(data.index == 3).astype(int))
    text = message("y ~ treat(a)", one, cf.DataError)
    assert re.search(r"a single unit leaves no variance to estimate, in a = 1; every arm needs at least two", text)


def test_blocks_with_an_arm_of_one_unit(data):
    three = data.assign(a=(data.index % 3 == 0).astype(int), block=data.index // 3)
    text = message("y ~ treat(a) + strata(block)", three, cf.DataError)
    assert "block 0: a = 1, block 1: a = 1" in text
    assert "and 40 more; every arm of every block needs at least two" in text
    # as in estimatr, one block of two makes it a design of pairs, whose variance is that between blocks
    mixed = three.assign(block=np.where(data.index >= 149, 48, three["block"])).iloc[:149]
    with pytest.warns(cf.CausalFormulaWarning, match="matched pairs"):
        assert cf.fit("y ~ treat(a) + strata(block)", mixed).std_error > 0


@pytest.mark.parametrize("vcov", ["CR2 ~ town", "CR3 ~ town"])
def test_an_arm_of_one_cluster(data, vcov):
    one = data.assign(town=data.index // 10, a=(data.index // 10 == 2).astype(int))
    text = message("y ~ treat(a) + cluster(town)", one, cf.DataError)
    assert "a single cluster of town leaves no variance to estimate, in a = 1" in text
    for formula in ("y ~ treat(a)", "y ~ treat(a) + x"):
        text = message(formula, one, cf.DataError, vcov=vcov)
        assert "all rows with a = 1 are in one cluster of town" in text


# -- arms that the covariates tell apart -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def apart() -> pd.DataFrame:
    rng = np.random.default_rng(7)
    n = 240
    d = pd.DataFrame(
        {"x": rng.normal(size=n), "z": rng.normal(size=n), "g": np.array(list("abc"))[rng.integers(0, 3, n)]}
    )
    d["a"] = (rng.random(n) < 1 / (1 + np.exp(-d["x"]))).astype(int)
    d["alone"], d["both"] = (d["x"] > 0).astype(int), (d["x"] + d["z"] > 0).astype(int)
    d["level"] = np.where(d["g"] == "b", 1, d["a"])
    d["far"] = np.where(d["x"] > 1, 1, np.where(rng.random(n) < 0.5, 1, 0))
    d["three"] = np.where(d["x"] > 0.5, "two", np.where(rng.random(n) < 0.5, "one", "zero"))
    d["three_level"] = np.where(d["g"] == "b", "two", np.array(["zero", "one", "two"])[rng.integers(0, 3, n)])
    return d.assign(y=d["x"] + d["a"] + rng.normal(size=n))


@pytest.mark.parametrize("method", ["ipw", "subclass"])
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_complete_separation_names_its_covariate(apart, method, link):
    text = message("y ~ treat(alone) + adjust(z + x)", apart, method=method, link=link)
    assert text.startswith("'x' predicts 'alone' perfectly (complete separation)")
    assert "Drop what determines the treatment" in text
    text = message("y ~ treat(both) + adjust(x + z)", apart, method=method, link=link)
    assert text.startswith("'x', 'z' together predict 'both' perfectly")


def test_complete_separation_of_one_of_several_levels(apart):
    text = message("y ~ treat(three, ref = 'zero') + adjust(z + x)", apart, method="ipw")
    assert text.startswith("'x' predicts three = two perfectly")


@pytest.mark.parametrize("method", ["ebal", "cbps", "ipt"])
def test_balancing_methods_name_what_they_cannot_balance(apart, method):
    assert "furthest off: x" in message("y ~ treat(alone) + adjust(x)", apart, cf.ConvergenceError, method=method)


@pytest.mark.parametrize(
    ("treatment", "why"),
    [
        ("level", "no row with level = 0 has g = b"),
        ("three_level, ref = 'zero'", "no row with three_level = zero, one has g = b"),
    ],
)
def test_quasi_separation_names_the_level_and_what_to_do(apart, treatment, why):
    with pytest.warns(cf.CausalFormulaWarning) as caught:
        fit = cf.fit(f"y ~ treat({treatment}) + adjust(x + g)", apart, "ipw")
    (text,) = [str(w.message) for w in caught if "numerically" in str(w.message)]
    assert why in text and "merge levels, leave these rows out (subset=)" in text
    assert why in str(fit)


@pytest.mark.parametrize("size", [1, 3, 10, 20])
def test_a_small_group_in_one_arm_is_named_too(apart, size):
    """However far the iterations went on their way to an infinite coefficient."""
    k = np.zeros(len(apart))
    k[np.flatnonzero(apart["a"] == 1)[:size]] = 1
    with pytest.warns(
        cf.CausalFormulaWarning, match=rf"^{size if size > 1 else 'one'} fitted .* no row with a = 0 has k = 1"
    ):
        cf.fit("y ~ treat(a) + adjust(x + k)", apart.assign(k=k), "ipw")


@pytest.mark.parametrize("method", ["ipw", "ebal"])
def test_a_single_row_of_an_arm_leaves_no_variance(apart, method):
    one = apart[(apart["a"] == 0) | (apart.index == apart.index[apart["a"] == 1][0])]
    text = message("y ~ treat(a) + adjust(x)", one, cf.DataError, method=method, estimand="ATT")
    assert "has all the weight of a = 1; a single unit leaves no variance" in text


def test_a_replicate_is_refused_only_where_a_fit_is(apart):
    """Quasi-separated samples are fitted, with a note: so are their resamples, and by the same numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cf.fit("y ~ treat(level) + adjust(x + g)", apart, "ipw", vcov=cf.Bootstrap(99, seed=1))
    assert len(fit.covariance.draws) == 99
    drawn = np.random.default_rng(1).integers(0, len(apart), len(apart))
    counts = np.bincount(drawn, minlength=len(apart)).astype(float)
    call = fit.call
    batch = refits.replicates(counts[None], frame=call.frame, options=call.options, query=Query())
    whole = registry.run(call.frame.reweight(counts), call.options).estimate.theta
    np.testing.assert_allclose(batch[0], whole, rtol=1e-6)


@pytest.mark.parametrize(
    ("link", "terms"), [("logit", "x * z"), ("probit", "x * z"), ("cloglog", "x * z"), ("cauchit", "x")]
)
def test_replicates_are_the_fits_of_their_resamples(link, terms):
    """A rare level that only one arm has, in an interaction: every resample has a fit, and the batch finds it."""
    rng = np.random.default_rng(12)
    n = 200
    data = pd.DataFrame({"x": rng.normal(size=n), "z": np.where(np.arange(n) < 5, "rare", "usual")})
    data["a"] = np.where(data["z"] == "rare", 1, (rng.random(n) < 1 / (1 + np.exp(-data["x"]))).astype(int))
    data["y"] = data["x"] + data["a"] + rng.normal(size=n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cf.fit(f"y ~ treat(a) + adjust({terms})", data, "ipw", link=link)
        call = fit.call
        W = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(12)]).astype(float)
        batch = refits.replicates(W, frame=call.frame, options=call.options, query=Query())[:, 0]
        whole = [registry.run(call.frame.reweight(w), call.options).estimate.theta[0] for w in W]
    np.testing.assert_allclose(batch, whole, rtol=1e-5)


def test_a_bootstrap_that_fails_says_why(apart):
    rare = apart.assign(r=(np.arange(len(apart)) < 2).astype(int))
    with pytest.raises(
        cf.ConvergenceError, match=r"replicates failed .*The first failed because: no weights balance these covariates"
    ):
        cf.fit("y ~ treat(r) + adjust(z)", rare, "ebal", vcov=cf.Bootstrap(99, seed=1))


STRAINED = r"given the other terms c all but determines {}: .*\(variance inflation ([^)]+)\)"


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ treat(a) + {} + x", {}),
        ("y ~ treat(a) + modify({} + x)", {}),
        ("y ~ treat(t) + {} + x", {}),
        ("I(y > 0) ~ treat(a) + {} + x", {"family": "binomial"}),
        ("y ~ treat(a) + x + outcome({})", {"method": "ipw"}),
        ("y ~ treat(a) + x + outcome({})", {"method": "ebal"}),
        ("y ~ treat(a) + x + outcome({})", {"method": "subclass"}),
    ],
)
def test_a_control_that_all_but_determines_the_treatment(apart, formula, options):
    """1 / (1 - R^2) of the treatment on the control, given the other terms, in every regression."""
    rng = np.random.default_rng(3)
    data = apart.assign(t=apart["x"] + rng.normal(size=len(apart)), u=rng.normal(size=len(apart)))
    treatment = "t" if "(t)" in formula else "a"
    data["c"], data["weak"] = data[treatment] + 0.01 * data["u"], data[treatment] + data["u"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = re.search(STRAINED.format(treatment), str(cf.fit(formula.format("c"), data, **options)))
        assert found is not None
        assert "all but determines" not in str(cf.fit(formula.format("weak"), data, **options))
    if not options and "modify" not in formula:
        # by R^2 of two regressions, without any covariance
        left = [cf.lm(f"{treatment} ~ x{more}", data).deviance for more in ("", " + c")]
        assert float(found[1]) == pytest.approx(left[0] / left[1], rel=0.05)


def test_an_effect_that_is_not_identified_names_what_to_drop(apart):
    data = apart.assign(h=apart["a"] + apart["x"])
    assert "Drop h or x, or use" in message("y ~ treat(a) + h + x", data)
    assert "Drop h, or use" in message("y ~ treat(a) + h", data.assign(h=2 * data["a"]))
