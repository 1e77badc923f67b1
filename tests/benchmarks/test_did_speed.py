"""A small form of what is timed with ``-m benchmark``: cells share their models, and memory is linear in the units."""

import pytest

from causalformula.backends.did import estimators
from tests.benchmarks.did import COHORTS, bare, bytes_a_row, ours, panel


def test_each_group_has_one_model_of_the_treatment(monkeypatch):
    fits, fit = [], estimators.fit_odds
    monkeypatch.setattr(estimators, "fit_odds", lambda *a, **k: fits.append(1) or fit(*a, **k))
    assert ours(panel(400)) == pytest.approx(bare(panel(400)), rel=1e-7)
    assert len(fits) == len(COHORTS)


def test_memory_is_linear_in_the_units():
    assert bytes_a_row(4000) < 1.15 * bytes_a_row(1000)
