"""R's scoring and Newton's steps on a generalised linear model, each step a pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from causalformula.errors import ConvergenceError, DataError
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.irls import ROUNDING, nothing
from causalformula.numerics.least_squares import Solution, of_factor
from causalformula.numerics.linalg import RCOND_NORMAL, scaled_inverse
from causalformula.numerics.newton import RISE, SETTLED
from causalformula.numerics.newton import ROUNDING as STILL
from causalformula.scale.blocks.regression import Factor, Likelihood, Step
from causalformula.scale.sums import Sums


class Runs(Protocol):
    """What makes passes over the rows of a plan."""

    @property
    def words(self) -> str:
        """Where the rows are."""
        ...

    def total(self, task: Callable[[Any], Any]) -> Any:
        """What a task says of the frames of all chunks, added up."""
        ...


@dataclass(frozen=True, eq=False)
class Reached:
    """A point of the iterations: coefficients (p,), the start of the step there, and the sums of a pass at it."""

    beta: Array | None
    sums: Sums

    @property
    def deviance(self) -> float:
        """Of the point."""
        return float(self.sums["deviance"])

    @property
    def valid(self) -> bool:
        """Whether it is inside the parameter space."""
        return not self.sums["invalid"]


@dataclass(eq=False)
class Iterations:
    """R's scoring and Newton's steps, each a pass."""

    runs: Runs
    likelihood: Likelihood
    p: int
    tol: Any
    warnings: list[str]
    # as in ``numerics.irls``, what the family's own start leaves out stays out
    known: Solution | None = None

    def at(self, beta: Array | None, before: Array | None = None) -> Reached:
        """The sums at a point."""
        sums: Sums = self.runs.total(Step(self.likelihood, beta, before))
        self.warnings += sorted(sums.seen - set(self.warnings))
        return Reached(beta, sums)

    def scoring(self, start: Array | None, epsilon: float, maxit: int) -> tuple[Reached, Solution, Array | None, Any]:
        """R's iterations: their end, the last solution, where its weights are, and (iterations, converged, edge)."""
        self.tol = np.maximum(max(min(1e-7, epsilon / 1000), ROUNDING), self.likelihood.columns.tol)
        point = self.at(start)
        origin = None if start is None else point
        if not point.valid:
            raise ConvergenceError("cannot find valid starting values: pass start=")
        found: Solution | None = None
        boundary = False
        for iteration in range(1, maxit + 1):
            if not point.sums["informative"]:
                self.warnings.append(f"glm.fit: no observations informative at iteration {iteration}")
                return point, found or nothing(self.p), point.beta, (iteration, False, boundary)
            found = self._step(point, found)
            if iteration == 1 and start is None and found.rank < self.p:
                self.known = found
            moved = self.at(found.full_coef(self.p, 0.0)[:, 0])
            moved, boundary = self._shortened(moved, origin, maxit)
            settled = abs(moved.deviance - point.deviance) / (abs(moved.deviance) + 0.1) < epsilon
            weighed, point = point.beta, moved
            origin = moved
            if settled:
                return point, found, weighed, (iteration, True, boundary)
        assert found is not None
        return point, found, weighed, (maxit, False, boundary)

    def _step(self, point: Reached, before: Solution | None) -> Solution:
        step = self.solve(point, "score" if before is not None and before.rank and point.beta is not None else "first")
        if before is not None and before.rank and point.beta is not None:
            if np.array_equal(step.kept, before.kept):
                return replace(step, coef=point.beta[step.kept, None] + step.coef)
            step = self.solve(point, "first")
        if point.sums["informative"] < step.rank:
            count = point.sums["informative"]
            raise DataError(f"the design has rank {step.rank}, but only {count} rows carry information")
        return step

    def solve(self, point: Reached, right: str, tol: Any = None, among: Solution | None = None) -> Solution:
        """Weighted least squares of the linearised model at a point, on the columns that another solution keeps."""
        known = self.known if among is None else among
        columns = np.arange(self.p) if known is None else known.kept
        inside = np.ix_(columns, columns)
        normal = scaled_inverse(point.sums["G"][inside])
        if normal is not None and normal.rcond >= RCOND_NORMAL:
            coef = normal.solve(point.sums[right][columns])[:, None]
            found = Solution(coef, np.arange(len(columns)), np.empty((len(columns), 0)), normal.inverse)
            return found if known is None else found.among(known)
        factor: Factor = self.runs.total(Step(self.likelihood, point.beta, factor=True))
        limit = np.broadcast_to(self.tol if tol is None else tol, self.p)[columns]
        found = of_factor(factor.value[:, [*columns, self.p]], len(columns), tol=limit)
        found = found if known is None else found.among(known)
        if right == "first" and point.beta is not None:
            full = found.full_coef(self.p, 0.0)
            # the factor was of the residuals: the response is what the columns give beside them
            shift = point.beta.copy()
            dropped = np.setdiff1d(np.arange(self.p), found.kept)
            add = shift[found.kept] + found.alias @ shift[dropped] if len(dropped) else shift[found.kept]
            return replace(found, coef=full[found.kept] + add[:, None])
        return found

    def _shortened(self, moved: Reached, origin: Reached | None, maxit: int) -> tuple[Reached, bool]:
        boundary = False
        tests: tuple[tuple[Callable[[Reached], bool], str], ...] = (
            (lambda at: bool(np.isfinite(at.deviance)), "step size truncated due to divergence"),
            (lambda at: at.valid, "step size truncated: out of bounds"),
        )
        for accepts, message in tests:
            if accepts(moved):
                continue
            if origin is None or origin.beta is None:
                raise ConvergenceError("no valid set of coefficients has been found: pass starting values as start=")
            self.warnings.append(message)
            moved, boundary = self._halved(moved, origin, accepts, maxit), True
        return moved, boundary

    def _halved(self, moved: Reached, origin: Reached, accepts: Callable[[Reached], bool], maxit: int) -> Reached:
        assert origin.beta is not None
        for _ in range(maxit):
            assert moved.beta is not None
            moved = self.at((moved.beta + origin.beta) / 2)
            if accepts(moved):
                return moved
        raise ConvergenceError(
            "no step size keeps the fitted values inside what the family allows; pass other start= values"
        )

    def climb(
        self, start: Array, kept: Codes, tol: float = 1e-12, maxit: int = 50
    ) -> tuple[Reached, bool, bool] | None:
        """Newton's steps to a zero score: the point, whether it is zero, and whether there is no finite maximum."""
        point = self.at(start)
        if not (np.isfinite(point.deviance) and point.valid):
            return None
        before, inside = np.inf, np.ix_(kept, kept)
        for count in range(maxit + 1):
            expected, score = point.sums["G"][inside], point.sums["score"][kept]
            normal = scaled_inverse(expected)
            if (np.abs(score) <= tol * np.sqrt(np.diagonal(expected) * point.sums["square"])).all():
                return point, True, False
            H = point.sums["H"][inside]
            if not self.likelihood.family.canonical and np.isfinite(H).all() and (np.diagonal(H) > 0).all():
                normal = scaled_inverse(H) or normal
            moved = None if normal is None or count == maxit else self._uphill(point, kept, normal.solve(score))
            if moved is None:
                break
            move = float(moved.sums["move"])
            settled = point.deviance - moved.deviance <= SETTLED * (abs(moved.deviance) + 0.1)
            point = moved
            if move <= STILL * float(moved.sums["eta"]):
                return point, True, False
            if settled and move > max(before / 2, 1e-3):
                return point, False, True
            before = move
        return point, False, False

    def _uphill(self, point: Reached, kept: Codes, step: Array) -> Reached | None:
        highest = point.deviance + RISE * (abs(point.deviance) + 0.1)
        assert point.beta is not None
        full = np.zeros(self.p)
        full[kept] = step
        for halvings in range(30):
            moved = self.at(point.beta + full / 2**halvings, point.beta)
            if moved.deviance <= highest and moved.valid:
                return moved
        return None
