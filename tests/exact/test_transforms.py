"""Expressions, remembering transforms, and design matrices: exact properties, and what is refused."""

import math
import pickle
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from causalformula.errors import CausalFormulaError, CausalFormulaWarning, DataError, FormulaError, OptionError
from causalformula.formula.expressions.contrasts import contr_poly, named
from causalformula.formula.expressions.evaluate import evaluate
from causalformula.formula.expressions.transforms import BSplineBasis
from causalformula.formula.expressions.values import Factor, Logical, Strings, as_factor, number_label
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.matrix.design import build, evaluate_variables
from causalformula.formula.matrix.terms import terms
from tests.parity.columns import model_matrix

N = 40
RNG = np.random.default_rng(20)
X = RNG.normal(3, 2, N)
COLUMNS = {
    "x": X,
    "z": RNG.integers(1, 6, N),
    "age": RNG.uniform(18, 70, N),
    "f": Factor(RNG.integers(0, 3, N), ("c", "a", "b")),
    "o": Factor(np.arange(N) % 4, ("low", "mid", "high", "top"), ordered=True),
    "s": Strings.of(RNG.choice(["beta", "Alpha", "gamma"], N).tolist()),
    "l": Logical.of(X > 3),
    "I.H": RNG.uniform(0, 100, N),
}


def matrix(text, columns=COLUMNS, n=N, **given):
    return model_matrix(terms(parse_expression(text), source=text), columns, n, source=text, **given)


def value(text, columns=COLUMNS, n=N, **given):
    return evaluate(parse_expression(text), columns, n, source=text, **given)


def cut_to(columns, rows):
    out = {}
    for name, v in columns.items():
        out[name] = v[rows] if isinstance(v, np.ndarray) else type(v)(v.codes[rows], *[getattr(v, k) for k in _rest(v)])
    return out


def _rest(v):
    return {Factor: ("levels", "ordered"), Strings: ("table",), Logical: ()}[type(v)]


REMEMBERING = [
    "poly(x, 3)", "poly(x, age, degree = 2)", "ns(x, 3)", "bs(x, 5)", "scale(x)", "scale(cbind(x, age))", "cut(x, 4)",
    "I(age - mean(age))", "I(poly(x, 2)^2)", "factor(z)", "as.numeric(factor(z > 3))", "relevel(s, ref = 'beta')", "f",
    "C(f, contr.sum)", "ordered(s)", "interaction(f, l)", "as.numeric(f)", "s:x", "o * x", "log(abs(scale(x)))",
]  # fmt: skip


@pytest.mark.parametrize("text", REMEMBERING)
def test_a_row_on_its_own_is_built_as_it_was_among_the_others(text):
    whole, recipe, _ = matrix(text)
    recipe = pickle.loads(pickle.dumps(recipe))
    for rows in ([0], [3, 1, 1], list(range(N))):
        np.testing.assert_allclose(recipe.apply(cut_to(COLUMNS, rows), len(rows)), whole[rows], rtol=1e-13, atol=1e-13)


def test_variables_and_offset_of_a_recipe():
    _, recipe, _ = matrix("l * x + f + poly(age, 2) + l:f + I(x * z) + offset(z)")
    assert recipe.variables == ("l", "x", "f", "age", "z")
    np.testing.assert_array_equal(recipe.offset(COLUMNS, N), COLUMNS["z"])


def test_inputs_are_not_changed():
    before = pickle.dumps({k: v for k, v in COLUMNS.items()})
    matrix("f * x + poly(age, 2) + l + s + offset(z)")
    assert pickle.dumps({k: v for k, v in COLUMNS.items()}) == before


def test_matrix_is_fortran_ordered_doubles():
    found, _, _ = matrix("z + l")
    assert found.flags.f_contiguous and found.dtype == np.float64


def test_narrow_types_neither_wrap_round_nor_lose_digits():
    small = np.full(3, 100, dtype=np.int8)
    np.testing.assert_array_equal(value("small * small", {"small": small}, 3), [1e4] * 3)
    single = np.array([0.1, 0.2, 0.3], dtype=np.float32)
    assert value("single + single", {"single": single}, 3).dtype == np.float64


def test_orthogonal_polynomials_are_orthonormal():
    basis = value("poly(x, 8)").values
    np.testing.assert_allclose(basis.T @ basis, np.eye(8), atol=1e-10)
    np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-10)
    far = value("poly(big, 3)", {"big": 1e9 + np.arange(N) / 1e3}).values
    np.testing.assert_allclose(far.T @ far, np.eye(3), atol=1e-7)


