"""Nonsense for every option: a plain message of the package, never the traceback of something beneath it."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
import causalformula.verbs  # files the methods' records
from causalformula.backends import registry

F = "y ~ treat(a) + adjust(x)"


class Junk:
    """What no option takes."""


NONSENSE: dict[str, Any] = {
    "none": None,
    "number": 3.7,
    "negative": -4,
    "huge": 10**400,
    "nan": float("nan"),
    "inf": float("inf"),
    "true": True,
    "text": "nonsense",
    "empty text": "",
    "bytes": b"x",
    "empty list": [],
    "list": ["a", 1],
    "nested": [[1], [2, 3]],
    "set": {1, 2},
    "mapping": {"a": 1},
    "array": np.array([1.0, 2.0]),
    "texts": np.array(["a", "b"]),
    "series": pd.Series([True, False]),
    "frame": pd.DataFrame({"a": [1, 2]}),
    "NA": pd.NA,
    "NaT": pd.NaT,
    "complex": 1j,
    "object": Junk(),
    "class": Junk,
    "function": len,
}
# Types whose sense only the data tell; None asks for nothing where it is the default.
LEVEL = (str, float, int)
FLAGS = (
    "improved",
    "dimension_adj",
    "stabilize",
    "interact",
    "over",
    "int",
    "replace",
    "std_caliper",
    "k2k",
    "target_gwt",
    "allow_unbalanced_panel",
    "normalized",
    "locally_efficient",
    "event_study",
    "pretrends",
)
COLUMNS = ("ps", "by", "base_weights", "distance", "unit_id", "exact", "antiexact", "mahvars", "mediators")
LOOSE: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(FLAGS, (bool,)),
    **dict.fromkeys(COLUMNS, (str,)),
    **dict.fromkeys(("lambda_", "tols", "fuller", "k"), (float, int)),
    "reuse_max": (int,),
    "caliper": (float, int, dict),
    "anticipation": (float,),
    "cutpoints": (dict, np.ndarray),
    "focal": LEVEL,
    "folds": (str, np.ndarray, pd.DataFrame),  # a column, or the folds themselves
    "contrast": (*LEVEL, list),
}
QUESTION = (
    "outcome",
    "estimand",
    "contrast",
    "measure",
    "family",
    "vcov",
    "subset",
    "na_action",
    "contrasts",
    "env",
    "dag",
    "strict",
)
# What a design has no use for.
OF_FITS = ("outcome", "vcov", "dag", "strict")


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    x = rng.normal(size=60)
    a = (rng.random(60) < 1 / (1 + np.exp(-x))).astype(int)
    return pd.DataFrame({"x": x, "a": a, "q": x + rng.normal(size=60), "y": a + x + rng.normal(size=60)})


def refused(verb: Any, *args: Any, **options: Any) -> bool:
    """Whether a call raises an error of the package, with a short text; any other error fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            verb(*args, **options)
        except cf.CausalFormulaError as error:
            assert 0 < len(str(error)) < 1500, str(error)
            assert "traceback" not in str(error).lower()
            return True
    return False


OPTIONS = [(record.name, field) for record in registry.methods() for field in dataclasses.fields(record.options)]


@pytest.mark.parametrize(("method", "option"), OPTIONS, ids=lambda part: getattr(part, "name", part))
def test_options_of_methods(method, option):
    """Every option is checked by itself, before any data are looked at."""
    name = option.name
    for kind, value in NONSENSE.items():
        fine = (value is None and option.default is None) or isinstance(value, LOOSE.get(name, ()))
        assert refused(registry.read_options, method, {name: value}) or fine, f"{method}({name}={kind})"


@pytest.mark.parametrize("name", QUESTION)
def test_the_question(data, name):
    """What fit() itself takes; None asks for nothing, but for na_action."""
    for kind, value in NONSENSE.items():
        fine = value is None and name not in ("na_action", "strict")
        assert refused(cf.fit, F, data, **{name: value}) or fine, f"fit({name}={kind})"
        if name not in registry.ESTIMATED and name not in OF_FITS:
            assert refused(cf.design, F, data, "ipw", **{name: value}) or fine, f"design({name}={kind})"


@pytest.mark.parametrize("name", ["formula", "data", "method"])
def test_what_is_asked_of_what(data, name):
    for kind, value in NONSENSE.items():
        asked = {"formula": F, "data": data, "method": "ipw", name: value}
        fine = name == "method" and value is None
        assert refused(cf.fit, **asked) or fine, f"fit({name}={kind})"
        assert refused(cf.design, **asked), f"design({name}={kind})"


@pytest.mark.parametrize("name", ["formula", "contrast", "measure", "family", "vcov"])
def test_the_estimate_of_a_design(data, name):
    design = cf.design(F, data, "ipw")
    for kind, value in NONSENSE.items():
        assert refused(design.fit, **{name: value}) or value is None, f"design.fit({name}={kind})"


DOSE = [kind for kind in NONSENSE if kind not in ("number", "negative", "none")]


@pytest.mark.parametrize("method", ["regression", "ipw"])
def test_pairs_of_a_dose(data, method):
    """Pairs that are no doses."""
    for kind in DOSE:
        pair = (0, NONSENSE[kind])
        assert refused(cf.fit, "y ~ treat(q) + adjust(x)", data, method, contrast=pair) or kind == "true", kind
