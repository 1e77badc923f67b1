"""Pictures of several fits side by side, and of absorbed effects."""

from __future__ import annotations

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import causalformula as cf

RNG = np.random.default_rng(5)
DATA = pd.DataFrame(RNG.normal(size=(120, 3)), columns=["y", "x", "z"])
DATA["u"], DATA["t"], DATA["k"] = RNG.integers(0, 9, 120), RNG.integers(0, 5, 120), RNG.poisson(3.0, 120)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def points(ax):
    return [line for line in ax.lines if line.get_marker() not in ("None", "")]


def spans(ax):
    """Ends of the intervals (m, 2), in the order in which they were drawn."""
    return np.vstack([[path.vertices[:, 0] for path in bars.get_paths()] for bars in ax.collections])


def test_fits_side_by_side():
    fits = cf.lm("y ~ csw(x, z) | sw0(u)", DATA)
    for ax in (fits.plot(), cf.plots.coefficients(list(fits)), cf.plots.coefficients(fits)):
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["(1)", "(2)", "(3)", "(4)"]
        assert [text.get_text() for text in ax.get_yticklabels()] == ["x", "z"]
        drawn = points(ax)
        for line, model in zip(drawn, fits, strict=True):
            np.testing.assert_allclose(line.get_xdata(), model.params.drop("(Intercept)", errors="ignore"))
        # in a row they stand one below the other, each with its interval
        rows = [line.get_ydata()[0] for line in drawn]
        assert rows == sorted(rows) and rows[0] > -0.5 and rows[-1] < 0.5
        tidy = pd.concat([model.tidy() for model in fits])
        tidy = tidy[tidy["term"] != "(Intercept)"]
        np.testing.assert_allclose(spans(ax), tidy[["conf.low", "conf.high"]])
    named = cf.plots.coefficients({"plain": fits[0], "within": fits[2]}, intercept=True)
    assert [text.get_text() for text in named.get_legend().get_texts()] == ["plain", "within"]
    assert [text.get_text() for text in named.get_yticklabels()] == ["(Intercept)", "x"]
    effects = cf.fit("y ~ treat(x) + csw0(z, u)", DATA, method="regression").plot()
    assert [text.get_text() for text in effects.get_yticklabels()] == ["x +1"]
    with pytest.raises(cf.OptionError, match="draws a fit"):
        cf.plots.coefficients([1, 2])
    with pytest.raises(cf.DataError, match="no coefficient but its intercept"):
        cf.lm("y ~ 1", DATA).plot()


@pytest.mark.parametrize(
    ("formula", "dummies", "family"),
    [
        ("y ~ x | u", "y ~ x + factor(u) - 1", None),
        ("y ~ x | t + u", "y ~ x + factor(u) + factor(t) - 1", None),
        ("k ~ x | u + t", "k ~ x + factor(u) + factor(t) - 1", "poisson"),
    ],
)
def test_absorbed_effects_are_drawn_sorted_with_the_intervals_of_dummies(formula, dummies, family):
    fit = cf.lm if family is None else lambda text, data: cf.glm(text, data, family=family, epsilon=1e-12)
    found, other = fit(formula, DATA), fit(dummies, DATA)
    ax = found.fixed_effects("u").plot(level=0.9)
    (line,) = points(ax)
    values = line.get_xdata()
    assert (np.diff(values) <= 0).all() and len(values) == 9
    names = [f"factor(u){text.get_text()}" for text in ax.get_yticklabels()]
    less = np.eye(9) - 1 / 9
    np.testing.assert_allclose(values, less @ other.params[names], rtol=1e-7, atol=1e-9)
    error = np.sqrt(np.diag(less @ other.vcov().loc[names, names].to_numpy() @ less))
    quantile = 1.6448536269514722 if family else stats.t.ppf(0.95, found.df_residual)
    np.testing.assert_allclose((spans(ax)[:, 1] - spans(ax)[:, 0]) / 2, quantile * error, rtol=1e-5)
    assert "90% classical interval" in ax.get_xlabel()


def test_factors_one_below_the_other():
    effects = cf.lm("y ~ x | u + t", DATA).fixed_effects()
    ax = effects.plot()
    assert len(points(ax)) == 2 and len(ax.get_yticklabels()) == 14
    assert [text.get_text() for text in ax.texts] == ["u", "t"]
    assert type(effects.head()) is pd.DataFrame and type(effects[["level"]]) is pd.DataFrame
    assert pickle.loads(pickle.dumps(effects)).plot() is not ax
    slopes = cf.lm("y ~ z | u[x]", DATA).fixed_effects().plot()
    assert "no intervals" in slopes.get_xlabel()
    many = DATA.assign(u=np.arange(120) // 2)
    assert not cf.lm("y ~ x | u", many).fixed_effects().plot().get_yticklabels()
