"""The Poisson bootstrap: every row is drawn a Poisson number of times, which its own number and the seed decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from causalformula.backends.fit import Query
from causalformula.backends.options import Options
from causalformula.errors import CapabilityError, CausalFormulaError, ConvergenceError, DataError
from causalformula.inference.covariance import Covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.regression import FittedRegression
from causalformula.inference.resampling.requests import Bootstrap
from causalformula.inference.resampling.resample import MOST_FAILED, fresh_seed, refuse_one
from causalformula.inference.resampling.resampled import spread
from causalformula.inference.safer import safer
from causalformula.inference.sandwich.few import told_of_few_draws
from causalformula.numerics.arrays import Array
from causalformula.numerics.hashing import Keys, exponentials, frequencies
from causalformula.numerics.newton import SEPARATED
from causalformula.scale.chunk_frames import AnyChunk
from causalformula.scale.estimators.did import with_units
from causalformula.scale.estimators.regression import plainly
from causalformula.scale.lockstep import stacked, together
from causalformula.scale.methods import METHODS
from causalformula.scale.passes import Passes
from causalformula.scale.whole import WholeFrame, WholeRegression, count_groups, whole_regression

# Fits side by side: each holds its sums.
MOST_TOGETHER = 200
# Of more units than these some are drawn in every replicate: none with probability exp(-units).
SOME_DRAWN = 100
SAMPLE = "fit to a sample of a million rows, in memory"


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

    def __call__(self, frame: AnyChunk, replicate: int) -> Array:
        """Weights (n,) in a replicate."""
        keys: Keys = frame.remembered(("keys", self), lambda: self.keys(frame))
        return (exponentials if self.exponential else frequencies)(keys, self.seed, replicate)

    def keys(self, frame: AnyChunk) -> Keys:
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
    frame: WholeFrame, options: Options, method: str, query: Query | None, request: Bootstrap, estimate: Estimate
) -> Covariance:
    """Covariance of an estimate by refits.

    Raises
    ------
    CapabilityError
        For what needs all rows in memory: refined intervals, strata; for a source that does not number its rows.
    ConvergenceError
        If more than 5% of the replicates fail.
    """
    if query is None:
        raise CapabilityError("the bootstrap refits the estimator, and this result cannot be refitted")
    if frame.strata is not None:
        raise _within_strata()

    def fit(own: Passes) -> Array:
        return np.asarray(METHODS[method](replicated(own), options).ask(query).estimate.theta)

    return _redrawn(frame.passes, request, fit, estimate)


def regressed(frame: WholeRegression, model: FittedRegression, request: Bootstrap) -> Covariance:
    """Covariance of the estimable coefficients of a plain regression by refits, to a zero score.

    Raises
    ------
    CapabilityError, ConvergenceError
        As ``bootstrapped`` does.
    """
    family = None if model.linear else model.family

    def fit(own: Passes) -> Array:
        found = plainly(whole_regression(reweighted(own)), family, to_zero=True)[0].record
        lost = found.rank < model.rank or not found.converged or SEPARATED in found.notes
        return np.full(model.rank, np.nan) if lost else found.coef[model.kept]

    return _redrawn(frame.passes, request, fit, model.estimate())


def _redrawn(passes: Passes, request: Bootstrap, fit: Callable[[Passes], Array], estimate: Estimate) -> Covariance:
    _refuse(passes, request)
    passes = passes if request.cluster is None else passes.with_columns((request.cluster,))
    counts = {} if request.cluster is None else {request.cluster: count_groups(passes, request.cluster)}
    units = passes.plan.survey.kept if request.cluster is None else counts[request.cluster]
    refuse_one(units, request)
    few = told_of_few_draws(counts, safer(counts, estimate) if counts else "")
    seed = fresh_seed(request.seed)
    drawn = Drawn(seed, request.cluster, request.weights == "exponential")

    def some(own: Passes) -> Array:
        if not own.total(_Weight()):
            raise DataError("the replicate draws nothing")
        return fit(own)

    draws, failure = [], None
    for first in range(0, request.reps, MOST_TOGETHER):
        numbers = range(first, min(first + MOST_TOGETHER, request.reps))
        found = together(passes, drawn, numbers, fit if units > SOME_DRAWN else some, ids=request.cluster is None)
        failure = failure or next((each for each in found if isinstance(each, CausalFormulaError)), None)
        draws.append(stacked(found, len(estimate)))
    covariance = _covariance(request, np.vstack(draws), seed, failure)
    return replace(covariance, notes=(*covariance.notes, *few))


@dataclass(frozen=True)
class _Weight:
    """How often the rows of a chunk are drawn."""

    def __call__(self, frame: AnyChunk) -> float:
        return 0.0 if frame.weights is None else float(frame.weights.sum())


def replicated(passes: Passes) -> WholeFrame:
    """The frame of a replicate: all of its rows have weights, which are numbers of rows."""
    return with_units(WholeFrame.of(reweighted(passes)))


def reweighted(passes: Passes) -> Passes:
    """Passes of a replicate, all of whose rows have weights."""
    like = passes.plan.prototype
    return replace(passes, plan=replace(passes.plan, prototype=like.reweight(np.ones(like.n))))


def _within_strata() -> CapabilityError:
    return CapabilityError(
        f"where the data are, rows are drawn one by one and not within strata; use another vcov, or {SAMPLE}"
    )


def _refuse(passes: Passes, request: Bootstrap) -> None:
    if request.kind in ("bca", "studentized"):
        raise CapabilityError(f"kind={request.kind!r} needs all rows at once; use 'percentile', or {SAMPLE}")
    if request.strata is not None:
        raise _within_strata()
    if request.cluster is None and not passes.source.numbered:
        raise CapabilityError(
            f"{passes.words}: the engine does not number its rows, so that no seed could draw the same ones "
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
