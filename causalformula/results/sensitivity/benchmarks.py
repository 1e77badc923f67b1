"""Observed covariates that confounders are compared with: which columns they are, and how strong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from causalformula.backends.options import is_number, shown
from causalformula.errors import CapabilityError, FormulaError, OptionError, choose
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.matrix.recipe import Recipe
from causalformula.inference.sensitivity.linear import Regressors
from causalformula.numerics.arrays import Codes

INTERCEPT = "(Intercept)"
# The share of an effect's own length below which a column's part in it is rounding.
NO_PART = 1e-9


@dataclass(frozen=True)
class Benchmark:
    """A covariate, or a group of them.

    Parameters
    ----------
    label : str
    names : tuple of str
        As they were written.
    """

    label: str
    names: tuple[str, ...]


def read_benchmarks(benchmark: Any) -> list[Benchmark]:
    """A name; several, each by itself; or groups of them under names of their own.

    Raises
    ------
    OptionError
        For anything else.
    """
    if benchmark is None:
        return []
    given: list[tuple[Any, Any]]
    if isinstance(benchmark, Mapping):
        given = list(benchmark.items())
    else:
        given = [(name, name) for name in ([benchmark] if isinstance(benchmark, str) else _listed(benchmark))]
    found = []
    for label, names in given:
        group = [names] if isinstance(names, str) else _listed(names)
        if not group or not all(isinstance(name, str) and name.strip() for name in (label, *group)):
            raise _unreadable(benchmark)
        found.append(Benchmark(str(label), tuple(group)))
    if not found:
        raise _unreadable(benchmark)
    return found


def _listed(names: Any) -> list[Any]:
    return list(names) if isinstance(names, (list, tuple)) else []


def _unreadable(benchmark: Any) -> OptionError:
    return OptionError(
        f"benchmark={shown(benchmark)}: a covariate by name, 'x', a group 'x + z', several in a list, or a dict of "
        "names and groups"
    )


def multiples(kd: Any, ky: Any) -> tuple[list[float], list[float]]:
    """How many times as strong confounders are for the treatment, and for the outcome, one after the other.

    Raises
    ------
    OptionError
        For what is no number above zero, and lists that do not go together.
    """
    strengths, others = _numbers("kd", kd), _numbers("ky", kd if ky is None else ky)
    if len(others) not in (1, len(strengths)) and len(strengths) != 1:
        raise OptionError(f"kd has {len(strengths)} numbers and ky has {len(others)}: give as many, or one")
    most = max(len(strengths), len(others))
    return (strengths * most)[:most], (others * most)[:most]


def _numbers(name: str, value: Any) -> list[float]:
    values = value if isinstance(value, (list, tuple, range, np.ndarray)) else [value]
    if not len(values) or not all(is_number(x) and x > 0 for x in values):
        raise OptionError(
            f"{name}={shown(value)}: how many times as strong as the benchmark, a number above 0 or several"
        )
    return [float(x) for x in values]


def label_of(benchmark: Benchmark, kd: float, ky: float) -> str:
    """As sensemakr has it: ``1x age``, ``2/1x age``."""
    return f"{kd:g}x {benchmark.label}" if kd == ky else f"{kd:g}/{ky:g}x {benchmark.label}"


def columns_of(benchmark: Benchmark, found: Regressors, recipe: Recipe | None, k: int) -> Codes:
    """The columns of a benchmark, which are no part of an effect.

    Parameters
    ----------
    benchmark : Benchmark
    found : Regressors
    recipe : Recipe or None
        What says which variables columns are made of.
    k : int
        Of the effect.

    Raises
    ------
    OptionError
        For a name that the regression does not have.
    CapabilityError
        For columns that are part of the effect.
    """
    made = {} if recipe is None else _variables(recipe)
    at = sorted({j for name in benchmark.names for j in _resolved(name, found, made)})
    c = found.combinations[k]
    size = np.abs(c) * np.sqrt(np.diag(found.bread))
    effect = np.flatnonzero(size > NO_PART * np.sqrt(c @ found.bread @ c))
    held = {name for j in at for name in made.get(found.names[j], ())}
    if list(effect) == at:
        raise CapabilityError(
            f"benchmark={benchmark.label!r}: it is the treatment itself; name covariates that a confounder may be like"
        )
    if any(j in at or made.get(found.names[j], set()) & held for j in effect):
        raise CapabilityError(
            f"benchmark={benchmark.label!r}: it is part of the effect, which is averaged over interactions with the "
            "treatment; name a covariate that the effect does not vary with"
        )
    return np.array(at, dtype=np.intp)


def _resolved(name: str, found: Regressors, made: Mapping[str, set[str]]) -> list[int]:
    """A column by its name; otherwise every column of the variables in an expression."""
    if name in found.names and name != INTERCEPT:
        return [found.names.index(name)]
    known = list(
        dict.fromkeys([*(x for x in found.names if x != INTERCEPT), *(v for held in made.values() for v in held)])
    )
    try:
        wanted = list(dict.fromkeys(variables(parse_expression(name))))
    except FormulaError:
        wanted = []
    missing = [each for each in wanted if each not in known]
    if not wanted or missing:
        raise OptionError(
            f"benchmark={name!r}: no covariate of the regression is {(missing or [name])[0]!r}"
            f"{choose((missing or [name])[0], known[:30])}"
        )
    held = [j for j, column in enumerate(found.names) if column in wanted or made.get(column, set()) & set(wanted)]
    columns = [j for j in held if found.names[j] != INTERCEPT]
    if not columns:
        raise OptionError(
            f"benchmark={name!r}: the regression leaves it out, as other terms imply it; compare with those"
        )
    return columns


def _variables(recipe: Recipe) -> dict[str, set[str]]:
    """The variables that each column is made of."""
    terms = recipe.terms
    parts = [{name for i, _ in term for name in variables(terms.variables[i])} for term in terms.coding]
    return {name: parts[term - 1] for name, term in zip(recipe.names, recipe.assign, strict=True) if term > 0}
