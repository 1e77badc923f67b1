"""grf 2.3.2 on the IHDP data: what judges predicted effects, where the forest's predictions and nuisances are given."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

import causalformula as cf
from causalformula.diagnostics.effect_calibration import TERMS, calibration_test
from causalformula.diagnostics.regressed import mean_of, regressed
from causalformula.diagnostics.targeting import TENTHS, score_curve
from tests.parity.reference import close, data, matrix, names, values

GRF = values("grf_given_nuisance")
E, M, TAU = (np.array(GRF[name]) for name in ("W_hat", "Y_hat", "tau"))


@pytest.fixture(scope="module")
def ihdp():
    return data("ihdp_npci_1.csv")


@pytest.fixture(scope="module")
def scores(ihdp):
    a, y = ihdp["treatment"].to_numpy(dtype=float), ihdp["y_factual"].to_numpy()
    return TAU + (a - E) / (E * (1 - E)) * (y - M - (a - E) * TAU)


def test_the_mean_of_doubly_robust_scores(scores):
    found = mean_of(scores)
    close([found.estimate[0], found.std_error[0]], GRF["scores_mean_se"])


def test_the_calibration_test(ihdp):
    found = calibration_test(ihdp["y_factual"], ihdp["treatment"], M, E, TAU)
    theirs = matrix(GRF["calibration"])
    assert names({"names": found.terms, "values": []}) == list(theirs.index) == list(TERMS)
    ours = np.column_stack([found.found.estimate, found.found.std_error, found.statistic, found.p_value])
    close(ours, theirs, rtol=1e-8)


def test_the_calibration_test_by_clusters(ihdp):
    # sandwich 3.1.1 on the same regression: sqrt(diag(vcovCL(fit, cluster = rep(1:83, each = 9), type = "HC3")))
    found = calibration_test(ihdp["y_factual"], ihdp["treatment"], M, E, TAU, clusters=np.repeat(np.arange(83), 9))
    close(found.found.std_error, [0.02683641377926206, 0.20287485135725308], rtol=1e-8)
    np.testing.assert_array_equal(found.found.df, 745)


def test_the_best_linear_projection(ihdp, scores):
    X = np.column_stack([np.ones(len(ihdp)), ihdp[["x1", "x2", "x3", "x4"]]])
    found = regressed(X, scores, ("(Intercept)", "x1", "x2", "x3", "x4"), rows="HC3")
    theirs = matrix(GRF["best_linear_projection"])
    close(found.estimate, theirs["Estimate"], rtol=1e-8)
    close(found.std_error, theirs["Std. Error"], rtol=1e-8)


def test_the_autoc_of_a_priority_with_ties(ihdp, scores):
    x = ihdp["x1"].to_numpy()
    assert len(np.unique(x)) < len(x)
    found = score_curve(scores, x, share=TENTHS, reps=400)
    close(found.area, GRF["rate_autoc"]["est"], rtol=1e-10)
    # both standard errors are of random halves: theirs of 200, so off by a twentieth of itself
    assert found.area_se == pytest.approx(GRF["rate_autoc"]["se"], rel=0.2)


# -- a fit whose learners know the forest's numbers ----------------------------------------------------------------


class Mean(RegressorMixin, BaseEstimator):
    """The forest's outcome means, from the arm, the propensity, the mean and the effect, as an S-learner has them."""

    def fit(self, X, y):
        return self

    def predict(self, X):
        arm, e, m, tau = X.T
        return m + (arm - e) * tau


class Score(ClassifierMixin, BaseEstimator):
    """The forest's propensities."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])


@pytest.fixture(scope="module")
def told(ihdp):
    table = ihdp[["y_factual", "treatment", "x1"]].assign(e=E, m=M, tau=TAU)
    formula = "y_factual ~ treat(treatment) + adjust(e + m + tau)"
    options = {"outcome_model": Mean(), "treatment_model": Score(), "bounds": 0.001}
    return cf.fit(formula, table, "s_learner", **options)


@pytest.mark.filterwarnings("ignore::causalformula.errors.CausalFormulaWarning")
def test_a_fit_with_the_forest_has_its_average(told, scores):
    n = len(TAU)
    close([told.estimate, told.std_error * np.sqrt(n / (n - 1))], GRF["scores_mean_se"], rtol=1e-8)
    close(told.estimate, GRF["ate_all"]["estimate"], rtol=1e-8)
    close(told.scores()["1 - 0"], scores, rtol=1e-8)
    for effects in (told.effects(), told.effects(held_out=True)):
        close(effects.effect, TAU, rtol=1e-8)


@pytest.mark.filterwarnings("ignore::causalformula.errors.CausalFormulaWarning")
def test_a_fit_with_the_forest_is_judged_as_it_is(told):
    test, theirs = told.calibration(effects=told.effects(held_out=True)).test, matrix(GRF["calibration"])
    close(test[["estimate", "std.error", "statistic", "p.value"]].to_numpy(), theirs, rtol=1e-8)
    rate = told.rate("AUTOC", "x1", reps=400)
    close(rate.estimate, GRF["rate_autoc"]["est"], rtol=1e-8)
    assert rate.std_error == pytest.approx(GRF["rate_autoc"]["se"], rel=0.2)
