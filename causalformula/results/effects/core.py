"""``ResultCore``: the fields of an answer to a causal question, and its effects read under their covariance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.fit import Answer, Fit, Query
from causalformula.inference.covariance import Covariance
from causalformula.results.call import Call
from causalformula.results.designs.core import DesignCore
from causalformula.results.reading.estimates import Estimates
from causalformula.results.reading.reading import Reading, read
from causalformula.results.reading.test import Test
from causalformula.results.text.coefmat import Cells

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class ResultCore(Estimates):
    """What every part of a result's print, tests and tables reads.

    Attributes
    ----------
    answer : Answer
        Estimates on their working scale, and their labels.
    covariance : Covariance
    call : Call
    fit : Fit
        What the backend returned.
    design : DesignCore
        The weights, strata or matches that it was made with.
    query : Query or None
        What was read off the fit; None for what was derived from other results.
    test : Test or None
        The joint test of ``hypothesis()`` and ``by()``.
    source : tuple or None
        Of ``hypothesis()``, the result that was asked and the equations.
    """

    answer: Answer
    covariance: Covariance
    call: Call
    fit: Fit
    design: DesignCore
    query: Query | None = None
    test: Test | None = None
    source: tuple[ResultCore, tuple[str, ...]] | None = None

    def read(self, level: float = 0.95) -> Reading:
        """Estimates, standard errors, tests and limits as arrays.

        Parameters
        ----------
        level : float
            Of the limits.

        Returns
        -------
        Reading
        """
        return read(self.answer.estimate.theta, self.covariance, self.answer.measure, level)

    @property
    def _labels(self) -> list[str]:
        return list(self.answer.estimate.names)

    def _heads(self) -> Mapping[str, Any]:
        """Group columns, then the term and the contrast."""
        labels = self.answer.labels
        groups = dict.fromkeys(name for label in labels for name, _ in label.groups)
        columns: dict[str, Any] = {name: [dict(label.groups).get(name) for label in labels] for name in groups}
        return columns | {"term": [x.term for x in labels], "contrast": [x.contrast for x in labels]}

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix of the reported estimates (by the delta method for ratios)."""
        import pandas as pd

        slope = self.answer.measure.slope(self.answer.estimate.theta)
        return pd.DataFrame(self.covariance.matrix * np.outer(slope, slope), index=self._labels, columns=self._labels)

    @property
    def endog_names(self) -> str:
        """The left side, as text (statsmodels' name)."""
        outcome = self.call.frame.outcome
        return "" if outcome is None else outcome.name

    @property
    def exog_names(self) -> list[str]:
        """The effects' names, as in ``params`` (statsmodels' name)."""
        return self._labels

    @property
    def nobs(self) -> int:
        """Rows used: those with sampling weight that the design keeps."""
        frame, made = self.call.frame, self.fit.design.weights
        return frame.nobs if (made > 0).all() else int((frame.unit_weights * made > 0).sum())

    # -- what a family of methods adds to the print ----------------------------------------------------------------

    @property
    def _compared(self) -> str:
        """What of the potential outcomes is compared."""
        return "mean"

    def _method(self) -> str:
        """The method in words."""
        return self.fit.method

    def _effects(self, reading: Reading, level: float) -> list[str | Cells]:
        """The effect table."""
        return [reading.cells([str(label) for label in self.answer.labels], level)]

    def _lines(self, level: float) -> list[str]:
        """Further lines below the effect table."""
        return list(self.fit.told)

    def _tables(self) -> list[str | Cells]:
        """Further parts below those lines."""
        return []

    def _pictures(self) -> Mapping[str, Callable[[Any, Any, float], Any]]:
        """Pictures by name, where they are not those of every result."""
        return {}
