"""A fitted regression as a model of the package marginaleffects, for its comparisons, slopes and pictures."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np

from causalformula.errors import CapabilityError
from causalformula.results.models.core import ModelCore
from causalformula.results.models.effects import refuse_absorbed


def to_marginaleffects(model: ModelCore) -> Any:
    """What ``marginaleffects.avg_comparisons`` and its like take as their model.

    Its predictions are those of ``predict(type="response")`` on whatever data marginaleffects makes up; its ``vcov=``
    takes what ``with_vcov`` takes.
    """
    refuse_absorbed(model, "a model for marginaleffects")
    if model.replay is None:
        raise CapabilityError("this model was not made from a formula, so it cannot predict for new data")
    try:
        from marginaleffects.classes import ModelAbstract, ModelVault
        from marginaleffects.utils import ingest
    except ImportError as error:
        raise CapabilityError("install causalformula[marginaleffects] for marginaleffects") from error
    import polars as pl

    fit, replay = model.regression, model.replay
    data = ingest(model.frame.data_used())

    class Adapter(ModelAbstract):  # type: ignore[misc, valid-type]
        """Its methods are marginaleffects' own; a design is passed on with its offset as a last column."""

        def find_predictors(self) -> list[str]:
            return [name for name in replay.recipe.variables if name in data.columns]

        def find_variables(self) -> list[str]:
            return [*([model.outcome_name] if model.outcome_name in data.columns else []), *self.find_predictors()]

        def get_vcov(self, vcov: Any = True) -> Any:
            if isinstance(vcov, (bool, np.bool_)):
                return model.covariance.matrix if vcov else None
            return model.with_vcov(vcov).covariance.matrix

        def get_exog(self, newdata: Any) -> Any:
            X, offset, _ = replay.design(newdata)
            return np.column_stack([X[:, fit.kept], np.zeros(len(X)) if offset is None else offset])

        def get_predict(self, params: Any, newdata: Any) -> Any:
            eta = newdata[:, :-1] @ np.asarray(params) + newdata[:, -1]
            rows = pl.Series("rowid", range(len(eta)), dtype=pl.Int32)
            return pl.DataFrame([rows, pl.Series("estimate", fit.family.linkinv(eta))])

        def get_df(self) -> float:
            return float(model.df_residual)

    vault = ModelVault(
        coef=fit.theta,
        coefnames=np.array(fit.kept_names),
        formula=replay.design,  # a function, so that no other formula language reads ours
        modeldata=data,
        package="causalformula",
    )
    try:
        return Adapter(model, vault)
    except pl.exceptions.PolarsError as error:  # it looks at the data, in ways that polars may have dropped
        raise CapabilityError(_apart(error)) from error


def _apart(error: Exception) -> str:
    """Why marginaleffects does not take the data, and which polars it ran beside."""
    theirs, polars = version("marginaleffects"), version("polars")
    reason = str(error).partition("\n")[0]
    return f'marginaleffects {theirs} does not run beside polars {polars} ({reason}); 0.6 does beside "polars<2"'
