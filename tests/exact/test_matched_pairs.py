"""Resampling in designs of pairs and blocks: what the units are, and what a replicate is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import registry
from causalformula.backends.fit import Query

PAIRED = "y ~ treat(a) + strata(pair)"


@pytest.fixture(scope="module")
def pairs() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 120
    pair = np.arange(n) // 2
    a = np.arange(n) % 2
    y = rng.normal(size=n // 2)[pair] * 2 + a * (1 + rng.normal(size=n // 2)[pair]) + rng.normal(size=n)
    return pd.DataFrame({"y": y, "a": a, "pair": pair, "block": pair // 20, "town": pair // 2 * 2 + a})


def differences(data: pd.DataFrame) -> np.ndarray:
    wide = data.pivot(index="pair", columns="a", values="y")
    return (wide[1] - wide[0]).to_numpy()


@pytest.mark.parametrize("cluster", [None, "pair"])
def test_pairs_are_resampled_whole(pairs, cluster):
    """The bootstrap of a mean of J differences has variance ``sum (tau_j - tau)^2 / J^2``."""
    fit = cf.fit(PAIRED, pairs, vcov=cf.Bootstrap(reps=4000, seed=1, cluster=cluster))
    tau = differences(pairs)
    assert fit.estimate == pytest.approx(tau.mean(), rel=1e-12)
    # a standard deviation of 4000 draws has a relative error of 0.011
    assert fit.std_error == pytest.approx(tau.std() / np.sqrt(len(tau)), rel=0.04)
    assert "clusters of pair, 4000 replicates" in fit.covariance.label
    assert not fit.covariance.notes


def test_pairs_are_left_out_whole(pairs):
    """Leaving out pairs is the matched-pairs variance itself."""
    fit = cf.fit(PAIRED, pairs)
    assert fit.with_vcov("jackknife").std_error == pytest.approx(fit.std_error, rel=1e-10)


def test_pairs_of_clusters_are_resampled_whole(pairs):
    formula = "y ~ treat(a) + strata(duo) + cluster(town)"
    fit = cf.fit(formula, pairs.assign(duo=pairs["pair"] // 2), vcov=cf.Bootstrap(reps=50, seed=1))
    assert "clusters of duo, 50 replicates" in fit.covariance.label


def test_larger_blocks_stay_strata(pairs):
    fit = cf.fit("y ~ treat(a) + strata(block)", pairs, vcov=cf.Bootstrap(reps=50, seed=1))
    assert "pairs within strata of block" in fit.covariance.label


def test_a_stratum_of_one_unit_is_refused(pairs):
    with pytest.raises(cf.OptionError, match=r"60 of the 60 strata of pair hold a single cluster.*cluster='pair'"):
        cf.fit("y ~ treat(a) + block", pairs, vcov=cf.Bootstrap(reps=9, seed=1, cluster="pair", strata="pair"))
    odd = pairs.assign(s=np.where(pairs.index == 3, "alone", "others"))
    with pytest.raises(cf.OptionError, match="1 of the 2 strata of s holds a single row"):
        cf.fit("y ~ treat(a) + block", odd, vcov=cf.Bootstrap(reps=9, seed=1, strata="s"))


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("y ~ treat(a)", {}),
        ("y ~ treat(m) + strata(block) + weights(w)", {"contrast": "pairwise"}),
        (PAIRED, {}),
        ("hit ~ treat(a) + strata(block)", {"measure": "ratio"}),
    ],
)
@pytest.mark.parametrize("kind", ["effects", "means"])
def test_replicates_at_once_are_refits_one_by_one(pairs, formula, options, kind):
    rng = np.random.default_rng(2)
    data = pairs.assign(m=np.array(["k", "l", "m"])[np.arange(120) % 3], w=rng.integers(0, 4, 120), hit=pairs["y"] > 0)
    fit = cf.fit(formula, data, **options)
    frame, query = fit.call.frame, Query(kind)
    # pairs are drawn whole, rows of larger blocks one by one
    W = rng.integers(0, 3, (20, 60))[:, data["pair"]] if formula == PAIRED else rng.poisson(1.0, (20, 120))
    W = W.astype(float)
    W[0, frame.the_treatment.codes == 1] = 0
    batch = registry.find("difference_in_means").batch(frame, fit.call.options, query, W)
    for w, row in zip(W, batch, strict=True):
        try:
            again = registry.run(frame.reweight(w), fit.call.options).ask(query).estimate.theta
        except cf.DataError as error:
            # a single unit of an arm has no variance, and a mean all the same
            assert np.isnan(row).any() or "single unit" in str(error)
            continue
        np.testing.assert_allclose(row, again, rtol=1e-10, atol=1e-12)
    assert np.isnan(batch[0]).any()
    assert np.isfinite(batch).all(axis=1).sum() >= 3


def test_blocks_without_weight_do_not_count(pairs):
    """Blocks of zero weight are as if they were not there."""
    weighted = cf.fit(f"{PAIRED} + weights(w)", pairs.assign(w=(pairs["block"] > 0).astype(float)))
    left = cf.fit(PAIRED, pairs[pairs["block"] > 0])
    assert weighted.estimate == pytest.approx(left.estimate, rel=1e-12)
    assert weighted.std_error == pytest.approx(left.std_error, rel=1e-12)
    assert weighted.read().df == left.read().df
