"""Matching with ties and the Abadie-Imbens variance: by hand, against slow arithmetic, and laws on simulated data."""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalformula.errors import DataError, OptionError
from causalformula.numerics import tied_matches
from causalformula.numerics.abadie_imbens import abadie_imbens
from causalformula.numerics.tied_matches import match_with_ties

seeds = st.integers(0, 2**31 - 1)
targets = st.sampled_from(["ATT", "ATC", "ATE"])
SWAPPED = {"ATT": "ATC", "ATC": "ATT", "ATE": "ATE"}

# -- by hand ---------------------------------------------------------------------------------------------------------

# Treated at 1 and 4, controls at 0, 2 and 7. The first is as near to 0 as to 2: half a pair each, 7 is imputed and the
# effect is 3. The second has 2: 8 is imputed and the effect is 6.
X = np.array([1.0, 4.0, 0.0, 2.0, 7.0])
Y = np.array([10.0, 14.0, 6.0, 8.0, 9.0])
TREATED = np.array([True, True, False, False, False])


@pytest.fixture
def by_hand():
    return match_with_ties(X, TREATED, 1, target="ATT")


def test_pairs_by_hand(by_hand):
    assert by_hand.focal.tolist() == [0, 0, 1]
    assert by_hand.match.tolist() == [2, 3, 3]
    assert by_hand.shares.tolist() == [0.5, 0.5, 1.0]
    assert by_hand.dropped.tolist() == []


def test_effect_by_hand(by_hand):
    effect = abadie_imbens(Y, TREATED, by_hand)
    assert effect.estimate == effect.unadjusted == (3 + 6) / 2
    assert effect.means == (7.5, 12.0)
    # the pairs' differences are 4, 2 and 6: (0.5 * 0.25 + 0.5 * 6.25 + 2.25) / (2 * 2)
    np.testing.assert_allclose(effect.conditional, 1.375, rtol=1e-14)
    # K is 0.5 and 1.5, the sum of squared shares 0.25 and 1.25: K^2 less that is 0 and 1
    assert effect.variance == pytest.approx((1.5**2 + 1.5**2 + 1.375) / 4, rel=1e-14)
    assert effect.se_standard == pytest.approx(np.sqrt(5.5) / 2, rel=1e-14)
    sample = abadie_imbens(Y, TREATED, by_hand, sample=True)
    assert sample.variance == pytest.approx((1 + 1 + 0.25 + 2.25) * 1.375 / 4, rel=1e-14)


def test_variance_from_the_same_arm_by_hand(by_hand):
    effect = abadie_imbens(Y, TREATED, by_hand, var_calc=1)
    # (14 - 10)^2 / 2; the controls at 0 and 2 are each other's nearest, the one at 7 has that at 2
    assert effect.conditional.tolist() == [8, 8, 2, 2, 0.5]
    assert effect.variance == pytest.approx((4.5 + 1 * 2) / 4, rel=1e-14)
    sample = abadie_imbens(Y, TREATED, by_hand, var_calc=1, sample=True)
    assert sample.variance == pytest.approx((8 + 8 + 0.25 * 2 + 2.25 * 2) / 4, rel=1e-14)


def test_bias_correction_by_hand(by_hand):
    # The regression among the matches goes through (0, 6) and (2, 8): 7 is imputed for the first, 10 for the second
    effect = abadie_imbens(Y, TREATED, by_hand, Z=X)
    assert effect.estimate == pytest.approx((3 + 4) / 2, rel=1e-14)
    assert effect.unadjusted == 4.5
    assert effect.means == pytest.approx((8.5, 12), rel=1e-14)
    assert effect.variance == pytest.approx((0.25 + 0.25 + 0.125) / 4, rel=1e-12)


