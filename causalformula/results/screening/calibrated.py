"""P-values calibrated by negative controls: one null for each treatment, or outcome, that the controls are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalformula.errors import counted, some
from causalformula.inference.calibration import EmpiricalNull, empirical_null
from causalformula.numerics.arrays import Array, Bools
from causalformula.results.screening.questions import OUTCOMES

if TYPE_CHECKING:
    import pandas as pd

# With fewer controls the null itself is hardly known, and calibrated p-values count it as known.
FEW = 10
# Units of the effects that are further apart than this have no systematic error in common.
APART = 3.0


@dataclass(frozen=True, eq=False)
class Calibration:
    """The nulls of the negative controls, and the p-values that they give.

    Parameters
    ----------
    nulls : mapping of str to EmpiricalNull
        By treatment where the controls are outcomes, by outcome where they are treatments; with several effects of
        one treatment by effect too.
    p_value : ndarray (rows,)
        Calibrated; of a control by the others alone.
    notes : tuple of str
    """

    nulls: Mapping[str, EmpiricalNull]
    p_value: Array
    notes: tuple[str, ...]


def calibration(answers: pd.DataFrame, of: str) -> Calibration:
    """Calibrate the p-values of a screen.

    Parameters
    ----------
    answers : DataFrame
        With the column ``control``.
    of : {"treatments", "outcomes"}
        What the controls are.
    """
    x, se = (answers[name].to_numpy(dtype=float) for name in ("working", "working.se"))
    usable = np.isfinite(x) & np.isfinite(se) & (se > 0)
    control, groups = answers["control"].to_numpy(dtype=bool), _groups(answers, of)
    questions = (answers["treatment"] + "\0" + answers["outcome"]).to_numpy()
    nulls: dict[str, EmpiricalNull] = {}
    p, without = np.full(len(x), np.nan), []
    for group in dict.fromkeys(groups):
        inside = usable & (groups == group)
        known = inside & control
        if len(set(questions[known])) < 2:
            without.append(group)
            continue
        nulls[group] = empirical_null(x[known], se[known])
        p[inside] = nulls[group].p_value(x[inside], se[inside])
        for k in np.flatnonzero(known):
            p[k] = _by_others(k, known & (questions != questions[k]), x, se)
    return Calibration(nulls, p, tuple(_notes(answers, nulls, without, of)))


def _groups(answers: pd.DataFrame, of: str) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """What each row's null is named by."""
    if of != OUTCOMES:
        return answers["outcome"].to_numpy(dtype=object)
    counts = answers[answers["error"] == ""].groupby("treatment")["contrast"].nunique()
    several = answers["treatment"].map(counts).fillna(1) > 1
    names = answers["treatment"].where(~several, answers["treatment"] + " " + answers["contrast"])
    return names.to_numpy(dtype=object)


def _by_others(k: int, others: Bools, x: Array, se: Array) -> float:
    null = empirical_null(x[others], se[others])
    return float(null.p_value(x[[k]], se[[k]])[0])


def _notes(answers: pd.DataFrame, nulls: Mapping[str, EmpiricalNull], without: list[str], of: str) -> list[str]:
    notes = []
    if without:
        notes.append(f"no calibration for {some(without, 5)}: fewer than two negative controls have an estimate")
    few = [null.n for null in nulls.values() if null.n < FEW]
    if few:
        notes.append(
            f"the systematic error is estimated from {counted(min(few), 'negative control')}, and calibrated p-values "
            f"count it as known: with fewer than {FEW} they are too small"
        )
    edge = [name for name, null in nulls.items() if null.sd == 0]
    if edge:
        which = "" if len(nulls) == 1 else f" for {some(edge, 5)}"
        notes.append(
            f"the negative controls vary no more than by chance{which}: the systematic error's sd is estimated as 0, "
            "at the end of its range, and calibration takes only its mean away"
        )
    unit = answers["unit"].to_numpy(dtype=float)
    unit = unit[unit > 0]
    if len(unit) and unit.max() > APART * unit.min():
        other = "outcomes" if of == OUTCOMES else "doses"
        notes.append(
            f"calibration takes the systematic error to be of one size, and the {other} are on scales up to "
            f"{unit.max() / unit.min():.3g} times apart: bring them to one scale, or compare ratios (measure='ratio')"
        )
    return notes
