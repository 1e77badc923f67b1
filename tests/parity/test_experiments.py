"""Experiments with clusters and blocks: ``estimatr::difference_in_means`` 1.0.0 (``tests/parity/r/experiments.R``)."""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from tests.parity.reference import close, data, values

FORMULAS = {
    "clustered": "Severity ~ treat(z) + cluster(cl)",
    "clustered_weighted": "Severity ~ treat(z) + cluster(cl) + weights(w)",
    "clustered_blocked": "Severity ~ treat(z) + cluster(cl) + strata(b)",
    "clustered_pairs": "Severity ~ treat(z) + cluster(cl) + strata(pair)",
    "blocked": "Severity ~ treat(Drug) + strata(b)",
}


@pytest.fixture(scope="module")
def experiment():
    d = data("heart.csv").iloc[:470].copy()
    i = np.arange(len(d))
    d["cl"] = (i + 3 * (i % 3 == 0)) // 20
    return d.assign(z=d["cl"] % 2, b=d["cl"] // 6, pair=d["cl"] // 2, w=1 + (i % 5) / 4)


@pytest.mark.parametrize("name", FORMULAS)
def test_experiments(experiment, name):
    theirs = values("r_experiments")[name]
    ours = cf.fit(FORMULAS[name], experiment).tidy().iloc[0]
    for column in ("std.error", "df", "statistic"):
        close(ours[column], theirs[column], 1e-8, what=column)
    for column in ("estimate", "conf.low", "conf.high"):
        close(ours[column], theirs[column], 1e-8, theirs["std.error"], column)
