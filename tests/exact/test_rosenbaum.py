"""Rosenbaum's bounds: all assignments by hand, averages by sorting them all, published values, and fits."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, rankdata, wilcoxon

import causalformula as cf
from causalformula.inference.sensitivity.rosenbaum import Discordant, SignedRank, amplified, lost, walsh


def differences(n=25, seed=0, ties=False):
    d = np.random.default_rng(seed).normal(0.4, 1, n)
    return np.round(d) if ties else d


# ---- McNemar's test --------------------------------------------------------------------------------------------------


def test_published_values():
    """Rosenbaum (2002), section 4.3.2: heavy smoking and lung cancer, 110 of 122 discordant pairs."""
    found = Discordant(110, 12)
    assert round(found.p_value(5, True), 3) == 0.023
    assert round(found.p_value(6, True), 1) == 0.1
    assert found.p_value(3, True) < 1e-4


@pytest.mark.parametrize("gamma", [1, 1.7])
def test_the_exact_test_counts_all_assignments(gamma):
    """Of six discordant pairs, those assignments in which five or more treated units have the outcome."""
    for up, p in ((True, gamma / (1 + gamma)), (False, 1 / (1 + gamma))):
        total = sum(
            np.prod([p if one else 1 - p for one in coins]) for coins in product((0, 1), repeat=6) if sum(coins) >= 5
        )
        assert Discordant(5, 1).p_value(gamma, up) == pytest.approx(total)
        assert Discordant(1, 5).p_value(gamma, up, greater=False) == pytest.approx(total)


def test_without_discordant_pairs_there_is_no_evidence():
    assert Discordant(0, 0).p_value(2, True) == 1
    assert cf.rosenbaum([1, 0, 1], [1, 0, 1]).breakdown == 1
    assert SignedRank(np.zeros(3)).p_value(1, True) == 1


# ---- the signed rank -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", [False, True])
def test_without_bias_it_is_wilcoxons_test(ties):
    d = differences(ties=ties)
    r = wilcoxon(d, alternative="greater", correction=False, method="approx", zero_method="wilcox").pvalue
    assert SignedRank(d).p_value(1, True) == pytest.approx(r, rel=1e-2 if ties else 1e-10)


def test_moments_under_bias_are_those_of_all_assignments():
    """Mean and variance of the bounding sum, over all signs of seven ranks."""
    d, gamma = differences(7, 1), 2.5
    ranks, p = rankdata(np.abs(d)), 2.5 / 3.5
    sums, chances = [], []
    for coins in product((0, 1), repeat=7):
        sums.append(ranks @ coins)
        chances.append(np.prod([p if one else 1 - p for one in coins]))
    mean = np.dot(sums, chances)
    sd = np.sqrt(np.dot((np.array(sums) - mean) ** 2, chances))
    from scipy.stats import norm

    expected = norm.sf((ranks[d > 0].sum() - mean) / sd)
    assert SignedRank(d).p_value(gamma, True) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ties", [False, True])
def test_averages_are_found_without_making_them(seed, ties):
    d = np.sort(differences(17, seed, ties))
    every = np.sort((np.add.outer(d, d) / 2)[np.triu_indices(17)])[::-1]
    assert [walsh(d, k + 1) for k in range(len(every))] == pytest.approx(every.tolist(), abs=1e-12)


@pytest.mark.parametrize("n", [8, 9])
def test_without_bias_the_estimate_is_hodges_and_lehmanns(n):
    d = differences(n, 2)
    every = (np.add.outer(d, d) / 2)[np.triu_indices(n)]
    found = SignedRank(d)
    assert found.estimate(1, True) == found.estimate(1, False) == pytest.approx(np.median(every))


@pytest.mark.parametrize("gamma", [1.2, 2, 3.3])
def test_estimates_leave_the_statistic_at_its_mean(gamma):
    d = differences(40, 3)
    ranks = lambda tau: rankdata(np.abs(d - tau))[d - tau > 0].sum()  # noqa: E731
    for up, p in ((False, gamma / (1 + gamma)), (True, 1 / (1 + gamma))):
        at = SignedRank(d).estimate(gamma, up)
        mean = p * 40 * 41 / 2
        assert ranks(at - 1e-9) >= mean >= ranks(at + 1e-9)


@pytest.mark.parametrize("gamma", [1, 2])
def test_limits_are_the_effects_that_are_not_rejected(gamma):
    d, level = differences(60, 4), 0.9
    for up in (False, True):
        at = SignedRank(d).limit(gamma, up, level)

        def p(tau, up=up):
            return SignedRank(d - tau).p_value(gamma, True, greater=not up)

        inside, outside = (p(at - 1e-9), p(at + 1e-9)) if up else (p(at + 1e-9), p(at - 1e-9))
        assert inside >= 0.05 >= outside


def test_no_pairs_enough_for_a_limit():
    assert SignedRank(differences(4)).limit(3, False, 0.95) == -np.inf
    assert SignedRank(differences(4)).limit(3, True, 0.95) == np.inf


def test_the_bias_at_which_evidence_is_lost():
    found = cf.rosenbaum(differences(80, 5) + 3, np.full(80, 3.0))
    assert found.breakdown > 1
    assert found._p_value(found.breakdown) == pytest.approx(0.05, rel=1e-6)
    assert lost(lambda gamma: 0.0, 0.05) == np.inf
    assert lost(lambda gamma: 0.3, 0.05) == 1


def test_a_bias_as_two_factors():
    """Rosenbaum and Silber (2009): gamma = 1.5 is a factor of 2 on treatment and of 4 on the outcome."""
    assert amplified(1.5, 2) == pytest.approx(4)
    assert amplified(1.5, 1.5) == np.inf


# ---- the verb, and fits ----------------------------------------------------------------------------------------------


def test_sides():
    one, zero = differences(30, 6) + 5, np.full(30, 5.0)
    up, down = cf.rosenbaum(one, zero), cf.rosenbaum(zero, one)
    assert (up.alternative, down.alternative) == ("greater", "less")
    np.testing.assert_allclose(up.tidy()["p.value.high"], down.tidy()["p.value.high"])
    np.testing.assert_allclose(up.tidy()["estimate.low"], -down.tidy()["estimate.high"])
    both = cf.rosenbaum(one, zero, alternative="two-sided")
    np.testing.assert_allclose(both.tidy()["p.value.high"][0], 2 * up.tidy()["p.value.high"][0])
    wrong = cf.rosenbaum(one, zero, alternative="less")
    assert wrong.tidy()["p.value.high"][0] == pytest.approx(1 - up.tidy()["p.value.high"][0])


def matched(n=200, seed=0, **columns):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    a = (rng.random(n) < 1 / (1 + np.exp(1 - x))).astype(int)
    return pd.DataFrame({"y": a + x + rng.normal(size=n), "a": a, "x": x, "w": rng.uniform(1, 2, n)} | columns)


@pytest.mark.parametrize("options", [{}, {"caliper": 0.1}, {"estimand": "ATC", "caliper": 0.2}])
def test_pairs_of_a_matched_fit(options):
    data = matched()
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, method="nearest", **options)
    pairs = fit.design.pairs
    one, zero = (data["y"].loc[pairs[arm]].to_numpy() for arm in ("treated", "control"))
    pd.testing.assert_frame_equal(fit.sensitivity("rosenbaum").tidy(), cf.rosenbaum(one, zero).tidy())
    assert type(fit.sensitivity()).__name__ == "RosenbaumBounds"


def test_pairs_without_a_list_of_matches():
    data = matched(x=np.arange(200) % 7)
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, method="cem", k2k=True)
    sets = fit.design.matched_data()
    by = sets.pivot_table(index="subclass", columns="a", values="y", observed=True)
    expected = cf.rosenbaum(by[1].to_numpy(), by[0].to_numpy()).tidy()
    pd.testing.assert_frame_equal(fit.sensitivity("rosenbaum").tidy(), expected)


def test_an_outcome_of_two_values():
    data = matched().assign(y=lambda d: (d["y"] > 0.5).astype(int))
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, method="nearest", family="binomial")
    found = fit.sensitivity("rosenbaum")
    b = found.statistic
    assert found.tidy()["p.value.high"][0] == pytest.approx(binom.sf(max(b.treated, b.control) - 1, b.used, 0.5))
    assert list(found.tidy().columns) == ["gamma", "p.value.low", "p.value.high"]
