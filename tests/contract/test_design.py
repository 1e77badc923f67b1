"""``Design``: arrays by row label, effective sample sizes, and the data that a design keeps."""

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends.fit import DesignWeights
from causalformula.results.design import Design


@pytest.fixture(scope="module")
def heart():
    heart = cf.datasets.load("heart").head(8).copy()
    heart["Drug"] = [0, 1, 0, 1, 0, 1, 0, 1]
    heart["w"] = [1.0, 2.0, 1.0, 2.0, 3.0, 1.0, 1.0, 1.0]
    heart.index = list("abcdefgh")
    heart.loc["h", "I.H"] = np.nan
    return heart


@pytest.fixture(scope="module")
def call(heart):
    return cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart).call


@pytest.fixture(scope="module")
def matched(call):
    weights = np.array([1.0, 1.0, 0.0, 1.0, 0.5, 0.0, 1.5])
    pairs = np.array([[1, 0, -1], [3, 4, 6]])
    subclass = np.array([1, 1, 0, 2, 2, 0, 2])
    return Design(DesignWeights(weights, np.linspace(0.1, 0.7, 7), subclass, pairs), call)


def test_a_method_without_weights_has_ones(heart):
    design = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart).design
    pd.testing.assert_series_equal(design.weights, pd.Series(1.0, index=list("abcdefg"), name="weights"))
    assert design.distance is None and design.subclass is None and design.pairs is None
    assert design.ess().to_numpy().tolist() == [[4.0, 3.0], [4.0, 3.0]]


def test_arrays_carry_the_row_labels(matched):
    assert list(matched.weights.index) == list("abcdefg")
    assert matched.distance["c"] == pytest.approx(0.3)
    assert matched.subclass["e"] == 2
    assert matched.pairs.index.tolist() == ["b", "d"]
    assert matched.pairs.loc["d"].tolist() == ["e", "g"]
    assert matched.pairs.loc["b"].isna().tolist() == [False, True]


def test_effective_sample_sizes(matched):
    sizes = matched.ess()
    assert list(sizes.columns) == ["Control", "Treated"]
    assert list(sizes.index) == ["Unweighted", "Weighted"]
    control = np.array([1.0, 0.0, 0.5, 1.5])
    assert sizes.loc["Weighted", "Control"] == pytest.approx(control.sum() ** 2 / (control**2).sum())
    assert sizes.loc["Weighted", "Treated"] == 2


def test_sampling_weights_count_in_both(heart, matched):
    weighted = cf.fit("Severity ~ treat(Drug) + adjust(I.H) + weights(w)", heart).call
    sizes = Design(matched.design_weights, weighted).ess()
    base = heart["w"].to_numpy()[:7]
    arm = np.arange(7) % 2 == 0
    both = base * matched.design_weights.weights
    assert sizes.loc["Unweighted", "Control"] == pytest.approx(base[arm].sum() ** 2 / (base[arm] ** 2).sum())
    assert sizes.loc["Weighted", "Control"] == pytest.approx(both[arm].sum() ** 2 / (both[arm] ** 2).sum())
    kept = Design(matched.design_weights, weighted).matched_data()
    np.testing.assert_array_equal(kept["weights"], both[both > 0])


def test_arms_are_named_by_kind():
    heart = cf.datasets.load("heart").assign(arm=["a", "b", "c", "a"] * 250)
    levels = cf.fit("Severity ~ treat(arm) + adjust(I.H)", heart).design.ess()
    assert levels.loc["Weighted"].to_dict() == {"a": 500.0, "b": 250.0, "c": 250.0}
    dose = cf.fit("Severity ~ treat(I.H)", heart, method="regression").design.ess()
    assert dose.loc["Weighted"].to_dict() == {"Total": 1000.0}


def test_matched_data_are_the_rows_kept(matched, heart):
    before = heart.copy()
    data = matched.matched_data()
    assert data.index.tolist() == ["a", "b", "d", "e", "g"]
    assert list(data.columns) == [*heart.columns, "weights", "distance", "subclass"]
    assert data["Severity"].equals(heart.loc[data.index, "Severity"])
    data["Severity"] = 0.0
    pd.testing.assert_frame_equal(heart, before)


def test_matched_data_never_overwrite_a_column(heart):
    design = cf.fit("Severity ~ treat(Drug)", heart.rename(columns={"w": "weights"})).design
    with pytest.raises(cf.OptionError, match=r"already have a column 'weights'.*matched_data\(weights="):
        design.matched_data()
    assert ".w" in design.matched_data(weights=".w").columns


def test_print_says_what_it_has(matched):
    text = str(matched)
    assert text == repr(matched)
    assert "5 of 7 rows kept; it has weights, distance, subclass, pairs" in text
    assert "Control" in text and "Weighted" in text


def test_frozen_and_picklable(matched):
    with pytest.raises(FrozenInstanceError):
        matched.call = None
    again = pickle.loads(pickle.dumps(matched))
    pd.testing.assert_series_equal(again.weights, matched.weights)
    pd.testing.assert_frame_equal(again.ess(), matched.ess())


@pytest.mark.parametrize("name", ["balance", "plot"])
def test_what_is_to_come_says_so(matched, name):
    with pytest.raises(cf.CapabilityError, match="not available yet"):
        getattr(matched, name)()
