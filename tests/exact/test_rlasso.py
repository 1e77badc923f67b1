"""The lasso and its penalty, by hand and by the conditions that a minimum satisfies."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import causalformula as cf
from causalformula.backends.learning.rigorous import RLassoClassifier
from causalformula.errors import CapabilityError, DataError, IdentificationError, OptionError
from causalformula.numerics.lasso import lasso, logistic_lasso
from causalformula.numerics.rlasso import first_residuals, penalty_level, rlasso, rlasso_logit


def sparse(seed=1, n=80, p=120):
    """More columns than rows, of which three matter."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X[:, :3] @ [3.0, -2.0, 2.0] + rng.normal(size=n)


def test_soft_threshold():
    """Columns of an orthonormal design do not know of each other."""
    Q = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 4)))[0]
    z, penalty = np.array([3.0, -2.0, 0.5, 1.0]), np.array([1.0, 0.5, 0.75, 0.0])
    np.testing.assert_allclose(lasso(Q, Q @ z, penalty), [2.0, -1.5, 0.0, 1.0], atol=1e-13)


def test_minimum():
    """``x_j'(y - X b) = penalty_j sign(b_j)`` where b_j is not zero, and no more than the penalty elsewhere."""
    X, y = sparse()
    penalty = np.linspace(4, 9, X.shape[1])
    b = lasso(X, y, penalty)
    gradient = X.T @ (y - X @ b)
    inside = b != 0
    assert 3 < inside.sum() < len(y)
    np.testing.assert_allclose(gradient[inside], (penalty * np.sign(b))[inside], atol=1e-9)
    assert (np.abs(gradient) <= penalty + 1e-9).all()
    np.testing.assert_allclose(lasso(X, y, penalty, b + 0.1), b, atol=1e-9)


def test_logistic_minimum():
    X, y = sparse()
    a, penalty = (y > 0).astype(float), np.full(X.shape[1], 3.0)
    intercept, b = logistic_lasso(X, a, penalty)
    gap = a - 1 / (1 + np.exp(-(intercept + X @ b)))
    gradient = X.T @ gap
    assert abs(gap.sum()) < 1e-9
    assert (b != 0).sum() > 3
    np.testing.assert_allclose(gradient[b != 0], 3.0 * np.sign(b[b != 0]), atol=1e-8)
    assert (np.abs(gradient) <= 3.0 + 1e-8).all()


def test_level():
    """``2 c sqrt(n) Phi^-1(1 - gamma / (2 p))``"""
    by_hand = 2 * 1.1 * math.sqrt(100) * norm.ppf(1 - 0.1 / math.log(100) / (2 * 50))
    np.testing.assert_allclose(penalty_level(100, 50), by_hand, rtol=1e-12)
    np.testing.assert_allclose(penalty_level(100, 50, 0.5, 0.05), 10 * norm.ppf(1 - 0.05 / 100), rtol=1e-12)


def test_loadings_reproduce_themselves():
    """The penalties are those of the residuals that they lead to, and what is selected is fitted by least squares."""
    X, y = sparse()
    fit = rlasso(X, y)
    Z, v = X - X.mean(axis=0), y - y.mean()
    np.testing.assert_allclose(fit.loadings, np.sqrt((Z**2 * fit.residuals[:, None] ** 2).mean(axis=0)), rtol=1e-10)
    b = lasso(Z, v, fit.lambda0 * fit.loadings / 2)
    assert np.array_equal(b != 0, fit.selected)
    assert fit.selected[:3].all() and fit.selected.sum() < 8
    design = np.column_stack([np.ones(len(y)), X[:, fit.selected]])
    ols = np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose([fit.intercept, *fit.coef[fit.selected]], ols, rtol=1e-10)


