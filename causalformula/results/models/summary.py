"""The printed forms of a model: R's ``print``, ``summary`` and ``coeftest``."""

from __future__ import annotations

import numpy as np

from causalformula.errors import counted, some, warn
from causalformula.formula.language.absorbed import plain_name
from causalformula.frame.bound import BoundRows
from causalformula.frame.regression_frame import RegressionFrame
from causalformula.inference.regression import FittedRegression
from causalformula.inference.request_text import describe
from causalformula.inference.requests import Classical, Cluster
from causalformula.inference.resampling.requests import Bootstrap
from causalformula.inference.small_sample import SmallSample
from causalformula.numerics.arrays import Array
from causalformula.results.models import residuals
from causalformula.results.models import statistics as fit_statistics
from causalformula.results.models.core import ModelCore
from causalformula.results.models.formula import family_text
from causalformula.results.models.instruments import diagnostics
from causalformula.results.models.instruments import table as test_table
from causalformula.results.text.coefmat import Cells
from causalformula.results.text.console import (
    GlmText,
    LmText,
    glm_print,
    glm_summary,
    ivreg_summary,
    lm_print,
    lm_summary,
    omitted_line,
)
from causalformula.results.text.console import coeftest as coeftest_text
from causalformula.results.text.fixest import FixestText, fixest_page, statistic_text
from causalformula.results.text.numbers import format_num
from causalformula.results.text.summary import Summary

LIMIT_DIGITS = 5


def coefficient_table(model: ModelCore, *, normal: bool | None = None) -> Array:
    """Estimates, standard errors, statistics and p-values (p, 4); rows of NaN where aliased."""
    reading = model.read(normal=normal)
    table = np.full((len(model.names), 4), np.nan)
    columns = (reading.estimate, reading.std_error, reading.statistic, reading.p_value)
    table[model.regression.kept] = np.column_stack(columns)
    return table


def print_text(model: ModelCore) -> str:
    """What R's ``print`` writes, without the last line break."""
    fit = model.regression
    if fit.absorbed is not None:
        return str(model_summary(model)).removesuffix("\n")
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


def _perfect(model: ModelCore) -> bool:
    return model.regression.perfect()


def _lost(model: ModelCore) -> list[str]:
    """Lines that R does not print: on columns that only its tolerance leaves out, and what it warns of."""
    told = (*model.regression.lost, *((PERFECT,) if _perfect(model) else ()))
    return [f"Note: {note}" for note in told]


# R's warning.
PERFECT = "essentially perfect fit: summary may be unreliable"


def model_summary(model: ModelCore) -> Summary:
    """R's summary under the classical covariance, else its table of tests; fixest's where effects are absorbed."""
    if model.regression.absorbed is not None:
        return Summary((*fixest_page(_fixest_text(model)), *_told_beside(model)))
    if not plain_summary(model):
        heading = f"\nCall:\n{model.call}"
        return Summary((heading, *coeftest_parts(model, aliased=True), *_footer(model)))
    if _perfect(model):
        warn(PERFECT)
    table = coefficient_table(model)
    linear = model.regression.linear
    if model.regression.instrumented is not None:
        rows = diagnostics(model)
        parts = ivreg_summary(_lm_text(model, table), [row.name for row in rows], test_table(rows))
        return Summary((*parts, *_lost(model), *frame_notes(model)))
    parts = lm_summary(_lm_text(model, table)) if linear else glm_summary(_glm_text(model, table))
    return Summary((*parts, *_lost(model), *frame_notes(model)))


def plain_summary(model: ModelCore) -> bool:
    """Whether the summary is R's own, which says nothing of the covariance."""
    request = model.covariance.request
    if model.regression.absorbed is not None:
        return False
    return isinstance(request, Classical) and request.df is None


def frame_notes(model: ModelCore) -> list[str]:
    """What R only warns of: rows that a function made missing, text taken for a factor. The effect's print has it."""
    notes = model.frame.notes if isinstance(model.frame, RegressionFrame) else ()
    return [f"Note: {note}" for note in notes]


def model_notes(model: ModelCore) -> list[str]:
    """All that the prints of a model say in notes: of its covariance, of columns left out and of its rows."""
    return [*model.covariance.notes, *_lost(model), *frame_notes(model)]


