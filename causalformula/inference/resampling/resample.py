"""The bootstrap over any estimator: frequency weights in, replicates out."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.errors import CapabilityError, ConvergenceError, DataError, OptionError, warn
from causalformula.inference.checks import check_seed
from causalformula.inference.refit import in_chunks, spread
from causalformula.inference.resampling.requests import Bootstrap
from causalformula.numerics.arrays import Array, Codes

MOST_FAILED = 0.05


@dataclass(frozen=True, eq=False)
class Replicates:
    """Draws (R, q) without the failed ones, the seed and what to tell the reader."""

    draws: Array
    seed: int
    scheme: str
    notes: tuple[str, ...]


class FailedReplicates(ConvergenceError):
    """Too many replicates failed; ``weights`` (n,) are the frequencies of the first, from which to find out why."""

    def __init__(self, message: str, weights: Array):
        self.message, self.weights = message, weights
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.message, self.weights))


def bootstrap(
    refit: Callable[[Array], Array], request: Bootstrap, groups: Mapping[str, Codes], n: int | None
) -> Replicates:
    """Replicate an estimator on resampled frequency weights.

    Parameters
    ----------
    refit : callable
        Weights (R, n) to estimates (R, q), NaN rows where a replicate failed.
    groups : mapping
        Codes of ``request.cluster`` and ``request.strata``.
    n : int
        Rows.

    Raises
    ------
    ConvergenceError
        If more than 5% of the replicates fail.
    """
    if n is None:
        raise CapabilityError("the number of rows to resample is not known for this estimator")
    clusters = _consecutive(groups[request.cluster]) if request.cluster else None
    strata = _consecutive(groups[request.strata]) if request.strata else None
    plan = Plan(n, clusters, strata, request.weights)
    if plan.units < 2:
        unit = f"cluster of {request.cluster}" if request.cluster else "row"
        raise DataError(f"there is one {unit}, so every bootstrap sample is the same; at least two are needed")
    _refuse_single(plan, request)
    seed = fresh_seed(request.seed)
    children = np.random.SeedSequence(seed).spawn(int(request.reps))
    chunks = in_chunks(children, n)
    draws = np.vstack(spread(partial(_chunk, refit, plan), chunks, request.n_jobs, "bootstrap"))
    good = np.isfinite(draws).all(axis=1)
    failed = int((~good).sum())
    if failed > MOST_FAILED * len(draws):
        first = children[int(np.flatnonzero(~good)[0])]
        within = "" if request.strata else "resample within strata (of the treatment, say), "
        raise FailedReplicates(
            f"{failed} of {len(draws)} bootstrap replicates failed (more than 5%): the estimator is not stable on "
            f"resamples of these data. Simplify the model, merge rare levels, {within}or use another vcov",
            plan.weights(first),
        )
    notes = (f"{failed} of {len(draws)} bootstrap replicates failed and were left out",) if failed else ()
    return Replicates(draws[good], seed, plan.scheme(request), (*notes, *_told_of_two(plan, request)))


def _told_of_two(plan: Plan, request: Bootstrap) -> tuple[str, ...]:
    """A note on strata of two units: what is drawn from m varies by ``(m - 1) / m`` of their variance."""
    two = sum(pool is not None and len(pool) == 2 for pool in plan.pools)
    if not two or plan.kind != "frequency":
        return ()
    units = f"clusters of {request.cluster}" if request.cluster else "rows"
    which = "1 stratum" if two == 1 else f"{two} strata"
    verb = "has" if two == 1 else "have"
    within = "it" if two == 1 else "them"
    note = f"Note: {which} of {request.strata} {verb} two {units}, and draws within {within} show half the variance"
    return (note,)


def _refuse_single(plan: Plan, request: Bootstrap) -> None:
    """A stratum of one unit is drawn whole every time: it would seem to have no sampling variance."""
    single = sum(pool is not None and len(pool) == 1 for pool in plan.pools)
    if single:
        unit = f"cluster of {request.cluster}" if request.cluster else "row"
        strata = f"{len(plan.pools)} strata" if len(plan.pools) > 1 else "stratum"
        raise OptionError(
            f"{single} of the {strata} of {request.strata} {'holds' if single == 1 else 'hold'} a single {unit}, so "
            f"that every replicate is the same there; resample whole strata with cluster={request.strata!r} and no "
            "strata=, or merge strata"
        )


def _consecutive(codes: Codes) -> Codes:
    """Codes 0..G-1 in the same order: a group without rows is not a unit to draw."""
    return np.unique(codes, return_inverse=True)[1]


def fresh_seed(seed: int | None) -> int:
    """The seed that was given, or a new one, which the print reports."""
    check_seed(seed)
    return int(np.random.SeedSequence().entropy) % 2**32 if seed is None else int(seed)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Plan:
    """How rows are resampled: units are rows or clusters, within strata where given.

    Parameters
    ----------
    n : int
    clusters, strata : ndarray (n,) of int, optional
    kind : {"frequency", "exponential"}
        Draw with replacement, or weight each unit by a standard exponential scaled to mean one (Rubin 1981).
    """

    n: int
    clusters: Codes | None = None
    strata: Codes | None = None
    kind: str = "frequency"

    def weights(self, child: np.random.SeedSequence, out: Array | None = None) -> Array:
        """Weights (n,) of one replicate, written into ``out`` where it is given."""
        rng = np.random.default_rng(child)
        out = np.empty(self.n) if out is None else out
        if self.clusters is None and self.strata is None:
            out[:] = self._drawn(rng, self.n)
            return out
        units = self.units
        weights = np.zeros(units)
        for pool in self.pools:
            weights[slice(None) if pool is None else pool] = self._drawn(rng, units if pool is None else len(pool))
        out[:] = weights if self.clusters is None else weights[self.clusters]
        return out

    def _drawn(self, rng: np.random.Generator, size: int) -> NDArray[Any]:
        if self.kind == "exponential":
            drawn = rng.standard_exponential(size)
            return np.asarray(drawn * (size / drawn.sum()))
        # Uniforms scaled and cut are as uniform as integers, to 2^-53, and half as dear.
        places = rng.random(size)
        places *= size
        return np.bincount(places.astype(np.intp), minlength=size)

    @property
    def units(self) -> int:
        """Number of units: rows, or clusters."""
        return self.n if self.clusters is None else int(self.clusters.max()) + 1

    @cached_property
    def pools(self) -> list[Codes | None]:
        """The units of each stratum; one None for all of them."""
        if self.strata is None:
            return [None]
        units = self.units
        stratum = self.strata
        if self.clusters is not None:
            stratum = np.zeros(units, dtype=np.intp)
            stratum[self.clusters] = self.strata
            if not np.array_equal(stratum[self.clusters], self.strata):
                raise OptionError("strata must be constant within the bootstrap's clusters")
        return [np.flatnonzero(stratum == s) for s in range(int(stratum.max()) + 1)]

    def scheme(self, request: Bootstrap) -> str:
        """In words, for the print."""
        text = f"clusters of {request.cluster}" if request.cluster else "pairs"
        text = f"exponential weights, {text}" if self.kind == "exponential" else text
        return text + (f" within strata of {request.strata}" if request.strata else "")


def _chunk(refit: Callable[[Array], Array], plan: Plan, children: Sequence[np.random.SeedSequence]) -> Array:
    """A chunk of replicates."""
    weights = np.empty((len(children), plan.n))
    for child, row in zip(children, weights, strict=True):
        plan.weights(child, row)
    return np.atleast_2d(refit(weights))


def interval(draws: Array, theta: Array, level: float, kind: str) -> Array:
    """Bootstrap limits (q, 2), as ``boot::boot.ci``.

    ``normal`` is bias-corrected (``theta - bias ± z sd``); ``basic`` is ``2 theta`` minus the percentile limits,
    crossed; quantiles interpolate order statistics on the normal scale (Davison and Hinkley 1997, eq. 5.8).
    """
    from scipy.special import ndtri

    alpha = (1 - level) / 2
    if kind == "normal":
        centre = 2 * theta - draws.mean(axis=0)
        half = -ndtri(alpha) * draws.std(axis=0, ddof=1)
        return np.column_stack([centre - half, centre + half])
    low, high = order_statistics(draws, np.array([alpha, 1 - alpha]))
    if kind == "basic":
        return np.column_stack([2 * theta - high, 2 * theta - low])
    return np.column_stack([low, high])


_TOLD: set[int] = set()


def _tell_once(draws: Array) -> None:
    """Warn of replicates that are too few for a level: once for each set of them, however often it is read."""
    key = id(draws)
    if key in _TOLD:
        return
    _TOLD.add(key)
    weakref.finalize(draws, _TOLD.discard, key)
    warn(
        f"{len(draws)} bootstrap replicates are too few for limits at this level: the most extreme one stands in for a "
        "limit; use more replicates"
    )


def order_statistics(draws: Array, probabilities: Array, owner: Array | None = None) -> Array:
    """Quantiles (len(probabilities), q) at rank ``(R + 1) p``, interpolated on the normal scale.

    ``owner`` is the array of replicates that ``draws`` are made of, where they are not that array.
    """
    from scipy.special import ndtri

    ordered = np.sort(draws, axis=0)
    count = len(ordered)
    rank = (count + 1) * np.asarray(probabilities, dtype=float)
    # floor of a product such as 1000 * 0.975 must not fall below the whole number it stands for
    whole = np.floor(rank + 1e-10)
    if ((whole < 1) | (whole >= count)).any():
        _tell_once(draws if owner is None else owner)
    out = []
    for r, k in zip(rank, whole, strict=True):
        k = int(k)
        if k < 1 or k >= count:
            out.append(ordered[0] if k < 1 else ordered[-1])
            continue
        if abs(r - k) < 1e-10:
            out.append(ordered[k - 1])
            continue
        at = ndtri([r / (count + 1), k / (count + 1), (k + 1) / (count + 1)])
        share = (at[0] - at[1]) / (at[2] - at[1])
        out.append(ordered[k - 1] + share * (ordered[k] - ordered[k - 1]))
    return np.array(out)
