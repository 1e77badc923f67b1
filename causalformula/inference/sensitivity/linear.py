"""Omitted confounders of a linear model: how strong they would have to be (Cinelli and Hazlett 2020).

A confounder that explains the share ``r2dz_x`` of what covariates leave of the treatment, and ``r2yz_dx`` of what these
and the treatment leave of the outcome, moves the coefficient by ``se sqrt(df) sqrt(r2yz_dx r2dz_x / (1 - r2dz_x))``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from causalformula.errors import OptionError
from causalformula.inference.evidence import Accumulated, Evidence, Influence
from causalformula.inference.stage import Stage
from causalformula.numerics.arrays import Array, Codes

# By how much of its standard error an estimate may differ from the combination of coefficients that it is.
SAME = 1e-6


@dataclass(frozen=True)
class Adjusted:
    """An estimate as it would be beside a confounder: arrays that are as long as those of its strengths.

    Parameters
    ----------
    estimate, se, t, lower, upper : ndarray
        ``t`` tests the null hypothesis of the analysis.
    """

    estimate: Array
    se: Array
    t: Array
    lower: Array
    upper: Array


@dataclass(frozen=True)
class Hypothesis:
    """What would be a problem: an effect that is smaller, or larger, by a share ``q`` of the estimate.

    Parameters
    ----------
    q : float
        The share of the estimate that the bias is of.
    alpha : float
        Of the test.
    reduce : bool
        Whether the bias takes the estimate nearer to zero.
    """

    q: float = 1.0
    alpha: float = 0.05
    reduce: bool = True

    @property
    def sign(self) -> int:
        """Of the bias, beside that of the estimate."""
        return -1 if self.reduce else 1

    def null(self, estimate: float) -> float:
        """The effect that would be a problem."""
        return estimate * (1 + self.sign * self.q) + 0.0


@dataclass(frozen=True)
class LinearEffect:
    """A coefficient of a linear model, or a combination of its coefficients.

    Parameters
    ----------
    estimate, se : float
        ``se`` under equal variances: shares of variances follow from it.
    df : float
        Residual degrees of freedom.
    """

    estimate: float
    se: float
    df: float

    def t(self, null: float = 0.0) -> float:
        """The statistic of a null hypothesis."""
        return float(np.divide(self.estimate - null, self.se))

    @property
    def f2(self) -> float:
        """Cohen's partial f2 of the treatment with the outcome, ``t^2 / df``."""
        return self.t() ** 2 / self.df

    @property
    def r2(self) -> float:
        """Share of the residual variance of the outcome that the treatment explains, ``t^2 / (t^2 + df)``."""
        return 1.0 if np.isinf(self.f2) else self.f2 / (1 + self.f2)

    def robustness(self, q: float = 1.0, alpha: float = 1.0) -> float:
        """The share of both residual variances that a confounder must explain: the robustness value.

        Parameters
        ----------
        q : float
            To take away this share of the estimate;
        alpha : float
            until it is no longer significant; 1 asks for the estimate itself.

        Returns
        -------
        float

        Notes
        -----
        With ``f = q sqrt(f2)`` and ``c`` the critical value over ``sqrt(df - 1)``, ``(sqrt(g^4 + 4 g^2) - g^2) / 2``
        with ``g = f - c``; and ``(f^2 - c^2) / (1 + f^2)`` where ``f c > 1``, for there a weaker association with the
        outcome does more, as a stronger one makes the standard error smaller (Cinelli and Hazlett 2025).
        """
        f, c = q * float(np.sqrt(self.f2)), critical(self.df, alpha)
        g = f - c
        if np.isnan(g):
            return float("nan")
        if g <= 0:
            return 0.0
        if f * c > 1:
            return 1.0 if np.isinf(f) else (f**2 - c**2) / (1 + f**2)
        return 2 / (1 + float(np.sqrt(1 + 4 / g**2)))

    def bias(self, r2dz_x: Array | float, r2yz_dx: Array | float) -> Array:
        """The largest bias of a confounder of these strengths."""
        x, y = np.asarray(r2dz_x, dtype=float), np.asarray(r2yz_dx, dtype=float)
        return np.asarray(np.sqrt(y * x / (1 - x)) * self.se * np.sqrt(self.df))

    def adjusted(
        self, r2dz_x: Array | float, r2yz_dx: Array | float, asked: Hypothesis, df: float | None = None
    ) -> Adjusted:
        """What is left beside a confounder of these strengths, whose bias is as ``asked`` has it.

        Parameters
        ----------
        r2dz_x, r2yz_dx : ndarray
        asked : Hypothesis
        df : float, optional
            Of the limits; one less than without the confounder, where not given.
        """
        x, y = np.asarray(r2dz_x, dtype=float), np.asarray(r2yz_dx, dtype=float)
        side = np.sign(self.estimate) if self.estimate else 1.0
        estimate = self.estimate + asked.sign * side * self.bias(x, y)
        se = np.sqrt((1 - y) / (1 - x)) * self.se * np.sqrt(self.df / (self.df - 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (estimate - asked.null(self.estimate)) / se
        half = -stdtrit(self.df - 1 if df is None else df, asked.alpha / 2) * se
        return Adjusted(estimate, se, t, estimate - half, estimate + half)

    def critical_t(self, r2dz_x: Array | float, r2yz_dx: Array | float, alpha: float) -> Array:
        """The t that the estimate would need to stay significant beside such a confounder."""
        x, y = np.asarray(r2dz_x, dtype=float), np.asarray(r2yz_dx, dtype=float)
        usual = critical(self.df, alpha) * np.sqrt(self.df - 1)
        return np.asarray(
            np.sqrt((1 - y) / (1 - x)) * np.sqrt(self.df / (self.df - 1)) * usual + np.sqrt(y * x / (1 - x) * self.df)
        )


def critical(df: float, alpha: float) -> float:
    """Critical value of two sides with one degree of freedom less, over the root of these."""
    if alpha == 1:
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.divide(-stdtrit(df - 1, alpha / 2), np.sqrt(df - 1)))


@dataclass(frozen=True, eq=False)
class Regressors:
    """The regression behind an effect, on its columns as they were given.

    Parameters
    ----------
    names : tuple of str
    theta : ndarray (p,)
    bread : ndarray (p, p)
        ``(X'WX)^{-1}``.
    dispersion : float
    df : float
    combinations : ndarray (q, p)
        The effects, in terms of the coefficients.
    """

    names: tuple[str, ...]
    theta: Array
    bread: Array
    dispersion: float
    df: float
    combinations: Array

    def effect(self, k: int) -> LinearEffect:
        """One effect, under equal variances."""
        c = self.combinations[k]
        return LinearEffect(float(c @ self.theta), float(np.sqrt(self.dispersion * (c @ self.bread @ c))), self.df)

    def shares(self, k: int, columns: Codes) -> tuple[float, float]:
        """Partial R2 of covariates with the treatment of an effect, and with the outcome beside it.

        Parameters
        ----------
        k : int
            Of the effect.
        columns : ndarray of int
            Covariates that are no part of it.

        Notes
        -----
        The inverse of the cross-products has both: with ``A`` its block of the covariates, ``a`` their products with
        the effect's column and ``v`` that column's own, ``a'A^{-1}a / v`` and ``b'A^{-1}b / (b'A^{-1}b + df sigma2)``.
        """
        c, block = self.combinations[k], self.bread[np.ix_(columns, columns)]
        a, b = self.bread[columns] @ c, self.theta[columns]
        with_treatment = float(a @ np.linalg.solve(block, a) / (c @ self.bread @ c))
        squares = float(b @ np.linalg.solve(block, b))
        return min(max(with_treatment, 0.0), 1.0), squares / (squares + self.df * self.dispersion)


def regressors(evidence: Evidence | None, theta: Array) -> Regressors | None:
    """The least-squares regression whose coefficients estimates are combinations of; None where there is none.

    Parameters
    ----------
    evidence : Evidence or None
    theta : ndarray (q,)
        The estimates.
    """
    shape = evidence.shape if isinstance(evidence, Accumulated) else evidence
    if not isinstance(shape, Influence) or shape.root is None:
        return None
    found = of_stage(shape.stages[-1], shape.jac[:, -shape.stages[-1].size :])
    if not shape.root.least_squares or shape.root.instrumented is not None or shape.root.extra:
        return None
    spread = np.sqrt(((found.combinations @ found.bread) * found.combinations).sum(axis=1) * found.dispersion)
    same = np.abs(found.combinations @ found.theta - theta) <= SAME * np.maximum(spread, 0)
    return found if found.dispersion > 0 and bool(same.all()) else None


def of_stage(stage: Stage, combinations: Array) -> Regressors:
    """A fitted regression, and combinations (q, p) of its coefficients as they were solved."""
    hat = stage.hat
    assert hat is not None
    back = np.eye(stage.size) if hat.moved is None else np.eye(stage.size) - hat.moved
    given = np.asarray(np.linalg.solve(back.T, combinations.T).T, dtype=np.float64)
    return Regressors(
        stage.names, back @ stage.theta, back @ hat.bread @ back.T, hat.dispersion, hat.df_residual, given
    )


@dataclass(frozen=True)
class Bound:
    """The strength of a confounder that is so many times as strong as observed covariates.

    Parameters
    ----------
    r2dz_x, r2yz_dx : float
    capped : bool
        Whether ``r2yz_dx`` would be above one, and was set to one.
    """

    r2dz_x: float
    r2yz_dx: float
    capped: bool = False


def bound(shares: tuple[float, float], kd: float, ky: float, name: str) -> Bound:
    """The strongest confounder, ``kd`` times as strong as covariates for the treatment and ``ky`` for the outcome.

    Parameters
    ----------
    shares : tuple of float
        Partial R2 of the covariates with treatment and outcome.
    kd, ky : float
    name : str
        Of the covariates, for the message.

    Raises
    ------
    OptionError
        Where it would explain all of the treatment.
    """
    d, y = shares
    if kd * d >= 1 - d:
        most = (1 - d) / d
        raise OptionError(
            f"kd={kd:g}: a confounder that is {kd:g} times as strong as {name} would explain all of the treatment, of "
            f"which {name} explains {100 * d:.3g}%; kd must be below {most:.3g}"
        )
    r2dz_x, with_covariates = kd * d / (1 - d), kd * d**2 / ((1 - kd * d) * (1 - d))
    r2yz_dx = (np.sqrt(ky) + np.sqrt(with_covariates)) ** 2 / (1 - with_covariates) * (y / (1 - y))
    return Bound(float(r2dz_x), float(min(r2yz_dx, 1.0)), bool(r2yz_dx > 1))


def bounds(shares: tuple[float, float], kd: Sequence[float], ky: Sequence[float], name: str) -> list[Bound]:
    """One a pair of multiples."""
    return [bound(shares, x, y, name) for x, y in zip(kd, ky, strict=True)]
