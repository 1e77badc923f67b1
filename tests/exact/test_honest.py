"""Intervals under trends that are not parallel: cases solved by hand, and other ways to the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import ndtr
from scipy.stats import foldnorm, norm

import causalformula as cf
from causalformula.inference.honest import intervals, moments
from causalformula.inference.honest.fixed_length import fixed_length, folded_quantile
from causalformula.inference.honest.restrictions import second_differences
from causalformula.inference.honest.study import EventStudy
from causalformula.numerics.moment_weights import Programmes, Vertices, extreme_rays, moment_weights

LINEAR = "deviation from linear trend"


def study(T, S, seed=0, size=0.1):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(T + S, T + S)) + 2 * np.eye(T + S)
    sigma = size**2 * root @ root.T / (T + S)
    return EventStudy(rng.normal(size=T + S), sigma, T, S)


def limits(betas, sigma, kind, T, S, **options):
    found = cf.honest(betas, sigma, kind, num_pre=T, num_post=S, **options)
    return np.array([found.lower[0], found.upper[0]])


# ---- the fixed-length interval --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0, 0.3, 2, 10, 100])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_quantile_of_a_folded_normal(mean, alpha):
    assert folded_quantile(mean, alpha) == pytest.approx(foldnorm.ppf(1 - alpha, mean), rel=1e-9)


@pytest.mark.parametrize("M", [0, 0.2])
def test_one_period_on_either_side(M):
    """The only estimator without linear trends is ``beta_1 + beta_{-1}``, off by at most ``M``."""
    betas, sigma = np.array([0.3, 1.0]), np.array([[0.04, 0.01], [0.01, 0.09]])
    sd = np.sqrt(0.04 + 0.09 + 0.02)
    half = sd * foldnorm.ppf(0.95, M / sd)
    np.testing.assert_allclose(limits(betas, sigma, "smoothness", 1, 1, M=M), [1.3 - half, 1.3 + half], rtol=1e-9)


@pytest.mark.parametrize("M", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("target", [[1.0, 0, 0], [1 / 3] * 3])
def test_no_weights_give_a_shorter_one(M, target):
    """Nelder and Mead's search over all weights."""
    one, target = study(3, 3, seed=4), np.array(target)
    curve = second_differences(3, 3)
    after = np.linalg.solve(curve[2:, 3:].T, target)

    def half(w):
        v = curve.T @ np.append(w, after)
        sd = one.std_error(v)
        return sd * folded_quantile(M * (np.abs(w).sum() + np.abs(after).sum()) / sd, 0.05)

    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 2000}
    best = min(minimize(half, start, method="Nelder-Mead", options=options).fun for start in ([0, 0], [0.5, 0.5]))
    found = fixed_length(one, target, M, 0.05)
    assert found.half_length == pytest.approx(best, rel=1e-8)
    # the weights leave the effects as they are and take linear trends to zero
    np.testing.assert_array_equal(found.weights[3:], target)
    assert found.weights @ [-3, -2, -1, 1, 2, 3] == pytest.approx(0, abs=1e-12)


def test_without_violations_of_linearity_it_is_generalised_least_squares():
    one = study(4, 2, seed=2)
    X = np.column_stack([[-4, -3, -2, -1, 1, 2], *np.eye(6)[4:].tolist()])
    inverse = np.linalg.inv(one.sigma)
    V = np.linalg.inv(X.T @ inverse @ X)
    theta = V @ X.T @ inverse @ one.betas
    found = fixed_length(one, np.array([0.0, 1.0]), 0.0, 0.05)
    assert found.estimate == pytest.approx(theta[2], rel=1e-10)
    assert found.half_length == pytest.approx(norm.isf(0.025) * np.sqrt(V[2, 2]), rel=1e-10)


