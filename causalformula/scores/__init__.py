"""Scorers for scikit-learn's searches and cross-validation: ``scoring=cf.scores.r_loss``; greater is better.

Those of effects are called with a fitted ``cf.EffectEstimator``, or a pipeline or search that ends in one, and rows
that it was not fitted to. True effects are not needed, but for ``pehe``: nuisances of the held-out rows, cross-fitted
among these by the same learners for every candidate, stand in for them.

Those of a model of the treatment, ``balance``, ``calibration``, ``overlap`` and ``loss``, are made with their options,
``scoring=cf.scores.balance(estimand="ATT")``, and called with a fitted classifier, covariates and the treatment:
``GridSearchCV(..., scoring=cf.scores.balance())`` chooses the propensity model that balances best, also as the
``treatment_model=`` of ``cf.fit``.
"""

from causalformula.scores.effects import autoc, dr_loss, effect_calibration, qini, r_loss, scorer, uplift
from causalformula.scores.treatment import balance, calibration, loss, overlap
from causalformula.scores.truth import pehe

__all__ = [
    "autoc", "balance", "calibration", "dr_loss", "effect_calibration", "loss", "overlap", "pehe", "qini", "r_loss",
    "scorer", "uplift",
]  # fmt: skip
