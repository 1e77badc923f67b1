"""Absorbed fixed effects against least squares on dummies, and against small cases by hand."""

from __future__ import annotations

import pickle
import tracemalloc
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalformula.errors import DataError
from causalformula.numerics.absorption import conjugate, effect, solve
from causalformula.numerics.absorption.absorber import Absorber
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.absorption.singletons import singletons

# Settings under which a small problem takes each of the ways of a large one.
WAYS = {
    "at once": {},
    "at once, sparse": {"effect.DENSE": 0},
    "in steps": {"solve.DIRECT": 0, "effect.DENSE": 0},
    "in steps, not multiplied out": {"solve.DIRECT": 0, "solve.EXPLICIT": 0, "effect.DENSE": 0},
    "factorised": {"solve.DIRECT": 0, "solve.PATIENCE": 1, "solve.NEIGHBOURS": 10**6},
}
MODULES = {"solve": solve, "effect": effect, "conjugate": conjugate}


def under(**settings):
    """The absorption with other constants."""
    patches = [patch.object(MODULES[name.split(".")[0]], name.split(".")[1], value) for name, value in settings.items()]

    def run(call):
        for each in patches:
            each.start()
        try:
            return call()
        finally:
            for each in patches:
                each.stop()

    return run


def columns(e):
    """The variables of an effect, (n, width)."""
    ones = [np.ones(len(e.codes))] if e.intercept else []
    slopes = [] if e.slope is None else list(np.reshape(e.slope, (len(e.codes), -1)).T)
    return np.column_stack([*ones, *slopes])


def dummies(effects):
    """Every level's columns, side by side."""
    blocks = [(np.arange(e.levels) == e.codes[:, None])[:, :, None] * columns(e)[:, None, :] for e in effects]
    return np.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)


def fitted_by(effects, values):
    """What coefficients, as they are returned, predict."""
    total = np.zeros(len(effects[0].codes))
    for e, own in zip(effects, values, strict=True):
        total += (np.reshape(np.nan_to_num(own), (e.levels, -1))[e.codes] * columns(e)).sum(axis=1)
    return total


