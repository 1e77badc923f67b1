"""A regression whose rows are elsewhere: the record of its fit, and the same regression on the rows of a chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from causalformula.inference.estimate import Estimate
from causalformula.inference.regression import FittedRegression, Solved
from causalformula.inference.stage import ROUNDING, Hat
from causalformula.numerics.arrays import Array
from causalformula.numerics.glm import working
from causalformula.numerics.least_squares import Solution
from causalformula.scale.blocks.regression import Columns, Likelihood, Rows


@dataclass(frozen=True, eq=False)
class WholeHat(Hat):
    """The hat of some rows of a regression, with the whitening of all rows."""

    root: Array | None = None

    @cached_property
    def whitening(self) -> Array:
        """See ``Hat``."""
        return np.asarray(np.linalg.cholesky(self.bread)) if self.root is None else self.root


@dataclass(frozen=True, eq=False)
class Shared(FittedRegression):
    """A regression on some or none of its rows, with what all rows say.

    Parameters
    ----------
    whole : mapping
        ``origin``, ``observed``, ``lengths``, ``explained``, ``rows``, ``logs``, ``unequal``, and ``size``, the mean
        square of the fitted values: what the fit of all rows has under these names.
    """

    whole: Mapping[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> float:
        """See ``FittedRegression``."""
        return float(self.whole["origin"])

    @property
    def observed(self) -> Array:
        """See ``FittedRegression``."""
        return np.asarray(self.whole["observed"])

    @property
    def lengths(self) -> Array:
        """See ``FittedRegression``."""
        return np.asarray(self.whole["lengths"])

    @property
    def explained(self) -> float:
        """See ``FittedRegression``."""
        return float(self.whole["explained"])

    @property
    def rows(self) -> int:
        """See ``FittedRegression``."""
        return int(self.whole["rows"])

    @property
    def logs(self) -> float:
        """See ``FittedRegression``."""
        return float(self.whole["logs"])

    @property
    def unequal(self) -> bool:
        """See ``FittedRegression``."""
        return bool(self.whole["unequal"])

    @property
    def in_memory(self) -> bool:
        """See ``FittedRegression``."""
        return False

    def perfect(self, *share: float) -> bool:
        """See ``FittedRegression``."""
        least = share[0] if share else ROUNDING
        spread = self.whole["size"] * self.whole["weight"] / self.hat.nobs
        return self.linear and self.hat.df_residual > 0 and self.hat.dispersion < spread * least


@dataclass(frozen=True, eq=False)
class Whole(Shared):
    """The record of a fit to rows that are elsewhere.

    Parameters
    ----------
    estimated : Estimate, optional
        The estimable coefficients, with their evidence.
    """

    estimated: Estimate | None = None

    @classmethod
    def of(cls, record: Shared, estimated: Estimate) -> Whole:
        """Of a record without evidence."""
        return cls(**{f.name: getattr(record, f.name) for f in fields(record)}, estimated=estimated)

    def estimate(self) -> Estimate:
        """See ``FittedRegression``."""
        assert self.estimated is not None
        return self.estimated


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted regression and how it is evaluated on a chunk; it pickles without rows.

    Parameters
    ----------
    record : Shared
        The fit, its arrays of rows away.
    columns : Columns
    likelihood : Likelihood or None
        Of a generalised linear model.
    solved : ndarray (p,)
        Coefficients of the columns as they were solved, of a response that is counted from ``origin``; zero where
        aliased.
    weighed_at : ndarray (p,) or None
        Where the working weights are taken: the last iteration's start; None for the family's own means.
    root : ndarray (r, r) or None
        Whitening of ill-conditioned columns.
    """

    record: Shared
    columns: Columns
    likelihood: Likelihood | None
    solved: Array
    weighed_at: Array | None = None
    root: Array | None = None

    def at(self, rows: Rows) -> Shared:
        """The regression on the rows of a chunk."""
        whole, Z = self.record, self.columns.apply(rows.X)
        if self.likelihood is None:
            shift = 0.0 if rows.offset is None else rows.offset
            # counted from the origin, so that residuals of an outcome far from zero keep their digits
            e = (rows.y - shift - whole.origin) - Z @ self.solved
            mu = rows.y - e
            eta, w, target = mu, rows.w, None
        else:
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                mu, eta, w, e, target = self._working(rows)
        hat = WholeHat(
            Z if whole.rank == Z.shape[1] else Z[:, whole.kept],
            w,
            e,
            whole.hat.bread,
            whole.hat.dispersion,
            whole.hat.df_residual,
            whole.hat.least_squares,
            whole.hat.nobs,
            target=target,
            moved=whole.hat.moved,
            root=self.root,
        )
        # a copy of the record field by field: its own arrays refuse to be compared or copied
        known = {f.name: getattr(whole, f.name) for f in fields(whole)}
        own = {"given": rows.X, "y": rows.y, "weights": rows.w, "offset": rows.offset, "mu": mu, "eta": eta, "hat": hat}
        return Shared(**{**known, **own})

    def _working(self, rows: Rows) -> tuple[Array, Array, Array, Array, Array]:
        """Means, linear predictor, working weights and residuals, and the responses' variances."""
        assert self.likelihood is not None
        problem = self.likelihood.problem(rows)
        point = problem.at(self.solved)
        weighed = self.weighed_at
        same = weighed is not None and np.array_equal(weighed, self.solved)
        w, _ = working(problem, point if same else self.likelihood.point(problem, weighed))
        e = (problem.y - point.mu) / self.likelihood.family.mu_eta(point.eta)
        target = self.likelihood.family.variance(point.mu) / np.where(rows.w > 0, rows.w, 1.0)
        return point.mu, point.eta, w, e, target


def solved_record(columns: Columns, coef: Array, lengths: Array) -> Solved | None:
    """How the columns were solved, where some were counted from their means."""
    if columns.plan is None or columns.moved is None:
        return None
    return Solved(columns.moved, coef, lengths, columns.plan)


def whitening(factor: Array, found: Solution) -> Array:
    """``L`` with ``L L' = bread``, from the triangular factor of all rows."""
    upper = np.linalg.qr(factor[:, found.kept], mode="r")
    return np.asarray(np.linalg.solve(upper, np.eye(len(upper))))
