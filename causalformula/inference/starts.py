"""Where the iterations of a generalised linear model start, and start again where R's own start diverges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from causalformula.errors import ConvergenceError
from causalformula.numerics.arrays import Array
from causalformula.numerics.families import Family
from causalformula.numerics.irls import GLMFit


def polished_fit(
    polished: Callable[[GLMFit], GLMFit],
    scoring: Callable[..., GLMFit],
    start: Array | None,
    mustart: Array | None,
    inner: Array | None,
) -> GLMFit:
    """A polished fit; from ``inner`` means where R's own start diverges, as that of a quasi family may."""
    fit, failure = None, None
    try:
        fit = polished(scoring(start=start, mustart=mustart))
        if fit.converged and not fit.separated:
            return fit
    except ConvergenceError as error:
        failure = error
    if inner is not None:
        try:
            again = polished(scoring(mustart=inner))
        except ConvergenceError:
            again = None
        if again is not None and again.converged and not again.separated:
            return again
    if fit is None:
        assert failure is not None
        raise failure
    return fit


def inner_means(family: Family, y: Array, weights: Array | None, unit: float | None = None) -> Array | None:
    """Means inside the family's range to start from, where they are not the family's own.

    R starts a binomial fit at ``(w y + 1/2) / (w + 1)``, the data themselves where weights are in the thousands, as
    those of surveys are: nothing leads back from there. The unit of the weights must not matter, so they are taken at
    mean one, where R's start is a good one. ``unit`` is their mean, where these rows are not all.
    """
    share = family.name in ("binomial", "quasibinomial") and weights is not None
    if not share and family.name != "quasi":
        return None
    w = np.ones(len(y)) if weights is None else weights / (unit or weights[weights > 0].mean())
    if share or family.variance_name == "mu(1-mu)":
        return np.asarray((w * y + 0.5) / (w + 1))
    return np.asarray(y + 0.1) if family.variance_name == "mu" else None
