"""Fits of statsmodels and pyfixest as columns of a table, beside ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.results.reading.reading import check_level

if TYPE_CHECKING:
    import pandas as pd

# What others call the intercept, so that it stands in one line with ours.
INTERCEPTS = {"Intercept": "(Intercept)", "const": "(Intercept)"}
# Families whose dispersion is known, so that R counts as many parameters of the likelihood as statsmodels.
COUNTED_ALIKE = ("Binomial", "Poisson")


@dataclass(frozen=True)
class Neighbour:
    """Another package's fit, read as ours are: ``tidy`` and ``glance`` with broom's names."""

    fit: Any
    rows: Callable[[Any, float], dict[str, Any]]
    facts: Callable[[Any], dict[str, Any]]

    def tidy(self, level: float = 0.95) -> pd.DataFrame:
        """One row a coefficient."""
        import pandas as pd

        rows = self.rows(self.fit, check_level(level))
        return pd.DataFrame({**rows, "term": [INTERCEPTS.get(str(name), str(name)) for name in rows["term"]]})

    def glance(self) -> pd.DataFrame:
        """One row of statistics, those that mean what ours do."""
        import pandas as pd

        return pd.DataFrame([{name: value for name, value in self.facts(self.fit).items() if value is not None}])


def neighbour(fit: Any) -> Neighbour | None:
    """The fit as a column; None for what is no fit of these packages."""
    homes = {cls.__module__.partition(".")[0] for cls in type(fit).__mro__}
    if "statsmodels" in homes and getattr(fit, "pvalues", None) is not None:
        return Neighbour(fit, _rows_of_statsmodels, _facts_of_statsmodels)
    if "pyfixest" in homes and getattr(fit, "tidy", None) is not None:
        return Neighbour(fit, _rows_of_pyfixest, _facts_of_pyfixest)
    return None


def _rows_of_statsmodels(fit: Any, level: float) -> dict[str, Any]:
    limits = np.asarray(fit.conf_int(alpha=1 - level))
    return {
        "term": list(fit.model.exog_names),
        "estimate": np.asarray(fit.params, dtype=float),
        "std.error": np.asarray(fit.bse),
        "statistic": np.asarray(fit.tvalues),
        "p.value": np.asarray(fit.pvalues),
        "conf.low": limits[:, 0],
        "conf.high": limits[:, 1],
    }


def _facts_of_statsmodels(fit: Any) -> dict[str, Any]:
    linear = getattr(fit, "rsquared", None) is not None
    loglik = getattr(fit, "llf", None)
    facts = {
        "nobs": float(fit.nobs),
        "r.squared": getattr(fit, "rsquared", None),
        "adj.r.squared": getattr(fit, "rsquared_adj", None),
        "logLik": loglik,
        "vcov": {"nonrobust": "classical"}.get(fit.cov_type, fit.cov_type),
    }
    family = type(getattr(fit.model, "family", None)).__name__
    if loglik is None or not (linear or family in COUNTED_ALIKE or family == "NoneType"):
        return facts
    # R counts the residual variance of a linear model as a parameter
    count = float(fit.nobs) - float(fit.df_resid) + linear
    return facts | {"AIC": -2 * loglik + 2 * count, "BIC": -2 * loglik + np.log(fit.nobs) * count}


def _rows_of_pyfixest(fit: Any, level: float) -> dict[str, Any]:
    limits = np.asarray(fit.confint(alpha=1 - level))
    coefficients = fit.coef()
    return {
        "term": list(coefficients.index),
        "estimate": np.asarray(coefficients),
        "std.error": np.asarray(fit.se()),
        "statistic": np.asarray(fit.tstat()),
        "p.value": np.asarray(fit.pvalue()),
        "conf.low": limits[:, 0],
        "conf.high": limits[:, 1],
    }


def _facts_of_pyfixest(fit: Any) -> dict[str, Any]:
    clusters = getattr(fit, "_clustervar", None)
    kind = getattr(fit, "_vcov_type_detail", None)
    linear = getattr(fit, "_method", "feols") == "feols"
    return {
        "nobs": float(fit._N),
        "r.squared": getattr(fit, "_r2", None) if linear else None,
        "adj.r.squared": getattr(fit, "_adj_r2", None) if linear else None,
        "vcov": "~" + " + ".join(clusters) if clusters else {"iid": "classical"}.get(str(kind), kind),
    }
