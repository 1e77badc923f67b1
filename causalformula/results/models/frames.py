"""A model as data frames with broom's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from causalformula.inference.request_text import describe
from causalformula.results.models import residuals
from causalformula.results.models.core import ModelCore

if TYPE_CHECKING:
    import pandas as pd


def glance(model: ModelCore) -> pd.DataFrame:
    """One row: ``broom::glance`` of an ``lm`` or a ``glm``, and the covariance."""
    import pandas as pd

    row = _of_lm(model) if model.regression.linear else _of_glm(model)
    row |= {
        "logLik": model.loglik,
        "AIC": model.aic,
        "BIC": model.bic,
        "deviance": model.deviance,
        "df.residual": model.df_residual,
        "nobs": model.nobs,
        "vcov": describe(model.covariance.request),
    }
    return pd.DataFrame([row])


def _of_glm(model: ModelCore) -> dict[str, Any]:
    pseudo = {} if model.regression.absorbed is None else {"pseudo.r.squared": model.pseudo_r_squared}
    return {**pseudo, "null.deviance": model.null_deviance, "df.null": model.df_null}


def _of_lm(model: ModelCore) -> dict[str, Any]:
    from scipy.special import fdtrc

    f, df1, df2 = model.fstatistic or (float("nan"), float("nan"), float("nan"))
    within = {} if model.regression.absorbed is None else {"within.r.squared": model.within_r_squared}
    return {
        "r.squared": model.r_squared,
        "adj.r.squared": model.adj_r_squared,
        **within,
        "sigma": model.sigma,
        "statistic": f,
        "p.value": float(fdtrc(df1, df2, f)),
        "df": df1,
    }


def augment(model: ModelCore) -> pd.DataFrame:
    """The rows of the fit with what the model says of each."""
    fit = model.regression
    data = model.frame.data_used()
    data[".fitted"] = fit.mu
    data[".resid"] = residuals.residuals(fit, "response")
    if fit.hat.has_leverage:
        data[".hat"] = residuals.leverages(fit)
        if fit.instrumented is not None:
            return data if not fit.weighted else data.assign(**{".weights": fit.weights})
        data[".sigma"] = residuals.leave_one_out_sigma(fit)
        data[".cooksd"] = residuals.cooks_distance(fit)
        data[".std.resid"] = residuals.standardized(fit)
    if fit.weighted:
        data[".weights"] = fit.weights
    return data