# ---- the identified set, which limits shrink to --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "low", "high"),
    [
        # delta_{-2} = 0.5, delta_{-1} = 0.2: changes of -0.3 and -0.2
        ("relative_magnitude", {"M": 2}, 1 - 0.6, 1 + 0.6),
        ("relative_magnitude", {"M": 1, "l_vec": [0, 1]}, 3 - 0.6, 3 + 0.6),
        ("relative_magnitude", {"M": 1, "l_vec": [0.5, 0.5]}, 2 - 0.45, 2 + 0.45),
        ("relative_magnitude", {"M": 2, "direction": "positive"}, 1 - 0.6, 1),
        ("relative_magnitude", {"M": 2, "direction": "negative"}, 1, 1 + 0.6),
        ("relative_magnitude", {"M": 2, "direction": "decreasing"}, 1, 1 + 0.6),
        # the trend goes on to -0.2 and -0.4, and its slope changed by 0.1
        ("relative_magnitude", {"M": 3, "bound": LINEAR}, 1.2 - 0.3, 1.2 + 0.3),
        ("relative_magnitude", {"M": 1, "bound": LINEAR, "l_vec": [0, 1]}, 3.4 - 0.3, 3.4 + 0.3),
        ("smoothness", {"M": 0.5, "method": "C-LF"}, 1.2 - 0.5, 1.2 + 0.5),
        ("smoothness", {"M": 0.5, "method": "conditional", "l_vec": [0, 1]}, 3.4 - 1.5, 3.4 + 1.5),
        ("smoothness", {"M": 0.5, "direction": "negative"}, 1, 1.7),
        ("smoothness", {"M": 0.5, "direction": "positive"}, 0.7, 1),
        ("smoothness", {"M": 0.5}, 0.7, 1.7),
    ],
)
def test_what_exact_coefficients_identify(kind, options, low, high):
    found = limits([0.5, 0.2, 1.0, 3.0], 1e-12 * np.eye(4), kind, 2, 2, **options)
    np.testing.assert_allclose(found, [low, high], atol=2e-5)


# ---- tests of moment inequalities -----------------------------------------------------------------------------------


def test_the_conditional_interval_of_two_opposed_moments():
    """One period on either side: ``|beta_1 + beta_{-1} - theta| <= M``, truncated where the other moment takes over."""
    sigma, M = np.array([[0.04, 0.01], [0.01, 0.09]]), 0.2
    sd = np.sqrt(0.15)
    half = M + sd * norm.isf(0.05 * ndtr(M / sd))
    found = limits([0.3, 1.0], sigma, "smoothness", 1, 1, M=M, method="conditional")
    np.testing.assert_allclose(found, [1.3 - half, 1.3 + half], atol=1e-5 * sd)


def test_the_hybrid_interval_of_two_opposed_moments():
    """The first stage is at 0.005, and its critical value ends the second stage's normal."""
    sigma, M = np.array([[0.04, 0.01], [0.01, 0.09]]), 0.2
    sd, critical = np.sqrt(0.15), norm.isf(0.0025)
    level, top = (0.05 - 0.005) / 0.995, norm.sf(critical)
    half = M + sd * norm.isf(top + level * (ndtr(M / sd) - top))
    found = limits([0.3, 1.0], sigma, "smoothness", 1, 1, M=M, method="C-LF")
    # the critical value is simulated, to about 0.05
    np.testing.assert_allclose(found, [1.3 - half, 1.3 + half], atol=0.015 * sd)


def test_the_window_of_independent_moments_by_hand():
    """Without nuisance parameters the best moment stays the best down to the second."""
    y, V = np.array([[1.0, 2.5, 2.0]]), np.eye(3)
    weights = moment_weights(np.zeros((3, 0)))
    eta, chosen = weights.largest(y)
    np.testing.assert_array_equal(chosen, [[0, 1, 0]])
    low, high = weights.window(chosen, y - eta[:, None] * (chosen @ V), chosen @ V)
    assert (eta[0], low[0], high[0]) == (2.5, 2.0, np.inf)


def test_extreme_rays_by_hand():
    """``g1 - g2 + g3 = 0``: each ray balances the second with one of the others."""
    rays = extreme_rays(np.array([[1.0], [-1.0], [1.0]]))
    assert {tuple(ray) for ray in rays.tolist()} == {(1, 1, 0), (0, 1, 1)}


@pytest.mark.parametrize("periods", [2, 6, 15])
def test_rays_of_second_differences(periods):
    """Each moment with its opposite, and the two ends of the mean effect."""
    curve = second_differences(1, periods)[:, 1:]
    A = np.vstack([curve, -curve])
    rays = extreme_rays(A[:, 1:] - A[:, [0]])
    opposed = np.array([np.count_nonzero(ray) == 2 and (ray[:periods] == ray[periods:]).all() for ray in rays])
    assert (len(rays), opposed.sum()) == (periods + 2, periods)


def test_too_many_rays_are_left_to_the_solver():
    X = np.random.default_rng(0).normal(size=(60, 12))
    assert extreme_rays(X) is None
    assert isinstance(moment_weights(X), Programmes)