def test_b_splines_add_up_to_one_and_natural_splines_go_on_straight():
    basis = value("bs(x, 7, intercept = TRUE)").values
    np.testing.assert_allclose(basis.sum(axis=1), 1, rtol=1e-14)
    _, recipe, _ = matrix("ns(x, 4)")
    line = np.array([20.0, 30.0, 40.0, -20.0, -30.0, -40.0])
    far = recipe.apply({"x": line}, 6)
    np.testing.assert_allclose(far[0] - 2 * far[1] + far[2], 0, atol=1e-9)
    np.testing.assert_allclose(far[3] - 2 * far[4] + far[5], 0, atol=1e-9)


def test_values_beyond_the_boundary_of_b_splines_warn():
    _, recipe, _ = matrix("bs(x, 5)")
    with pytest.warns(CausalFormulaWarning, match="beyond the boundary"):
        recipe.apply({"x": np.array([1e3])}, 1)


def test_missing_values_are_counted_by_variable_and_dropped():
    columns = {"x": np.array([1, np.nan, 3, -1, 5]), "s": Strings.of(["a", "b", None, "a", "b"]), "y": np.arange(5.0)}
    evaluated = evaluate_variables(terms(parse_expression("log(x) + s")), columns, 5)
    assert evaluated.missing_by == {"log(x)": 2, "s": 1}
    assert evaluated.kept.tolist() == [0, 4]
    found, recipe, _ = build(evaluated, evaluated.kept)
    np.testing.assert_allclose(found, [[1, 0, 0], [1, np.log(5), 1]])
    everywhere = recipe.apply(columns, 5)
    assert np.isnan(everywhere).any(axis=1).tolist() == [False, True, True, True, False]
    assert evaluate_variables(terms(parse_expression("y")), columns, 5).kept is None


def test_infinite_values_are_not_missing():
    columns = {"x": np.array([1.0, np.inf, -np.inf, 0.0])}
    assert not evaluate_variables(terms(parse_expression("x + log(exp(x))")), columns, 4).missing[:2].any()


def test_unused_levels():
    factor = Factor(np.array([0, 2, 0, 2]), ("a", "b", "c"))
    assert matrix("f", {"f": factor}, 4)[1].names == ("(Intercept)", "fb", "fc")
    assert matrix("f", {"f": factor}, 4, drop_unused=True)[1].names == ("(Intercept)", "fc")


def test_a_new_level_is_named():
    for text, columns in [
        ("s", {"s": Strings.of(["delta", "beta"])}),
        ("f", {"f": Factor(np.array([0, 1]), ("a", "delta"))}),
        ("factor(z)", {"z": np.array([1, 9])}),
        ("relevel(s, 'beta')", {"s": Strings.of(["delta", "beta"])}),
        ("C(f, contr.sum)", {"f": Strings.of(["a", "delta"])}),
    ]:
        _, recipe, _ = matrix(text)
        with pytest.raises(DataError, match=r"level that was not there at the fit: '(delta|9)'") as caught:
            recipe.apply(columns, 2)
        assert str(caught.value).startswith(text.partition("(")[0])


def test_a_factor_may_come_back_as_strings_or_in_another_order_but_not_as_numbers():
    whole, recipe, _ = matrix("f * x + as.numeric(f)")
    labels = np.array(COLUMNS["f"].levels, dtype=object)[COLUMNS["f"].codes]
    for again in (Strings.of(labels), as_factor(Strings.of(labels))):
        np.testing.assert_array_equal(recipe.apply({**COLUMNS, "f": again}, N), whole)
    with pytest.raises(DataError, match="'f' was a factor"):
        recipe.apply({**COLUMNS, "f": X}, N)
    with pytest.raises(DataError, match="x was a number"):
        matrix("x")[1].apply({"x": COLUMNS["f"]}, N)


def test_a_contrast_over_levels_that_do_not_occur_is_given_up_with_a_warning():
    factor = Factor(np.array([0, 2, 0, 2]), ("a", "b", "c"))
    with pytest.warns(CausalFormulaWarning, match=r"contrasts of C\(f, contr\.sum\) were dropped"):
        _, recipe, _ = matrix("C(f, contr.sum)", {"f": factor}, 4, drop_unused=True)
    assert recipe.names == ("(Intercept)", "C(f, contr.sum)c")


