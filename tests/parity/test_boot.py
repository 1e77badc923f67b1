"""Bootstrap intervals against R's boot: ``boot_ci_mean``, whose replicates are stored."""

from __future__ import annotations

import numpy as np
import pytest

from causalformula.errors import CausalFormulaWarning
from causalformula.inference.resampling.resample import interval
from tests.parity import reference

KINDS = {"normal": "norm", "basic": "basic", "percentile": "perc"}


def draws() -> np.ndarray:
    return reference.data("boot_reps.csv")[["t"]].to_numpy()


def limits(stored: dict) -> dict[float, np.ndarray]:
    """Level to limits; the ranks that R reports stand between them."""
    table = reference.matrix(stored).to_numpy(dtype=float)
    return {row[0]: row[-2:] for row in table}


def test_moments() -> None:
    """R: mean(t) - t0, sd(t)."""
    r, t = reference.values("boot_ci_mean"), draws()
    reference.close(t.mean() - r["t0"], r["bias"], scale=r["se"])
    reference.close(t.std(ddof=1), r["se"])


@pytest.mark.parametrize("kind", KINDS)
def test_limits(kind: str) -> None:
    """R: boot.ci(b, conf = c(.9, .95, .99), type = c("norm", "basic", "perc"))."""
    r = reference.values("boot_ci_mean")
    stored = limits(r["ci_L_jack"][KINDS[kind]])
    assert sorted(stored) == [0.9, 0.95, 0.99]
    for level, expected in stored.items():
        found = interval(draws(), np.array([r["t0"]]), level, kind)[0]
        reference.close(found, expected, what=f"{kind} {level}")


@pytest.mark.parametrize("kind", KINDS)
def test_limits_on_the_log_scale(kind: str) -> None:
    """R: boot.ci(..., h = log, hinv = exp, hdot = function(u) 1 / u)."""
    r = reference.values("boot_ci_mean")
    ((level, expected),) = limits(r["log_scale"][KINDS[kind]]).items()
    found = np.exp(interval(np.log(draws()), np.log([r["t0"]]), level, kind)[0])
    reference.close(found, expected)


@pytest.mark.parametrize("reps", [99, 999, 1000])
def test_percentile_limits_are_order_statistics_where_the_rank_is_whole(reps: int) -> None:
    t = np.random.default_rng(0).permutation(np.arange(1.0, reps + 1))[:, None]
    low, high = interval(t, np.zeros(1), 0.95 if reps != 99 else 0.9, "percentile")[0]
    if reps == 999:
        assert (low, high) == (25, 975)
    elif reps == 99:
        assert (low, high) == (5, 95)
    else:
        assert 25 < low < 26
        assert 975 < high < 976


def test_a_level_beyond_the_draws_takes_the_extremes() -> None:
    t = np.arange(1.0, 11)[:, None]
    with pytest.warns(CausalFormulaWarning, match="too few for limits"):
        assert interval(t, np.zeros(1), 0.99, "percentile").tolist() == [[1.0, 10.0]]
