"""Percentile intervals of the marginal sensitivity model, of data whose confounder is the worst that it allows.

The true effect then is the end of the sharp bounds, so that the interval misses it as often as one of its two limits
may, and one that knows of no confounder never holds it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

GAMMA, LESS, N, REPS, SHORT, LONG = 2.0, 1.5, 500, 199, 2, 200


def confounded(rng: np.random.Generator) -> pd.DataFrame:
    """An effect of 1; whether the outcome is high moves the odds of treatment by ``GAMMA`` up or down."""
    x, v = rng.normal(size=(2, N))
    # given v the odds are GAMMA times, or one GAMMA-th of, those given x, which are even
    a = (rng.random(N) < np.where(v > 0, GAMMA, 1.0) / (1 + GAMMA)).astype(int)
    return pd.DataFrame({"y": x + v + a, "a": a, "x": x})


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
@pytest.mark.parametrize("sharp", [True, False])
@pytest.mark.parametrize("reps", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)])
def test_intervals_hold_the_effect_at_the_gamma_that_was_simulated(reps, sharp):
    rng, inside = np.random.default_rng(4), np.zeros(3)
    for seed in range(reps):
        fit = cf.fit("y ~ treat(a) + adjust(x)", confounded(rng), "ipw")
        found = fit.sensitivity("marginal", gamma=[1.0, LESS, GAMMA], sharp=sharp, reps=REPS, seed=seed)
        inside += [low <= 1 <= high for low, high in found.limits]
    none, less, covered = inside / reps
    print(f"sharp {sharp}: covers {covered:.3f}, at a Gamma of {LESS:g} {less:.3f}, without hidden bias {none:.3f}")
    assert covered > 0.95 - 0.015 - 3 * np.sqrt(0.95 * 0.05 / reps)
    assert none < 0.1
    if sharp:  # and no smaller Gamma will do: the bounds are no wider than they must be
        assert less < 0.85 + 3 * np.sqrt(0.85 * 0.15 / reps)