def test_contrasts_by_matrix_name_and_option():
    by_matrix, recipe, _ = matrix("f", contrasts={"f": [[1, 0], [0, 1], [-1, -1]]})
    by_name, _, _ = matrix("f", contrasts={"f": "contr.sum"})
    by_option, _, _ = matrix("f", contrasts=("contr.sum", "contr.poly"))
    np.testing.assert_array_equal(by_matrix, by_name)
    np.testing.assert_array_equal(by_matrix, by_option)
    assert recipe.names == ("(Intercept)", "f1", "f2")
    with pytest.raises(OptionError, match="'ff', which is no factor of this formula; did you mean 'f'"):
        matrix("f", contrasts={"ff": "contr.sum"})
    with pytest.raises(OptionError, match=r"unknown contrast 'contr\.sums'; did you mean 'contr\.sum'"):
        matrix("f", contrasts={"f": "contr.sums"})
    with pytest.raises(DataError, match="3 rows and at most 2 columns"):
        matrix("f", contrasts={"f": np.eye(4)})


@pytest.mark.parametrize(
    ("text", "suffixes", "columns"),
    [  # rows: levels a, b, c; R 4.2.2
        ("C(f, contr.treatment, base = 2)", "13", [[1, 0], [0, 0], [0, 1]]),
        ("C(f, 'contr.treatment', base = 2)", "13", [[1, 0], [0, 0], [0, 1]]),
        ("C(f, base = 3)", "12", [[1, 0], [0, 1], [0, 0]]),
        ("C(f, contr.treatment, 2, 2)", "13", [[1, 0], [0, 0], [0, 1]]),
        ("C(f, contr.treatment, 1, base = 2)", "1", [[1], [0], [0]]),
        (
            "C(f, contr.poly, scores = c(1, 2, 4))",
            (".L", ".Q"),
            [[-0.617213399848, 0.534522483825], [-0.154303349962, -0.801783725737], [0.77151674981, 0.267261241912]],
        ),
    ],
)
def test_further_arguments_of_c_go_to_the_contrast_function(text, suffixes, columns):
    factor = Factor(np.array([0, 1, 2]), ("a", "b", "c"))
    found, recipe, _ = matrix(text, {"f": factor}, 3)
    assert [name.rpartition(")")[2] for name in recipe.names[1:]] == list(suffixes)
    np.testing.assert_allclose(found[:, 1:], columns, atol=1e-11)
    np.testing.assert_array_equal(recipe.apply({"f": Strings.of(["c", "a"])}, 2), found[[2, 0]])


def gram(size):
    """Orthonormal polynomials over 1, ..., size, in rational numbers until the last square root."""
    points = [Fraction(2 * i - size + 1) for i in range(size)]
    before, current, norm, columns = [Fraction(0)] * size, [Fraction(1)] * size, Fraction(1), []
    for _ in range(size):
        columns.append([float(v) / math.sqrt(float(sum(u * u for u in current))) for v in current])
        last, norm = norm, sum(u * u for u in current)
        share = norm / last if columns[1:] else 0
        before, current = current, [p * u - share * v for p, u, v in zip(points, current, before, strict=True)]
    return np.array(columns[1:]).T


@pytest.mark.parametrize("size", [2, 3, 4, 7, 12])
def test_contrast_matrices_are_rs(size):
    levels = [str(i) for i in range(size)]
    row, column = np.arange(size)[:, None], np.arange(size - 1)
    expected = {
        "contr.treatment": row == column + 1,
        "contr.sum": np.where(row == size - 1, -1, row == column),
        "contr.helmert": np.where(row <= column, -1, np.where(row == column + 1, row, 0)),
        "contr.poly": gram(size),
        "contr.sdif": (column + 1) / size - (row <= column),
    }
    for name, matrix in expected.items():
        np.testing.assert_allclose(named(name, levels).matrix, matrix, rtol=0, atol=1e-12, err_msg=name)


def test_scores_far_from_zero_keep_their_digits():
    scores = np.array([0.0, 1, 4, 9])
    near, far = (contr_poly("abcd", scores + shift).matrix for shift in (0, 1e6))
    np.testing.assert_allclose(far, near, rtol=0, atol=1e-12)
    for bad in ([1.0, 1, 2, 3], [1.0, np.nan, 2, 3]):
        with pytest.raises(DataError, match="as many different numbers as there are levels"):
            contr_poly("abcd", np.array(bad))
    with pytest.raises(DataError, match=r"at most 95 levels, as in R, not 96"):
        named("contr.poly", [str(i) for i in range(96)])


