"""The balance that each method of a comparison reached, all judged by the same covariates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.diagnostics.covariates import Covariate, covariates
from causalformula.errors import CapabilityError
from causalformula.frame.model_frame import ModelFrame
from causalformula.results.comparison.compared import Compared
from causalformula.results.designs.imbalance import measured_by, worst_imbalance

if TYPE_CHECKING:
    import pandas as pd


def balance_reached(compared: Sequence[Compared], frame: ModelFrame, estimand: str) -> pd.DataFrame:
    """See ``Comparison.balance``."""
    import pandas as pd

    if frame.spec.treatment is None:
        raise CapabilityError("balance compares the arms of treat(...), which the formula does not have")
    columns = covariates(frame)
    return pd.DataFrame([_row(one, frame, columns, estimand) for one in compared])


def _row(one: Compared, frame: ModelFrame, columns: Sequence[Covariate], estimand: str) -> dict[str, Any]:
    row: dict[str, Any] = {"name": one.asked.name, "method": one.asked.words}
    if one.fit is None:
        return row | {"weighted": None, "covariate": None, "difference": np.nan, "measure": None}
    made = one.fit.design.design_weights
    row["weighted"] = bool((made.weights != 1).any())
    worst, row["difference"] = worst_imbalance(columns, frame, one.asked.options, made, estimand)
    row["covariate"] = None if worst is None else worst.name
    row["measure"] = None if worst is None else measured_by(frame, worst)
    sizes = one.fit.design.ess()
    return row | {f"ess.{arm}": float(sizes[arm].iloc[-1]) for arm in sizes.columns}
