"""Pictures, with matplotlib imported when one is drawn: every function takes ``ax=`` and returns it.

They draw frames and arrays. What a fit or a design looks like is asked of itself, by its ``plot()``.
"""

from causalformula.plots.calibration import calibration, roc
from causalformula.plots.distributions import density, ecdf, qq
from causalformula.plots.draw import effects, outcome
from causalformula.plots.forest import coefficients
from causalformula.plots.jitter import jitter
from causalformula.plots.love import love
from causalformula.plots.overlap import support
from causalformula.plots.weights import weights

__all__ = [
    "calibration", "coefficients", "density", "ecdf", "effects", "jitter", "love", "outcome", "qq", "roc", "support",
    "weights",
]  # fmt: skip