@pytest.mark.parametrize("post", [True, False])
@pytest.mark.parametrize("unit", [1e-9, 1e7])
def test_units(post, unit):
    """Units and origins of the columns and of the response leave the fitted values alone."""
    X, y = sparse()
    scale = np.where(np.arange(X.shape[1]) % 2, unit, 1.0)
    base, moved = rlasso(X, y, post=post), rlasso(X * scale + 3 * scale, unit * (y + 5), post=post)
    assert np.array_equal(base.selected, moved.selected)
    np.testing.assert_allclose(moved.residuals, unit * base.residuals, rtol=1e-6, atol=1e-7 * unit)
    flipped = rlasso(-X, y, post=post)
    np.testing.assert_allclose(flipped.coef, -base.coef, atol=1e-9)


def test_nothing_to_select():
    X, y = sparse()
    assert not rlasso(X, np.full(len(y), 2.0)).selected.any()
    assert rlasso(np.empty((len(y), 0)), y).intercept == pytest.approx(y.mean())
    X[:, 0] = 1.0
    assert rlasso(X, y).coef[0] == 0.0


def test_exact_response():
    """A response without noise is found, and does not end without a penalty."""
    X, _ = sparse()
    y = X[:, :2] @ [1.0, 2.0]
    fit = rlasso(X, y)
    assert np.flatnonzero(fit.selected).tolist() == [0, 1]
    np.testing.assert_allclose(fit.coef[:2], [1.0, 2.0], rtol=1e-9)


def test_first_residuals():
    """Of the five columns that are most correlated with the response, whatever their signs."""
    X, y = sparse(p=20)
    near = np.argsort(-np.abs([np.corrcoef(x, y)[0, 1] for x in X.T]))[:5]
    design = np.column_stack([np.ones(len(y)), X[:, near]])
    coef = np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(first_residuals(X, y), y - design @ coef, atol=1e-10)
    np.testing.assert_allclose(first_residuals(X, y, centred=False), y - X[:, near] @ coef[1:], atol=1e-10)


def test_logit_follows_up():
    """The classifier's probabilities are those of a logistic regression on what is selected."""
    X, y = sparse(n=400, p=12)
    a = (y + np.random.default_rng(5).logistic(size=400) * 2 > 0).astype(float)
    fit = rlasso_logit(X, a)
    assert fit.selected[:3].all() and not fit.selected.all()
    design = np.column_stack([np.ones(400), X[:, fit.selected]])
    np.testing.assert_allclose(design.T @ fit.residuals, 0, atol=1e-7)


