"""Pictures of instruments show the numbers of the fit."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

import causalformula as cf
from tests.exact.test_instruments import DATA, OVER


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def slope(line) -> float:
    x, y = line.get_data()
    return float((y[1] - y[0]) / (x[1] - x[0]))


def test_both_regressions_have_their_slopes():
    fit = cf.fit("y ~ treat(q) + iv(z) + adjust(x)", DATA)
    first, form = (slope(fit.plot(kind).lines[0]) for kind in ("first_stage", "reduced_form"))
    assert first == pytest.approx(fit.first_stage.params["z"])
    assert form == pytest.approx(fit.reduced_form.params["z"])
    assert form / first == pytest.approx(fit.estimate)
    several = cf.fit(OVER, DATA)
    assert slope(several.plot("first_stage").lines[0]) == pytest.approx(1.0)


def test_bins_of_nearly_one_value_are_one():
    """A binary instrument less covariates is nearly the same in many rows, whose means would stand upon each other."""
    data = DATA.assign(few=DATA["b"] + 0.001 * DATA["x"])
    points = cf.fit("v ~ treat(a) + iv(few)", data).plot("first_stage").collections[0].get_offsets()
    assert np.diff(np.sort(points[:, 0])).min() > 0.02
    assert len(points) == 2
    at = [data.loc[data["b"] == k, "few"].mean() for k in (0, 1)]
    np.testing.assert_allclose(np.sort(points[:, 0]), at, atol=0.01)


def test_the_legend_is_above_the_curve():
    ax = cf.fit(OVER, DATA).plot("anderson_rubin")
    ax.figure.canvas.draw()
    box = ax.get_legend().get_window_extent()
    for one in (*ax.lines[:1], ax.lines[2], *ax.collections):
        assert one.get_window_extent().y1 <= box.y0


def test_the_curve_crosses_where_the_set_ends():
    fit = cf.fit(OVER, DATA)
    values, p = fit.plot("anderson_rubin").lines[0].get_data()
    low, high = fit.anderson_rubin().intervals[0]
    np.testing.assert_array_equal(p > 0.05, (values > low) & (values < high))


def test_least_squares_stand_beside():
    fit = cf.fit(OVER, DATA)
    ax = fit.plot("compare")
    points = [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "o"]
    plain = cf.fit("y ~ treat(q) + adjust(x)", DATA).estimate
    assert points == pytest.approx([plain, fit.estimate, fit.estimate])
    weak = cf.fit("y ~ treat(q) + iv(noise) + adjust(x)", DATA).plot("compare")
    assert {line.get_marker() for line in weak.lines} >= {"<", ">"}


def test_compliers():
    fit = cf.fit("v ~ treat(a) + iv(b) + adjust(x + z)", DATA)
    shown = fit.plot("compliers").lines[-1].get_xdata()
    np.testing.assert_allclose(shown, fit.compliers()["difference"])
