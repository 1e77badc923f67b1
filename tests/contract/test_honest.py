"""What ``cf.honest`` gives: its frame, print and picture."""

from __future__ import annotations

import pickle

import matplotlib
import numpy as np
import pandas as pd
import pytest

import causalformula as cf

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

BETAS, SIGMA = [0.05, 0.02, 0.6, 0.8], 0.01 * (0.5 * np.eye(4) + 0.5)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def asked(kind="relative_magnitude", **options):
    return cf.honest(BETAS, SIGMA, kind, **{"num_pre": 2, "num_post": 2, **options})


def test_the_frame():
    frame = asked(M=[1, 0, 1]).to_frame()
    assert list(frame.columns) == ["M", "lower", "upper", "method"]
    assert frame["M"].tolist() == [0, 1]
    assert (frame["method"] == "C-LF").all()
    assert (frame["lower"] < frame["upper"]).all()


def test_pandas_objects_are_taken():
    names = ["-3", "-2", "0", "1"]
    sizes = {"num_pre": 2, "num_post": 2, "M": 0.5}
    found = cf.honest(pd.Series(BETAS, names), pd.DataFrame(SIGMA, names, names), "smoothness", **sizes)
    pd.testing.assert_frame_equal(found.to_frame(), asked("smoothness", M=0.5).to_frame())


def test_defaults():
    assert asked().M.tolist() == [0, 0.5, 1, 1.5, 2]
    smooth = asked("smoothness")
    assert (smooth.method, len(smooth.M), smooth.M[0]) == ("FLCI", 5, 0)
    assert smooth.M[-1] == pytest.approx(smooth.bounds()[1])
    assert asked("smoothness", direction="positive", M=1).method == "C-LF"
    assert asked("smoothness", num_pre=1, num_post=3).M[-1] == pytest.approx(0.1)


def test_the_print():
    text = str(asked(M=[0, 1], l_vec=[0.5, 0.5], seed=4))
    lines = text.splitlines()
    assert lines[0] == "Sensitivity to violations of parallel trends (relative magnitude)"
    assert lines[1] == "Effect: the mean of the 2 periods after treatment; coefficients: 2 before treatment, 2 after"
    assert "changes by at most M times its largest change before" in lines[2]
    assert [line[:15].rstrip() for line in lines[6:9]] == ["Parallel trends", "M = 0", "M = 1"]
    assert "seed 4" in lines[-1]
    assert max(map(len, lines)) <= 130


def test_the_print_says_what_is_added_and_what_is_bounded():
    text = str(asked("smoothness", M=0.1, direction="decreasing", method="conditional", l_vec=[0, 1]))
    assert "that in period 2 after treatment" in text
    assert "the violation does not increase" in text
    assert "The largest change of slope before treatment is at least" in text
    assert "simulated" not in text
    assert "weighted 2, -1" in str(asked("smoothness", M=0.1, l_vec=[2, -1]))
    assert "change of slope before treatment" in str(asked(bound="deviation from linear trend", M=1))


def test_breakdown_in_the_print():
    found = asked()
    assert f"Breakdown value: {found.breakdown():.4g} (the smallest M" in str(found)
    nothing = cf.honest([0.05, 0.02, 0.0, 0.8], SIGMA, "smoothness", num_pre=2, num_post=2, M=0.1)
    assert "the interval contains 0 at M = 0 already" in str(nothing)
    never = asked("smoothness", direction="negative", M=[0.1])
    assert never.breakdown() == np.inf
    assert "none found" in str(never)


def test_notebooks_and_pickles():
    found = asked("smoothness", M=[0, 0.2])
    assert found._repr_html_().count("<table") == 1
    assert "<table" not in found._repr_markdown_()
    assert str(pickle.loads(pickle.dumps(found))) == str(found)


@pytest.mark.parametrize("kind", ["smoothness", "relative_magnitude"])
def test_the_picture(kind):
    found = asked(kind, M=[0, 0.5, 1])
    ax = found.plot()
    usual, others = (lines for lines in ax.collections if not lines.get_label().startswith("_"))
    np.testing.assert_allclose(np.array(usual.get_segments())[0, :, 1], found.original)
    drawn = np.array(others.get_segments())
    np.testing.assert_allclose(drawn[:, 0, 0], found.M)
    np.testing.assert_allclose(drawn[:, :, 1], np.column_stack([found.lower, found.upper]))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Parallel trends", found.method]
    assert ax.get_xlabel().startswith("M")
    assert ax.get_ylabel() == "95% interval of the effect"


def test_an_empty_interval_leaves_a_gap_in_the_picture():
    options = {"num_pre": 1, "num_post": 1, "M": [0, 9], "direction": "positive"}
    ax = cf.honest([5, 1.0], 0.01 * np.eye(2), "smoothness", **options).plot()
    assert np.isfinite(ax.get_ylim()).all()
    own = cf.honest([5, 1.0], 0.01 * np.eye(2), "smoothness", **options).plot(ax=plt.figure().add_subplot())
    assert own.figure is plt.gcf()
