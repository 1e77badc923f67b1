"""A fitted regression as statsmodels' results, for those who want its toolbox."""

from __future__ import annotations

from typing import Any

import numpy as np

from causalformula.errors import CapabilityError, warn
from causalformula.inference.covariance import Covariance
from causalformula.inference.request_text import describe
from causalformula.inference.requests import Classical
from causalformula.numerics.families import Family
from causalformula.results.models.core import ModelCore
from causalformula.results.models.effects import refuse_absorbed, refuse_instrumented
from causalformula.results.reading.estimates import cov_type

FAMILIES = {
    "gaussian": "Gaussian",
    "binomial": "Binomial",
    "quasibinomial": "Binomial",
    "poisson": "Poisson",
    "quasipoisson": "Poisson",
    "Gamma": "Gamma",
    "inverse.gaussian": "InverseGaussian",
}
LINKS = {
    "identity": "Identity",
    "log": "Log",
    "logit": "Logit",
    "probit": "Probit",
    "cauchit": "Cauchy",
    "cloglog": "CLogLog",
    "inverse": "InversePower",
    "1/mu^2": "InverseSquared",
    "sqrt": "Sqrt",
}


def to_statsmodels(model: ModelCore) -> Any:
    """The equivalent statsmodels results (``OLS``, ``WLS`` or ``GLM``), fitted on the same rows.

    Aliased columns and rows of weight zero are left out. R's prior weights are statsmodels' ``var_weights``: they scale
    the variance and do not count rows.

    The model's covariance comes along, since statsmodels' own HC1 to HC3 of a GLM are its HC0: standard errors, tests
    and limits are those of the model, and ``cov_type`` names it. What does not fit into one covariance and one number
    of degrees of freedom gives a ``CausalFormulaWarning``.
    """
    import pandas as pd

    refuse_absorbed(model, "a fit of statsmodels")
    refuse_instrumented(model, "a fit of statsmodels", "its coefficients are in params and cov_params()")
    fit = model.regression
    used = fit.weights > 0
    index = model.frame.index[used]
    X = pd.DataFrame(fit.design[used], index=index, columns=list(fit.kept_names))
    y = pd.Series(fit.y[used], index=index, name=model.outcome_name)
    offset = None if fit.offset is None else fit.offset[used]
    weights = fit.weights[used] if fit.weighted else None
    results = _linear(y, X, weights, offset) if fit.linear else _generalised(y, X, fit.family, weights, offset)
    if not isinstance(model.covariance.request, Classical) or model.covariance.request.df is not None:
        _set_covariance(results._results, model.covariance)
    return results


def _set_covariance(results: Any, covariance: Covariance) -> None:
    """What statsmodels' ``get_robustcov_results`` leaves behind, with our matrix."""
    request, df = covariance.request, covariance.df
    results.cov_params_default = covariance.matrix.copy()
    results.cov_type = cov_type(request)
    results.cov_kwds = {"description": f"Standard errors: {covariance.label}"}
    results.use_t = bool(np.isfinite(df).all())
    if results.use_t:
        results.df_resid_inference = float(df.min())
    if covariance.draws is not None or covariance.reference is not None:
        tests = "t tests" if results.use_t else "normal tests"
        lost = f"limits and p-values of vcov={describe(request)!r} come from its replicates"
    elif len(df) and df.min() != df.max():
        tests = "t tests with the smallest of them"
        lost = f"vcov={describe(request)!r} has degrees of freedom of its own for each coefficient"
    else:
        return
    warn(f"{lost}; statsmodels keeps the standard errors, with {tests}")


def _linear(y: Any, X: Any, weights: Any, offset: Any) -> Any:
    from statsmodels.regression.linear_model import OLS, WLS

    y = y if offset is None else y - offset
    return OLS(y, X).fit() if weights is None else WLS(y, X, weights=weights).fit()


def _generalised(y: Any, X: Any, family: Family, weights: Any, offset: Any) -> Any:
    import statsmodels.api as sm

    if family.name not in FAMILIES or family.link_name not in LINKS:
        raise CapabilityError(f"statsmodels has no family like {family}")
    link = getattr(sm.families.links, LINKS[family.link_name])()
    own = getattr(sm.families, FAMILIES[family.name])(link=link)
    given = {} if weights is None else {"var_weights": np.asarray(weights)}
    scale = "X2" if family.name.startswith("quasi") else None
    return sm.GLM(y, X, family=own, offset=offset, **given).fit(scale=scale, tol=1e-10, maxiter=100)
