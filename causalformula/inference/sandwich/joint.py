"""Estimates of several fits on overlapping units, with the covariance that their common units give them.

Fit k estimates ``theta_k`` with influences ``psi_k`` on its own ``n_k`` rows, so that
``theta_hat_k - theta_k ~ sum_i psi_ki / n_k``. Placed on the union of the rows, with zero where a fit has no row, these
sums are the columns of one matrix, and ``V = sum_g s_g s_g'`` over rows or clusters is the fits' joint covariance. Each
fit's columns carry its own row adjustment and the root of its own factor, so that the diagonal blocks are the fits' own
covariances (White 1982; Weesie 1999).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from causalformula.errors import CapabilityError, DataError, OptionError, some
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence
from causalformula.inference.request_text import describe, quoted
from causalformula.inference.requests import HC, Asympt, Cluster, Request
from causalformula.inference.sandwich.caveats import (
    Leadership,
    leadership,
    told_of_indefinite,
    told_of_leadership,
    told_of_resting,
    undefined,
)
from causalformula.inference.sandwich.definite import nearest_psd, summed, transformed
from causalformula.inference.sandwich.few import told_of_few
from causalformula.inference.sandwich.groupings import cluster_sums, intersect, rows_used, sizes
from causalformula.inference.sandwich.rows import Covariance, degrees_of_freedom, small_sample_factor, variance_row
from causalformula.inference.sandwich.rules import freedom, rules_of
from causalformula.inference.sandwich.single import Single
from causalformula.numerics.arrays import Array, Codes


@dataclass(frozen=True, eq=False)
class Part:
    """One fit's evidence, where its rows stand in the union, and ``rests`` as in ``covariance``."""

    evidence: Influence
    place: Codes
    rests: float = np.inf


@dataclass(frozen=True, eq=False)
class Joint(Influence):
    """Evidence of combinations of several fits.

    Parameters
    ----------
    parts : tuple of Part
    mix : ndarray (q, Q)
        The estimates as combinations of the parts' estimates, one after the other.
    """

    parts: tuple[Part, ...] = ()
    mix: Array | None = None

    def map(self, jac: Array) -> Joint:
        """Of a smooth function with Jacobian ``jac`` (r, q)."""
        assert self.direct is not None and self.mix is not None
        return replace(self, jac=jac @ self.jac, direct=self.direct @ jac.T, mix=jac @ self.mix)


def join(parts: list[Part], n: int) -> Joint:
    """Evidence of the parts' estimates, stacked; the influences are the exact ones, on ``n`` units."""
    total = sum(part.evidence.size for part in parts)
    psi = np.zeros((n, total))
    at = 0
    for part in parts:
        size = part.evidence.size
        psi[part.place, at : at + size] = part.evidence.psi() * (n / part.evidence.n)
        at += size
    return Joint((), np.zeros((total, 0)), n, psi, always=True, parts=tuple(parts), mix=np.eye(total))


def joint_covariance(estimate: Estimate, request: Request, groups: Mapping[str, Codes]) -> Covariance:
    """Covariance of combinations of several fits, from their influences.

    Parameters
    ----------
    groups : mapping of str to ndarray (n,) of int
        Clusters of the union's units.

    Raises
    ------
    CapabilityError
        For a request that is no sandwich.
    """
    evidence = estimate.evidence
    assert isinstance(evidence, Joint) and evidence.mix is not None
    lost = np.empty(0, dtype=np.intp)
    notes: tuple[str, ...] = ()
    if isinstance(request, Cluster):
        matrix, df, label = _clustered(evidence, request, groups)
        advice = _advice(evidence, request, groups)
        found = _leadership(evidence, request, groups)
        notes = told_of_indefinite(matrix, estimate.names, request)
        notes += told_of_leadership(found, estimate.names, request, advice)
        notes += told_of_few(_sizes(evidence, request, groups), request, advice)
        matrix = undefined(matrix, found.undefined)
    elif isinstance(request, (HC, Asympt)):
        by_row = [_by_row(part, request, evidence.n) for part in evidence.parts]
        rows = np.hstack([rows for rows, _ in by_row]) @ evidence.mix.T
        matrix, df = rows.T @ rows, np.concatenate([df for _, df in by_row])
        matrix, lost, notes = _without_single_rows(evidence, request, estimate.names, matrix, by_row)
        exact = isinstance(request, Asympt) and request.unconditional
        label = "exact influences" if exact else describe(request)
    else:
        raise CapabilityError(
            f"vcov={describe(request)!r} is of one fit; several are joined through their influences: use 'asympt', "
            "'HC0' to 'HC5' or a cluster formula"
        )
    count = len(evidence.parts)
    label += f", joint over {count} fits" if count > 1 else ""
    return Covariance(request, matrix, _freedom(df, evidence.mix, request), label, notes=notes, full_leverage=lost)


