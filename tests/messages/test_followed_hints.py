"""What a message says to write can be written: names in backquotes where they need them, advice that is not refused."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import causalformula as cf


@pytest.fixture
def data() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    n = 120
    d = pd.DataFrame({"x": rng.normal(size=n), "a": np.arange(n) % 2, "my post": np.arange(n) // 2 % 2})
    d = d.assign(**{"my a": d["a"], "f g": rng.choice(list("rst"), n), "z 1": d["x"], "my t": np.arange(n) // 3 % 3})
    d["text"] = d["x"].abs().round(2).astype(str)
    d["dated"] = pd.Categorical(d["text"])
    d["words"] = d["f g"]
    return d.assign(y=d["a"] + d["x"] + rng.normal(size=n))


def message(run, *args, **options) -> str:
    with pytest.raises(cf.CausalFormulaError) as caught:
        run(*args, **options)
    return str(caught.value)


def test_did_names_its_variables_as_the_formula_has_them(data):
    assert 'did(`f g` == "...", `my post`)' in message(cf.fit, "y ~ did(`f g`, `my post`)", data)
    assert "did(`my t` == ..., `my post`)" in message(cf.fit, "y ~ did(`my t`, `my post`)", data)
    assert "did(`my a`, `my t` > ...)" in message(cf.fit, "y ~ did(`my a`, `my t`)", data)
    swapped = message(cf.fit, "y ~ did(`my t`, `my post`)", data)
    assert "write did(`my post`, `my t`)" in swapped
    for formula in (
        'y ~ did(`f g` == "r", `my post`)',
        "y ~ did(`my t` == 1, `my post`)",
        "y ~ did(`my a`, `my t` > 1)",
    ):
        assert np.isfinite(cf.fit(formula, data).estimate)
    late = data.assign(w=np.where(data["my post"] == 1, "after", "before"))
    backwards = message(cf.fit, "y ~ did(`my a`, paste0(w))", late)
    assert 'Write did(..., paste0(w) == "after")' in backwards
    assert np.isfinite(cf.fit('y ~ did(`my a`, paste0(w) == "after")', late).estimate)


def test_a_modifier_is_offered_in_backquotes(data):
    said = str(cf.fit("y ~ treat(a) + `f g`", data).by("f g"))
    assert "write modify(`f g`)" in said
    assert "write modify" not in str(cf.fit("y ~ treat(a) + modify(`f g`)", data).by("f g"))


@pytest.mark.parametrize(
    ("formula", "name"),
    [("y ~ treat(a) + z 1", "z 1"), ("y ~ treat(my a)", "my a"), ("y ~ treat(a) + adjust(z 1 + x)", "z 1"),
     ("y ~ did(my a, my post)", "my a"), ("y ~ treat(a) + weights(my long name)", "my long name")],
)  # fmt: skip
def test_a_name_with_a_space_is_offered_in_backquotes(data, formula, name):
    assert f"a column's name is to stand in backquotes: `{name}`" in message(cf.fit, formula, data)


def test_the_treatment_once_more(data):
    said = message(cf.fit, "y ~ treat(`my a`) + adjust(`my a`)", data)
    assert "treat(cut(`my a`, 3)) or treat(factor(`my a`))" in said
    assert np.isfinite(cf.fit("y ~ treat(factor(`my a`))", data).estimate)


@pytest.mark.parametrize("term", ["+ a", "+ a:x", "* x"])
def test_did_offers_nothing_that_it_refuses(data, term):
    said = message(cf.fit, f"y ~ did(a, `my post`) {term}", data)
    assert not re.search(r"modify|treat\(", said)
    assert 'subset="x > 0"' in said
    assert np.isfinite(cf.fit("y ~ did(a, `my post`)", data, subset="x > 0").estimate)


def test_a_covariate_that_is_the_product_is_named_and_no_empty_arm(data):
    data["q4"] = data["a"] * data["x"]
    said = message(cf.fit, "y ~ treat(a) + modify(x) + q4", data)
    assert "Drop q4" in said
    assert "no such units" not in said
    data["level"] = np.where((data["a"] == 1) & (data["f g"] == "r"), "s", data["f g"])
    assert "An arm has no such units" in message(cf.fit, "y ~ treat(a) + modify(level)", data)


@pytest.mark.parametrize(
    ("call", "read"),
    [("log(text)", "as.numeric(text)"), ("poly(text, 2)", "as.numeric(text)"), ("I(2 * text)", "as.numeric(text)"),
     ("log(trimws(text))", "as.numeric(trimws(text))"), ("exp(dated)", "as.numeric(as.character(dated))")],
)  # fmt: skip
def test_text_where_a_number_is_needed_is_named(data, call, read):
    said = message(cf.lm, f"y ~ {call}", data)
    assert f"; {read} turns it into one" in said
    column = re.search(r"trimws\(text\)|text|dated", call)[0]
    assert np.isfinite(cf.lm(f"y ~ {call.replace(column, read)}".replace("log(", "log1p("), data).coef.iloc[1])


@pytest.mark.parametrize("call", ["rev(words)", "scale(words)", "I(words - 1)", "log(`f g`)"])
def test_words_are_not_said_to_become_numbers(data, call):
    said = message(cf.lm, f"y ~ {call}", data)
    assert "is a string" in said
    assert "as.numeric" not in said
