"""Do intervals beside absorbed fixed effects cover, with many units, and errors that last in a unit?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.coverage.test_coverage import Study, run, valid

SIZES = [60, pytest.param(1000, marks=pytest.mark.slow)]
EFFECT = -0.7


def panel(rng, units=150, periods=6):
    """A dose that goes with its unit and period, rows lost at random, and errors that wear off slowly in a unit."""
    unit, time = np.repeat(np.arange(units), periods), np.tile(np.arange(periods), units)
    lasting, trend = rng.normal(size=units), np.linspace(0, 2, periods)
    steps = rng.normal(size=(units, periods))
    dose = (lasting[:, None] + trend + np.cumsum(steps, axis=1)).ravel()
    errors = np.cumsum(rng.normal(size=(units, periods)), axis=1).ravel()
    y = EFFECT * dose + 3 * lasting[unit] - trend[time] ** 2 + errors
    frame = pd.DataFrame({"y": y, "d": dose, "unit": unit, "time": time})
    return frame[rng.random(len(frame)) < 0.85].reset_index(drop=True)


def ask(**options):
    return lambda data: cf.fit("y ~ treat(d) | unit + time", data, **options)


@pytest.mark.parametrize("reps", SIZES)
@pytest.mark.parametrize("vcov", ["~unit", "CR2 ~ unit"])
def test_clustered_by_unit(vcov, reps):
    valid(Study(panel, ask(vcov=vcov), lambda data: EFFECT), reps)


def test_rows_of_a_unit_are_not_independent():
    """What clusters are for: within a unit dose and error both wear off slowly."""
    coverage, ratio, _ = run(Study(panel, ask(), lambda data: EFFECT), 60)
    assert coverage < 0.95
    assert ratio < 0.9