def with_limits(model: ModelCore, level: float) -> Summary:
    """The summary, and below it the confidence limits of the coefficients."""
    limits = model.confint(level)
    texts = [format_num(limits[name].to_numpy(), LIMIT_DIGITS) for name in limits]
    cells = Cells(model.names, tuple(limits), tuple(zip(*texts, strict=True)), False)
    return Summary((*model_summary(model).parts, f"Confidence limits, level {level:g}:", cells))


def coeftest(model: ModelCore) -> Summary:
    """What ``lmtest::coeftest`` prints: z for a generalised linear model, t for a linear one.

    Aliased coefficients have a row under the classical covariance only, as R's ``vcov`` has and ``vcovHC`` has not.
    """
    return Summary(coeftest_parts(model, aliased=isinstance(model.covariance.request, Classical)))


def coeftest_parts(model: ModelCore, *, aliased: bool) -> tuple[str | Cells, ...]:
    """Its heading, table and end."""
    normal = bool(np.isinf(model.covariance.df).all()) and model.regression.rank > 0
    table, names = coefficient_table(model, normal=normal), model.names
    if not aliased:
        table, names = table[model.regression.kept], model.regression.kept_names
    return coeftest_text(table, names, statistic="z" if normal else "t")


def _footer(model: ModelCore) -> list[str]:
    lines = [f"Standard errors: {model.covariance.label}"]
    if isinstance(model.covariance.request, Bootstrap):
        lines.append(f"Intervals: {model.covariance.request.kind}")
    lines += model.covariance.notes
    lines += _lost(model)
    if model.frame.dropped:
        lines.append(omitted_line(model.frame.dropped).strip())
    return [*lines, *frame_notes(model)]


def _row_names(model: ModelCore) -> list[str] | None:
    """Row labels, which are printed only where all residuals are."""
    return [str(label) for label in model.frame.index] if model.df_residual <= 5 else None


def _lm_text(model: ModelCore, table: Array) -> LmText:
    fit = model.regression
    squares = fit_statistics.sums_of_squares(fit)
    return LmText(
        call=model.call,
        names=model.names,
        table=table,
        residuals=residuals.weighted(fit) if fit.in_memory else None,
        sigma=model.sigma,
        df_residual=model.df_residual,
        r_squared=squares.r_squared,
        adj_r_squared=squares.adj_r_squared,
        fstatistic=squares.fstatistic,
        residual_names=_row_names(model),
        weighted=fit.unequal,
        omitted=model.frame.dropped,
    )