@st.composite
def problems(draw):
    """Unbalanced factors, with empty levels, slopes, weights of which some are zero, and three columns."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(4, 60))
    effects = []
    for _ in range(draw(st.integers(1, 3))):
        levels = draw(st.integers(1, 12))
        slopes = draw(st.integers(0, 2))
        slope = rng.normal(size=(n, slopes)) if slopes > 1 else rng.normal(size=n) if slopes else None
        effects.append(Effect(rng.integers(0, levels, n), levels, slope, slopes == 0 or draw(st.booleans())))
    weights = rng.uniform(0.5, 2, n) * (rng.random(n) < 0.8) if draw(st.booleans()) else None
    return effects, weights, rng.normal(size=(n, 3)) * [1, 10, 0.1] + [0, 5, 100]


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=40, deadline=None)
@given(problem=problems())
def test_equals_dummies(way, problem):
    effects, weights, M = problem
    root = np.ones(len(M)) if weights is None else np.sqrt(weights)
    D = dummies(effects)
    expected = M - D @ np.linalg.lstsq(D * root[:, None], M * root[:, None], rcond=1e-10)[0]

    def run():
        absorber = Absorber(effects, weights)
        demeaned = absorber.demean(M)
        part = M[:, 0] - demeaned.values[:, 0]
        return absorber, demeaned, part, absorber.coefficients(part)

    absorber, demeaned, part, values = under(**WAYS[way])(run)
    assert demeaned.converged
    size = np.abs(M).max(axis=0)
    np.testing.assert_allclose(demeaned.values * root[:, None] / size, expected * root[:, None] / size, atol=1e-10)
    np.testing.assert_allclose(fitted_by(effects, values) * root, part * root, atol=1e-8)
    if absorber.rank is not None:
        assert absorber.rank == np.linalg.matrix_rank(D * root[:, None], 1e-9)


def panel(units, periods, rng, lost=0.0):
    """Codes of units and periods, of which a share of rows is lost."""
    u, t = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    keep = rng.random(len(u)) >= lost
    return u[keep], t[keep]


def test_regression_on_the_demeaned_is_that_on_dummies():
    rng = np.random.default_rng(1)
    u, t = panel(40, 6, rng, 0.2)
    X = rng.normal(size=(len(u), 3)) + rng.normal(size=40)[u, None]
    y = X.sum(axis=1) + rng.normal(size=40)[u] + t + rng.normal(size=len(u))
    effects = [Effect(u, 40), Effect(t, 6)]
    values = Absorber(effects).demean(np.column_stack([y, X])).values
    ours = np.linalg.lstsq(values[:, 1:], values[:, 0], rcond=None)[0]
    theirs = np.linalg.lstsq(np.column_stack([X, dummies(effects)]), y, rcond=None)[0][:3]
    np.testing.assert_allclose(ours, theirs, rtol=1e-10)


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_is_given_is_not_changed(order):
    rng = np.random.default_rng(2)
    M = np.asarray(rng.normal(size=(30, 2)), order=order)
    before = M.copy()
    Absorber([Effect(np.arange(30) % 4, 4), Effect(np.arange(30) // 8, 4)]).demean(M)
    np.testing.assert_array_equal(M, before)


def test_rows_without_weight_get_what_they_are_predicted():
    codes = np.array([0, 0, 0, 1, 1])
    weights = np.array([1.0, 3.0, 0.0, 0.0, 0.0])
    absorber = Absorber([Effect(codes, 2)], weights)
    values = absorber.demean(np.array([[2.0], [6.0], [10.0], [7.0], [8.0]])).values[:, 0]
    np.testing.assert_allclose(values[:3], [-3, 1, 5], atol=1e-12)
    # a level without weight has no effect, and its rows say nothing about any
    np.testing.assert_allclose(values[3:], [7, 8])
    assert absorber.counted.tolist() == [1]
    found = absorber.coefficients(np.full(5, 5.0))[0]
    np.testing.assert_allclose(found, [5, np.nan])


@pytest.mark.parametrize("way", WAYS)
def test_columns_far_from_zero_keep_their_digits(way):
    """1e8 and a bit, with units of 1e8 as well: the bits are known to 1e-8, and are kept to that."""
    rng = np.random.default_rng(3)
    u, t = panel(60, 8, rng, 0.2)
    effects = [Effect(u, 60), Effect(t, 8)]
    # multiples of 2**-20, so that what is added leaves no rounding
    noise = np.round(rng.normal(size=(len(u), 2)) * 2**20) / 2**20
    far = noise + 1e8 + np.column_stack([np.zeros(len(u)), np.round(rng.normal(size=60) * 1e8)[u]])
    near, values = under(**WAYS[way])(lambda: [Absorber(effects).demean(M).values for M in (noise, far)])
    np.testing.assert_allclose(values, near, atol=1e-7)
    coefs = [np.linalg.lstsq(v[:, 1:], v[:, 0], rcond=None)[0] for v in (near, values)]
    np.testing.assert_allclose(coefs[1], coefs[0], rtol=1e-7)


def test_slopes_of_a_variable_far_from_zero():
    rng = np.random.default_rng(4)
    g = rng.integers(0, 7, 200)
    x = np.round(rng.normal(size=200) * 2**20) / 2**20
    y = rng.normal(size=(200, 1))
    near, far = (Absorber([Effect(g, 7, x + c)]).demean(y).values for c in (0.0, 2.0**26))
    np.testing.assert_allclose(far, near, atol=1e-7)


def test_what_is_absorbed_is_zero():
    """Constant within units, or a sum of both effects: nothing but rounding is left, and none of that."""
    rng = np.random.default_rng(5)
    u, t = panel(50, 6, rng, 0.15)
    M = np.column_stack([rng.normal(size=50)[u] * 1e3 + 1e6, rng.normal(size=50)[u] + rng.normal(size=6)[t], u * t])
    for way in WAYS.values():
        values = under(**way)(lambda: Absorber([Effect(u, 50), Effect(t, 6)]).demean(M).values)
        assert not values[:, :2].any()
        assert values[:, 2].any()


def test_disconnected_components_have_a_reference_each():
    """Levels 0, 1 meet periods 0, 1 and levels 2, 3 meet 2, 3: the period of each one's first row is zero."""
    a = np.array([2, 2, 3, 3, 0, 0, 1, 1])
    b = np.array([3, 2, 2, 3, 0, 1, 0, 1])
    first, second = np.array([1.0, 2.0, 10.0, 20.0]), np.array([0.0, 5.0, 7.0, 0.0])
    absorber = Absorber([Effect(a, 4), Effect(b, 4)])
    assert absorber.rank == 4 + 4 - 2
    assert absorber.counted.tolist() == [4, 3]  # as fixest, which does not look for components
    found = absorber.coefficients(first[a] + 3 + second[b] - 1)
    np.testing.assert_allclose(found[0], first + 2, atol=1e-12)
    np.testing.assert_allclose(found[1], second, atol=1e-12)


