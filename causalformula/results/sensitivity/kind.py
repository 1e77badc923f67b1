"""``Kind``: a kind of sensitivity analysis, and which of several answers what was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

from causalformula.backends.options import one_of
from causalformula.errors import CapabilityError, OptionError, choose, some
from causalformula.results.sensitivity.page import SensitivityPage


@dataclass(frozen=True)
class Kind:
    """A kind of sensitivity analysis.

    Parameters
    ----------
    made : callable
        Of the fit (of a model: and the coefficient's name) and the options, which are its keyword-only arguments.
    lacks : callable
        Of the same but the options, why there is no such analysis; empty where there is one.
    picked : bool
        Whether it may be the answer where no kind is named.
    """

    made: Callable[..., SensitivityPage]
    lacks: Callable[..., str]
    picked: bool = True

    @property
    def options(self) -> tuple[str, ...]:
        """What it may be told."""
        parameters = signature(self.made).parameters.values()
        return tuple(one.name for one in parameters if one.kind is one.KEYWORD_ONLY)


def answered(kinds: Mapping[str, Kind], kind: Any, of: tuple[Any, ...], options: Mapping[str, Any]) -> SensitivityPage:
    """The analysis of a kind; where none is named, of the first in the table that fits.

    Parameters
    ----------
    kinds : mapping
        By name, in the order in which they are tried.
    kind : str or None
    of : tuple
        The fit; of a model also the name of a coefficient.
    options : mapping

    Raises
    ------
    OptionError
        For an unknown kind, or an option that it does not have.
    CapabilityError
        Where the fit does not have the kind, or none at all.
    """
    name = fitting(kinds, of) if kind is None else one_of("kind", kind, kinds)
    if kind is not None and (reason := kinds[name].lacks(*of)):
        raise CapabilityError(f"no sensitivity analysis of kind={name!r}: {reason}{_instead(kinds, of)}")
    known = kinds[name].options
    for word in options:
        if word not in known:
            takers = [other for other, one in kinds.items() if word in one.options]
            elsewhere = f"; kind={takers[0]!r} has" if takers else choose(word, known, "it takes")
            raise OptionError(f"sensitivity() of kind={name!r} has no option {word!r}{elsewhere}")
    return kinds[name].made(*of, **options)


def able(kinds: Mapping[str, Kind], of: tuple[Any, ...]) -> list[str]:
    """The kinds that a fit has."""
    return [name for name, one in kinds.items() if not one.lacks(*of)]


def fitting(kinds: Mapping[str, Kind], of: tuple[Any, ...]) -> str:
    """The first kind that answers without being named."""
    found = [name for name in able(kinds, of) if kinds[name].picked]
    if not found:
        reasons = "; ".join(f"{name!r}: {one.lacks(*of)}" for name, one in kinds.items() if one.picked)
        raise CapabilityError(f"no sensitivity analysis fits this{_instead(kinds, of)}. {reasons}")
    return found[0]


def _instead(kinds: Mapping[str, Kind], of: tuple[Any, ...]) -> str:
    found = able(kinds, of)
    return f". There is kind={some([repr(name) for name in found])}" if found else ""
