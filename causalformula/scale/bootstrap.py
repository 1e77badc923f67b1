"""The Poisson bootstrap: every row is drawn a Poisson number of times, which its own number and the seed decide."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.fit import Query
from causalformula.backends.options import Options
from causalformula.errors import CapabilityError, CausalFormulaError, ConvergenceError
from causalformula.inference.covariance import Covariance
from causalformula.inference.resampling.requests import Bootstrap
from causalformula.inference.resampling.resample import MOST_FAILED, fresh_seed
from causalformula.inference.resampling.resampled import spread
from causalformula.numerics.arrays import Array
from causalformula.numerics.hashing import Keys, exponentials, frequencies
from causalformula.scale.estimators.did import with_units
from causalformula.scale.lockstep import stacked, together
from causalformula.scale.methods import METHODS
from causalformula.scale.passes import Passes
from causalformula.scale.plan import ChunkFrame
from causalformula.scale.whole import WholeFrame

# Fits side by side: each holds its sums.
MOST_TOGETHER = 200


@dataclass(frozen=True)
class Drawn:
    """How often the rows of a chunk are drawn, or the exponential weights that they have.

    Parameters
    ----------
    seed : int
    cluster : str, optional
        Clusters that are drawn whole.
    exponential : bool
    """

    seed: int
    cluster: str | None = None
    exponential: bool = False

    def __call__(self, frame: ChunkFrame, replicate: int) -> Array:
        """Weights (n,) in a replicate."""
        keys: Keys = frame.remembered(("keys", self), lambda: self.keys(frame))
        return (exponentials if self.exponential else frequencies)(keys, self.seed, replicate)

    def keys(self, frame: ChunkFrame) -> Keys:
        """A number for each row: its own, or its cluster's."""
        if self.cluster is not None:
            return key_of(frame.keys(self.cluster))
        assert frame.chunk.ids is not None
        return frame.chunk.ids[frame.rows].astype(np.uint64)


def key_of(values: Any) -> Keys:
    """Numbers that stand for values: the same in every chunk."""
    if values.dtype == object:
        from pandas.util import hash_array

        return np.asarray(hash_array(values.astype(str).astype(object), categorize=True), dtype=np.uint64)
    if values.dtype.kind in "iu":
        return np.asarray(values.astype(np.int64).view(np.uint64))
    return np.asarray((values.astype(np.float64) + 0.0).view(np.uint64))


def bootstrapped(
    frame: WholeFrame, options: Options, method: str, query: Query | None, request: Bootstrap, size: int
) -> Covariance:
    """Covariance of so many estimates by refits.

    Raises
    ------
    CapabilityError
        For what needs all rows in memory: refined intervals, strata; for a source that does not number its rows.
    ConvergenceError
        If more than 5% of the replicates fail.
    """
    _refuse(frame, query, request)
    passes = frame.passes if request.cluster is None else frame.passes.with_columns((request.cluster,))
    seed = fresh_seed(request.seed)
    drawn = Drawn(seed, request.cluster, request.weights == "exponential")
    asked = query or Query()

    def fit(own: Passes) -> Array:
        return np.asarray(METHODS[method](replicated(own), options).ask(asked).estimate.theta)

    draws, failure = [], None
    for first in range(0, request.reps, MOST_TOGETHER):
        numbers = range(first, min(first + MOST_TOGETHER, request.reps))
        found = together(passes, drawn, numbers, fit, ids=request.cluster is None)
        failure = failure or next((each for each in found if isinstance(each, CausalFormulaError)), None)
        draws.append(stacked(found, size))
    return _covariance(request, np.vstack(draws), seed, failure)


def replicated(passes: Passes) -> WholeFrame:
    """The frame of a replicate: all of its rows have weights, which are numbers of rows."""
    like = passes.plan.prototype
    again = replace(passes, plan=replace(passes.plan, prototype=like.reweight(np.ones(like.n))))  # type: ignore[union-attr]
    return with_units(WholeFrame.of(again))


def _refuse(frame: WholeFrame, query: Query | None, request: Bootstrap) -> None:
    sample = "fit to a sample of a million rows, in memory"
    if query is None:
        raise CapabilityError("the bootstrap refits the estimator, and this result cannot be refitted")
    if request.kind in ("bca", "studentized"):
        raise CapabilityError(f"kind={request.kind!r} needs all rows at once; use 'percentile', or {sample}")
    if request.strata is not None or frame.strata is not None:
        raise CapabilityError(
            f"where the data are, rows are drawn one by one and not within strata; use another vcov, or {sample}"
        )
    if request.cluster is None and not frame.passes.source.numbered:
        raise CapabilityError(
            f"{frame.passes.words}: the engine does not number its rows, so that no seed could draw the same ones "
            "again; name a column that does, as in vcov=cf.Bootstrap(cluster='id')"
        )


def _covariance(request: Bootstrap, draws: Array, seed: int, failure: CausalFormulaError | None) -> Covariance:
    good = np.isfinite(draws).all(axis=1)
    failed = int((~good).sum())
    if failed > MOST_FAILED * len(draws):
        why = f". The first failed because: {failure}" if failure is not None else ""
        raise ConvergenceError(
            f"{failed} of {len(draws)} bootstrap replicates failed (more than 5%): the estimator is not stable on "
            f"resamples of these data. Simplify the model, merge rare levels, or use another vcov{why}"
        )
    notes = (f"{failed} of {len(draws)} bootstrap replicates failed and were left out",) if failed else ()
    draws = draws[good]
    unit = "rows" if request.cluster is None else f"clusters of {request.cluster}"
    scheme = f"{'exponential weights, ' * (request.weights == 'exponential')}{unit}"
    label = f"Poisson bootstrap ({scheme}, {len(draws)} replicates, seed {seed})"
    if request.weights == "exponential":
        label = label.removeprefix("Poisson ")
    df = np.full(draws.shape[1], np.inf if request.df is None else request.df)
    return Covariance(request, spread(draws), df, label, draws, notes, None, seed)
