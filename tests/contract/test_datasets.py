"""The bundled data are what their description says, and are made by the published recipe."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula import datasets
from causalformula.errors import OptionError
from tests.contract import simulated
from tests.contract.pension import pension


@pytest.mark.parametrize("name", datasets.names())
def test_described_as_they_are(name):
    frame = datasets.load(name)
    row = datasets.describe().set_index("name").loc[name]
    assert len(frame) == row["rows"]
    assert ", ".join(frame.columns) == row["columns"]
    assert not frame.isna().any().any()


def test_every_file_is_in_the_catalogue():
    folder = Path(datasets.__file__).parent
    assert sorted(path.name.split(".")[0] for path in folder.glob("*.csv*")) == sorted(datasets.names())


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


@pytest.mark.parametrize("recipe", [simulated.infants, simulated.campaign, pension])
def test_studies_are_the_published_simulations(recipe):
    # the last digit of what is rounded depends on the processor's exp
    pd.testing.assert_frame_equal(datasets.load(recipe.__name__), recipe(), rtol=0, atol=1.5e-4)


def test_infants_have_the_shape_and_the_surfaces_of_hill():
    data = datasets.load("infants")
    x, treated = data.loc[:, :"site_7"], data["treatment"] == 1
    assert treated.sum() == 139 and (~treated).sum() == 608
    assert [x[name].isin([0, 1]).all() for name in x] == [False] * 6 + [True] * 19
    full = np.column_stack([np.ones(747), x])
    for surface in (np.log(data["mu0"]), data["mu1"]):
        coefficients, _, rank, _ = np.linalg.lstsq(full, surface, rcond=None)
        assert rank == 26
        assert abs(full @ coefficients - surface).max() < 2e-4
    noise = data["y"] - data["mu1"].where(treated, data["mu0"])
    assert 0.9 < noise.std() < 1.1


def test_infants_known_averages():
    data = datasets.load("infants")
    effect, treated = data["mu1"] - data["mu0"], data["treatment"] == 1
    assert round(effect.mean(), 3) == 4.304
    assert round(effect[treated].mean(), 3) == 4
    assert round(effect.std(), 3) == 1.435
    assert round(data["y"][treated].mean() - data["y"][~treated].mean(), 3) == 4.585


def test_campaign_known_averages_and_who_is_moved():
    data = datasets.load("campaign")
    effect = data["p1"] - data["p0"]
    assert round(effect.mean(), 4) == 0.0178
    assert round(effect[data["email"] == 1].mean(), 4) == 0.0186
    assert round(data["p0"].mean(), 4) == 0.0957
    store, recent = data["channel"] == "store", data["recency"] <= 3
    assert (effect[store] == 0).all() and (effect[~store & recent] < 0).all() and (effect[~store & ~recent] > 0).all()
    assert [round(share, 2) for share in (store.mean(), (effect < 0).mean(), (effect > 0).mean())] == [0.35, 0.16, 0.48]
    # purchases are drawn with these probabilities, and e-mails by lot
    p = data["p1"].where(data["email"] == 1, data["p0"])
    assert abs((data["purchase"] - p).sum()) < 3 * np.sqrt((p * (1 - p)).sum())
    assert abs(data["email"].mean() - 0.5) < 3 * 0.5 / np.sqrt(20_000)


def test_campaign_effects_can_be_learned():
    data = datasets.load("campaign")
    x = " + ".join(data.loc[:, :"discount"])
    train, held = data[:10_000], data[10_000:]
    arms = [cf.glm(f"purchase ~ {x}", train[train["email"] == a], family="binomial") for a in (0, 1)]
    control, mailed = (arm.predict(held, type="response") for arm in arms)
    chosen = (mailed - control) > np.median(mailed - control)
    effects = [cf.fit("purchase ~ treat(email)", held[rows]) for rows in (chosen, ~chosen)]
    gain = effects[0].estimate - effects[1].estimate
    assert gain > 3 * np.hypot(*(fit.std_error for fit in effects))


def test_pension_known_averages_and_what_confounds():
    data = datasets.load("pension")
    effect, eligible = data["effect"], data["eligible"] == 1
    np.testing.assert_allclose(effect, 1 + 0.12 * data["income"], atol=0.0051)
    averages = [effect.mean(), effect[eligible].mean(), effect[~eligible].mean()]
    np.testing.assert_allclose(averages, [7.28, 7.34, 7.21], atol=0.005)
    assets = data["net_assets"]
    assert round(assets[eligible].mean() - assets[~eligible].mean(), 2) == 13.33
    # what matters, each in its own shape, with the coefficients of the recipe and a noise of standard deviation 12
    shapes = """I(exp(-((age - 46) / 9)^2)) + I(income > 60 & firm_size > 100) + income + homeowner + two_earners
    + patience + log(firm_size) + I(education == "degree") + I(debts == "several")"""
    model = cf.lm(f"without ~ {shapes}", data.assign(without=assets - effect * eligible))
    recipe = [12, 12, 0.35, 9, 5, 2, 1.5, 3, -4]
    assert (abs(model.params.to_numpy()[1:] - recipe) < 2.5 * model.bse.to_numpy()[1:]).all()
    assert 11.5 < model.sigma < 12.5


def test_files_are_small():
    folder = Path(datasets.__file__).parent
    assert all(path.stat().st_size < 250_000 for path in folder.glob("*.csv*"))


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
