"""The VARIANCES table: every sandwich as a row adjustment at the root, a grouping and a factor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from causalformula.errors import DataError
from causalformula.inference.requests import LINEARISED
from causalformula.inference.sandwich.clusters import Adjusted, cr2, cr3
from causalformula.inference.stage import Hat
from causalformula.numerics.arrays import Array, Codes

# A row whose leverage is one is fitted exactly: its residual is zero and says nothing of its error. As in R, a variance
# that divides by one minus the leverage is then not a number.
FULL_LEVERAGE = 1 - 1e-10
# A residual of a row of leverage one is less than this share of the others.
NO_RESIDUAL = 1e-5
# Below this leverage of its own columns a row has little part in coefficients that absorbed effects stand beside.
LITTLE = 0.01


def _free(h: Array) -> Array:
    return np.where(h < FULL_LEVERAGE, 1 - h, np.nan)


def full_leverage(hat: Hat) -> Codes:
    """Rows of leverage one; beside absorbed effects those of them that have a part in the other coefficients."""
    if hat.absorbed is None:
        return np.flatnonzero(hat.leverage() >= FULL_LEVERAGE)
    own = hat.own_leverage()
    rows = np.flatnonzero(own >= LITTLE)
    return rows[own[rows] + hat.absorbed.leverage_of(rows) >= FULL_LEVERAGE]


def fitted_rows(hat: Hat) -> Codes:
    """The same, where it is quicker to see that there is none: such a row has no residual.

    A chunk may be of such rows alone, beside which none of their residuals is small.
    """
    size = np.sqrt(hat.w) * np.abs(hat.e)
    if len(size) > hat.X.shape[1] and not (size[hat.w > 0] <= NO_RESIDUAL * np.sqrt(np.mean(size**2))).any():
        return np.empty(0, dtype=np.intp)
    return full_leverage(hat)


def _hc2(hat: Hat) -> Array:
    return np.asarray(1 / np.sqrt(_free(hat.leverage())))


def _hc3(hat: Hat) -> Array:
    return np.asarray(1 / _free(hat.leverage()))


def _hc4(hat: Hat) -> Array:
    h = hat.leverage()
    return np.asarray(_free(h) ** (-np.minimum(4, h / _mean(hat)) / 2))


def _hc4m(hat: Hat) -> Array:
    h = hat.leverage()
    ratio = h / _mean(hat)
    return np.asarray(_free(h) ** (-(np.minimum(1, ratio) + np.minimum(1.5, ratio)) / 2))


def _hc5(hat: Hat) -> Array:
    h = hat.leverage()
    m = _mean(hat)
    ceiling = max(4, 0.7 * float(h.max()) / m)
    return np.asarray(_free(h) ** (-np.minimum(h / m, ceiling) / 4))


def _mean(hat: Hat) -> float:
    return hat.rank / hat.nobs


def _one(n: float, k: float, g: float) -> float:
    return 1.0


def _linearised(n: float, k: float, g: float) -> float:
    return n / (n - 1) if n > 1 else np.nan


def _hc1(n: float, k: float, g: float) -> float:
    return n / (n - k) if n > k else np.nan


def _cr1(n: float, k: float, g: float) -> float:
    return g / (g - 1)


def _cr1s(n: float, k: float, g: float) -> float:
    return g / (g - 1) * (n - 1) / (n - k) if n > k else np.nan


def _cr1p(n: float, k: float, g: float) -> float:
    if g <= k:
        raise DataError(
            f"CR1p divides by the number of clusters less that of coefficients, and there are {g:g} clusters for {k:g} "
            "coefficients; use 'CR2 ~ g' or 'CR1 ~ g'"
        )
    return g / (g - k)


@dataclass(frozen=True)
class Variance:
    """One row of the table.

    ``V = factor(n, k, G) sum_g s_g s_g' / n^2``, with ``s_g`` the influences summed over group g and rows multiplied by
    ``adjust`` at the root.

    Parameters
    ----------
    name : str
    adjust : callable, optional
        Multiplier a row from the root's ``Hat``.
    clustered : bool
        Groups are clusters; otherwise every row is its own.
    factor : callable
        Of rows n, root parameters k and groups G.
    expected : bool
        Expected information at the root (R's ``bread``) instead of the observed one.
    r : str
        The R call with the same value.
    by_cluster : callable, optional
        Adjustment of whole clusters at the root, ``(hat, codes, G, jac) -> Adjusted``, which brings its own degrees of
        freedom.
    words : str
        What the print calls it, where its name says too little.
    """

    name: str
    adjust: Callable[[Hat], Array] | None
    clustered: bool
    factor: Callable[[float, float, float], float]
    expected: bool
    r: str
    by_cluster: Callable[[Hat, Codes, int, Array], Adjusted] | None = None
    words: str = ""

    @property
    def label(self) -> str:
        """How the print names it."""
        return self.words or self.name


VARIANCES: dict[str, Variance] = {
    row.name: row
    for row in (
        Variance("asympt", None, False, _one, False, "WeightIt::glm_weightit(vcov = 'asympt')"),
        Variance("HC0", None, False, _one, True, "sandwich::vcovHC(type = 'HC0')"),
        Variance("HC1", None, False, _hc1, True, "sandwich::vcovHC(type = 'HC1')"),
        Variance("HC2", _hc2, False, _one, True, "sandwich::vcovHC(type = 'HC2')"),
        Variance("HC3", _hc3, False, _one, True, "sandwich::vcovHC(type = 'HC3')"),
        Variance("HC4", _hc4, False, _one, True, "sandwich::vcovHC(type = 'HC4')"),
        Variance("HC4m", _hc4m, False, _one, True, "sandwich::vcovHC(type = 'HC4m')"),
        Variance("HC5", _hc5, False, _one, True, "sandwich::vcovHC(type = 'HC5')"),
        Variance(
            LINEARISED, None, False, _linearised, True, "survey::svyglm()", words="linearised, for sampling weights"
        ),
        Variance("CR0", None, True, _one, True, "sandwich::vcovCL(type = 'HC0', cadjust = FALSE)"),
        Variance("CR1", None, True, _cr1, True, "sandwich::vcovCL(type = 'HC0')"),
        Variance("CR1S", None, True, _cr1s, True, "sandwich::vcovCL(type = 'HC1')"),
        Variance("CR1p", None, True, _cr1p, True, "clubSandwich::vcovCR(type = 'CR1p')"),
        Variance("CR2", None, True, _one, True, "clubSandwich::vcovCR(type = 'CR2')", cr2),
        Variance("CR3", None, True, _one, True, "clubSandwich::vcovCR(type = 'CR3')", cr3),
    )
}
