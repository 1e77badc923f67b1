"""Text and tree are two forms of one thing: generated formulas and expressions come back unchanged."""

from __future__ import annotations

import json
import pickle

from hypothesis import given
from hypothesis import strategies as st

from causalformula.errors import FormulaError
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.parse import PREFIX, binding, parse_expression
from causalformula.formula.language.reader import from_json, parse
from causalformula.formula.language.syntax import Argument, Call, Constant, Name, Node, Number, String

PLAIN = ["x", "z", "I.H", "x_1", ".w", "é", "名前"]
ODD = ["a b", "1st", "if", "TRUE", "x`y", "a\\b", "new\nline", "~", "_u", "None", "treat", "tab\t", "a+b"]
BINARY = ["+", "-", "*", "/", ":", "^", "%in%", "%%", "%/%", "==", "!=", "<", "<=", ">", ">=", "&", "|", "~"]

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
names = st.one_of(st.sampled_from(PLAIN), st.sampled_from(ODD), words.filter(bool)).map(Name)
finite = st.floats(min_value=0, allow_infinity=False)
numbers = st.one_of(
    finite.map(Number),
    st.integers(0, 10**9).map(lambda i: Number(float(i))),
    st.integers(0, 10**12).map(lambda i: Number(float(i), True)),
)
constants = st.sampled_from(["TRUE", "FALSE", "NULL", "NA", "Inf", "NaN"]).map(Constant)
leaves = st.one_of(names, numbers, words.map(String), constants)


def _operators(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    # In parentheses unless it is a leaf or a call, so that every generated tree is one that a text can have.
    def closed(node: Node) -> Argument:
        operator = isinstance(node, Call) and (binding(node.function) or node.function in PREFIX)
        return Argument(Call("(", (Argument(node),)) if operator else node)

    argument = st.builds(Argument, inner, st.one_of(st.none(), names.map(lambda n: n.id)))
    calls = st.builds(
        lambda f, args: Call(f, tuple(args)),
        st.sampled_from(["f", "log", "c", "is.na"]),
        st.lists(argument, max_size=3),
    )
    binary = st.builds(lambda o, a, b: Call(o, (closed(a), closed(b))), st.sampled_from(BINARY), inner, inner)
    unary = st.builds(lambda o, a: Call(o, (closed(a),)), st.sampled_from(sorted(PREFIX)), inner)
    return st.one_of(calls, binary, unary)


trees = st.recursive(leaves, _operators, max_leaves=12)


@given(trees)
def test_expressions_come_back(tree: Node) -> None:
    assert parse_expression(deparse(tree, exact=True)) == tree


@given(trees)
def test_deparse_settles_at_once(tree: Node) -> None:
    text = deparse(tree)
    assert deparse(parse_expression(text)) == text


# Any text of tokens that is read at all: what was read is what its text says, parentheses or not.
tokens = st.sampled_from(
    [*BINARY, "!", "-", "~", "(", ")", "a", "b", "I.H", "2", "0.1", "3L", "'s'", "TRUE", "f(", ","]
)


@given(st.lists(tokens, max_size=14).map(" ".join))
def test_whatever_is_read_comes_back(text: str) -> None:
    try:
        tree = parse_expression(text)
    except FormulaError:
        return
    assert parse_expression(deparse(tree, exact=True)) == tree


# -- role formulas -------------------------------------------------------------------------------------------

columns = st.sampled_from(["x", "z", "I.H", "`odd name`", "sex", "é1"])
atoms = st.one_of(
    columns,
    columns.map(lambda c: f"log({c} + 1)"),
    columns.map(lambda c: f"poly({c}, 2, raw=TRUE)"),
    columns.map(lambda c: f"I({c}^2/3.141592653589793)"),
    columns.map(lambda c: f"cut({c}, c(0, .5, 1e5), labels = c('a', \"b\"))"),
    st.just("."),
)
terms = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "*", ":", "/", "%in%", "-"]), inner).map(" ".join),
        inner.map(lambda t: f"({t})^2"),
        inner.map(lambda t: f"({t})"),
    ),
    max_leaves=5,
)
treatments = st.sampled_from(
    ["treat(A)", 'treat(A, ref = "p q")', "treat(factor(A), ref=-1)", "treat((A))", "did(A, Post)", "did(A,t,unit=id)"]
)
adjusting = ["adjust", "outcome", "propensity", "modify", "iv"]
roles = st.one_of(
    st.builds("{}({})".format, st.sampled_from(adjusting), terms),
    st.sampled_from(["cluster(g)", "cluster(g + h)", "fe(a:b)", "offset(log(o))", "strata(s)"]),
    terms,
    terms.map("({})".format),
    st.just("1"),
)
outcomes = st.sampled_from(["Y", "log(Y)", "I(Y/10)", "Surv(time, event)", "`the outcome`", ""])
tails = st.sampled_from(["", " | f1", "|f1+f2"])
weights = st.sampled_from([[], ["weights(w)"], ["weights(1/w)"]])


@st.composite
def formulas(draw: st.DrawFn) -> str:
    parts = draw(st.permutations([draw(treatments), *draw(st.lists(roles, max_size=5)), *draw(weights)]))
    return f"{draw(outcomes)} ~ {' + '.join(parts)}{draw(tails)}"


@given(formulas())
def test_formulas_come_back(text: str) -> None:
    spec = parse(text)
    assert parse(str(spec)) == spec
    assert str(parse(str(spec))) == str(spec)


@given(formulas())
def test_specs_travel(text: str) -> None:
    spec = parse(text)
    for copy in (pickle.loads(pickle.dumps(spec)), from_json(spec.to_json())):
        assert copy == spec
        assert (copy.source, copy.roles, copy.outcome) == (spec.source, spec.roles, spec.outcome)
    assert json.loads(spec.to_json())["formula"] == str(spec)


@given(formulas())
def test_every_variable_has_its_place(text: str) -> None:
    spec = parse(text)
    for name in spec.variables():
        span = spec.span_of(name)
        assert span is not None
        assert parse_expression(spec.source[slice(*span)]) == Name(name)


@given(st.text(max_size=40))
def test_any_text_is_a_formula_or_a_formula_error(text: str) -> None:
    try:
        parse(text)
    except FormulaError as error:
        assert str(error)
