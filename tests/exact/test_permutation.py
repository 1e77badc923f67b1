"""Randomisation inference against full enumeration by hand, exact distributions and refits on permuted data."""

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalformula as cf
from causalformula.frame.parts import Part
from causalformula.inference.resampling.permutation import Assignments, permutation_p


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(3)
    a = np.array([0, 1, 1, 0, 1, 0, 0, 1, 0, 1])
    frame = pd.DataFrame({"a": a, "x": rng.normal(size=10), "b": np.repeat(["u", "v"], 5)})
    frame["y"] = 1.2 * a + frame.x + rng.normal(size=10)
    return frame


def by_hand(y, a):
    """Difference in means under every assignment with as many treated."""
    return [
        y[list(chosen)].mean() - np.delete(y, chosen).mean() for chosen in combinations(range(len(y)), int(a.sum()))
    ]


# -- assignments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("treatment", "strata", "clusters", "count"),
    [
        ([0, 1, 1, 0, 0], None, None, 10),
        ([0, 1, 2, 0, 2], None, None, 30),
        ([0, 1, 2, 3], None, None, 24),
        ([0, 1, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1, 1], None, 3 * 6),
        ([0, 0, 1, 1, 1, 0], None, [0, 0, 1, 1, 1, 2], 3),
        ([0, 1, 0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1, 1, 1], [0, 1, 2, 2, 3, 3, 4, 4], 2 * 3),
        ([0, 1, 0], [0, 0, 1], None, 2),
    ],
)
def test_all_assignments_once_each(treatment, strata, clusters, count):
    arrays = [None if v is None else np.array(v) for v in (treatment, strata, clusters)]
    design = Assignments(*arrays)
    assigned = [tuple(arrays[0][rows]) for rows in design.all()]
    assert design.count == count == len(assigned) == len(set(assigned))
    assert tuple(treatment) in assigned
    units = design.first
    for other in assigned:
        other = np.array(other)
        # every stratum keeps its counts (of units), every cluster is treated as a whole
        for s in [0] if strata is None else set(strata):
            pool = units if strata is None else units[arrays[1][units] == s]
            np.testing.assert_array_equal(np.sort(other[pool]), np.sort(arrays[0][pool]))
        if clusters is not None:
            assert all(len(set(other[arrays[2] == g])) == 1 for g in set(clusters))
    # the random ones are among them, and all of them turn up
    rng = np.random.default_rng(1)
    drawn = {tuple(arrays[0][design.random(rng)]) for _ in range(60 * count)}
    assert drawn == set(assigned)


def test_random_assignments_are_equally_likely():
    design = Assignments(np.array([0, 1, 1, 0, 0]))
    rng = np.random.default_rng(2)
    tally = pd.Series([tuple(design.treatment[design.random(rng)]) for _ in range(5000)]).value_counts()
    assert stats.chisquare(tally).pvalue > 0.001


def test_one_treated_of_many_is_enumerable():
    treatment = np.zeros(3000, dtype=int)
    treatment[7] = 1
    design = Assignments(treatment, np.repeat([0, 1], 1500))
    assert design.count == 1500 == sum(1 for _ in design.all())


def test_p_values_count_ties():
    draws = np.array([[1.0], [-1.0 + 1e-13], [0.5], [2.0]])
    assert permutation_p(np.array([1.0]), draws, "two-sided", exact=True)[0] == 0.75
    assert permutation_p(np.array([1.0]), draws, "two-sided", exact=False)[0] == 4 / 5
    assert permutation_p(np.array([1.0]), draws, "greater", exact=True)[0] == 0.5
    assert permutation_p(np.array([1.0]), draws, "less", exact=True)[0] == 0.75


# -- tests of effects ----------------------------------------------------------------------------------------------


