"""In the grammar that R and patsy share, a formula spans the same column space in both."""

import warnings

import numpy as np
import pandas as pd
import patsy
from hypothesis import given, settings
from hypothesis import strategies as st

from causalformula.formula.expressions.values import Factor, Logical, Strings
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.matrix.terms import terms
from tests.parity.columns import model_matrix

N = 160
RNG = np.random.default_rng(8)
FRAME = pd.DataFrame({
    "x": RNG.normal(size=N), "z": RNG.normal(size=N),
    "f": pd.Categorical(RNG.choice(["u", "v", "w"], N)), "g": pd.Categorical(RNG.choice(["no", "yes"], N)),
    "s": RNG.choice(["beta", "Alpha"], N), "l": RNG.random(N) > 0.5,
})  # fmt: skip
COLUMNS = {
    "x": FRAME["x"].to_numpy(), "z": FRAME["z"].to_numpy(), "s": Strings.of(FRAME["s"]),
    "l": Logical.of(FRAME["l"].to_numpy()),
    **{c: Factor(FRAME[c].cat.codes.to_numpy(), tuple(FRAME[c].cat.categories)) for c in ("f", "g")},
}  # fmt: skip

ATOMS = st.sampled_from(["x", "z", "f", "g", "s", "l"])


def _grown(inner):
    # An interaction comes with its margins: without them R looks for any earlier term that holds the rest of the term
    # (`x:z + x:f` codes f by contrasts), and patsy for exactly that term.
    binary = st.tuples(inner, st.sampled_from(["+", "+", "*"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")
    return binary | inner.map(lambda t: f"({t})**2")


FORMULAS = st.recursive(ATOMS, _grown, max_leaves=5)
LISTS = st.lists(ATOMS, min_size=1, max_size=4, unique=True)


def same_span(a, b):
    """Equal ranks, and no more when stacked."""
    ranks = [np.linalg.matrix_rank(m, tol=1e-7 * np.sqrt(N)) for m in (a, b, np.column_stack([a, b]))]
    return len(set(ranks)) == 1


def ours(text):
    return model_matrix(terms(parse_expression(text)), COLUMNS, N)[0]


def theirs(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(patsy.dmatrix(text, FRAME))


@given(FORMULAS)
@settings(max_examples=150)
def test_same_column_space(text):
    assert same_span(ours(text), theirs(text)), text


@given(LISTS)
def test_same_column_space_of_one_interaction(names):
    text = ":".join(names)
    assert same_span(ours(text), theirs(text)), text


@given(LISTS.filter(lambda names: len(names) > 1))
def test_same_column_space_after_taking_an_interaction_out(names):
    text = f"({' + '.join(names)})**2 - {names[0]}:{names[1]}"
    assert same_span(ours(text), theirs(text)), text


@given(LISTS)
def test_same_column_space_without_intercept(names):
    text = "0 + " + " + ".join(names)
    assert same_span(ours(text), theirs(text)), text


@given(FORMULAS)
def test_no_column_is_redundant(text):
    matrix = ours(text)
    assert np.linalg.matrix_rank(matrix) == matrix.shape[1]


@given(LISTS, st.randoms(use_true_random=False))
def test_the_order_of_terms_does_not_matter(names, random):
    shuffled = random.sample(names, len(names))
    a, b = (f"({' + '.join(n)})**2" for n in (names, shuffled))
    assert same_span(ours(a), ours(b))
