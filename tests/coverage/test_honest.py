"""Do intervals cover when trends are not parallel: at the worst violation allowed, known and estimated covariance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import causalformula as cf
from causalformula.inference.honest.fixed_length import fixed_length
from causalformula.inference.honest.moments import moment_test
from causalformula.inference.honest.restrictions import LINEAR, PARALLEL, Restriction, second_differences
from causalformula.inference.honest.study import EventStudy

T, S, REPS = 3, 2, 20_000
FIRST, MEAN = np.array([1.0, 0.0]), np.array([0.5, 0.5])
SIGMA = 0.01 * (0.5 * np.eye(T + S) + 0.5)
NONE = EventStudy(np.zeros(T + S), SIGMA, T, S)
# Four Monte Carlo standard errors of a share of 0.95.
ERROR = 4 * np.sqrt(0.95 * 0.05 / REPS)


def coverage(restriction, M, delta, target, theta, hybrid):
    """How often theta is accepted under a violation: it is, where any polyhedron's test does."""
    draws = delta + NONE.noise(REPS, seed=11)
    noise = NONE.noise(4000, seed=5) if hybrid else None
    accepted = np.zeros(REPS, dtype=bool)
    for A, d in restriction.polyhedra(M, T, S):
        test = moment_test(NONE, A, d, target, 0.05, noise)
        # moments are linear in the coefficients
        at = [moment_test(replace(NONE, betas=e), A, d, target, 0.05, None).y - test.y for e in np.eye(T + S)]
        accepted |= replace(test, y=test.y + draws @ np.array(at)).accepts(np.full(REPS, theta))
    return accepted.mean()


def usual(delta, target, theta):
    """How often the interval that takes trends for parallel covers."""
    draws = (delta + NONE.noise(REPS, seed=11))[:, T:] @ target
    return (np.abs(draws - theta) <= 1.959964 * NONE.std_error(NONE.whole(target))).mean()


@pytest.mark.parametrize("hybrid", [True, False])
@pytest.mark.parametrize("size", [0, 0.1, 0.5, 5])
@pytest.mark.parametrize("target", [FIRST, MEAN])
def test_relative_magnitudes_at_the_worst_violation(size, target, hybrid):
    """Before treatment changes of at most ``size``, after it of ``size``, upwards: there is no effect."""
    delta = size * np.array([-0.5, -1.0, -0.5, 1.0, 2.0])
    restriction = Restriction("relative_magnitude", PARALLEL, None)
    assert coverage(restriction, 2.0, delta, target, 0.0, hybrid) > 0.95 - ERROR
    if size >= 0.5:
        assert usual(delta, target, 0.0) < 0.1


@pytest.mark.parametrize("hybrid", [True, False])
def test_relative_changes_of_slope_at_the_worst_violation(hybrid):
    """A slope that changes by 0.3 before treatment, and by 0.3 at it and after."""
    delta = np.array([0.3, 0.0, 0.0, 0.3, 0.9])
    restriction = Restriction("relative_magnitude", LINEAR, None)
    assert coverage(restriction, 1.0, delta, MEAN, 0.0, hybrid) > 0.95 - ERROR


@pytest.mark.parametrize("hybrid", [True, False])
@pytest.mark.parametrize("direction", [None, "positive", "increasing"])
def test_smoothness_at_the_worst_violation(direction, hybrid):
    """At an end of the identified set, far from the other, one moment binds: the size of the test is exact."""
    M = 2.0
    delta = M * np.array([0.0, 0.0, 0.0, 1.0, 3.0])
    found = coverage(Restriction("smoothness", PARALLEL, direction), M, delta, FIRST, 0.0, hybrid)
    assert abs(found - 0.95) < ERROR + 0.002 * hybrid
    assert usual(delta, FIRST, 0.0) < 0.01


@pytest.mark.parametrize("M", [0, 0.05, 0.5])
@pytest.mark.parametrize("target", [FIRST, MEAN])
def test_the_fixed_length_interval_at_the_worst_violation(M, target):
    """Second differences of ``M``, each with the sign of its weight: coverage is what was asked for, exactly."""
    found, curve = fixed_length(NONE, target, M, 0.05), second_differences(T, S)
    w = np.linalg.lstsq(curve.T, found.weights, rcond=None)[0]
    delta = np.linalg.lstsq(curve, M * np.sign(w), rcond=None)[0]
    off = (delta + NONE.noise(REPS, seed=12)) @ found.weights
    assert abs((np.abs(off) <= found.half_length).mean() - 0.95) < ERROR


@pytest.mark.parametrize("kind", ["smoothness", "relative_magnitude"])
def test_far_values_are_rejected(kind):
    """An interval that covers all would cover too."""
    delta = np.array([-0.05, -0.1, -0.05, 0.1, 0.2])
    assert coverage(Restriction(kind, PARALLEL, None), 0.5, delta, FIRST, 3.0, hybrid=True) < 0.01


def panel_estimates(rng, units=200):
    """Means of differences from the last period before treatment, in two groups, and their covariance."""
    change = np.array([0.25, 0.1, 0.15, 0.0, -0.2, 0.05])
    trend = np.cumsum(change) - np.cumsum(change)[T]
    effects = np.append(np.zeros(T + 1), [0.5, 0.8])
    y = rng.normal(size=(units, T + S + 1)).cumsum(axis=1) / 2 + 2 * rng.standard_exponential((units, 1))
    treated = np.arange(units) % 2 == 0
    y[treated] += trend + effects
    y = np.delete(y - y[:, [T]], T, axis=1)
    groups = [y[treated], y[~treated]]
    betas = groups[0].mean(axis=0) - groups[1].mean(axis=0)
    return betas, sum(np.cov(one.T) / len(one) for one in groups)


@pytest.mark.parametrize("reps", [12, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("kind", "M", "method"),
    [("smoothness", 0.25, "FLCI"), ("smoothness", 0.25, "C-LF"), ("relative_magnitude", 1.0, "C-LF")],
)
def test_on_panels(kind, M, method, reps):
    """The trend turns by at most 0.25 a period, and changes after treatment less than before."""
    rng, covered = np.random.default_rng(8), 0
    for _ in range(reps):
        found = cf.honest(*panel_estimates(rng), kind, num_pre=T, num_post=S, M=M, method=method, l_vec=MEAN)
        covered += bool(found.lower[0] <= 0.65 <= found.upper[0])
    assert covered / reps > 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / reps)
