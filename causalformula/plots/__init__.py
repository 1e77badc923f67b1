"""Pictures, with matplotlib imported when one is drawn: every function takes ``ax=`` and returns it."""

from causalformula.plots.draw import coefficients, effects, outcome

__all__ = ["coefficients", "effects", "outcome"]
