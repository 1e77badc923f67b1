"""The columns that a regression is solved on, and what is said of those it leaves out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causalformula.errors import some
from causalformula.numerics.arrays import Array, Codes
from causalformula.numerics.centring import Centred, centred
from causalformula.numerics.least_squares import least_squares
from causalformula.numerics.linalg import LARGEST, refuse_extreme


def solved_columns(
    X: Array, weights: Array | None, anchors: Codes | None, names: Sequence[str] | None = None, tol: float = 1e-7
) -> Centred:
    """The columns to solve on."""
    return Centred(X, None, tol) if anchors is None else centred(X, weights, tol, anchors, names)


def readable(Z: Centred, kept: Codes) -> bool:
    """Whether coefficients of the given columns follow: nothing was taken from a kept column that has none itself."""
    if Z.moved is None:
        return True
    dropped = np.setdiff1d(np.arange(len(Z.moved)), kept)
    return not Z.moved[np.ix_(dropped, kept)].any()


def lost_to_tolerance(
    X: Array, weights: Array | None, names: Sequence[str], kept: Codes, intercept: bool
) -> tuple[str, ...]:
    """A note that names columns which R's rule leaves out only because they lie far from zero."""
    if not intercept or len(kept) == X.shape[1]:
        return ()
    Z = centred(X, weights)
    if Z.moved is None:
        return ()
    found = least_squares(Z.X, np.zeros(len(X)), weights, tol=Z.tol).kept
    return lost_words(names, found, kept)


def lost_words(names: Sequence[str], found: Codes, kept: Codes) -> tuple[str, ...]:
    """The note on columns that are ``found`` where they are counted from their means, and not ``kept``."""
    lost = [names[int(j)] for j in np.setdiff1d(found, kept)]
    if not lost:
        return ()
    them = "it" if len(lost) == 1 else "them"
    return (
        f"{some(lost)} left out as R's lm does, to whose tolerance a column so far from zero is a combination of the "
        f"others; counted from its mean it is not: center {them}, as in scale(x, scale = FALSE)",
    )


def refuse_overflowing(X: Array, names: Sequence[str]) -> None:
    """A ``DataError`` that names a column whose squares are beyond the largest number."""
    # without a copy of the design
    for j in np.flatnonzero(np.maximum(X.max(axis=0, initial=0.0), -X.min(axis=0, initial=0.0)) > LARGEST):
        refuse_extreme(X[:, j], names[int(j)])


def refuse_vanished(X: Array, names: Sequence[str], kept: Codes) -> None:
    """A column that was left out because its squares are zero, though it is not."""
    for j in np.setdiff1d(np.arange(X.shape[1]), kept):
        refuse_extreme(X[:, j], names[int(j)])
