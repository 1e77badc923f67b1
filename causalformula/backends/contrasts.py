"""Which settings of the treatment are compared: the contrasts of levels and of doses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from causalformula.backends.options import is_number
from causalformula.errors import OptionError
from causalformula.formula.expressions.values import Value, number_label
from causalformula.frame.treatment import Kind, Treatment
from causalformula.inference.scales import Measure
from causalformula.numerics.arrays import Array, Bools


@dataclass(frozen=True, eq=False)
class Setting:
    """The treatment of every row set to something.

    Parameters
    ----------
    key : hashable
        Identifies the setting among those of one treatment.
    label : str
        A level, a dose, or ``x + 1``.
    column : Value
        The treatment column under the setting.
    """

    key: Any
    label: str
    column: Value


@dataclass(frozen=True, eq=False)
class Contrast:
    """Two settings that are compared; ``text`` replaces the label for increments of a dose (``+1``)."""

    high: Setting
    low: Setting
    text: str | None = None
    slope: bool = False

    def label(self, measure: Measure) -> str:
        """Marginaleffects' label: ``1 - 0``, ``mean(1) / mean(0)``, ``ln(odds(1) / odds(0))``, ``+1``."""
        if self.text is None:
            return measure.label.format(a=self.high.label, b=self.low.label)
        return _WRAPS.get(measure.name, "{}").format(self.text)


_WRAPS = {
    "ratio": "mean({})", "log_ratio": "ln(mean({}))", "odds_ratio": "odds({})", "log_odds_ratio": "ln(odds({}))",
}  # fmt: skip


def settings(treatment: Treatment) -> list[Setting]:
    """One setting a level, in order; for a dose, the observed values."""
    if treatment.kind is Kind.CONTINUOUS:
        return [Setting("observed", "observed", treatment.column)]
    return [Setting(k, level, treatment.at_level(k)) for k, level in enumerate(treatment.levels)]


def column_at(treatment: Treatment, key: Any) -> Value:
    """The treatment column under the setting of a key, on the rows of any treatment of the same levels."""
    if treatment.kind is not Kind.CONTINUOUS:
        return treatment.at_level(int(key))
    if key == "observed":
        return treatment.column
    what, value = key
    return treatment.values + value if what == "shift" else np.full(len(treatment), float(value))


def contrasts(
    treatment: Treatment, contrast: Any, used: Bools | None = None, doses: Array | None = None
) -> list[Contrast]:
    """The comparisons that ``contrast=`` asks for.

    Parameters
    ----------
    treatment : Treatment
    contrast : as in ``fit()``
    used : ndarray (n,) of bool, optional
        Rows of which a dose's spread is taken: as in marginaleffects, without sampling weights, and once for all
        resamples.
    doses : ndarray, optional
        The doses of which its spread is taken, where they are not those of ``treatment``.

    Raises
    ------
    OptionError
        If the contrast does not suit the treatment's kind, or names a level that is not there.
    """
    if treatment.kind is Kind.CONTINUOUS:
        own = treatment.values if used is None else treatment.values[used]
        return _dose(treatment, contrast, own if doses is None else doses)
    levels = settings(treatment)
    if contrast == "reference":
        pairs = [(0, k) for k in range(1, len(levels))]
    elif contrast == "pairwise":
        pairs = list(combinations(range(len(levels)), 2))
    elif contrast == "sequential":
        pairs = [(k - 1, k) for k in range(1, len(levels))]
    elif isinstance(contrast, tuple) and len(contrast) == 2:
        pairs = [(treatment.index(contrast[0]), treatment.index(contrast[1]))]
        if pairs[0][0] == pairs[0][1]:
            raise OptionError(f"contrast={contrast!r} compares a level with itself")
    else:
        raise OptionError(
            f"contrast={contrast!r} is for a dose; {treatment.name!r} has the levels {', '.join(treatment.levels)}: "
            "use 'reference', 'pairwise', 'sequential' or a pair (low, high)"
        )
    return [Contrast(levels[high], levels[low]) for low, high in pairs]


def _dose(treatment: Treatment, contrast: Any, sample: Array) -> list[Contrast]:
    x = treatment.values
    observed = Setting("observed", "x", x)
    if contrast == "reference":
        contrast = 1
    if contrast == "slope":
        return [Contrast(Setting(("shift", 1.0), "x + 1", x + 1), observed, "dY/dX", slope=True)]
    if isinstance(contrast, tuple) and len(contrast) == 2:
        if not all(isinstance(v, bool) or is_number(v) for v in contrast):
            raise OptionError(f"contrast={contrast!r}: {treatment.name!r} is a dose, so both must be finite numbers")
        low, high = (float(v) for v in contrast)
        if low == high:
            raise OptionError(f"contrast={contrast!r} compares a dose with itself")
        return [Contrast(_fixed(x, high, number_label(high)), _fixed(x, low, number_label(low)))]
    if isinstance(contrast, (int, float, np.number)) and not isinstance(contrast, bool):
        step = float(contrast)
        if step == 0 or not np.isfinite(step):
            raise OptionError("an increment of a dose must be a finite number other than zero")
        return [Contrast(Setting(("shift", step), f"x + {number_label(step)}", x + step), observed, _signed(step))]
    if contrast == "sd":
        # One standard deviation around the mean, for every row, as marginaleffects does (whatever its label says).
        centre, half = float(sample.mean()), float(np.std(sample, ddof=1)) / 2
        high, low = _fixed(x, centre + half, "x + sd/2"), _fixed(x, centre - half, "x - sd/2")
        return [Contrast(high, low, "(x + sd/2) - (x - sd/2)")]
    if contrast == "iqr":
        low, high = np.quantile(sample, [0.25, 0.75])
        return [Contrast(_fixed(x, high, "Q3"), _fixed(x, low, "Q1"))]
    if contrast == "minmax":
        return [Contrast(_fixed(x, sample.max(), "Max"), _fixed(x, sample.min(), "Min"))]
    raise OptionError(
        f"contrast={contrast!r} is for a treatment with levels; {treatment.name!r} is a dose: use a number, 'sd', "
        f"'iqr', 'minmax', a pair (low, high) or 'slope', or write treat(factor({treatment.name}))"
    )


def _signed(step: float) -> str:
    return f"+{number_label(step)}" if step > 0 else number_label(step)


def _fixed(x: Array, value: float, label: str) -> Setting:
    return Setting(("dose", float(value)), label, np.full(len(x), float(value)))


def unique_settings(items: Sequence[Contrast]) -> list[Setting]:
    """The settings that the contrasts use, each once, in order."""
    found: dict[Any, Setting] = {}
    for item in items:
        found.setdefault(item.low.key, item.low)
        found.setdefault(item.high.key, item.high)
    return list(found.values())


def step_between(contrast: Contrast) -> float:
    """How far apart the two settings are, in units of the treatment."""
    high, low = (_place(setting) for setting in (contrast.high, contrast.low))
    return high - low


def _place(setting: Setting) -> float:
    """A level's number, a dose, or how far a dose is moved."""
    key = setting.key
    if isinstance(key, tuple):
        return float(key[1])
    return 0.0 if key == "observed" else float(key)
