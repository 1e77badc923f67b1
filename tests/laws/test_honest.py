"""Laws of intervals under trends that are not parallel, on event studies that are drawn."""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf

T, S = 3, 2
WAYS = [
    ("smoothness", "FLCI", None),
    ("smoothness", "C-LF", None),
    ("smoothness", "conditional", "negative"),
    ("relative_magnitude", "C-LF", None),
    ("relative_magnitude", "conditional", "increasing"),
]
OPPOSITE = {None: None, "negative": "positive", "increasing": "decreasing"}
way = pytest.mark.parametrize(("kind", "method", "direction"), WAYS, ids=[f"{k}-{m}-{d}" for k, m, d in WAYS])
# Limits are found to this share of a standard error; simulated draws are mirrored to their own error.
FOUND, SIMULATED = 1e-4, 0.02


def drawn(seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(T + S, T + S)) + 2 * np.eye(T + S)
    return rng.normal(size=T + S), 0.01 * root @ root.T


def limits(betas, sigma, kind, M, **options):
    found = cf.honest(betas, sigma, kind, num_pre=T, num_post=S, M=M, **options)
    return found.to_frame()[["lower", "upper"]].to_numpy()


def near(found, expected, sigma, share=FOUND):
    np.testing.assert_allclose(found, expected, atol=share * np.sqrt(np.diag(sigma).max()), rtol=1e-7)


@way
def test_units_scale_the_limits(kind, method, direction):
    """M of smoothness has the outcome's units, M of relative magnitudes has none."""
    betas, sigma = drawn(1)
    options = {"method": method, "direction": direction}
    one = limits(betas, sigma, kind, [0.3], **options)
    M = 30 if kind == "smoothness" else 0.3
    near(limits(100 * betas, 1e4 * sigma, kind, [M], **options), 100 * one, 1e4 * sigma)


@way
def test_effects_shift_the_limits(kind, method, direction):
    betas, sigma = drawn(2)
    target, effects = np.array([0.25, 0.75]), np.array([5.0, -2.0])
    options = {"method": method, "direction": direction, "l_vec": target}
    one = limits(betas, sigma, kind, [0.3], **options)
    shifted = limits(betas + np.append(np.zeros(T), effects), sigma, kind, [0.3], **options)
    near(shifted, one + target @ effects, sigma)


@way
def test_the_outcome_turned_upside_down(kind, method, direction):
    betas, sigma = drawn(3)
    one = limits(betas, sigma, kind, [0.3], method=method, direction=direction)
    turned = limits(-betas, sigma, kind, [0.3], method=method, direction=OPPOSITE[direction])
    near(turned, -one[:, ::-1], sigma, SIMULATED if method == "C-LF" else FOUND)


@pytest.mark.parametrize("method", ["FLCI", "C-LF", "conditional"])
def test_a_linear_trend_is_taken_out_under_smoothness(method):
    betas, sigma = drawn(4)
    trend = 0.7 * np.array([-3, -2, -1, 1, 2])
    one = limits(betas, sigma, "smoothness", [0, 0.3], method=method)
    near(limits(betas + trend, sigma, "smoothness", [0, 0.3], method=method), one, sigma)


@pytest.mark.parametrize("seed", range(4))
def test_intervals_widen_in_M(seed):
    betas, sigma = drawn(seed)
    M = [0, 0.2, 0.5, 1, 2]
    relative = limits(betas, sigma, "relative_magnitude", M)
    slack = SIMULATED * np.sqrt(np.diag(sigma).max())
    assert (np.diff(relative[:, 0]) <= slack).all()
    assert (np.diff(relative[:, 1]) >= -slack).all()
    # a fixed-length interval moves, but is never shorter
    fixed = limits(betas, sigma, "smoothness", M)
    assert (np.diff(fixed[:, 1] - fixed[:, 0]) > 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_without_violations_relative_magnitudes_give_the_usual_interval(seed):
    """But for what the first stage costs."""
    betas, sigma = drawn(seed)
    found = cf.honest(betas, sigma, "relative_magnitude", num_pre=T, num_post=S, M=0, method="conditional")
    (low,), (high,) = found.lower, found.upper
    near([low, high], found.original, sigma)


@pytest.mark.parametrize("kind", ["smoothness", "relative_magnitude"])
def test_the_first_stage_costs_little(kind):
    """The hybrid interval is at most as wide as that of the conditional test at its own second level, and near it."""
    betas, sigma = drawn(5)
    hybrid = limits(betas, sigma, kind, [0.5, 2], method="C-LF")
    second = limits(betas, sigma, kind, [0.5, 2], method="conditional", alpha=(0.05 - 0.005) / 0.995)
    conditional = limits(betas, sigma, kind, [0.5, 2], method="conditional")
    slack = FOUND * np.sqrt(np.diag(sigma).max())
    assert (hybrid[:, 0] >= second[:, 0] - slack).all()
    assert (hybrid[:, 1] <= second[:, 1] + slack).all()
    np.testing.assert_allclose(hybrid, conditional, atol=0.15 * np.sqrt(np.diag(sigma).max()))


@pytest.mark.parametrize(("kind", "method", "direction"), [way for way in WAYS if way[2] is not None])
def test_a_direction_only_adds(kind, method, direction):
    """The identified set is smaller, and the interval is not larger where coefficients are nearly exact."""
    betas, sigma = np.array([0.6, 0.4, 0.2, 1.0, 2.0]), 1e-10 * np.eye(T + S)
    one = limits(betas, sigma, kind, [1.0], method=method)
    less = limits(betas, sigma, kind, [1.0], method=method, direction=direction)
    assert one[0, 0] - 1e-4 <= less[0, 0] <= less[0, 1] <= one[0, 1] + 1e-4
    assert less[0, 1] - less[0, 0] < one[0, 1] - one[0, 0] - 0.01


def test_the_same_seed_gives_the_same_limits():
    betas, sigma = drawn(6)
    first, again = (limits(betas, sigma, "relative_magnitude", [1], seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, limits(betas, sigma, "relative_magnitude", [1], seed=4))


def test_nothing_given_is_changed():
    betas, sigma = drawn(7)
    before = betas.copy(), sigma.copy()
    found = cf.honest(betas, sigma, "smoothness", num_pre=T, num_post=S)
    found.study.betas[0] = 9
    np.testing.assert_array_equal(betas, before[0])
    np.testing.assert_array_equal(sigma, before[1])
