"""Nonsense for every argument of every public function, method and class: an error of the package, or none at all.

The list is made from the signatures. A table of valid calls says what the other arguments are meanwhile; another one
says what counts as sense in which argument, so that junk is never taken in silence either.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.errors import asks
from tests.contract.public import LIST
from tests.messages.test_nonsense import NONSENSE, F


def _data() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    x = rng.normal(size=60)
    a = (rng.random(60) < 1 / (1 + np.exp(-x))).astype(int)
    return pd.DataFrame(
        {
            "x": x,
            "a": a,
            "i": np.where(np.arange(60) % 5 > 0, a, 1 - a),
            "g": np.arange(60) % 6,
            "f": list("uvw") * 20,
            "y": a + x + rng.normal(size=60),
        }
    )


DATA = _data()
STUDY = {"betas": [0.1, 0.0, 1.0, 2.0], "sigma": 0.01 * np.eye(4), "num_pre": 2, "num_post": 2, "kind": "smoothness"}
GRAPH = cf.dag("x -> a; x -> y; a -> y; g -> y")


def _made() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cf.fit("y ~ treat(a) + adjust(x) + modify(f)", DATA)
        learned = cf.fit(F, DATA, "aipw", outcome_model="knn", treatment_model="glm", folds=2)
        units = cf.fit(F, DATA, "t_learner", folds=2)
        panel = {"id": np.arange(60) // 2, "t": np.arange(60) % 2, "d": np.arange(60) // 30}
        did = cf.fit("y ~ did(d, t, unit = id)", DATA.assign(**panel))
        return {
            "Result": fit,
            "SubclassResult": cf.fit(F, DATA, "subclass", subclass=3),
            "DidResult": did,
            "Decomposition": did.decompose(),
            "IVResult": cf.fit("y ~ treat(a) + iv(i) + adjust(x)", DATA),
            "MatchedResult": cf.fit(F, DATA, "nearest"),
            "MatchedDesign": cf.design(F, DATA, "nearest"),
            "LearnedResult": learned,
            "LearnedModel": learned.outcome,
            "DMLResult": cf.fit(F, DATA, "dml"),
            "UnitResult": units,
            "Effects": units.effects(),
            "Curve": units.toc(reps=4),
            "Worth": units.value(0.5),
            "EffectCalibration": units.calibration(2),
            "Judged": units.losses(),
            "Model": cf.lm("y ~ x + f", DATA),
            "Design": cf.design(F, DATA, "ipw"),
            "Stack": cf.stack([fit, cf.fit(F, DATA, "ipw")]),
            "Summary": fit.summary(),
            "Table": cf.table([fit]),
            "Fits": cf.lm("c(y, x) ~ csw(a, i)", DATA),
            "Comparison": cf.compare(F, DATA, ["regression", "ipw"]),
            "Screen": cf.screen(F, DATA, treatments=["a"]),
            "Confounders": cf.select_confounders("y ~ treat(a) + adjust(x + f)", DATA),
            "Test": fit.by("f").test,
            "Graph": GRAPH,
            "GraphTest": GRAPH.test(DATA),
            "Identification": GRAPH.identify("a", "y"),
            "TrendSensitivity": cf.honest(**STUDY),
        }


def _others() -> dict[str, Any]:
    """What else comes back, whose own verbs are tried."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = cf.lm("y ~ x + f", DATA)
        return {
            "Inequalities": MADE["Result"].hypothesis("b1 < 0"),
            "Hypotheses": model.hypothesis("x = 0"),
            "Simultaneous": MADE["Result"].simultaneous(),
            "LinearSensitivity": model.sensitivity("x", benchmark="f"),
            "EValues": model.sensitivity("x", "evalue"),
            "Sensitivity": MADE["DMLResult"].sensitivity("omitted"),
            "RosenbaumBounds": cf.rosenbaum([2.0, 3.0, 5.0], [1.0, 4.0, 0.0]),
            "MarginalBounds": cf.fit(F, DATA, "ipw").sensitivity("marginal", reps=0),
            "OsterBias": model.sensitivity("x", "oster"),
            "Tipping": cf.fit(F, DATA).sensitivity("tipping"),
            "Anova": cf.anova(model),
            "Bptest": cf.bptest(model),
        }


