"""Which sums the doubly robust, weighting and regression estimators are: of changes of units, and of two samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalformula.backends.did.cells import Line, Odds, Solved, Sums, Term, fit_odds, solve
from causalformula.numerics.arrays import Array


@dataclass(frozen=True)
class Estimator:
    """An estimator of the effect on the treated of a cell.

    Parameters
    ----------
    name : {"dr", "dr_improved", "ipw", "reg"}
    normalized : bool
        Whether inverse probability weights are divided by their sum.
    locally_efficient : bool
        Of two samples, whether the treated's own regressions take part.
    trim : float
        See ``fit_odds``.
    """

    name: str
    normalized: bool = True
    locally_efficient: bool = True
    trim: float = 0.995

    @property
    def weighs(self) -> bool:
        """Whether it has a model of the treatment."""
        return self.name != "reg"

    @property
    def regresses(self) -> bool:
        """Whether it has models of the outcome."""
        return self.name != "ipw"

    @property
    def balancing(self) -> bool:
        """Whether the odds balance the covariates, and weight the regressions of the controls."""
        return self.name == "dr_improved"

    def odds(self, X: Array, treated: Array, w: Array) -> Odds | None:
        """The model of the treatment, where it has one."""
        return fit_odds(X, treated, w, self.trim, balancing=self.balancing) if self.weighs else None

    def changes(self, X: Array, change: Array, treated: Array, w: Array, odds: Odds | None) -> Solved:
        """Effects from the changes (n, T) of units, with covariates (n, p) from before."""
        return solve(self._of_changes(w * treated, w * (1 - treated)), X, change, odds)

    def samples(self, X: Array, y: Array, treated: Array, after: Array, w: Array, odds: Odds | None) -> Solved:
        """The effect from two samples, before and after."""
        if self.normalized:  # where outcomes stand is then no matter, and they keep their digits
            y = y - y.mean()
        cells = {(g, t): w * (treated == g) * (after == t) for g in (0, 1) for t in (0, 1)}
        return solve(self._of_samples(cells, w), X, y[:, None], odds)

    def _of_changes(self, one: Array, zero: Array) -> Sums:
        lines = {"controls": Line(zero, self.balancing)} if self.regresses else {}
        minus = dict.fromkeys(lines, -1.0)
        terms = [Term(1, one, lines=minus)]
        if self.weighs:
            over = () if self.normalized else ((one, 1),)
            terms.append(Term(-1, zero, tilted=True, lines=minus, over=over))
        return Sums(tuple(terms), lines)

    def _of_samples(self, cells: dict[tuple[int, int], Array], w: Array) -> Sums:
        one = cells[1, 0] + cells[1, 1]
        lines, terms = {}, []
        for t, sign in ((1, 1.0), (0, -1.0)):
            name = f"controls {t}"
            if self.regresses:
                lines[name] = Line(cells[0, t], self.balancing)
            minus = {name: -1.0} if self.regresses and self.weighs else {}
            over: tuple[tuple[Array, int], ...] = ()
            if not self.normalized:
                over = ((one, 1), (cells[0, t] + cells[1, t], 1), (w, -1))
            terms.append(Term(sign, cells[1, t], lines=minus, over=over))
            if self.weighs:
                terms.append(Term(-sign, cells[0, t], tilted=True, lines=minus, over=over))
            if self.name == "reg":
                terms.append(Term(-sign, one, outcome=False, lines={name: 1.0}))
            if self.weighs and self.regresses and self.locally_efficient:
                own = f"treated {t}"
                lines[own] = Line(cells[1, t])
                gap = {own: 1.0, name: -1.0}
                terms.append(Term(sign, one, outcome=False, lines=gap))
                terms.append(Term(-sign, cells[1, t], outcome=False, lines=gap))
        return Sums(tuple(terms), lines)


def standardised(X: Array) -> Array:
    """An intercept, and the columns that vary, at mean 0 and size 1: what is solved does not depend on their units."""
    centred = X - X.mean(axis=0)
    size = np.sqrt((centred**2).mean(axis=0))
    varies = size > 1e-12 * np.maximum(np.abs(X).max(axis=0, initial=0.0), 1e-300)
    return np.column_stack([np.ones(len(X)), centred[:, varies] / size[varies]])
