"""What the specification tests share: R's print of an ``htest``, and which models they are for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalformula.backends.options import shown
from causalformula.errors import CapabilityError, OptionError, choose
from causalformula.numerics.arrays import Codes
from causalformula.results.models.core import ModelCore
from causalformula.results.models.effects import refuse_absorbed, refuse_instrumented
from causalformula.results.models.formula import formula_text
from causalformula.results.reading.test import Test
from causalformula.results.text.numbers import format_num, format_pval


@dataclass(frozen=True)
class Named:
    """The names that R prints: of the test, of its statistic and of its degrees of freedom."""

    method: str
    statistic: str
    df: tuple[str, ...] = ()
    alternative: str = ""


def htest_text(data: str, named: Named, statistic: float, df: Sequence[float], p_value: float) -> str:
    """What R prints of an ``htest``."""
    p = format_pval([p_value], 4)[0]
    value = format_num([statistic], 5, na="NaN")[0]
    pairs = [f"{named.statistic} = {value}"]
    shown = format_num(list(df), 5) if df else []
    pairs += [f"{name} = {text.strip()}" for name, text in zip(named.df, shown, strict=True)]
    pairs.append(f"p-value {p}" if p.startswith("<") else f"p-value = {p}")
    # R writes "p-value < 2.2e-16", with a blank
    line = ", ".join(pairs).replace("p-value <", "p-value < ")
    ending = f"alternative hypothesis: {named.alternative}\n" if named.alternative else ""
    return f"\n\t{named.method}\n\ndata:  {data}\n{line}\n{ending}"


def chi_squared_test(model: ModelCore, named: Named, value: float, df: int) -> Test:
    """A statistic that is chi-squared, with R's print."""
    from scipy.special import chdtrc

    p = float(chdtrc(df, value))
    return Test(value, float(df), p, named.method, None, htest_text(formula_text(model), named, value, (df,), p))


def f_test(model: ModelCore, named: Named, value: float, df: tuple[int, int]) -> Test:
    """A statistic that is F, with R's print."""
    from scipy.special import fdtrc

    p = float(fdtrc(*df, value))
    freedom = (float(df[0]), float(df[1]))
    return Test(value, freedom, p, named.method, None, htest_text(formula_text(model), named, value, df, p))


def check_plain(model: ModelCore, name: str) -> None:
    """These tests are about unweighted least squares."""
    if not isinstance(model, ModelCore):
        raise OptionError(f"{name} takes a model of cf.lm; of a causal fit, its .outcome")
    if not model.regression.linear:
        raise CapabilityError(f"{name} is a test of linear models (cf.lm), not of a generalised one")
    if model.regression.weighted:
        raise CapabilityError(f"{name} is not defined for a weighted regression")
    refuse_absorbed(model, name)
    refuse_instrumented(model, name)


def ordered_rows(model: ModelCore, order_by: str | None) -> Codes:
    """Rows in the order of a column; as they are where none is named."""
    if order_by is None:
        return np.arange(len(model.regression.y))
    data = model.frame.data_used()
    if not isinstance(order_by, str):
        raise OptionError(f"order_by names a column, not {shown(order_by)}")
    if order_by not in data:
        raise OptionError(f"the data have no column {order_by!r}{choose(order_by, list(data))}")
    return np.asarray(np.argsort(data[order_by].to_numpy(), kind="stable"), dtype=np.intp)