@pytest.mark.parametrize(("knots", "degree"), [([], 3), ([0.4], 1), ([0.2, 0.7], 2), ([0.1, 0.5, 0.5, 0.8], 3)])
def test_b_splines_within_their_boundary_are_those_of_scipy(knots, degree):
    x = np.r_[0, 1, knots, np.linspace(0, 1, 77)]
    found = BSplineBasis(np.array(knots), np.array([0.0, 1.0]), degree, intercept=True).apply(np.r_[x, np.nan]).values
    places = np.sort(np.r_[np.repeat([0.0, 1.0], degree + 1), knots])
    expected = BSpline(places, np.eye(len(places) - degree - 1), degree)(x)
    np.testing.assert_allclose(found[:-1], expected, rtol=0, atol=5e-16)
    assert np.isnan(found[-1]).all()


def test_a_factor_of_one_level_is_refused():
    with pytest.raises(DataError, match=r"s has 1 level, 'a', in the rows used"):
        matrix("s", {"s": Strings.of(["a", "a"])}, 2)


@pytest.mark.parametrize(
    ("text", "message", "under"),
    [
        ("x + agge", "unknown column 'agge'; did you mean 'age'", "agge"),
        ("x + IH", "unknown column 'IH'; did you mean 'I.H'", "IH"),
        ("x + logg(x)", "unknown function 'logg'; did you mean 'log'", "logg(x)"),
        ("x + log(f)", "log() needs a number, and f is a factor; as.numeric(f) numbers its levels", "log(f)"),
        ("I(x + s)", "`+` needs a number, and s is a string", "x + s"),
        ("poly(x, rau = TRUE)", "poly() has no argument 'rau'; did you mean 'raw'", "poly(x, rau = TRUE)"),
        ("scale(x, centre = 1)", "scale() has no argument 'centre'; did you mean 'center'", "scale(x, centre = 1)"),
        ("scale(x, center = NA)", "center must be TRUE or FALSE", "scale(x, center = NA)"),
        ("relevel(f, ref = 'd')", "ref 'd' is not a level", "relevel(f, ref = 'd')"),
        ("cut(x)", "cut() needs breaks", "cut(x)"),
        ("exp(x, 2)", "exp() takes at most 1 arguments", "exp(x, 2)"),
        ("f > 'a'", "`>` has no meaning for an unordered factor", "f > 'a'"),
        ("mean(x)", "gives 1 value for 40 rows", "mean(x)"),
        ("log(.)", "`.` cannot stand inside an expression", "."),
        ("factor(x, labels = c(1, 2))", "finds 40 levels, and there are 2 labels", "factor(x, labels = c(1, 2))"),
        ("C(f, contr.sum, base = 2)", "cannot pass on base: contr.sum takes no argument", "C(f, contr.sum, base = 2)"),
        ("C(f, bse = 2)", "cannot pass on bse: contr.treatment takes base", "C(f, bse = 2)"),
        ("C(f, cbind(c(1, 0, 0)), base = 2)", "a contrast matrix takes none", "C(f, cbind(c(1, 0, 0)), base = 2)"),
        ("round(x, 0.5)", "digits must be a whole number", "round(x, 0.5)"),
        ("contr.sum", "contr.sum is a contrast, not a variable", "contr.sum"),
        ("x == c(1, 2, 3)", "the two sides have 40 and 3 values", "x == c(1, 2, 3)"),
    ],
)  # fmt: skip
def test_formula_errors_point_at_the_place(text, message, under):
    with pytest.raises(FormulaError) as caught:
        matrix(text)
    assert message in str(caught.value)
    start, stop = caught.value.span
    assert text[start:stop] == under


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("poly(m, 2)", r"poly\(m, 2\): poly\(\) does not take missing values"),
        ("poly(z, 5)", "needs more than 5 distinct values"),
        ("cut(x, c(1, 1, 2))", "breaks of .* are not unique"),
        ("cut(x, 1)", "not 1"),
        ("cut(x, 1e9)", "not 1e\\+09"),
        ("ns(tied, 4)", "inner knots .* strictly between"),
        ("cut(none, 3)", "no breaks to work with"),
        ("C(f, c(1, 0))", "3 rows and at most 2 columns"),
        ("C(f, contr.treatment, base = 9)", "base must be a level from 1 to 3, not 9"),
    ],
)
def test_data_errors(text, message):
    columns = {
        **COLUMNS, "m": np.where(X > 5, np.nan, X), "tied": np.maximum(X - 4, 0), "none": np.full(N, np.nan)
    }  # fmt: skip
    with warnings.catch_warnings(), pytest.raises(DataError, match=message):
        warnings.simplefilter("ignore", RuntimeWarning)
        matrix(text, columns)


