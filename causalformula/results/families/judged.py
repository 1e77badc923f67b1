"""How well predicted effects tell who gains: curves, areas, calibration, losses and the worth of a rule, to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from causalformula.backends.options import flag, shown
from causalformula.diagnostics.budget import PolicyValue
from causalformula.diagnostics.effect_calibration import CalibrationTest, EffectGroups
from causalformula.diagnostics.regressed import Measured
from causalformula.diagnostics.targeting import TargetingCurve
from causalformula.diagnostics.uplift import OutcomeCurve
from causalformula.errors import OptionError, asks
from causalformula.numerics.arrays import Array
from causalformula.plots import targeting as pictures
from causalformula.plots import unit_effects
from causalformula.results.reading.reading import check_level
from causalformula.results.text.coefmat import Cells, effect_cells
from causalformula.results.text.summary import Paged, Summary

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False, repr=False)
class Judged(Paged):
    """Numbers about predicted effects, with their standard errors.

    Attributes
    ----------
    title : str
    lines : tuple of str
        What they were made of.
    labels : tuple of str
    found : Measured
        Estimates and their covariance.
    label : str
        Of the standard errors.
    notes : tuple of str
    """

    title: str
    lines: tuple[str, ...]
    labels: tuple[str, ...]
    found: Measured
    label: str
    notes: tuple[str, ...] = ()

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row a number.

        Parameters
        ----------
        level : float
            Of the limits.

        Returns
        -------
        DataFrame
            ``term, estimate, std.error, statistic, df, p.value, conf.low, conf.high``; of a hypothesis of 0.
        """
        import pandas as pd

        check_level(level)
        low, high = self.found.limits(level)
        return pd.DataFrame(
            {
                "term": list(self.labels), "estimate": self.found.estimate, "std.error": self.found.std_error,
                "statistic": self._statistic, "df": self.found.df, "p.value": self._p_value,
                "conf.low": low, "conf.high": high,
            }
        )  # fmt: skip

    @property
    def estimate(self) -> float:
        """The number, where there is one."""
        return float(self._only("estimate").estimate[0])

    @property
    def std_error(self) -> float:
        """Its standard error, where there is one number."""
        return float(self._only("std_error").std_error[0])

    @property
    def _statistic(self) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.found.estimate / self.found.std_error

    @property
    def _p_value(self) -> Array:
        return np.asarray(2 * stats.t.sf(np.abs(self._statistic), self.found.df))

    def _only(self, what: str) -> Measured:
        if len(self.labels) > 1:
            raise ValueError(f"there are {len(self.labels)} numbers, so no single {what}; read them with tidy()")
        return self.found

    def summary(self, level: float = 0.95) -> Summary:
        """The numbers with their tests and limits.

        Parameters
        ----------
        level : float

        Returns
        -------
        Summary
        """
        return Summary((self.title, *self.lines, "", self._cells(level), *self._below()))

    def _cells(self, level: float) -> Cells:
        return cells_of(self.found, self.labels, level)

    def _below(self) -> list[str]:
        return [f"Standard errors: {self.label}", *(f"Note: {note}" for note in self.notes)]

    def _page(self) -> Summary:
        return self.summary()

    def __repr__(self) -> str:
        return str(self.summary())


def cells_of(found: Measured, labels: Sequence[str], level: float, p_value: Array | None = None) -> Cells:
    """Estimates with their tests and limits."""
    low, high = found.limits(check_level(level))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = found.estimate / found.std_error
    p = 2 * stats.t.sf(np.abs(statistic), found.df) if p_value is None else p_value
    table = np.column_stack([found.estimate, found.std_error, statistic, p, low, high])
    return effect_cells(table, labels, statistic="z" if np.isinf(found.df).all() else "t", level=level)