def _glm_text(model: ModelCore, table: Array) -> GlmText:
    fit = model.regression
    return GlmText(
        call=model.call,
        names=model.names,
        table=table,
        deviance_residuals=residuals.deviance(fit) if fit.in_memory else None,
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


# What fixest calls covariances.
_SPOKEN = {"classical": "IID", "HC1": "Heteroskedasticity-robust"}


def _fixest_text(model: ModelCore) -> FixestText:
    fit = model.regression
    normal = bool(np.isinf(model.covariance.df).all())
    removed = [name for j, name in enumerate(fit.names) if j not in fit.kept]
    said = (
        f"... {counted(len(removed), 'variable')} {'was' if len(removed) == 1 else 'were'} removed because of "
        f"collinearity ({some(removed)})"
        if removed
        else ""
    )
    left, right = _statistics(fit)
    return FixestText(
        title=_fixest_title(model),
        head=[*_counts(model), *effect_lines(model.frame, "Fixed-effects"), f"Standard-errors: {_errors(model)}"],
        names=fit.kept_names,
        table=coefficient_table(model, normal=normal)[fit.kept],
        statistic="z" if normal else "t",
        removed=said,
        left=[(name, statistic_text(value)) for name, value in left],
        right=[(name, statistic_text(value)) for name, value in right if not np.isnan(value)],
        tests=() if fit.instrumented is None else _fixest_tests(model),
    )


def _kind(fit: FittedRegression) -> str:
    return "OLS" if fit.linear else "Poisson" if family_text(fit.family) == "poisson" else "GLM"


def _of(fit: FittedRegression) -> str:
    return f"family = {family_text(fit.family)}, " if _kind(fit) == "GLM" else ""


def _statistics(fit: FittedRegression) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Statistics of the fit, those on the left and those on the right."""
    if fit.instrumented is not None:  # shares of squares are of least squares
        return [("RMSE", fit_statistics.rmse(fit))], []
    if fit.linear:
        adjusted = fit_statistics.sums_of_squares(fit).adj_r_squared
        within = fit_statistics.within_r_squared(fit) if fit.rank else float("nan")
        return [("RMSE", fit_statistics.rmse(fit))], [("Adj. R2", adjusted), ("Within R2", within)]
    left = [("Log-Likelihood", fit_statistics.loglik(fit)), ("BIC", fit_statistics.bic(fit))]
    adjusted, correlation = fit_statistics.pseudo_r_squared(fit, adjusted=True), fit_statistics.squared_correlation(fit)
    return left, [("Adj. Pseudo R2", adjusted), ("Squared Cor.", correlation)]


def _fixest_title(model: ModelCore) -> str:
    fit = model.regression
    if fit.instrumented is None:
        return f"{_kind(fit)} estimation, {_of(fit)}Dep. Var.: {model.outcome_name}"
    endogenous, instruments = (", ".join(x) for x in (fit.instrumented.endogenous_names, fit.instrumented.names))
    lines = [
        f"{fit.instrumented.words} estimation: Second stage",
        f"|- D.V.   : {model.outcome_name}",
        f"|- Endo.  : {endogenous}",
    ]
    return "\n".join([*lines, f"|- Instr. : {instruments}", f"Dep. Var.: {model.outcome_name}"])


def _fixest_tests(model: ModelCore) -> list[tuple[str, float, float, float, float]]:
    """The diagnostic tests by fixest's names; those that there are."""
    names, rows = model.regression.instrumented.endogenous_names, diagnostics(model)
    called = [*(f"F-test (1st stage), {name}" for name in names), *(row.name for row in rows[len(names) :])]
    return [(n, row.df1, row.df2, row.statistic, row.p_value) for n, row in zip(called, rows, strict=True) if row.df1]


def _counts(model: ModelCore) -> list[str]:
    """Rows that take part, and those that do not."""
    frame = model.frame
    omitted = omitted_line(frame.dropped).removesuffix("\n")
    zero = weightless_line(frame.size + frame.left_out.idle - model.nobs)
    return [f"Observations: {model.nobs:,}", *([omitted] if omitted else []), *left_out_lines(frame), *zero]


def left_out_lines(frame: BoundRows) -> list[str]:
    """How many rows were left out as effects fit them exactly, or as they have no instrument."""
    out = frame.left_out
    lines = [f"{counted(out.singletons, 'fixed-effect singleton')} {_was(out.singletons)}"] if out.singletons else []
    for name, levels, rows in out.infinite:
        lines.append(
            f"{counted(rows, 'row')} of {counted(levels, 'level')} of {name} with {out.ends} outcomes {_was(rows)}"
        )
    if out.alone:
        lines.append(
            f"{counted(out.alone, 'row')} without another row in the group of {out.alone_in} {_was(out.alone)}"
        )
    return [f"  ({line} removed)" for line in lines]


def weightless_line(count: int) -> list[str]:
    """How many rows have the weight zero; no line where none has."""
    return [f"  ({counted(count, 'row')} of weight zero {'takes' if count == 1 else 'take'} no part)"] if count else []


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def effect_lines(frame: BoundRows, title: str) -> list[str]:
    """The factors that are absorbed with their numbers of levels, and slopes that differ by factor."""
    sizes = {one.name: f"{len(np.unique(one.grouping.codes)):,}" for one in frame.effects}
    lines = [f"{title}: {',  '.join(f'{name}: {size}' for name, size in sizes.items())}"] if sizes else []
    slopes = [
        f"{plain_name(node)} ({one.name}): {sizes[one.name]}" for one in frame.effects for node in one.term.slopes
    ]
    return [*lines, *([f"Varying slopes: {',  '.join(slopes)}"] if slopes else [])]


def _errors(model: ModelCore) -> str:
    """The covariance in fixest's words, where it has one, else in ours."""
    request = model.covariance.request
    if request.df is None and not (getattr(request, "ssc", None) or SmallSample()).words:
        if isinstance(request, Cluster) and request.type is None:
            return f"Clustered ({' & '.join(request.by)}) "
        if (known := _SPOKEN.get(describe(request))) is not None:
            return f"{known} "
    return model.covariance.label


def _told_beside(model: ModelCore) -> list[str]:
    """What is to be said below the page."""
    lines = [f"Intervals: {model.covariance.request.kind}"] if isinstance(model.covariance.request, Bootstrap) else []
    return [*lines, *model.covariance.notes, *_lost(model), *frame_notes(model)]
