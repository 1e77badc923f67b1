"""Influences on units that have several rows: every covariance, resampling and joint result collapses them once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import kit, registry
from causalformula.formula.expressions.values import as_factor


@dataclass(frozen=True, kw_only=True)
class Gains(kit.Options):
    """The gain of each unit, compared between the arms: an influence on units."""


def gains(frame, options):
    """Mean of last minus first observation of a unit, treated less controls."""
    unit, panel = frame.unit.codes, frame.panel
    late = as_factor(panel.second).codes == 1
    w = np.bincount(unit, frame.unit_weights) / np.bincount(unit)
    gain = np.bincount(unit, np.where(late, frame.y, -frame.y))
    treated = np.bincount(unit, np.asarray(panel.first, dtype=float)) > 0
    hot = np.column_stack([~treated, treated]) * w[:, None]
    mu = hot.T @ gain / hot.sum(axis=0)
    psi = len(w) * hot * (gain[:, None] - mu) / hot.sum(axis=0)
    means = kit.Estimate(("0", "1"), mu, kit.Influence((), np.zeros((2, 0)), len(w), psi, True, units=unit))
    label = kit.Label(panel.treated, "1 - 0")
    effect = means.contrast([[-1.0, 1.0]], [str(label)])
    return kit.Fit(kit.Answer(effect, (label,)), kit.ATT, kit.DesignWeights(np.ones(frame.n)), "gains")


@pytest.fixture
def method(monkeypatch):
    registry.methods()  # all records are there before they are copied
    monkeypatch.setattr(registry, "RECORDS", dict(registry.RECORDS))
    record = kit.Record(name="gains", options=Gains, treatments=(), estimands=(kit.ATT,), roles=("did", "weights"))
    record(gains)
    return "gains"


@pytest.fixture(scope="module")
def panel() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 60
    units = pd.DataFrame({"id": np.arange(n), "a": np.arange(n) % 2, "school": np.arange(n) // 5})
    units["level"] = rng.normal(size=n)
    both = pd.concat([units.assign(t=0), units.assign(t=1)])
    both["y"] = both["level"] + 0.5 * both["t"] + both["a"] * both["t"] + rng.normal(size=2 * n)
    return both.sample(frac=1, random_state=1, ignore_index=True)


@pytest.fixture
def fit(method, panel):
    return cf.fit("y ~ did(a, t, unit = id)", panel, method)


def collapsed(panel: pd.DataFrame) -> pd.DataFrame:
    wide = panel.pivot(index="id", columns="t", values="y")
    first = panel.drop_duplicates("id").set_index("id")
    return pd.DataFrame({"g": wide[1] - wide[0], "a": first["a"], "school": first["school"]}).reset_index()


def test_as_on_collapsed_data(fit, panel):
    wide = collapsed(panel)
    assert fit.influence().shape == (60, 1)
    for vcov, own in (("HC0", "HC0"), ("CR1 ~ school", "CR1 ~ school"), ("HC1", None)):
        plain = cf.fit("g ~ treat(a)", wide, "regression", vcov=own or "HC0")
        assert fit.estimate == pytest.approx(plain.estimate, rel=1e-12)
        if own is not None:
            assert fit.with_vcov(vcov).std_error == pytest.approx(plain.std_error, rel=1e-10)
    by_unit = fit.with_vcov("CR0 ~ id").std_error
    assert by_unit == pytest.approx(fit.with_vcov("HC0").std_error, rel=1e-12)


def test_groups_hold_whole_units(fit, panel):
    with pytest.raises(cf.DataError, match="t changes within units"):
        fit.with_vcov("CR0 ~ t")


def test_units_are_what_is_resampled(fit, panel):
    boot = fit.with_vcov(cf.Bootstrap(reps=400, seed=1))
    assert "cluster" in boot.covariance.label and "id" in boot.covariance.label
    assert boot.std_error == pytest.approx(fit.with_vcov("HC0").std_error, rel=0.15)
    jack = fit.with_vcov("jackknife")
    assert "clusters of id: 60" in jack.covariance.label
    assert jack.std_error == pytest.approx(fit.with_vcov("HC0").std_error, rel=0.1)
    for kind in ("bca", "studentized"):
        limits = fit.with_vcov(cf.Bootstrap(reps=199, seed=1, kind=kind)).conf_int()
        assert (limits[0] < limits[1]).all()


def test_joined_to_a_fit_on_rows(fit, panel):
    """The same estimator on rows, as a regression clustered by unit: what they differ by is rounding."""
    rows = cf.lm("y ~ a * t", panel, vcov="CR0 ~ id")
    both = cf.stack({"gains": fit, "rows": rows})
    assert both.covariance.request == cf.Cluster("id")
    table = both.tidy().set_index("fit")
    assert table.loc["gains", "std.error"] == pytest.approx(fit.with_vcov("CR1 ~ id").std_error, rel=1e-10)
    assert both.params["fit=gains a 1 - 0"] == pytest.approx(both.params["fit=rows a:t"], rel=1e-12)
    with pytest.raises(cf.OptionError, match="a variance of zero"):
        cf.stack({"gains": fit, "rows": rows}, vcov="CR0 ~ id").hypothesis("b1 = b5")
    with pytest.raises(cf.CapabilityError, match="needs clusters of id"):
        cf.stack({"gains": fit, "rows": rows}, vcov="HC0")


def test_a_stack_of_units_alone(fit, method, panel):
    again = cf.fit("y ~ did(a, t, unit = id)", panel[panel["school"] > 3], method)
    both = cf.stack([fit, again])
    assert np.isfinite(both.bse).all()
    assert (fit - fit).std_error == pytest.approx(0, abs=1e-12)


def test_bands_and_adjusted_p_values(fit, panel):
    assert "units" in str(fit.with_vcov("HC0").simultaneous(reps=999, seed=1))
    rows = cf.lm("y ~ a * t", panel, vcov="CR1 ~ id")
    table = cf.adjust_pvalues([fit.with_vcov("CR1 ~ id"), rows], "romano_wolf", reps=999, seed=1)
    assert (table["p.adjusted"] >= table["p.value"] - 1e-12).all()
