"""TOC, RATE, gain and Qini curves of scores, and what a budget is worth: by hand, and by slow arithmetic."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from causalformula.diagnostics.budget import policy_value
from causalformula.diagnostics.rankings import Ranking, half
from causalformula.diagnostics.targeting import TENTHS, difference, score_curve, score_curves
from causalformula.errors import DataError, OptionError

SCORES, PRIORITY = np.array([4.0, 1.0, -1.0, 2.0]), np.array([9.0, 7.0, 3.0, 5.0])


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(3)
    priority = rng.normal(size=400)
    return priority + rng.normal(size=400), priority


def by_rows(scores, priority, weights=None):
    """Shares, sums and the two areas, a row at a time; rows of equal priority have their means."""
    w = np.ones(len(scores)) if weights is None else weights
    order = sorted(np.flatnonzero(w > 0), key=lambda i: -priority[i])
    pairs = []
    for i in order:
        tie = [j for j in order if priority[j] == priority[i]]
        pairs.append((np.mean([w[j] for j in tie]), np.mean([w[j] * scores[j] for j in tie])))
    total, mean = sum(p[0] for p in pairs), sum(p[1] for p in pairs) / sum(p[0] for p in pairs)
    upto, summed, autoc, qini = 0.0, 0.0, 0.0, 0.0
    for each, score in pairs:
        upto, summed = upto + each, summed + score
        toc = summed / upto - mean
        autoc, qini = autoc + each / total * toc, qini + each / total * upto / total * toc
    return autoc, qini


# ---- four rows by hand: the order is 4, 1, 2, -1, the mean 1.5 -------------------------------------------------------


def test_the_curves_of_four_rows():
    share = np.array([0.125, 0.25, 0.5, 0.75, 1.0])
    found = {
        kind: score_curve(SCORES, PRIORITY, kind, share=share, reps=0) for kind in ("toc", "uplift", "gain", "qini")
    }
    uplift = np.array([4, 4, 2.5, 7 / 3, 1.5])
    np.testing.assert_allclose(found["uplift"].value, uplift)
    np.testing.assert_allclose(found["toc"].value, uplift - 1.5, atol=1e-15)
    np.testing.assert_allclose(found["gain"].value, [0.5, 1, 1.25, 1.75, 1.5])
    np.testing.assert_allclose(found["qini"].value, [0.3125, 0.625, 0.5, 0.625, 0], atol=1e-15)
    np.testing.assert_allclose(found["gain"].random, 1.5 * share)
    np.testing.assert_array_equal(found["uplift"].random, 1.5)
    assert not found["toc"].random.any()
    autoc, qini = (2.5 + 1 + 5 / 6 + 0) / 4, (0.625 + 0.5 + 0.625 + 0) / 4
    assert found["toc"].area == found["uplift"].area == pytest.approx(autoc)
    assert found["qini"].area == found["gain"].area == pytest.approx(qini)
    assert np.isnan(found["toc"].std_error).all() and np.isnan(found["toc"].area_se)


def test_rows_of_equal_priority_have_their_mean():
    tied = score_curve(SCORES, np.array([9.0, 5.0, 3.0, 5.0]), "uplift", share=[0.25, 0.5, 0.75, 1], reps=0)
    np.testing.assert_allclose(tied.value, [4, 5.5 / 2, 7 / 3, 1.5])
    assert tied.area == pytest.approx((2.5 + 1.25 + 5 / 6) / 4)
    other = score_curve(SCORES[::-1], np.array([5.0, 3.0, 5.0, 9.0]), "uplift", share=[0.25, 0.5, 0.75, 1], reps=0)
    np.testing.assert_array_equal(tied.value, other.value)


@pytest.mark.parametrize("kind", ["toc", "qini"])
def test_a_priority_that_ranks_nobody_gains_exactly_nothing(study, kind):
    scores, _ = study
    level = score_curve(scores, np.full(400, 0.1), kind)
    assert not level.value.any() and not level.std_error.any()
    assert level.area == level.area_se == 0


def test_priorities_that_differ_by_rounding_are_equal():
    near = np.array([9.0, 0.1 + 0.2, -4.0, 0.3])
    same = score_curve(SCORES, np.array([9.0, 0.3, -4.0, 0.3]), reps=0)
    assert score_curve(SCORES, near, reps=0).area == same.area


@pytest.mark.parametrize("weighted", [False, True])
def test_areas_by_slow_arithmetic(weighted):
    rng = np.random.default_rng(1)
    priority, scores = rng.integers(0, 12, 60).astype(float), rng.normal(size=60)
    weights = rng.integers(0, 4, 60).astype(float) if weighted else None
    autoc, qini = by_rows(scores, priority, weights)
    assert score_curve(scores, priority, weights=weights, reps=0).area == pytest.approx(autoc, rel=1e-12)
    assert score_curve(scores, priority, "qini", weights=weights, reps=0).area == pytest.approx(qini, rel=1e-12)
    assert score_curve(scores, priority, target="QINI", weights=weights, reps=0).area == pytest.approx(qini, rel=1e-12)


def test_weights_count_rows_in_every_curve(study):
    scores, priority = study
    weights = np.arange(400) % 4
    rows = np.repeat(np.arange(400), weights)
    for kind in ("toc", "uplift", "gain", "qini"):
        one = score_curve(scores, priority, kind, weights=weights.astype(float), reps=0)
        many = score_curve(scores[rows], priority[rows], kind, reps=0)
        np.testing.assert_allclose(one.value, many.value, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(one.random, many.random, rtol=1e-10, atol=1e-12)


# ---- half-samples ----------------------------------------------------------------------------------------------------


def test_every_half_is_as_likely():
    rng = np.random.default_rng(0)
    counts = dict.fromkeys(combinations(range(5), 2), 0)
    for _ in range(5000):
        counts[tuple(np.flatnonzero(half(rng, 5)).tolist())] += 1
    chi = sum((count - 500) ** 2 / 500 for count in counts.values())
    assert chi < 27.9  # the 0.999 quantile with nine degrees of freedom


def test_standard_errors_are_those_of_halves(study):
    scores, priority = study
    found = score_curve(scores, priority, share=TENTHS, reps=50, seed=4)
    ranking = Ranking.of(priority)
    for child, draw in zip(np.random.SeedSequence(4).spawn(50), found.draws, strict=True):
        kept = half(np.random.default_rng(child), 400)
        alone = score_curve(scores[kept], priority[kept], share=TENTHS, reps=0)
        np.testing.assert_allclose(draw, [*alone.value, alone.area], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.std_error, found.draws[:, :-1].std(axis=0, ddof=1))
    assert ranking.units[1] == 400
    low, high = found.limits(0.9)
    np.testing.assert_allclose((high - low) / 2, 1.6448536269514722 * found.std_error)


@pytest.mark.parametrize("rounded", [False, True])
def test_halves_of_clusters_and_of_tied_rows(study, rounded):
    scores, priority = study
    priority = np.round(priority, 1) if rounded else priority
    clusters, weights = np.arange(400) // 8, (np.arange(400) % 3).astype(float)
    found = score_curve(scores, priority, share=TENTHS, weights=weights, clusters=clusters, reps=20, seed=4)
    for child, draw in zip(np.random.SeedSequence(4).spawn(20), found.draws, strict=True):
        kept = half(np.random.default_rng(child), 50)[clusters]
        alone = score_curve(scores[kept], priority[kept], share=TENTHS, weights=weights[kept], reps=0)
        np.testing.assert_allclose(draw, [*alone.value, alone.area], rtol=1e-10, atol=1e-12)


def test_a_seed_gives_the_same_halves(study):
    a, b = (score_curve(*study, reps=10, seed=7) for _ in range(2))
    np.testing.assert_array_equal(a.draws, b.draws)
    assert not np.array_equal(a.draws, score_curve(*study, reps=10, seed=8).draws)


def test_two_priorities_differ_on_the_same_halves(study):
    scores, priority = study
    other = np.random.default_rng(5).normal(size=400)
    one, two = (score_curve(scores, p, reps=100) for p in (priority, other))
    both = difference(one, two)
    assert both.area == one.area - two.area
    np.testing.assert_array_equal(both.value, one.value - two.value)
    assert both.area_se == pytest.approx((one.draws - two.draws)[:, -1].std(ddof=1))
    nothing = difference(one, score_curve(scores, 2 * priority, reps=100))
    assert nothing.area == nothing.area_se == 0


def test_all_curves_by_one_sort_are_those_of_each(study):
    together = score_curves(*study, share=TENTHS, reps=10)
    assert list(together) == ["toc", "uplift", "gain", "qini"]
    for kind, curve in together.items():
        alone = score_curve(*study, kind, share=TENTHS, reps=10)
        assert (curve.area, curve.area_name) == (alone.area, alone.area_name)
        for name in ("value", "random", "draws"):
            np.testing.assert_array_equal(getattr(curve, name), getattr(alone, name))


# ---- what a rule is worth --------------------------------------------------------------------------------------------


def test_the_value_of_a_budget_by_hand():
    found = policy_value(SCORES, PRIORITY, share=0.5, cost=1.0)
    assert found.share == 0.5
    assert found.gain.estimate == pytest.approx([1.25])
    assert found.value.estimate == pytest.approx([0.75])
    assert found.everyone.estimate == pytest.approx([0.5])
    assert found.better.estimate == pytest.approx([0.25])
    part = policy_value(SCORES, np.array([9.0, 5.0, 3.0, 5.0]), share=0.5)
    assert part.gain.estimate == pytest.approx([(4 + 1.5) / 4])  # half of each of the two at the threshold


def test_those_whose_effect_exceeds_their_cost():
    cost = np.array([8.0, 8.0, 1.0, 4.0])
    found = policy_value(SCORES, PRIORITY, cost=cost)
    assert found.share == 0.75
    each = np.array([1, 0, 1, 1]) * (SCORES - cost)
    assert found.value.estimate == pytest.approx([each.mean()])
    assert found.value.std_error == pytest.approx([each.std(ddof=1) / 2])
    weights = np.array([1.0, 0, 2, 1])
    assert policy_value(SCORES, PRIORITY, cost=cost, weights=weights).value.estimate == pytest.approx(
        [weights @ each / 4]
    )


def test_the_gain_of_a_budget_lies_on_the_curve(study):
    curve = score_curve(*study, "gain", share=TENTHS, reps=0)
    found = [policy_value(*study, share=share).gain.estimate[0] for share in TENTHS]
    np.testing.assert_allclose(found, curve.value)


def test_treating_all_has_no_threshold(study):
    found = policy_value(*study, share=1.0)
    assert found.value.std_error == pytest.approx(found.everyone.std_error)
    assert found.better.estimate == found.better.std_error == 0


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"kind": "lift"}, OptionError, "'toc', 'uplift', 'gain', 'qini'"),
        ({"target": "auc"}, OptionError, "'AUTOC' or 'QINI'"),
        ({"share": [0.5, 0.2]}, OptionError, "ascend"),
        ({"share": [0.0, 0.2]}, OptionError, "above 0"),
        ({"weights": -np.ones(4)}, DataError, "negative"),
        ({"weights": np.ones(3)}, DataError, "each of the 4 rows"),
        ({"clusters": np.array([0, 0, 1, 1])}, DataError, "four rows or clusters"),
        ({"clusters": np.array([0, 1, 2])}, DataError, "one code for each of the 4 rows, not 3"),
    ],
)
def test_what_cannot_be_asked(given, error, words):
    with pytest.raises(error, match=words):
        score_curve(SCORES, PRIORITY, **given)


def test_numbers_that_are_missing_are_counted():
    with pytest.raises(DataError, match=r"the priority is missing or infinite in 2 of 4 rows, the first at 1"):
        score_curve(SCORES, np.array([1, np.nan, 2, np.inf]))
    with pytest.raises(DataError, match="the priority must hold numbers"):
        score_curve(SCORES, np.array(["a", "b", "c", "d"]))
    with pytest.raises(DataError, match="the priority must hold one number a row, and there are no rows"):
        score_curve(SCORES[:0], PRIORITY[:0])
    with pytest.raises(DataError, match="the scores"):
        score_curve(SCORES[:3], PRIORITY)


@pytest.mark.parametrize("other", [{"kind": "gain"}, {"seed": 1}, {"reps": 11}, {"share": TENTHS}, {"target": "QINI"}])
def test_curves_that_have_no_difference(study, other):
    with pytest.raises(OptionError, match="differ in"):
        difference(score_curve(*study, reps=10), score_curve(*study, **({"reps": 10} | other)))


def test_shares_of_less_than_one_row_and_costs_that_are_none():
    scores = np.arange(6.0)
    with pytest.raises(OptionError, match=r"share=0\.16 treats less than one of 6 rows; the least is 0\.1668"):
        policy_value(scores, scores, share=0.16)
    assert policy_value(scores, scores, share=1 / 6).gain.estimate == pytest.approx(5 / 6)
    weights = np.array([0.0, 1, 3, 3, 3, 2])
    with pytest.raises(OptionError, match=r"the least is 0\.08342"):
        policy_value(scores, scores, share=0.08, weights=weights)
    with pytest.raises(OptionError, match="cost=True: what treating one costs"):
        policy_value(scores, scores, cost=True)
    with pytest.raises(DataError, match="the cost is missing or infinite in 6 of 6 rows"):
        policy_value(scores, scores, cost=np.nan)
