"""Uplift and Qini curves of experiments beside scikit-uplift 0.5 and causalml 0.18, where they mean the same: 1e-10."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from causalformula.diagnostics.uplift import outcome_curve, uplift_at

N = 3000
pytestmark = pytest.mark.filterwarnings("ignore:Function stable_cumsum is deprecated:FutureWarning")


def experiment(seed, ties):
    """Outcome, treatment and priority."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    t = (rng.random(N) < 0.4).astype(int)
    y = (rng.random(N) < 0.3 + t * (0.1 * x).clip(-0.3, 0.3)).astype(int)
    priority = x + rng.normal(size=N)
    return y, t, np.round(priority, 1) if ties else priority


@pytest.fixture(scope="module")
def sklift():
    return pytest.importorskip("sklift.metrics", reason="scikit-uplift is not installed: the extra `uplift`")


@pytest.fixture(scope="module")
def causalml():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("causalml.metrics", reason="causalml is not installed: the extra `uplift`")


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", ["uplift", "qini"])
def test_curves_and_scores_of_scikit_uplift(sklift, kind, seed, ties):
    y, t, priority = experiment(seed, ties)
    heads, values = getattr(sklift, f"{kind}_curve")(y, priority, t)
    ours = outcome_curve(y, t, priority, kind, share=heads[1:] / N, reps=0)
    np.testing.assert_allclose(N * ours.value, values[1:], rtol=1e-10, atol=1e-10)
    heads, values = getattr(sklift, f"perfect_{kind}_curve")(y, t)
    np.testing.assert_allclose(N * ours.perfect, [heads, values], rtol=1e-10, atol=1e-10)
    score = getattr(sklift, f"{kind}_auc_score")(y, priority, t)
    np.testing.assert_allclose(ours.coefficient, score, rtol=1e-10)


@pytest.mark.parametrize("more", [0, 1])
def test_the_perfect_order_with_more_of_either_cell(sklift, more):
    y, t, priority = experiment(3, False)
    y = np.where(t == 1 - more, 0, y) if more else np.where(t == 1, 1, y)
    y[:20] = 1 - y[:20]
    ours = outcome_curve(y, t, priority, "uplift", reps=0)
    np.testing.assert_allclose(N * ours.perfect, sklift.perfect_uplift_curve(y, t), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(ours.coefficient, sklift.uplift_auc_score(y, priority, t), rtol=1e-10)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
def test_uplift_at_k_of_scikit_uplift(sklift, share):
    y, t, priority = experiment(1, False)
    theirs = sklift.uplift_at_k(y, priority, t, strategy="overall", k=int(share * N))
    np.testing.assert_allclose(uplift_at(y, t, priority, share).estimate, theirs, rtol=1e-10)


@pytest.mark.parametrize(("kind", "verb"), [("uplift", "get_cumgain"), ("qini", "get_qini")])
def test_curves_of_causalml(causalml, kind, verb):
    y, t, priority = experiment(1, False)
    frame = pd.DataFrame({"y": y, "w": t, "model": priority})
    theirs = getattr(causalml, verb)(frame).loc[1:, "model"].to_numpy()
    ours = N * outcome_curve(y, t, priority, kind, share=np.arange(1, N + 1) / N, reps=0).value
    ordered = t[np.argsort(-priority)]
    both = max(np.flatnonzero(ordered == arm)[0] for arm in (0, 1))  # from where both arms are there
    np.testing.assert_allclose(ours[both:], theirs[both:], rtol=1e-10, atol=1e-10)


def test_scores_of_causalml(causalml):
    y, t, priority = experiment(1, False)
    order = np.argsort(-priority)
    # both arms at once, and neither responds: where causalml draws a straight line, ours is the same
    t[order[:2]], y[order[:2]] = [0, 1], 0
    frame = pd.DataFrame({"y": y, "w": t, "model": priority})
    qini, uplift = (outcome_curve(y, t, priority, kind, reps=0) for kind in ("qini", "uplift"))
    np.testing.assert_allclose(
        causalml.qini_score(frame, normalize=False)["model"], N**2 / (N + 1) * qini.area, rtol=1e-10
    )
    # the sum of a curve is that of its trapezoids and half its end
    whole = uplift.area + uplift.random[-1] / 2
    np.testing.assert_allclose(
        causalml.auuc_score(frame, normalize=False)["model"],
        N**2 / (N + 1) * (whole + uplift.random[-1] / (2 * N)),
        rtol=1e-10,
    )
