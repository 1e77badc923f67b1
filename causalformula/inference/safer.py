"""What there is instead of standard errors that count on many clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from causalformula.inference.away import Away
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Accumulated, Influence
from causalformula.inference.request_text import quoted
from causalformula.inference.resampling.wild import answers
from causalformula.inference.sandwich.few import FEWEST

# Below this many Webb's six points make few patterns too.
FOR_WEBB = 4


def safer(counts: Mapping[str, int], estimate: Estimate) -> str:
    """What there is instead, for this estimate: of several groupings, by the one of the fewest clusters."""
    if isinstance(estimate.evidence, Accumulated):
        here = safer(counts, replace(estimate, evidence=_columns_of(estimate.evidence.shape)))
        return f"with the rows, or a sample of them, in memory: {here}"
    name = min(counts, key=counts.__getitem__)
    count = counts[name]
    alone = f"by {name} alone " if len(counts) > 1 else ""
    little = f", though {count} clusters tell little by any method" if count < FEWEST else ""
    evidence = estimate.evidence
    if not isinstance(evidence, Influence) or not _adjustable(evidence):
        return f"{alone}cf.Jackknife(cluster={name!r}){little}"
    return f"{alone}vcov='CR2 ~ {quoted(name)}'{_wild(name, count, evidence, estimate)}{little}"


def _columns_of(shape: Influence) -> Influence:
    """The same without rows, whose regression has as many columns as it would in memory."""
    root = shape.root
    if root is None or not isinstance(root.X, Away):
        return shape
    hat = replace(root, X=np.empty((0, len(root.bread))))
    return replace(shape, stages=(*shape.stages[:-1], replace(shape.stages[-1], hat=hat)))


def _adjustable(evidence: Influence) -> bool:
    """Whether CR2 exists: for one regression whose design is kept, and whose fitted values are a projection."""
    root = evidence.root
    if root is not None and root.instrumented not in (None, "projection"):
        return False
    return root is not None and len(evidence.stages) == 1 and root.X.shape[1] == len(root.bread)


def _wild(name: str, count: int, evidence: Influence, estimate: Estimate) -> str:
    """The wild bootstrap, where it can be had and its p-values may be small."""
    if count < FOR_WEBB or not answers(evidence, estimate.theta):
        return ""
    return f", or cf.Wild(weights='webb', cluster={name!r})" if count < FEWEST else f", or 'wild ~ {quoted(name)}'"
