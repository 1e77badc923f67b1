"""Refuters that refit many times: to a permuted treatment or outcome, a further covariate, some rows, a resample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalformula.backends.fit import Held, Query
from causalformula.backends.options import Options
from causalformula.backends.registry import record_of, run
from causalformula.backends.varied import Varied
from causalformula.errors import CapabilityError, ConvergenceError
from causalformula.formula.language.grammar import variables
from causalformula.frame.leave_out import covariate_names
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.evidence import Influence
from causalformula.inference.refit import attempt, in_chunks, refit_each, spread
from causalformula.inference.requests import Cluster
from causalformula.inference.resampling.permutation import Assignments
from causalformula.inference.resampling.requests import Bootstrap, Wild
from causalformula.inference.resampling.resample import MOST_FAILED, Plan
from causalformula.numerics.arrays import Array, Codes
from causalformula.results.effects.core import ResultCore
from causalformula.results.effects.permutation import assignments_of
from causalformula.results.refutation.refuted import Refuted, no_answer, of_draws

Draw = Callable[[np.random.Generator], NDArray[Any]]
# Refits that one process takes at a time where each is a fit of its own.
APART = 10


@dataclass(frozen=True, eq=False)
class Again:
    """How a result is fitted again, with folds of its own each time.

    Parameters
    ----------
    frame : ModelFrame
    options : Options
    query : Query
    size : int
        Number of effects.
    folded : bool
        Whether folds are drawn, which are drawn anew.
    """

    frame: ModelFrame
    options: Options
    query: Query
    size: int
    folded: bool

    @classmethod
    def of(cls, result: ResultCore) -> Again:
        """How this result is fitted again."""
        assert result.query is not None
        folds = result.fit.folds
        folded = folds is not None and not folds.given and "seed" in {f.name for f in fields(result.call.options)}
        return cls(result.call.frame, result.call.options, result.query, len(result.answer.labels), folded)

    def fit(self, varied: Varied, seeds: Sequence[int], r: int) -> Array:
        """The effects (q,) of one refit: everything is estimated anew from the frame."""
        options = replace(self.options, **{"seed": seeds[r]}) if self.folded else self.options
        return run(varied.frame(self.frame, r), options).ask(self.query).estimate.theta

    def fits(self, varied: Varied, seeds: Sequence[int]) -> Array:
        """The effects (R, q) of many, at once where the method can."""
        found = self._at_once(varied)
        if found is not None:
            return found
        return refit_each(partial(self.fit, varied, seeds), range(len(varied.values)), size=self.size)

    def _at_once(self, varied: Varied) -> Array | None:
        record = record_of(self.options)
        if varied.kind == "rows":
            W = varied.values.astype(float)
            return None if record.batch is None else record.batch(self.frame, self.options, self.query, W)
        return None if record.vary is None else record.vary(self.frame, self.options, self.query, varied)

    def pieces(self, kind: str, work: Sequence[Any]) -> list[Sequence[Any]]:
        """The work in pieces that depend on it alone, so that the same numbers come out of any number of processes."""
        record = record_of(self.options)
        if (record.batch if kind == "rows" else record.vary) is not None:
            return in_chunks(work, self.frame.n)
        return [work[i : i + APART] for i in range(0, len(work), APART)]


def refit_draws(
    result: ResultCore,
    test: str,
    varied: Varied,
    draw: Draw,
    reps: int,
    seed: np.random.SeedSequence,
    n_jobs: int | None,
) -> Refuted:
    """Refits to ``reps`` draws of what varies, and the verdict on them.

    Parameters
    ----------
    varied : Varied
        What varies, still without values.
    draw : callable
        Its values (n,) from a generator.
    """
    again, children = Again.of(result), seed.spawn(reps)
    pieces = again.pieces(varied.kind, children)
    found = np.vstack(spread(partial(_piece, again, varied, draw), pieces, n_jobs, test))
    good = np.isfinite(found).all(axis=1)
    failed = int((~good).sum())
    if failed > MOST_FAILED * reps:
        drawn, seeds = _drawn(varied, draw, [children[int(np.flatnonzero(~good)[0])]])
        why = attempt(partial(again.fit, drawn, seeds), 0)
        because = f"; the first because: {why}" if isinstance(why, str) else ""
        return no_answer(result, test, f"{failed} of {reps} refits failed (more than 5%){because}")
    notes = (f"{failed} of {reps} refits failed and were left out",) if failed else ()
    return of_draws(result, test, found[good], smooth(result), notes)


def _piece(again: Again, varied: Varied, draw: Draw, children: Sequence[np.random.SeedSequence]) -> Array:
    return again.fits(*_drawn(varied, draw, children))


def _drawn(varied: Varied, draw: Draw, children: Sequence[np.random.SeedSequence]) -> tuple[Varied, list[int]]:
    """The values of some refits, and a seed for the folds of each."""
    generators = [np.random.default_rng(child) for child in children]
    values = np.stack([draw(rng) for rng in generators])
    return replace(varied, values=values), [int(rng.integers(2**31)) for rng in generators]


def smooth(result: ResultCore) -> bool:
    """Whether a small change of the data changes the estimate a little: it draws nothing, and makes no matches."""
    return isinstance(result.fit.estimate.evidence, Influence) and result.fit.folds is None and not jumps(result)


def jumps(result: ResultCore) -> bool:
    """Whether a small change of the data can change the estimate by a step: it makes matches or strata, or learns."""
    fit = result.fit
    held = isinstance(fit.designed, Held) or fit.design.subclass is not None or fit.design.pairs is not None
    return fit.learned or held


# ---- the refuters ---------------------------------------------------------------------------------------------------

EMPTY: NDArray[Any] = np.empty((0, 0))


def placebo(result: ResultCore, reps: int, seed: np.random.SeedSequence, n_jobs: int | None) -> Refuted:
    """The treatment permuted, within strata and over the clusters that have it as a whole."""
    assignments, text = assignments_of(result.call.frame)
    draw = partial(_assigned, assignments)
    found = refit_draws(result, "placebo", Varied("treatment", EMPTY), draw, reps, seed, n_jobs)
    return replace(found, notes=(text, *_unadjusted(result), *found.notes))


def _unadjusted(result: ResultCore) -> tuple[str, ...]:
    """A note that the strata within which the treatment is permuted are not adjusted for."""
    frame, record = result.call.frame, result.call.record
    if frame.strata is None or frame.treatment is None or "strata" in record.roles:
        return ()
    strata, treatment = frame.strata.name, frame.treatment.name
    used = {name for role in frame.spec.of("strata") for node in role.body for name in variables(node)}
    if used <= {*covariate_names(frame), *(name for effect in frame.effects for name in effect.held)}:
        return ()
    return (
        f"{strata} is not adjusted for: an effect here may be what strata with more of {treatment} than others make of "
        f"the outcome; adjust(factor({strata})) takes it out",
    )


def _assigned(assignments: Assignments, rng: np.random.Generator) -> Codes:
    return assignments.random(rng)


def random_common_cause(result: ResultCore, reps: int, seed: np.random.SeedSequence, n_jobs: int | None) -> Refuted:
    """Standard normal numbers as a further covariate."""
    frame, name = result.call.frame, "random_common_cause"
    while name in frame.values or name in frame.table:
        name += "_"
    varied = Varied("covariate", EMPTY, name)
    return refit_draws(result, "random_common_cause", varied, partial(_noise, frame.n), reps, seed, n_jobs)


def _noise(n: int, rng: np.random.Generator) -> Array:
    return rng.standard_normal(n)


def subset(result: ResultCore, share: float, reps: int, seed: np.random.SeedSequence, n_jobs: int | None) -> Refuted:
    """A share of the rows, or of whole clusters, of each stratum."""
    frame = result.call.frame
    request = _resampling(result, Bootstrap(reps=2))
    groups = result.call.codes(name for name in (request.cluster, request.strata) if name is not None)
    clusters, strata = (None if name is None else groups[name] for name in (request.cluster, request.strata))
    clusters = None if clusters is None else np.unique(clusters, return_inverse=True)[1]
    plan = Plan(frame.n, clusters, strata)
    found = refit_draws(result, "subset", Varied("rows", EMPTY), partial(_kept, plan, share), reps, seed, n_jobs)
    units = "rows" if request.cluster is None else f"clusters of {request.cluster}"
    within = "" if request.strata is None else f" within strata of {request.strata}"
    return replace(found, notes=(f"{100 * share:g}% of the {units} are kept{within}", *found.notes))


def _kept(plan: Plan, share: float, rng: np.random.Generator) -> NDArray[Any]:
    """Which rows (n,) are kept."""
    keep = np.zeros(plan.units, dtype=bool)
    for pool in plan.pools:
        units = np.arange(plan.units) if pool is None else pool
        keep[rng.choice(units, max(1, round(share * len(units))), replace=False)] = True
    return keep if plan.clusters is None else keep[plan.clusters]


def bootstrap(result: ResultCore, reps: int, seed: np.random.SeedSequence, n_jobs: int | None) -> Refuted:
    """Rows, or whole clusters, drawn with replacement: the replicates of ``vcov="bootstrap"``."""
    drawn = int(seed.generate_state(1)[0])
    request = _resampling(result, Bootstrap(reps=reps, seed=drawn, n_jobs=n_jobs))
    try:
        found = result.call.covariance(result.answer, request, result.query)
    except ConvergenceError as error:
        return no_answer(result, "bootstrap", str(error))
    assert found.draws is not None
    notes = (note.removeprefix("Note: ") for note in found.notes)
    return of_draws(result, "bootstrap", found.draws, smooth(result), (found.label, *notes))


def _resampling(result: ResultCore, request: Bootstrap) -> Bootstrap:
    """The request with the clusters and strata of the fit's own standard errors, or else of the formula."""
    own = result.covariance.request
    cluster = own.cluster if isinstance(own, (Bootstrap, Wild)) else None
    if isinstance(own, Cluster) and len(own.by) == 1 and own.by[0] in result.call.frame.table:
        cluster = own.by[0]  # not the sets of a design, which are made anew
    strata = own.strata if isinstance(own, Bootstrap) else None
    found = result.call.resolved(replace(request, cluster=cluster, strata=strata))
    assert isinstance(found, Bootstrap)
    return found