def test_dropped_rows_by_hand():
    # Only the first is within 1 of a control; the standard deviation (divisor n) is that of 1, 4, 0, 2, 7
    matches = match_with_ties(X, TREATED, 1, target="ATT", caliper=1.5 / X.std())
    assert matches.dropped.tolist() == [1]
    kept = abadie_imbens(Y, TREATED, matches, as_match=False)
    assert kept.estimate == 3
    # the pairs' differences are 4 and 2 about 3
    np.testing.assert_allclose(kept.conditional, 0.5, rtol=1e-14)
    assert kept.variance == 0
    # Match takes the dropped row to have no effect, in a target of two
    assert abadie_imbens(Y, TREATED, matches).variance == pytest.approx(3**2 / 4, rel=1e-14)
    # and finds no neighbour of the same arm within the caliper but for the controls at 0 and 2, which are 2 apart
    assert abadie_imbens(Y, TREATED, matches, var_calc=1).conditional.tolist() == [0] * 5
    assert abadie_imbens(Y, TREATED, matches, var_calc=1, as_match=False).conditional.tolist() == [8, 8, 2, 2, 0.5]


# -- slow arithmetic -------------------------------------------------------------------------------------------------


def simulate(seed, n=90, ties=True):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=n), rng.integers(0, 3, n)])
    if ties:
        X[:, 0] = X[:, 0].round(1)
    treated = rng.random(n) < 1 / (1 + np.exp(-X[:, 0]))
    treated[:12] = np.arange(12) % 2 == 0
    return X, treated, X[:, 0] + 0.5 * X[:, 1] + treated + rng.normal(size=n), rng.integers(1, 4, n).astype(float)


def slowly(X, treated, M, target, w, limits, points):
    """Pairs by comparing each row with each."""
    out, dropped = [], []
    for i in range(len(X)):
        if target != "ATE" and treated[i] != (target == "ATT"):
            continue
        others = [j for j in range(len(X)) if treated[j] != treated[i] and (np.abs(X[j] - X[i]) <= limits).all()]
        distance = {j: ((points[j] - points[i]) ** 2).sum() for j in others}
        weight, cut = 0.0, None
        for j in sorted(others, key=distance.get):
            weight += w[j]
            if weight >= M:
                cut = distance[j]
                break
        if cut is None:
            dropped.append(i)
        else:
            out += [(i, j) for j in others if distance[j] <= cut + 1e-5]
    return out, dropped


@settings(max_examples=30, deadline=None)
@given(
    seeds, targets, st.integers(1, 4), st.booleans(), st.sampled_from([None, 0.1, 1.0]), st.booleans(), st.booleans()
)
def test_matches_are_those_of_slow_arithmetic(seed, target, M, ties, caliper, exact, weighted):
    X, treated, _, w = simulate(seed, ties=ties)
    w = w if weighted else np.ones(len(X))
    mean = w @ X / w.sum()
    spread = np.sqrt(((X - mean) ** 2).sum(axis=0) / w.sum())
    limits = np.full(2, np.inf) if caliper is None else caliper * spread * (1 + 1e-12)
    limits[1] = 1e-5 if exact else limits[1]
    n = len(X)
    points = (X - mean) / np.sqrt(w @ (X - mean) ** 2 / w.sum() * n / (n - 1))
    pairs, dropped = slowly(X, treated, M, target, w, limits, points)
    ask = {"target": target, "caliper": caliper, "exact": [False, exact], "weights": w if weighted else None}
    if not pairs:
        with pytest.raises(DataError, match="no unit has"):
            match_with_ties(X, treated, M, **ask)
        return
    matches = match_with_ties(X, treated, M, **ask)
    assert list(zip(matches.focal, matches.match, strict=True)) == pairs
    assert matches.dropped.tolist() == dropped
    np.testing.assert_allclose(np.bincount(matches.focal, matches.shares, n)[matches.focal], w[matches.focal])


@settings(max_examples=20, deadline=None)
@given(seeds, targets, st.integers(1, 3))
def test_without_a_tree_the_matches_are_the_same(seed, target, M):
    X, treated, _, w = simulate(seed, n=150)
    tree = match_with_ties(X, treated, M, target=target, weights=w)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tied_matches, "DIMENSIONS", 0)
        patch.setattr(tied_matches, "BLOCK_NUMBERS", 700)
        blocks = match_with_ties(X, treated, M, target=target, weights=w)
    np.testing.assert_array_equal(tree.focal, blocks.focal)
    np.testing.assert_array_equal(tree.match, blocks.match)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 5))
