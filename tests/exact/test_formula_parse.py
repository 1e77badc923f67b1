"""The formula language front end: R's precedence and deparse, and what the roles are read as."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest

from causalformula.errors import FormulaError
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.grammar import FUNCTIONS, ROLES, check_functions, summands
from causalformula.formula.language.parse import MAX_DEPTH, is_identifier, parse_expression
from causalformula.formula.language.reader import from_json, parse, parse_model
from causalformula.formula.language.syntax import Argument, Call, Constant, Name, Node, Number, String, walk


def prefix(node: Node) -> str:
    """The tree as nested brackets, operator first."""
    if isinstance(node, Call):
        return "[" + " ".join([node.function, *(prefix(a.value) for a in node.args)]) + "]"
    return deparse(node)


# R 4.2.2: the tree of parse(text = s), operator first.
TREES = {
    "-a^2": "[- [^ a 2]]",
    "a^-b:c": "[: [^ a [- b]] c]",
    "a^b^c": "[^ a [^ b c]]",
    "a**b": "[^ a b]",
    "-a:b": "[: [- a] b]",
    "-a %in% b": "[%in% [- a] b]",
    "a * b %in% c": "[* a [%in% b c]]",
    "a %in% b:c": "[%in% a [: b c]]",
    "a - b - c": "[- [- a b] c]",
    "a / b / c": "[/ [/ a b] c]",
    "a + b * c:d": "[+ a [* b [: c d]]]",
    "!a == b": "[! [== a b]]",
    "!a & b": "[& [! a] b]",
    "a + !b + c": "[+ a [! [+ b c]]]",
    "a * !b == c": "[* a [! [== b c]]]",
    "a^!b & c": "[& [^ a [! b]] c]",
    "a & b | c & d": "[| [& a b] [& c d]]",
    "a ~ b | c": "[~ a [| b c]]",
    "a ~ b ~ c": "[~ [~ a b] c]",
    "~a ~ b": "[~ [~ a] b]",
    "(a + b)^2": "[^ [( [+ a b]] 2]",
    "f(a, k = b + 1)^2": "[^ [f a [+ b 1]] 2]",
    "a < b & c >= 1": "[& [< a b] [>= c 1]]",
    "- -a": "[- [- a]]",
    "a %% b %/% c": "[%/% [%% a b] c]",
}


@pytest.mark.parametrize(("text", "tree"), TREES.items())
def test_precedence_is_r(text: str, tree: str) -> None:
    assert prefix(parse_expression(text)) == tree


# R 4.2.2: deparse(parse(text = s)[[1]]).
DEPARSED = {
    "exp( - age / 10 )": "exp(-age/10)",
    "a%in%b": "a %in% b",
    "a %% b": "a%%b",
    "a %/% b": "a%/%b",
    "a*b+c": "a * b + c",
    "a : b": "a:b",
    "a ** 2": "a^2",
    "!a&b|c": "!a & b | c",
    "a==b": "a == b",
    "y~x+z": "y ~ x + z",
    "~ a": "~a",
    "- ( a+b ) : c": "-(a + b):c",
    "f( a,k=2L , 'x' )": 'f(a, k = 2, "x")',
    "f(`a b`=1, `x`=2, 's'=3)": "f(`a b` = 1, x = 2, s = 3)",
    "`a b`+1": "`a b` + 1",
    "`I.H` + `if`": "I.H + `if`",
    "f()": "f()",
    "c('a\"b', \"c'd\")": 'c("a\\"b", "c\'d")',
    '"a\\n\\t\\\\"': '"a\\n\\t\\\\"',
    "1e5": "1e+05",
    "100000": "1e+05",
    "100001": "100001",
    "150000": "150000",
    "12e10": "1.2e+11",
    "0.0001": "1e-04",
    "0.00012": "0.00012",
    "1e-3": "0.001",
    ".5": "0.5",
    "1.0": "1",
    "0x10": "16",
    "0x1p3": "8",
    "1e5L": "100000",
    "1.5L": "1.5",
    "1e400": "Inf",
    "3.14159265358979312": "3.14159265358979",
    "123456789012": "123456789012",
    "1234567890123456789": "1234567890123456768",
    "1e-300": "1e-300",
    "0.1234567890123456": "0.123456789012346",
    "c(TRUE, NA, NULL, Inf, NaN)": "c(TRUE, NA, NULL, Inf, NaN)",
    "é + x..y + .z + ...": "é + x..y + .z + ...",
    "x # a comment\n + z": "x + z",
}


@pytest.mark.parametrize(("text", "expected"), DEPARSED.items())
def test_deparse_is_r(text: str, expected: str) -> None:
    """As R's term labels, which drop the mark of integers (``2L``)."""
    assert deparse(parse_expression(text)) == expected


