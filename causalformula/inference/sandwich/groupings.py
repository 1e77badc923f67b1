"""Sums over clusters of one or several groupings: inclusion-exclusion, repairs, and whose rows count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from causalformula.errors import CapabilityError, DataError, some
from causalformula.inference.evidence import Influence
from causalformula.inference.requests import Cluster
from causalformula.inference.sandwich.definite import nearest_psd, summed, transformed
from causalformula.inference.sandwich.dominant import ROUNDING
from causalformula.inference.sandwich.expanded import expanded
from causalformula.inference.sandwich.rows import small_sample_factor
from causalformula.inference.sandwich.rules import Rules
from causalformula.inference.sandwich.variances import Variance
from causalformula.numerics.arrays import Array, Bools, Codes
from causalformula.numerics.least_squares import group_sums

# A cluster leads where the influences of all others are less than this share of all, in size.
LEADING = 1e-4
# Rows whose influences are held at a time; fewer than there are clusters would be slow.
AT_ONCE = 2**16


def clustered(
    evidence: Influence,
    row: Variance,
    request: Cluster,
    groups: Mapping[str, Codes],
    fixed: bool,
    rules: Rules | None = None,
) -> tuple[Array, str, Array | None]:
    """Inclusion-exclusion over the groupings, each term with its own number of groups (Cameron, Gelbach, Miller 2011).

    Returns the matrix, its label, and degrees of freedom where the adjustment has its own.
    """
    if row.by_cluster is not None and len(request.by) > 1:
        raise CapabilityError(
            f"{row.name} is defined for one grouping, and this names {len(request.by)}; "
            f"use vcov='~{' + '.join(request.by)}'"
        )
    repaired = request.fix and len(request.by) > 1
    evidence, carry = _repairable(evidence, request.unconditional) if repaired else (evidence, None)
    used = rows_used(evidence)
    terms = []
    counts = []
    df = None
    for size in range(1, len(request.by) + 1):
        for names in combinations(request.by, size):
            codes, count = intersect([groups[name] for name in names], used)
            if count < 2:
                raise DataError(f"clustering by {' and '.join(names)} leaves {count} cluster; at least two are needed")
            sums, df = cluster_sums(evidence, row, codes, count, fixed, request.unconditional)
            factor = (-1) ** (size + 1) * small_sample_factor(row, evidence, count, rules)
            terms.append(factor * (sums.T @ sums) / evidence.n**2)
            if size == 1:
                counts.append(f"{names[0]}: {count}")
    fixest = "" if rules is None or rules.typed else ", fixest's rules" + rules.words
    label = f"clustered by {' and '.join(request.by)} ({row.name}{fixest}; clusters {some(counts)})"
    total = summed(terms)
    if repaired:
        total, changed = nearest_psd(total)
        label += "; negative eigenvalues set to zero" if changed else ""
    return total if carry is None else transformed(total, carry), label, df


def _repairable(evidence: Influence, unconditional: bool) -> tuple[Influence, Array | None]:
    """What a repair works on, and the map from it to the estimates.

    The coefficients of the one regression behind them, so that every function of the coefficients has the variance that
    the repaired matrix gives it (R repairs no other); the estimates themselves where there is none.
    """
    alone = len(evidence.stages) == 1 and not (evidence.direct is not None and (unconditional or evidence.always))
    if not alone:
        return evidence, None
    return replace(evidence, jac=np.eye(evidence.jac.shape[1]), direct=None, df_special={}), evidence.jac


def sizes(evidence: Influence, request: Cluster, groups: Mapping[str, Codes]) -> dict[str, int]:
    """How many clusters each grouping has among the rows that take part."""
    used = rows_used(evidence)
    return {name: intersect([groups[name]], used)[1] for name in request.by}


def rows_used(evidence: Influence) -> Bools | None:
    """Rows that take part, whose clusters are counted: of positive weight when one regression is all there is."""
    if evidence.used is not None:
        return None if evidence.used.all() else evidence.used
    hat = evidence.weighed
    several = evidence.root is not None and len(evidence.stages) > 1
    if hat is None or several or hat.nobs == evidence.n or len(hat.w) != evidence.n:
        return None
    return np.asarray(hat.w > 0)


def cluster_sums(
    evidence: Influence, row: Variance, codes: Codes, count: int, fixed: bool, unconditional: bool
) -> tuple[Array, Array | None]:
    """Influences summed by cluster (G, q), the root's adjusted where the row says so, with its degrees of freedom."""
    if row.by_cluster is None or evidence.root is None:
        step = max(AT_ONCE, count)
        parts = evidence.psi_parts(step, expected=row.expected, fixed=fixed, unconditional=unconditional)
        return balanced_sums(parts, codes, count, evidence.size), None
    # with weights, and equal variances as the working model, nested effects do not stay apart from CR2
    uneven = row.name == "CR2" and len(np.unique(evidence.root.w[evidence.root.w > 0])) > 1
    hat, jac = expanded(evidence.root, evidence.jac[:, -evidence.stages[-1].size :], [codes], every=uneven)
    adjusted = row.by_cluster(hat, codes, count, jac)
    rest = evidence.psi(adjust=np.zeros(evidence.n), expected=row.expected, fixed=fixed, unconditional=unconditional)
    return evidence.n * adjusted.sums + group_sums(rest, codes, count), adjusted.df


def balanced_sums(parts: Iterable[tuple[slice, Array]], codes: Codes, count: int, size: int) -> Array:
    """Influences summed by cluster (G, q); where one cluster's are far larger than its sum, from those of the others.

    Influences sum to zero. A cluster of nearly all the weight has a sum as small as that of the others, made of numbers
    so much larger that their rounding is as large as it. The parts are the caller's to use up.
    """
    sums, sizes = np.zeros((count, size)), np.zeros((count, size))
    for rows, psi in parts:
        sums += group_sums(psi, codes[rows], count)
        sizes += group_sums(np.abs(psi, out=psi), codes[rows], count)
        del psi  # before the next part is made
    first, total = sizes.argmax(axis=0), sizes.sum(axis=0)
    for k in np.flatnonzero(total - sizes.max(axis=0, initial=0.0) < LEADING * total):
        others = np.delete(sums[:, k], first[k]).sum()
        if abs(sums[first[k], k] + others) <= ROUNDING * sizes[first[k], k]:
            sums[first[k], k] = -others
    return sums


def intersect(codes: list[Codes], used: Bools | None = None) -> tuple[Codes, int]:
    """Codes 0..G-1 of the intersection of several groupings, and G: groups without a row that is used do not count.

    Rows that are not used get a code too; nothing of theirs is summed.
    """
    joint = codes[0]
    for other in codes[1:]:
        joint = np.unique(joint.astype(np.int64) * (int(other.max()) + 1) + other, return_inverse=True)[1]
    present = np.bincount(joint if used is None else joint[used], minlength=int(joint.max()) + 1) > 0
    if present.all():
        return joint, len(present)
    return np.maximum(np.cumsum(present) - 1, 0)[joint], int(present.sum())