def test_one_covariate_without_ties(seed, M):
    """The M nearest by sorting differences, and the mean of their outcomes."""
    X, treated, y, _ = simulate(seed, ties=False)
    x = X[:, 0]
    order = np.argsort(np.abs(x[treated][:, None] - x[~treated]), axis=1)[:, :M]
    effect = abadie_imbens(y, treated, match_with_ties(x, treated, M, target="ATT", tolerance=0.0))
    assert effect.estimate == pytest.approx((y[treated] - y[~treated][order].mean(axis=1)).mean(), rel=1e-10)


# -- laws ------------------------------------------------------------------------------------------------------------


def effect_of(X, treated, y, M, target, *, weights=None, Z=None, sample=False, var_calc=2, **options):
    matches = match_with_ties(X, treated, M, target=target, weights=weights, **options)
    return abadie_imbens(y, treated, matches, Z=Z, sample=sample, var_calc=var_calc)


def agree(a, b, slope=1.0):
    np.testing.assert_allclose(a.estimate, slope * b.estimate, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a.se, abs(slope) * b.se, rtol=1e-9)
    np.testing.assert_allclose(a.se_standard, abs(slope) * b.se_standard, rtol=1e-9)


ways = st.fixed_dictionaries({"sample": st.booleans(), "var_calc": st.integers(0, 3)})