def dummy_outcome(
    result: ResultCore, kind: str, reps: int, seed: np.random.SeedSequence, n_jobs: int | None
) -> Refuted:
    """The outcome permuted, over strata too as these make none of it, or simulated."""
    frame = result.call.frame
    assert frame.outcome is not None
    if frame.outcome.trials is not None:
        raise CapabilityError(
            f"dummy_outcome gives rows other outcomes, and a row of {frame.outcome.name} stands for many units; write "
            "the units out, one row each"
        )
    varied, draw = Varied("outcome", EMPTY), partial(_shuffled, frame.n)
    text = f"{frame.outcome.name} permuted over rows"
    if kind == "simulated":
        varied, draw, text = _simulated(frame)
    found = refit_draws(result, "dummy_outcome", varied, draw, reps, seed, n_jobs)
    return replace(found, notes=(text, *found.notes))


def _simulated(frame: ModelFrame) -> tuple[Varied, Any, str]:
    """Normal numbers for an outcome of many values; otherwise draws of its own values."""
    assert frame.outcome is not None
    value, name = frame.outcome.value, frame.outcome.name
    whole = isinstance(value, np.ndarray) and bool((value == np.rint(value)).all())
    if isinstance(value, np.ndarray) and not whole and (value < 0).any():
        mean, sd = float(value.mean()), float(value.std())
        return Varied("simulated", EMPTY), partial(_normal, frame.n, mean, sd), f"{name}: normal numbers of its moments"
    return Varied("outcome", EMPTY), partial(_redrawn, frame.n), f"{name} drawn anew from its own values"


def _shuffled(n: int, rng: np.random.Generator) -> Codes:
    return rng.permutation(n)


def _normal(n: int, mean: float, sd: float, rng: np.random.Generator) -> Array:
    return rng.normal(mean, sd, n)


def _redrawn(n: int, rng: np.random.Generator) -> Codes:
    return rng.integers(n, size=n)
