"""Meta-learners of a dose: effects of units in units of the contrast, and what judges them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import causalformula as cf

F = "yd ~ treat(dose) + adjust(z) + modify(x)"
CONTRASTS = ((0, 2), (1, 3), (0, 0.5), "sd", "iqr", "minmax", -1)


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, z, e, u = rng.normal(size=(4, 400))
    dose = x + u
    return pd.DataFrame({"x": x, "z": z, "dose": dose, "yd": z + dose * (1 + 0.5 * x) + e, "tau": 1 + 0.5 * x})


@pytest.fixture(scope="module")
def one(data):
    return cf.fit(F, data, "r_learner", contrast=(0, 1))


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_an_r_learners_effects_are_of_the_contrasts_step(data, one, contrast):
    fit = cf.fit(F, data, "r_learner", contrast=contrast)
    step = fit.estimate / one.estimate
    known = {"sd": data["dose"].std(), "minmax": np.ptp(data["dose"]), (0, 2): 2, (1, 3): 2, (0, 0.5): 0.5, -1: -1}
    if contrast in known:
        assert_allclose(step, known[contrast], rtol=1e-9)
    assert_allclose(fit.effects().effect, step * one.effects().effect, rtol=1e-7, atol=1e-9)
    assert_allclose(fit.effects(data[:9]).effect, step * one.effects().effect[:9], rtol=1e-7, atol=1e-9)
    held = [each.effects(held_out=True).effect for each in (fit, one)]
    assert_allclose(held[0], step * held[1], rtol=1e-7, atol=1e-9)
    score = fit.effects().score(step * data["tau"])
    assert_allclose(score["PEHE"], abs(step) * one.effects().score("tau")["PEHE"], rtol=1e-6)
    assert score["PEHE"] < 0.3 * abs(step)


def test_refits_are_of_the_contrasts_step_too(data, one):
    twice = cf.fit(F, data, "r_learner", contrast=(0, 2))
    found = [fit.effects(vcov=cf.Bootstrap(20, seed=1)).to_frame() for fit in (one, twice)]
    assert_allclose(found[1], 2 * found[0], rtol=1e-7)


@pytest.mark.parametrize("method", ["r_learner", "s_learner"])
def test_effects_of_a_dose_are_judged(data, method):
    fit = cf.fit(F, data, method, contrast=(0, 2))
    held, scores = fit.effects(held_out=True), fit.scores().iloc[:, 0]
    tau, losses = held.effect, fit.losses(held).tidy().set_index("term")["estimate"]
    assert_allclose(losses["DR-loss"], np.mean((scores - tau) ** 2))
    one = cf.fit(F, data, method, contrast=(0, 1))
    single = one.losses(one.effects(held_out=True)).tidy().set_index("term")["estimate"]
    assert_allclose(losses["R-loss"], single["R-loss"])  # of the outcome
    assert_allclose(losses["DR-loss"], 4 * single["DR-loss"])  # of the effects
    # what glms leave: noise of variance 1, and that of x^2 / 2 where no dose beside it stands for it
    assert losses["R-loss"] == pytest.approx(1.5 if method == "r_learner" else 1.0, abs=0.25)
    assert losses["R-loss: gain over one effect"] == pytest.approx(0.25, abs=0.15)
    found = fit.calibration(4, effects=held)
    assert "Scores: orthogonal scores of cross-fitted nuisances" in str(found)
    order = np.argsort(tau)
    assert_allclose(found.tidy()["estimate"][:4], [scores[part].mean() for part in np.array_split(order, 4)])
    assert_allclose(found.test["estimate"], [1, 1], atol=0.3)


def test_scores_of_a_dose_are_called_what_the_fit_calls_them(one):
    for page in (one.rate(reps=0), one.qini(reps=0), one.value(0.5)):
        assert "Scores: orthogonal scores of cross-fitted nuisances" in str(page)
        assert "doubly robust" not in str(page)
    assert "orthogonal scores" in str(one.summary())


@pytest.mark.parametrize("score", ["r_loss", "dr_loss", "autoc", "qini", "uplift", "effect_calibration"])
def test_scorers_are_of_levels(data, score):
    found = cf.EffectEstimator(F, "r_learner").fit(data)
    with pytest.raises(
        cf.CapabilityError, match="judge treatments with levels, and 'dose' is a dose; its fit has loss"
    ):
        cf.scores.scorer(score)(found, data)
