"""Standard errors of curves, areas and budgets beside the Monte Carlo spread of what they are of."""

from __future__ import annotations

import numpy as np
import pytest

from causalformula.diagnostics.budget import policy_value
from causalformula.diagnostics.effect_losses import dr_loss, r_loss
from causalformula.diagnostics.targeting import difference, score_curve, score_curves
from causalformula.diagnostics.uplift import outcome_curves, uplift_at

SHARES = np.array([0.2, 0.5, 0.8])


def experiment(rng, n, clustered):
    """Outcome, treatment, a noisy priority, effects and doubly robust scores; clusters of four."""
    clusters = np.arange(n) // 4
    x, noise = rng.normal(size=n), rng.normal(size=n)
    if clustered:
        x, noise = x[clusters], 0.6 * noise + 0.8 * noise[clusters]
    t = (rng.random(n) < 0.5).astype(float)
    tau = 0.5 * x
    y = 1 + t * tau + noise
    scores = tau + (t - 0.5) / 0.25 * (y - 1 - tau / 2 - (t - 0.5) * tau)
    return y, t, x + rng.normal(size=n), tau, scores, clusters if clustered else None


def measured(rng, n, reps, clustered=False):
    """Estimates and their standard errors, by name."""
    y, t, priority, tau, scores, clusters = experiment(rng, n, clustered)
    given = {"clusters": clusters, "reps": reps, "seed": int(rng.integers(1000))}
    curves = score_curves(scores, priority, ("toc", "gain"), share=SHARES, **given)
    other = score_curve(scores, priority + rng.normal(size=n), share=SHARES, **given)
    curves["between"] = difference(curves["toc"], other)
    curves |= outcome_curves(y, t, priority, share=SHARES, **given)
    found = {f"{name} area": (curve.area, curve.area_se) for name, curve in curves.items()}
    for name, curve in curves.items():
        found |= {f"{name} {q}": at for q, *at in zip(SHARES, curve.value, curve.std_error, strict=True)}
    budget = policy_value(scores, priority, share=0.3, cost=0.1, clusters=clusters)
    rule = policy_value(scores, 0.25 * priority, cost=0.1, clusters=clusters)
    other = {
        "budget": budget.value,
        "better": budget.better,
        "rule": rule.value,
        "dr_loss": dr_loss(scores, tau, clusters=clusters).gain,
        "r_loss": r_loss(y, t, 1 + tau / 2, np.full(n, 0.5), tau, clusters=clusters).gain,
        "uplift_at": uplift_at(y, t, priority, 0.3, clusters=clusters),
    }
    return found | {name: (each.estimate[0], each.std_error[0]) for name, each in other.items()}


def ratios(sims, n, reps, clustered):
    """Mean standard error over Monte Carlo standard deviation, by name."""
    draws = [measured(np.random.default_rng([9, sim]), n, reps, clustered) for sim in range(sims)]
    table = {name: np.array([draw[name] for draw in draws]) for name in draws[0]}
    return {name: float(of[:, 1].mean() / of[:, 0].std(ddof=1)) for name, of in table.items()}


def test_standard_errors():
    found = ratios(40, 150, 12, clustered=False)
    wrong = {name: ratio for name, ratio in found.items() if not 0.6 < ratio < 1.5}
    assert not wrong
    assert 0.85 < np.mean(list(found.values())) < 1.2


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [False, True])
def test_standard_errors_at_length(clustered):
    # a Monte Carlo standard deviation of 500 draws is off by 3 percent
    found = ratios(500, 800, 60, clustered)
    wrong = {name: ratio for name, ratio in found.items() if not 0.9 < ratio < 1.15}
    assert not wrong
