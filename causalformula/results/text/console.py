"""The console texts of R 4.2.2: ``print`` and ``summary`` of ``lm`` and ``glm``, ``coeftest`` and ``anova``.

Each function takes plain values and returns what R writes to the console, trailing newlines included; those whose
tables are set in HTML and LaTeX too return the parts of a `Summary`. Coefficients that R leaves undefined (aliased
columns) are rows whose estimate is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from causalformula.numerics.arrays import Array, Bools
from causalformula.results.text.coefmat import DIGITS, T_COLUMNS, Z_COLUMNS, Cells, coefmat_cells
from causalformula.results.text.numbers import (
    as_table,
    format_c,
    format_each,
    format_int,
    format_num,
    format_pval,
    quantile7,
    signif,
    zapsmall,
)
from causalformula.results.text.page import vector_text

COEFTEST_DIGITS = 5
Parts = tuple[str | Cells, ...]
_QUARTILES = ("Min", "1Q", "Median", "3Q", "Max")


@dataclass(frozen=True)
class LmText:
    """What the printed summary of a linear model shows.

    Attributes
    ----------
    call : str
        The call, line breaks included.
    names : sequence of str
        The coefficients' names, aliased ones included.
    table : array_like, shape (coefficients, 4)
        Estimate, standard error, t and p; rows of NaN for aliased coefficients.
    residuals : array_like
        The residuals, times the square root of the weights when weighted; None where they are not in memory.
    sigma : float
        The residual standard error.
    df_residual : int
        The residual degrees of freedom.
    r_squared, adj_r_squared : float
        The coefficients of determination.
    fstatistic : tuple of float, optional
        The F statistic and its two degrees of freedom; absent without regressors.
    residual_names : sequence of str, optional
        The row labels, printed when all residuals are.
    weighted : bool
        Whether the model has weights that are not all equal.
    omitted : int
        The rows dropped for missing values.
    """

    call: str
    names: Sequence[str]
    table: ArrayLike
    residuals: ArrayLike | None
    sigma: float
    df_residual: int
    r_squared: float = math.nan
    adj_r_squared: float = math.nan
    fstatistic: tuple[float, float, float] | None = None
    residual_names: Sequence[str] | None = None
    weighted: bool = False
    omitted: int = 0


@dataclass(frozen=True)
class GlmText:
    """What the printed summary of a generalised linear model shows.

    Attributes
    ----------
    call, names, table, residual_names, omitted
        As in `LmText`.
    deviance_residuals : array_like
        The deviance residuals.
    family : str
        R's name of the family, such as ``"binomial"``.
    dispersion : float
        The dispersion by which the standard errors were scaled.
    null_deviance, deviance : float
        The deviances of the model with an intercept only and of this one.
    df_null, df_residual : int
        Their degrees of freedom.
    aic : float
        Akaike's criterion; NaN (written NA) for a quasi-family.
    iterations : int
        The number of Fisher scoring iterations.
    statistic : {"z", "t"}
        The test of the coefficients: z where the dispersion is known.
    """

    call: str
    names: Sequence[str]
    table: ArrayLike
    deviance_residuals: ArrayLike | None
    family: str
    dispersion: float
    null_deviance: float
    deviance: float
    df_null: int
    df_residual: int
    aic: float
    iterations: int
    statistic: str = "z"
    residual_names: Sequence[str] | None = None
    omitted: int = 0


# ---- pieces ------------------------------------------------------------------------------------------------------


# Of rows that are not in memory.
NO_RESIDUALS = "not in memory; quantiles of them take a sample of the rows\n"


def omitted_line(omitted: int) -> str:
    """Return the line that counts the rows dropped for missing values; empty when there is none."""
    if not omitted:
        return ""
    noun = "observation" if omitted == 1 else "observations"
    return f"  ({omitted} {noun} deleted due to missingness)\n"


def _undefined(table: Array) -> Bools:
    """Return which NaNs are R's NA: those of coefficients without an estimate (a NaN error is written NaN)."""
    return np.isnan(table[:, :1]) & np.isnan(table)


def _with_coefficients(
    before: str, names: Sequence[str], table: ArrayLike, cols: Sequence[str], digits: int, stars: bool, after: str
) -> Parts:
    """Return the block of coefficients, its heading included, between what stands above and below it."""
    if not len(names):
        return (f"{before}\nNo Coefficients\n{after}".removesuffix("\n"),)
    xm = as_table(table)
    aliased = int(np.isnan(xm[:, 0]).sum())
    note = f" ({aliased} not defined because of singularities)" if aliased else ""
    cells = coefmat_cells(xm, names, cols, digits=digits, signif_stars=stars, missing=_undefined(xm))
    return f"{before}\nCoefficients:{note}", cells, after.removesuffix("\n")


def _residual_block(
    residuals: Array, names: Sequence[str] | None, df_residual: int, digits: int, gap: int, zap_all: bool
) -> str:
    """Return the five quantiles of the residuals, or all of them when there are few degrees of freedom."""
    if df_residual > 5:
        known = residuals[~np.isnan(residuals)]
        return vector_text(format_num(zapsmall(quantile7(known), digits + 1), digits), _QUARTILES, gap)
    shown = zapsmall(residuals, digits + 1) if zap_all else residuals
    return vector_text(format_num(shown, digits), names, gap)