MADE = _made()
OTHERS = _others()
ESTIMATOR = cf.EffectEstimator(F).fit(DATA)
# Valid calls: what is given beside the argument in question.
MAKERS = {"balance", "calibration", "loss", "overlap", "pehe", "scorer"}
FUNCTIONS: dict[str, dict[str, Any]] = {
    "adjust_pvalues": {"fits": [MADE["Result"]]},
    "anova": {},
    **{f"plots.{name}": {"result": MADE["Result"]} for name in ("effects", "outcome")},
    "plots.coefficients": {"model": MADE["Model"]},
    "bgtest": {"model": MADE["Model"]},
    "bptest": {"model": MADE["Model"]},
    "dag": {"source": "x -> a; x -> y; a -> y"},
    "compare": {"formula": F, "data": DATA, "methods": ["regression"]},
    "design": {"formula": F, "data": DATA, "method": "ipw"},
    "dwtest": {"model": MADE["Model"]},
    "evalue": {"estimate": 2.0},
    "fit": {"formula": F, "data": DATA},
    "glm": {"formula": "a ~ x", "data": DATA, "family": "binomial"},
    "honest": STUDY,
    "lm": {"formula": "y ~ x", "data": DATA},
    "model_matrix": {"formula": "~ x", "data": DATA},
    "parse": {"formula": F},
    "resettest": {"model": MADE["Model"]},
    "rosenbaum": {"treated": [2.0, 3.0, 5.0], "control": [1.0, 4.0, 0.0]},
    "scan": {"data": [DATA]},
    **{f"scores.{name}": {"estimator": ESTIMATOR, "X": DATA} for name in set(cf.scores.__all__) - MAKERS},
    "scores.scorer": {"score": "r_loss"},
    "screen": {"formula": F, "data": DATA, "treatments": ["a"]},
    "select_confounders": {"formula": "y ~ treat(a) + adjust(x + f)", "data": DATA},
    "ssc": {},
    "stack": {"fits": [MADE["Result"]]},
    "table": {"fits": [MADE["Result"]]},
    "waldtest": {"model": MADE["Model"]},
}
LEARNED = ("LearnedResult", "DMLResult", "UnitResult")
RESULTS = ("Result", "Stack", "SubclassResult", "DidResult", "IVResult", "MatchedResult", *LEARNED)
METHODS: dict[str, dict[str, Any]] = {
    "Design.fit": {"formula": "y ~ treat(a)"},
    **{f"Graph.{verb}": {"treatment": "a", "outcome": "y"} for verb in ("formula", "identify", "plot", "question")},
    "Graph.counterfactual": {"data": DATA, "do": {"a": 1}},
    "Graph.separated": {"left": "x", "right": "g"},
    "Graph.simulate": {"n": 5},
    "Graph.test": {"data": DATA},
    "Identification.formula_for": {"design": "adjustment"},
    "Identification.valid": {"covariates": ["x"]},
    "Model.hypothesis": {"equations": "x = 0"},
    "LinearSensitivity.adjusted": {"r2dz_x": 0.1, "r2yz_dx": 0.1},
    "Model.sensitivity": {"term": "x"},
    "Model.with_vcov": {"vcov": "HC3"},
    **{f"{kind}.by": {"name": "f"} for kind in RESULTS},
    **{f"{kind}.hypothesis": {"equations": "b1 = 0"} for kind in RESULTS},
    **{f"{kind}.permutation_test": {"reps": 9 if kind == "Result" else 2} for kind in RESULTS},  # which refit
    **{f"{kind}.refute": {"tests": ["placebo"], "reps": 2} for kind in RESULTS},
    "IVResult.refute": {"tests": ["subset"], "reps": 2},
    **{f"{kind}.with_vcov": {"vcov": "HC1"} for kind in RESULTS},
}
# Pictures of arrays, which a design and a fit draw by their own plot().
DRAWN = {"calibration", "density", "ecdf", "jitter", "love", "qq", "roc", "support", "weights"}
# What counts as sense, by argument: in all places, in a verb (``verb.argument``), or in one (``name.argument``).
# ``anything`` is any label of a level.
ANYTHING = ("number", "negative", "huge", "nan", "inf", "true", "text", "empty text")
SENSE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("unconditional", "interact", "int", "over", "fix", "prewhite", "improved", "target_gwt"), ("true",)
    ),
    **dict.fromkeys(("dimension_adj", "stabilize", "null", "notes", "se_fit", "intercept", "un", "means"), ("true",)),
    **dict.fromkeys(("exact", "studentize", "normal", "adjust", "abs", "stars"), ("true",)),
    **dict.fromkeys(("df", "t_df"), ("number", "inf")),
    **dict.fromkeys(("K_adj", "G_adj", "fixed_effects"), ("true",)),
    **dict.fromkeys(("tols", "lambda_", "epsilon", "threshold", "fuller"), ("number",)),
    # columns, which the data know or do not
    **dict.fromkeys(("cluster", "strata", "order_by", "by", "ps", "base_weights", "distance"), ("text", "empty text")),
    "folds": ("text", "empty text", "array", "frame"),
    **dict.fromkeys(("weights", "subclass"), ("text", "empty text")),
    "time": ("text",),
    **dict.fromkeys(("seed", "lag", "reuse_max", "matches"), ("huge",)),
    # difference in differences
    "anticipation": ("number",),
    **dict.fromkeys(
        ("allow_unbalanced_panel", "normalized", "locally_efficient", "event_study", "pretrends"), ("true",)
    ),
    "n_jobs": ("negative", "huge"),
    "scan.limit": ("huge",),
    # matching
    **dict.fromkeys(("replace", "k2k", "std_caliper", "sample", "kept_only"), ("true",)),
    **dict.fromkeys(("antiexact", "mahvars"), ("text",)),
    "unit_id": ("text", "empty text"),
    "Nearest.exact": ("text",),
    "pair_data.id": ("text", "empty text"),
    **dict.fromkeys(("interactions", "standardize", "pair_dist"), ("true",)),
    "caliper": ("number", "negative", "mapping"),
    "cutpoints": ("mapping", "array"),
    "focal": ANYTHING,
    "contrast": ("number", "negative", "nan", "inf", "list"),
    "start": ("array", "series"),
    "table.stars": ("mapping",),
    **dict.fromkeys(("linear.kd", "linear.ky"), ("number", "array")),
    **dict.fromkeys(("linear.q", "evalue.estimate", "evalue.high", "evalue.sd"), ("number",)),
    "evalue.true": ("number", "negative"),
    "linear.reduce": ("true",),
    "adjusted.r2yz_dx": ("series",),
    "marginal.sharp": ("true",),
    "oster.beta": ("number", "negative", "huge"),
    "oster.delta": ("number", "negative", "huge"),
    "tipping.imbalance": ("number", "negative", "huge", "array"),
    "tipping.outcome": ("number", "negative", "huge"),
    "tipping.rare": ("true",),
    "gamma": ("number", "array"),
    "omitted.null": ("number", "negative", "huge"),
    "omitted.benchmark": ("empty list",),
    "compare.truth": ("number", "negative"),
    "rename": ("mapping", "function"),
    "glance": ("empty list",),
    **dict.fromkeys(("Design.summary.top", "Screen.volcano.top", "Screen.forest.top"), ("huge",)),
    "value.cost": ("number", "negative"),
    "screen.keep": ("true",),
    **dict.fromkeys(("held_out", "observed"), ("true",)),
    "dag.source": ("text", "empty text"),
    "FrontDoor.mediators": ("text",),
    "Curve.plot.name": ("text", "empty text"),
    "LIML.k": ("number", "negative"),
    "GMM.steps": ("huge",),
    "scorer.formula": ("text", "empty text"),
    "pehe.truth": ("text", "empty text"),
    "honest.M": ("number", "array", "frame"),
    "honest.l_vec": ("array", "frame"),
    "breakdown.null": ("number", "negative"),
    **dict.fromkeys(("given", "covariates"), ("empty list",)),
    **dict.fromkeys(("simulate.do", "counterfactual.do"), ("mapping",)),
}
# Where None asks for nothing, though it is not the default.
NONE = {"which_treat", "threshold", "drop1.test", "s_d_denom", "statistic", "with_vcov.vcov"}
CLASSES = {"Cluster": {"by": "g"}, "DriscollKraay": {"time": "g"}}
# Made by fit(), lm(), design() and by what reads their results, and not by callers.
OURS = (cf.Comparison, cf.Fits, cf.Screen, cf.Design, cf.Effects, cf.Judged, cf.Result, cf.Model, cf.LearnedModel,
        cf.Summary, cf.Table, cf.Test, cf.Graph, cf.GraphTest, cf.Identification, cf.TrendSensitivity,
        cf.Decomposition, cf.Confounders)  # fmt: skip


