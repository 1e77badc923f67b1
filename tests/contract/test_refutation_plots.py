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
    (effect,) = [lines for lines in ax.collections if lines.get_label() == "Effect of the fit"]
    assert effect.get_segments()[0][:, 0] == pytest.approx(fit.estimate)
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
    assert not any("10^" in text.get_text() for text in ax.get_xticklabels())
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


def test_numbers_needed_to_treat_are_drawn_as_differences():
    heart = cf.datasets.load("heart").iloc[:200].assign(Severe=lambda d: d["Severity"] > 50)
    formula, tests = "Severe ~ treat(Drug) + adjust(I.H)", ["placebo", "unobserved_confounder"]
    fits = [cf.fit(formula, heart, family="binomial", measure=measure) for measure in ("nnt", "difference")]
    found = [fit.refute(tests, reps=9, seed=1) for fit in fits]
    clouds = [next(line.get_xdata() for line in each.plot().lines if line.get_marker() == "o") for each in found]
    np.testing.assert_allclose(*clouds)
    grids = [np.asarray(each.plot("confounder").images[0].get_array()) for each in found]
    np.testing.assert_allclose(*grids)
    assert found[0].plot().get_xlabel() == found[1].plot().get_xlabel()


def test_each_effect_stands_in_its_own_rows():
    heart = cf.datasets.load("heart").iloc[:200]
    heart = heart.assign(Arm=np.where(heart["Drug"] == 0, "a", np.where(np.arange(200) % 2, "b", "c")))
    fit = cf.fit("Severity ~ treat(Arm) + adjust(I.H)", heart)
    ax = fit.refute(["placebo", "subset"], reps=5, seed=1).plot()
    lines = [lines.get_segments()[0] for lines in ax.collections]
    np.testing.assert_allclose([line[0, 0] for line in lines], np.tile(fit.params, 2))
    np.testing.assert_allclose([line[:, 1].mean() for line in lines], range(4))


def test_a_test_that_failed_says_so():
    heart = cf.datasets.load("heart")
    found = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart, "cem").refute(["subset", "leave_one_out"], reps=3)
    assert [text.get_text() for text in found.plot().texts] == ["refits fail"]