def test_difference_in_means_by_hand(small):
    test = cf.fit("y ~ treat(a)", small).permutation_test()
    every = np.array(by_hand(small.y.to_numpy(), small.a.to_numpy()))
    observed = small.y[small.a == 1].mean() - small.y[small.a == 0].mean()
    assert test.exact and test.assignments == 252 and test.seed is None
    np.testing.assert_allclose(np.sort(test.draws[:, 0]), np.sort(every), rtol=1e-10, atol=1e-12)
    assert test.p_value == np.mean(np.abs(every) >= abs(observed) - 1e-9)
    one_sided = cf.fit("y ~ treat(a)", small).permutation_test(alternative="greater")
    assert one_sided.p_value == np.mean(every >= observed - 1e-9)


def test_binary_outcome_is_fishers_exact_test():
    a = np.array([0] * 6 + [1] * 5)
    y = np.array([0, 0, 0, 0, 1, 0, 1, 1, 1, 0, 1])
    test = cf.fit("y ~ treat(a)", pd.DataFrame({"y": y, "a": a})).permutation_test(alternative="greater")
    table = [[(y[a == 1]).sum(), (1 - y[a == 1]).sum()], [(y[a == 0]).sum(), (1 - y[a == 0]).sum()]]
    assert test.p_value == pytest.approx(stats.fisher_exact(table, alternative="greater").pvalue, rel=1e-12)


def test_every_refit_is_the_fit_to_permuted_data(small):
    """Any estimator: the draws are what fits to data with the treatment column permuted give."""
    formula = "y ~ treat(a) + modify(x)"
    few = small.iloc[:8]
    test = cf.fit(formula, few).permutation_test()
    every = [
        cf.fit(formula, few.assign(a=np.isin(np.arange(8), chosen).astype(int))).estimate
        for chosen in combinations(range(8), int(few.a.sum()))
    ]
    np.testing.assert_allclose(np.sort(test.draws[:, 0]), np.sort(every), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("treatment", ["a", "arm", "factor(a)", "flag"])
def test_reassigned_frame_is_the_frame_of_reassigned_data(small, treatment):
    frame = small.assign(arm=np.where(small.a == 1, "new", "old"), flag=small.a == 1, k=np.arange(10) % 3)
    formula = f"y ~ treat({treatment}) + adjust(b) + modify(x)"
    rows = np.random.default_rng(4).permutation(10)
    column = {"factor(a)": "a"}.get(treatment, treatment)
    moved = cf.fit(formula, frame).call.frame
    part = Part("outcome", False)
    moved.design(part)  # remembered designs must not survive
    moved = moved.with_treatment(rows)
    fresh = cf.fit(formula, frame.assign(**{column: frame[column].to_numpy()[rows]})).call.frame
    np.testing.assert_array_equal(moved.design(part).X, fresh.design(part).X)
    np.testing.assert_array_equal(moved.the_treatment.codes, fresh.the_treatment.codes)
    assert moved.design(part).names == fresh.design(part).names


def test_dose_is_permuted_by_value():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"d": [0.0, 1.0, 2.5, 4.0, 4.0, 7.0], "y": rng.normal(size=6)})
    test = cf.fit("y ~ treat(d)", frame, method="regression").permutation_test()
    slopes = [np.polyfit(order, frame.y, 1)[0] for order in set(permutations(frame.d))]
    assert test.assignments == len(slopes) == 360
    np.testing.assert_allclose(np.sort(test.draws[:, 0]), np.sort(slopes), rtol=1e-8, atol=1e-10)


