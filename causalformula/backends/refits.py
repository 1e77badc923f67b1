"""The refits of a fit on frequency weights: what the bootstrap and the jackknife of any method are made of."""

from __future__ import annotations

import numpy as np

from causalformula.backends.fit import Designed, DesignWeights, Fit, Query
from causalformula.backends.options import Options
from causalformula.backends.registry import record_of, run
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.evidence import influence_error
from causalformula.inference.refit import attempt, refit_each
from causalformula.inference.requests import Request
from causalformula.inference.resampling.requests import Bootstrap
from causalformula.numerics.arrays import Array, Codes


def again(frame: ModelFrame, options: Options, held: Designed | None) -> Fit:
    """The fit to a reweighted frame: from the design on, where it is held fixed."""
    record = record_of(options)
    if held is None or record.estimate is None:
        return run(frame, options)
    return record.estimate(frame, held, options)


def replicates(
    weights: Array, *, frame: ModelFrame, options: Options, query: Query, held: Designed | None = None
) -> Array:
    """Refit on each row of frequency weights (R, n): estimates (R, q) on the working scale, NaN where a fit failed.

    Parameters
    ----------
    held : Designed, optional
        A design that is not made anew.
    """
    record = record_of(options)
    if record.batch is not None and held is None:
        found = record.batch(frame, options, query, weights)
        if found is not None:
            return found
    return refit_each(lambda w: again(frame.reweight(w), options, held).ask(query).estimate.theta, weights)


def failure(weights: Array, *, frame: ModelFrame, options: Options, query: Query, held: Designed | None = None) -> str:
    """Why the refit on one row of frequency weights (n,) fails; empty where it does not."""
    found = attempt(lambda w: again(frame.reweight(w), options, held).ask(query), weights)
    return found if isinstance(found, str) else ""


def studentized(
    weights: Array,
    *,
    frame: ModelFrame,
    options: Options,
    query: Query,
    clusters: Codes | None,
    held: Designed | None = None,
) -> Array:
    """Refit on each row of frequency weights: estimates and their standard errors side by side, (R, 2q).

    Each replicate's standard error is that of its own exact influence, a row (or cluster) drawn c times counting as c.
    """

    def one(w: Array) -> Array:
        found = again(frame.reweight(w), options, held).ask(query).estimate
        error = influence_error(found.evidence, w, clusters)
        return np.concatenate([found.theta, np.where(error > 0, error, np.nan)])

    return refit_each(one, weights)


def resampled_words(label: str, request: Request, made: DesignWeights | None) -> str:
    """A bootstrap's label: rows, where R's word for them, pairs (of outcome and covariates), could mean matches."""
    matched = made is not None and (made.subclass is not None or made.pairs is not None)
    if not matched or not isinstance(request, Bootstrap) or request.cluster is not None:
        return label
    return label.replace("pairs", "rows", 1)
