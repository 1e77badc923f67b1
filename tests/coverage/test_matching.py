"""Coverage of the matching estimator of Abadie and Imbens, its bias corrected, on designs with known effects."""

from __future__ import annotations

import numpy as np
import pytest

from causalformula.numerics.abadie_imbens import abadie_imbens
from causalformula.numerics.tied_matches import match_with_ties
from tests.coverage.test_weighting import confounded_linear, covered, heterogeneous, truth, within_error


def simulated(design, target, M, var_calc, reps, n, seed=1):
    """Estimates and standard errors, (reps, 2)."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(reps):
        data, _, _ = design(rng, n)
        X, treated = data[["x1", "x2"]].to_numpy(dtype=float), data["a"].to_numpy() == 1
        matches = match_with_ties(X, treated, M, target=target)
        effect = abadie_imbens(data["y"].to_numpy(), treated, matches, Z=X, var_calc=var_calc)
        out.append((effect.estimate, effect.se))
    return np.array(out)


# One variance for all takes an effect that varies for noise: where it does, variances come from the nearest of the arm
WAYS = [(confounded_linear, "ATT", 1, 0), (confounded_linear, "ATE", 4, 0), (heterogeneous, "ATE", 2, 2)]


@pytest.mark.parametrize(("design", "target", "M", "var_calc"), WAYS)
def test_coverage(design, target, M, var_calc):
    reps = 150
    draws = simulated(design, target, M, var_calc, reps, 300)
    assert within_error(covered(draws, truth(design, target)), reps)


@pytest.mark.slow
@pytest.mark.parametrize("design", [confounded_linear, heterogeneous])
@pytest.mark.parametrize("target", ["ATT", "ATC", "ATE"])
@pytest.mark.parametrize("M", [1, 4])
def test_coverage_at_length(design, target, M):
    reps = 1000
    draws = simulated(design, target, M, 2, reps, 1000)
    rate, ratio = covered(draws, truth(design, target)), draws[:, 1].mean() / draws[:, 0].std(ddof=1)
    print(f"{design.__name__} {target} M={M}: coverage {rate:.3f}, ratio {ratio:.3f}")
    assert within_error(rate, reps)
    assert 0.93 < ratio < 1.07
