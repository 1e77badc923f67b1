"""Many fits to reweighted rows side by side: what all of them ask of the rows next is one pass.

Each fit runs in a thread of its own, by the passes of any other fit, and waits where it asks for a pass; when all wait,
the rows are read once. So a thousand fits take about as many passes as the longest of them.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from causalformula.errors import CausalFormulaError, DataError
from causalformula.numerics.arrays import Array
from causalformula.scale.chunk_frames import AnyChunk
from causalformula.scale.passes import Passes
from causalformula.scale.plan import Plan
from causalformula.scale.sources.source import Chunk
from causalformula.scale.sums import added

# What a frame remembers that depends on the rows alone, and reweighted copies share.
SHARED = ("design", "at", "cell")
# The weights of a replicate, ``(frame, replicate) -> (n,)``; it pickles.
Weights = Callable[[AnyChunk, int], Array]


@dataclass(frozen=True, eq=False)
class Failed:
    """What a task raised somewhere."""

    error: CausalFormulaError

    def __add__(self, other: Any) -> Failed:
        return self

    def __radd__(self, other: Any) -> Failed:
        return self


@dataclass(frozen=True, eq=False)
class Partials:
    """What the tasks of several fits say, by the number of the fit."""

    found: dict[int, Any]

    def __add__(self, other: Partials) -> Partials:
        return Partials({k: self._both(each, other.found[k]) for k, each in self.found.items()})

    @staticmethod
    def _both(a: Any, b: Any) -> Any:
        return b if isinstance(b, Failed) else a + b


@dataclass(frozen=True, eq=False)
class _Together:
    """The tasks of several fits on a chunk, each on the frame with its weights."""

    plans: tuple[Plan, ...]
    jobs: tuple[tuple[int, int, Callable[[Any], Any]], ...]
    weights: Weights

    def __call__(self, chunk: Chunk) -> Partials | None:
        frames = [plan.frame(chunk) for plan in self.plans]
        if frames[0] is None:
            return None
        return Partials({k: self._one(frames[at], k, task) for k, at, task in self.jobs})

    def _one(self, frame: Any, k: int, task: Callable[[Any], Any]) -> Any:
        own = replace(frame.reweight(self.weights(frame, k)), _memo=dict(frame._memo))
        try:
            found = task(own)
        except CausalFormulaError as error:
            return Failed(error)
        frame._memo.update({key: v for key, v in own._memo.items() if key == "y" or key[0] in SHARED})
        return found


@dataclass(frozen=True, eq=False)
class LockstepPasses(Passes):
    """The passes of one of several fits."""

    number: int
    desk: Desk

    def total(self, task: Callable[[Any], Any], *, ids: bool = False) -> Any:
        """See ``Passes``."""
        return self.desk.ask(self.number, self.plan, task)


@dataclass(eq=False)
class Desk:
    """Where fits leave what they ask, and wait for the answer."""

    left: int
    asked: dict[int, tuple[Plan, Callable[[Any], Any]]] = field(default_factory=dict)
    answers: dict[int, Any] = field(default_factory=dict)
    turn: threading.Condition = field(default_factory=threading.Condition)

    def ask(self, number: int, plan: Plan, task: Callable[[Any], Any]) -> Any:
        """The answer to a task, after the next pass."""
        with self.turn:
            self.asked[number] = plan, task
            self.turn.notify_all()
            self.turn.wait_for(lambda: number in self.answers)
            found = self.answers.pop(number)
        if isinstance(found, Failed):
            raise found.error
        if isinstance(found, BaseException):
            raise found
        return found

    def done(self) -> None:
        """One fit fewer."""
        with self.turn:
            self.left -= 1
            self.turn.notify_all()

    def collected(self) -> dict[int, tuple[Plan, Callable[[Any], Any]]]:
        """What all fits that are left ask; nothing when all are done."""
        with self.turn:
            self.turn.wait_for(lambda: len(self.asked) == self.left)
            found, self.asked = self.asked, {}
        return found

    def answer(self, found: dict[int, Any]) -> None:
        """Give the answers."""
        with self.turn:
            self.answers.update(found)
            self.turn.notify_all()


def together(
    passes: Passes, weights: Weights, fits: Sequence[int], fit: Callable[[Passes], Array], *, ids: bool
) -> list[Array | CausalFormulaError]:
    """What ``fit`` gives under the weights of each replicate; the error where it raises one.

    Parameters
    ----------
    passes : Passes
    weights : callable
    fits : sequence of int
        Numbers of the replicates.
    fit : callable
        ``fit(passes)``.
    ids : bool
        Whether weights need the rows' numbers.
    """
    desk, found = Desk(len(fits)), dict.fromkeys(fits)

    def run(number: int) -> None:
        try:
            found[number] = fit(LockstepPasses(passes.source, passes.plan, number, desk))
        except Exception as error:
            found[number] = error
        finally:
            desk.done()

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in fits]
    with warnings.catch_warnings():
        # each replicate would say again what the fit has said
        warnings.simplefilter("ignore")
        for thread in threads:
            thread.start()
        while asked := desk.collected():
            desk.answer(_pass(passes, weights, asked, ids))
        for thread in threads:
            thread.join()
    for each in found.values():
        if isinstance(each, Exception) and not isinstance(each, CausalFormulaError):
            raise each
    return [found[number] for number in fits]  # type: ignore[misc]


def _pass(
    passes: Passes, weights: Weights, asked: dict[int, tuple[Plan, Callable[[Any], Any]]], ids: bool
) -> dict[int, Any]:
    """One pass for all."""
    plans: dict[tuple[str, ...], Plan] = {}
    for plan, _ in asked.values():
        plans.setdefault(plan.reading.beside, plan)
    place = {beside: k for k, beside in enumerate(plans)}
    jobs = tuple((number, place[plan.reading.beside], task) for number, (plan, task) in sorted(asked.items()))
    columns = tuple(dict.fromkeys(name for plan in plans.values() for name in plan.reading.columns))
    try:
        found: Partials | None = passes.source.run(
            _Together(tuple(plans.values()), jobs, weights), columns, added, ids=ids
        )
    except Exception as error:
        return dict.fromkeys(asked, error)
    if found is None:
        return dict.fromkeys(asked, DataError(f"{passes.words}: the rows are gone since the fit; fit again"))
    return found.found


def stacked(found: Sequence[Array | CausalFormulaError], size: int) -> Array:
    """Replicates (R, q), NaN where a fit failed."""
    return np.array([np.full(size, np.nan) if isinstance(each, CausalFormulaError) else each for each in found])