@dataclass(frozen=True, eq=False, repr=False)
class Curve(Judged):
    """A curve over the share that is treated, those of the highest priority first, and its area.

    ``estimate`` and ``std_error`` are those of the area: of a TOC curve the RATE (``AUTOC`` or ``QINI``), of
    an uplift or gain curve that between it and treating at random.

    Attributes
    ----------
    title, lines, labels, found, label, notes
        As of ``Judged``.
    curve : TargetingCurve
    unit : str
        What gains are counted in.
    ranked : str
        By what, in a few words.
    """

    curve: TargetingCurve | None = None
    unit: str = ""
    ranked: str = "priority"

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One row a share that is treated.

        Parameters
        ----------
        level : float
            Of the pointwise limits.

        Returns
        -------
        DataFrame
            ``share, estimate, std.error, conf.low, conf.high`` and ``random``, the same where as many are treated at
            random.
        """
        import pandas as pd

        curve = self._curve
        low, high = curve.limits(check_level(level))
        return pd.DataFrame(
            {
                "share": curve.share, "estimate": curve.value, "std.error": curve.std_error,
                "conf.low": low, "conf.high": high, "random": curve.random,
            }
        )  # fmt: skip

    @property
    def _curve(self) -> TargetingCurve:
        assert self.curve is not None
        return self.curve

    @asks
    def plot(
        self, ax: Axes | None = None, *, level: float = 0.95, perfect: bool = False, name: str = "",
        compare: Mapping[str, Curve] | None = None,
    ) -> Axes:  # fmt: skip
        """Draw the curve with its band, beside that of treating at random.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        level : float
            Of the band.
        perfect : bool
            The curve of the perfect order too, of observed outcomes of 0 and 1.
        name : str, optional
            What the legend calls it; what ranks where not given.
        compare : mapping of str to Curve, optional
            Other curves of the same kind with their names, as those of other learners: ``{"forest": other}``.

        Returns
        -------
        Axes

        Raises
        ------
        OptionError
            For curves of another kind or of one name; for ``perfect=True`` of other curves than it is of.
        """
        check_level(level)
        if flag("perfect", perfect) and getattr(self._curve, "perfect", None) is None:
            raise OptionError("perfect=True is of curves of observed outcomes of 0 and 1: qini(observed=True)")
        if not isinstance(name, str):
            raise OptionError(f"name={shown(name)}: what the legend calls the curve, a text")
        own = name or self.ranked
        drawn = {own: self._curve, **self._others(compare, own)}
        return pictures.curves(drawn, ax, level=level, unit=self.unit, perfect=perfect)

    def _others(self, compare: Any, own: str) -> dict[str, TargetingCurve]:
        others = {} if compare is None else compare
        if not isinstance(others, Mapping) or not all(isinstance(each, Curve) for each in others.values()):
            raise OptionError(f"compare= is a mapping of names to curves, as {{'forest': other}}, not {shown(others)}")
        if own in others:
            raise OptionError(f"compare= has a curve named {own!r} too; give this one another name=")
        mine = type(self._curve), self._curve.kind
        for name, other in others.items():
            if (type(other._curve), other._curve.kind) != mine:
                raise OptionError(f"{name!r} is a curve of another kind: {other.title}")
        return {str(name): other._curve for name, other in others.items()}


def area_of(curve: TargetingCurve) -> tuple[tuple[str, ...], Measured]:
    """The area, and of observed outcomes of 0 and 1 its share of the largest one, as numbers."""
    values, errors, labels = [curve.area], [curve.area_se], [curve.area_words]
    if isinstance(curve, OutcomeCurve) and np.isfinite(curve.coefficient):
        values.append(curve.coefficient)
        errors.append(curve.coefficient_se)
        labels.append("coefficient")
    return tuple(labels), Measured(np.array(values), np.diag(np.square(errors)), np.full(len(values), np.inf))


@dataclass(frozen=True, eq=False, repr=False)
class Worth(Judged):
    """What a rule of whom to treat is worth, per head of the population.

    Attributes
    ----------
    title, lines, labels, found, label, notes
        As of ``Judged``.
    share : float
        Of the population that the rule treats.
    """

    share: float = np.nan


def worth_of(value: PolicyValue) -> tuple[tuple[str, ...], Measured]:
    """Gain, value, and that of treating all, as numbers of one table."""
    parts = {
        "gain": value.gain, "gain less cost": value.value, "treating all, less cost": value.everyone,
        "beyond treating all": value.better,
    }  # fmt: skip
    each = list(parts.values())
    errors = np.diag([float(part.matrix[0, 0]) for part in each])
    found = Measured(np.array([part.estimate[0] for part in each]), errors, np.array([part.df[0] for part in each]))
    return tuple(parts), found


# What grf's terms are called where no forest predicts.
FIT_TERMS = ("mean prediction", "differential prediction")
UNDETERMINED = "predictions are the same for all rows, so that their differences have no coefficient"
FIT_WORDS = "Best linear fit of the effect by its prediction (one-sided p):"


@dataclass(frozen=True, eq=False, repr=False)
class EffectCalibration(Judged):
    """Whether units with larger predicted effects have larger effects, and as large as predicted.

    Attributes
    ----------
    title, lines, labels, found, label, notes
        As of ``Judged``: the average effect in groups of like prediction, the least first, and the last less the first.
    groups : EffectGroups
    test : CalibrationTest
        grf's: 1 and 1 where predictions are calibrated, the second 0 where they say nothing of who gains.
    """

    groups: EffectGroups | None = None
    calibration: CalibrationTest | None = None

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """One row a group of like prediction, the least first.

        Parameters
        ----------
        level : float
            Of the limits.

        Returns
        -------
        DataFrame
            ``group, rows, predicted`` (the mean), ``estimate, std.error, conf.low, conf.high`` of the average effect.
        """
        import pandas as pd

        groups = self._groups
        low, high = groups.estimated.limits(check_level(level))
        return pd.DataFrame(
            {
                "group": np.arange(1, len(groups.rows) + 1), "rows": groups.rows, "predicted": groups.predicted,
                "estimate": groups.estimated.estimate, "std.error": groups.estimated.std_error,
                "conf.low": low, "conf.high": high,
            }
        )  # fmt: skip

    @property
    def test(self) -> pd.DataFrame:
        """Grf's ``test_calibration``: ``term, estimate, std.error, statistic, p.value``, one-sided, HC3.

        The terms are grf's ``mean.forest.prediction`` and ``differential.forest.prediction``, of any learner.
        """
        import pandas as pd

        found = self._test
        return pd.DataFrame(
            {
                "term": list(FIT_TERMS), "estimate": found.found.estimate, "std.error": found.found.std_error,
                "statistic": found.statistic, "p.value": found.p_value,
            }
        )  # fmt: skip

    @property
    def _groups(self) -> EffectGroups:
        assert self.groups is not None
        return self.groups

    @property
    def _test(self) -> CalibrationTest:
        assert self.calibration is not None
        return self.calibration

    def _below(self) -> list[str]:
        test = self._test
        table = cells_of(test.found, FIT_TERMS, 0.95, test.p_value)
        flat = [f"Note: {UNDETERMINED}"] if np.isnan(test.found.estimate[1]) else []
        return [*super()._below(), "", FIT_WORDS, str(table).rstrip(), *flat]

    @asks
    def plot(self, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
        """Draw estimated against predicted effects of the groups, with the diagonal.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        level : float
            Of the intervals.

        Returns
        -------
        Axes
        """
        return unit_effects.calibrated(self._groups, ax, level=check_level(level))
