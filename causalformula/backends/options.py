"""What every method's options share: the question's estimand, contrast, measure and family."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Real
from types import NoneType
from typing import Any

import numpy as np

from causalformula.backends.estimands import ESTIMANDS
from causalformula.descriptions import spell_out
from causalformula.errors import FormulaError, OptionError, choose
from causalformula.inference.checks import shown as shown
from causalformula.inference.scales import Measure, read_measure
from causalformula.numerics.families import Family
from causalformula.numerics.families import family as read_family
from causalformula.words import Contrast, Estimand, FamilyName
from causalformula.words import Measure as MeasureWord

QUOTES = "'\""
CONTRASTS = ("reference", "pairwise", "sequential", "sd", "iqr", "minmax", "slope")


def flag(name: str, value: Any, hint: str = "") -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise OptionError(f"{name} must be True or False, not {shown(value)}{hint}")
    return bool(value)


def whole(name: str, value: Any, what: str, most: int | None = None, least: int = 1) -> int:
    """A whole number from ``least``."""
    number = isinstance(value, Integral) and not isinstance(value, bool)
    if not number or value < least or (most is not None and value > most):
        reach = f"from {least}" if most is None else f"from {least} to {most}"
        raise OptionError(f"{name}={shown(value)}: {what}, a whole number {reach}")
    return int(value)


def listed_names(names: Any, count: int) -> list[str]:
    """Names in a list, all different, one for each of ``count`` fits."""
    listed = list(names) if isinstance(names, (list, tuple, np.ndarray)) else []
    if len(listed) != count or len({str(name) for name in listed}) != count:
        one = "name" if count == 1 else "different names"
        raise OptionError(f"names= needs {count} {one} in a list, one a fit, not {shown(names)}")
    return [str(name) for name in listed]


def check_functions(env: Any) -> None:
    """An ``OptionError`` for an ``env`` that is no mapping of names to functions."""
    if env is None:
        return
    if not isinstance(env, Mapping) or not all(isinstance(name, str) and callable(f) for name, f in env.items()):
        raise OptionError(f'env gives functions by name, as in env={{"f": f}}, not {shown(env)}')


def refuse_swapped(formula: Any, data: Any) -> None:
    """A ``FormulaError`` where the data stand in the formula's place."""
    if isinstance(data, str) and not isinstance(formula, str):
        raise FormulaError("the formula comes first, then the data, as in cf.fit('Y ~ treat(A)', data)")


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and no logical."""
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        return False
    try:
        return isfinite(value)
    except OverflowError:
        return False


def one_of(name: str, value: Any, allowed: Iterable[str]) -> str:
    """One of several words."""
    allowed = tuple(allowed)
    if not (isinstance(value, str) and value in allowed):
        raise OptionError(f"unknown {name} {shown(value)}{choose(shown(value).strip(QUOTES), allowed)}")
    return str(value)


def column(name: str, value: Any) -> str | None:
    """The name of a column, or None."""
    if not isinstance(value, (str, NoneType)):
        raise OptionError(f"{name} is the name of a column, not {shown(value)}")
    return value


def is_level(value: Any) -> bool:
    """Whether a value can be a level of a treatment, or a dose: text, a number or a logical."""
    return isinstance(value, (str, Real, np.bool_))


def read_contrast(value: Any) -> Any:
    """A word, a number, or a pair, which a list may be too."""
    if isinstance(value, str) and value not in CONTRASTS:
        raise OptionError(f"unknown contrast {value!r}{choose(value, CONTRASTS)}, a number, or a pair (low, high)")
    if isinstance(value, (list, tuple)):
        if len(value) == 2 and all(map(is_level, value)):
            return tuple(value)
    elif is_number(value) or isinstance(value, (str, float, np.floating)):
        return value
    allowed = f"{', '.join(CONTRASTS)}, a number, or a pair (low, high)"
    raise OptionError(f"contrast must be one of {allowed}, not {shown(value)}")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Fields that every method takes.

    Parameters
    ----------
    estimand : str, optional
        Target population; the method's default where not given.
    contrast : str, number or pair
        ``"reference"``, ``"pairwise"``, ``"sequential"`` or ``(a, b)`` for levels; for a dose a number (the increment),
        ``"sd"``, ``"iqr"``, ``"minmax"``, ``(a, b)`` or ``"slope"``.
    measure : str
        How the two average potential outcomes are compared: ``difference``, ``ratio``, ``odds_ratio``, ``log_ratio``,
        ``log_odds_ratio`` or ``nnt``.
    family : str
        Family of the outcome model, with its link: ``"binomial"``, ``"binomial(link = 'probit')"``, ``"poisson"``.
    focal : optional
        For ATT and ATC with several treatment levels: the level whose units are the target.
    """

    estimand: Estimand | None = None
    contrast: Contrast = "reference"
    measure: MeasureWord = "difference"
    family: FamilyName | str | Family = "gaussian"
    focal: Any = None

    def __init_subclass__(cls) -> None:
        spell_out(cls)

    def __post_init__(self) -> None:
        if self.estimand is not None:
            one_of("estimand", self.estimand, ESTIMANDS)
        object.__setattr__(self, "contrast", read_contrast(self.contrast))
        if not isinstance(self.family, (str, Family)):
            raise OptionError(f"family is named by text, such as 'binomial', not {shown(self.family)}")
        read_family(self.family)
        read_measure(self.measure)
        if not (self.focal is None or is_level(self.focal)):
            raise OptionError(f"focal is a level of the treatment, not {shown(self.focal)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data that the options name; a row without a value in one of them is dropped."""
        return ()

    @property
    def own_vcov(self) -> str | None:
        """The default covariance where these options have another one than their method."""
        return None

    @property
    def outcome_family(self) -> Family:
        """The family's record."""
        return self.family if isinstance(self.family, Family) else read_family(self.family)

    @property
    def scale(self) -> Measure:
        """The measure's record."""
        return read_measure(self.measure)


def read_bounds(value: Any) -> tuple[float, float] | None:
    """A pair of probabilities; one number is a bound on either side."""
    if value is None:
        return None
    pair = (value, 1 - value) if is_number(value) else value
    if isinstance(pair, (tuple, list)) and len(pair) == 2 and all(map(is_number, pair)) and 0 <= pair[0] < pair[1] <= 1:
        return float(pair[0]), float(pair[1])
    raise OptionError(f"bounds={shown(value)}: give a pair (low, high) within 0 and 1, or one number for both sides")
