"""Fits of statsmodels and pyfixest as columns of a table, beside ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.errors import OptionError
from causalformula.numerics.arrays import Array
from causalformula.results.reading.reading import check_level

if TYPE_CHECKING:
    import pandas as pd

# What others call the intercept, so that it stands in one line with ours.
INTERCEPTS = {"Intercept": "(Intercept)", "const": "(Intercept)"}
# Families whose dispersion is known, so that R counts as many parameters of the likelihood as statsmodels.
COUNTED_ALIKE = ("Binomial", "Poisson")
NO_LIKELIHOOD = ("GEE", "OrdinalGEE", "NominalGEE", "RLM")
# Whose "robust" is the sandwich over groups.
BY_GROUP = ("GEE", "OrdinalGEE", "NominalGEE")
# Of a quantile regression, whose covariance statsmodels calls "nonrobust", whatever was asked for.
QUANTILES = "Kernel density"
COLUMNS = ("term", "estimate", "std.error", "statistic", "p.value", "conf.low", "conf.high")


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


def refuse_several(fit: Any) -> None:
    """A multiple fit of pyfixest is several columns, and pyfixest has the list of them."""
    if type(fit).__name__ == "FixestMulti" and "pyfixest" in type(fit).__module__:
        raise OptionError(
            f"a FixestMulti of pyfixest is {len(fit.to_list())} fits, and a column of table() is of one; write "
            "cf.table(fit.to_list())"
        )


def _rows_of_statsmodels(fit: Any, level: float) -> dict[str, Any]:
    """Of a mixed model its fixed effects: the variances beside them are of another scale, and have no such tests."""
    kind = type(fit.model).__name__
    fixed = getattr(fit, "fe_params", None)
    params = np.asarray(fit.params, dtype=float)
    if params.ndim != 1:
        raise OptionError(
            f"a fit of statsmodels' {kind} has {params.shape[1]} equations, and a column of table() is of one; there "
            "is no column for it"
        )
    try:
        columns = [np.asarray(part)[: None if fixed is None else len(fixed)] for part in _parts(fit, params, level)]
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        raise OptionError(f"a fit of statsmodels' {kind} has no table of coefficients: {error}") from None
    return dict(zip(COLUMNS, columns, strict=True))


def _parts(fit: Any, params: Array, level: float) -> list[Any]:
    """Names and numbers of all parameters; a ValueError where they are not as many."""
    limits = np.asarray(fit.conf_int(alpha=1 - level))
    parts = [_names(fit, len(params)), params, fit.bse, fit.tvalues, fit.pvalues, limits[:, 0], limits[:, 1]]
    sizes = [len(part) for part in parts]
    if len(set(sizes)) > 1:
        raise ValueError(f"there are {sizes[1]} parameters, and {sizes[0]} names for them")
    return parts


def _names(fit: Any, count: int) -> list[str]:
    """Names of the parameters: those of the regressors where there are no others."""
    index = getattr(fit.params, "index", None)
    if index is not None:
        return [str(name) for name in index]
    regressors = [str(name) for name in getattr(fit.model, "exog_names", None) or ()]
    return regressors if len(regressors) == count else [str(name) for name in fit.model.param_names]


def _facts_of_statsmodels(fit: Any) -> dict[str, Any]:
    facts = {
        "nobs": _fact(fit, "nobs"),
        "r.squared": _fact(fit, "rsquared"),
        "adj.r.squared": _fact(fit, "rsquared_adj"),
        "vcov": _covariance_of_statsmodels(fit),
    }
    # estimating equations have no likelihood, though one is computed; nor has REML one of the data
    loglik = _fact(fit, "llf")
    if loglik is None or type(fit.model).__name__ in NO_LIKELIHOOD or getattr(fit, "reml", False):
        return facts
    return facts | {"logLik": loglik, **_criteria(fit, loglik, facts["r.squared"] is not None)}


def _criteria(fit: Any, loglik: float, linear: bool) -> dict[str, Any]:
    """AIC and BIC as R counts parameters; none where R would count others."""
    family = type(getattr(fit.model, "family", None)).__name__
    if not (linear or family in (*COUNTED_ALIKE, "NoneType")):
        return {}
    if linear or family in COUNTED_ALIKE:
        # R counts the residual variance of a linear model as a parameter
        count = float(fit.nobs) - float(fit.df_resid) + linear
        return {"AIC": -2 * loglik + 2 * count, "BIC": -2 * loglik + np.log(fit.nobs) * count}
    return {"AIC": _fact(fit, "aic"), "BIC": _fact(fit, "bic")}


def _covariance_of_statsmodels(fit: Any) -> str | None:
    """What the standard errors are, in statsmodels' word where it has one."""
    kind = type(fit.model).__name__
    if kind == "QuantReg":
        return QUANTILES
    if kind == "RLM":
        return f"Huber's {fit.fit_options['cov']}"
    if kind == "MixedLM":
        return "classical"
    if kind == "PHReg":
        return "classical" if fit.model.groups is None else _clusters(None)
    word = getattr(fit, "cov_type", None)
    if word == "cluster" or (kind in BY_GROUP and word == "robust"):
        return _clusters((getattr(fit, "cov_kwds", None) or {}).get("groups"))
    return dict.fromkeys(("nonrobust", "naive"), "classical").get(word, word) if isinstance(word, str) else None


def _clusters(groups: Any) -> str:
    """Standard errors clustered by these; without their names where they have none, as arrays."""
    names = getattr(groups, "columns", [getattr(groups, "name", None)])
    return "Clustered" if any(name is None for name in names) else "~" + " + ".join(map(str, names))


def _fact(fit: Any, name: str) -> float | None:
    """A number of the fit; None where this kind of fit has none."""
    try:
        value = float(getattr(fit, name))
    except (AttributeError, NotImplementedError, TypeError):
        return None
    return None if np.isnan(value) else value


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
