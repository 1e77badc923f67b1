"""The printed forms of a model: R's ``print``, ``summary`` and ``coeftest``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from causalformula.errors import warn
from causalformula.inference.requests import Bootstrap, Classical
from causalformula.numerics.arrays import Array
from causalformula.results.effects.summary import Summary
from causalformula.results.models import residuals
from causalformula.results.models import statistics as fit_statistics
from causalformula.results.text.coefmat import T_COLUMNS, Z_COLUMNS, Cells, coefmat_cells
from causalformula.results.text.console import (
    COEFTEST_DIGITS,
    GlmText,
    LmText,
    coeftest_text,
    glm_print,
    glm_summary,
    lm_print,
    lm_summary,
    omitted_line,
)
from causalformula.results.text.numbers import format_num

if TYPE_CHECKING:
    from causalformula.results.model import Model

SUMMARY_DIGITS = 4
LIMIT_DIGITS = 5


def coefficient_table(model: Model, *, normal: bool | None = None) -> Array:
    """Estimates, standard errors, statistics and p-values (p, 4); rows of NaN where aliased."""
    reading = model.read(normal=normal)
    table = np.full((len(model.names), 4), np.nan)
    columns = (reading.estimate, reading.std_error, reading.statistic, reading.p_value)
    table[model.regression.kept] = np.column_stack(columns)
    return table


def print_text(model: Model) -> str:
    """What R's ``print`` writes, without the last line break."""
    fit = model.regression
    if fit.linear:
        return "\n".join([lm_print(model.call, model.names, fit.coef).removesuffix("\n"), *_lost(model)])
    text = glm_print(
        model.call,
        model.names,
        fit.coef,
        null_deviance=fit.null_deviance,
        deviance=fit.deviance,
        df_null=int(fit.df_null),
        df_residual=int(fit.hat.df_residual),
        aic=fit.aic,
        omitted=model.frame.dropped,
    )
    return "\n".join([text.removesuffix("\n"), *_lost(model)])


def _lost(model: Model) -> list[str]:
    """Lines on columns that only R's tolerance leaves out, which R does not print."""
    return [f"Note: {note}" for note in model.regression.lost]


def model_summary(model: Model) -> Summary:
    """R's summary under the classical covariance; under another one, its table of tests."""
    if not isinstance(model.covariance.request, Classical) or model.covariance.request.df is not None:
        heading = f"\nCall:\n{model.call}"
        return Summary((heading, *coeftest_parts(model, aliased=True), *_footer(model)))
    if fit_statistics.perfect(model.regression):
        warn("essentially perfect fit: summary may be unreliable")
    table = coefficient_table(model)
    text = lm_summary(_lm_text(model, table)) if model.regression.linear else glm_summary(_glm_text(model, table))
    cells = _cells(model.names, table, SUMMARY_DIGITS, normal=not model.t_based)
    return Summary((*split(text.removesuffix("\n"), cells), *_lost(model)))


def with_limits(model: Model, level: float) -> Summary:
    """The summary, and below it the confidence limits of the coefficients."""
    limits = model.confint(level)
    texts = [format_num(limits[name].to_numpy(), LIMIT_DIGITS) for name in limits]
    cells = Cells(model.names, tuple(limits), tuple(zip(*texts, strict=True)), False)
    return Summary((*model_summary(model).parts, f"Confidence limits, level {level:g}:", cells))


def coeftest(model: Model) -> Summary:
    """What ``lmtest::coeftest`` prints: z for a generalised linear model, t for a linear one.

    Aliased coefficients have a row under the classical covariance only, as R's ``vcov`` has and ``vcovHC`` has not.
    """
    return Summary(coeftest_parts(model, aliased=isinstance(model.covariance.request, Classical)))


def coeftest_parts(model: Model, *, aliased: bool) -> tuple[str | Cells, ...]:
    """Its heading, table and end."""
    normal = bool(np.isinf(model.covariance.df).all()) and model.regression.rank > 0
    table, names = coefficient_table(model, normal=normal), model.names
    if not aliased:
        table, names = table[model.regression.kept], model.regression.kept_names
    text = coeftest_text(table, names, statistic="z" if normal else "t")
    return split(text.removesuffix("\n"), _cells(names, table, COEFTEST_DIGITS, normal=normal))


def split(text: str, cells: Cells) -> tuple[str | Cells, ...]:
    """The text with its table as cells, so that it can be set in HTML and LaTeX too."""
    if not cells.rows or cells.text() not in text:
        return (text,)
    before, _, after = text.partition(cells.text())
    return (before.removesuffix("\n"), cells, after)


def _cells(names: Sequence[str], table: Array, digits: int, *, normal: bool) -> Cells:
    undefined = np.isnan(table[:, :1]) & np.isnan(table)
    if not len(table):
        return Cells((), (), (), False)
    return coefmat_cells(table, names, Z_COLUMNS if normal else T_COLUMNS, digits=digits, missing=undefined)


def _footer(model: Model) -> list[str]:
    lines = [f"Standard errors: {model.covariance.label}"]
    if isinstance(model.covariance.request, Bootstrap):
        lines.append(f"Intervals: {model.covariance.request.kind}")
    lines += model.covariance.notes
    lines += _lost(model)
    if model.frame.dropped:
        lines.append(omitted_line(model.frame.dropped).strip())
    return lines


def _row_names(model: Model) -> list[str] | None:
    """Row labels, which are printed only where all residuals are."""
    return [str(label) for label in model.frame.index] if model.df_residual <= 5 else None


def _lm_text(model: Model, table: Array) -> LmText:
    fit = model.regression
    squares = fit_statistics.sums_of_squares(fit)
    return LmText(
        call=model.call,
        names=model.names,
        table=table,
        residuals=residuals.weighted(fit),
        sigma=model.sigma,
        df_residual=model.df_residual,
        r_squared=squares.r_squared,
        adj_r_squared=squares.adj_r_squared,
        fstatistic=squares.fstatistic,
        residual_names=_row_names(model),
        weighted=fit.weighted and bool(np.ptp(fit.weights) > 0),
        omitted=model.frame.dropped,
    )


def _glm_text(model: Model, table: Array) -> GlmText:
    fit = model.regression
    return GlmText(
        call=model.call,
        names=model.names,
        table=table,
        deviance_residuals=residuals.deviance(fit),
        family=fit.family.name,
        dispersion=fit.hat.dispersion,
        null_deviance=fit.null_deviance,
        deviance=fit.deviance,
        df_null=int(fit.df_null),
        df_residual=int(fit.hat.df_residual),
        aic=fit.aic,
        iterations=fit.iterations,
        statistic="t" if model.t_based else "z",
        residual_names=_row_names(model),
        omitted=model.frame.dropped,
    )
