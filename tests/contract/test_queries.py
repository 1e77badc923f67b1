"""Questions put to a fit one after the other: effects and means, by groups; and how many rows there are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

F = "y ~ treat(a) + x + modify(f)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    n = 120
    d = pd.DataFrame({"x": rng.normal(size=n), "a": np.arange(n) % 2})
    d["f"] = np.array(["u", "v", "w"])[rng.integers(0, 3, n)]
    d["y"] = d["x"] + d["a"] * (1 + (d["f"] == "v")) + rng.normal(size=n)
    return d.assign(w=np.arange(n) % 3, g=rng.integers(0, 2, n))


def test_means_by_group(data):
    fit = cf.fit(F, data)
    one, other = fit.means().by("f"), fit.by("f").means()
    pd.testing.assert_frame_equal(one.tidy(), other.tidy())
    assert list(one.tidy()["f"]) == ["u", "u", "v", "v", "w", "w"]
    means = one.tidy()["estimate"].to_numpy().reshape(3, 2)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], fit.by("f").tidy()["estimate"], rtol=1e-10)
    assert "Wald test that the means are equal by f" in str(one)
    assert one.test.df[0] == 4
    boot = one.with_vcov(cf.Bootstrap(reps=49, seed=1))
    assert (boot.tidy()["std.error"] > 0).all()


def test_groups_of_groups_are_asked_of_the_fit(data):
    fit = cf.fit(F, data)
    for again in (lambda: fit.by("f").by("g"), lambda: fit.means().by("f").by("g")):
        with pytest.raises(cf.CapabilityError, match="these are effects by f already; ask the fit"):
            again()


def test_groups_are_one_column_and_not_the_outcome(data):
    fit = cf.fit(F, data)
    with pytest.raises(cf.OptionError, match="effects are by one column"):
        fit.by(["f", "g"])
    with pytest.raises(cf.OptionError, match="'y' is the outcome"):
        fit.by("y")
    with pytest.raises(cf.OptionError, match="'y' is the outcome"):
        cf.fit("log(y + 9) ~ treat(a) + x", data).by("y")


def test_groups_that_the_model_holds_equal(data):
    equal = cf.fit("y ~ treat(a) + x", data).by("f")
    assert equal.test is None
    assert "this model holds the effect equal in all groups, so there is nothing to test; write modify(f)" in str(equal)
    differing = cf.fit("y ~ treat(a) + x + modify(f)", data).by("g")
    assert differing.test is not None
    assert "groups differ only by their covariates" in str(differing)
    assert "Note" not in str(cf.fit(F, data).by("f"))


def test_rows_of_weight_zero_do_not_count(data):
    fit = cf.fit("y ~ treat(a) + x + weights(w)", data)
    kept = cf.fit("y ~ treat(a) + x + weights(w)", data[data["w"] > 0])
    assert fit.nobs == kept.nobs == 80
    assert fit.glance()["nobs"].iloc[0] == 80
    text = str(fit)
    assert "Observations: 80" in text and "  (40 rows of weight zero take no part)" in text
    assert "weight zero" not in str(kept)
    assert fit.std_error == pytest.approx(kept.std_error, rel=1e-12)