def test_three_factors_have_two_references():
    rng = np.random.default_rng(6)
    codes = [rng.integers(0, levels, 300) for levels in (30, 8, 5)]
    values = [rng.normal(size=levels) for levels in (30, 8, 5)]
    absorber = Absorber([Effect(c, len(v)) for c, v in zip(codes, values, strict=True)])
    found = absorber.coefficients(sum(v[c] for v, c in zip(values, codes, strict=True)))
    at = [v[c[0]] for v, c in zip(values, codes, strict=True)]
    np.testing.assert_allclose(found[0], values[0] + at[1] + at[2], atol=1e-10)
    for j in (1, 2):
        np.testing.assert_allclose(found[j], values[j] - at[j], atol=1e-10)
    assert absorber.rank == 30 + 8 + 5 - 2
    assert absorber.counted.tolist() == [30, 7, 4]


def test_a_factor_given_twice_is_absorbed_once():
    rng = np.random.default_rng(7)
    a, b = rng.integers(0, 6, 80), rng.integers(0, 5, 80)
    effects = [Effect(a, 6), Effect(b, 5), Effect(b, 5)]
    part = rng.normal(size=6)[a] + rng.normal(size=5)[b]
    absorber = Absorber(effects)
    np.testing.assert_allclose(fitted_by(effects, absorber.coefficients(part)), part, atol=1e-10)
    assert absorber.rank == 10


def test_slopes_by_hand():
    """A line through each level's points; intercepts and slopes of two variables come back."""
    rng = np.random.default_rng(8)
    g, x = rng.integers(0, 5, 100), rng.normal(3, 2, size=(100, 2))
    coefs = rng.normal(size=(5, 3))
    part = coefs[g, 0] + (coefs[g, 1:] * x).sum(axis=1)
    absorber = Absorber([Effect(g, 5, x)])
    np.testing.assert_allclose(absorber.coefficients(part)[0], coefs, atol=1e-10)
    assert absorber.counted.tolist() == [15] and absorber.rank == 15
    alone = Absorber([Effect(g, 5, x[:, 0], intercept=False)])
    np.testing.assert_allclose(alone.coefficients(coefs[g, 1] * x[:, 0])[0], coefs[:, 1], atol=1e-12)
    assert alone.counted.tolist() == [5]


@pytest.mark.parametrize("constant", [4.0, 0.1, 0.0, 1e8 / 3])
def test_a_slope_that_is_constant_in_a_level_is_zero_there(constant):
    rng = np.random.default_rng(9)
    g, x = np.arange(60) % 3, rng.normal(size=60)
    x[g == 1] = constant
    y = rng.normal(size=60)
    absorber = Absorber([Effect(g, 3, x)])
    assert absorber.rank == 5
    assert absorber.counted.tolist() == [6]  # fixest counts it
    values = absorber.demean(y[:, None]).values[:, 0]
    np.testing.assert_allclose(values[g == 1], y[g == 1] - y[g == 1].mean(), atol=1e-12)
    found = absorber.coefficients(y - values)[0]
    assert found[1, 1] == 0.0
    np.testing.assert_allclose(found[1, 0], y[g == 1].mean(), atol=1e-12)


def test_collinear_slopes_are_absorbed_once():
    rng = np.random.default_rng(10)
    g, x = np.arange(60) % 3, rng.normal(size=60)
    y = rng.normal(size=(60, 1))
    twice = Absorber([Effect(g, 3, np.column_stack([x, 3 * x - 7]))])
    assert twice.rank == 6
    np.testing.assert_allclose(twice.demean(y).values, Absorber([Effect(g, 3, x)]).demean(y).values, atol=1e-12)


def chain(links):
    """Workers between firms that hang together by one mover each, and stayers: a hard case for steps."""
    stayers, movers = np.repeat(np.arange(links * 3), 2), np.repeat(links * 3 + np.arange(links - 1), 2)
    firms = np.repeat(np.arange(links), 6), np.column_stack([np.arange(links - 1), np.arange(1, links)]).ravel()
    return np.concatenate([stayers, movers]), np.concatenate(firms)


def test_long_chains_of_levels():
    """Steps as many as links would be taken; the factorisation takes a few."""
    w, f = chain(1500)
    rng = np.random.default_rng(11)
    effects = [Effect(w, int(w.max()) + 1), Effect(f, 1500)]
    M = rng.normal(size=(len(w), 2)) + f[:, None] / 100
    demeaned = Absorber(effects).demean(M)
    assert demeaned.converged and demeaned.iterations < solve.PATIENCE + 20
    slowly = under(**{"solve.PATIENCE": 10_000})(lambda: Absorber(effects).demean(M))
    assert slowly.converged and slowly.iterations > 1000
    np.testing.assert_allclose(demeaned.values, slowly.values, atol=1e-9)


