"""A ``formulaic.Formula`` is taken where a formula is, and a ``Spec`` is written as formulaic's formulas."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from formulaic import Formula
from formulaic.parser import DefaultFormulaParser
from formulaic.parser.types import Factor, Term

import causalformula as cf
from causalformula.errors import FormulaError
from tests.laws.strategies import simulate


@pytest.fixture(scope="module")
def data():
    return simulate(42)


# -- the entry points ----------------------------------------------------------------------------------------------

PLAIN = {
    "y ~ x + z": "y ~ x + z",
    "log(w) ~ 0 + x * z": "log(w) ~ 0 + x * z",
    "y ~ C(g, contr.sum) + poly(x, 2) + np.exp(x)": "y ~ C(g, contr.sum) + poly(x, 2) + exp(x)",
    "y ~ bs(x, df=4) + I((x - 1)**5) + offset(w)": "y ~ bs(x, df = 4) + I((x - 1)^5) + offset(w)",
    "y ~ C(z, Treatment(reference='v')) + Q('x')": "y ~ relevel(factor(z), ref = 'v') + x",
}


@pytest.mark.parametrize("text", PLAIN)
def test_regressions_and_matrices(data, text):
    formula = Formula(text)
    for verb in (cf.lm, cf.glm):
        found, expected = verb(formula, data), verb(PLAIN[text], data)
        assert dict(found.coef) == dict(expected.coef)
        assert str(found.summary()).partition("Coefficients")[2] == str(expected.summary()).partition("Coefficients")[2]
        assert formula.lhs[0].factors[0].expr in str(found.summary())
    pd.testing.assert_frame_equal(cf.model_matrix(formula, data), cf.model_matrix(PLAIN[text], data))


def test_parts_of_a_formula(data):
    """formulaic adds an intercept to a text with `~`, and none to a part of its own."""
    assert list(cf.lm(Formula(lhs="y", rhs="x"), data).coef.index) == ["x"]
    assert list(cf.lm(Formula(lhs="y", rhs="1 + x"), data).coef.index) == ["(Intercept)", "x"]
    assert list(cf.model_matrix(Formula("x"), data)) == ["(Intercept)", "x"]
    assert list(cf.model_matrix(Formula(["x", "x:z"]), data)) == ["x", "x:zu", "x:zv", "x:zw"]
    assert list(cf.model_matrix(Formula("y ~ 1"), data)) == ["(Intercept)"]
    assert cf.model_matrix(Formula("y ~ 0"), data).shape == (len(data), 0)


CAUSAL = [
    Formula("y ~ treat(a) + adjust(x + z) + cluster(g)"),
    Formula("y ~ treat(a) + x + z", cluster="g"),
    Formula(lhs="y", treat="a", adjust="x + z", cluster="g"),
    Formula(lhs="y", treat="1 + a", adjust="1 + x + z", cluster="g"),
    Formula(rhs="treat(a) + x + z + 1", lhs="y", cluster="g"),
]


@pytest.mark.parametrize("formula", CAUSAL, ids=repr)
def test_causal_fits(data, formula):
    expected = cf.fit("y ~ treat(a) + adjust(x + z) + cluster(g)", data)
    assert cf.fit(formula, data).tidy().equals(expected.tidy())
    assert cf.parse(formula) == expected.call.spec


def test_designs_outcomes_and_functions_of_the_callers(data):
    design = cf.design(Formula("treat(a) + x"), data, "ipw")
    np.testing.assert_array_equal(design.weights, cf.design("~ treat(a) + x", data, "ipw").weights)
    effect = design.fit(Formula("y ~ treat(a)"))
    assert effect.estimate == design.fit("y ~ treat(a)").estimate
    assert cf.fit(Formula("treat(a) + x"), data, outcome="y").estimate == cf.fit("y ~ treat(a) + x", data).estimate
    half = {"half": lambda v: v / 2}
    for text in ("y ~ half(x)", "y ~ treat(a) + half(x)"):
        verb = cf.fit if "treat" in text else cf.lm
        assert verb(Formula(text), data, env=half).nobs == len(data)


def test_a_model_of_a_formula_pickles_and_predicts(data):
    model = pickle.loads(pickle.dumps(cf.lm(Formula("y ~ scale(x) + C(z)"), data)))
    np.testing.assert_allclose(model.predict(data), model.fitted)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (Formula("Y ~ treat(A, ref='placebo') + weights(w)"), 'Y ~ treat(A, ref = "placebo") + weights(w)'),
        (Formula(lhs="Y", treat="C(A, contr.treatment('p'))"), 'Y ~ treat(A, ref = "p")'),
        (Formula(lhs="Y", treat="C(A, contr.treatment(2))"), 'Y ~ treat(factor(A), ref = "2")'),
        (Formula(lhs="Y", did="A + Post", unit="id"), "Y ~ did(A, Post, unit = id)"),
        (Formula("Y ~ did(A, Post, unit=`the id`)"), "Y ~ did(A, Post, unit = `the id`)"),
        (Formula(lhs="Y", treat="A", offset=["o", "log(p)"]), "Y ~ treat(A) + offset(o) + offset(log(p))"),
        (Formula(lhs="log(Y)", treat="A", modify="s", iv="q"), "log(Y) ~ treat(A) + modify(s) + iv(q)"),
    ],
)
def test_roles(formula, text):
    assert str(cf.parse(formula)) == text


# -- what is refused -----------------------------------------------------------------------------------------------

STAGES = DefaultFormulaParser(feature_flags={"twosided", "multistage"})
REFUSED = {
    "y ~ {x + 1}": r"would run this as Python; arithmetic goes inside I\(\)",
    "y ~ {__import__('os').system('touch pwned')}": "would run this as Python|would run .* as Python",
    "y ~ x[0]": "would run this as Python",
    "y ~ x.fillna(0)": r"would run x\.fillna\(\) as Python",
    "y ~ I(x if z else 1)": "would be run as Python",
    "y ~ log(I.H)": "write a column of that name in backquotes",
    "y ~ I(x^2)": r"`\^` is exclusive or in Python; write \*\* for a power",
    "y ~ I((x > 1) + z)": "a comparison inside arithmetic",
    "y ~ sqrt(x)": r"formulaic does not know sqrt\(\), which is R's; write the formula as text",
    "y ~ np.cos(x)": r"would run np\.cos\(\) as Python; .* pass functions of your own in env=",
    "y ~ mine(x)": r"would run mine\(\) as Python",
    "y ~ cr(x, 3)": r"natural splines are ns\(x, 3\), in another basis",
    "y ~ standardize(x)": r"scale\(x\) divides by the standard deviation",
    "y ~ scale(x, ddof=0)": r"only scale\(data, center, scale\) means the same in R",
    "y ~ bs(x, df=5, include_intercept=True)": r"only bs\(x, df, knots, .*\) means the same in R",
    "y ~ bs(x, df=5, lower_bound=0)": "with these bounds is read otherwise",
    "y ~ log(x, 2)": r"only log\(x\) means the same in R",
    "y ~ C(z, contr.SAS)": "the contrast contr.SAS is not among",
    "y ~ C(z, {'a': [1, 2]})": "give others as contrasts=",
    "y ~ 2:x": r"formulaic scales a term by 2, which a term of R cannot say; write I\(2 \* x\)",
    "y ~ x | z": r"several parts .* write the formula as text, with roles",
    "y + x ~ z": "left side of a formulaic formula must be one variable here, not 'y \\+ x'",
    "y:x ~ z": "left side of a formulaic formula must be one variable",
}


@pytest.mark.parametrize("text", REFUSED)
def test_pieces_that_r_reads_otherwise_are_refused(data, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    formula = Formula(text)
    for verb in (cf.lm, cf.glm, cf.model_matrix, cf.fit):
        with pytest.raises(FormulaError, match=REFUSED[text]):
            verb(formula, data)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (Formula("y ~ [x ~ z] + x", _parser=STAGES), "several parts"),
        (Formula(("x", "z")), "several parts"),
        (Formula(lhs="y", treat="a", confounders="x"), "a part 'confounders', which is no role; choose from lhs, rhs"),
        (Formula(lhs="y", treat="a", adjustt="x"), "no role; did you mean 'adjust'"),
        (Formula(lhs="y", treat="a", unit="g"), "`unit` goes with a part `did`"),
        (Formula(lhs="y", treat="a", adjust="0"), "'adjust' of the formulaic formula is empty"),
        (Formula(lhs="y", treat="a + b"), "treat takes one variable"),
        (Formula("y ~ treat(a):x"), r"use .*modify|modify\(x\)"),
        (Formula("y ~ 0 + treat(a)"), "a causal formula keeps its intercept"),
        (Formula("y ~ a + x"), r"no treatment: mark it, as in `y ~ treat\(a\) \+ x`"),
        (Formula([Term([Factor("x +", eval_method="python")])]), "cannot be read here"),
        (Formula([Term([Factor("(" * 500 + "x" + ")" * 500, eval_method="python")])]), "cannot be read here"),
    ],
)
def test_other_formulas_are_refused(data, formula, message):
    with pytest.raises(FormulaError, match=message):
        cf.fit(formula, data)


def test_a_refusal_shows_the_piece(data):
    with pytest.raises(FormulaError) as refused:
        cf.lm(Formula("y ~ z + I(x^2)"), data)
    assert str(refused.value).splitlines()[1:] == ["  I(x ^ 2)", "  ^^^^^^^^"]


# -- from a Spec ---------------------------------------------------------------------------------------------------

WRITTEN = {
    "Y ~ treat(A) + x + z": {"lhs": "Y", "treat": "1 + A", "adjust": "1 + x + z"},
    'log(Y) ~ treat(A, ref = "p") + weights(1 / w)': {
        "lhs": "log(Y)",
        "treat": "1 + C(A, contr.treatment('p'))",
        "weights": "I(1 / w)",
    },
    "Y / 2 ~ did(A, Post, unit = id) + cluster(g + h)": {
        "lhs": "I(Y / 2)",
        "did": "A + Post",
        "unit": "id",
        "cluster": "g + h",
    },
    "~ treat(factor(A), ref = 2) + modify((a + b)^2) + offset(log(o) / 2) + offset(p) | f": {
        "treat": "1 + C(A, contr.treatment(2))",
        "modify": "1 + a + b + a:b",
        "offset": "I(log(o) / 2) + p",
        "fe": "f",
    },
    "Y ~ treat(A) + outcome(I.H * log(I.H)) + propensity(I(x^2 %/% 3))": {
        "lhs": "Y",
        "treat": "1 + A",
        "outcome": "1 + I.H + log(`I.H`) + I.H:log(`I.H`)",
        "propensity": "1 + I(x ** 2 // 3)",
    },
    "Y ~ treat(A) + adjust(a * b - a) + adjust(-z + x)": {"lhs": "Y", "treat": "1 + A", "adjust": "1 + b + x + a:b"},
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_formula_a_role(text):
    parts = cf.parse(text).to_formulaic()
    assert {name: str(part) for name, part in parts.items()} == WRITTEN[text]
    assert all(isinstance(part, Formula) for part in parts.values())


@pytest.mark.parametrize(
    "text", ["Y ~ treat(A) + x + z:w", 'Y ~ treat(A, ref = "p") + iv(q)', "Y ~ did(A, t, unit = i)"]
)
def test_there_and_back(text):
    spec = cf.parse(text)
    assert cf.parse(Formula(**spec.to_formulaic())) == spec


def test_the_parts_have_matrices(data):
    parts = cf.parse("y ~ treat(a) + x + z").to_formulaic()
    matrices = Formula(**parts).get_model_matrix(data)
    np.testing.assert_allclose(matrices.adjust, cf.model_matrix("~ x + z", data))


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        (".", "the dot is resolved with the data"),
        ("b %in% a", r"formulaic adds the outer factor on its own; write a:b"),
        ("ifelse(x > 1, 1, 0)", "make the column in the data first"),
        ("I(x > 1)", "`x > 1`: logicals are numbers there, and factors in R"),
        ("cut(x, 3)", "make the column"),
        ("factor(x, labels = c('a', 'b'))", "only factor\\(x\\) and factor\\(x, levels"),
        ("ns(x, 3)", "in another basis"),
        ("poly(x, z, degree = 2)", "of several variables"),
        ("poly(x, z)", "of several variables"),
        ("bs(x, 5, Boundary.knots = c(0, 9))", "mean the same there"),
        ("bs(x, 5, intercept = TRUE)", "mean the same there"),
        ("log(x, 2)", "make the column"),
        ("C(x, contr.treatment, base = 2)", "only contr.treatment"),
        ("I(scale(x) * 2)", "it stands inside another expression"),
        ("`a(b`", "takes such a name to pieces"),
        ("`1`", "takes such a name to pieces"),
        ("log(`class`)", "a word of Python's"),
        ("C(x, 'contr.other')", "only contr.treatment"),
    ],
)
def test_what_formulaic_cannot_say(piece, message):
    text = f"Y ~ treat(A) + {piece}"
    with pytest.raises(FormulaError, match=message) as refused:
        cf.parse(text).to_formulaic()
    assert refused.value.source == text
    assert "^" in str(refused.value).splitlines()[-1]


def test_functions_of_the_callers_and_survival_are_not_written():
    with pytest.raises(FormulaError, match="cannot say `own"):
        cf.parse("Y ~ treat(A) + own(x)", env={"own": abs}).to_formulaic()
    with pytest.raises(FormulaError, match="no survival outcomes"):
        cf.parse("Surv(t, e) ~ treat(A) + x").to_formulaic()


# -- large formulas ------------------------------------------------------------------------------------------------


def test_a_thousand_terms_travel():
    spec = cf.parse("Y ~ treat(A) + " + " + ".join(f"x{i}" for i in range(1000)))
    assert cf.parse(Formula(**spec.to_formulaic())) == spec
    for copy in (pickle.loads(pickle.dumps(spec)), cf.parse(spec.to_json())):
        assert copy == spec
        assert copy.source == spec.source


def test_a_result_of_many_terms_pickles():
    rng = np.random.default_rng(0)
    many = (
        pd.DataFrame(rng.normal(size=(500, 300))).add_prefix("x").assign(a=np.arange(500) % 2, y=rng.normal(size=500))
    )
    fit = cf.fit("y ~ treat(a) + " + " + ".join(f"x{i}" for i in range(300)), many)
    assert pickle.loads(pickle.dumps(fit)).estimate == fit.estimate
