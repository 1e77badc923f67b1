"""What sampling weights mean: their unit says nothing, and rows of weight zero are not there."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import registry
from causalformula.errors import CausalFormulaWarning

BINARY = "y ~ treat(a) + adjust(x + g) + weights(w)"
CASES = [
    *(("ipw", BINARY, {"estimand": e}) for e in ("ATE", "ATT", "ATC", "ATO", "ATM", "ATOS")),
    *(("ipw", BINARY, {"link": link}) for link in ("probit", "cloglog", "cauchit")),
    ("ipw", BINARY, {"trim": 0.9, "trim_lower": True}),
    ("ipw", BINARY, {"discard": "both"}),
    ("ipw", "y ~ treat(m) + adjust(x + g) + weights(w)", {}),
    ("ipw", "y ~ treat(q) + adjust(x + g) + weights(w)", {}),
    ("ipw", "y ~ treat(q) + adjust(x + g) + weights(w)", {"density": "kernel"}),
    ("ipw", "d ~ treat(a) + adjust(x + g) + outcome(x) + weights(w)", {"family": "binomial"}),
    *((m, BINARY, {"estimand": e}) for m in ("ebal", "cbps", "ipt") for e in ("ATE", "ATT")),
    ("ebal", BINARY, {"tols": 0.02}),
    ("ebal", "y ~ treat(q) + adjust(x + g) + weights(w)", {}),
    ("cbps", BINARY, {"over": True}),
    ("ebal", "d ~ treat(a) + adjust(x + g) + outcome(x) + weights(w)", {"family": "binomial", "measure": "odds_ratio"}),
    ("energy", BINARY, {}),
    ("energy", BINARY, {"estimand": "ATT"}),
    ("energy", "y ~ treat(q) + adjust(x + g) + weights(w)", {}),
    ("subclass", BINARY, {}),
    ("subclass", BINARY, {"estimand": "ATE", "estimator": "stratified"}),
    ("nearest", BINARY, {}),
    ("nearest", BINARY, {"distance": "mahalanobis"}),
    ("nearest", BINARY, {"replace": True, "ratio": 2}),
    ("nearest", BINARY, {"replace": True, "ties": True, "estimand": "ATE"}),
    ("nearest", BINARY, {"replace": True, "ties": True, "bias_adjust": True, "ratio": 2}),
    ("exact", "y ~ treat(a) + adjust(g) + weights(w)", {}),
    ("exact", "y ~ treat(a) + adjust(g) + weights(w)", {"estimand": "ATE"}),
    ("cem", BINARY, {}),
    ("cem", BINARY, {"k2k": True}),
    ("regression", BINARY, {"vcov": "HC3"}),
    ("regression", "d ~ treat(a) + adjust(x + g) + weights(w)", {"family": "binomial"}),
    ("regression", "d ~ treat(a) + adjust(x + g) + weights(w)", {"family": "binomial", "interact": True}),
    ("regression", "k ~ treat(a) + adjust(x + g) + weights(w)", {"family": "poisson"}),
    *(("ipw", "y ~ treat(q) + adjust(x + g) + weights(w)", {"contrast": c}) for c in ("sd", "iqr", "minmax")),
    *(("regression", "y ~ treat(q) + adjust(x) + weights(w)", {"contrast": c}) for c in ("sd", "iqr", "minmax")),
]


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(17)
    n = 160
    d = pd.DataFrame({"x": rng.normal(size=n), "g": rng.choice(["u", "v", "w"], n), "w": rng.uniform(0.3, 2, n)})
    p = 1 / (1 + np.exp(-0.6 * d["x"]))
    d["a"] = (rng.random(n) < p).astype(int)
    d["m"] = rng.choice(["lo", "mid", "hi"], n)
    d["q"] = 0.4 * d["x"] + rng.normal(size=n)
    d["y"] = d["x"] + d["a"] + d["q"] + rng.normal(size=n)
    d["d"] = (d["y"] + rng.normal(size=n) > 0.5).astype(int)
    d["k"] = rng.poisson(np.exp(0.2 * d["a"] + 0.1 * d["x"]))
    return d


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        yield


def numbers(method, formula, data, options):
    if method == "energy":
        pytest.importorskip("osqp")
    return cf.fit(formula, data, method, **options).tidy()[["estimate", "std.error"]].to_numpy()


@pytest.mark.parametrize("unit", [1e-6, 1e3, 1e6])
@pytest.mark.parametrize(("method", "formula", "options"), CASES, ids=str)
def test_the_unit_of_sampling_weights_says_nothing(method, formula, options, unit, data):
    """Survey weights count people: a common factor changes no estimate and no robust standard error."""
    one = numbers(method, formula, data, options)
    other = numbers(method, formula, data.assign(w=data["w"] * unit), options)
    # a quadratic programme is solved to the solver's accuracy; an over-identified minimum to its square root
    rtol = {"energy": 1e-4}.get(method, 1e-6 if options.get("over") else 1e-8)
    if options.get("vcov") is None and method == "regression":
        # the classical covariance of a GLM counts weights as trials, as R's does
        one, other = one[:, 0], other[:, 0]
    np.testing.assert_allclose(other, one, rtol=rtol)


@pytest.mark.parametrize(("method", "formula", "options"), CASES, ids=str)
def test_rows_of_weight_zero_are_not_there(method, formula, options, data):
    zero = data.assign(w=np.where((data["q"] > 1.2) | (data.index % 11 == 0), 0.0, data["w"]))
    rtol = 1e-4 if method == "energy" else 1e-6 if options.get("over") else 1e-8
    without = numbers(method, formula, zero[zero["w"] > 0], options)
    np.testing.assert_allclose(numbers(method, formula, zero, options), without, rtol=rtol)


@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
@pytest.mark.parametrize("trim", [0.9, 0.75])
def test_the_limit_of_trimming_is_a_quantile_of_the_weights_alone(estimand, trim, data):
    """R's quantile of type 3 over the arms that are weighted to the target, sampling weights left out."""
    whole, cut = (
        cf.design("~ treat(a) + adjust(x + g) + weights(w)", data, "ipw", estimand=estimand, **options)
        for options in ({}, {"trim": trim, "trim_lower": True})
    )
    moved = np.ones(len(data), dtype=bool) if estimand == "ATE" else (data["a"] == 0).to_numpy()
    w = whole.weights.to_numpy()
    low, high = np.quantile(w[moved], [1 - trim, trim], method="closest_observation")
    np.testing.assert_allclose(cut.weights, np.where(moved, np.clip(w, low, high), w), rtol=1e-12)


def test_a_resample_counts_its_rows_in_the_limit(data):
    """Frequencies of a replicate are repeated rows: trimming, strata and penalties are those of the repeated data."""
    rng = np.random.default_rng(4)
    counts = np.bincount(rng.integers(0, len(data), len(data)), minlength=len(data))
    copies = data.loc[data.index.repeat(counts)].reset_index(drop=True)
    for method, options in (("ipw", {"trim": 0.9}), ("ipw", {"trim": 5}), ("subclass", {}), ("energy", {})):
        if method == "energy":
            pytest.importorskip("osqp")
        fit = cf.fit("y ~ treat(a) + adjust(x + g) + weights(w)", data, method, **options)
        replicate = registry.run(fit.call.frame.reweight(counts.astype(float)), fit.call.options).estimate.theta[0]
        repeated = cf.fit("y ~ treat(a) + adjust(x + g) + weights(w)", copies, method, **options).estimate
        assert replicate == pytest.approx(repeated, rel=1e-4 if method == "energy" else 1e-8), (method, options)