def test_deparse_puts_parentheses_where_a_built_tree_needs_them() -> None:
    a, b, c = (Argument(Name(x)) for x in "abc")
    total = Argument(Call("+", (a, b)))
    assert deparse(Call("*", (total, c))) == "(a + b) * c"
    assert deparse(Call("-", (c, total))) == "c - (a + b)"
    assert deparse(Call("^", (Argument(Call("^", (a, b))), c))) == "(a^b)^c"
    assert deparse(Call("-", (total,))) == "-(a + b)"
    assert deparse(Call("^", (Argument(Call("-", (a,))), b))) == "(-a)^b"


def test_exact_numbers_read_back() -> None:
    node = parse_expression("x / 3.14159265358979312")
    assert deparse(node, exact=True) == "x/3.141592653589793"
    assert parse_expression(deparse(node, exact=True)) == node


def test_leaves_and_spans() -> None:
    tree = parse_expression("log(I.H) + 2L")
    assert tree == Call("+", (Argument(Call("log", (Argument(Name("I.H")),))), Argument(Number(2.0, True))))
    assert isinstance(tree, Call)
    assert [a.value.span for a in tree.args] == [(0, 8), (11, 13)]
    assert parse_expression("'it''s'"[:4]) == String("it")
    assert parse_expression("NA") == Constant("NA")
    assert parse_expression("`a\\`b`") == Name("a`b")
    assert parse_expression(r'"\x41\u00e9\101"') == String("AéA")


def test_identifiers() -> None:
    assert all(map(is_identifier, ["a", "I.H", ".a", "x_1", "..", "é", "名前", "..1"]))
    assert not any(map(is_identifier, ["", "a b", "1a", ".1a", "_a", "if", "TRUE", "a-b", "None", "a\0", " a"]))


def test_function_table_is_complete() -> None:
    for name in ["I", "poly", "ns", "bs", "cut", "contr.sdif", "is.na", "as.character", "cbind", "mean", "C"]:
        assert name in FUNCTIONS
    assert not FUNCTIONS & set(ROLES)
    check_functions(parse_expression("f(log(a)) %in% b"), "f(log(a)) %in% b", extra=("f",))


def test_every_role_example_parses() -> None:
    for record in ROLES.values():
        example = record.example if record.name in ("treat", "did") else f"treat(T1) + {record.example}"
        spec = parse(f"Y ~ {example}")
        assert spec.has(record.name)


# -- roles ---------------------------------------------------------------------------------------------------