def _sizes(evidence: Joint, request: Cluster, groups: Mapping[str, Codes]) -> dict[str, int]:
    """The fewest clusters of each grouping that one of the fits has."""
    each = [
        sizes(part.evidence, request, {name: groups[name][part.place] for name in request.by})
        for part in evidence.parts
    ]
    return {name: min(found[name] for found in each) for name in request.by}


def _advice(evidence: Joint, request: Cluster, groups: Mapping[str, Codes]) -> str:
    """What there is for few clusters: CR2 of regressions, and otherwise the fits one by one."""
    roots = all(part.evidence.root is not None and len(part.evidence.stages) == 1 for part in evidence.parts)
    counts = _sizes(evidence, request, groups)
    name = min(counts, key=counts.__getitem__)
    alone = f"by {name} alone " if len(counts) > 1 else ""
    if roots:
        return f"{alone}with_vcov('CR2 ~ {quoted(name)}')"
    return f"{alone}each fit by itself with cf.Jackknife(cluster={name!r})"


def _leadership(evidence: Joint, request: Cluster, groups: Mapping[str, Codes]) -> Leadership:
    """Combinations (q,) of estimates that depend on one cluster in their own fits."""
    assert evidence.mix is not None
    found = []
    for part in evidence.parts:
        codes = [groups[name][part.place] for name in request.by]
        own = _own_matrix(part.evidence, request, codes)
        found.append(leadership(part.evidence, codes, own, request, part.rests))
    return found[0].mixed(found[1:], evidence.mix)


def _own_matrix(own: Influence, request: Cluster, codes: list[Codes]) -> Array:
    """A fit's variances by its first grouping: enough to see which are zero."""
    row, fixed = variance_row(request, own)
    inside, count = intersect(codes[:1], rows_used(own))
    sums, _ = cluster_sums(own, row, inside, count, fixed, request.unconditional)
    return np.asarray(sums.T @ sums) / own.n**2


def _without_single_rows(
    evidence: Joint, request: HC | Asympt, names: Sequence[str], matrix: Array, by_row: Sequence[tuple[Array, Array]]
) -> tuple[Array, Codes, tuple[str, ...]]:
    """The matrix without what rows of leverage one leave undefined, these rows' units, and notes on what is kept."""
    assert evidence.mix is not None
    gone, kept, units = [], [], [np.empty(0, dtype=np.intp)]
    for part, (rows, _) in zip(evidence.parts, by_row, strict=True):
        single = Single.of(part.evidence)
        adjusted = part.evidence.root is not None and variance_row(request, part.evidence)[0].adjust is not None
        lost = single.moved if adjusted else single.lost(part.evidence, rows.T @ rows, part.rests)
        gone.append(lost)
        kept.append(single.resting & ~lost)
        units.append(part.place[single.behind(lost)])
    lost, rest = (((evidence.mix != 0) & np.concatenate(each)).any(axis=1) for each in (gone, kept))
    return undefined(matrix, lost), np.unique(np.concatenate(units)), told_of_resting(rest & ~lost, names, "row")


def _freedom(df: Array, mix: Array, request: Request) -> Array:
    """The smallest degrees of freedom of the estimates that a combination uses."""
    if request.df is not None:
        return np.full(len(mix), float(request.df))
    return np.array([float(df[row != 0].min()) if (row != 0).any() else np.inf for row in mix])