def _public() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Name, what is called, and the rest of a valid call."""
    for name in cf.__all__:
        thing = getattr(cf, name)
        if inspect.isclass(thing):
            if not issubclass(thing, (Exception, *OURS)):
                yield name, thing, CLASSES.get(name, {})
        elif inspect.ismodule(thing):
            for inner in sorted(set(thing.__all__) - DRAWN):
                yield f"{name}.{inner}", getattr(thing, inner), FUNCTIONS.get(f"{name}.{inner}", {})
        else:
            yield name, thing, FUNCTIONS[name]
    for name, made in {**MADE, **OTHERS}.items():
        for inner in dir(type(made)):
            verb = inspect.getattr_static(type(made), inner)
            known = name in OTHERS and any(verb is getattr(type(one), inner, None) for one in MADE.values())
            if inspect.isfunction(verb) and not inner.startswith("_") and not known:
                yield f"{name}.{inner}", getattr(made, inner), METHODS.get(f"{name}.{inner}", {})
    for name, made in MADE.items():
        of = (made, "x") if name == "Model" else (made,)
        for kind, one in made._sensitivities().items() if isinstance(made, (cf.Result, cf.Model)) else ():
            if not one.lacks(*of):
                yield f"{name}.{kind}", partial(one.made, *of), {}


CALLS = {name: (verb, valid) for name, verb, valid in _public()}
ARGUMENTS = [(name, argument) for name, (verb, _) in CALLS.items() for argument in inspect.signature(verb).parameters]


def called(verb: Any, valid: dict[str, Any], argument: inspect.Parameter, junk: Any) -> Any:
    """The call with junk in one argument."""
    if argument.kind is argument.VAR_POSITIONAL:
        return verb(*valid.values(), junk)
    if argument.kind is argument.VAR_KEYWORD:
        return verb(**valid, nonsense=junk)
    return verb(**{**valid, argument.name: junk})


def sense(name: str, argument: inspect.Parameter, kind: str) -> bool:
    """Whether the junk is none here."""
    if kind == "none":
        return argument.default is None or argument.name in NONE or f"{name}.{argument.name}".endswith(tuple(NONE))
    verb = name.rpartition(".")[2]
    named = (argument.name, f"{name}.{argument.name}", f"{verb}.{argument.name}")
    return any(kind in SENSE.get(each, ()) for each in named)


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_nonsense(name, argument):
    """Any error but the package's own, with its traceback, fails; and so does junk that is taken for sense."""
    verb, valid = CALLS[name]
    parameter = inspect.signature(verb).parameters[argument]
    for kind, junk in NONSENSE.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                called(verb, valid, parameter, junk)
            except cf.CausalFormulaError as error:
                assert 0 < len(str(error)) < 1500, f"{name}({argument}={kind}): {error}"
            except Exception as error:
                raise AssertionError(f"{name}({argument}={kind}): {type(error).__name__}: {error}") from error
            else:
                assert sense(name, parameter, kind), f"{name}({argument}={kind}) is taken"


