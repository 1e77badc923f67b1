"""``Sensitivity``: what omitted confounders could make of an effect, and how strong they would have to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import is_number, one_of, shown, whole
from causalformula.errors import OptionError
from causalformula.numerics.arrays import Array
from causalformula.numerics.omitted import robustness, strength
from causalformula.plots.contours import contours
from causalformula.results.reading.reading import quantile
from causalformula.results.sensitivity.page import SensitivityPage, place_of
from causalformula.results.text.cobalt import table_text
from causalformula.results.text.numbers import format_each
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# Points of a picture in each direction, so that its contours are curves.
SMOOTH = 80
# Contours end here: at a share of 1 no bound is finite.
MOST_DRAWN = 0.99
VALUES = {"theta": "bound of the effect", "ci": "one-sided limit of that bound"}


@dataclass(frozen=True, eq=False)
class Bound:
    """One effect and the largest bias of confounders, over repetitions of the cross-fitting.

    Parameters
    ----------
    name : str
    values : ndarray (repeats, 2)
        Effects, and biases.
    matrix : ndarray (2, 2)
        Their covariance.
    critical : float
        Of one-sided limits.
    """

    name: str
    values: Array
    matrix: Array
    critical: float

    @property
    def estimate(self) -> float:
        """The median of the effects."""
        return float(np.median(self.values[:, 0]))

    def theta(self, sign: int, size: float) -> float:
        """The bound for confounders of a strength.

        Parameters
        ----------
        sign : int
            -1 for the bound below, 1 for that above.
        size : float
            The strength, as a share of the largest bias.

        Returns
        -------
        float
        """
        return float(np.median(self.values[:, 0] + sign * size * self.values[:, 1]))

    def error(self, sign: int, size: float) -> float:
        """The standard error of the bound.

        Parameters
        ----------
        sign : int
            -1 for the bound below, 1 for that above.
        size : float
            The strength, as a share of the largest bias.

        Returns
        -------
        float
        """
        gradient = np.array([1.0, sign * size])
        return float(np.sqrt(gradient @ self.matrix @ gradient))

    def limit(self, sign: int, size: float) -> float:
        """The one-sided confidence limit of the bound.

        Parameters
        ----------
        sign : int
            -1 for the bound below, 1 for that above.
        size : float
            The strength, as a share of the largest bias.

        Returns
        -------
        float
        """
        return self.theta(sign, size) + sign * self.critical * self.error(sign, size)

    def at(self, value: str, sign: int, size: float) -> float:
        """The bound, or its limit.

        Parameters
        ----------
        value : {"theta", "ci"}
        sign : int
            -1 for the bound below, 1 for that above.
        size : float
            The strength, as a share of the largest bias.

        Returns
        -------
        float
        """
        return self.theta(sign, size) if value == "theta" else self.limit(sign, size)

    def side(self, null: float) -> int:
        """Which bound is nearer to the null hypothesis.

        Parameters
        ----------
        null : float

        Returns
        -------
        int
            -1 or 1.
        """
        return 1 if null > self.estimate else -1


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity(SensitivityPage):
    """Bounds of effects under confounders that the formula does not have.

    Attributes
    ----------
    title : str
    bounds : tuple of Bound
        One an effect.
    cf_y, cf_d, rho : float
        Of the scenario: the share of the outcome's residual variance that confounders explain, their gain in the
        variance of the Riesz representer (for a partially linear model the share of the treatment's that they explain),
        and the correlation of what they add to both.
    level : float
        Of the one-sided limits.
    null : float
        What the robustness values are of.
    benchmarks : DataFrame
        A row a set of covariates and effect: what leaving them out shows of ``cf_y``, ``cf_d`` and ``rho``, and
        ``delta_theta``, by how much the effect changes.
    label : str
        Of the standard errors.
    notes : tuple of str
    """

    title: str
    bounds: tuple[Bound, ...]
    cf_y: float
    cf_d: float
    rho: float
    level: float
    null: float
    benchmarks: pd.DataFrame
    label: str
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """One row an effect.

        Returns
        -------
        DataFrame
            ``ci.lower, theta.lower, se.lower, theta, theta.upper, se.upper, ci.upper``, and the robustness values
            ``rv`` (of the bound) and ``rva`` (of its limit): the least ``cf_y = cf_d``, with the scenario's ``rho``,
            that takes them to the null; 1 where none does.
        """
        import pandas as pd

        size = strength(self.cf_y, self.cf_d, self.rho)
        rows = [
            {
                "ci.lower": b.limit(-1, size), "theta.lower": b.theta(-1, size), "se.lower": b.error(-1, size),
                "theta": b.estimate, "theta.upper": b.theta(1, size), "se.upper": b.error(1, size),
                "ci.upper": b.limit(1, size), "rv": self._robustness(b, "theta"), "rva": self._robustness(b, "ci"),
            }
            for b in self.bounds
        ]  # fmt: skip
        return pd.DataFrame(rows, index=[b.name for b in self.bounds])

    def tidy(self) -> pd.DataFrame:
        """``to_frame()``, as of every kind of sensitivity analysis."""
        return self.to_frame()

    @property
    def sentence(self) -> str:
        """What would have to be true to explain the effects away."""
        several = len(self.bounds) > 1
        return "\n".join(self._said(one, f"{one.name}: " if several else "") for one in self.bounds)

    def _said(self, one: Bound, head: str) -> str:
        away = "explain it away" if self.null == 0 else f"take it to {self.null:g}"
        rv, rva = (self._robustness(one, value) for value in ("theta", "ci"))
        of = "" if abs(self.rho) == 1 else f" of correlation {abs(self.rho):g}"
        if rv == 1:
            return f"{head}No confounders{of} {away}."
        text = (
            f"{head}To {away}, confounders{of} that are not in the formula would have to explain {100 * rv:.4g}% of "
            f"what is left of the outcome, and as much of the treatment's (cf_y = cf_d): that takes it from "
            f"{one.estimate:.4g} to {self.null:g}."
        )
        level = f"one-sided {100 * self.level:g}% limit"
        if rva == 0:
            return f"{text} Its {level} is beyond that already."
        return f"{text} With {100 * rva:.4g}% its {level} is there."

    def summary(self) -> Summary:
        """The print, as a page."""
        return Summary((repr(self),))

    def _robustness(self, bound: Bound, value: str) -> float:
        sign = bound.side(self.null)
        return robustness(lambda size: -sign * (bound.at(value, sign, size) - self.null), self.rho)

    def contour(self, value: str = "theta", effect: int = 0, size: int = 30, most: float | None = None) -> pd.DataFrame:
        """The bound nearest to the null hypothesis, over a grid of strengths.

        Parameters
        ----------
        value : {"theta", "ci"}
            The bound, or its one-sided limit.
        effect : int
            Which row of ``to_frame()``.
        size : int
            Points in each direction.
        most : float, optional
            The largest share; where not given, what shows the scenario, the benchmarks and the null.

        Returns
        -------
        DataFrame
            A row a ``cf_y``, a column a ``cf_d``.

        Raises
        ------
        OptionError
            For an unknown value or effect, and shares outside of (0, 1).
        """
        import pandas as pd

        one_of("value", value, VALUES)
        whole("size", size, "points in each direction", 1000, 2)
        bound = self._bound(effect)
        reach = self._reach(bound, value) if most is None else most
        if not is_number(reach) or not 0 < reach < 1:
            raise OptionError(f"most={shown(most)}: the largest share, between 0 and 1")
        grid, sign = np.linspace(0, reach, size), bound.side(self.null)
        surface = [[bound.at(value, sign, strength(y, d, self.rho)) for d in grid] for y in grid]
        return pd.DataFrame(surface, index=pd.Index(grid, name="cf_y"), columns=pd.Index(grid, name="cf_d"))

    def _bound(self, effect: int) -> Bound:
        return self.bounds[place_of(effect, [bound.name for bound in self.bounds])]

    def _reach(self, bound: Bound, value: str) -> float:
        robust = self._robustness(bound, value)
        shares = [self.cf_y, self.cf_d, *([robust] if robust < 1 else [])]
        if len(self.benchmarks):
            shares += self.benchmarks[["cf_y", "cf_d"]].to_numpy().ravel().tolist()
        return float(np.clip(1.3 * max(shares), 0.05, MOST_DRAWN))

    def plot(self, value: str = "theta", effect: int = 0, ax: Axes | None = None) -> Axes:
        """Contours of the bound over ``cf_d`` and ``cf_y``, with the scenario, the benchmarks and, thick, the null.

        Parameters
        ----------
        value : {"theta", "ci"}
        effect : int
            Which row of ``to_frame()``.
        ax : matplotlib Axes, optional

        Returns
        -------
        Axes
        """
        grid, bound = self.contour(value, effect, SMOOTH), self._bound(effect)
        places: dict[str, tuple[float, float]] = {"no confounders": (0.0, 0.0), "scenario": (self.cf_d, self.cf_y)}
        mine = self.benchmarks[self.benchmarks["effect"] == bound.name]
        places |= {f"without {x}": (d, y) for x, d, y in zip(mine["left_out"], mine["cf_d"], mine["cf_y"], strict=True)}
        sign = bound.side(self.null)
        points: Mapping[str, tuple[float, float, float]] = {
            name: (d, y, bound.at(value, sign, strength(y, d, self.rho))) for name, (d, y) in places.items()
        }
        shares = (grid.columns.to_numpy(dtype=float), grid.index.to_numpy(dtype=float))
        ax = contours(ax, *shares, grid.to_numpy(), self.null, points)
        ax.set_title(f"{bound.name}: {'upper' if sign > 0 else 'lower'} {VALUES[value]}", fontsize="medium")
        return ax

    def _meaning(self) -> list[str]:
        """What the robustness values say: of which confounders, and that none is strong enough."""
        size = abs(self.rho)
        if size == 0:
            return [f"RV: with rho = 0 confounders bias nothing; none takes the estimate to {self.null:g}"]
        of = "" if size == 1 else f" of correlation {size:g}"
        weaker = "whatever else they are like" if size == 1 else "nor those of a smaller correlation"
        return [
            f"RV: confounders{of} with cf_y = cf_d = RV could take the estimate to {self.null:g},",
            f"and with RVa its limit; weaker ones cannot, {weaker}",
        ]

    def __repr__(self) -> str:
        table = self.to_frame()
        columns: list[tuple[str, Any]] = [
            (head, format_each(table[name].to_numpy(), 4))
            for head, name in (
                ("CI lower", "ci.lower"), ("Theta lower", "theta.lower"), ("Estimate", "theta"),
                ("Theta upper", "theta.upper"), ("CI upper", "ci.upper"),
            )
        ]  # fmt: skip
        for head, name in (("RV (%)", "rv"), ("RVa (%)", "rva")):
            columns.append((head, [f"{100 * x:.2f}" if x < 1 else "none" for x in table[name]]))
        lines = [
            f"Sensitivity to omitted confounders: {self.title}",
            f"Scenario: cf_y = {self.cf_y:g}, cf_d = {self.cf_d:g}, rho = {self.rho:g}",
            f"Limits: one-sided, {100 * self.level:g}%",
            "",
            table_text(list(table.index), columns).rstrip("\n"),
            f"Standard errors: {self.label}",
            *self._meaning(),
            "",
            *self._sentences(),
        ]
        if len(self.benchmarks):
            numbers = ["cf_y", "cf_d", "rho", "delta_theta"]
            shown = [(name, format_each(self.benchmarks[name].to_numpy(), 4)) for name in numbers]
            names = [
                x if len(self.bounds) == 1 else f"{x}, {effect}"
                for x, effect in zip(self.benchmarks["left_out"], self.benchmarks["effect"], strict=True)
            ]
            lines += [
                "",
                "Benchmarks: what leaving out observed covariates does",
                table_text(names, shown).rstrip("\n"),
            ]
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])

    __str__ = __repr__


def critical_value(level: float, df: Array) -> float:
    """Of a one-sided limit."""
    return float(quantile(2 * level - 1, df)[0])
