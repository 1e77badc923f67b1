"""What a balance table is asked for: statistics, divisors, thresholds and pairs of arms, checked in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Real
from typing import Any

import numpy as np

from causalformula.diagnostics.statistics import DENOMINATORS
from causalformula.errors import OptionError, choose, some

# What a user asks for, and cobalt's names of the columns: between arms, and for a dose.
ARMS = {"smd": "Diff", "variance_ratio": "V.Ratio", "ks": "KS", "ovl": "OVL"}
DOSE = {"smd": "Corr", "correlation": "Corr", "ks": "KS.Target"}
# cobalt's own names of the statistics, and its short ones.
ALIASES = {
    "mean.diffs": "smd",
    "m": "smd",
    "variance.ratios": "variance_ratio",
    "v": "variance_ratio",
    "ks.statistics": "ks",
    "ks.statistics.target": "ks",
    "ovl.coefficients": "ovl",
    "correlations": "correlation",
    "cor": "correlation",
}
# Differences in proportions as they are, or over their standard deviation.
BINARY = ("raw", "std")
MOST_POWERS = 9
THRESHOLD = 0.1
ALL = "all"


@dataclass(frozen=True, eq=False)
class Plan:
    """What is computed: statistics, and how differences are standardised."""

    stats: tuple[str, ...]
    binary: str = "raw"
    denominator: str = "pooled"
    moments: bool = False


def read_plan(
    stats: Sequence[str] | str,
    binary: str,
    denominator: Any,
    dose: bool,
    moments: bool = False,
    levels: Sequence[str] = (),
) -> Plan:
    """Check what was asked for.

    Raises
    ------
    OptionError
        For an unknown statistic or an impossible combination.
    """
    chosen = _statistics(stats, dose)
    if not (isinstance(binary, str) and binary in BINARY):
        raise OptionError(f"binary={binary!r}: 'raw' gives differences in proportions, 'std' divides them by their sd")
    if not (isinstance(denominator, str) and denominator in (*DENOMINATORS, *levels)):
        raise OptionError(f"unknown s_d_denom {denominator!r}{choose(str(denominator), (*DENOMINATORS, *levels))}")
    if dose and denominator not in ("all", "weighted"):
        raise OptionError(f"for a dose s_d_denom is 'all' or 'weighted', not {denominator!r}")
    return Plan(chosen, binary, denominator, moments)


def _statistics(stats: Sequence[str] | str, dose: bool) -> tuple[str, ...]:
    """Cobalt's column names of the statistics asked for, each once."""
    if not isinstance(stats, (str, Iterable)):
        raise OptionError(f"stats={stats!r}: name statistics of balance{choose('', ARMS)}")
    named = (stats,) if isinstance(stats, str) else tuple(stats)
    asked = tuple(ALIASES.get(name, name) if isinstance(name, str) else name for name in named)
    table, known = DOSE if dose else ARMS, {**ARMS, **DOSE}
    for name, was in zip(asked, named, strict=True):
        if not (isinstance(name, str) and name in known):
            raise OptionError(f"unknown balance statistic {was!r}{choose(str(was), known)}")
    # what all tables show by default is cut down to what a dose has; what was named is not left out in silence
    wrong = () if asked == tuple(ARMS) else [w for name, w in zip(asked, named, strict=True) if name not in table]
    if wrong:
        arms = "a dose" if dose else "a treatment with arms"
        raise OptionError(f"{some(wrong)}: not defined for {arms}{choose(wrong[0], table, 'it has')}")
    if not asked:
        raise OptionError(f"stats is empty: name at least one statistic{choose('', table)}")
    return tuple(dict.fromkeys(table[name] for name in asked if name in table))


def read_thresholds(threshold: Any, plan: Plan) -> dict[str, float]:
    """Thresholds by statistic (``Diff``, ...): a number is for differences or correlations, a mapping names them.

    Names are those of ``stats`` or cobalt's ``m``, ``v``, ``ks``, ``ovl``, ``cor``. A variance ratio's threshold may
    stand on either side of one.
    """
    if threshold is None:
        return {}
    if not isinstance(threshold, Mapping):
        return _plain_threshold(positive("threshold", threshold), plan)
    table = DOSE if set(plan.stats) <= set(DOSE.values()) else ARMS
    names = {name: column for name in [*ARMS, *DOSE, *ALIASES] if (column := table.get(ALIASES.get(name, name)))}
    out = {}
    for key, value in threshold.items():
        if not isinstance(key, str) or key not in {*ARMS, *DOSE, *ALIASES}:
            raise OptionError(f"unknown balance statistic {key!r} in threshold{choose(str(key), table)}")
        if names.get(key) not in plan.stats:
            raise OptionError(f"threshold names {key!r}, which is not among the statistics asked for")
        size = positive(f"threshold of {key!r}", value)
        out[names[key]] = 1 / size if names[key] == "V.Ratio" and size < 1 else size
    return out


def _plain_threshold(size: float, plan: Plan) -> dict[str, float]:
    found = [name for name in plan.stats if name in ("Diff", "Corr")]
    if not found and size != THRESHOLD:
        name = next(name for name, column in (*ARMS.items(), *DOSE.items()) if column == plan.stats[0])
        raise OptionError(
            f"threshold={size:g} is for smd, which was not asked for; name the statistic: "
            f"threshold={{{name!r}: {size:g}}}"
        )
    return dict.fromkeys(found, size)


def positive(name: str, value: Any) -> float:
    """A number above zero."""
    number = isinstance(value, Real) and not isinstance(value, (bool, np.bool_))
    if not number or not 0 < value < 1e300:
        what = repr(value) if len(repr(value)) <= 60 else "one beyond all bounds"
        raise OptionError(f"{name} must be a number above zero, not {what}; None shows no verdicts")
    return float(value)


def read_pairs(which: Any, name: str, levels: Sequence[str], label: Any) -> tuple[tuple[str, str], ...]:
    """Pairs of levels (the earlier one first) that ``which_treat`` names.

    Parameters
    ----------
    which : object
        ``"all"``, a level, or several levels: all pairs among them; one level's pairs with the others.
    name : str
        The treatment's.
    levels : sequence of str
        The reference first.
    label : callable
        From a level as given to its text.
    """
    pairs = tuple(combinations(levels, 2))
    if len(levels) <= 2:
        kind = "has two arms, so there is one table" if levels else "is a dose, so there is one table"
        raise OptionError(f"which_treat chooses pairs of a treatment with several levels; {name!r} {kind}")
    if isinstance(which, str) and which == ALL and ALL not in levels:
        return pairs
    single = isinstance(which, (str, bytes, Real, np.generic)) or not isinstance(which, Iterable)
    asked = dict.fromkeys(label(level) for level in ((which,) if single else which))
    for level in asked:
        if level not in levels:
            allowed = [*levels, ALL] if single else levels
            raise OptionError(f"which_treat: {name!r} has no level {level!r}{choose(level, allowed)}")
    if not asked:
        raise OptionError(f"which_treat names no level{choose('', [*levels, ALL])}")
    return tuple(p for p in pairs if (set(p) & set(asked) if len(asked) == 1 else set(p) <= set(asked)))
