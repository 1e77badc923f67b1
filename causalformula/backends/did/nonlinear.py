"""Effects in an outcome's own units from a regression whose trends are parallel on the scale of a link."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalformula.backends.did.averages import Members
from causalformula.backends.did.rows import Rows
from causalformula.errors import DataError, some
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.regression import FittedRegression
from causalformula.inference.sandwich.expanded import along
from causalformula.numerics.absorption.effect import Effect
from causalformula.numerics.absorption.saturated import removed
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.families import Family


@dataclass(frozen=True, eq=False)
class Responses:
    """Mean effects of cells on the response, and what their errors are made of.

    Parameters
    ----------
    theta : ndarray (q,)
        ``mean_i m(eta_i) - m(eta_i - tau_i)`` over the rows of each cell.
    gradients : ndarray (q, p)
        Derivatives in the coefficients of ``tau``, the linear predictor held.
    slopes : ndarray (n, q)
        Derivatives in each row's linear predictor, ``tau`` held.
    apart : ndarray (n,)
        How far the effect of a row is from that of its cell.
    """

    theta: Array
    gradients: Array
    slopes: Array
    apart: Array

    def estimate(self, model: FittedRegression, shown: Bools, names: tuple[str, ...]) -> Estimate:
        """The effects ``shown``, with the errors of all coefficients, those of absorbed effects included."""
        assert model.absorbed is not None
        slopes = self.slopes[:, shown]
        held = slopes.T @ model.absorbed.X + self.gradients[shown]
        stage, jac = along(model.stage(), model.jacobian(held), slopes)
        return Estimate(names, self.theta[shown], Influence((stage,), jac, len(model.y), rooted=True))


def responses(rows: Rows, model: FittedRegression, columns: Array, cells: Members) -> Responses:
    """Mean effects of cells on the response, from a model in which the ``columns`` (n, p) are those of the effects."""
    family, place, q = model.family, np.where(rows.used, cells.of_row, -1), len(cells)
    without = model.eta - columns @ np.nan_to_num(model.coef)
    effect = np.where(place >= 0, model.mu - family.linkinv(without), 0.0)
    inside = place >= 0
    sizes = np.bincount(place[inside], rows.weights[inside], q)
    share = np.where(inside, rows.weights, 0.0) / np.append(np.where(sizes > 0, sizes, 1.0), 1.0)[place]
    theta = np.bincount(place[inside], (share * effect)[inside], q)
    of_cell = (place[:, None] == np.arange(q)) * share[:, None]
    before = np.where(inside, family.mu_eta(without), 0.0)
    return Responses(
        theta,
        (of_cell * before[:, None]).T @ columns,
        of_cell * (family.mu_eta(model.eta) - before)[:, None],
        np.where(inside, effect - np.append(theta, 0.0)[place], 0.0),
    )


def told_of_nothing(rows: Rows, family: Family) -> tuple[str, ...]:
    """Groups whose outcomes without treatment are all at a limit of the family, whatever the trends of others."""
    out, at = [], family.at_limits(rows.frame.outcome_for(family)) if family.limits else None
    for name, inside in rows.by_group.items():
        own = np.unique(at[inside & (rows.event < 0)]) if at is not None else np.zeros(1)
        if len(own) == 1 and own[0] > 0:
            out.append(
                f"{rows.panel.treated} = {name}: only {family.limits[own[0] - 1]:g} as outcomes before treatment, "
                "which stands for the mean that there would be without it, as if known, whatever the others' trends"
            )
    return tuple(out)


def bounded(rows: Rows, family: Family) -> Rows:
    """The same without groups and periods whose outcomes are all at a limit of the family, which have no finite effect.

    Raises
    ------
    DataError
        Where no row under treatment is left.
    """
    if not family.limits:
        return rows
    groups, size = rows.groups
    effects = [Effect(groups, size), Effect(rows.periods, len(rows.times))]
    found = removed(effects, rows.weights, family.at_limits(rows.frame.outcome_for(family)), alone=False)
    gone = rows.used & ~found.stays
    if not gone.any():
        return rows
    panel, levels = rows.panel, rows.panel.periods.levels
    lost = [f"{panel.treated} = {name}" for name, own in rows.by_group.items() if own.any() and gone[own].all()]
    each = {levels[k]: rows.used & (rows.periods == k) for k in np.unique(rows.periods[gone])}
    lost += [f"{panel.time} = {name}" for name, own in each.items() if gone[own].all()]
    ends = " or ".join(f"only {limit:g}" for limit in family.limits)
    note = f"{some(lost)}: {ends} as outcomes, whose own effect is infinite on the scale of the link, so no part in it"
    left = replace(
        rows, start=np.where(gone, np.nan, rows.start), used=rows.used & ~gone, notes=(*rows.notes, note)
    )  # fmt: skip
    if not (left.used & (left.event >= 0)).any():
        raise DataError(f"no row under treatment is left: {note}")
    return left
