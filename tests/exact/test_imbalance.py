"""What a design leaves out of balance is said where the balance table says so, and nowhere else."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.diagnostics import imbalance as module
from causalformula.diagnostics.balance import default_denominator
from causalformula.diagnostics.covariates import covariates
from causalformula.errors import CausalFormulaWarning
from causalformula.results.designs.imbalance import sample_from

heart = cf.datasets.load("heart")
FORMULA = "Severity ~ treat(Drug) + adjust(I.H)"


def draw(seed, n=150):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) * [1, 5, 0.01] + [0, 1e4, 0]
    f = rng.choice(["u", "v", "w"], n)
    score = 1.2 * x[:, 0] + (f == "u")
    a = (rng.random(n) < 1 / (1 + np.exp(-score))).astype(int)
    d = pd.DataFrame(
        {"x": x[:, 0], "far": x[:, 1], "small": x[:, 2], "f": f, "a": a, "k": 1 / 3, "w": rng.uniform(1, 2, n)}
    )
    d["m"] = np.array(["lo", "mid", "hi"])[np.clip(np.round(score / 2 + rng.normal(size=n)), -1, 1).astype(int) + 1]
    return d.assign(dose=score + rng.normal(size=n), heavy=np.exp(2 * d["x"]), y=d["x"] + rng.normal(size=n))


QUESTIONS = [
    ("a", "ipw", {}), ("a", "ipw", {"estimand": "ATT"}), ("a", "ipw", {"estimand": "ATO", "link": "probit"}),
    ("a", "subclass", {"subclass": 2}), ("a", "energy", {}), ("a", "ebal", {}), ("a", "cbps", {}), ("m", "ipw", {}),
    ("m", "ipw", {"estimand": "ATT", "focal": "mid"}), ("dose", "ipw", {}), ("dose", "ebal", {}),
]  # fmt: skip


@pytest.mark.parametrize("treatment, method, options", QUESTIONS, ids=str)
@pytest.mark.parametrize("weights", ["", " + weights(w)"])
@pytest.mark.parametrize("many", [False, True])
def test_it_says_what_the_table_says(treatment, method, options, weights, many, monkeypatch):
    if many:
        monkeypatch.setattr(module, "MANY", 10)
    for seed in range(4):
        d = draw(seed)
        formula = f"~ treat({treatment}) + adjust(x + far + small + heavy + f + k + x:f){weights}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                design = cf.design(formula, d, method, **options)
            except cf.CausalFormulaError:
                continue
            balance = design.balance(stats="smd")
        table = balance.table
        values = np.abs(balance.judged("Corr" if treatment == "dose" else "Diff"))
        values = np.where(np.array(table.types) == "Distance", 0, np.nan_to_num(values))
        if values.max() < 0.1:
            assert design.imbalance == ()
            continue
        (note,) = design.imbalance
        worst = int(values.argmax())
        assert f": {table.rows[worst]}, " in note
        others = int((values >= 0.1).sum()) - 1
        assert (f"and {others} other covariate" in note) == (others > 0)
        assert f"Note: {note}" in str(design)


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC", "ATO", "ATM"])
def test_its_numbers_are_the_tables(estimand):
    """By the standard deviations after weighting too, which the estimands of a weighted sample have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        design = cf.design("~ treat(a) + adjust(x + far + small + f)", draw(1), "ipw", estimand=estimand, link="probit")
    frame, options, made = design.call.frame, design.call.options, design.design_weights
    found = module.imbalance(
        covariates(frame), sample_from(frame, options, made), default_denominator(estimand, False), threshold=0.0
    )
    table = design.balance().to_frame()["Diff.Adj"]
    for covariate, value in zip(found.covariates, found.values, strict=True):
        assert value == pytest.approx(table[covariate.name], rel=1e-8)


def test_heart():
    with pytest.warns(
        CausalFormulaWarning, match=r"not balanced .*: I.H, standardised mean difference -0.66\. More te"
    ):
        fit = cf.fit(FORMULA, heart, "ipw")
    for text in (str(fit), str(fit.summary()), str(fit.means()), str(fit.hypothesis("b1 = 0")), str(fit.design)):
        assert text.count("Note: not balanced (beyond 0.1): I.H, standardised mean difference -0.66") == 1
    assert "outcome(I.H)" in str(fit)
    with pytest.warns(CausalFormulaWarning, match="not balanced"):
        design = cf.design("~ treat(Drug) + adjust(I.H)", heart, "ipw")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the design has said it
        assert "not balanced" in str(design.fit("Severity ~ treat(Drug)"))


@pytest.mark.parametrize("role", ["outcome(I.H)", "outcome(poly(I.H, 2))", "modify(I.H)"])
def test_an_outcome_model_that_adjusts_is_said(role):
    with pytest.warns(CausalFormulaWarning, match="the outcome model adjusts for it, if it is right$"):
        fit = cf.fit(f"{FORMULA} + {role}", heart, "ipw")
    assert "may help" not in str(fit)


@pytest.mark.parametrize("method", ["ebal", "cbps", "ipt", "regression", "difference_in_means"])
def test_exact_balance_and_methods_without_a_design_say_nothing(method):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        formula = "Severity ~ treat(Drug)" if method == "difference_in_means" else FORMULA
        assert "not balanced" not in str(cf.fit(formula, heart, method))


def test_replicates_are_not_looked_at(monkeypatch):
    calls = []
    whole = module.moments_and_sums
    monkeypatch.setattr(module, "moments_and_sums", lambda *args: calls.append(1) or whole(*args))
    with pytest.warns(CausalFormulaWarning, match="not balanced"):
        cf.fit(FORMULA, heart, "ipw", vcov=cf.Bootstrap(60, seed=1))
    assert len(calls) == 1


def test_one_value_far_out_hides_nothing(monkeypatch):
    monkeypatch.setattr(module, "MANY", 10)
    rng = np.random.default_rng(1)
    x = rng.normal(size=2000)
    a = (rng.random(2000) < 1 / (1 + np.exp(-2 * x))).astype(int)
    columns = [module.Covariate("x", x, False, "x")]
    sample = module.Sample({"0": a == 0, "1": a == 1}, None, np.ones(2000), np.ones(2000))
    assert module.imbalance(columns, sample, "pooled").covariates
    x[np.flatnonzero(a)[0]] = 40
    assert module.imbalance(columns, sample, "pooled").covariates
