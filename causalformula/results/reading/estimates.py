"""The numbers of a ``Result`` under the names that statsmodels gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.fit import Answer, Fit
from causalformula.inference.covariance import Covariance
from causalformula.numerics.arrays import Array
from causalformula.results.call import Call
from causalformula.results.reading.reading import Reading, check_alpha, check_level

if TYPE_CHECKING:
    import pandas as pd


class StatsmodelsNames:
    """Estimates, standard errors, tests and limits, indexed by term and contrast."""

    answer: Answer
    covariance: Covariance
    call: Call
    fit: Fit

    if TYPE_CHECKING:

        def read(self, level: float = 0.95) -> Reading:
            """Of the ``Result``."""
            ...

    def _series(self, values: Array, name: str) -> pd.Series[Any]:
        import pandas as pd

        return pd.Series(values, index=list(self.answer.estimate.names), name=name)

    @property
    def params(self) -> pd.Series[Any]:
        """Estimates, indexed by term and contrast."""
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

    @property
    def nobs(self) -> int:
        """Rows used: those with sampling weight that the design keeps."""
        frame, made = self.call.frame, self.fit.design.weights
        return frame.nobs if (made > 0).all() else int((frame.unit_weights * made > 0).sum())

    def cov_params(self) -> pd.DataFrame:
        """Covariance matrix of the reported estimates (by the delta method for ratios)."""
        import pandas as pd

        slope = self.answer.measure.slope(self.answer.estimate.theta)
        names = list(self.answer.estimate.names)
        return pd.DataFrame(self.covariance.matrix * np.outer(slope, slope), index=names, columns=names)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Confidence limits at level ``1 - alpha`` (columns 0 and 1, as statsmodels)."""
        import pandas as pd

        reading = self.read(1 - check_alpha(alpha))
        return pd.DataFrame({0: reading.low, 1: reading.high}, index=list(self.answer.estimate.names))

    def confint(self, level: float = 0.95) -> pd.DataFrame:
        """Confidence limits with R's column names, ``2.5 %`` and ``97.5 %``."""
        from causalformula.results.text.coefmat import limit_names

        frame = self.conf_int(1 - check_level(level))
        frame.columns = list(limit_names(level))
        return frame
