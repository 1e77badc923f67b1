"""The bundled data are what their description says, and are made by the published recipe."""

from pathlib import Path

import numpy as np
import pytest

from causalformula import datasets
from causalformula.errors import OptionError


@pytest.mark.parametrize("name", datasets.names())
def test_described_as_they_are(name):
    frame = datasets.load(name)
    row = datasets.describe().set_index("name").loc[name]
    assert len(frame) == row["rows"]
    assert ", ".join(frame.columns) == row["columns"]
    assert not frame.isna().any().any()


def test_every_file_is_in_the_catalogue():
    folder = Path(datasets.__file__).parent
    assert sorted(path.stem for path in folder.glob("*.csv")) == sorted(datasets.names())


def test_heart_is_the_published_simulation():
    np.random.seed(42)
    n = 1000
    initial_health = np.random.normal(50, 15, n).clip(0, 100)
    drug = np.random.binomial(1, np.where(initial_health > 50, 0.8, 0.2))
    noise = np.random.normal(0, 5, n)
    severity = 10 + 0.9 * initial_health - 10 * drug + noise
    heart = datasets.load("heart")
    np.testing.assert_array_equal(heart["I.H"], initial_health)
    np.testing.assert_array_equal(heart["Drug"], drug)
    # the sum's last digit depends on whether the processor fuses multiplication and addition
    np.testing.assert_allclose(heart["Severity"], severity, rtol=1e-14)


def test_boot_reps_are_means_of_boot_sample():
    x = datasets.load("boot_sample")["x"].to_numpy()
    generator = np.random.RandomState(11)
    generator.lognormal(0, 0.8, len(x))  # the draws that made the sample come first in the stream
    rows = generator.randint(0, len(x), (999, len(x)))
    np.testing.assert_allclose(datasets.load("boot_reps")["t"], x[rows].mean(axis=1), rtol=1e-14)


def test_loading_twice_gives_separate_frames():
    first = datasets.load("heart")
    first["Drug"] = 9
    assert set(datasets.load("heart")["Drug"]) == {0, 1}


def test_unknown_name():
    with pytest.raises(OptionError, match=r"unknown data set 'hart'; did you mean 'heart'\?"):
        datasets.load("hart")


def test_a_name_is_not_a_path():
    with pytest.raises(OptionError):
        datasets.load("../datasets/heart")