def _named_coefficients(names: Sequence[str], coefficients: ArrayLike, digits: int) -> str:
    return vector_text(format_num(coefficients, digits), names, gap=2)


def _upper_f(f: float, df1: float, df2: float) -> float:
    """Return P(F > f); NaN where there is no distribution."""
    from scipy.special import fdtrc

    if math.isnan(f) or df1 <= 0 or df2 <= 0:
        return math.nan
    return float(fdtrc(df1, df2, f))


# ---- lm ----------------------------------------------------------------------------------------------------------


def lm_print(call: str, names: Sequence[str], coefficients: ArrayLike, *, digits: int = DIGITS) -> str:
    """Return what ``print(lm(...))`` writes.

    Parameters
    ----------
    call : str
        The call, line breaks included.
    names : sequence of str
        The coefficients' names.
    coefficients : array_like
        The estimates; NaN for aliased ones.
    digits : int
        Significant digits.
    """
    if not len(names):
        return f"\nCall:\n{call}\n\nNo coefficients\n\n"
    return f"\nCall:\n{call}\n\nCoefficients:\n{_named_coefficients(names, coefficients, digits)}\n"


def lm_summary(model: LmText, *, digits: int = DIGITS, signif_stars: bool = True) -> Parts:
    """Return what ``print(summary(lm(...)))`` writes."""
    weighted = "Weighted " if model.weighted else ""
    text = f"\nCall:\n{model.call}\n\n{weighted}Residuals:\n"
    if model.residuals is None:
        text += NO_RESIDUALS
    elif model.df_residual > 0:
        residuals = np.asarray(model.residuals, dtype=float)
        text += _residual_block(residuals, model.residual_names, model.df_residual, digits, gap=1, zap_all=False)
    else:
        rank = int((~np.isnan(as_table(model.table)[:, 0])).sum())
        text += f"ALL {rank} residuals are 0: no residual degrees of freedom!\n"
    after = f"\n{_fit_lines(model, digits)}\n"
    return _with_coefficients(text, model.names, model.table, T_COLUMNS, digits, signif_stars, after)


def ivreg_summary(model: LmText, tests: Sequence[str], rows: ArrayLike, *, digits: int = DIGITS) -> Parts:
    """Return what ``print(summary(ivreg(...)))`` writes.

    Parameters
    ----------
    model : LmText
        ``fstatistic`` is Wald's.
    tests : sequence of str
        The diagnostic tests.
    rows : array_like, shape (tests, 4)
        Their degrees of freedom, statistics and p-values.
    """
    text = f"\nCall:\n{model.call}\n\n{'Weighted ' if model.weighted else ''}Residuals:\n"
    # unlike lm's, quantiles tiny beside the largest are not rounded to zero
    shown = np.asarray(model.residuals) if model.df_residual <= 5 else quantile7(np.asarray(model.residuals))
    text += vector_text(format_num(shown, digits), model.residual_names if model.df_residual <= 5 else _QUARTILES, 1)
    cells = coefmat_cells(as_table(model.table), model.names, T_COLUMNS, digits=digits, signif_legend=False)
    tested = coefmat_cells(
        rows, tests, ("df1", "df2", "statistic", "p-value"), digits=digits, cs_ind=(0, 1), tst_ind=(2,),
        has_Pvalue=True, P_values=True, na_print="NA",
    )  # fmt: skip
    fit = _fit_lines(model, digits).replace("R-squared:  ", "R-Squared: ", 1).replace("R-squared:  ", "R-squared: ")
    lines = fit.replace("F-statistic", "Wald test")
    return f"{text}\nCoefficients:", cells, "\nDiagnostic tests:", tested, f"\n{lines}"


def _fit_lines(model: LmText, digits: int) -> str:
    """Return the residual standard error, the rows dropped, and (with regressors) R-squared and the F test."""
    sigma = format_num(signif(model.sigma, digits), na="NaN")[0]
    text = f"Residual standard error: {sigma} on {model.df_residual} degrees of freedom\n{omitted_line(model.omitted)}"
    if model.fstatistic is None:
        return text
    f, df1, df2 = model.fstatistic
    p = format_pval([_upper_f(f, df1, df2)], digits)[0]
    dfs = " and ".join(format_each([df1, df2]))
    return (
        f"{text}Multiple R-squared:  {format_c(model.r_squared, digits)},"
        f"\tAdjusted R-squared:  {format_c(model.adj_r_squared, digits)} \n"
        f"F-statistic: {format_c(f, digits)} on {dfs} DF,  p-value: {p}\n"
    )


# ---- glm ---------------------------------------------------------------------------------------------------------


