"""From a ``Design`` to its balance table, its summary of weights and its overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.fit import OWN_GROUPINGS, Held, grouped, reuses
from causalformula.backends.options import flag, whole
from causalformula.diagnostics.balance import (
    BalanceTable,
    Sample,
    across,
    balance_table,
    default_denominator,
    pair_tables,
)
from causalformula.diagnostics.balance_plan import MOST_POWERS, Plan, read_pairs, read_plan, read_thresholds
from causalformula.diagnostics.covariates import Covariate, covariates, distance_row
from causalformula.diagnostics.overlap import arm_overlaps, supports
from causalformula.diagnostics.weights_summary import arm_weights, effective_sizes
from causalformula.errors import CapabilityError, DataError, OptionError
from causalformula.frame.grouping import Grouping
from causalformula.frame.treatment import Kind, Treatment, level_label
from causalformula.numerics.arrays import Array, Bools
from causalformula.numerics.ties import tied
from causalformula.results.designs.balance import Balance
from causalformula.results.designs.compared import compared, comparison_notes
from causalformula.results.designs.core import DesignCore
from causalformula.results.designs.imbalance import sample_from
from causalformula.results.designs.overlap import SCORE, Overlap
from causalformula.results.designs.weights import WeightsSummary
from causalformula.results.wording import missing_notes

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Asked:
    """What one table shows: statistics, thresholds, whether the sample before, and which pairs one by one."""

    plan: Plan
    limits: Mapping[str, float]
    un: bool
    pairs: tuple[tuple[str, str], ...]


def the_treatment(design: DesignCore) -> Treatment:
    """The treatment whose arms are compared."""
    treatment = design.call.frame.treatment
    if treatment is None:
        raise CapabilityError("balance compares the arms of treat(...), which the formula does not have")
    return treatment


def sample_of(design: DesignCore) -> Sample:
    """Rows, arms and weights of a design."""
    the_treatment(design)
    return sample_from(design.call.frame, design.call.options, design.design_weights)


def design_balance(
    design: DesignCore,
    stats: Sequence[str] | str,
    binary: str,
    un: bool,
    threshold: float | Mapping[str, float] | None,
    int: bool,
    poly: int,
    cluster: str | None,
    s_d_denom: Any,
    means: bool,
    which_treat: Any,
    compare: Mapping[str, DesignCore] | None = None,
) -> Balance:
    """See ``Design.balance``."""
    others = {} if compare is None else compared(design, compare, cluster, which_treat)
    asked = read_asked(design, stats, binary, un, threshold, s_d_denom, means, which_treat)
    hint = "; powers of the covariates are poly=2"
    columns = _columns(
        design, flag("int", int, hint), whole("poly", poly, "powers of the covariates", MOST_POWERS), cluster
    )
    sample, used = sample_of(design), design.call.frame.unit_weights > 0
    if cluster is not None:
        return replace(_by_group(design, columns, asked, cluster), notes=done(design))
    found = replace(_balance(design, *_among(columns, sample, used), asked), notes=done(design))
    if not others:
        return found
    # all by this design's rows and divisors, so that the sample before is the same for each
    parts = {
        name: _balance(design, *_among(columns, replace(sample, w=other.design_weights.weights), used), asked)
        for name, other in others.items()
    }
    return replace(
        found, designs=parts, notes=comparison_notes(design, others, {k: done(d) for k, d in others.items()})
    )


def read_asked(
    design: DesignCore,
    stats: Sequence[str] | str,
    binary: str,
    un: bool,
    threshold: float | Mapping[str, float] | None,
    s_d_denom: Any,
    means: bool,
    which_treat: Any,
) -> Asked:
    """What a table shows, checked."""
    treatment = the_treatment(design)
    dose = treatment.kind is Kind.CONTINUOUS
    plan = read_plan(
        stats, binary, _denominator(design, s_d_denom), dose, flag("means", means) and not dose, treatment.levels
    )
    pairs = () if which_treat is None else read_pairs(which_treat, treatment.name, treatment.levels, level_label)
    return Asked(plan, read_thresholds(threshold, plan), flag("un", un), pairs)


def done(design: DesignCore) -> tuple[str, ...]:
    """Notes of a table: rows left out for missing values, and what was done to the weights: trimmed, discarded."""
    made = () if design.designed is None else tuple(design.designed.notes)
    return (*missing_notes(design.call.frame), *made)


def _denominator(design: DesignCore, given: Any) -> Any:
    """The divisor of differences: the one asked for, a level as its text, or the estimand's."""
    treatment = the_treatment(design)
    if given is None:
        return default_denominator(str(design.call.options.estimand), treatment.kind is Kind.CONTINUOUS)
    return level_label(given) if level_label(given) in treatment.levels else given


def _columns(design: DesignCore, products: bool, poly: int, cluster: str | None) -> list[Covariate]:
    """The rows of the table, the propensity score first."""
    if not (cluster is None or isinstance(cluster, str)):
        raise OptionError(f"cluster is the name of a column, not {cluster!r}")
    columns = covariates(design.call.frame, int=products, poly=poly, without=cluster)
    distance = design.design_weights.distance
    if distance is not None and the_treatment(design).kind is Kind.BINARY:
        name = "distance" if isinstance(design.designed, Held) else "prop.score"
        columns = [distance_row(distance, name), *columns]
    if not columns:
        raise DataError("the formula has no covariates whose balance could be read; write them in adjust(...)")
    return columns


