"""The law of data that stay elsewhere, for a difference in differences of two groups over two periods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from tests.scale.test_law import agree, fitted, page

N = 120


def made(seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    treated, post = np.repeat(rng.integers(0, 2, N), 2), np.tile([0, 1], N)
    frame = pd.DataFrame({"id": np.repeat(np.arange(N), 2), "post": post, "T": treated, "x": rng.normal(size=2 * N)})
    frame["h"] = np.repeat(rng.choice(list("ab"), N), 2)
    frame["w"] = rng.uniform(0.5, 2, 2 * N)
    frame["grp"] = np.where(treated == 1, "yes", "no")
    frame["when"] = np.where(post == 1, "2020", "2019")
    frame["y"] = 1e3 + treated + post + 2 * treated * post + frame.x + rng.normal(size=2 * N)
    frame.loc[5, "x"] = np.nan
    return frame


PANEL = made()
PIECES = [PANEL.iloc[a:b] for a, b in ((150, 240), (0, 3), (3, 3), (3, 150))]
CASES: list[tuple[str, dict[str, Any]]] = [
    ("y ~ did(T, post)", {}),
    ("y ~ did(T, post) + x", {"vcov": "HC3"}),
    ("y ~ did(T, post, unit = id) + x + h", {}),
    ("y ~ did(grp, when, unit = id) + x + weights(w)", {}),
    ("y ~ did(T == 1, post == 1) + x + cluster(h)", {"vcov": "CR0 ~ id"}),
    ("y ~ did(T, post) + x + weights(w)", {}),
]


@pytest.mark.parametrize(("formula", "options"), CASES)
def test_differences_in_differences(formula: str, options: dict[str, Any]) -> None:
    found, known = fitted(formula, cf.scan(PIECES, limit=0), options), fitted(formula, PANEL, options)
    agree(found, known)
    assert page(found.summary()) == page(known.summary())
    agree(found.means(), known.means())
    pd.testing.assert_frame_equal(found.cells(), known.cells(), check_exact=False, rtol=1e-10, check_dtype=False)


def test_controls_that_are_the_same_in_both_periods_are_told() -> None:
    later = PANEL.assign(flat=PANEL.id % 7, moved=np.where(PANEL.index == 9, 5, PANEL.id % 3)).iloc[1:]
    fits = [
        fitted("y ~ did(T, post, unit = id) + flat + h + moved", data, {})
        for data in (cf.scan([later[::-1][:90], later[::-1][90:]], limit=0), later)
    ]
    for fit in fits:
        said = [line for line in str(fit).splitlines() if line.startswith("Note: ") and "of a unit" in line]
        assert len(said) == 1 and said[0].startswith("Note: flat, hb are the same in both periods of a unit")
        assert "1 unit of id is observed in one period only" in str(fit)


def test_units_that_no_row_by_row_reading_can_judge() -> None:
    twice = [*PIECES, PANEL.iloc[[7]]]
    with pytest.raises(cf.DataError, match="id 3 has more than one row in a period of post"):
        fitted("y ~ did(T, post, unit = id)", cf.scan(twice, limit=0), {})
    moved = PANEL.assign(T=PANEL["T"].where(PANEL.id != 3, [0, 1] * N))
    with pytest.raises(cf.CapabilityError, match="T changes within 1 unit of id"):
        fitted("y ~ did(T, post, unit = id)", cf.scan([moved], limit=0), {})
    on = PANEL.assign(D=PANEL["T"] * PANEL.post)
    with pytest.raises(cf.CapabilityError, match="make it a column of the data"):
        fitted("y ~ did(D, post, unit = id)", cf.scan([on], limit=0), {})
