"""The pages of omitted confounders of a linear model: sensemakr's summary, word for word, and one of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from causalformula.inference.sensitivity.linear import Hypothesis, LinearEffect
from causalformula.results.text.cobalt import bare_text
from causalformula.results.text.coefmat import Cells, limit_names
from causalformula.results.text.numbers import format_each, format_num, r_round
from causalformula.results.text.summary import Summary

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 4
# Columns of our own page, which carries limits.
PAGE = 110
# As many digits as R's paste() writes.
PASTED = 15
SCALE = "unobserved confounders (orthogonal to the covariates)"
TABLE = {
    "bound_label": "Bound Label", "r2dz.x": "R2dz.x", "r2yz.dx": "R2yz.dx", "treatment": "Treatment",
    "adjusted_estimate": "Adjusted Estimate", "adjusted_se": "Adjusted Se", "adjusted_t": "Adjusted T",
    "adjusted_lower_CI": "Adjusted Lower CI", "adjusted_upper_CI": "Adjusted Upper CI",
}  # fmt: skip


def rounded(x: float, digits: int = 7) -> str:
    """A number of four decimals, written as R's ``cat`` does, or as ``paste`` with its 15 digits."""
    return format_each([r_round([x], DIGITS)[0]], digits)[0]


def percent(share: float) -> str:
    """A share in percent of two decimals."""
    return f"{format_each([r_round([100 * share], 2)[0]], PASTED)[0]}%"


def sensemakr_text(effect: LinearEffect, label: str, formula: str, asked: Hypothesis, bounds: pd.DataFrame) -> str:
    """What R prints for ``summary(sensemakr(...))``.

    Parameters
    ----------
    effect : LinearEffect
    label : str
        Of the treatment.
    formula : str
        With R's line breaks.
    asked : Hypothesis
    bounds : DataFrame
        May have no rows.
    """
    null = asked.null(effect.estimate)
    way = "reduce" if asked.reduce else "increase"
    lines = [
        "Sensitivity Analysis to Unobserved Confounding\n",
        f"Model Formula: {formula}\n",
        f"Null hypothesis: q = {asked.q:g} and reduce = {str(asked.reduce).upper()} ",
        f"-- This means we are considering biases that {way} the absolute value of the current estimate.",
        f"-- The null hypothesis deemed problematic is H0:tau = {rounded(null)} \n",
        f"Unadjusted Estimates of '{label}': ",
        f"  Coef. estimate: {rounded(effect.estimate)} ",
        f"  Standard Error: {rounded(effect.se)} ",
        f"  t-value (H0:tau = {rounded(null, PASTED)}): {rounded(effect.t(null))} \n",
        "Sensitivity Statistics:",
        f"  Partial R2 of treatment with outcome: {rounded(effect.r2)} ",
        f"  Robustness Value, q = {asked.q:g}: {rounded(effect.robustness(asked.q))} ",
        f"  Robustness Value, q = {asked.q:g}, alpha = {asked.alpha:g}: "
        f"{rounded(effect.robustness(asked.q, asked.alpha))} \n",
        *_verbal(effect, asked),
    ]
    return "\n".join(lines) + (f"\n\n{_bounds(bounds)}" if len(bounds) else "")


def _verbal(effect: LinearEffect, asked: Hypothesis) -> list[str]:
    null = rounded(asked.null(effect.estimate), PASTED)
    share = f"(a bias of {100 * asked.q:g}% of the original estimate)"
    plain, tested = effect.robustness(asked.q), effect.robustness(asked.q, asked.alpha)
    point = f"bring the point estimate to {null}"
    reach = f"bring the estimate to a range where it is no longer 'statistically different' from {null}"
    level = f", at the significance level of alpha = {asked.alpha:g}"
    return [
        "Verbal interpretation of sensitivity statistics:\n",
        "-- Partial R2 of the treatment with the outcome: an extreme confounder (orthogonal to the covariates) that "
        "explains 100% of the residual variance of the outcome, would need to explain at least "
        f"{percent(effect.r2)} of the residual variance of the treatment to fully account for the observed estimated "
        "effect.\n",
        f"-- Robustness Value, q = {asked.q:g}: {_enough(plain)} {point} {share}. {_short(plain)} {point}.\n",
        f"-- Robustness Value, q = {asked.q:g}, alpha = {asked.alpha:g}: {_enough(tested)} {reach} {share}{level}. "
        f"{_short(tested)} {reach}{level}.",
    ]


def _enough(share: float) -> str:
    return (
        f"{SCALE} that explain more than {percent(share)} of the residual variance of both the treatment and the "
        "outcome are strong enough to"
    )


def _short(share: float) -> str:
    return (
        f"Conversely, unobserved confounders that do not explain more than {percent(share)} of the residual variance "
        "of both the treatment and the outcome are not strong enough to"
    )


def _bounds(bounds: pd.DataFrame) -> str:
    return (
        "Bounds on omitted variable bias:\n\n--The table below shows the maximum strength of unobserved confounders "
        "with association with the treatment and the outcome bounded by a multiple of the observed explanatory power "
        f"of the chosen benchmark covariate(s).\n\n{bare_text(_columns(bounds)).removesuffix(chr(10))}"
    )


