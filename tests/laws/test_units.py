"""Laws of units that have several rows, over every method that reads ``did(...)``.

The influence is on units, or on rows whose sums over a unit's are the unit's.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings

import causalformula as cf
from causalformula.backends import registry
from causalformula.backends.fit import Query
from causalformula.errors import CausalFormulaWarning, ConvergenceError, IdentificationError
from causalformula.inference.evidence import Influence
from causalformula.numerics.least_squares import group_sums
from tests.laws.strategies import records, seeds

few = settings(max_examples=3)
PERIODS = 4


@pytest.fixture(autouse=True)
def quiet():
    """Small samples warn of what they lack; numbers are what is tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        yield


@dataclass(frozen=True)
class UnitQuestion:
    """A question about units over time."""

    method: str
    first: str = "g"
    weights: str = ""
    options: tuple[tuple[str, object], ...] = ()
    gaps: bool = False

    @property
    def counts(self) -> bool:
        """Whether the outcome is above zero, and trends are parallel in its logarithm."""
        return ("family", "poisson") in self.options

    def fit(self, data: pd.DataFrame, **more: object) -> cf.Result:
        if self.first == "b":
            data = data[data["t"] < 2]
        if self.gaps:
            data = data[(data["id"] * 7 + data["t"] * 3) % 11 > 0]
        formula = f"{'exp(y / 3)' if self.counts else 'y'} ~ did({self.first}, t, unit = id) + adjust(x)"
        weights = more.pop("weights", self.weights)
        formula += f" + weights({weights})" if weights else ""
        try:
            return cf.fit(formula, data, self.method, **{**dict(self.options), **more})
        except (ConvergenceError, IdentificationError):  # too few units to tell
            reject()

    def __str__(self) -> str:
        return f"{self.method}|{self.first}|{self.weights}|{','.join(f'{k}={v}' for k, v in self.options)}"


# Options of single methods that make estimates of another kind.
SEVERAL: dict[str, tuple[tuple[tuple[str, object], ...], ...]] = {
    "did": ((("event_study", True),), (("event_study", True), ("bins", (-2, 1)))),
    "imputation": ((("pretrends", True),), (("pretrends", "residuals"),)),
    "etwfe": ((("control_group", "nevertreated"),), (("unit_effects", "unit"),), (("family", "poisson"),)),
}


def questions() -> list[object]:
    """Two periods and four, by every estimator; controls, weights, bases, and units with gaps."""
    out = []
    for record in records():
        if "did" not in record.roles:
            continue
        out += [UnitQuestion(record.name, "g", "w", options) for options in SEVERAL.get(record.name, ())]
        if "est_method" not in record.options.__dataclass_fields__:
            out.append(UnitQuestion(record.name, "b"))
            out.append(UnitQuestion(record.name, "g"))
            out.append(UnitQuestion(record.name, "g", "w", gaps=True))
            continue
        for name in ("dr", "dr_improved", "ipw", "reg"):
            out.append(UnitQuestion(record.name, "b", "", (("est_method", name),)))
            out.append(UnitQuestion(record.name, "g", "w", (("est_method", name), ("control_group", "notyettreated"))))
        out.append(UnitQuestion(record.name, "b", "w", (("est_method", "ipw"), ("normalized", False))))
        out.append(UnitQuestion(record.name, "g", "", (("base_period", "universal"), ("anticipation", 1))))
        out.append(UnitQuestion(record.name, "g", "w", (("allow_unbalanced_panel", True),), gaps=True))
    return [pytest.param(question, id=str(question)) for question in out]


QUESTIONS = questions()


def simulate(seed: int, units: int = 60) -> pd.DataFrame:
    """Units over four periods that are treated from period 2 or 3 on, or never; a control that changes."""
    rng = np.random.default_rng(seed)
    one = pd.DataFrame({"id": np.arange(units), "g": np.array([np.inf, 2, 3])[np.arange(units) % 3]})
    one["b"], one["w"] = np.isfinite(one["g"]).astype(int), rng.uniform(0.5, 2, units)
    one["f"], one["u"] = rng.integers(1, 4, units), rng.normal(size=units)
    data = one.loc[np.repeat(one.index, PERIODS)].reset_index(drop=True)
    data["t"] = np.tile(np.arange(PERIODS), units)
    data["x"] = rng.normal(size=len(data)) + 0.5 * data["u"]
    data["y"] = data["u"] + 0.3 * data["t"] * (1 + data["x"]) + (data["t"] >= data["g"]) + rng.normal(size=len(data))
    return data


def theta(fit):
    return fit.answer.estimate.theta


def same(a, b, rtol, scale, what):
    np.testing.assert_array_less(np.abs(a - b), rtol * np.maximum(np.abs(b), scale) + 1e-300, what)