CANONICAL = {
    "Severity~treat(Drug)+adjust(I.H)": "Severity ~ treat(Drug) + adjust(I.H)",
    "Severity ~ treat(Drug) + I.H": "Severity ~ treat(Drug) + adjust(I.H)",
    "Y ~ x + treat(A, ref='placebo') + z": 'Y ~ adjust(x + z) + treat(A, ref = "placebo")',
    "Y ~ treat(A) + x*z - x:z + w": "Y ~ treat(A) + adjust(x * z - x:z + w)",
    "Y ~ treat(A) + b + adjust(a - b)": "Y ~ treat(A) + adjust(b + (a - b))",
    "Y ~ treat(A) + b + adjust(-a)": "Y ~ treat(A) + adjust(b + (-a))",
    "Y ~ treat(A) + adjust(a - b)": "Y ~ treat(A) + adjust(a - b)",
    "Y ~ treat(A) + adjust(a - b) + b": "Y ~ treat(A) + adjust((a - b) + b)",
    "Y ~ (treat(A) + x) + z": "Y ~ treat(A) + adjust(x + z)",
    "Y ~ treat(A) + 1": "Y ~ treat(A)",
    "Y ~ 1 + treat(A) + x": "Y ~ treat(A) + adjust(x)",
    "log(re78 + 1) ~ treat(A) + .": "log(re78 + 1) ~ treat(A) + adjust(.)",
    "Y ~ did(A, Post, unit=id) + q": "Y ~ did(A, Post, unit = id) + adjust(q)",
    "Y ~ did(A, Post, unit = id) | id + Post": "Y ~ did(A, Post, unit = id) + fe(id + Post)",
    "Y ~ treat(A) + !(a | b)": "Y ~ treat(A) + adjust(!(a | b))",
    "Y ~ treat(A) + I(a | b) | f": "Y ~ treat(A) + adjust(I(a | b)) + fe(f)",
    "~treat(A)+x": "~ treat(A) + adjust(x)",
    "Surv(time, event) ~ treat(A) + strata(s)": "Surv(time, event) ~ treat(A) + strata(s)",
    "Y ~ treat(factor(A)) + cluster(g+h) + weights(1/p) + offset(log(n))": (
        "Y ~ treat(factor(A)) + cluster(g + h) + weights(1/p) + offset(log(n))"
    ),
    "Y ~ treat(A > 2) + iv(z) + propensity(ns(x, df=3)) + outcome(x^2) + modify(sex)": (
        "Y ~ treat(A > 2) + iv(z) + propensity(ns(x, df = 3)) + outcome(x^2) + modify(sex)"
    ),
    "Y ~ treat(`my drug`) + `x-1`": "Y ~ treat(`my drug`) + adjust(`x-1`)",
    "I(re78 - re75) ~ treat(A) + re75": "I(re78 - re75) ~ treat(A) + adjust(re75)",
    "Y ~ treat(A) + . - A - x": "Y ~ treat(A) + adjust(. - A - x)",
}


@pytest.mark.parametrize(("text", "canonical"), CANONICAL.items())
def test_canonical_text(text: str, canonical: str) -> None:
    spec = parse(text)
    assert str(spec) == canonical
    assert parse(canonical) == spec
    assert from_json(spec.to_json()) == spec
    assert spec.source == text


def test_bare_and_explicit_adjustment_are_one_question() -> None:
    assert parse("Y ~ treat(A) + x + z") == parse("Y ~ treat(A) + adjust(x + z)")
    assert hash(parse("Y~treat(A)+x")) == hash(parse("Y ~ treat(A) + x"))
    assert parse("Y ~ treat(A) + x") != parse("Y ~ treat(A) + z")
    assert parse("Y ~ treat(A)") != "Y ~ treat(A)"


def test_outcome_given_apart() -> None:
    spec = parse("did(Drug, Post) + Quality_of_Care", outcome="Severity")
    assert spec == parse("Severity ~ did(Drug, Post) + Quality_of_Care")
    assert spec.source == "Severity ~ did(Drug, Post) + Quality_of_Care"
    assert parse("~ treat(A)", outcome="log(Y)") == parse("log(Y) ~ treat(A)")
    assert parse("log( Y ) ~ treat(A)", outcome="log(Y)") == parse("log(Y) ~ treat(A)")
    start, stop = spec.span_of("Drug") or (0, 0)
    assert spec.source[start:stop] == "Drug"