def _columns(bounds: pd.DataFrame) -> list[tuple[str, Sequence[str]]]:
    """The columns as R writes a data frame of numbers of four decimals."""
    written = []
    for name, head in TABLE.items():
        values = bounds[name].tolist()
        text = isinstance(values[0], str)
        written.append((head, values if text else format_num(r_round(values, DIGITS))))
    return written


# ---- the page of our own -------------------------------------------------------------------------------------------


class Found(Protocol):
    """What is printed."""

    labels: tuple[str, ...]
    effects: tuple[LinearEffect, ...]
    asked: Hypothesis
    bounds: pd.DataFrame
    outcome: str
    formula: str
    notes: tuple[str, ...]

    def _sentences(self) -> list[str]: ...


def page(found: Found) -> Summary:
    """One page: the numbers, confounders like the benchmarks, what would have to be true, and notes."""
    asked = found.asked
    parts: list[str | Cells] = [
        f"Sensitivity to omitted confounders: {found.labels[0] if len(found.labels) == 1 else 'effects'} on "
        f"{found.outcome}",
        f"Formula: {found.formula}",
        f"Null hypothesis: {_null(asked)}",
        "",
        _statistics(found),
        "",
        "Partial R2: of the treatment with the outcome. RV: the share of the residual variance of both that",
        f"confounders must explain to take the estimate to Null; RV {asked.alpha:g}: to take its significance away",
    ]
    if len(found.bounds):
        parts += ["", "Confounders as strong as observed covariates, times so many:", _benchmarked(found)]
    parts += ["", *found._sentences(), *(f"Note: {note}" for note in found.notes)]
    return Summary(tuple(parts))


def _statistics(found: Found) -> Cells:
    asked, effects = found.asked, found.effects
    columns = {
        "Estimate": format_num([one.estimate for one in effects], DIGITS),
        "Std. Error": format_num([one.se for one in effects], DIGITS),
        "t value": format_num([one.t() for one in effects], DIGITS),
        "df": format_num([one.df for one in effects], DIGITS),
        "Null": format_num([asked.null(one.estimate) for one in effects], DIGITS),
        "Partial R2": [percent(one.r2) for one in effects],
        "RV": [percent(one.robustness(asked.q)) for one in effects],
        f"RV {asked.alpha:g}": [percent(one.robustness(asked.q, asked.alpha)) for one in effects],
    }
    return _cells(found.labels, columns)


def _benchmarked(found: Found) -> Cells:
    bounds, several = found.bounds, len(found.labels) > 1
    low, high = limit_names(1 - found.asked.alpha)
    columns = {
        "R2 treatment": [percent(x) for x in bounds["r2dz.x"]],
        "R2 outcome": [percent(x) for x in bounds["r2yz.dx"]],
        "Estimate": format_num(bounds["adjusted_estimate"].to_numpy(), DIGITS),
        "Std. Error": format_num(bounds["adjusted_se"].to_numpy(), DIGITS),
        "t value": format_num(bounds["adjusted_t"].to_numpy(), DIGITS),
        low: format_num(bounds["adjusted_lower_CI"].to_numpy(), DIGITS),
        high: format_num(bounds["adjusted_upper_CI"].to_numpy(), DIGITS),
    }
    names = [
        f"{label}, {treatment}" if several else label
        for label, treatment in zip(bounds["bound_label"], bounds["treatment"], strict=True)
    ]
    return _cells(names, columns)


def _cells(rows: Sequence[str], columns: Mapping[str, Sequence[str]]) -> Cells:
    body = tuple(tuple(column[k] for column in columns.values()) for k in range(len(rows)))
    return Cells(tuple(rows), tuple(columns), body, legend=False, width=PAGE)


def _null(asked: Hypothesis) -> str:
    if asked.reduce and asked.q == 1:
        return "no effect"
    return f"an effect {100 * asked.q:g}% {'smaller' if asked.reduce else 'larger'} than the estimate"


def sentence(one: LinearEffect, head: str, asked: Hypothesis) -> str:
    """What would have to be true to explain an effect away; ``head`` says of which, where there are several."""
    null = f"{asked.null(one.estimate):.4g}"
    away = "explain it away" if asked.reduce and asked.q == 1 else f"explain an effect of {null}"
    plain, tested = one.robustness(asked.q), one.robustness(asked.q, asked.alpha)
    most = asked.q**2 * one.f2
    text = (
        f"{head}To {away}, confounders that are not in the model would have to explain {percent(plain)} of the "
        f"residual variance of both the treatment and the outcome: that takes it from {one.estimate:.4g} to {null}. "
        f"If they explain all that is left of the outcome, {percent(most / (1 + most))} of the treatment is enough."
    )
    end = f"differ{'' if tested == 0 else 's'} significantly from {null}"
    if tested > 0:
        return f"{text} With {percent(tested)} of both it no longer {end} (alpha = {asked.alpha:g})."
    return f"{text} It does not {end} as it is (alpha = {asked.alpha:g})."