def summaries(fit):
    """The fit, and what is made of group-time effects."""
    if "aggregate" not in dir(fit):
        return [fit]
    return [fit, *(fit.aggregate(kind) for kind in ("group", "dynamic") if kind not in _refused(fit))]


def _refused(fit):
    return getattr(fit.fit.outcomes, "refused", ())


def of_units(result):
    """``d theta / d w`` of each unit."""
    evidence, unit, psi = result.answer.estimate.evidence, result.call.frame.unit, result.influence()
    n = len(unit.levels)
    assert len(psi) == (n if evidence.units is not None else len(unit.codes))
    return (psi if evidence.units is not None else group_sums(psi, unit.codes, n)) / len(psi)


@pytest.mark.parametrize("question", QUESTIONS)
@settings(max_examples=2)
@given(seed=seeds)
def test_influence_is_the_derivative_in_the_weights_of_units(question, seed):
    fit = question.fit(simulate(seed))
    frame = fit.call.frame
    for result in [*summaries(fit), *([fit.overall] if "overall" in dir(fit) else [])]:
        moved = of_units(result)
        scale = np.abs(moved).max(axis=0)
        np.testing.assert_allclose(moved.mean(axis=0) / scale, 0, atol=1e-9)

        def at(h, unit, query=result.query):
            w = np.where(frame.unit.codes == unit, 1.0 + h, 1.0)
            return registry.run(frame.reweight(w), fit.call.options).ask(query or Query()).estimate.theta

        for unit in (1, 41):
            wide, narrow = ((at(h, unit) - at(-h, unit)) / (2 * h) for h in (0.01, 0.005))
            same(moved[unit], (4 * narrow - wide) / 3, 1e-5, scale, f"unit {unit}")


@pytest.mark.parametrize("question", QUESTIONS)
@few
@given(seed=seeds)
def test_integer_weights_are_duplicated_units(question, seed):
    data = simulate(seed)
    weighted = question.fit(data, weights="f", vcov="CR0 ~ id")
    copies = pd.concat([data[data["f"] > k].assign(id=data["id"] + 1000 * k, o=data["id"]) for k in range(3)])
    if question.gaps:  # the same gaps in every copy
        copies = copies[(copies["o"] * 7 + copies["t"] * 3) % 11 > 0]
        question = UnitQuestion(question.method, question.first, question.weights, question.options)
    copied = question.fit(copies.reset_index(drop=True), weights="", vcov="CR0 ~ o")
    for a, b in zip(summaries(weighted), summaries(copied), strict=True):
        v = b.covariance.matrix
        same(theta(a), theta(b), 1e-8, b.covariance.std_error, "estimates")
        same(a.covariance.matrix, v, 1e-7, np.sqrt(np.outer(np.diag(v), np.diag(v))), "CR0 by the original unit")


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_unit_of_weight_zero_is_a_dropped_unit(question):
    data = simulate(5)
    data["f"] = np.where(data["id"] % 10 == 9, 0, 1)
    a, b = question.fit(data, weights="f"), question.fit(data[data["f"] > 0], weights="")
    same(theta(a), theta(b), 1e-9, b.covariance.std_error, "estimates")
    same(
        a.with_vcov("CR0 ~ id").covariance.std_error,
        b.with_vcov("CR0 ~ id").covariance.std_error,
        1e-7,
        0,
        "standard errors",
    )


@pytest.mark.parametrize("question", QUESTIONS)
@few
@given(seed=seeds)
def test_row_order_and_units_of_the_outcome_do_not_matter(question, seed):
    data = simulate(seed)
    fit = question.fit(data)
    mixed, times = data.sample(frac=1, random_state=seed % 1000), 3 if question.counts else -3
    y = mixed["y"] + 3 * np.log(3) if question.counts else 100 - 3 * mixed["y"]
    moved = question.fit(mixed.assign(y=y))
    for a, b in zip(summaries(fit), summaries(moved), strict=True):
        same(theta(b), times * theta(a), 1e-7, b.covariance.std_error, "estimates")
        same(b.covariance.std_error, 3 * a.covariance.std_error, 1e-6, 0, "standard errors")


@pytest.mark.parametrize("question", QUESTIONS)
def test_units_are_clusters_of_one(question):
    fit = question.fit(simulate(3))
    evidence = fit.answer.estimate.evidence
    assert isinstance(evidence, Influence)
    if evidence.root is not None:
        pytest.skip("one regression of rows, whose default is clustered by unit")
    assert evidence.units is not None
    v, n = fit.with_vcov("HC0").covariance.matrix, len(fit.call.frame.unit.levels)
    for cluster, factor in {"CR0": 1.0, "CR1": n / (n - 1)}.items():
        own = fit.with_vcov(f"{cluster} ~ id").covariance.matrix
        same(own, factor * v, 1e-9, np.abs(v).max(), cluster)
    with pytest.raises(cf.CapabilityError):
        fit.with_vcov("HC3")
