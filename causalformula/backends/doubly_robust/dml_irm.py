"""The interactive regression model: average effects of treatment levels by augmented scores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from causalformula.backends.contrasts import Contrast, contrasts
from causalformula.backends.doubly_robust.dml_models import Found, words_of
from causalformula.backends.doubly_robust.dml_options import DML
from causalformula.backends.orthogonal.augmented import learned_means
from causalformula.backends.orthogonal.fitted import scored_design, target_share, thin
from causalformula.backends.orthogonal.nuisances import CrossFitted, cross_fitted
from causalformula.backends.orthogonal.repeated import RepeatedOutcomes
from causalformula.backends.orthogonal.scores import Moments, Score, Signal, mean_influence
from causalformula.backends.outcomes import PotentialMeans
from causalformula.backends.target import target_arm
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Array


def irm(frame: ModelFrame, options: DML) -> Found:
    """``Y = g(D, X) + e``: the augmented scores of Robins, Rotnitzky and Zhao, for the ATE, ATT or ATC."""
    found = cross_fitted(frame, options)
    parts: Sequence[CrossFitted] = found.each  # type: ignore[assignment]
    each = [
        PotentialMeans(frame, options, partial(learned_means, frame, options, p), frame.unit_weights) for p in parts
    ]
    compared = contrasts(frame.the_treatment, options.contrast, frame.sampled)
    plain = options.measure == "difference"
    design = scored_design(frame, options, found.scores, parts[0].P)
    assert found.folds is not None
    return Found(
        scores=[_score(frame, options, part, compared) for part in parts] if plain else [],
        learned=found.learned,
        folds=found.folds,
        names=words_of([learned.task for learned in found.learned.values()]),
        notes=(*found.notes, *thin(frame, design)),
        means=RepeatedOutcomes.of(each),
        design=design,
    )


def _score(frame: ModelFrame, options: DML, part: CrossFitted, compared: Sequence[Contrast]) -> Score:
    """``h (m_a - m_b) + 1[A = a] w_a (y - m_a) - 1[A = b] w_b (y - m_b) - h theta`` for each comparison."""
    y, codes = frame.outcome_for(options.outcome_family), frame.the_treatment.codes
    w, share, arm = frame.unit_weights, target_share(frame, options), target_arm(frame, options)
    weights = (1.0 if arm is None else part.P[:, [arm]]) / part.P
    size = float(w @ share / w.sum())
    high, low = ([int(getattr(c, side).key) for c in compared] for side in ("high", "low"))
    inside = (codes[:, None] == np.arange(part.P.shape[1])).astype(float)
    rest = inside * weights * (y[:, None] - part.m)
    b = share[:, None] * (part.m[:, high] - part.m[:, low]) + rest[:, high] - rest[:, low]
    a = np.repeat(-share[:, None], len(compared), axis=1)
    # the Riesz representer of the effect, and its own effect, which is the representer's mean square
    riesz = (inside * weights)[:, high] - (inside * weights)[:, low]
    own = share[:, None] * (weights[:, high] + weights[:, low])
    residual = (y - part.m[np.arange(frame.n), codes]) ** 2
    moments = _moments(np.repeat(residual[:, None], len(compared), axis=1), riesz / size, own / size**2, w)
    return Score(a, b, moments, Signal(b, np.ones_like(b)) if arm is None else None)


def _moments(residual: Array, riesz: Array, own: Array, w: Array) -> Moments:
    """Of squared residuals, representers and their effects (n, q)."""
    sigma2, psi_sigma2 = mean_influence(residual, w)
    nu2, psi_nu2 = mean_influence(2 * own - riesz**2, w)
    return Moments(sigma2, nu2, psi_sigma2, psi_nu2)
