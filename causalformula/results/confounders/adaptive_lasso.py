"""The outcome-adaptive lasso: a treatment model whose penalty is light on what predicts the outcome."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from causalformula.diagnostics.statistics import col_w_smd
from causalformula.errors import IdentificationError, some
from causalformula.inference.generalised import fit_glm
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.lasso import logistic_lasso
from causalformula.results.confounders.candidates import (
    COVARIATES,
    PROPENSITY,
    Candidates,
    Choice,
    Columns,
    How,
    named,
    refuse_implied,
    refuse_wide,
)

# Powers of n that the penalty takes (Shortreed and Ertefaie 2017, section 3), and the rate that ties its weights to it.
POWERS = (-10.0, -5.0, -1.0, -0.75, -0.5, -0.25, 0.25, 0.49)
RATE = 2.0
# A weight beyond this is one of a column that never enters.
LARGEST = 1e100
# A coefficient of a standardised column at or below this is none.
NONE = 1e-8
# A standard deviation at or below this share of the largest value is rounding.
CONSTANT = 1e-12


@dataclass(frozen=True, eq=False)
class Attempt:
    """One penalty, and the treatment model that it gives.

    Parameters
    ----------
    power : float
        The penalty is ``n^power``.
    coef : ndarray (p,)
        Of standardised columns.
    imbalance : float
        Weighted absolute mean difference.
    """

    power: float
    coef: Array
    imbalance: float


def outcome_adaptive_lasso(found: Candidates, how: How) -> Choice:
    """Terms of which the adaptive lasso of the treatment takes a column, at the penalty that balances best."""
    frame = found.frame
    columns = found.columns(PROPENSITY)
    Z, constant = _standardised(columns.X)
    outcome, aliased, notes = outcome_coefficients(found, columns, how)
    refuse_implied(found, [owner for owner, out in zip(columns.owners, aliased, strict=True) if not out])
    free = columns.of(found.labels)
    unusable = free & (aliased | constant)
    treated = frame.the_treatment.codes.astype(float)
    tried = list(attempts(Z[:, ~unusable], treated, outcome[~unusable], free[~unusable]))
    known = [each for each in tried if np.isfinite(each.imbalance)]
    if not known:
        raise IdentificationError(
            f"the covariates tell the arms of {frame.the_treatment.name} apart completely under every penalty, so that "
            "no weights balance them; leave out what decides the treatment"
        )
    best = min(known, key=lambda each: each.imbalance)
    coef = np.zeros(len(free))
    coef[~unusable] = best.coef
    owners = np.array(columns.owners, dtype=object)
    sizes = [np.abs(values) for values in (coef, np.nan_to_num(outcome))]
    scores, predicts = ([float(size[owners == label].max(initial=0.0)) for label in found.labels] for size in sizes)
    steps = tuple(
        {"power": each.power, "imbalance": each.imbalance, "columns": int((np.abs(each.coef) > NONE).sum())}
        for each in tried
    )
    lost = tuple(name for name, out in zip(columns.names, unusable, strict=True) if out)
    return Choice(
        kept=tuple(label for label, size in zip(found.labels, scores, strict=True) if size > NONE),
        why={
            label: f"coefficients for the outcome {y:.3g}, for the treatment {a:.3g}"
            for label, y, a in zip(found.labels, predicts, scores, strict=True)
        },
        statistic=named(found.labels, scores),
        steps=steps,
        told=(f"Penalty: n^{best.power:g}, whose weights leave the least imbalance ({best.imbalance:.3g})",),
        notes=(*notes, *((f"other terms imply {some(lost)}, left out of the models",) if lost else ())),
    )


def attempts(Z: Array, a: Array, outcome: Array, free: Bools) -> Iterator[Attempt]:
    """The treatment model under each penalty.

    ``argmin sum_i [log(1 + exp(eta_i)) - a_i eta_i] + lambda sum_j |beta_j|^-gamma |alpha_j|`` with the outcome's
    coefficients beta, ``lambda = n^power`` and ``lambda n^(gamma / 2 - 1) = n^2``.

    Parameters
    ----------
    Z : ndarray (n, p)
        Standardised columns.
    a : ndarray (n,)
        0 or 1.
    outcome : ndarray (p,)
        Their coefficients in the outcome model.
    free : ndarray (p,) of bool
        Columns that bear a penalty.
    """
    from scipy.special import expit

    n, size = len(a), np.abs(outcome)
    for power in POWERS:
        gamma = 2 * (RATE - power + 1)
        with np.errstate(divide="ignore", over="ignore"):
            weights = np.where(free, np.minimum(size**-gamma, LARGEST), 0.0)
        intercept, coef = logistic_lasso(Z, a, n**power * weights)
        p = expit(intercept + Z @ coef)
        own = np.where(a == 1, p, 1 - p)
        if own.min() < NONE:  # on its way to infinite coefficients
            yield Attempt(power, coef, np.inf)
            continue
        apart = col_w_smd(Z, a, 1 / own, std=False, abs=True)
        yield Attempt(power, coef, float(size @ apart))


def outcome_coefficients(found: Candidates, columns: Columns, how: How) -> tuple[Array, Bools, tuple[str, ...]]:
    """Coefficients of standardised columns in the outcome model, which columns others imply, and what the fit says.

    Columns of the treatment model alone have none.
    """
    frame = found.frame
    model = found.columns(COVARIATES)
    Z, _ = _standardised(model.X)
    design = np.column_stack([np.ones(frame.n), Z, frame.the_treatment.codes])
    refuse_wide(frame.n, design.shape[1], "the outcome model")
    names = ("(Intercept)", *model.names, frame.the_treatment.name)
    fit = fit_glm(design, frame.outcome_for(how.family), names, how.family)
    own = dict(zip(model.names, fit.coef[1:-1], strict=True))
    beta = np.array([own.get(name, 0.0) for name in columns.names])
    return np.nan_to_num(beta), np.isnan(beta), tuple(f"the outcome model of all terms: {note}" for note in fit.notes)


def _standardised(X: Array) -> tuple[Array, Bools]:
    """Columns of mean 0 and variance 1, and which have none."""
    centred = X - X.mean(axis=0)
    sd = X.std(axis=0, ddof=1)
    constant = sd <= CONSTANT * np.abs(X).max(axis=0, initial=0.0)
    return np.asarray(centred / np.where(constant, 1.0, sd)), np.asarray(constant)
