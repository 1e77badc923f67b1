"""The tables of matched designs against slow arithmetic, and the rows that they have."""

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.diagnostics.covariates import Covariate
from causalformula.diagnostics.matched_balance import (
    MatchedSample,
    Pairing,
    pair_distances,
    quantile_gaps,
    spreads,
    within_spread,
)
from causalformula.diagnostics.matched_covariates import matched_covariates, variable_names


def column(x, binary=False):
    return Covariate("x", np.asarray(x, dtype=float), binary, "x")


@pytest.mark.parametrize("seed", range(4))
def test_distances_within_sets_are_those_of_all_pairs(seed):
    rng = np.random.default_rng(seed)
    n = 200
    x, treated, sets = rng.normal(size=n).round(1), rng.random(n) < 0.4, rng.integers(-1, 12, n)
    pairs = [
        abs(x[i] - x[j])
        for i in np.flatnonzero(treated)
        for j in np.flatnonzero(~treated)
        if sets[i] == sets[j] and sets[i] >= 0
    ]
    sample = MatchedSample(treated, np.ones(n), np.ones(n), "treated", Pairing(sets=sets))
    np.testing.assert_allclose(pair_distances([column(x)], sample), np.mean(pairs), rtol=1e-12)


def test_no_pairs_have_no_distance():
    treated = np.array([True, True, False])
    for pairing in (
        Pairing(sets=np.array([-1, -1, -1])),
        Pairing(sets=np.array([0, 0, 1])),
        Pairing(matches=np.empty((0, 2), int)),
    ):
        sample = MatchedSample(treated, np.ones(3), np.ones(3), "treated", pairing)
        assert np.isnan(pair_distances([column([1, 2, 3])], sample)).all()


def test_quantiles_at_the_places_of_the_smaller_arm():
    """Places 1/3, 2/3, 1 of 2, 2, 4, 5, 9.5 are 2, 4, 9.5; with weights, 1/4, 3/4, 1 likewise. R: eQQ 1.5 and 2.5."""
    x = np.array([1, 3, 7, 2, 2, 4, 5, 9.5])
    treated = np.arange(8) < 3
    for w in (np.ones(8), np.array([1.0, 2, 1, 1, 3, 1, 2, 1])):
        np.testing.assert_allclose(quantile_gaps(x, treated, w), [1, 1, 2.5])
    gaps = quantile_gaps(x[:5], treated[:5], np.array([1.0, 2, 1, 1, 3]))
    np.testing.assert_allclose(gaps, [1, 5])  # R: eQQ 3 and 5
    assert not len(quantile_gaps(x[:3], treated[:3], np.ones(3)))


def test_a_covariate_that_does_not_vary_in_the_target_arm():
    """Differences are divided by the standard deviation about the arms' means."""
    rng = np.random.default_rng(5)
    treated = np.arange(40) < 17
    x = np.where(treated, 3.0, rng.normal(size=40))
    b = np.where(treated, 1.0, rng.random(40) < 0.5)
    columns = [column(x), column(b, True)]
    sample = MatchedSample(treated, np.ones(40), np.ones(40), "treated")
    share = b[~treated].mean()
    expected = [np.sqrt(np.sum((x[~treated] - x[~treated].mean()) ** 2) / 39), np.sqrt(share * (1 - share) * 23 / 40)]
    np.testing.assert_allclose(within_spread(columns, sample), expected)
    np.testing.assert_allclose(spreads(columns, sample), expected)
    of_controls = MatchedSample(treated, np.ones(40), np.ones(40), "control")
    np.testing.assert_allclose(spreads(columns, of_controls), [x[~treated].std(ddof=1), np.sqrt(share * (1 - share))])


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(1)
    n = 60
    return pd.DataFrame(
        {
            "t": np.arange(n) % 3 == 0,
            "x": rng.normal(size=n),
            "b": rng.integers(1, 3, n),
            "f": rng.choice(["u", "v"], n),
            "flag": rng.random(n) < 0.5,
            "a b": rng.normal(size=n),
            "k": 1,
            "y": rng.normal(size=n),
        }
    )


def rows(formula, study, **asked):
    frame = cf.fit(f"y ~ treat(t) + {formula}", study, "regression").call.frame
    return [c.name for c in matched_covariates(frame, **asked)], variable_names(frame)


