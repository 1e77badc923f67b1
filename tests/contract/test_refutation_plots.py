"""Pictures of a refutation: the refits that are drawn, and the numbers of the heat map."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

import causalformula as cf

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
TESTS = ["placebo", "subset", "negative_control_outcome", "leave_one_out"]


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def fit():
    heart = cf.datasets.load("heart").iloc[:200]
    rng = np.random.default_rng(0)
    heart = heart.assign(Other=rng.normal(size=200), Age=rng.normal(size=200))
    return cf.fit("Severity ~ treat(Drug) + adjust(I.H + Age)", heart)


def test_refits_beside_the_effect(fit):
    found = fit.refute(TESTS, reps=12, seed=1, negative_outcome="Other")
    ax = found.plot()
    assert [text.get_text() for text in ax.get_yticklabels()] == [test.replace("_", " ") for test in TESTS]
    lines = {line.get_label(): line for line in ax.lines}
    assert lines["Effect of the fit"].get_xdata()[0] == pytest.approx(fit.estimate)
    assert lines["No effect"].get_xdata()[0] == 0
    drawn = [line.get_xdata() for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(drawn[0], found.draws("placebo")[:, 0])
    np.testing.assert_allclose(drawn[1], found.draws("subset")[:, 0])
    np.testing.assert_allclose(drawn[2], found.table("leave_one_out")["refuted"])
    means = [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "D"]
    np.testing.assert_allclose(means, found.to_frame()["refuted"][:3])


def test_ratios_are_on_a_logarithmic_axis():
    heart = cf.datasets.load("heart").iloc[:200]
    fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart, measure="ratio")
    ax = fit.refute(["placebo"], reps=5, seed=1).plot()
    assert ax.get_xscale() == "log"
    assert {line.get_label(): line for line in ax.lines}["No effect"].get_xdata()[0] == 1


def test_the_heat_map_has_the_numbers_of_the_table(fit):
    found = fit.refute(["unobserved_confounder"], strengths=[0, 0.1, 0.2], seed=1)
    ax = found.plot()  # the only picture that there is
    table = found.table("unobserved_confounder").to_numpy()
    np.testing.assert_allclose(np.asarray(ax.images[0].get_array()), table)
    texts = {text.get_position(): text.get_text() for text in ax.texts}
    assert texts[(2, 1)] == f"{table[1, 2]:.3g}"
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "0.1", "0.2"]


def test_axes_of_ones_own(fit):
    _, ax = plt.subplots()
    assert fit.refute(["placebo"], reps=3, seed=1).plot(ax=ax) is ax
