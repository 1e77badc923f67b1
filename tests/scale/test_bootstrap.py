"""The Poisson bootstrap where the data are: replicates are refits, whatever the partition of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import causalformula as cf
from causalformula.backends import refits
from causalformula.backends.fit import Query
from causalformula.numerics.hashing import POISSON, exponentials, frequencies, uniforms
from tests.scale.test_law import DATA, fitted

REPS = 3
XG = "y ~ treat(A) + adjust(x + g)"
KEYED = DATA.assign(row=np.random.default_rng(3).permutation(len(DATA)))


def test_draws_are_poisson_and_of_the_key_alone() -> None:
    keys = np.arange(200_000, dtype=np.uint64)
    w = frequencies(keys, 11, 0)
    shares = np.bincount(w.astype(int), minlength=5)[:5] / len(keys)
    np.testing.assert_allclose(shares, np.diff(POISSON[:5], prepend=0.0), atol=4e-3)
    other = frequencies(keys, 11, 1)
    assert abs(np.corrcoef(w, other)[0, 1]) < 0.01
    assert abs(np.corrcoef(w[1:], w[:-1])[0, 1]) < 0.01
    np.testing.assert_array_equal(frequencies(keys[500:700][::-1], 11, 0), w[500:700][::-1])
    assert abs(exponentials(keys, 2, 0).mean() - 1) < 0.01
    assert abs(uniforms(keys, 2, 0).mean() - 0.5) < 0.003


def drawn(options: dict[str, Any], query: Query | None = None) -> Any:
    """Refits in memory under the same weights."""
    known = fitted(XG, KEYED, options)
    frame = known.call.frame
    keys = KEYED.row.to_numpy()[frame.rows].astype(np.int64).view(np.uint64)
    W = np.array([frequencies(keys, 7, k) for k in range(REPS)])
    return refits.replicates(W, frame=frame, options=known.call.options, query=query or Query())


@pytest.mark.parametrize(
    "options",
    [
        {"method": "ipw", "estimand": "ATO"},
        *(
            pytest.param(options, marks=pytest.mark.slow)
            for options in (
                {"method": "regression"},
                {"method": "ipw", "trim": 0.9, "stabilize": True},
                {"method": "aipw"},
                {"method": "ebal"},
                {"method": "cbps"},
                {"method": "subclass", "subclass": 3},
            )
        ),
    ],
)
def test_replicates_are_refits_of_any_partition(options: dict[str, Any]) -> None:
    pieces = [KEYED.iloc[130:], KEYED.iloc[:4], KEYED.iloc[4:130]]
    request = cf.Bootstrap(REPS, seed=7, cluster="row")
    found = fitted(XG, cf.scan(pieces, limit=0), {**options, "vcov": request})
    known = drawn(options)
    np.testing.assert_allclose(found.covariance.draws, known, rtol=1e-10)
    np.testing.assert_allclose(found.std_error, known.std(ddof=1), rtol=1e-9)
    assert f"Poisson bootstrap (clusters of row, {REPS} replicates, seed 7)" in str(found)


def test_rows_are_drawn_by_their_numbers() -> None:
    splits = ([KEYED.iloc[:50], KEYED.iloc[50:]], [KEYED.iloc[:7], KEYED.iloc[7:100], KEYED.iloc[100:]])
    options = {"method": "ipw", "vcov": cf.Bootstrap(REPS, seed=7)}
    a, b = (fitted(XG, cf.scan(pieces, limit=0), options) for pieces in splits)
    np.testing.assert_allclose(a.covariance.draws, b.covariance.draws, rtol=1e-10)
    by = [fit.by("g").covariance.draws for fit in (a, b)]
    assert by[0].shape == (REPS, 4)
    np.testing.assert_allclose(by[0], by[1], rtol=1e-9)
    means = a.means().covariance.draws
    np.testing.assert_allclose(means[:, 1] - means[:, 0], a.covariance.draws[:, 0], rtol=1e-9)


def test_what_poisson_draws_cannot_do_is_refused() -> None:
    for request, told in (
        (cf.Bootstrap(REPS, kind="bca"), "percentile"),
        (cf.Bootstrap(REPS, strata="g"), "one by one"),
        ("jackknife", "needs all rows"),
    ):
        with pytest.raises(cf.CapabilityError, match=told):
            fitted(XG, cf.scan([DATA], limit=0), {"method": "ipw", "vcov": request})


def test_replicates_that_fail_are_told() -> None:
    # a level with one row of each arm lacks one of them in most replicates, and with it the model its effect
    rare = DATA.assign(h=np.where(np.arange(len(DATA)) < 2, "rare", "often"))
    rare.loc[[0, 1], "A"] = [0, 1]
    with pytest.raises(cf.ConvergenceError, match=r"replicates failed \(more than 5%\)"):
        options = {"vcov": cf.Bootstrap(10, seed=1), "method": "regression"}
        fitted("y ~ treat(A) + modify(h)", cf.scan([rare], limit=0), options)