@settings(max_examples=25, deadline=None)
@given(seeds, targets, st.integers(1, 3), ways)
def test_the_order_of_rows_does_not_matter(seed, target, M, way):
    X, treated, y, w = simulate(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    there = effect_of(X, treated, y, M, target, weights=w, Z=X, **way)
    agree(effect_of(X[order], treated[order], y[order], M, target, weights=w[order], Z=X[order], **way), there)


@settings(max_examples=25, deadline=None)
@given(seeds, targets, st.integers(1, 3), ways)
def test_outcomes_in_another_unit(seed, target, M, way):
    X, treated, y, _ = simulate(seed)
    agree(effect_of(X, treated, 7 - 3 * y, M, target, Z=X, **way), effect_of(X, treated, y, M, target, Z=X, **way), -3)


@settings(max_examples=25, deadline=None)
@given(seeds, targets, st.integers(1, 3), ways)
def test_swapped_labels(seed, target, M, way):
    X, treated, y, w = simulate(seed)
    there = effect_of(X, treated, y, M, target, weights=w, Z=X, **way)
    swapped = effect_of(X, ~treated, y, M, SWAPPED[target], weights=w, Z=X, **way)
    agree(swapped, there, -1)
    np.testing.assert_allclose(swapped.means, there.means[::-1], rtol=1e-9, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(seeds, targets, st.sampled_from(["inverse_variance", "mahalanobis"]), st.sampled_from([None, 0.5]))
def test_the_unit_of_a_covariate_does_not_matter(seed, target, weight, caliper):
    X, treated, y, _ = simulate(seed)
    ask = {"weight": weight, "caliper": caliper}
    agree(
        effect_of(X * [1000, 0.25] + [5, -2], treated, y, 1, target, **ask),
        effect_of(X, treated, y, 1, target, **ask),
    )


@settings(max_examples=25, deadline=None)
@given(seeds, targets)
def test_mahalanobis_distance_knows_no_axes(seed, target):
    X, treated, y, _ = simulate(seed)
    turned = X @ np.array([[1.0, 2.0], [0.0, 1.0]])
    ask = {"weight": "mahalanobis"}
    agree(effect_of(turned, treated, y, 2, target, **ask), effect_of(X, treated, y, 2, target, **ask))


@settings(max_examples=25, deadline=None)
@given(seeds, targets, st.integers(1, 4))
def test_whole_weights_are_repeated_rows_to_the_estimate(seed, target, M):
    """Not to the variance: Match takes a row of weight 2 for one observation in it."""
    X, treated, y, w = simulate(seed, ties=False)
    times = np.repeat(np.arange(len(y)), w.astype(int))
    there = effect_of(X, treated, y, M, target, weights=w, Z=X, tolerance=0.0)
    repeated = effect_of(X[times], treated[times], y[times], M, target, Z=X[times], tolerance=0.0)
    np.testing.assert_allclose(there.estimate, repeated.estimate, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(there.weight, repeated.weight)


@settings(max_examples=25, deadline=None)
@given(seeds, targets, ways)
def test_rows_of_weight_zero_take_no_part(seed, target, way):
    X, treated, y, w = simulate(seed)
    w[20::3] = 0
    on = w > 0
    for options in ({}, {"weight": "mahalanobis", "caliper": 2.0}):
        there = effect_of(X, treated, y, 2, target, weights=w, **way, **options)
        agree(there, effect_of(X[on], treated[on], y[on], 2, target, weights=w[on], **way, **options))


@settings(max_examples=25, deadline=None)
@given(seeds, targets, st.integers(0, 2))
def test_match_and_the_rows_kept_agree_where_nothing_is_dropped(seed, target, var_calc):
    X, treated, y, _ = simulate(seed)
    matches = match_with_ties(X, treated, 1, target=target)
    ours, theirs = (abadie_imbens(y, treated, matches, var_calc=var_calc, as_match=a) for a in (False, True))
    agree(ours, theirs)


def test_inputs_are_not_touched():
    X, treated, y, w = simulate(1)
    before = [a.copy() for a in (X, treated, y, w)]
    effect_of(X, treated, y, 2, "ATE", weights=w, Z=X, caliper=1.0)
    for a, b in zip((X, treated, y, w), before, strict=True):
        np.testing.assert_array_equal(a, b)


# -- messages, speed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        ({"M": 4}, DataError, "4 matches are asked for, and the control units are 3"),
        ({"M": 0}, OptionError, "at least one match"),
        ({"target": "ATO"}, OptionError, "'ATO'"),
        ({"weight": "euclidean"}, OptionError, "'euclidean'"),
        ({"weight": np.array([[-1.0]])}, OptionError, "no distance by it negative"),
        ({"weight": np.eye(2)}, DataError, r"has shape \(2, 2\), expected \(1, 1\)"),
        ({"caliper": 0.01}, DataError, "no unit has 1 match within the calipers"),
        ({"caliper": -1.0}, OptionError, "negative"),
        ({"weights": np.array([0.0, 0, 1, 1, 1])}, DataError, "there are no treated units"),
        ({"X": X * 1e200}, DataError, "column 1 of what to match on has values of up to"),
        ({"X": np.full(5, 0.1)}, DataError, "column 1 of what to match on is constant"),
        ({"X": np.column_stack([X, 2 * X]), "weight": "mahalanobis"}, DataError, "collinear"),
        ({"X": np.where(X == 7, np.nan, X)}, DataError, "missing or infinite"),
    ],
)
def test_messages(ask, error, message):
    with pytest.raises(error, match=message):
        match_with_ties(ask.pop("X", X), TREATED, ask.pop("M", 1), **{"target": "ATT", **ask})


def test_too_few_of_an_arm_for_its_variance(by_hand):
    with pytest.raises(DataError, match="2 nearest units of the same arm"):
        abadie_imbens(Y, TREATED, by_hand, var_calc=2)
    with pytest.raises(OptionError, match="-1"):
        abadie_imbens(Y, TREATED, by_hand, var_calc=-1)


def test_twenty_thousand_rows_take_about_a_second():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 3))
    treated = rng.random(20_000) < 1 / (1 + np.exp(-X[:, 0]))
    start = perf_counter()
    matches = match_with_ties(X, treated, 1, target="ATE")
    abadie_imbens(X[:, 0], treated, matches, var_calc=2)
    assert perf_counter() - start < 5
