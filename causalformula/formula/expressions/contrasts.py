"""Contrast matrices of factors, named and laid out as R's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from causalformula.errors import DataError, OptionError, did_you_mean
from causalformula.formula.expressions.values import Contrast, Factor
from causalformula.numerics.arrays import Array

DEFAULTS = ("contr.treatment", "contr.poly")


def contr_treatment(levels: Sequence[str], base: int = 1) -> Contrast:
    """Dummies of all levels but one; ``base`` counts from 1."""
    if not 1 <= base <= len(levels):
        raise DataError(f"contr.treatment: the base must be a level from 1 to {len(levels)}, not {base}")
    kept = [i for i in range(len(levels)) if i != base - 1]
    label = "contr.treatment" if base == 1 else None
    return Contrast(np.eye(len(levels))[:, kept], tuple(levels[i] for i in kept), label)


def contr_sum(levels: Sequence[str]) -> Contrast:
    """Deviations from the mean of the levels; the last level is -1 throughout."""
    size = len(levels)
    return Contrast(np.vstack([np.eye(size - 1), -np.ones((1, size - 1))]), None, "contr.sum")


def contr_helmert(levels: Sequence[str]) -> Contrast:
    """Each level against the mean of those before it."""
    size = len(levels)
    matrix = np.where(np.arange(size)[:, None] <= np.arange(size - 1), -1.0, 0.0)
    matrix[np.arange(1, size), np.arange(size - 1)] = np.arange(1, size)
    return Contrast(matrix, None, "contr.helmert")


def contr_poly(levels: Sequence[str], scores: Array | None = None) -> Contrast:
    """Orthonormal polynomials over the levels, evenly spaced unless ``scores`` says otherwise."""
    from causalformula.formula.expressions.transforms import polynomial

    size = len(levels)
    points = np.arange(1.0, size + 1) if scores is None else scores
    if len(points) != size:
        raise DataError(f"contr.poly: {len(points)} scores for {size} levels")
    matrix = polynomial(points[:, None], size - 1, raw=False).apply(points[:, None]).values
    names = (".L", ".Q", ".C", *(f"^{d}" for d in range(4, size)))
    return Contrast(matrix, names[: size - 1], "contr.poly" if scores is None else None)


def contr_sdif(levels: Sequence[str]) -> Contrast:
    """Each level against the one before it: column j is j/k from level j + 1 on, and j/k - 1 before."""
    size = len(levels)
    column = np.arange(1, size)
    matrix = column / size - (np.arange(size)[:, None] < column)
    return Contrast(matrix, tuple(f"{b}-{a}" for a, b in pairwise(levels)), "contr.sdif")


CONTRASTS: dict[str, Callable[[Sequence[str]], Contrast]] = {
    "contr.treatment": contr_treatment,
    "contr.sum": contr_sum,
    "contr.helmert": contr_helmert,
    "contr.poly": contr_poly,
    "contr.sdif": contr_sdif,
}

# What a contrast function takes beside the levels.
ARGUMENTS = {"contr.treatment": "base", "contr.poly": "scores"}

Request = str | Contrast | Array | Sequence[Sequence[float]]


def named(name: str, levels: Sequence[str]) -> Contrast:
    """A contrast by R's name for it.

    Raises
    ------
    OptionError
        When there is none of that name.
    """
    _check_name(name)
    return CONTRASTS[name](levels)


def _check_name(name: str) -> None:
    if name not in CONTRASTS:
        near = did_you_mean(name, CONTRASTS)
        raise OptionError(f"unknown contrast {name!r}{near}; there are {', '.join(CONTRASTS)}")


def check_contrasts(contrasts: object) -> None:
    """Refuse what is no ``contrasts=``: by variable a name or a matrix, or a pair of names as R's option.

    Raises
    ------
    OptionError
    """
    if contrasts is None:
        return
    if isinstance(contrasts, Mapping):
        for label, request in contrasts.items():
            _check_request(request, f"contrasts of {label!r}")
        return
    pair = isinstance(contrasts, (tuple, list)) and len(contrasts) == 2 and all(isinstance(c, str) for c in contrasts)
    if not pair:
        example = 'contrasts={"race": "contr.sum"}, or a pair for unordered and ordered factors'
        raise OptionError(f"contrasts= names contrasts by variable, as in {example}, not a {type(contrasts).__name__}")
    assert isinstance(contrasts, (tuple, list))
    for name in contrasts:
        _check_name(name)


def _check_request(request: object, what: str) -> None:
    if isinstance(request, Contrast):
        return
    if isinstance(request, str):
        _check_name(request)
        return
    try:
        matrix = np.asarray(request, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.ndim not in (1, 2) or not matrix.size or not np.isfinite(matrix).all():
        raise OptionError(f"{what}: one of {', '.join(CONTRASTS)}, or a matrix of numbers with one row a level")


def resolve(request: Request, levels: Sequence[str], label: str) -> Contrast:
    """A contrast for these levels, from a name, a matrix or a contrast."""
    if isinstance(request, str):
        return named(request, levels)
    if isinstance(request, Contrast):
        return request
    return complete(np.asarray(request, dtype=np.float64), None, levels, label)


def complete(matrix: Array, names: tuple[str, ...] | None, levels: Sequence[str], label: str) -> Contrast:
    """A contrast from a matrix of one row a level; columns that are missing are filled up orthogonally, as R does."""
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    size, given = len(levels), matrix.shape[1]
    if len(matrix) != size or given >= size:
        shape = f"{size} rows and at most {size - 1} columns"
        raise DataError(f"contrasts of {label}: the matrix must have {shape}, and it has {len(matrix)} and {given}")
    if given == size - 1:
        return Contrast(matrix, names)
    basis = np.linalg.qr(np.column_stack([np.ones(size), matrix]), mode="complete")[0]
    filled = np.column_stack([matrix, basis[:, given + 1 :]])
    return Contrast(filled, None if names is None else (*names, *[""] * (size - 1 - given)))


def default(factor: Factor, pair: tuple[str, str], label: str) -> Contrast:
    """The contrast of a factor about which nothing was said.

    Raises
    ------
    DataError
        When it has fewer than two levels.
    """
    if len(factor.levels) < 2:
        level = f", {factor.levels[0]!r}," if factor.levels else ""
        raise DataError(f"{label} has {len(factor.levels)} level{level} in the rows used: nothing to compare; drop it")
    return factor.contrast or named(pair[factor.ordered], factor.levels)
