"""Why an effect is not identified: only the terms that matter, and what to do."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import causalformula as cf


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
