"""Estimates with their errors, tests and limits as columns: under broom's, R's and statsmodels' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.numerics.arrays import Array
from causalformula.results.reading.reading import Reading, check_alpha, check_level
from causalformula.results.text.coefmat import limit_names

if TYPE_CHECKING:
    import pandas as pd

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


class Estimates:
    """What several estimates have, whatever they estimate: one row each, in one order.

    A subclass says how it is read (``read``), what its rows are called (``_labels``, ``_heads``), and where its numbers
    stand among them (``_spread``).
    """

    def read(self, level: float = 0.95) -> Reading:
        """Estimates, standard errors, tests and limits as arrays."""
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
        """Confidence limits at level ``1 - alpha`` (columns 0 and 1, as statsmodels)."""
        import pandas as pd

        reading = self.read(1 - check_alpha(alpha))
        return pd.DataFrame({0: self._series(reading.low, "low"), 1: self._series(reading.high, "high")})

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Confidence limits with R's column names, ``2.5 %`` and ``97.5 %``."""
        frame = self.conf_int(1 - check_level(level))
        frame.columns = list(limit_names(level))
        return frame

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row an estimate, with broom's column names.

        Returns
        -------
        DataFrame
            What the row is, then ``estimate, std.error, statistic, df, p.value, conf.low, conf.high``.
        """
        import pandas as pd

        reading = self.read(level)
        numbers = {name: self._spread(np.asarray(getattr(reading, own))) for name, own in COLUMNS.items()}
        return pd.DataFrame({**self._heads(), **numbers})