def test_names_of_the_rows(study):
    """R: rownames(summary(matchit(...))$sum.all)."""
    found, names = rows("b*f + flag + `a b` + poly(`a b`, 2) + factor(b) + log(x + 9)", study)
    levels = ["`factor(b)`1", "`factor(b)`2"]
    powers = ["`poly(`a b`, 2)`1", "`poly(`a b`, 2)`2"]
    assert found == ["b", "fu", "fv", "flagTRUE", "a b", *powers, *levels, "log(x + 9)"]
    assert names == ["b", "f", "flag", "a b", "poly(`a b`, 2)", "factor(b)", "log(x + 9)"]


def test_names_of_the_products(study):
    """R: rownames(summary(matchit(t ~ flag + b + f + k), interactions = TRUE)$sum.all)."""
    found, _ = rows("flag + b + f + k", study, interactions=True)
    products = ["flagTRUE * b", "flagTRUE * fu", "flagTRUE * fv", "b²", "b * fu", "b * fv"]
    assert found == ["flagTRUE", "b", "fu", "fv", "k", *products]


def test_rows_without_sampling_weight_take_no_part(study):
    weighted = study.assign(w=np.where(np.arange(60) < 50, 1.0, 0.0))
    whole = cf.design("~ treat(t) + b + x + f + weights(w)", weighted, "subclass", subclass=2)
    part = cf.design("~ treat(t) + b + x + f", study.iloc[:50], "subclass", subclass=2)
    for asked in ({}, {"standardize": False, "pair_dist": True}, {"subclass": True}):
        one, other = whole.summary(**asked), part.summary(**asked)
        pd.testing.assert_frame_equal(one.to_frame(), other.to_frame(), rtol=1e-6)
        pd.testing.assert_frame_equal(one.nn, other.nn)


def test_balance_by_subclass(study):
    design = cf.design("~ treat(t) + b + x + f", study, "subclass", subclass=3)
    found = design.balance(cluster="subclass")
    assert list(found.parts) == ["1", "2", "3"]
    inside = (design.subclass == 2).to_numpy()
    one, zero = (study.loc[inside & (study["t"] == arm), "x"] for arm in (True, False))
    assert found.parts["2"].to_frame().loc["x", "Diff.Un"] == pytest.approx((one.mean() - zero.mean()) / one.std())


@pytest.fixture
def overlapping():
    rng = np.random.default_rng(2)
    x = rng.normal(size=90)
    arm = (rng.random(90) < 1 / (1 + np.exp(1 - x))).astype(int)
    return pd.DataFrame({"x": x, "f": rng.choice(list("uvw"), 90), "a": arm, "y": x + arm + rng.normal(size=90)})


@pytest.mark.parametrize(
    ("method", "options"),
    [("nearest", {"caliper": 0.1}), ("cem", {"cutpoints": {"x": 8}}), ("cem", {"cutpoints": {"x": 8}, "k2k": True})],
)
@pytest.mark.filterwarnings("ignore")
def test_rows_in_no_set_are_in_no_cluster(method, options, overlapping):
    made = cf.design("~ treat(a) + adjust(x + f)", overlapping, method, **options)
    sets = made.subclass
    assert sets.isna().any()
    shown = made.balance(cluster="subclass", stats="smd", threshold=None, means=True).to_frame()
    for level in sets.dropna().unique():
        rows = overlapping[(sets == level).to_numpy()]
        for arm in (0, 1):
            found = shown.loc[(str(level), "x"), f"M.{arm}.Un"]
            np.testing.assert_allclose(found, rows.x[rows.a == arm].mean(), rtol=1e-12)


def test_overlapping_sets_are_no_clusters(overlapping):
    made = cf.design("~ treat(a) + adjust(x + f)", overlapping, "nearest", replace=True)
    with pytest.raises(cf.DataError, match="matched sets overlap"):
        made.balance(cluster="subclass")


@pytest.mark.filterwarnings("ignore")
def test_corrected_means_have_no_standard_errors_of_their_own(overlapping):
    tied = {"replace": True, "ties": True, "bias_adjust": True}
    fit = cf.fit("y ~ treat(a) + adjust(x)", overlapping, "nearest", **tied)
    with pytest.raises(cf.CapabilityError, match="of the difference of both means, not of each"):
        fit.means()


def test_a_distance_over_the_whole_sample_warns_of_nothing(overlapping):
    wanted = {"replace": True, "ties": True, "distance": "mahalanobis_all"}
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        cf.design("~ treat(a) + adjust(x + f)", overlapping, "nearest", **wanted)
