"""Sensitivity to unmeasured confounders against R: sensemakr 0.1.6 and EValue 4.1.4."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest

import causalformula as cf
from tests.parity.reference import data, number, values

DARFUR = "peacefactor ~ directlyharmed + age + farmer_dar + herder_dar + pastvoted + hhsize_darfur + female + village"
LALONDE = "re78 ~ treat + age + educ + race + married + nodegree + re74 + re75"
CASES: dict[tuple[str, str], dict[str, Any]] = {
    ("darfur", "est"): {"benchmark": "female", "kd": [1, 2, 3]},
    ("darfur", "q_half"): {"benchmark": "female", "q": 0.5, "alpha": 0.1},
    ("lalonde", "est"): {"benchmark": "re74", "kd": range(1, 4)},
    ("lalonde", "negative_est_increase"): {"benchmark": "educ", "reduce": False},
}
MODELS = {"darfur": (DARFUR, "directlyharmed"), "lalonde": (LALONDE, "treat")}


@cache
def model_of(name: str) -> cf.Model:
    """The model of a case; that of Darfur has 486 villages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cf.CausalFormulaWarning)
        return cf.lm(MODELS[name][0], data(f"{name}.csv"))


def asked(name: str, **options: Any) -> Any:
    return model_of(name).sensitivity(MODELS[name][1], **options)


def same(ours: Any, theirs: dict[str, Any]) -> None:
    """A frame as R's, columns in its order; numbers at 1e-8."""
    assert list(ours.columns) == list(theirs["columns"])
    for name, column in theirs["columns"].items():
        if isinstance(column[0], str):
            assert list(ours[name]) == column
        else:
            np.testing.assert_allclose(ours[name].astype(float), column, rtol=1e-8, err_msg=name)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_sensemakr(name, case):
    """``sensemakr(lm(...), treatment =, benchmark_covariates =, kd =, q =, alpha =, reduce =)`` and its summary."""
    stored = values(f"sensemakr_{name}")[case]
    found = asked(name, **CASES[name, case])
    same(found.tidy(), stored["sensitivity_stats"])
    same(found.bounds, stored["bounds"])
    assert str(found.summary()) == stored["printed"]


def test_groups_and_other_directions():
    """``benchmark_covariates = list(...)`` with ``ky``, and ``reduce = FALSE``."""
    stored = values("sensemakr_darfur")
    groups = {"demog": ["female", "age"], "occ": ["farmer_dar", "herder_dar"]}
    same(asked("darfur", benchmark=groups, kd=[1, 2], ky=[1, 1]).bounds, stored["grouped_bounds"])
    same(asked("darfur", benchmark="female", kd=[1, 2, 3], reduce=False).bounds, stored["no_reduce"])
    same(asked("lalonde", benchmark="racewhite").bounds, values("sensemakr_lalonde")["binary_cov"])


def test_single_numbers():
    """``robustness_value``, ``partial_r2``, ``group_partial_r2``, ``adjusted_*``, ``bias``, their critical value."""
    stored = values("sensemakr_darfur")
    model = model_of("darfur")
    found = model.sensitivity("directlyharmed", benchmark="female + pastvoted")
    each = [model.sensitivity(term).tidy() for term in ("directlyharmed", "age", "female")]
    for column, name in (("rv_qa", "rv_all"), ("r2yd.x", "partial_r2"), ("f2yd.x", "partial_f2")):
        np.testing.assert_allclose([one[column].item() for one in each], stored[name], rtol=1e-8)
    np.testing.assert_allclose(found.benchmarks["r2yxj.dx"], stored["group_partial_r2"], rtol=1e-8)
    half = model.sensitivity("directlyharmed", q=0.5).tidy()
    np.testing.assert_allclose(half["rv_qa"], stored["rv_q05"], rtol=1e-8)
    row = found.adjusted(0.1, 0.2).iloc[0]
    names = {
        "adjusted_estimate": "adj_est", "adjusted_se": "adj_se", "adjusted_t": "adj_t", "bias": "bias",
        "critical_t": "critical_t",
    }  # fmt: skip
    for ours, theirs in names.items():
        np.testing.assert_allclose(row[ours], stored[theirs], rtol=1e-8, err_msg=theirs)
    np.testing.assert_allclose(
        row[["adjusted_lower_CI", "adjusted_upper_CI"]].astype(float), stored["adj_ci"], rtol=1e-8
    )


RATIOS: dict[str, tuple[tuple[float, ...], dict[str, Any]]] = {
    "RR_3.9": ((3.9, 1.8, 8.7), {}),
    "RR_0.8": ((0.8, 0.7, 0.9), {}),
    "RR_ci_cross": ((1.5, 0.9, 2.4), {}),
    "RR_true_1.2": ((2, 1.5, 2.6), {"true": 1.2}),
    "RR_no_ci": ((2.5,), {}),
    "OR_common": ((0.86, 0.75, 0.99), {"measure": "OR"}),
    "OR_rare": ((2.1, 1.2, 3.7), {"measure": "OR", "rare": True}),
    "HR_common": ((0.56, 0.46, 0.69), {"measure": "HR"}),
    "HR_rare": ((1.8, 1.1, 2.9), {"measure": "HR", "rare": True}),
    "MD": ((-0.42,), {"measure": "MD", "se": 0.14}),
    "MD_se": ((0.3,), {"measure": "MD", "se": 0.05, "true": 0.1}),
    "OLS": ((2.5,), {"measure": "OLS", "se": 0.7, "sd": 6.1, "delta": 1}),
}


@pytest.mark.parametrize("name", RATIOS)
def test_evalue(name):
    """``evalues.RR``, ``.OR``, ``.HR``, ``.MD``, ``.OLS``."""
    (ratio, low, high), (point, *limits) = (
        [number(x) for x in row] for row in values("evalue")[name]["matrix"]["values"]
    )
    given, options = RATIOS[name]
    found = cf.evalue(*given, **options)
    limit = next((x for x in limits if np.isfinite(x)), np.nan)
    nearer = high if ratio < options.get("true", 1 if options.get("measure") not in ("MD", "OLS") else 0.9) else low
    np.testing.assert_allclose(found["evalue"], [point, limit], rtol=1e-8)
    np.testing.assert_allclose(found["RR"], [ratio, nearer], rtol=1e-8)
    assert list(found.index) == ["point", "limit"]


def test_evalue_of_counts_and_thresholds():
    """``evalues.RD(397, 78557, 51, 108778)``, whose limit is found in steps of 1e-4, and ``threshold()``."""
    stored = values("evalue")
    found = cf.evalue([[397, 78557], [51, 108778]], measure="RD")
    np.testing.assert_allclose(found["evalue"], [stored["RD"]["est"], stored["RD"]["lower"]], rtol=1e-8)
    for name, (ratio, true) in {"threshold": (2, 1), "threshold_prot": (0.6, 1), "threshold_true": (3, 1.5)}.items():
        np.testing.assert_allclose(cf.evalue(ratio, true=true)["evalue"]["point"], stored[name], rtol=1e-8)
    assert cf.evalue(stored["bias_factor_2_3"])["evalue"]["point"] < 3
