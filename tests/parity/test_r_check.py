"""The comparison of re-run R values with the committed ones finds what it must."""

import pytest

from tests.parity.r.check import differences

STORED = {"n": 3, "label": "t", "vcov": [[4.0, 1e-17], [1e-17, 9.0]], "coef": {"a": 1.0, "b": None}, "p": [1e-128]}


def changed(**parts):
    return list(differences(STORED | parts, STORED))


def test_the_same():
    assert changed() == []


@pytest.mark.parametrize(
    "parts",
    [
        {"vcov": [[4.0 + 1e-10, -1e-17], [0.0, 9.0]]},  # rounding noise beside ordinary entries
        {"coef": {"a": 1.0 + 1e-11, "b": None}},
    ],
)
def test_rounding_passes(parts):
    assert changed(**parts) == []


@pytest.mark.parametrize(
    "parts",
    [
        {"n": 4},
        {"label": "z"},
        {"vcov": [[4.0, 1e-11], [1e-17, 9.0]]},
        {"vcov": [[4.0 + 1e-8, 1e-17], [1e-17, 9.0]]},
        {"vcov": [[4.0, 1e-17]]},
        {"coef": {"a": 1.0, "b": 0.0}},
        {"coef": {"a": float("nan"), "b": None}},
        {"coef": {"a": 1.0}},
        {"p": [2e-128]},
        {"more": 1},
    ],
)
def test_changes_are_found(parts):
    assert changed(**parts)
