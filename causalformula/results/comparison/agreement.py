"""Whether the methods of a comparison agree: differences of their estimates, with what both rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from causalformula.backends.fit import Answer
from causalformula.inference.covariance import Covariance
from causalformula.inference.requests import Cluster, Request
from causalformula.numerics.arrays import Array, Bools
from causalformula.results.comparison.asked import UNADJUSTED, unadjusted
from causalformula.results.comparison.compared import Compared
from causalformula.results.joint.member import EXACT, Member, cluster_names, common_unit, unstacked
from causalformula.results.reading.carried import joint_test
from causalformula.results.reading.reading import two_sided
from causalformula.results.reading.test import Test
from causalformula.results.stack import Stack, stacked

if TYPE_CHECKING:
    import pandas as pd

    from causalformula.frame.model_frame import ModelFrame

# A difference whose variance is this share of the estimates' own differs by rounding only.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Agreement:
    """Differences between methods.

    Parameters
    ----------
    pairs : DataFrame
    test : Test or None
        That all agree; None with fewer than two methods to test.
    apart : mapping of str to str
        Methods that take no part in the joint test, with the reason.
    """

    pairs: pd.DataFrame
    test: Test | None
    apart: Mapping[str, str]


def agreement(compared: Sequence[Compared], frame: ModelFrame) -> Agreement:
    """Pairs of methods, and the test that all that adjust agree."""
    why = {one.asked.name: _unknown(one) for one in compared}
    able = [one for one in compared if not why[one.asked.name]]
    request, clash = _request([Member.of(one.fit) for one in able], frame)
    if clash:
        why.update({one.asked.name: clash for one in able})
        able = []
    both = _both(able, request)
    pairs = _pairs(compared, able, both, why)
    adjusting = [k for k, one in enumerate(able) if not unadjusted(one.asked.left_out, frame)]
    apart = {name: reason for name, reason in why.items() if reason}
    apart |= {one.asked.name: UNADJUSTED for k, one in enumerate(able) if k not in adjusting}
    test = None if both is None or len(adjusting) < 2 else _joint(both, adjusting, len(able))
    return Agreement(pairs, test, apart)


def _unknown(one: Compared) -> str:
    """Why nothing is known of a method's covariance with another; empty where it has an influence function."""
    return "no estimate" if one.fit is None else unstacked(one.fit)


def _request(members: Sequence[Member], frame: ModelFrame) -> tuple[Request, str]:
    """The covariance of the differences: by clusters where there are some, else the exact influences over rows."""
    by = {cluster_names(member.covariance.request) for member in members} - {()}
    if frame.cluster_names:
        by = {frame.cluster_names}
    unit = common_unit(members) if members else None
    if unit is not None and not by:
        by = {(unit,)}
    if len(by) > 1:
        named = " and by ".join(" + ".join(names) for names in sorted(by))
        return EXACT, f"the fits are clustered by {named}; give them the same clusters in vcov="
    return (Cluster(by.pop()), "") if by else (EXACT, "")


def _both(able: Sequence[Compared], request: Request) -> Stack | None:
    """The fits as one result."""
    if len(able) < 2:
        return None
    members, names = [Member.of(one.fit) for one in able], [one.asked.name for one in able]
    labels = tuple(
        replace(label, groups=(("fit", name), *label.groups))
        for name, member in zip(names, members, strict=True)
        for label in member.labels
    )
    return stacked(members, labels, members[0].measure, "", names, request)


def _differences(both: Stack, mix: Array) -> tuple[Answer, Covariance, Bools]:
    """Combinations of the stacked effects, their covariance, and which of them differ by more than rounding."""
    names = [f"b{k + 1}" for k in range(len(mix))]
    estimate = both.answer.estimate.contrast(mix, names)
    answer = Answer(estimate, both.answer.labels[: len(mix)], both.answer.measure)
    covariance = both.call.covariance(answer, both.covariance.request, None)
    own = mix**2 @ np.diag(both.covariance.matrix)
    return answer, covariance, np.abs(np.diag(covariance.matrix)) > ROUNDING * own


def _pairs(
    compared: Sequence[Compared], able: Sequence[Compared], both: Stack | None, why: Mapping[str, str]
) -> pd.DataFrame:
    """One row a pair of methods and an effect, on the working scale."""
    import pandas as pd

    labels = next(one.fit for one in compared if one.fit is not None).answer.labels
    q, place = len(labels), {one.asked.name: k for k, one in enumerate(able)}
    rows, mix = [], []
    for j, label in enumerate(labels):
        for a, b in combinations(compared, 2):
            names = (a.asked.name, b.asked.name)
            theta = [one.fit.answer.estimate.theta[j] if one.fit is not None else np.nan for one in (a, b)]
            reason = "; ".join(f"{name}: {why[name]}" for name in names if why[name])
            rows.append([*names, label.term, label.contrast, theta[0] - theta[1], reason])
            if not reason:
                row = np.zeros(q * len(able))
                row[place[names[0]] * q + j], row[place[names[1]] * q + j] = 1.0, -1.0
                mix.append(row)
    frame = pd.DataFrame(rows, columns=["first", "second", "term", "contrast", "difference", "note"])
    known = frame["note"].eq("").to_numpy()
    for name, values in _read(both, mix).items():
        column = np.full(len(frame), np.nan)
        column[known] = values
        frame.insert(frame.shape[1] - 1, name, column)
    return frame


def _read(both: Stack | None, mix: Sequence[Array]) -> dict[str, Array]:
    """Standard errors and tests of the pairs."""
    if both is None or not mix:
        return dict.fromkeys(("std.error", "statistic", "df", "p.value"), np.empty(0))
    answer, covariance, free = _differences(both, np.array(mix))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(free, answer.estimate.theta / covariance.std_error, np.nan)
    return {
        "std.error": covariance.std_error,
        "statistic": statistic,
        "df": covariance.df,
        "p.value": two_sided(statistic, covariance.df),
    }


def _joint(both: Stack, adjusting: Sequence[int], count: int) -> Test | None:
    """Wald's test that the effects of all these methods are those of the first."""
    q = len(both.answer.labels) // count
    rows = []
    for k in adjusting[1:]:
        for j in range(q):
            row = np.zeros(count * q)
            row[k * q + j], row[adjusting[0] * q + j] = 1.0, -1.0
            rows.append(row)
    mix = np.array(rows)
    _, _, free = _differences(both, mix)
    if not free.any():
        return None
    answer, covariance, _ = _differences(both, mix[free])
    method = f"Wald test that {len(adjusting)} methods agree (Hausman)"
    return joint_test(answer.estimate, covariance, both.call.codes, method, reduce=True)
