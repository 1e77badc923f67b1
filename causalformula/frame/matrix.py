"""``model_matrix``: R's ``model.matrix`` as a data frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from causalformula.errors import asks
from causalformula.formula.matrix.design import Contrasts
from causalformula.frame.regression_frame import bind_regression
from causalformula.words import NaAction

if TYPE_CHECKING:
    import pandas as pd
    from formulaic import Formula


@asks
def model_matrix(
    formula: str | Formula,
    data: Any,
    *,
    contrasts: Contrasts | None = None,
    na_action: NaAction = "omit",
    env: Mapping[str, Callable[..., Any]] | None = None,
) -> pd.DataFrame:
    """Design matrix of a formula, with R's columns and names.

    Parameters
    ----------
    formula : str or formulaic.Formula
        ``"y ~ x"`` or ``"~ x"``: one of R's model formulas, without causal roles.
    data : any frame that narwhals reads
    contrasts : mapping or pair of str, optional
        By variable, a name such as ``"contr.sum"`` or a matrix; or R's option, one name for factors and one for ordered
        factors.
    na_action : {"omit", "fail"}
        Drop rows with a missing value in any variable (that of the left side too), or raise.
    env : mapping of str to callable, optional
        Functions that the formula may call beside the fixed table.

    Returns
    -------
    DataFrame
        Rows kept by their labels in the data. Factor levels that no row has keep their columns.

    Raises
    ------
    FormulaError, DataError, OptionError
        For a formula or data that cannot be read.

    Notes
    -----
    R 4.2.2: ``model.matrix(formula, data)``.

    Examples
    --------
    >>> import causalformula as cf
    >>> heart = cf.datasets.load("heart")
    >>> list(cf.model_matrix("Severity ~ Drug * I.H", heart))
    ['(Intercept)', 'Drug', 'I.H', 'Drug:I.H']
    """
    import pandas as pd

    frame = bind_regression(formula, data, na_action=na_action, contrasts=contrasts, env=env, drop_unused=False)
    return pd.DataFrame(frame.X, index=frame.index, columns=list(frame.names), copy=False)