@pytest.mark.parametrize("seed", range(3))
def test_vertices_and_linear_programmes_agree(seed):
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(5, 3))
    X = np.vstack([half, -half, rng.normal(size=(2, 3))])
    y = rng.normal(size=(7, 12)) + 1
    known, solver = moment_weights(X), Programmes(X)
    assert isinstance(known, Vertices)
    (eta, chosen), (other, its) = known.largest(y), solver.largest(y)
    np.testing.assert_allclose(eta, other, rtol=1e-9)
    np.testing.assert_allclose(chosen, its, atol=1e-9)
    root = rng.normal(size=(12, 12))
    products = chosen @ (root @ root.T)
    slope = products / np.einsum("nm,nm->n", products, chosen)[:, None]
    rest = y - eta[:, None] * slope
    for ours, theirs in zip(known.window(chosen, rest, slope), solver.window(chosen, rest, slope), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    along = rng.normal(size=12)
    np.testing.assert_allclose(known.reach(y[0], along, 3.0), solver.reach(y[0], along, 3.0), rtol=1e-7)


@pytest.mark.parametrize(("kind", "direction"), [("smoothness", "positive"), ("relative_magnitude", None)])
def test_intervals_by_linear_programmes_alone(kind, direction, monkeypatch):
    monkeypatch.setattr(intervals, "DRAWS", 60)
    monkeypatch.setattr(moments, "POINTS", 25)
    monkeypatch.setattr(moments, "FINER", 5)
    one = study(1, 2, seed=3)
    options = {"M": 0.3, "direction": direction, "method": "C-LF", "l_vec": [0.5, 0.5]}
    known = limits(one.betas, one.sigma, kind, 1, 2, **options)
    monkeypatch.setattr(moments, "moment_weights", Programmes)
    np.testing.assert_allclose(limits(one.betas, one.sigma, kind, 1, 2, **options), known, rtol=1e-6)


def test_tails_far_out_keep_their_digits():
    x, low, high = np.array([30.0, 1.0, -9.0]), np.array([29.0, -np.inf, -10.0]), np.array([np.inf, 2.0, -8.0])
    expected = [norm.logsf(30) - norm.logsf(29), np.log((norm.sf(1) - norm.sf(2)) / norm.cdf(2)), None]
    found = moments.upper_tail(x, low, high)
    np.testing.assert_allclose(np.log(found[:2]), expected[:2], rtol=1e-9)
    assert 0 < found[2] < 1


# ---- breakdown values, and bounds of M ------------------------------------------------------------------------------


@pytest.mark.parametrize("M", [[0.1], [0, 0.5, 5.0]])
def test_breakdown_by_hand(M):
    """Fixed length, one period on either side: where ``sd cv(M / sd)`` reaches the estimate."""
    sigma = np.array([[0.04, 0.01], [0.01, 0.09]])
    found = cf.honest([0.3, 1.0], sigma, "smoothness", num_pre=1, num_post=1, M=M)
    sd, M = np.sqrt(0.15), found.breakdown()
    assert sd * foldnorm.ppf(0.95, M / sd) == pytest.approx(1.3, rel=2e-4)
    assert found.breakdown(1.0) == 0
    assert found.breakdown(10.0) > found.breakdown(5.0) > M


def test_breakdown_of_relative_magnitudes_is_where_the_interval_reaches_zero():
    one = study(2, 1, seed=1)
    betas = [0.1, 0.05, 2.0]
    found = cf.honest(betas, one.sigma, "relative_magnitude", num_pre=2, num_post=1)
    at = found.breakdown()
    inside = limits(betas, one.sigma, "relative_magnitude", 2, 1, M=at)
    outside = limits(betas, one.sigma, "relative_magnitude", 2, 1, M=0.999 * at)
    assert inside[0] <= 0 < outside[0]


def test_bounds_of_the_only_second_difference_before_treatment():
    """``a - 2b``: its one-sided limit, and the conditional test of two opposed moments."""
    sigma = 0.01 * np.eye(3)
    low, high = cf.honest([1.0, 0.1, 0.0], sigma, "smoothness", num_pre=2, num_post=1, M=0).bounds()
    sd = np.sqrt(0.05)
    assert high == pytest.approx(0.8 + norm.isf(0.05) * sd, rel=1e-12)
    assert norm.sf((0.8 - low) / sd) == pytest.approx(0.05 * ndtr(low / sd), rel=1e-4)


def test_no_interval_where_coefficients_contradict_the_restriction():
    """A linear trend that falls from 5 to 0 goes on below zero, and is not positive."""
    found = cf.honest([5, 1.0], 0.01 * np.eye(2), "smoothness", num_pre=1, num_post=1, M=[0, 9], direction="positive")
    assert np.isnan(found.lower[0])
    assert np.isfinite(found.lower[1])
    assert "at M = 0 no value of the effect agrees" in str(found)
