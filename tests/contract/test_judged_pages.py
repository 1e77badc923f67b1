"""What judging verbs of unit effects print and draw: their own words, and curves beside each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

F = "y ~ treat(a) + adjust(x + z)"


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(4)
    d = pd.DataFrame({"x": rng.normal(size=400), "z": rng.normal(size=400), "a": np.arange(400) % 2})
    d["y"] = d.x + d.a * (1 + d.x) + rng.normal(size=400)
    return cf.fit(F, d, "t_learner"), cf.fit(F, d, "t_learner", outcome_model="knn")


def legend(ax):
    import matplotlib.pyplot as plt

    found = [text.get_text() for text in ax.get_legend().get_texts()]
    plt.close(ax.figure)
    return found


def test_no_forest_is_named_where_none_predicts(fits):
    found = fits[0].calibration()
    assert "forest" not in str(found)
    assert found.test["term"].tolist() == ["mean prediction", "differential prediction"]
    assert any(line.startswith("differential prediction ") for line in str(found).splitlines())


def test_the_spread_of_effects_stands_in_one_table(fits):
    heads = [line for line in str(fits[0].effects()).splitlines() if "Median" in line]
    assert len(heads) == 1 and heads[0].split()[-1] == "Max"


def test_a_curve_is_called_by_what_ranks(fits):
    said = legend(fits[0].qini(reps=0).plot())
    assert said[0].startswith("predicted effects: QINI ") and said[1] == "at random"
    assert legend(fits[0].qini("x", reps=0).plot())[0].startswith("x: QINI ")


def test_curves_beside_each_other(fits):
    one, other = (fit.qini(reps=0) for fit in fits)
    ax = one.plot(name="glm", compare={"knn": other})
    drawn = {line.get_label().split(":")[0]: line.get_ydata()[1:] for line in ax.lines if "QINI" in line.get_label()}
    np.testing.assert_array_equal(drawn["glm"], one.to_frame()["estimate"])
    np.testing.assert_array_equal(drawn["knn"], other.to_frame()["estimate"])
    assert [text.split(":")[0] for text in legend(ax)] == ["glm", "knn", "at random"]


def test_curves_that_do_not_stand_beside_each_other(fits):
    one = fits[0].qini(reps=0)
    with pytest.raises(cf.OptionError, match="'toc' is a curve of another kind: Targeting operator"):
        one.plot(compare={"toc": fits[0].toc(reps=0)})
    with pytest.raises(cf.OptionError, match="of another kind"):
        one.plot(compare={"seen": fits[0].qini(observed=True, reps=0)})
    with pytest.raises(cf.OptionError, match="named 'knn' too"):
        one.plot(name="knn", compare={"knn": one})
    for wrong in ([one], {"fit": fits[0]}):
        with pytest.raises(cf.OptionError, match="compare= is a mapping of names to curves"):
            one.plot(compare=wrong)
