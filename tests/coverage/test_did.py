"""Do intervals of a difference in differences cover, with units that stay alike and with repeated cross-sections?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.coverage.test_coverage import Study, run, valid

SIZES = [200, pytest.param(4000, marks=pytest.mark.slow)]
EFFECT = 1.5


def panel(rng, units=80, spread=2.0):
    """Units that differ lastingly, by group too; a common trend, and a control that moves in both groups."""
    unit, after = np.repeat(np.arange(units), 2), np.tile([0, 1], units)
    group = (unit % 5 < 2).astype(int)
    x = rng.normal(size=2 * units) + 0.5 * after + 0.3 * group
    y = 3 * group + after + EFFECT * group * after + x
    y = y + spread * rng.normal(size=units)[unit] + rng.normal(size=2 * units) * (1 + 0.5 * group)
    return pd.DataFrame({"y": y, "a": group, "t": after, "x": x, "id": unit})


def ask(formula, **options):
    return lambda data: cf.fit(formula, data, **options)


@pytest.mark.parametrize("reps", SIZES)
@pytest.mark.parametrize("formula", ["y ~ did(a, t, unit = id)", "y ~ did(a, t, unit = id) + x"])
def test_clustered_by_unit(formula, reps):
    valid(Study(panel, ask(formula), lambda data: EFFECT), reps)


@pytest.mark.parametrize("reps", SIZES)
def test_repeated_cross_sections(reps):
    """Nobody is observed twice, so rows are independent."""

    def draw(rng):
        return panel(rng, units=150).sample(frac=0.5, random_state=int(rng.integers(2**31))).drop_duplicates("id")

    valid(Study(draw, ask("y ~ did(a, t) + x", vcov="HC3"), lambda data: EFFECT), reps)


def test_rows_are_not_independent_in_a_panel():
    """What ``unit=`` is for: what is lasting in a unit cancels, and classical intervals are far too wide."""
    coverage, ratio, _ = run(Study(panel, ask("y ~ did(a, t)"), lambda data: EFFECT), 200)
    assert coverage > 0.98
    assert ratio > 1.3
