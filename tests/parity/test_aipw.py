"""Augmented inverse probability weighting against R by hand: ``fitted(glm(...))``, ``predict(lm(...))`` and a mean."""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from tests.parity.reference import close, data, values

IHDP = f"y_factual ~ treat(treatment) + adjust({' + '.join(f'x{i}' for i in range(1, 26))})"
JOBS = "re78 ~ treat(treat) + adjust(age + educ + race + married + re74 + re75)"
CASES = [("lalonde.csv", JOBS, "lalonde"), ("ihdp_npci_1.csv", IHDP, "ihdp")]
FIXED = cf.Asympt(weights="fixed")
# R's glm stops iterating early, ours is polished.
LOGIT, ERROR = 1e-6, 1e-6


@pytest.mark.parametrize(("file", "formula", "key"), CASES)
@pytest.mark.parametrize("estimand", ["ATE", "ATT"])
def test_by_hand(file, formula, key, estimand):
    """R: phi = m1 - m0 + a (y - m1) / e - (1 - a) (y - m0) / (1 - e), its mean and sd / sqrt(n); the ATT likewise.

    R divides the deviations of the ATT by the treated share, as the influence function with its nuisances fixed does.
    """
    stored, name = values("aipw_by_hand")[key], estimand.lower()
    fit = cf.fit(formula, data(file), "aipw", estimand=estimand, vcov=FIXED)
    close(fit.estimate, stored[name], LOGIT, stored[f"{name}_se"], "estimate")
    close(fit.std_error, stored[f"{name}_se"], ERROR, stored[f"{name}_se"], "standard error")


@pytest.mark.parametrize(("file", "formula", "key"), CASES)
def test_means_by_hand(file, formula, key):
    """R: mean(m1 + a (y - m1) / e), mean(m0 + (1 - a) (y - m0) / (1 - e))."""
    stored = values("aipw_by_hand")[key]
    found = cf.fit(formula, data(file), "aipw").means().tidy()
    close(found["estimate"].to_numpy(), np.array([stored["mu0"], stored["mu1"]]), LOGIT, found["std.error"], "means")


def test_stacked(lalonde):
    """The standard error that knows both models' estimation is another: 1163.7 for 860.9 on these data.

    No R package gives it. It is held to the jackknife by refits, which knows no influence function, in tests/laws, and
    to brute force here: n times the derivative of the estimate in some rows' weights.
    """
    fit = cf.fit(JOBS, lalonde, "aipw")
    assert fit.std_error == pytest.approx(1163.72, abs=0.01)
    psi = fit.influence()[:, 0]
    assert np.sqrt((psi**2).sum()) / len(psi) == pytest.approx(fit.std_error)
    for row in (0, 200, 613):
        moved = []
        for step in (-1e-4, 1e-4):
            w = np.ones(len(lalonde))
            w[row] += step
            moved.append(cf.fit(JOBS + " + weights(w)", lalonde.assign(w=w), "aipw").estimate)
        assert len(psi) * (moved[1] - moved[0]) / 2e-4 == pytest.approx(psi[row], rel=1e-4)


@pytest.fixture(scope="module")
def lalonde():
    return data("lalonde.csv")