def _needed(verb: Any) -> list[str]:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in inspect.signature(verb).parameters.values() if p.default is p.empty and p.kind not in kinds]


@pytest.mark.parametrize("name", [name for name, (verb, _) in CALLS.items() if _needed(verb)])
def test_what_is_missing_is_named(name):
    """A call without what it needs, or with an argument that it does not know, is an error of the package."""
    verb, valid = CALLS[name]
    needed = _needed(verb)
    for k in range(len(needed)):
        with pytest.raises(cf.OptionError, match=rf"\(\) is called without {needed[k]}.*: write .*{needed[-1]}"):
            verb(**{key: valid.get(key) for key in needed[:k]})
    with pytest.raises(cf.OptionError, match="nonsens"):
        verb(**{**dict.fromkeys(needed), **valid}, nonsens=1)


def test_what_is_misspelled_is_named():
    with pytest.raises(cf.OptionError, match="has no argument 'wieghts'; did you mean 'weights'"):
        cf.lm("y ~ x", DATA, wieghts="x")
    with pytest.raises(cf.OptionError, match="too many positional arguments; give the arguments by name: formula, "):
        cf.lm("y ~ x", DATA, "x", "x")


def test_other_errors_of_type_stay_what_they_are():
    def raising(x: Any) -> Any:
        raise TypeError("not this one")

    with pytest.raises(TypeError, match="not this one"):
        asks(raising)(1)


def test_every_public_name_is_called():
    """The list of tests/contract: what takes arguments there is called here."""
    listed = {line.partition("(")[0] for line in LIST.read_text(encoding="utf-8").splitlines() if "(" in line}
    left_out = {*MADE, *(name for name in listed if name.endswith(("Error", "Warning")))}
    # takes what it is given and says what is wrong in fit(), as scikit-learn has it: tests/contract/test_sklearn.py
    left_out |= {name for name in listed if name.startswith("EffectEstimator")}
    assert listed - left_out <= set(CALLS), sorted(listed - left_out - set(CALLS))