def test_what_a_spec_tells() -> None:
    text = 'log(Y) ~ treat(A, ref = "a") + x + fe(f) + adjust(z) + fe(h) + cluster(g) + modify(m - x) + modify(s)'
    spec = parse(text)
    assert spec.treatment == Name("A")
    assert spec.treatment_ref == "a"
    assert spec.rhs("adjust") == parse_expression("x + z")
    assert spec.rhs("fe") == parse_expression("f + h")
    assert spec.rhs("modify") == parse_expression("(m - x) + s")
    assert spec.rhs("iv") is None
    assert spec.has("cluster") and not spec.has("weights")
    assert [role.kind for role in spec.roles] == ["treat", "adjust", "fe", "fe", "cluster", "modify", "modify"]
    assert spec.variables() == ("Y", "A", "x", "z", "f", "h", "g", "m", "s")
    assert spec.span_of("g") == (text.index("g)", 60), text.index("g)", 60) + 1)
    assert spec.span_of("nowhere") is None
    assert not spec.design and parse("~ treat(A)").design
    did = parse("Y ~ did(A, t, unit = id)")
    assert did.option("did", "unit") == Name("id")
    assert did.treatment is None and did.treatment_ref is None
    assert did.variables() == ("Y", "A", "t", "id")


@pytest.mark.parametrize(
    ("ref", "value"), [('"x"', "x"), ("2", 2), ("-1.5", -1.5), ("TRUE", True), ("0L", 0), ("+3", 3)]
)
def test_reference_levels(ref: str, value: object) -> None:
    found = parse(f"Y ~ treat(A, ref = {ref})").treatment_ref
    assert found == value and type(found) is type(value)


def test_contrasts_are_no_variables() -> None:
    spec = parse("Y ~ treat(A) + C(race, contr.helmert) + C(sex, contr.treatment(2, base = 2))")
    assert spec.variables() == ("Y", "A", "race", "sex")


def test_the_dot_leaves_out_what_has_a_role() -> None:
    spec = parse("log(Y) ~ treat(A) + . + I(age^2) + cluster(g) + weights(w) + outcome(x)")
    assert spec.has_dot()
    assert spec.dot_excluded() == {"Y", "A", "g", "w", "x"}
    assert parse("Y ~ treat(A) + z + outcome(.)").dot_excluded("outcome") == {"Y", "A", "z"}
    assert not parse("Y ~ treat(A) + x").has_dot()


def test_functions_of_the_caller() -> None:
    spec = parse("Y ~ treat(A) + adjust(winsor(x))", env={"winsor": abs})
    assert spec.functions() == ("winsor",)
    assert from_json(spec.to_json()) == spec


def test_a_sum_of_two_thousand_terms() -> None:
    text = "Y ~ treat(A) + " + " + ".join(f"x{i}" for i in range(2000))
    spec = parse(text)
    assert len(summands(spec.rhs("adjust") or Name("none"))) == 2000
    assert parse(str(spec)) == spec
    assert len(spec.variables()) == 2002
    for copy in (pickle.loads(pickle.dumps(spec)), deepcopy(spec), from_json(spec.to_json())):
        assert copy == spec
        assert (copy.source, copy.span_of("x1999")) == (text, spec.span_of("x1999"))


def test_trees_pickle_with_their_places() -> None:
    tree = parse_expression("-f(a, b = c(1, 'd')) + (e %in% TRUE)")
    copy = pickle.loads(pickle.dumps(tree))
    assert copy == tree
    assert [node.span for node in walk(copy)] == [node.span for node in walk(tree)]


def test_nesting_up_to_the_limit_is_read() -> None:
    deep = MAX_DEPTH - 1
    assert deparse(parse_expression("(" * deep + "a" + ")" * deep)) == "(" * deep + "a" + ")" * deep
    with pytest.raises(FormulaError, match="nested more than"):
        parse_expression("(" * (deep + 1) + "a" + ")" * (deep + 1))


def test_plain_model_formulas() -> None:
    left, right = parse_model("cbind(re78, re75) ~ treat * I(age - mean(age)) + offset(log(re74 + 1)) - 1")
    assert left == parse_expression("cbind(re78, re75)")
    assert right == parse_expression("treat * I(age - mean(age)) + offset(log(re74 + 1)) - 1")
    assert parse_model("~ .^2")[0] is None
    assert parse_model("y ~ own(x)", env=("own",))[1] == parse_expression("own(x)")
