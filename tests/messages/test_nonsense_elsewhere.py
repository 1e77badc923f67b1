"""Nonsense for plain regressions, requests, and the methods of what comes back: never a raw error of Python's."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.inference.requests import Request
from tests.messages.test_nonsense import NONSENSE, F, refused

REQUESTS = [
    (kind, field.name)
    for kind in (
        cf.Classical,
        cf.HC,
        cf.Asympt,
        cf.Cluster,
        cf.HAC,
        cf.DriscollKraay,
        cf.Bootstrap,
        cf.Wild,
        cf.Jackknife,
    )
    for field in dataclasses.fields(kind)
    if field.init
]
NEEDED = {cf.Cluster: {"by": "g"}, cf.DriscollKraay: {"time": "g"}}
# What is sense in these places.
FINE: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("df", "bandwidth"), (float, int)),
    **dict.fromkeys(("unconditional", "prewhite", "adjust", "fix", "null"), (bool,)),
    **dict.fromkeys(("cluster", "strata", "order_by", "time"), (str,)),
    "by": (str,),
    **dict.fromkeys(("n_jobs", "lag", "seed"), (int,)),
}
OPTIONAL = (
    "df",
    "ssc",
    "bandwidth",
    "lag",
    "order_by",
    "unit",
    "prewhite",
    "cluster",
    "strata",
    "seed",
    "adjust",
    "type",
    "weights",
    "n_jobs",
)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    x = rng.normal(size=60)
    a = (rng.random(60) < 1 / (1 + np.exp(-x))).astype(int)
    return pd.DataFrame(
        {"x": x, "a": a, "g": np.arange(60) % 6, "f": list("uvw") * 20, "y": a + x + rng.normal(size=60)}
    )


@pytest.mark.parametrize(("kind", "name"), REQUESTS, ids=lambda v: getattr(v, "__name__", v))
def test_requests(kind, name):
    for what, value in NONSENSE.items():
        given = {**NEEDED.get(kind, {}), name: value}
        fine = (value is None and name in OPTIONAL) or isinstance(value, FINE.get(name, ()))
        if kind is cf.HAC and name in ("bandwidth", "kernel"):
            given["type"] = "Andrews"
        assert refused(kind, **given) or fine, f"{kind.__name__}({name}={what})"


@pytest.mark.parametrize("name", ["weights", "offset", "subset", "na_action", "contrasts", "env", "vcov"])
def test_plain_regressions(data, name):
    for what, value in NONSENSE.items():
        fine = value is None and name != "na_action"
        for verb in (cf.lm, cf.glm):
            assert refused(verb, "y ~ x + f", data, **{name: value}) or fine, f"{verb.__name__}({name}={what})"
        if name in ("contrasts", "na_action", "env"):
            assert refused(cf.model_matrix, "y ~ x + f", data, **{name: value}) or fine, f"model_matrix({name}={what})"


@pytest.mark.parametrize("name", ["family", "start", "epsilon", "maxit"])
def test_glm(data, name):
    sense = {"epsilon": ("number", "huge"), "maxit": (), "start": ("none", "array", "series"), "family": ()}[name]
    for what, value in NONSENSE.items():
        fine = what in sense
        assert refused(cf.glm, "a ~ x", data, **{"family": "binomial", name: value}) or fine, f"glm({name}={what})"


@pytest.mark.parametrize("verb", [cf.lm, cf.glm, cf.model_matrix], ids=lambda v: v.__name__)
def test_formula_and_data(data, verb):
    for what, value in NONSENSE.items():
        assert refused(verb, value, data), f"formula={what}"
        assert refused(verb, "y ~ x", value), f"data={what}"


def results(data: pd.DataFrame) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cf.fit("y ~ treat(a) + adjust(x) + modify(f)", data)
        return {
            "fit": fit,
            "by": fit.by("f"),
            "ipw": cf.fit(F, data, "ipw"),
            "lm": cf.lm("y ~ x + f", data),
            "glm": cf.glm("a ~ x", data, family="binomial"),
            "design": cf.design(F, data, "ipw"),
            "subclass": cf.design(F, data, "subclass", subclass=3),
            "balance": cf.design(F, data, "ipw").balance(),
            "hypotheses": cf.lm("y ~ x + f", data).hypothesis("x = 0"),
            "stack": cf.stack([fit, cf.fit(F, data, "ipw")]),
        }


@pytest.fixture(scope="module")
def made(data) -> dict[str, Any]:
    return results(data)


# Arguments that take any object, or whose junk is checked elsewhere.
ANYTHING = {"self", "args", "options", "kwargs", "other"}
# Numbers beyond those of machines are not checked for where they serve as scales of a picture or a table.
SCALES = ("s_d_denom", "threshold")


def methods() -> list[tuple[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rng = np.random.default_rng(2)
        data = pd.DataFrame({"x": rng.normal(size=60), "a": np.arange(60) % 2, "f": list("uvw") * 20})
        data["y"], data["g"] = data["x"] + rng.normal(size=60), np.arange(60) % 6
        found = results(data)
    return [
        (name, method)
        for name, thing in found.items()
        for method in dir(type(thing))
        if not method.startswith("_") and inspect.isfunction(getattr(type(thing), method))
    ]


@pytest.mark.parametrize(("name", "method"), methods())
def test_methods(made, name, method):
    verb = getattr(made[name], method)
    for argument, parameter in inspect.signature(verb).parameters.items():
        if argument in ANYTHING or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        for what, value in NONSENSE.items():
            if value is None or value is parameter.default or (what == "huge" and argument in SCALES):
                continue
            needed = {
                p: "x = 0"
                for p, q in inspect.signature(verb).parameters.items()
                if q.default is q.empty and p != argument and q.kind not in (q.VAR_KEYWORD, q.VAR_POSITIONAL)
            }
            there = inspect.signature(verb).parameters
            few = {p: v for p, v in {"reps": 2, "tests": ["placebo"]}.items() if p in there}  # each of which refits
            try:
                refused(verb, **{**needed, **few, argument: value})
            except AssertionError:
                raise
            except Exception as error:
                raise AssertionError(f"{name}.{method}({argument}={what}): {type(error).__name__}: {error}") from error


def test_requests_are_known():
    assert {kind for kind, _ in REQUESTS} <= set(Request.__subclasses__())


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda d: cf.HAC("Andrews", bandwidth="NeweyWest"), r"bandwidth is a number.*cf\.HAC\('NeweyWest'\)"),
        (lambda d: cf.Cluster(d["g"]), r"clusters are named, as in Cluster\('g'\) or '~g', not given as a Series"),
        (lambda d: cf.Cluster([d["g"], d["f"]]), "clusters are named"),
        (lambda d: cf.Bootstrap(cluster=d["g"]), "cluster is the name of one column, not a Series"),
        (lambda d: cf.Bootstrap(n_jobs="all"), "n_jobs is a number of processes"),
        (lambda d: cf.lm("y ~ f", d, contrasts="contr.sum"), "contrasts= names contrasts by variable"),
        (lambda d: cf.model_matrix("~ f", d, contrasts={"f": "contr.nope"}), "unknown contrast 'contr.nope'"),
        (lambda d: cf.bptest(cf.lm("y ~ 1", d)), 'none beside the constant; name some: varformula="~ x"'),
        (lambda d: cf.bptest(cf.lm("y ~ 0 + x", d)), "none beside the constant"),
        (lambda d: cf.lm("y ~ x", d).tidy(level="x"), "level must lie between 0 and 1, not 'x'"),
        (lambda d: cf.fit(F, d).with_vcov(3), "vcov must be a string"),
        (lambda d: cf.fit(F, d).by(3), "named by text, not 3"),
        (lambda d: cf.fit(F, d).plot("nope"), "unknown plot 'nope'; choose from effects"),
        (lambda d: cf.lm("y ~ x", d).predict(interval="x"), "interval must be None or one of confidence, prediction"),
        (lambda d: cf.lm("y ~ x", d).hypothesis(3), "a hypothesis is text such as"),
    ],
)
def test_what_to_write_instead(data, ask, says):
    with pytest.raises(cf.OptionError, match=says):
        ask(data)


def test_a_breusch_pagan_test_of_named_variables(data):
    assert cf.bptest(cf.lm("y ~ 1", data), varformula="~ x").df == 1  # the advice
