"""The confounder that would tip an effect: how unequal between the arms, and how strongly tied to the outcome.

One unmeasured confounder ``U``, independent of those that are adjusted for, moves an effect by the product of both: on
an additive scale ``effect - slope d`` with ``d`` its difference between the arms, standard deviations for a continuous
one or prevalences for a binary one. On the scale of ratios it is divided by ``ratio^d``, or, for a binary one, by
``(1 + p1 (ratio - 1)) / (1 + p0 (ratio - 1))``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Imbalance:
    """How a confounder is spread over the arms.

    Parameters
    ----------
    treated : float
        Its mean among the treated: standard deviations, or a prevalence.
    control : float
    binary : bool
        Whether these are prevalences.
    """

    treated: float
    control: float
    binary: bool

    @property
    def difference(self) -> float:
        """Between the arms."""
        return self.treated - self.control


def adjusted(effect: float, at: Imbalance, outcome: float, ratio: bool) -> float:
    """The effect that would have been estimated with the confounder.

    Parameters
    ----------
    effect : float
    at : Imbalance
    outcome : float
        Its effect on the outcome: a slope, or, for ratios, a ratio.
    ratio : bool
        Whether the effect is a ratio.
    """
    if not ratio:
        return effect - outcome * at.difference
    if at.binary:
        return effect * (1 + at.control * (outcome - 1)) / (1 + at.treated * (outcome - 1))
    return effect * float(np.exp(-at.difference * np.log(outcome)))


def tipping_outcome(effect: float, at: Imbalance, null: float, ratio: bool) -> float:
    """The effect on the outcome that takes the effect to the null; NaN where none does."""
    if effect == null:
        return 1.0 if ratio else 0.0
    if at.difference == 0:
        return np.nan
    if not ratio:
        return (effect - null) / at.difference
    size = effect / null
    if not at.binary:
        with np.errstate(over="ignore"):
            return float(np.exp(np.log(size) / at.difference))
    slope = at.treated - size * at.control
    found = 1 + (size - 1) / slope if slope != 0 else np.nan
    return found if found > 0 else np.nan


def tipping_treated(effect: float, control: float, binary: bool, outcome: float, null: float, ratio: bool) -> float:
    """The confounder's mean among the treated that takes the effect to the null; NaN where none does."""
    if effect == null:
        return control
    if outcome == (1.0 if ratio else 0.0):
        return np.nan
    if not ratio:
        found = control + (effect - null) / outcome
    elif not binary:
        found = control + float(np.log(effect / null) / np.log(outcome))
    else:
        found = (effect / null * (1 + control * (outcome - 1)) - 1) / (outcome - 1)
    return found if not binary or 0 <= found <= 1 else np.nan
