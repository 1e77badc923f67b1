"""The propensity score as a distance between units, and how far the arms overlap on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalformula.backends.fit import effective_size
from causalformula.backends.propensity import fit_propensity, propensity_notes
from causalformula.errors import DataError
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.regression import FittedRegression
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.ties import tied

LINKS = ("logit", "probit", "cloglog", "cauchit")
DISCARD = ("treated", "control", "both")
# An arm that keeps less than this share of its size in effective units is said to be thin.
THIN = 0.1


@dataclass(frozen=True, eq=False)
class Distance:
    """A score on which units of a binary treatment are compared.

    Parameters
    ----------
    values : ndarray (n,)
    words : str
        What it is, for the print.
    model : FittedRegression, optional
        The propensity model.
    notes : tuple of str
    """

    values: Array
    words: str
    model: FittedRegression | None = None
    notes: tuple[str, ...] = ()


def read_distance(frame: ModelFrame, distance: str, link: str) -> Distance:
    """The score that ``distance=`` names: ``"glm"``, the propensity model's fitted probabilities, or a column.

    Raises
    ------
    DataError
        If the score is the same for everyone, or a column is missing or infinite somewhere.
    IdentificationError
        If the covariates predict the treatment perfectly.
    """
    found = _propensity(frame, link) if distance == "glm" else _column(frame, distance)
    found = replace(found, values=tied(found.values))
    used = frame.unit_weights > 0
    if np.ptp(found.values[used]) <= 1e-12 * np.abs(found.values[used]).max():
        raise DataError(f"the {found.words} is the same for all rows, so nothing tells them apart; add adjust(...)")
    return found


def _column(frame: ModelFrame, name: str) -> Distance:
    values = frame.numbers(name)
    if not np.isfinite(values).all():
        raise DataError(f"the distance {name!r} has infinite values")
    return Distance(values, f"distance {name}")


def _propensity(frame: ModelFrame, link: str) -> Distance:
    model = fit_propensity(frame, link)
    words = "propensity score" if link == "logit" else f"propensity score ({link} link)"
    return Distance(model.mu, words, model, propensity_notes(frame, model))


def common_support(x: Array, treated: Bools, used: Bools, discard: str) -> Bools:
    """Rows kept: those of the arms named that lie within the other arm's range of the score, and all others."""
    x = tied(x)
    a, b = x[treated & used], x[~treated & used]
    of_treated = (x >= a.min()) & (x <= a.max())
    of_control = (x >= b.min()) & (x <= b.max())
    if discard == "both":
        return np.asarray(of_treated & of_control)
    return np.asarray(of_control | ~treated if discard == "treated" else of_treated | treated)


def left_over(frame: ModelFrame, estimand: str, dropped: int) -> str:
    """The end of a note on rows left out of the design: whose effect is estimated without them."""
    return f". The {estimand} is that of the other {frame.nobs - dropped}" if dropped else ""


def thin_arms(frame: ModelFrame, weights: Array) -> tuple[str, ...]:
    """A note for each arm whose effective sample size falls below a tenth of its size."""
    treatment, s = frame.the_treatment, frame.unit_weights
    arms = [(f"{treatment.name} = {level}", treatment.codes == k) for k, level in enumerate(treatment.levels)]
    notes = []
    for name, inside in arms or [("the sample", np.ones(frame.n, dtype=bool))]:
        before, after = effective_size(s[inside]), effective_size((s * weights)[inside])
        if after < THIN * before:
            sizes = f"effective sample size {after:.1f} instead of {before:.1f}"
            notes.append(f"few rows carry the weight of {name}: {sizes}")
    return tuple(notes)


def refuse_single_rows(frame: ModelFrame, weights: Array) -> None:
    """A ``DataError`` where one row of an arm has all its weight: the outcome's variance there would count as zero.

    Resamples of a small arm may hold a single row, and count.
    """
    treatment = frame.the_treatment
    if frame.counts is not None or not treatment.levels:
        return
    for k, level in enumerate(treatment.levels):
        rows = np.flatnonzero((treatment.codes == k) & (frame.unit_weights * weights > 0))
        if len(rows) == 1:
            raise DataError(
                f"one row ({frame.index[rows[0]]}) has all the weight of {treatment.name} = {level}; a single unit "
                "leaves no variance to estimate, and every arm needs at least two"
            )