def _by_row(part: Part, request: HC | Asympt, n: int) -> tuple[Array, Array]:
    """A fit's adjusted sums on the union's rows (n, q), and degrees of freedom."""
    own = part.evidence
    row, fixed = variance_row(request, own)
    # a row of leverage one has no adjusted residual: what it has a part in is left out afterwards
    adjust = None if row.adjust is None or own.root is None else np.nan_to_num(row.adjust(own.root))
    psi = own.psi(adjust=adjust, expected=row.expected, fixed=fixed, unconditional=request.unconditional)
    out = np.zeros((n, own.size))
    rules = rules_of(request, own, {})
    factor = small_sample_factor(row, own, own.n if rules is None else rules.n, rules)
    out[part.place] = psi * (np.sqrt(factor) / own.n)
    return out, _own_df(request, own, freedom(rules, own))


def _own_df(request: Request, own: Influence, adjusted: Array | None) -> Array:
    return degrees_of_freedom(request, Estimate(tuple(map(str, range(own.size))), np.zeros(own.size), own), adjusted)


def _clustered(evidence: Joint, request: Cluster, groups: Mapping[str, Codes]) -> tuple[Array, Array, str]:
    """Inclusion-exclusion over the groupings, with each fit's own factor."""
    assert evidence.mix is not None
    # a repair is of all fits' estimates, so that every combination of them has the variance that it gives
    repaired = request.fix and len(request.by) > 1
    mix = np.eye(evidence.mix.shape[1]) if repaired else evidence.mix
    terms = []
    counts = []
    for size in range(1, len(request.by) + 1):
        for names in combinations(request.by, size):
            codes, count = intersect([groups[name] for name in names])
            if count < 2:
                raise DataError(f"clustering by {' and '.join(names)} leaves {count} cluster; at least two are needed")
            each = [_by_cluster(part, request, codes, count, groups) for part in evidence.parts]
            sums = np.hstack([sums for sums, _ in each]) @ mix.T
            terms.append((-1) ** (size + 1) * (sums.T @ sums))
            df = np.concatenate([df for _, df in each])
            if size == 1:
                counts.append(f"{names[0]}: {_clusters_used(evidence, codes)}")
    kinds = " and ".join(sorted({variance_row(request, part.evidence)[0].name for part in evidence.parts}))
    label = f"clustered by {' and '.join(request.by)} ({kinds}; clusters {some(counts)})"
    total = summed(terms)
    if repaired:
        total, changed = nearest_psd(total)
        label += "; negative eigenvalues set to zero" if changed else ""
        total = transformed(total, evidence.mix)
    return total, df, label


def _clusters_used(evidence: Joint, codes: Codes) -> int:
    """How many clusters have a row that a fit uses."""
    used = [(codes[part.place], rows_used(part.evidence)) for part in evidence.parts]
    return len(np.unique(np.concatenate([own if rows is None else own[rows] for own, rows in used])))


def _by_cluster(
    part: Part, request: Cluster, codes: Codes, count: int, groups: Mapping[str, Codes]
) -> tuple[Array, Array]:
    """A fit's adjusted sums by the union's clusters (G, q), and degrees of freedom."""
    own = part.evidence
    row, fixed = variance_row(request, own)
    if row.by_cluster is not None and len(request.by) > 1:
        raise CapabilityError(f"{row.name} is defined for one grouping; for {len(request.by)} use 'CR1' or 'CR1S'")
    mine, place = np.unique(codes[part.place], return_inverse=True)
    used = rows_used(own)
    mine = mine if used is None else mine[np.unique(place[used])]
    inside, size = intersect([place.astype(np.intp)], used)
    if size < 2:
        raise OptionError("one of the fits has a single cluster")
    sums, adjusted = cluster_sums(own, row, inside, size, fixed, request.unconditional)
    out = np.zeros((count, own.size))
    inner = {name: groups[name][part.place] for name in request.by}
    rules = rules_of(request, own, inner, sizes(own, request, inner))
    out[mine] = sums * (np.sqrt(small_sample_factor(row, own, size, rules)) / own.n)
    return out, _own_df(request, own, freedom(rules, own) if adjusted is None else adjusted)
