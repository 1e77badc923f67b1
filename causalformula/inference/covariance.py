"""``covariance(estimate, request)``: the only place where a standard error is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from causalformula.errors import CapabilityError, OptionError, counted, warn
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Accumulated, Draws, Fixed, Influence, Own, Repeated
from causalformula.inference.request_text import describe
from causalformula.inference.requests import (
    HAC,
    AbadieImbens,
    Asympt,
    Classical,
    Cluster,
    DriscollKraay,
    Given,
    Request,
)
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.inference.resampling.resampled import resampled, spread
from causalformula.inference.safer import safer
from causalformula.inference.sandwich import elsewhere
from causalformula.inference.sandwich.caveats import (
    fewer_terms,
    full_leverage_words,
    leadership,
    told_of_indefinite,
    told_of_leadership,
    undefined,
    without_single_rows,
)
from causalformula.inference.sandwich.definite import transformed
from causalformula.inference.sandwich.few import told_of_few, told_of_few_periods
from causalformula.inference.sandwich.groupings import clustered, sizes
from causalformula.inference.sandwich.hac import serial, serial_rules
from causalformula.inference.sandwich.joint import Joint, joint_covariance
from causalformula.inference.sandwich.rows import (
    Covariance,
    degrees_of_freedom,
    fitted_exactly,
    row_sums,
    small_sample_factor,
    variance_row,
    without_moved,
)
from causalformula.inference.sandwich.rules import freedom, rules_of
from causalformula.numerics.arrays import Array, Codes

# What it returns is offered beside the function.
__all__ = ["Covariance", "covariance"]

Refit = Callable[[Array], Array]


def covariance(
    estimate: Estimate,
    request: Request,
    *,
    groups: Mapping[str, Codes] | None = None,
    refit: Refit | None = None,
    n: int | None = None,
    rests: float = np.inf,
) -> Covariance:
    """Covariance of an estimate under a request.

    Parameters
    ----------
    groups : mapping of str to ndarray (n,) of int
        Cluster and strata codes 0..G-1 of the columns that the request names.
    refit : callable
        Frequency weights (R, n) to replicates (R, q), NaN rows where a replicate failed; for the bootstrap and the
        jackknife. For ``kind="studentized"`` the replicates' standard errors follow, (R, 2q).
    n : int, optional
        Rows that the bootstrap resamples, for an estimate whose evidence does not tell.
    rests : float
        Give no standard error to an estimate that does not exist without one of the clusters, or rows, whatever
        variance other coefficients leave in it, where at least this share of its variance under equal errors is theirs.

    Raises
    ------
    CapabilityError
        If the estimator's evidence cannot answer the request.
    """
    groups = groups or {}
    if isinstance(estimate.evidence, Accumulated) and isinstance(request, (Bootstrap, Jackknife, Wild)):
        raise elsewhere.needs_rows(request)
    match request:
        case Given(matrix=matrix):
            return _given(estimate, request, matrix)
        case _ if not len(estimate):
            return Covariance(request, np.empty((0, 0)), np.empty(0), describe(request))
        case Bootstrap() | Jackknife() | Wild():
            found = resampled(estimate, request, groups, refit, n)
            df = np.full(len(estimate), found.df if request.df is None else request.df)
            matrix, notes, lost = found.matrix, found.notes, np.empty(0, dtype=np.intp)
            if isinstance(request, Wild) and request.cluster:
                matrix, told = _led(estimate, Cluster((request.cluster,)), groups, matrix, np.inf)
                notes += told
            elif isinstance(request, Wild) and isinstance(estimate.evidence, Influence):
                matrix, lost, told = without_single_rows(estimate.evidence, estimate.names, matrix, rests)
                notes += told
            return Covariance(request, matrix, df, found.label, found.draws, notes, found.reference, found.seed, lost)
    if isinstance(request, AbadieImbens):
        return _own(estimate, request)
    match estimate.evidence:
        case Repeated() as repeated:
            return _median(estimate, request, repeated, groups, rests)
        case Own():
            raise needs_regression(request)
        case None:
            raise CapabilityError("this estimator offers no interval without refitting; use vcov='bootstrap'")
        case Draws(values=values):
            return Covariance(request, spread(values), degrees_of_freedom(request, estimate), "draws")
        case Fixed() as fixed:
            return _fixed(estimate, request, fixed)
        case Accumulated() as summed:
            return _accumulated(estimate, request, summed, rests)
        case Joint():
            return joint_covariance(estimate, request, groups)
        case Influence() as evidence:
            own = {name: evidence.on_units(codes, name) for name, codes in groups.items()}
            return _from_influence(estimate, request, evidence, own, rests)


def _accumulated(estimate: Estimate, request: Request, evidence: Accumulated, rests: float) -> Covariance:
    """By sums over rows that are elsewhere."""
    shape = replace(estimate, evidence=evidence.shape)
    notes: tuple[str, ...] = ()
    lost = np.empty(0, dtype=np.intp)
    df = degrees_of_freedom(request, shape)
    if getattr(request, "ssc", None) is not None:
        raise CapabilityError("ssc= is of rows in memory; 'CR0 ~ g', 'CR1 ~ g' and 'CR1S ~ g' are rules of their own")
    if isinstance(request, Classical):
        plain = _classical(evidence.shape, unconditional=False)
        return Covariance(request, elsewhere.classical(evidence, plain, request), df, "classical")
    if isinstance(request, Cluster):
        matrix, label, counts, fixed = elsewhere.clustered(evidence, request)
        notes = told_of_indefinite(matrix, estimate.names, request)
        found = elsewhere.leadership(evidence, matrix, request, rests)
        matrix = undefined(matrix, found.undefined)
        advice = safer(counts, estimate)
        notes += told_of_leadership(found, estimate.names, request, advice)
        if evidence.shape.exactly is not None:
            known = elsewhere.told_exactly(evidence)
            matrix, lost, resting = without_single_rows(known, estimate.names, matrix, rests)
            notes += resting
        if not np.isnan(np.diag(matrix)).all():
            notes += told_of_few(counts, request, advice)
        notes += elsewhere.told_of_held(evidence, counts)
    else:
        matrix, row, fixed, single = elsewhere.sandwich(evidence, request)
        label = row.label if fixed or not isinstance(request, Asympt) else f"{row.label} ({_stacked(evidence.shape)})"
        if row.adjust is None:
            matrix, lost, notes = without_single_rows(evidence.shape, estimate.names, matrix, rests, single)
        else:
            matrix, lost = without_moved(matrix, single.moved), single.behind(single.moved)
    if len(lost):
        remedy = "" if evidence.shape.exactly is None else fewer_terms(len(lost))
        told = full_leverage_words(request, np.diag(matrix), counted(len(lost), "row"), remedy)
        warn(told)
        notes += (f"Note: {told}",)
    return Covariance(request, matrix, df, label + _held(evidence.shape, fixed), notes=notes)


def _held(evidence: Influence, fixed: bool) -> str:
    """What the label says of nuisances that are held fixed."""
    if fixed and evidence.estimated_first_stage:
        return " (estimated weights treated as given)"
    return " (nuisances held fixed)" if fixed and evidence.always and not evidence.held else ""


def needs_regression(request: Request) -> CapabilityError:
    """Of an estimate that has a variance of its own and no regression behind it."""
    return CapabilityError(f"{describe(request)!r} needs a regression behind the estimate; this one has vcov='AI'")


def _fixed(estimate: Estimate, request: Request, evidence: Fixed) -> Covariance:
    if not isinstance(request, (Classical, Asympt)) and describe(request) != evidence.label:
        raise CapabilityError(
            f"this design has its own variance ({evidence.label}); vcov={describe(request)!r} does not apply to it. "
            "Use vcov='bootstrap', or a method with an influence function"
        )
    df = np.full(len(estimate), evidence.df if request.df is None else request.df)
    return Covariance(request, evidence.matrix, df, evidence.label + evidence.words)


def _median(
    estimate: Estimate, request: Request, evidence: Repeated, groups: Mapping[str, Codes], rests: float
) -> Covariance:
    """The median over repetitions of their covariances and of how far each lies from the median."""
    each = [
        covariance(Estimate(estimate.names, theta, part), request, groups=groups, rests=rests)
        for theta, part in zip(evidence.values, evidence.parts, strict=True)
    ]
    off = evidence.values - estimate.theta
    spread = np.array([found.matrix for found in each]) + off[:, :, None] * off[:, None, :]
    first = each[0]
    label = f"{first.label}; median of {len(each)} repetitions"
    return Covariance(
        request, np.median(spread, axis=0), first.df, label, notes=first.notes, full_leverage=first.full_leverage
    )


def _own(estimate: Estimate, request: AbadieImbens) -> Covariance:
    """The variance of a matching estimator."""
    evidence = estimate.evidence
    own = evidence if isinstance(evidence, Own) else evidence.own if isinstance(evidence, Influence) else None
    if own is None:
        raise CapabilityError(
            "vcov='AI' is the variance of a difference in means over all units matched with replacement (of "
            "method='nearest' with replace=True), without outcome(...), groups, another measure or, but for "
            "ties=True, sampling weights. Use 'HC3' or a cluster formula: vcov='HC3' in the fit, or "
            "fit.with_vcov('HC3') before means(), by(...) and the like"
        )
    label = "Abadie-Imbens" + (" (of the sample's effect)" if request.sample else "")
    df = degrees_of_freedom(request, estimate)
    return Covariance(
        request, own.matrix(request), df, label, notes=tuple(f"Note: {note}" for note in own.notes(request))
    )


def _given(estimate: Estimate, request: Request, matrix: Array) -> Covariance:
    q = len(estimate)
    if matrix.shape == (q, q):
        return Covariance(request, matrix, degrees_of_freedom(request, estimate), "given matrix")
    evidence = estimate.evidence
    if isinstance(evidence, Influence) and evidence.stages and matrix.shape[0] == evidence.stages[-1].size:
        jac = evidence.jac[:, -evidence.stages[-1].size :]
        jac = jac if evidence.root is None else evidence.root.given(jac)
        return Covariance(request, transformed(matrix, jac), degrees_of_freedom(request, estimate), "given matrix")
    raise OptionError(
        f"the covariance matrix has shape {matrix.shape}; there are {q} effects"
        + (f" and {evidence.stages[-1].size} model coefficients" if isinstance(evidence, Influence) else "")
    )


def _from_influence(
    estimate: Estimate, request: Request, evidence: Influence, groups: Mapping[str, Codes], rests: float
) -> Covariance:
    counts = sizes(evidence, request, groups) if isinstance(request, Cluster) else None
    if isinstance(request, (HAC, DriscollKraay)):
        rules = serial_rules(evidence, request, groups)
    else:
        rules = rules_of(request, evidence, groups, counts)
    if isinstance(request, Classical):
        matrix = _classical(evidence, request.unconditional, 1.0 if rules is None else rules.classical)
        label = "classical" + ("" if rules is None else rules.words)
        return Covariance(request, matrix, degrees_of_freedom(request, estimate, freedom(rules, evidence)), label)
    notes: tuple[str, ...] = ()
    lost = np.empty(0, dtype=np.intp)
    if isinstance(request, (HAC, DriscollKraay)):
        matrix, label, count = serial(evidence, request, groups, rules)
        if isinstance(request, DriscollKraay):
            matrix, notes = _led(estimate, Cluster((request.time,)), groups, matrix, np.inf)
            notes += told_of_few_periods(count, request.time)
        else:
            matrix, lost, notes = without_single_rows(evidence, estimate.names, matrix, rests)
        df = degrees_of_freedom(request, estimate, freedom(rules, evidence))
        return Covariance(request, matrix, df, label, notes=notes, full_leverage=lost)
    row, fixed = variance_row(request, evidence)
    own_df = None
    if isinstance(request, Cluster):
        matrix, label, own_df = clustered(evidence, row, request, groups, fixed, rules)
        assert counts is not None
        notes = told_of_indefinite(matrix, estimate.names, request)
        matrix, led_by = _led(estimate, request, groups, matrix, rests)
        notes += led_by
        if evidence.exactly is not None:
            matrix, lost, resting = without_single_rows(evidence, estimate.names, matrix, rests)
            notes += resting
        if not np.isnan(np.diag(matrix)).all():
            notes += told_of_few(counts, request, safer(counts, estimate))
    else:
        factor = small_sample_factor(row, evidence, evidence.n if rules is None else rules.n, rules)
        matrix = factor * row_sums(evidence, row, fixed, request.unconditional)
        label = row.label if fixed or not isinstance(request, Asympt) else f"{row.label} ({_stacked(evidence)})"
        label += rules.words if rules is not None and row.name == "HC1" else ""
        if row.adjust is None:
            matrix, lost, notes = without_single_rows(evidence, estimate.names, matrix, rests)
        else:
            lost = fitted_exactly(matrix, row, evidence)
    df = degrees_of_freedom(request, estimate, freedom(rules, evidence) if own_df is None else own_df)
    return Covariance(request, matrix, df, label + _held(evidence, fixed), notes=notes, full_leverage=lost)


def _led(
    estimate: Estimate, request: Cluster, groups: Mapping[str, Codes], matrix: Array, rests: float
) -> tuple[Array, tuple[str, ...]]:
    """The matrix without what depends on one cluster, and what is said of it."""
    evidence = estimate.evidence
    assert isinstance(evidence, Influence)
    found = leadership(evidence, [groups[name] for name in request.by], matrix, request, rests)
    advice = safer(sizes(evidence, request, groups), estimate)
    return undefined(matrix, found.undefined), told_of_leadership(found, estimate.names, request, advice)


def _stacked(evidence: Influence) -> str:
    """What the stacked sandwich estimates, for the print."""
    if evidence.held:
        return "influence function, nuisances held fixed"
    if not evidence.estimated_first_stage:
        return "M-estimation"
    propensity = any(stage.name == "propensity" for stage in evidence.stages)
    return f"M-estimation, {'propensity score' if propensity else 'weights'} estimated"


def _classical(evidence: Influence, unconditional: bool, factor: float = 1.0) -> Array:
    if evidence.root is None or evidence.estimated_first_stage or len(evidence.stages) != 1 or evidence.always:
        raise CapabilityError(
            "the classical variance exists only for one regression; use vcov='asympt' (every stage estimated), "
            "'HC0', a cluster formula or 'bootstrap'"
        )
    matrix = factor * (evidence.jac @ evidence.root.classical() @ evidence.jac.T)
    if unconditional and evidence.direct is not None:
        # The model's errors are uncorrelated with the covariates, so the two parts add.
        matrix = matrix + evidence.direct.T @ evidence.direct / evidence.n**2
    return matrix
