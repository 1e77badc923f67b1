"""The loader and the comparison themselves: a parity test that cannot fail proves nothing."""

import math

import numpy as np
import pytest

from tests.parity.reference import available, case, close, covariance_scale, data, matrix, names, vector


def test_a_case_comes_as_a_fresh_copy():
    case("lm_heart_adjusted")["values"].clear()
    assert case("lm_heart_adjusted")["values"]["nobs"] == 1000


def test_matrix_decodes_names_nulls_and_infinities():
    stored = {"rows": ["a", "b"], "cols": ["x", "y"], "values": [[1, None], ["-Inf", 2.5]]}
    frame = matrix(stored)
    assert list(frame.index) == ["a", "b"]
    assert list(frame.columns) == ["x", "y"]
    np.testing.assert_array_equal(frame.to_numpy(), [[1, np.nan], [-np.inf, 2.5]])


def test_vectors_named_repeated_and_plain():
    np.testing.assert_array_equal(vector({"a": 1, "b": None}), [1, np.nan])
    repeated = {"names": ["a", "a"], "values": [1, "Inf"]}
    np.testing.assert_array_equal(vector(repeated), [1, math.inf])
    assert names(repeated) == ["a", "a"]
    np.testing.assert_array_equal(vector(3), [3])


def test_bundled_data_need_nothing_else():
    assert available("heart.csv")
    assert data("heart.csv").shape == (1000, 3)


def test_missing_data_skip():
    with pytest.raises(pytest.skip.Exception, match="licence"):
        data("no_such_file.csv")


def test_factors_keep_their_level_order():
    assert list(data("veteran.csv")["celltype"].cat.categories) == ["squamous", "smallcell", "adeno", "large"]


def test_missing_values_are_missing():
    assert data("lung.csv")["meal.cal"].isna().sum() == 47


@pytest.mark.parametrize(
    ("ours", "theirs", "scale"),
    [
        (1.0, 1.0 + 9e-9, 0),
        (1e-6, 0.0, 1e3),
        ([1, math.nan], [1, None], 0),
        ({"a": 1.0}, {"a": 1.0}, 0),
        (math.inf, "Inf", 0),
        ([1.0, 2.0], {"rows": None, "cols": None, "values": [1.0, 2.0]}["values"], 0),
    ],
)
def test_close_accepts(ours, theirs, scale):
    close(ours, theirs, 1e-8, scale)


@pytest.mark.parametrize(
    ("ours", "theirs", "scale"),
    [
        (1.0, 1.0 + 2e-8, 0),
        (1e-5, 0.0, 1e2),
        (math.nan, 1.0, 0),
        (1.0, math.nan, 0),
        (1.0, math.inf, 0),
        (math.inf, -math.inf, 0),
        ([1.0, 2.0], [1.0], 0),
        ([[1.0, 2.0]], [1.0, 2.0], 0),
        (1.0, 2.0, math.nan),
    ],
)
def test_close_refuses(ours, theirs, scale):
    with pytest.raises(AssertionError, match="coef"):
        close(ours, theirs, 1e-8, scale, what="coef")


def test_covariance_scale():
    np.testing.assert_allclose(covariance_scale([[4.0, 1.0], [1.0, 9.0]]), [[4, 6], [6, 9]])