def test_strata_and_clusters_of_the_formula_are_used(small):
    blocked = cf.fit("y ~ treat(a) + strata(b)", small).permutation_test()
    assert blocked.design == "a permuted over rows within strata of b" and blocked.assignments == 100
    named = cf.fit("y ~ treat(a) + adjust(x)", small).permutation_test(strata="b")
    assert named.assignments == 100
    whole = pd.DataFrame({"g": np.arange(12) // 2, "y": np.random.default_rng(1).normal(size=12)})
    whole["a"] = whole.g % 2
    fit = cf.fit("y ~ treat(a) + cluster(g)", whole, method="regression")
    assert fit.permutation_test().design == "a permuted over clusters of g"
    assert fit.permutation_test().assignments == 20
    # clusters within which the treatment varies are not units of assignment, unless asked for, which cannot be
    mixed = cf.fit("y ~ treat(a) + cluster(g)", whole.assign(a=np.arange(12) % 2), method="regression")
    assert mixed.permutation_test(20, seed=1).design == "a permuted over rows"
    with pytest.raises(cf.OptionError, match="constant within clusters"):
        mixed.permutation_test(cluster="g")


def test_t_statistic_uses_the_results_covariance(small):
    small = small.iloc[:8]
    fit = cf.fit("y ~ treat(a) + adjust(x)", small, vcov="HC3")
    test = fit.permutation_test(statistic="t")
    every = []
    for chosen in combinations(range(8), int(small.a.sum())):
        other = cf.fit("y ~ treat(a) + adjust(x)", small.assign(a=np.isin(np.arange(8), chosen) * 1), vcov="HC3")
        every.append(other.estimate / other.std_error)
    np.testing.assert_allclose(np.sort(test.draws[:, 0]), np.sort(every), rtol=1e-8, atol=1e-10)
    assert test.table["statistic"].iloc[0] == pytest.approx(fit.tvalues.iloc[0])


def test_several_effects_and_ratios(small):
    frame = pd.concat([small] * 4, ignore_index=True).assign(arm=lambda d: np.array(list("abc"))[np.arange(40) % 3])
    fit = cf.fit("I(y > 0) ~ treat(arm)", frame, method="regression", family="binomial", measure="ratio")
    test = fit.permutation_test(99, seed=1)
    assert len(test.table) == 2 and test.draws.shape == (99, 2)
    # on the log scale no effect is zero, and draws lie on both sides of it
    assert (test.draws.min(axis=0) < 0).all() and (test.draws.max(axis=0) > 0).all()
    with pytest.raises(ValueError, match="2 effects"):
        test.p_value  # noqa: B018


def test_random_assignments_repeat_with_their_seed(small):
    frame = pd.concat([small] * 4, ignore_index=True)
    fit = cf.fit("y ~ treat(a) + adjust(x)", frame)
    one, two = fit.permutation_test(60, seed=8), fit.permutation_test(60, seed=8, n_jobs=2)
    assert not one.exact and one.draws.tobytes() == two.draws.tobytes()
    assert one.p_value >= 1 / 61
    assert "seed 8" in str(one)
    assert fit.permutation_test(60, seed=9).draws.tobytes() != one.draws.tobytes()


def test_level_is_exact_in_a_small_experiment():
    """Eight skewed outcomes, no effect: the chance of p <= 0.1 is the largest attainable level up to it."""
    rng = np.random.default_rng(6)
    p = []
    for _ in range(1000):
        y, a = rng.exponential(size=8) ** 2, rng.permutation([0, 1] * 4)
        assigned = np.array([a[rows] for rows in Assignments(a).all()])
        draws = (assigned @ y - (1 - assigned) @ y)[:, None] / 4
        observed = np.array([y[a == 1].mean() - y[a == 0].mean()])
        p.append(permutation_p(observed, draws, "two-sided", exact=True)[0])
    # 70 assignments that come in mirrored pairs: 6/70 is the largest even multiple of 1/70 up to 0.1
    assert abs(np.mean(np.array(p) <= 0.1) - 6 / 70) < 4 * np.sqrt(6 / 70 * 64 / 70 / 1000)


def test_refusals(small):
    fit = cf.fit("y ~ treat(a) + adjust(x)", small)
    with pytest.raises(cf.CapabilityError, match="means"):
        fit.means().permutation_test()
    with pytest.raises(cf.CapabilityError, match="derived"):
        fit.hypothesis("b1 = 0").permutation_test()
    with pytest.raises(cf.OptionError, match="statistic"):
        fit.permutation_test(statistic="z")
    with pytest.raises(cf.OptionError, match="reps"):
        fit.permutation_test(0)
    with pytest.raises(cf.CapabilityError, match="standard error at each"):
        fit.with_vcov(cf.Bootstrap(reps=20, seed=1)).permutation_test(statistic="t")
    with pytest.raises(cf.DataError, match="does not vary within any stratum"):
        fit.permutation_test(strata="a")
