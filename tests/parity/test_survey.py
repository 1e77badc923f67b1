"""Regressions with sampling weights: ``survey::svyglm`` 4.1 (``tests/parity/r/survey.R``)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.parity.reference import close, data, values

FAMILIES = {
    "linear": {},
    "interacted": {"interact": True},
    "binomial": {"family": "quasibinomial"},
    "probit": {"family": "quasibinomial(link = 'probit')"},
    "poisson": {"family": "quasipoisson"},
}
OUTCOMES = {"binomial": "bad", "probit": "bad", "poisson": "k"}


@pytest.fixture(scope="module")
def sampled():
    d = data("heart.csv").iloc[:300].copy()
    i = np.arange(len(d))
    d = d.assign(x=d["I.H"], w=0.3 + (i % 7) ** 2 / 8, bad=(d["Severity"] > d["Severity"].median()).astype(float))
    return d.assign(k=np.round(np.exp(d["x"] / 60)) % 9)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_default_with_sampling_weights_is_svyglm_s(sampled, name):
    theirs = values("r_survey")[name]
    fit = cf.fit(
        f"{OUTCOMES.get(name, 'Severity')} ~ treat(Drug) + x + weights(w)", sampled, "regression", **FAMILIES[name]
    )
    assert "Standard errors: linearised, for sampling weights" in str(fit)
    row = fit.tidy().iloc[0]
    # R's IRLS stops a little before its solution
    tolerance = 1e-8 if name in ("linear", "interacted") else 1e-6
    close(row["estimate"], theirs["estimate"], tolerance, theirs["std.error"], "estimate")
    close(row["std.error"], theirs["std.error"], tolerance, what="std.error")
    close(row["df"], theirs["df"], 0, what="df")
    model = fit.outcome
    close(model.cov_params().to_numpy(), np.array(theirs["vcov"]), tolerance * 10, what="vcov")
    close(model.tidy()["statistic"].to_numpy(), np.array(theirs["table"])[:, 2], tolerance * 10, what="t")


def test_stored_values_of_a_plain_design_are_met_by_hand(sampled):
    """HC0 times n / (n - 1), under both of its spellings."""
    fit = cf.fit("Severity ~ treat(Drug) + x + weights(w)", sampled)
    other = fit.with_vcov("HC0")
    assert fit.std_error == pytest.approx(other.std_error * np.sqrt(300 / 299), rel=1e-12)
    assert fit.with_vcov("linearized").std_error == fit.std_error == fit.with_vcov(cf.HC("linearised")).std_error


def test_numbers_of_trials_are_no_sampling_weights():
    """Shares of successes with ``weights = n`` in R's ``glm``: the rows written out, and their classical errors."""
    d = pd.DataFrame({"a": [0, 1, 0, 1], "x": [0, 0, 1, 1], "s": [12, 20, 7, 18], "n": [40, 41, 30, 33]})
    out = d.loc[d.index.repeat(d["n"])].assign(
        y=np.concatenate([np.arange(n) < s for s, n in zip(d["s"], d["n"], strict=True)])
    )
    rows = cf.fit("y ~ treat(a) + x", out.assign(y=out["y"].astype(int)), family="binomial")
    shares = cf.fit("I(s / n) ~ treat(a) + x + weights(n)", d, family="binomial")
    close(shares.std_error, rows.std_error, 1e-8)
    assert "Standard errors: classical" in str(shares)
    assert "precisions" not in str(shares)
    sampled = cf.fit("I(s / n) ~ treat(a) + x + weights(I(n + 0.5))", d, family="quasibinomial")
    assert "linearised" in str(sampled)