def glm_print(
    call: str,
    names: Sequence[str],
    coefficients: ArrayLike,
    *,
    null_deviance: float,
    deviance: float,
    df_null: int,
    df_residual: int,
    aic: float,
    omitted: int = 0,
    digits: int = DIGITS,
) -> str:
    """Return what ``print(glm(...))`` writes; the arguments are as in `lm_print` and `GlmText`."""
    body = "No coefficients\n\n"
    if len(names):
        body = f"Coefficients:\n{_named_coefficients(names, coefficients, digits)}"
    # a quasi-family has no likelihood (NA); a deviance that is no number is NaN
    numbers = ((null_deviance, "NaN"), (deviance, "NaN"), (aic, "NA"))
    null, residual, criterion = (format_num(signif(v, digits), na=na)[0] for v, na in numbers)
    return (
        f"\nCall:  {call}\n\n{body}\n"
        f"Degrees of Freedom: {df_null} Total (i.e. Null);  {df_residual} Residual\n{omitted_line(omitted)}"
        f"Null Deviance:\t    {null} \nResidual Deviance: {residual} \tAIC: {criterion}\n"
    )


def glm_summary(model: GlmText, *, digits: int = DIGITS, signif_stars: bool = True) -> Parts:
    """Return what ``print(summary(glm(...)))`` writes."""
    cols = Z_COLUMNS if model.statistic == "z" else T_COLUMNS
    shown = NO_RESIDUALS
    if model.deviance_residuals is not None:
        residuals = np.asarray(model.deviance_residuals, dtype=float)
        shown = _residual_block(residuals, model.residual_names, model.df_residual, digits, gap=2, zap_all=True)
    before = f"\nCall:\n{model.call}\n\nDeviance Residuals: \n{shown}"
    after = f"{_deviance_lines(model, digits)}\nNumber of Fisher Scoring iterations: {model.iterations}\n\n"
    return _with_coefficients(before, model.names, model.table, cols, digits, signif_stars, after)


def _deviance_lines(model: GlmText, digits: int) -> str:
    """Return the dispersion, the two deviances with their degrees of freedom, the rows dropped and the AIC."""
    dispersion = format_num([model.dispersion], na="NaN")[0]
    deviances = format_num([model.null_deviance, model.deviance], max(5, digits + 1), na="NaN")
    dfs = format_int([model.df_null, model.df_residual])
    # A quasi-family has no likelihood (NA); elsewhere a missing criterion is a failed computation (NaN).
    aic = format_num([model.aic], max(4, digits + 1), na="NA" if model.family.startswith("quasi") else "NaN")[0]
    return (
        f"\n(Dispersion parameter for {model.family} family taken to be {dispersion})\n\n"
        f"    Null deviance: {deviances[0]}  on {dfs[0]}  degrees of freedom\n"
        f"Residual deviance: {deviances[1]}  on {dfs[1]}  degrees of freedom\n"
        f"{omitted_line(model.omitted)}AIC: {aic}\n"
    )


# ---- tests -------------------------------------------------------------------------------------------------------


def coeftest(table: ArrayLike, names: Sequence[str], *, statistic: str = "t", digits: int = COEFTEST_DIGITS) -> Parts:
    """Return what ``lmtest::coeftest`` prints.

    Parameters
    ----------
    table : array_like, shape (coefficients, 4)
        Estimate, standard error, statistic and p; rows of NaN for aliased coefficients.
    names : sequence of str
        The coefficients' names.
    statistic : {"t", "z"}
        The test.
    digits : int
        Significant digits.
    """
    xm = as_table(table)
    cols = T_COLUMNS if statistic == "t" else Z_COLUMNS
    if not len(xm):
        return (f"\n{statistic} test of coefficients:\n\n",)
    cells = coefmat_cells(xm, names, cols, digits=digits, missing=_undefined(xm))
    return f"\n{statistic} test of coefficients:\n", cells, ""


def anova_text(
    table: ArrayLike,
    rows: Sequence[str],
    cols: Sequence[str],
    *,
    heading: str,
    digits: int = COEFTEST_DIGITS,
    signif_stars: bool = True,
    missing: ArrayLike | None = None,
) -> str:
    """Return what printing an ``anova`` table writes.

    Parameters
    ----------
    table : array_like, shape (terms, columns)
        Degrees of freedom, sums of squares, test and p-value.
    rows, cols : sequence of str
        The terms and R's column names.
    heading : str
        The lines above the table, such as ``Analysis of Variance Table``, an empty line and ``Response: y``.
    digits : int
        Significant digits.
    signif_stars : bool
        Whether stars mark the p-values.
    missing : array_like of bool, optional
        Which NaNs are R's NA, which are left blank; the others are written NaN. All of them when absent.
    """
    has_p = cols[-1].startswith(("Pr(", "P("))
    tests = [j for j, c in enumerate(cols) if c[1:7] == " value" or c in ("F", "Cp", "Chisq")]
    sums = range(len(cols) - has_p)
    zap = [j for j in sums if j not in tests and not cols[j].endswith("Df")]
    cells = coefmat_cells(
        table,
        rows,
        cols,
        digits=digits,
        signif_stars=signif_stars,
        cs_ind=(),
        tst_ind=tests,
        zap_ind=zap,
        P_values=has_p,
        has_Pvalue=has_p,
        na_print="",
        missing=missing,
    )
    return f"{heading}\n{cells}"
