"""A structural equation with its instruments, as given; which estimator solves it; and what its instruments do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from causalformula.inference.absorbing import fit_absorbed
from causalformula.inference.leave_one_out import LeaveOneOut
from causalformula.inference.linear import fit_linear
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.centring import first_column


@dataclass(frozen=True)
class KClass:
    """Which member of the k-class.

    Parameters
    ----------
    k : float, optional
        LIML's where not given.
    fuller : float
        What LIML's k is lowered by, in units of one over the rows less the instruments.
    rows : int, optional
        How many rows Fuller's correction counts; those of positive weight where not given.
    """

    k: float | None = 1.0
    fuller: float = 0.0
    rows: int | None = None


TWO_STAGES = KClass()
CONTINUOUS = "cue"
# Instruments that explain a smaller share of a treatment than this explain none of it.
UNMOVED = 1e-12
# What instruments leave of a treatment is rounding below this share of its size.
EXACT = 1e-13


@dataclass(frozen=True, eq=False)
class Weighting:
    """Moments weighted by the inverse of their covariance: efficient GMM.

    Parameters
    ----------
    steps : int or "cue", optional
        Steps, each with a weight matrix of the residuals of the one before, the first of which is two-stage least
        squares; until they no longer move where not given. ``"cue"``: continuously updated.
    codes : ndarray (n,) of int, optional
        Clusters of rows that are correlated; no rows are by default.
    by : str
        What these clusters are of.
    """

    steps: int | Literal["cue"] | None = 2
    codes: Codes | None = None
    by: str = ""

    @property
    def words(self) -> str:
        """What the weight matrix is of, for the print."""
        return f"moments clustered by {self.by}" if self.by else "moments of unequal variance"

    @property
    def r(self) -> str:
        """The arguments of ``momentfit::gmm4``."""
        types = {None: "iter", CONTINUOUS: "cue", 2: "twostep"}
        clusters = f", vcovOptions = list(cluster = ~{self.by})" if self.by else ""
        kind = f'"{types.get(self.steps, self.steps)}"'
        return f'type = {kind}, vcov = "{"CL" if self.by else "MDS"}"{clusters}, initW = "tsls", centeredVcov = FALSE'


@dataclass(frozen=True, eq=False)
class Equations:
    """A structural equation with its instruments, as given.

    Parameters
    ----------
    X : ndarray (n, p)
        Its regressors.
    y : ndarray (n,)
    names : tuple of str
    Z : ndarray (n, m)
        Excluded instruments; the exogenous columns of ``X`` are instruments too.
    instruments : tuple of str
        Their names.
    endogenous : ndarray (q,) of int
        Columns of ``X`` that are instrumented.
    weights, offset : ndarray (n,), optional
    intercept : bool
        Whether the first column is one.
    effects : tuple of Effect
        Absorbed, of the factors ``factors``.
    factors : tuple of str
    counts : ndarray (n,), optional
        The part of the weights that says how often a row is there, as in a resample.
    means : tuple of LeaveOneOut
        Excluded instruments that are made of the treatment, under these weights.
    """

    X: Array
    y: Array
    names: tuple[str, ...]
    Z: Array
    instruments: tuple[str, ...]
    endogenous: Codes
    weights: Array | None = None
    offset: Array | None = None
    intercept: bool = True
    effects: tuple[Effect, ...] = ()
    factors: tuple[str, ...] = ()
    counts: Array | None = None
    means: tuple[LeaveOneOut, ...] = ()

    @property
    def exogenous(self) -> Codes:
        """Columns of ``X`` that are their own instruments."""
        return np.setdiff1d(np.arange(self.X.shape[1]), self.endogenous).astype(np.intp)

    def reweighted(self, weights: Array | None) -> Equations:
        """The same under other weights, of which leave-one-out means are made anew; rows without one get none."""
        if not self.means:
            return replace(self, weights=weights)
        w = np.ones(len(self.y)) if weights is None else weights
        while (lost := np.any([one.alone(w) & (w > 0) for one in self.means], axis=0)).any():
            w = weights = np.where(lost, 0.0, w)
        eq, Z = replace(self, weights=weights), np.array(self.Z)
        for one in self.means:
            Z[:, one.at] = one.factors * one.mean(eq.averaged(one), w)[:, None]
        return replace(eq, Z=Z)

    def averaged(self, one: LeaveOneOut) -> Array:
        """What a leave-one-out mean is the mean of (n,): the treatment less what is held fixed, or as it is."""
        return one.D if one.raw or not self.held else self.left_by_exogenous(one.D)

    @property
    def held(self) -> bool:
        """Whether anything but the intercept is held fixed."""
        return bool(self.effects) or len(self.exogenous) > int(self.intercept)

    def left_by_exogenous(self, x: Array) -> Array:
        """What the exogenous columns and absorbed effects leave of one column (n,)."""
        own = self.exogenous
        return self.regress(self.X[:, own], x, [self.names[j] for j in own]).hat.e

    def through_means(self, a: Array, c: Array, P: Array, d: Array) -> Array:
        """How ``sum_i c_i a'z_i + d_i P'z_i`` moves with each row's weight, through leave-one-out means (n, p).

        Parameters
        ----------
        a : ndarray (m,)
        c : ndarray (n, p)
        P : ndarray (m, p)
        d : ndarray (n,)
        """
        w = np.ones(len(self.y)) if self.weights is None else self.weights
        total = np.zeros(c.shape)
        for one in self.means:
            h = c * (one.factors @ a[one.at])[:, None] + d[:, None] * (one.factors @ P[one.at])
            r = self.averaged(one)
            u, beside = one.each(h, one.mean(r, w), w)
            if not one.raw and self.held:
                u = np.column_stack([self.left_by_exogenous(column) for column in u.T])
            total += w[:, None] * (r[:, None] * u + beside)
        return total

    @property
    def all_names(self) -> tuple[str, ...]:
        """Names of all instruments, the exogenous columns first."""
        return (*(self.names[j] for j in self.exogenous), *self.instruments)

    @property
    def all_instruments(self) -> Array:
        """The exogenous columns, then the excluded instruments (n, l)."""
        return np.column_stack([self.X[:, self.exogenous], self.Z])

    def regress(self, X: Array, response: Array, names: Sequence[str], offset: Array | None = None) -> FittedRegression:
        """A least-squares fit on the same rows, with the same weights and effects: first stages, reduced forms."""
        if self.effects:
            return fit_absorbed(X, response, names, self.effects, self.factors, weights=self.weights, offset=offset)
        return fit_linear(
            X,
            response,
            names,
            weights=self.weights,
            offset=offset,
            intercept=self.intercept,
            anchors=first_column(X, self.intercept),
        )

    def on_instruments(self, response: Array, offset: Array | None = None) -> FittedRegression:
        """The regression of a response on all instruments."""
        return self.regress(self.all_instruments, response, self.all_names, offset)

    def first_stage(self, j: int) -> FittedRegression:
        """The regression of one of the endogenous columns on all instruments."""
        return self.on_instruments(self.X[:, self.endogenous[j]])

    def reduced_form(self) -> FittedRegression:
        """The regression of the outcome on all instruments."""
        return self.on_instruments(self.y, self.offset)


@dataclass(frozen=True, eq=False)
class Instrumented:
    """What an instrumented regression was made of.

    Parameters
    ----------
    equations : Equations
    rule : KClass or Weighting
    k : float
        In use; NaN where moments are weighted.
    left : ndarray (n, q)
        What all instruments leave of the endogenous columns.
    kept : ndarray of int
        Excluded instruments that are no combination of those before them and of the exogenous columns.
    empty : ndarray of int
        Those that vary no more than absorbed effects do.
    strength : float
        The smallest share of a combination of the endogenous columns that the excluded instruments explain beside the
        exogenous columns: their smallest squared canonical correlation.
    criterion : float, optional
        Where moments are weighted, what is left of them: Hansen's J.
    """

    equations: Equations
    rule: KClass | Weighting
    k: float
    left: Array
    kept: Codes
    empty: Codes
    strength: float
    criterion: float | None = None

    @property
    def endogenous_names(self) -> tuple[str, ...]:
        """Names of the columns that are instrumented."""
        return tuple(self.equations.names[j] for j in self.equations.endogenous)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the excluded instruments."""
        return self.equations.instruments

    @property
    def excess(self) -> int:
        """Excluded instruments beyond the number of endogenous columns."""
        return len(self.kept) - len(self.equations.endogenous)

    @property
    def moves(self) -> bool:
        """Whether the instruments move all of the endogenous columns."""
        return self.strength > UNMOVED

    @cached_property
    def exact(self) -> Bools:
        """Endogenous columns that the instruments fit exactly (q,)."""
        w = np.ones(len(self.left)) if self.equations.weights is None else self.equations.weights
        left, whole = w @ self.left**2, w @ self.equations.X[:, self.equations.endogenous] ** 2
        return np.asarray(left <= EXACT**2 * whole)

    @property
    def words(self) -> str:
        """The estimator, as fixest names its own."""
        if isinstance(self.rule, Weighting):
            return "GMM"
        return {1.0: "TSLS", None: "LIML"}.get(self.rule.k, "k-class")
