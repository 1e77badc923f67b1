"""``ComparisonCore``: several methods' answers to one question, and the table that is read of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.diagnostics.effect_accuracy import EffectAccuracy
from causalformula.errors import CausalFormulaError
from causalformula.frame.model_frame import ModelFrame
from causalformula.numerics.arrays import Array
from causalformula.results.comparison.agreement import Agreement, agreement
from causalformula.results.comparison.asked import UNADJUSTED, unadjusted
from causalformula.results.comparison.compared import Compared
from causalformula.results.comparison.truth import accuracy
from causalformula.results.reading.estimates import respelled
from causalformula.results.reading.reading import Reading, check_level
from causalformula.results.result import Result
from causalformula.words import Spelling

if TYPE_CHECKING:
    import pandas as pd

UNIT_ERRORS = ("PEHE", "MAE", "correlation")
READ = {
    "estimate": "estimate",
    "std.error": "std_error",
    "statistic": "statistic",
    "df": "df",
    "p.value": "p_value",
    "conf.low": "low",
    "conf.high": "high",
}


@dataclass(frozen=True, eq=False, repr=False)
class ComparisonCore:
    """What the print, the picture and the tests of a comparison read.

    Attributes
    ----------
    compared : tuple of Compared
        Each method with its fit, or the error that it stopped with.
    frame : ModelFrame
        The formula with all its roles, bound to the data once.
    estimand : str
    truth : tuple of float or None
        The true effects, where they are known; of units the mean in the target population.
    unit_truth : ndarray (n,) or None
        The true effects of units, where these are known.
    """

    compared: tuple[Compared, ...]
    frame: ModelFrame
    estimand: str
    truth: tuple[float, ...] | None = None
    unit_truth: Array | None = None

    @property
    def fits(self) -> Mapping[str, Result]:
        """The fits by name, without the methods that failed."""
        return MappingProxyType({one.asked.name: one.fit for one in self.compared if one.fit is not None})

    @property
    def errors(self) -> Mapping[str, CausalFormulaError]:
        """What stopped the methods that have no estimate, by name."""
        return MappingProxyType({one.asked.name: one.error for one in self.compared if one.error is not None})

    @property
    def first(self) -> Result:
        """The first method's fit that there is."""
        return next(iter(self.fits.values()))

    def _unadjusted(self, one: Compared) -> bool:
        """Whether a method leaves out all that the formula adjusts for.

        Parameters
        ----------
        one : Compared

        Returns
        -------
        bool
        """
        return unadjusted(one.asked.left_out, self.frame)

    # -- the table -------------------------------------------------------------------------------------------------

    def tidy(self, level: float = 0.95, names: Spelling = "broom") -> pd.DataFrame:
        """One row a method (and effect), in the order in which they were listed.

        Parameters
        ----------
        level : float
            Of the confidence limits.
        names : {"broom", "snake"}
            ``std.error`` or ``std_error``.

        Returns
        -------
        DataFrame
            ``name``, ``method`` (in words), ``term, contrast, estimate, std.error, statistic, df, p.value, conf.low,
            conf.high``; with a truth ``truth, error`` (estimate minus truth) and ``error.over.se`` (on the working
            scale, that of the logarithm for ratios); with true effects of units ``PEHE, MAE, correlation`` of all rows,
            as ``fit.effects().score(truth)`` has them (of a method without effects of units those of its one effect,
            which has no correlation); ``left.out`` (roles that the method does not use, or
            ``unadjusted``) and ``vcov``. A method that failed has no numbers.
        """
        import pandas as pd

        check_level(level)
        labels = self.first.answer.labels
        readings = [None if one.fit is None else one.fit.read(level) for one in self.compared]
        rows = [
            self._row(one, reading, j)
            for j in range(len(labels))
            for one, reading in zip(self.compared, readings, strict=True)
        ]
        return respelled(pd.DataFrame(rows), names)

    def _row(self, one: Compared, reading: Reading | None, j: int) -> dict[str, Any]:
        label = self.first.answer.labels[j]
        row: dict[str, Any] = {"name": one.asked.name, "method": one.asked.words}
        row |= {"term": label.term, "contrast": label.contrast}
        row |= {name: np.nan if reading is None else getattr(reading, field)[j] for name, field in READ.items()}
        if self.truth is not None:
            row |= {"truth": self.truth[j], "error": row["estimate"] - self.truth[j]}
            row["error.over.se"] = np.nan if one.fit is None else self._standardised(one.fit, j)
        if self.unit_truth is not None:
            row |= self._unit_errors(one)
        row["left.out"] = UNADJUSTED if self._unadjusted(one) else one.asked.leaves
        row["vcov"] = "" if one.fit is None else one.fit.covariance.label
        return row

    def _standardised(self, fit: Result, j: int) -> float:
        """The error over its standard error, on the working scale."""
        assert self.truth is not None
        measure, truth = fit.answer.measure, np.array(self.truth[j])
        with np.errstate(divide="ignore"):
            working: Array = {"exp": np.log, "inverse": np.reciprocal}.get(measure.reading, np.positive)(truth)
        # of a number needed to treat, the difference behind it is off on the other side
        sign = -1.0 if measure.reading == "inverse" else 1.0
        return float(sign * (fit.answer.estimate.theta[j] - working) / fit.covariance.std_error[j])

    def _unit_errors(self, one: Compared) -> dict[str, float]:
        found = self._accuracy.get(one.asked.name)
        if found is None:
            return dict.fromkeys(UNIT_ERRORS, np.nan)
        return dict(zip(UNIT_ERRORS, (found.pehe, found.mae, found.correlation), strict=True))

    @cached_property
    def _accuracy(self) -> Mapping[str, EffectAccuracy]:
        """Errors of unit effects, by name."""
        truth = self.unit_truth
        return {} if truth is None else {name: accuracy(fit, truth) for name, fit in self.fits.items()}

    @cached_property
    def _agreement(self) -> Agreement:
        return agreement(self.compared, self.frame)
