"""Results as data frames with broom's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.inference.evidence import Influence, Repeated
from causalformula.inference.request_text import HELD, describe
from causalformula.inference.requests import Asympt
from causalformula.results.effects.core import ResultCore
from causalformula.results.models.core import ModelCore
from causalformula.results.models.frames import glance

if TYPE_CHECKING:
    import pandas as pd


def glance_result(result: ResultCore, model: ModelCore | None) -> pd.DataFrame:
    """One row: the outcome model's statistics where the result is read off one, then nobs, method, estimand, vcov."""
    import pandas as pd

    row: dict[str, Any] = {} if model is None else glance(model).iloc[0].drop("nobs").to_dict()
    row |= {
        "nobs": result.nobs,
        "method": result.call.record.name,
        "estimand": result.fit.estimand,
        "vcov": _vcov(result),
    }
    return pd.DataFrame([row])


def _vcov(result: ResultCore) -> str:
    """The request; where nuisances are held fixed, nothing is stacked, and it is the influence function's."""
    request, evidence = result.covariance.request, result.answer.estimate.evidence
    parts = evidence.parts if isinstance(evidence, Repeated) else (evidence,)
    held = all(isinstance(part, Influence) and part.held for part in parts)
    return HELD if held and isinstance(request, Asympt) else describe(request)


def augment_result(result: ResultCore) -> pd.DataFrame:
    """The rows used, with fitted values, residuals and design columns."""
    frame = result.call.frame
    data = frame.data_used()
    behind = result.fit.models.get("outcome")
    if behind is not None:
        model = behind.model
        data[".fitted"] = model.mu
        data[".resid"] = model.y - model.mu
        if model.hat.has_leverage:
            data[".hat"] = model.hat.leverage()
    design = result.fit.design
    if not np.all(design.weights == 1):
        data[".weights"] = design.weights
    if design.distance is not None:
        data[".distance"] = design.distance
    if design.subclass is not None:
        data[".subclass"] = design.subclass
    return data
