"""The words in tables of the methods that need a gloss."""

from __future__ import annotations

# The covariance whose name is WeightIt's own; the others are named as everywhere.
COVARIANCES = {
    "asympt": "M-estimation: the sandwich of all estimating equations, so that it knows that weights were estimated",
}
