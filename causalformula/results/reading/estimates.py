"""Estimates with their errors, tests and limits as columns: under broom's, R's and statsmodels' names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.options import one_of
from causalformula.inference.covariance import Covariance
from causalformula.inference.request_text import describe
from causalformula.inference.requests import Classical, Cluster, Request
from causalformula.numerics.arrays import Array
from causalformula.results.reading.reading import Reading, check_alpha, check_level
from causalformula.results.text.coefmat import limit_names
from causalformula.words import Spelling

if TYPE_CHECKING:
    import pandas as pd

_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Broom's columns, and what a reading calls them.
COLUMNS = {
    "estimate": "estimate",
    "std.error": "std_error",
    "statistic": "statistic",
    "df": "df",
    "p.value": "p_value",
    "conf.low": "low",
    "conf.high": "high",
}


def spelled(columns: Mapping[str, Any], names: Spelling) -> dict[str, Any]:
    """Columns under broom's names, or with each dot an underscore and in small letters: ``logLik`` is ``log_lik``."""
    one_of("names", names, ("broom", "snake"))
    if names == "broom":
        return dict(columns)
    return {_CAPITAL.sub("_", name.replace(".", "_")).lower(): values for name, values in columns.items()}


def respelled(frame: pd.DataFrame, names: Spelling) -> pd.DataFrame:
    """A frame whose columns are all broom's, in the spelling asked for."""
    return frame.set_axis(list(spelled(dict.fromkeys(frame.columns), names)), axis=1)


def cov_type(request: Request) -> str:
    """The kind of a covariance in statsmodels' words."""
    if isinstance(request, Cluster):
        return "cluster"
    return "nonrobust" if isinstance(request, Classical) and request.df is None else describe(request)


class Estimates:
    """What several estimates have, whatever they estimate: one row each, in one order.

    A subclass says how it is read (``read``), what its rows are called (``_labels``, ``_heads``), and where its numbers
    stand among them (``_spread``).
    """

    covariance: Covariance

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
        raise NotImplementedError

    @property
    def _labels(self) -> list[str]:
        """Names of the rows."""
        raise NotImplementedError

    def _heads(self) -> Mapping[str, Any]:
        """The columns of ``tidy`` that say what a row is."""
        return {"term": self._labels}

    def _spread(self, values: Array) -> Array:
        """A value a row, from a value an estimate: they differ where a row has no estimate."""
        return values

    def _series(self, values: Array, name: str) -> pd.Series[Any]:
        """Values under the names of their rows."""
        import pandas as pd

        return pd.Series(self._spread(values), index=self._labels, name=name)

    @property
    def cov_type(self) -> str:
        """What kind of covariance it is, in statsmodels' words: ``nonrobust``, ``cluster``, ``HC3``, ..."""
        return cov_type(self.covariance.request)

    @property
    def params(self) -> pd.Series[Any]:
        """Estimates, by the names of their rows."""
        return self._series(self.read().estimate, "estimate")

    @property
    def bse(self) -> pd.Series[Any]:
        """Standard errors."""
        return self._series(self.read().std_error, "std.error")

    @property
    def tvalues(self) -> pd.Series[Any]:
        """Test statistics (t or z)."""
        return self._series(self.read().statistic, "statistic")

    @property
    def pvalues(self) -> pd.Series[Any]:
        """Two-sided p-values."""
        return self._series(self.read().p_value, "p.value")

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Confidence limits at level ``1 - alpha``, statsmodels' name.

        Parameters
        ----------
        alpha : float

        Returns
        -------
        DataFrame
            Columns 0 and 1, as statsmodels has them.
        """
        import pandas as pd

        reading = self.read(1 - check_alpha(alpha))
        return pd.DataFrame({0: self._series(reading.low, "low"), 1: self._series(reading.high, "high")})

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Confidence limits with R's column names, ``2.5 %`` and ``97.5 %``.

        Parameters
        ----------
        level : float

        Returns
        -------
        DataFrame
        """
        frame = self.conf_int(1 - check_level(level))
        frame.columns = list(limit_names(level))
        return frame

    def tidy(self, level: float = 0.95, names: Spelling = "broom") -> pd.DataFrame:
        """One row an estimate, with broom's column names.

        Parameters
        ----------
        level : float
            Of the confidence limits.
        names : {"broom", "snake"}
            ``std.error`` or ``std_error``, for tools that read a dot as a path.

        Returns
        -------
        DataFrame
            What the row is, then ``estimate, std.error, statistic, df, p.value, conf.low, conf.high``.
        """
        import pandas as pd

        reading = self.read(level)
        numbers = {name: self._spread(np.asarray(getattr(reading, own))) for name, own in COLUMNS.items()}
        return pd.DataFrame({**self._heads(), **spelled(numbers, names)})
