"""A tenth of what is timed with ``-m benchmark``, beside the same floors: no quadratic step slips in between."""

from dataclasses import replace

import pytest

from tests.benchmarks.cases import timed
from tests.benchmarks.matching import on_a_score, on_covariates


# the machine may be busy, and a small problem has more of what does not grow with it
@pytest.mark.parametrize(
    ("case", "most"), [(on_a_score(100_000), 5), (on_covariates(2_000), 8)], ids=["score", "space"]
)
def test_a_tenth(case, most):
    short = replace(case, calls={name: case.calls[name] for name in ("floor", "ours")}, rounds=1)
    seconds = timed(short)
    assert seconds["ours"] <= most * seconds["floor"]