# ---- effects ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many():
    """Ninety rows and a hundred controls, two of which confound."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(90, 100))
    d = x[:, 0] - x[:, 1] + rng.normal(size=90)
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(100)])
    return frame.assign(y=2 * d + 2 * x[:, 0] - 2 * x[:, 1] + rng.normal(size=90), d=d, a=(d > 0).astype(int), w=1.5)


FORMULA = f"y ~ treat(d) + adjust({' + '.join(f'x{j}' for j in range(100))})"


def test_more_controls_than_rows(many):
    fit = cf.fit(FORMULA, many, "dml", model="double_selection")
    chosen = [name for name in fit.outcome.params.index if name.startswith("x")]
    assert {"x0", "x1"} <= set(chosen) and len(chosen) < 20
    by_hand = cf.lm(f"y ~ d + {' + '.join(chosen)}", many)
    assert fit.estimate == pytest.approx(by_hand.params["d"], rel=1e-10)
    k = len(chosen) + 1
    hc0 = np.sqrt(by_hand.with_vcov("HC0").cov_params().loc["d", "d"])
    assert fit.std_error == pytest.approx(hc0 * np.sqrt(90 / (90 - k)), rel=1e-9)
    assert fit.with_vcov("HC3").std_error == pytest.approx(by_hand.with_vcov("HC3").bse["d"], rel=1e-9)
    shown = next(line for line in str(fit.summary()).splitlines() if line.startswith("Selected for the treatment: "))
    assert " of 100 controls (x0, x1" in shown
    assert abs(fit.estimate - 2) < 3 * fit.std_error
    twice = cf.fit(FORMULA, many, "dml", model="double_selection", contrast=2)
    assert (twice.estimate, twice.std_error) == pytest.approx((2 * fit.estimate, 2 * fit.std_error))


def test_partialling_out_by_hand(many):
    fit = cf.fit(FORMULA, many, "dml", model="partialling_out")
    Z = many[[f"x{j}" for j in range(100)]].to_numpy()
    u, v = (
        rlasso(Z, x, start=first_residuals(Z, x, centred=False)).residuals
        for x in (many.y.to_numpy(), many.d.to_numpy())
    )
    e = u - v * (v @ u) / (v @ v)
    assert fit.estimate == pytest.approx(v @ u / (v @ v), rel=1e-12)
    assert fit.std_error == pytest.approx(np.sqrt(e @ e / 88 / (v @ v)), rel=1e-12)
    assert fit.with_vcov("HC0").std_error == pytest.approx(np.sqrt((v * e) @ (v * e)) / (v @ v), rel=1e-12)


@pytest.mark.parametrize("model", ["double_selection", "partialling_out", "selected_irm"])
def test_refusals(many, model):
    formula = FORMULA.replace("treat(d)", "treat(a)")
    for more in ({"folds": 3}, {"outcome_model": "forest"}, {"seed": 3}):
        with pytest.raises(OptionError, match=f"{next(iter(more))}= is of cross-fitted learners.*model='plr'"):
            cf.fit(formula, many, "dml", model=model, **more)
    with pytest.raises(CapabilityError, match=r"no place for weights.*outcome_model='lasso'"):
        cf.fit(formula + " + weights(w)", many, "dml", model=model)
    with pytest.raises(OptionError, match="family='gaussian'"):
        cf.fit(formula.replace("y ~", "a ~").replace("treat(a)", "treat(w0)"), many.assign(w0=1 - many.a), "dml",
               model=model, family="binomial")  # fmt: skip


@pytest.mark.parametrize("model", ["double_selection", "partialling_out"])
def test_one_effect_over_everyone(many, model):
    fit = cf.fit(FORMULA, many, "dml", model=model)
    assert not {"means", "by", "cate", "learners"} & set(dir(fit))
    with pytest.raises(CapabilityError, match="one effect over everyone; model='plr'"):
        fit.by("a")
    with pytest.raises(CapabilityError, match="no mean potential outcomes; model='selected_irm'"):
        fit.means()
    with pytest.raises(CapabilityError, match="is of the scores of cross-fitted learners; model='plr'"):
        fit.sensitivity("omitted")


def test_nothing_left_of_the_treatment(many):
    copy = many.assign(x0=many.d)
    with pytest.raises(IdentificationError, match="is not identified"):
        cf.fit(FORMULA, copy, "dml", model="partialling_out")


def test_learner(many):
    """By name in any cross-fitted method; it tells how many columns it keeps, and takes no weights."""
    fit = cf.fit(FORMULA.replace("treat(d)", "treat(a)"), many, "aipw", model="rlasso", folds=2)
    assert fit.learners()["told"].str.contains("of 100 columns").all()
    with pytest.raises(OptionError, match=r"'rlasso' takes no sample weights.*these take them: 'glm', 'lasso'"):
        cf.fit(FORMULA.replace("treat(d)", "treat(a)") + "+ weights(w)", many, "aipw", model="rlasso", folds=2)
    with pytest.raises(DataError, match=r"3 classes.*use 'lasso'"):
        RLassoClassifier().fit(np.zeros((6, 1)), [0, 1, 2, 0, 1, 2])


def test_separated_propensities(many):
    """Scores of 0 and 1 are moved to the bounds, counted, and the arms that have no counterpart are told."""
    data = many.assign(a=(many.x0 > 0).astype(int))
    moved = "propensities below 0.01 and"
    with pytest.warns(cf.CausalFormulaWarning, match=moved), pytest.warns(match="do not overlap"):
        fit = cf.fit(FORMULA.replace("treat(d)", "treat(a)"), data, "dml", model="selected_irm")
    assert np.isfinite(fit.estimate) and moved in str(fit.summary())
