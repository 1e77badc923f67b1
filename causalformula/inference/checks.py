"""What arguments of covariance requests may be: each check says what is taken, and what was given."""

from __future__ import annotations

import numpy as np

from causalformula.errors import OptionError, did_you_mean
from causalformula.numerics.arrays import Array

MOST_REPS = 10**8


def check_covariance(matrix: Array) -> None:
    """Refuse a matrix that is no covariance: variances are not negative, nor those of any combination."""
    variances = np.diag(matrix)
    if (variances < 0).any():
        raise OptionError(f"a covariance matrix has no negative variance; here number {np.argmin(variances) + 1} is")
    scale = np.where(variances > 0, np.sqrt(variances), 1.0)
    # rounding leaves eigenvalues of a singular matrix slightly below zero
    if len(matrix) and np.linalg.eigvalsh(matrix / np.outer(scale, scale))[0] < -1e-8 * len(matrix):
        raise OptionError("a covariance matrix must be positive semidefinite; this one has a negative eigenvalue")


def check_lag(lag: int | None) -> None:
    """Refuse a number of lags that is no whole number from 0."""
    whole = is_whole(lag) or (isinstance(lag, float) and lag.is_integer())
    if lag is not None and (not whole or lag < 0):
        raise OptionError(f"lag must be a whole number from 0, not {shown(lag)}")


def shown(value: object) -> str:
    """A value as a message shows it: its repr, or its type where that is long."""
    text = repr(value)
    return f"a {type(value).__name__}" if len(text) > 60 or "\n" in text else text


def check_flag(what: str, value: object, optional: bool = False) -> None:
    """Refuse what is neither True nor False, nor None where it is optional."""
    if not (isinstance(value, (bool, np.bool_)) or (optional and value is None)):
        raise OptionError(f"{what} must be True or False, not {shown(value)}")


def check_positive_number(what: str, value: object) -> None:
    """Refuse what is neither None nor a number above 0."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if value is not None and not (number and value > 0 and (value == np.inf or value < 1e300)):  # type: ignore[operator]
        raise OptionError(f"{what} must be positive, a number, not {shown(value)}")


def column_names(by: object) -> tuple[str, ...]:
    """Names of columns: one, or several in a list; the columns themselves are no names."""
    if isinstance(by, str):
        return (by,)
    if isinstance(by, (list, tuple)) and all(isinstance(name, str) for name in by):
        return tuple(by)
    name = getattr(by, "name", None)
    example = name if isinstance(name, str) else "g"
    raise OptionError(f"clusters are named, as in Cluster({example!r}) or '~{example}', not given as {shown(by)}")


# More processes than any machine has.
MOST_JOBS = 10_000


def check_jobs(n_jobs: object) -> None:
    """Refuse a number of processes that is no whole number."""
    if n_jobs is not None and (not is_whole(n_jobs) or n_jobs == 0 or abs(int(n_jobs)) > MOST_JOBS):  # type: ignore[call-overload]
        raise OptionError(f"n_jobs is a number of processes, such as 2, or -1 for all, not {shown(n_jobs)}")


def is_whole(value: object) -> bool:
    """Whether a value is a whole number, and no logical."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def check_reps(reps: int) -> None:
    """Refuse a number of replicates that is none."""
    if not is_whole(reps) or not 2 <= reps <= MOST_REPS:
        raise OptionError(f"reps must be at least 2, a whole number, not {shown(reps)}")


def check_seed(seed: int | None) -> None:
    """Refuse a seed that is no whole number from 0."""
    if seed is not None and (not is_whole(seed) or seed < 0):
        raise OptionError(f"seed must be a whole number from 0, or None for one that is drawn, not {shown(seed)}")


def check_column(what: str, name: str | None) -> None:
    """Refuse what is neither None nor one name."""
    if name is not None and not isinstance(name, str):
        raise OptionError(
            f"{what} is the name of one column, not {shown(name)}; for several, make one that combines them"
        )


def check_word(what: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse what is none of the words that are allowed."""
    if not isinstance(value, str) or value not in allowed:
        # HC3 is no other spelling of HC9
        near = did_you_mean(value, allowed) if isinstance(value, str) and what != "type" else ""
        raise OptionError(f"{what} must be one of {', '.join(allowed)}, not {shown(value)}{near}")
