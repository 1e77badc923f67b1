"""The front door against its own arithmetic: products of coefficients, and sums over the mediator."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    n = 400
    u, x = rng.normal(size=(2, n))
    a = (u + x + rng.normal(size=n) > 0).astype(int)
    m = 0.8 * a + 0.3 * x + rng.normal(size=n)
    k = np.where(rng.random(n) < 0.3 + 0.4 * a, np.where(rng.random(n) < 0.5, "mid", "high"), "low")
    y = 2 * m + (k == "high") + 3 * u + x + rng.normal(size=n)
    return pd.DataFrame({"a": a, "x": x, "m": m, "k": k, "y": y, "w": rng.uniform(0.5, 2, n), "q": a + u})


def test_one_mediator_is_a_product_of_coefficients(data):
    fit = cf.fit("y ~ treat(a) + adjust(x)", data, "front_door", mediators="m")
    first, second = cf.lm("m ~ a + x", data), cf.lm("y ~ a + x + m", data)
    alpha, gamma = first.params["a"], second.params["m"]
    assert fit.estimate == pytest.approx(alpha * gamma, rel=1e-12)
    # the delta method on the two regressions, stacked: both influences row by row
    psi = gamma * first.influence()[:, 1] + alpha * second.influence()[:, 3]
    assert fit.std_error == pytest.approx(np.sqrt(psi @ psi) / len(data), rel=1e-10)
    np.testing.assert_allclose(fit.influence()[:, 0], psi, atol=1e-9)
    np.testing.assert_allclose(fit.outcome.params["m"], gamma, rtol=1e-12)


def test_a_dose_several_mediators_and_weights(data):
    fit = cf.fit("y ~ treat(q) + adjust(x) + weights(w)", data, "front_door", mediators="m + k", contrast=2)
    coded = data.assign(low=(data["k"] == "low") * 1.0, mid=(data["k"] == "mid") * 1.0)
    second = cf.lm("y ~ q + x + m + low + mid", coded, weights="w").params
    first = {name: cf.lm(f"{name} ~ q + x", coded, weights="w").params["q"] for name in ("m", "low", "mid")}
    assert fit.estimate == pytest.approx(2 * sum(first[name] * second[name] for name in first), rel=1e-10)


def test_saturated_is_the_sum_over_the_mediator():
    """Pearl's formula, sum_m P(m | a) sum_a' P(a') E[y | a', m], where everything is 0 or 1."""
    rng = np.random.default_rng(4)
    n = 500
    u = rng.random(n) < 0.5
    a = (rng.random(n) < 0.2 + 0.5 * u).astype(int)
    m = (rng.random(n) < 0.3 + 0.4 * a).astype(int)
    y = (rng.random(n) < 0.1 + 0.3 * m + 0.4 * u + 0.1 * a * m).astype(int)
    data = pd.DataFrame({"a": a, "m": m, "y": y})

    def mean(value):
        inner = {k: sum((a == b).mean() * y[(a == b) & (m == k)].mean() for b in (0, 1)) for k in (0, 1)}
        return sum((m[a == value] == k).mean() * inner[k] for k in (0, 1))

    fit = cf.fit("y ~ treat(a)", data, "front_door", mediators="m", interact=True)
    np.testing.assert_allclose(fit.means().tidy()["estimate"], [mean(0), mean(1)], rtol=1e-12)
    ratio = cf.fit("y ~ treat(a)", data, "front_door", mediators="m", interact=True, measure="ratio")
    assert ratio.estimate == pytest.approx(mean(1) / mean(0), rel=1e-12)


def test_missing_mediators_drop_rows(data):
    gaps = data.assign(m=data["m"].where(data.index >= 10))
    fit = cf.fit("y ~ treat(a)", gaps, "front_door", mediators="m")
    assert fit.nobs == len(data) - 10
    assert fit.estimate == cf.fit("y ~ treat(a)", data[10:], "front_door", mediators="m").estimate


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, cf.OptionError, "needs its mediators: mediators='M', or dag=g"),
        ({"mediators": "m", "family": "binomial"}, cf.OptionError, "has linear regressions"),
        ({"mediators": "a"}, cf.OptionError, "a stands in the formula already, so it is no mediator"),
        ({"mediators": "mm"}, cf.OptionError, "no column 'mm'"),
        ({"mediators": "I(2 * a)"}, cf.IdentificationError, "the front door is shut"),
        ({"mediators": "m", "estimand": "ATT"}, cf.OptionError, "does not estimate the ATT"),
    ],
)
def test_messages(data, options, error, message):
    with pytest.raises(error, match=message):
        cf.fit("y ~ treat(a) + adjust(x)", data, "front_door", **options)
