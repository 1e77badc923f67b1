"""Results as data frames with broom's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.fit import Answer
from causalformula.inference.request_text import describe
from causalformula.results.reading.reading import Reading

if TYPE_CHECKING:
    import pandas as pd

    from causalformula.results.result import Result


def tidy_answer(answer: Answer, reading: Reading) -> pd.DataFrame:
    """One row an estimate: group columns, then term, contrast and broom's numbers."""
    import pandas as pd

    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for label in answer.labels for name, _ in label.groups):
        columns[name] = [dict(label.groups).get(name) for label in answer.labels]
    columns["term"] = [label.term for label in answer.labels]
    columns["contrast"] = [label.contrast for label in answer.labels]
    columns |= {
        "estimate": reading.estimate,
        "std.error": reading.std_error,
        "statistic": reading.statistic,
        "df": reading.df,
        "p.value": reading.p_value,
        "conf.low": reading.low,
        "conf.high": reading.high,
    }
    return pd.DataFrame(columns)


def glance_result(result: Result) -> pd.DataFrame:
    """One row: the outcome model's statistics where the result is read off one, then nobs, method, estimand, vcov."""
    import pandas as pd

    # what was derived from a fit (a hypothesis, say) is not described by the fit's R-squared
    model = None if result.query is None else result.outcome
    row: dict[str, Any] = {} if model is None else model.glance().iloc[0].drop("nobs").to_dict()
    row |= {
        "nobs": result.nobs,
        "method": result.call.record.name,
        "estimand": result.fit.estimand,
        "vcov": describe(result.covariance.request),
    }
    return pd.DataFrame([row])


def augment_result(result: Result) -> pd.DataFrame:
    """The rows used, with fitted values, residuals and design columns."""
    frame = result.call.frame
    data = frame.data_used()
    model = result.fit.models.get("outcome")
    if model is not None:
        data[".fitted"] = model.mu
        data[".resid"] = model.y - model.mu
        data[".hat"] = model.hat.leverage()
    design = result.fit.design
    if not np.all(design.weights == 1):
        data[".weights"] = design.weights
    if design.distance is not None:
        data[".distance"] = design.distance
    if design.subclass is not None:
        data[".subclass"] = design.subclass
    return data
