"""Effects after the lasso has selected among nearly as many controls as there are rows.

Rows and treatment are drawn once and the outcome many times, so that coverage is that given the design. What selects
only by the outcome leaves out what moves the treatment much and the outcome little; double selection does not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends.doubly_robust.selection import double_selection
from causalformula.inference.covariance import covariance
from causalformula.inference.requests import HC
from causalformula.numerics.rlasso import rlasso

N, P, TRUTH = 110, 100, 1.0
SHORT, LONG = 30, 2000


def drawn():
    """The design, its systematic part, and a frame whose outcome is put in later."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(N, P))
    d = 1.2 * x[:, 0] - 1.2 * x[:, 1] + rng.normal(size=N)
    base = TRUTH * d + 0.25 * x[:, 0] - 0.25 * x[:, 1] + 2 * x[:, 2]
    names = [f"x{j}" for j in range(P)]
    data = pd.DataFrame(x, columns=names).assign(d=d, y=base + rng.normal(size=N))
    fit = cf.fit(f"y ~ treat(d) + adjust({' + '.join(names)})", data, "dml", model="double_selection")
    return x, d, base, fit


@pytest.mark.parametrize("reps", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)])
def test_double_selection(reps):
    x, d, base, first = drawn()
    rng, double, single, inside = np.random.default_rng(1), [], [], 0
    for _ in range(reps):
        y = base + rng.normal(size=N)
        estimate = double_selection(first.call.frame.with_outcome(y), first.call.options).estimate
        double.append(estimate.theta[0])
        inside += abs(double[-1] - TRUTH) < 1.96 * covariance(estimate, HC("HC1")).std_error[0]
        kept = rlasso(np.column_stack([d, x]), y).selected[1:]
        single.append(np.linalg.lstsq(np.column_stack([np.ones(N), d, x[:, kept]]), y, rcond=None)[0][1])
    off = [np.mean(found) - TRUTH for found in (double, single)]
    print(f"bias {off[0]:.3f}, by the outcome alone {off[1]:.3f}; covers {inside / reps:.3f}")
    assert abs(off[0]) < 3 * np.std(double) / np.sqrt(reps)
    assert abs(inside / reps - 0.95) < 0.015 + 3 * np.sqrt(0.95 * 0.05 / reps)
    assert off[1] > 3 * np.std(single) / np.sqrt(reps)


@pytest.mark.parametrize("reps", [10, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
def test_chosen_confounders(reps):
    """Least squares with what ``select_confounders`` takes covers; with what the outcome alone takes it does not."""
    x, d, base, _ = drawn()
    rng, inside = np.random.default_rng(1), np.zeros(2)
    data = pd.DataFrame(x, columns=[f"x{j}" for j in range(P)]).assign(d=d)
    for _ in range(reps):
        data["y"] = base + rng.normal(size=N)
        kept = np.flatnonzero(rlasso(np.column_stack([d, x]), data["y"].to_numpy()).selected[1:])
        single = cf.fit("y ~ treat(d)" + "".join(f" + x{j}" for j in kept), data, "regression", vcov="HC1")
        double = cf.select_confounders("y ~ treat(d) + .", data).fit(vcov="HC1")
        inside += [low <= TRUTH <= high for low, high in (fit.conf_int().iloc[0] for fit in (double, single))]
    print(f"covers {inside[0] / reps:.3f}, by the outcome alone {inside[1] / reps:.3f}")
    assert abs(inside[0] / reps - 0.95) < 0.015 + 3 * np.sqrt(0.95 * 0.05 / reps)
    assert inside[1] / reps < 0.8