def _by_group(design: DesignCore, columns: list[Covariate], asked: Asked, cluster: str) -> Balance:
    """A table for each group of a variable, and the worst over them."""
    sample, (groups, inside) = sample_of(design), _groups(design, cluster)
    parts = {}
    for k, level in enumerate(groups.levels):
        rows = (groups.codes == k) & inside & (design.call.frame.unit_weights > 0)
        if not rows.any() or not level:
            continue
        empty = [name for name, arm in sample.arms.items() if not (arm & rows).any()]
        if empty:
            raise DataError(
                f"{cluster} = {level} has no row of arm {empty[0]!r}; choose a variable whose groups have every arm"
            )
        parts[level] = _balance(design, *_among(columns, sample, rows), asked)
    worst = across([part.table for part in parts.values()])
    return Balance(worst, design.ess(), asked.limits, asked.un, parts, cluster)


def _groups(design: DesignCore, cluster: str) -> tuple[Grouping, Bools]:
    """A column of the data, or the subclasses that the design made; and the rows (n,) that are in a group."""
    made = design.design_weights
    call = replace(design.call, made=made)
    if cluster in OWN_GROUPINGS and cluster not in call.frame.table and made is not None and reuses(made):
        raise DataError(
            "matched sets overlap, as units are matches of several; there are no clusters of them whose balance could "
            "be read. summary(pair_dist=True) has the distances within pairs"
        )
    own = call.own_groups(cluster)
    if own is not None:
        return own, grouped(made, cluster)
    return call.groups(cluster), np.ones(call.frame.n, dtype=bool)


def _among(columns: list[Covariate], sample: Sample, rows: Bools) -> tuple[list[Covariate], Sample]:
    """The table's columns and sample on some of the rows; those without sampling weight never take part."""
    if rows.all():
        return columns, sample
    return [replace(c, values=c.values[rows]) for c in columns], sample.rows(rows)


def _balance(design: DesignCore, columns: list[Covariate], sample: Sample, asked: Asked) -> Balance:
    import pandas as pd

    arms = sample.arms or {"Total": np.ones(len(sample.s), dtype=bool)}
    named = dict(zip(design.arm_names(), arms.values(), strict=True))
    ones = np.ones(len(sample.s)) if sample.w is None else sample.w
    sizes = pd.DataFrame(effective_sizes(named, sample.s, ones), index=["Unweighted", "Weighted"])
    if len(sample.arms) <= 2:
        return Balance(balance_table(columns, sample, asked.plan), sizes, asked.limits, asked.un)
    return of_pairs(pair_tables(columns, sample, asked.plan), sizes, asked)


def of_pairs(pairs: Mapping[tuple[str, str], BalanceTable], sizes: pd.DataFrame, asked: Asked) -> Balance:
    """The table of two arms; of several the worst over their pairs, and these one by one."""
    if len(pairs) == 1:
        return Balance(*pairs.values(), sizes, asked.limits, asked.un)
    parts = {
        f"{high} vs. {low}": Balance(table, sizes[[low, high]], asked.limits, asked.un)
        for (low, high), table in pairs.items()
    }
    shown = tuple(f"{high} vs. {low}" for low, high in asked.pairs)
    return Balance(across(list(pairs.values())), sizes, asked.limits, asked.un, parts, shown=shown)


def weights_summary(design: DesignCore, top: int) -> WeightsSummary:
    """See ``Design.summary``."""
    top = whole("top", top, "how many of the largest weights to show")
    treatment = design.call.frame.treatment
    arms = design.arms()
    if treatment is None or treatment.kind is Kind.CONTINUOUS:
        named = {"all": next(iter(arms.values()))}
    elif treatment.kind is Kind.BINARY:
        named = {"treated": arms["Treated"], "control": arms["Control"]}
    else:
        named = arms
    total = design.total_weights()
    # sizes stand in the table already, so thin arms need no note
    notes = done(design)
    found = {name: arm_weights(total, inside, top) for name, inside in named.items()}
    return WeightsSummary(found, design.call.frame.index, design.ess(), top, notes)


CORRECTION = "Weights: those of the residuals, by which the outcome means are corrected"


def design_overlap(design: DesignCore) -> Overlap:
    """See ``Design.overlap``."""
    frame, arms, made = design.call.frame, design.arms(), design.design_weights
    scores: dict[str, Array] = {}
    if made.distance is not None:
        scores = {SCORE: made.distance}
    elif made.probabilities is not None:
        scores = {name: made.probabilities[:, k] for k, name in enumerate(arms)}
    scores = {name: tied(score) for name, score in scores.items()}
    weights = made.weights if made.correction is None else made.correction
    found = arm_overlaps(arms, frame.unit_weights, weights, scores)
    support = supports(scores, arms, frame.unit_weights > 0)
    notes = (*missing_notes(frame), *design.notes)
    remark = "" if scores else no_scores(design, not design.weightless())
    return Overlap(found, support, frame.index, notes, remark if made.correction is None else CORRECTION)


def no_scores(design: DesignCore, weighted: bool) -> str:
    """Why there are no ranges of scores, and what shows overlap instead, by a design with weights or without."""
    treatment, method = design.call.frame.treatment, design.call.record.name
    if treatment is None:
        return "No score ranges: the formula has no treat(...), so no arms to compare"
    if treatment.kind is Kind.CONTINUOUS:
        return (
            "No score ranges: a dose has no arms to compare. The largest weight and the ESS show thin overlap, and "
            "balance() what is left of the correlations with the dose"
        )
    advice = "cf.design(formula, data, 'ipw').overlap() has the ranges"
    if weighted:
        advice = f"The largest weights and the ESS show thin overlap; {advice}"
    return f"No score ranges: method {method!r} has no propensity scores here. {advice}"
