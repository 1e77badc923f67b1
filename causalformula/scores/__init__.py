"""Scorers for scikit-learn's searches and cross-validation: ``scoring=cf.scores.r_loss``; greater is better.

Each is called with a fitted ``cf.EffectEstimator``, or a pipeline or search that ends in one, and rows that it was not
fitted to. True effects are not needed, but for ``pehe``: nuisances of the held-out rows, cross-fitted among these by
the same learners for every candidate, stand in for them.
"""

from causalformula.scores.effects import autoc, dr_loss, effect_calibration, qini, r_loss, scorer, uplift
from causalformula.scores.truth import pehe

__all__ = ["autoc", "dr_loss", "effect_calibration", "pehe", "qini", "r_loss", "scorer", "uplift"]
