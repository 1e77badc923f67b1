"""From a ``Design`` to its balance table, its summary of weights and its overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalformula.diagnostics.balance import (
    Plan,
    Sample,
    across,
    balance_table,
    default_denominator,
    pair_tables,
    read_plan,
    read_thresholds,
)
from causalformula.diagnostics.covariates import Covariate, covariates, distance_row
from causalformula.diagnostics.overlap import arm_overlaps, common_support
from causalformula.diagnostics.weights_summary import arm_weights, effective_sizes
from causalformula.errors import CapabilityError, DataError, OptionError
from causalformula.frame.treatment import Kind, Treatment
from causalformula.results.balance import Balance
from causalformula.results.overlap import Overlap
from causalformula.results.weights_text import WeightsSummary

if TYPE_CHECKING:
    from causalformula.results.design import Design

Bools = NDArray[np.bool_]
MOST_POWERS = 9


def the_treatment(design: Design) -> Treatment:
    """The treatment whose arms are compared."""
    treatment = design.call.frame.treatment
    if treatment is None:
        raise CapabilityError("balance compares the arms of treat(...), which the formula does not have")
    return treatment


def sample_of(design: Design) -> Sample:
    """Rows, arms and weights of a design."""
    frame, treatment = design.call.frame, the_treatment(design)
    w = design.design_weights.weights
    weights = None if bool((w == 1).all()) else w
    if treatment.kind is Kind.CONTINUOUS:
        return Sample({}, treatment.values, frame.unit_weights, weights)
    arms = {level: treatment.codes == k for k, level in enumerate(treatment.levels)}
    focal = design.call.options.focal
    level = None if focal is None else treatment.levels[treatment.index(focal)]
    return Sample(arms, None, frame.unit_weights, weights, level)


def design_balance(
    design: Design,
    stats: Sequence[str] | str,
    binary: str,
    un: bool,
    threshold: float | Mapping[str, float] | None,
    int: bool,
    poly: int,
    cluster: str | None,
    s_d_denom: str | None,
    means: bool,
) -> Balance:
    """See ``Design.balance``."""
    frame, treatment = design.call.frame, the_treatment(design)
    dose = treatment.kind is Kind.CONTINUOUS
    if isinstance(poly, bool) or poly not in range(1, MOST_POWERS + 1):
        raise OptionError(f"poly={poly!r}: powers of the covariates, 1 to {MOST_POWERS}")
    denominator = s_d_denom or default_denominator(str(design.call.options.estimand), dose)
    plan = read_plan(stats, binary, denominator, dose, means and not dose, treatment.levels)
    columns = covariates(frame, int=int, poly=poly, without=cluster)
    distance = design.design_weights.distance
    if distance is not None and treatment.kind is Kind.BINARY:
        name = "prop.score" if design.design_weights.subclass is None else "distance"
        columns = [distance_row(distance, name), *columns]
    if not columns:
        raise DataError("the formula has no covariates whose balance could be read; write them in adjust(...)")
    sample, limits = sample_of(design), read_thresholds(threshold, plan)
    if cluster is None:
        return _balance(design, columns, sample, plan, limits, un)
    groups = frame.groups(cluster)
    parts = {
        level: _within(design, columns, sample, plan, limits, un, groups.codes == k)
        for k, level in enumerate(groups.levels)
    }
    first = next(iter(parts.values()))
    return Balance(first.table, design.ess(), limits, un, parts, cluster)


def _within(
    design: Design,
    columns: list[Covariate],
    sample: Sample,
    plan: Plan,
    limits: dict[str, float],
    un: bool,
    rows: Bools,
) -> Balance:
    """The table of one group of rows."""
    arms = [name for name, arm in sample.arms.items() if not (arm & rows).any()]
    if arms:
        raise DataError(
            f"a group of the cluster has no row of arm {arms[0]!r}; choose a variable whose groups have every arm"
        )
    inside = [replace(c, values=c.values[rows]) for c in columns]
    return _balance(design, inside, sample.rows(rows), plan, limits, un)


def _balance(
    design: Design, columns: list[Covariate], sample: Sample, plan: Plan, limits: dict[str, float], un: bool
) -> Balance:
    import pandas as pd

    arms = sample.arms or {"Total": np.ones(len(sample.s), dtype=bool)}
    named = dict(zip(design.arm_names(), arms.values(), strict=True))
    ones = np.ones(len(sample.s)) if sample.w is None else sample.w
    sizes = pd.DataFrame(effective_sizes(named, sample.s, ones), index=["Unweighted", "Weighted"])
    if len(sample.arms) <= 2:
        return Balance(balance_table(columns, sample, plan), sizes, limits, un)
    pairs = pair_tables(columns, sample, plan)
    parts = {f"{high} vs. {low}": Balance(t, sizes[[low, high]], limits, un) for (low, high), t in pairs.items()}
    return Balance(across(list(pairs.values())), sizes, limits, un, parts)


def weights_summary(design: Design, top: int) -> WeightsSummary:
    """See ``Design.summary``."""
    if isinstance(top, bool) or top < 1:
        raise OptionError(f"top={top!r}: how many of the largest weights to show, at least 1")
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
    notes = () if design.stage is None else tuple(design.stage.notes)
    found = {name: arm_weights(total, inside, top) for name, inside in named.items()}
    return WeightsSummary(found, design.call.frame.index, design.ess(), top, notes)


def design_overlap(design: Design) -> Overlap:
    """See ``Design.overlap``."""
    frame, arms = design.call.frame, design.arms()
    distance = design.design_weights.distance
    found = arm_overlaps(arms, frame.unit_weights, design.design_weights.weights, distance)
    support = None if distance is None else common_support(distance, arms, frame.unit_weights > 0)
    return Overlap(found, support, frame.index, design.notes)