def test_an_absorber_pickles_after_it_has_factorised():
    w, f = chain(1500)
    M = np.random.default_rng(14).normal(size=(len(w), 1))
    absorber = Absorber([Effect(w, int(w.max()) + 1), Effect(f, 1500)], np.ones(len(w)))
    values = absorber.demean(M).values
    assert absorber._equations._factor is not None
    np.testing.assert_allclose(pickle.loads(pickle.dumps(absorber)).demean(M).values, values, atol=1e-9)


def test_what_has_not_converged_says_so():
    w, f = chain(600)
    M = np.random.default_rng(12).normal(size=(len(w), 1))
    absorber = under(**{"solve.PATIENCE": 2, "solve.NEIGHBOURS": 0, "solve.MOST_STEPS": 3})(
        lambda: Absorber([Effect(w, int(w.max()) + 1), Effect(f, 600)])
    )
    demeaned = under(**{"solve.NEIGHBOURS": 0, "solve.MOST_STEPS": 3})(lambda: absorber.demean(M))
    assert not demeaned.converged
    assert demeaned.iterations == 15


def test_singletons_leave_until_none_is_left():
    # row 0 is alone in a; then row 1 is alone in b; then row 2 in a; the rest holds together
    a = np.array([0, 1, 1, 2, 2, 3, 3])
    b = np.array([0, 0, 1, 1, 2, 2, 1])
    assert singletons([a, b]).tolist() == [False, False, False, True, True, True, True]
    assert singletons([np.arange(4), np.zeros(4, dtype=int)]).tolist() == [False] * 4
    assert singletons([np.array([0, 0, 1])]).tolist() == [True, True, False]


def test_rows_without_weight_keep_no_level():
    a = np.array([0, 0, 1, 1, 1])
    assert singletons([a], np.array([1.0, 0.0, 1.0, 2.0, 0.0])).tolist() == [False, False, True, True, True]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 3), st.booleans())
def test_singletons_are_those_of_a_loop(seed, n, factors, weighted):
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, 15, n) for _ in range(factors)]
    weights = (rng.random(n) < 0.7).astype(float) if weighted else np.ones(n)
    alive = np.ones(n, dtype=bool)
    while True:
        count = [np.bincount(c, weights * alive, 15)[c] for c in codes]
        rest = alive & np.all([c >= 2 for c in count], axis=0)
        if (rest == alive).all():
            break
        alive = rest
    np.testing.assert_array_equal(singletons(codes, weights if weighted else None), alive)


def test_what_cannot_be_absorbed_is_refused():
    codes = np.zeros(3, dtype=int)
    for call, words in (
        (lambda: Effect(codes, 1, intercept=False), "neither an intercept nor a slope"),
        (lambda: Effect(codes + 1, 1), "codes outside"),
        (lambda: Effect(codes, 1, np.zeros(2)), "slope of 2 rows"),
        (lambda: Absorber([]), "no effect"),
        (lambda: Absorber([Effect(codes, 1), Effect(codes[:2], 1)]), "differ in their numbers of rows"),
        (lambda: Absorber([Effect(codes, 1)], np.array([1.0, -1.0, 1.0])), "negative"),
    ):
        with pytest.raises(DataError, match=words):
            call()


def test_little_memory():
    """Beside the columns, the demeaned ones and less than two more of them."""
    rng = np.random.default_rng(13)
    u, t = panel(20_000, 10, rng)
    M = np.asfortranarray(rng.normal(size=(len(u), 6)))
    tracemalloc.start()
    Absorber([Effect(u, 20_000), Effect(t, 10)]).demean(M)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 3 * M.nbytes


def test_columns_are_put_together_again():
    rng = np.random.default_rng(8)
    a, b, z = rng.integers(0, 40, 300), rng.integers(0, 7, 300), rng.normal(size=300)
    weights = np.where((a == 3) | (rng.random(300) < 0.1), 0.0, rng.uniform(0.5, 2, 300))
    M = np.column_stack([rng.normal(size=300), 1e6 + rng.normal(size=300), 1.0 * a, np.full(300, 5.0)])
    for effects in ([Effect(a, 40)], [Effect(a, 40), Effect(b, 7)], [Effect(a, 40), Effect(b, 7, slope=z)]):
        for w in (None, weights):
            takes = Absorber(effects, w)
            found = takes.demean(M.copy(order="F"), in_place=True)
            np.testing.assert_allclose(takes.restored(found.values, found.taken), M, rtol=1e-13, atol=1e-12)
