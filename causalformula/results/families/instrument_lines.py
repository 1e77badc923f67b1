"""What the print of a fit with instruments says of them."""

from __future__ import annotations

import numpy as np

from causalformula.errors import counted, some
from causalformula.formula.expressions.values import Factor
from causalformula.formula.language.deparse import deparse
from causalformula.formula.language.leave_one_out import leave_one_out_terms
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.requests import Cluster
from causalformula.inference.structural import Equations, Instrumented, Weighting
from causalformula.results.models.core import ModelCore
from causalformula.results.models.instruments import (
    cragg_donald,
    instrumented,
    overidentified,
    request_of,
    request_words,
    strength,
)

# The share of the bias of least squares that an effective F is held to in the print.
TOLERATED = 0.1
# Staiger and Stock's rule of thumb, for several endogenous columns.
THUMB = 10.0
# With fewer rows, or clusters, for each moment its weight matrix takes several points from an interval's coverage.
FOR_EACH_MOMENT = 8


def instrument_lines(model: ModelCore, frame: ModelFrame, *, resampled: bool) -> list[str]:
    """What instruments are made of, whether weighted moments agree, and how strong the first stage is.

    Parameters
    ----------
    model : ModelCore
        The structural equation, with the covariance that tests are of.
    frame : ModelFrame
    resampled : bool
        Whether the fit's standard errors are of refits, each with a weight matrix of its own.
    """
    moments = _moment_lines(model) + ([] if resampled else _few_for_moments(model))
    return [*_made_lines(instrumented(model).equations, frame), *moments, *_first_stage_lines(model)]


def _made_lines(eq: Equations, frame: ModelFrame) -> list[str]:
    """What instruments that are made of the treatment are means of."""
    treatment = frame.the_treatment
    what = f"mean of {treatment.name}"
    if isinstance(treatment.column, Factor):
        levels = treatment.levels[1:]
        what = f"share of {treatment.name} = {levels[0]}" if len(levels) == 1 else f"shares of {treatment.name}"
    terms = {term.label: term for term in leave_one_out_terms(frame.spec)}
    lines = []
    for label in dict.fromkeys(one.label for one in eq.means):
        less = "" if terms[label].raw or not eq.held else ", less what is explained by the terms held fixed"
        lines.append(f"Instrument {label}: {what} in the other rows of {deparse(terms[label].group)}{less}")
    return lines


def _moment_lines(model: ModelCore) -> list[str]:
    """What the print says of weighted moments: whether they agree, and where standard errors rest on others."""
    used = instrumented(model)
    if not isinstance(used.rule, Weighting):
        return []
    row = overidentified(model, used)
    steps = "" if isinstance(used.rule.steps, int) else f"; converged in {model.regression.iterations} steps"
    lines = [f"{row.name} = {row.statistic:.4g} on {row.df1} DF, p-value {row.p_value:.4g} ({used.rule.words}{steps})"]
    asked = request_of(model.covariance.request)
    clusters = asked.by if isinstance(asked, Cluster) else ()
    if not clusters and used.rule.by:
        lines.append(f"Note: the weight matrix has clusters of {used.rule.by}, and the standard errors have none")
    if clusters and used.rule.by not in clusters:
        lines.append(
            f"Note: standard errors have clusters of {' and '.join(clusters)}, and the weight matrix has not: the "
            f"p-value of J does not hold, and wmatrix='~{clusters[0]}' is more precise"
        )
    return lines


def _few_for_moments(model: ModelCore) -> list[str]:
    """What the print says of sandwiches that take a weight matrix of few rows, or clusters, for known."""
    used = instrumented(model)
    if not isinstance(used.rule, Weighting) or used.criterion is None:
        return []
    rows = model.regression.hat.w > 0
    codes, moments = used.rule.codes, len(model.regression.kept) + used.excess
    count = int(rows.sum()) if codes is None else len(np.unique(codes[rows]))
    if count >= FOR_EACH_MOMENT * moments:
        return []
    of = counted(count, "row") if codes is None else f"{counted(count, 'cluster')} of {used.rule.by}"
    return [
        f"Note: {of} are few for the weight matrix of {moments} moments, which these standard errors take for known: "
        "they tend to be too small, more so than those of method='iv'"
    ]


def _first_stage_lines(model: ModelCore) -> list[str]:
    """How strong the instruments are, and what follows where they are weak."""
    used = instrumented(model)
    eq, words = used.equations, request_words(model.covariance.request)
    if len(eq.endogenous) > 1:
        value = cragg_donald(model)
        lines = [f"First stages: smallest F of any combination (Cragg-Donald) {value:.4g}"]
        weak = value < THUMB
        why = f"Cragg-Donald's F is below {THUMB:g}"
        remedy = "do not lean on these standard errors"
    else:
        found = strength(model)
        critical = found.critical[TOLERATED]
        lines = [
            f"First stage: F = {found.F:.4g} on {found.df1} and {found.df2:g} DF ({words}); effective F "
            f"{found.effective:.4g}"
        ]
        weak = found.effective < critical
        of = " of two-stage least squares" if used.k != 1 else ""
        why = (
            f"the effective F is below {critical:.4g}, so that a bias{of} of a tenth of least squares' is not excluded"
        )
        remedy = "anderson_rubin() gives limits that hold all the same"
    if weak:
        lines.append(f"Note: weak instruments: {why}; {remedy}")
    return [*lines, *_exact_lines(used, model.outcome_name)]


def _exact_lines(used: Instrumented, outcome: str) -> list[str]:
    """What is said of a treatment that instruments fit exactly."""
    if not used.exact.any():
        return []
    names = some([name for name, exact in zip(used.endogenous_names, used.exact, strict=True) if exact])
    return [
        f"Note: the instruments fit {names} exactly, as the treatment itself would: they are valid where it has no "
        f"common cause with {outcome}, and least squares would do then"
    ]
