"""Equations among effects, and the test that effects are equal across groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from causalformula.backends.fit import Answer, Label
from causalformula.inference.covariance import Covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.requests import Request
from causalformula.inference.sandwich.definite import transformed
from causalformula.inference.scales import read_measure
from causalformula.results.effects.core import ResultCore
from causalformula.results.reading.carried import Equations, carried, joint_test
from causalformula.results.reading.equations import aliases
from causalformula.results.reading.test import Test

R = TypeVar("R", bound=ResultCore)


def asked(result: R, equations: str | Sequence[str]) -> R:
    """Equations among a result's effects, with their joint test; see ``Result.hypothesis``."""
    found = Equations.of(equations, aliases(result.answer), result.answer.estimate, result.answer.measure)
    labels = tuple(Label(text, "") for text in found.texts)
    plain = read_measure("difference")
    answer = Answer(found.estimate, labels, plain)

    def anew(estimate: Estimate, request: Request) -> Covariance:
        return result.call.covariance(Answer(estimate, labels, plain), request, None)

    covariance = carried(found, result.covariance, result.call.codes, anew)
    test = joint_test(answer.estimate, covariance, result.call.codes, "Wald test")
    source = (result, found.texts)
    return replace(result, answer=answer, covariance=covariance, query=None, test=test, source=source)


def tested(result: R) -> R:
    """Effects that a query splits by group, with the test that they are equal; any others as they are."""
    if result.query is None or not result.query.split:
        return result
    return replace(result, test=_equality(result, result.query.tested))


def _equality(result: ResultCore, name: str) -> Test | None:
    """Wald test that the effects are equal across groups, contrast by contrast."""
    labels = result.answer.labels
    rows = []
    first: dict[tuple[str, str], int] = {}
    for k, label in enumerate(labels):
        key = (label.term, label.contrast)
        if key in first:
            row = np.zeros(len(labels))
            row[k], row[first[key]] = 1.0, -1.0
            rows.append(row)
        else:
            first[key] = k
    if not rows:
        return None
    matrix = np.array(rows)
    covariance = transformed(result.covariance.matrix, matrix)
    # Effects that the model holds equal differ by rounding only: there is nothing to test in them.
    free = np.abs(np.diag(covariance)) > 1e-12 * (matrix**2 @ np.diag(result.covariance.matrix))
    if not free.any():
        return None
    matrix, covariance = matrix[free], covariance[np.ix_(free, free)]
    differences = result.answer.estimate.contrast(matrix, [f"b{k}" for k in range(len(matrix))])
    what = "means" if result.query is not None and result.query.kind == "means" else "effects"
    method = f"Wald test that the {what} are equal by {name}"
    # A numeric modifier's groups lie on a line, so equality of two of them implies that of all.
    own = replace(result.covariance, matrix=covariance, draws=None, reference=None)
    return joint_test(differences, own, result.call.codes, method, reduce=True)