def test_functions_of_the_caller():
    env = {
        "double": lambda a: 2 * a,
        "both": lambda a, b: np.column_stack([a, b]),
        "big": lambda a, than: a > than,
        "first": lambda s: np.array([v[0] for v in s], dtype=object),
    }
    found, recipe, _ = matrix("double(x) + both(x, age) + big(x, than = 3) + first(s)", env=env)
    assert recipe.names[1:] == (
        "double(x)", "both(x, age)1", "both(x, age)2", "big(x, than = 3)TRUE", "first(s)b", "first(s)g",
    )  # fmt: skip
    np.testing.assert_array_equal(found[:, 1], 2 * X)
    np.testing.assert_array_equal(recipe.apply(COLUMNS, N), found)
    with pytest.raises(FormulaError, match=r"f\(\) from env= failed: ZeroDivisionError"):
        value("f(x)", env={"f": lambda a: 1 / 0})


def test_base_names_are_constants_unless_the_data_have_them():
    found, recipe, _ = matrix("I(x * pi) + poly(x, 2, raw = T)")
    np.testing.assert_allclose(found[:, 1:], np.column_stack([X * np.pi, X, X**2]))
    assert recipe.variables == ("x",)
    assert matrix("I(x * pi)", {"x": X, "pi": X})[1].variables == ("x", "pi")


def test_numbers_as_labels():
    assert matrix("factor(k)", {"k": np.array([1e5, 2e5])}, 2)[1].names[1] == "factor(k)2e+05"
    assert matrix("factor(k)", {"k": np.array([100000, 200000])}, 2)[1].names[1] == "factor(k)200000"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_label_keeps_fifteen_digits(x):
    assert float(f"{float(number_label(x)):.14e}") == float(f"{x:.14e}")


# -- whatever is written, the answer is a value or an error of ours --

PIECES = st.sampled_from([
    *["x", "z", "f", "o", "s", "l", "age", "m", "1", "0", "-1", "2.5", "1e9", "5L", "'a'", "TRUE", "NA", "NULL", "Inf"],
    *["c()", "c(1, 2)", "c('a', 'b')", "contr.sum", "cbind(x, z)", "nothing"],
])  # fmt: skip
NAMES = st.sampled_from([
    *["I", "log", "exp", "abs", "round", "pmin", "pmax", "mean", "ifelse", "is.na", "factor", "as.factor"],
    *["as.numeric", "as.integer", "as.character", "ordered", "relevel", "interaction", "cut", "scale", "poly", "ns"],
    *["bs", "C", "c", "cbind", "contr.treatment", "contr.sum", "contr.helmert", "contr.poly", "contr.sdif", "offset"],
])  # fmt: skip
OPERATORS = st.sampled_from(["+", "-", "*", "/", "^", "%%", "%/%", "%in%", "==", "<", "&", "|"])


def _grown(inner):
    call = st.tuples(NAMES, st.lists(inner, min_size=0, max_size=3)).map(lambda t: f"{t[0]}({', '.join(t[1])})")
    binary = st.tuples(inner, OPERATORS, inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
    return call | binary


@given(st.recursive(PIECES, _grown, max_leaves=6))
def test_anything_written_gives_a_value_or_an_error_of_ours(text):
    columns = {**COLUMNS, "m": np.where(X > 5, np.nan, X)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            node = parse_expression(f"I({text})")
            evaluated = evaluate_variables(terms(node, source=text), columns, N, source=text)
            found, recipe, _ = build(evaluated)
        except CausalFormulaError:
            return
        assert found.shape == (N, len(recipe.names)) == (N, len(recipe.assign))
        np.testing.assert_allclose(recipe.apply(columns, N), found, rtol=1e-12)
