"""Random regressions beside R, where R is installed; ``python tests/parity/r/fuzz.py --seeds A B`` draws more."""

from __future__ import annotations

import pytest

from tests.parity.r.fuzz import SEEDS, cases, data, missing, run


def test_random_regressions_agree_with_r():
    """Model matrices, coefficients, and covariances of sandwich and clubSandwich with their degrees of freedom."""
    if lacking := missing():
        pytest.skip(lacking)
    count, lines = run(SEEDS)
    assert count >= 300
    assert not lines, "\n".join(lines[:20])


def test_a_seed_draws_the_same():
    assert data(7).equals(data(7)) and cases(7) == cases(7)
