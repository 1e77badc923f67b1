"""Strata in large samples beside the logit that they are made of."""

import numpy as np
import pytest

import causalformula as cf
from tests.benchmarks.cases import Case, Limit, ratios, timed
from tests.benchmarks.floors import logit
from tests.benchmarks.weighting import sample

pytestmark = pytest.mark.benchmark


def test_subclass(capsys):
    """Six strata, n = 2e5, k = 20: the score's logit is nearly all of it."""
    data, formula, X, a, _ = sample(200_000, 20)

    def ours():
        fit = cf.fit(formula, data, "subclass")
        return np.array([fit.estimate, fit.std_error])

    calls = {"ours": ours, "logit": lambda: logit(X, a)}
    case = Case("subclass, n = 2e5, k = 20", calls, (Limit("ours", "logit", 3),), rounds=3, rtol=None)
    seconds = timed(case)
    with capsys.disabled():
        print(f"\n{case.title}: " + ", ".join(f"{name} {1000 * s:.4g} ms" for name, s in seconds.items()))
    for limit, ratio in ratios(case, seconds):
        assert ratio <= limit.most
