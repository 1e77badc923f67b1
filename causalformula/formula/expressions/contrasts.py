"""Contrast matrices of factors, named and laid out as R's; the numbers are formulaic's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from causalformula.errors import DataError, OptionError, did_you_mean
from causalformula.formula.expressions.values import Contrast, Factor
from causalformula.numerics.arrays import Array

DEFAULTS = ("contr.treatment", "contr.poly")
MAX_POLYNOMIAL = 95


def contr_treatment(levels: Sequence[str], base: int = 1) -> Contrast:
    """Dummies of all levels but one; ``base`` counts from 1."""
    if not 1 <= base <= len(levels):
        raise DataError(f"contr.treatment: the base must be a level from 1 to {len(levels)}, not {base}")
    names = tuple(level for i, level in enumerate(levels) if i != base - 1)
    label = "contr.treatment" if base == 1 else None
    return Contrast(_coding(_formulaic().treatment(base=base - 1), levels), names, label)


def contr_sum(levels: Sequence[str]) -> Contrast:
    """Deviations from the mean of the levels; the last level is -1 throughout."""
    return Contrast(_coding(_formulaic().sum(), levels), None, "contr.sum")


def contr_helmert(levels: Sequence[str]) -> Contrast:
    """Each level against the mean of those before it."""
    return Contrast(_coding(_formulaic().helmert(), levels), None, "contr.helmert")


def contr_poly(levels: Sequence[str], scores: Array | None = None) -> Contrast:
    """Orthonormal polynomials over the levels, evenly spaced unless ``scores`` says otherwise."""
    size = len(levels)
    if size > MAX_POLYNOMIAL:
        raise DataError(f"contr.poly: at most {MAX_POLYNOMIAL} levels, as in R, not {size}; use another contrast")
    names = (".L", ".Q", ".C", *(f"^{d}" for d in range(4, size)))[: size - 1]
    if scores is None:
        return Contrast(_coding(_formulaic().poly(), levels), names, "contr.poly")
    if len(scores) != size:
        raise DataError(f"contr.poly: {len(scores)} scores for {size} levels")
    if np.isnan(scores).any() or len(np.unique(scores)) < size:
        raise DataError("contr.poly: the scores must be as many different numbers as there are levels")
    # Centred: scores far from zero, such as years, would lose their digits.
    return Contrast(_coding(_formulaic().poly(scores=tuple(scores - scores.mean())), levels), names)


def contr_sdif(levels: Sequence[str]) -> Contrast:
    """Each level against the one before it: column j is j/k from level j + 1 on, and j/k - 1 before."""
    return Contrast(_coding(_formulaic().diff(), levels), tuple(f"{b}-{a}" for a, b in pairwise(levels)), "contr.sdif")


def _formulaic() -> Any:
    """The contrasts of formulaic by name, imported when the first factor is coded."""
    from formulaic.transforms.contrasts import ContrastsRegistry

    return ContrastsRegistry


def _coding(contrasts: Any, levels: Sequence[str]) -> Array:
    """The matrix (levels, k); levels go in as numbers, since R's may repeat."""
    matrix: Array = contrasts.get_coding_matrix(list(range(len(levels)))).to_numpy(dtype=np.float64)
    return matrix


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
