"""The Poisson bootstrap where the data are: replicates are refits, whatever the partition of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import causalformula as cf
from causalformula.backends import refits
from causalformula.backends.fit import Query
from causalformula.inference.resampling import regressions
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


@pytest.mark.parametrize(
    ("verb", "formula", "options"),
    [
        ("lm", "y ~ x + I(2 * x) + g", {"weights": "w"}),
        ("glm", "b ~ x + offset(w)", {"family": "binomial"}),
        ("glm", "cbind(count, k) ~ x", {"family": "binomial", "weights": "w"}),
        ("glm", "y ~ x", {"family": "Gamma(link = 'log')", "subset": "y > 0"}),
    ],
)
def test_plain_regressions_are_refitted_too(verb: str, formula: str, options: dict[str, Any]) -> None:
    fit, request = getattr(cf, verb), cf.Bootstrap(REPS, seed=7, cluster="row")
    found = fit(formula, cf.scan([KEYED.iloc[130:], KEYED.iloc[:130]], limit=0), vcov=request, **options)
    known = fit(formula, KEYED, **options)
    keys = KEYED.row.to_numpy()[known.frame.rows].astype(np.int64).view(np.uint64)
    W = np.array([frequencies(keys, 7, k) for k in range(REPS)])
    np.testing.assert_allclose(found.covariance.draws, regressions.refits(known.regression, W), rtol=1e-9)
    assert f"Poisson bootstrap (clusters of row, {REPS} replicates, seed 7)" in str(found.summary())


@pytest.mark.parametrize("method", ["regression", "difference_in_means", "lm"])
def test_few_clusters_are_told_and_replicates_without_rows_left_out(method: str) -> None:
    data, request = DATA.assign(h=DATA["k"] % 3), cf.Bootstrap(60, seed=1, cluster="h")
    pieces = cf.scan([data.iloc[:90], data.iloc[90:]], limit=0)
    ask = {
        "lm": lambda rows: cf.lm("y ~ x", rows, vcov=request),
        "difference_in_means": lambda rows: fitted("y ~ treat(A)", rows, {"vcov": request}),
        "regression": lambda rows: fitted("y ~ treat(A) + adjust(x)", rows, {"vcov": request}),
    }[method]
    found, known = ask(pieces), ask(data)
    draws = found.covariance.draws
    assert len(draws) == 58 and found.covariance.notes[0].startswith("2 of 60 bootstrap replicates failed")
    # draws of few clusters are far from normal, and near the estimate
    assert np.abs(draws - found.read().estimate).max() < 10 * known.read().std_error.max()
    few = known.covariance.notes[0]
    assert few.startswith("Note: 3 clusters of h are few to draw from")
    assert found.covariance.notes[1] == few.replace("Safer: ", "Safer: with the rows, or a sample of them, in memory: ")
    data = data.assign(h=1)
    for rows in (cf.scan([data], limit=0), data):
        with pytest.raises(cf.DataError, match="there is one cluster of h, so every bootstrap sample is the same"):
            ask(rows)


def test_models_behind_a_fit_are_not_refitted_alone() -> None:
    with pytest.raises(cf.CapabilityError, match="refits a whole fit: ask it of the one behind this"):
        fitted(XG, cf.scan([DATA], limit=0), {}).outcome.with_vcov("bootstrap")
    model = cf.lm("y ~ x", cf.scan([DATA], limit=0))
    rows = model.with_vcov(cf.Bootstrap(REPS, seed=7)).covariance.draws
    assert rows.shape == (REPS, 2) and (rows.std(axis=0) > 0).all()
    with pytest.raises(cf.CapabilityError, match="percentile"):
        model.with_vcov(cf.Bootstrap(REPS, kind="studentized"))


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
