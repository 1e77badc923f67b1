"""Double machine learning beside the Python package DoubleML 0.11: the same folds, the same linear learners, 1e-8.

Its standard errors of several repetitions are another summary (the median of upper limits), so those are compared
repetition by repetition, and ours with the rule of Chernozhukov et al. (2018).
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import causalformula as cf

dml = pytest.importorskip("doubleml", reason="DoubleML is not installed: the extra `doubleml`")

X = ["x1", "x2", "x3"]
COVARIATES = "adjust(x1 + x2 + x3)"
LINE, LOGIT = LinearRegression(), LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
N = 360


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(7)
    x = rng.normal(size=(N, 3))
    z = (rng.random(N) < 1 / (1 + np.exp(-0.5 * x[:, 1]))).astype(int)
    u = rng.normal(size=N)
    d = (rng.random(N) < 1 / (1 + np.exp(-(x[:, 0] + 1.5 * z - 0.7 + 0.5 * u)))).astype(int)
    q = x[:, 0] + 0.8 * z + 0.5 * u + rng.normal(size=N)
    cells = np.arange(N)
    return pd.DataFrame(
        {
            "y": d + x[:, 0] + 0.4 * d * x[:, 1] + u + rng.normal(size=N), "d": d, "q": q, "z": z,
            "v": x[:, 2] + q + rng.normal(size=N), "x1": x[:, 0], "x2": x[:, 1], "x3": x[:, 2],
            "lev": np.array(["p", "q", "r"])[rng.integers(0, 3, N)],
            # clusters: thirty by twelve, crossed
            "g": cells % 30, "h": cells // 30,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def folds():
    rng = np.random.default_rng(11)
    return np.column_stack([rng.permutation(np.arange(N) % 4) for _ in range(3)])


def splits(codes):
    """Folds as DoubleML takes them."""
    rows = np.arange(len(codes))
    return [(rows[codes != k], rows[codes == k]) for k in range(codes.max() + 1)]


def peer(kind, data, treatment, folds, *learners, z=None, clusters=None, **options):
    """A fitted model of DoubleML's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        held = dml.DoubleMLData if clusters is None else dml.DoubleMLClusterData
        names = {"x_cols": X, "z_cols": z} | ({} if clusters is None else {"cluster_cols": clusters})
        used = [*dict.fromkeys(["y", treatment, *X, *([z] if isinstance(z, str) else z or []), *(clusters or [])])]
        found = getattr(dml, kind)(
            held(data[used], "y", treatment, **names), *learners, draw_sample_splitting=False, **options
        )
        if clusters is None:
            return found.set_sample_splitting([splits(codes) for codes in folds.T]).fit()
        found.set_sample_splitting(*folds)
        return found.fit()


OUTCOME, LEARNERS = {"outcome_model": LINE}, {"outcome_model": LINE, "treatment_model": LOGIT}
LINEAR = {"outcome_model": LINE, "treatment_model": LINE}
CASES = {
    "plr": ("DoubleMLPLR", "q", "", (LINE, LINE), {}, LINEAR),
    "plr of a binary treatment": ("DoubleMLPLR", "d", "", (LINE, LOGIT), {}, LEARNERS | {"model": "plr"}),
    "plr, iv_type": ("DoubleMLPLR", "q", "", (LINE, LINE, LINE), {"score": "IV-type"}, LINEAR | {"score": "iv_type"}),
    "irm": ("DoubleMLIRM", "d", "", (LINE, LOGIT), {}, LEARNERS),
    "irm, ATT": ("DoubleMLIRM", "d", "", (LINE, LOGIT), {"score": "ATTE"}, LEARNERS | {"estimand": "ATT"}),
    "irm, trimmed": ("DoubleMLIRM", "d", "", (LINE, LOGIT), {"clip": 0.3}, LEARNERS | {"bounds": 0.3}),
    "pliv": ("DoubleMLPLIV", "q", "z", (LINE, LINE, LINE), {}, LINEAR | {"instrument_model": LINE}),
    "pliv, iv_type": (
        "DoubleMLPLIV", "q", "v", (LINE, LINE, LINE, LINE), {"score": "IV-type"},
        LINEAR | {"instrument_model": LINE, "score": "iv_type"},
    ),
    "pliv, two instruments": (
        "DoubleMLPLIV", "q", ["z", "v"], (LINE, LINE, LINE), {}, LINEAR | {"instrument_model": LINE},
    ),
    "iivm": ("DoubleMLIIVM", "d", "z", (LINE, LOGIT, LOGIT), {}, LEARNERS | {"instrument_model": LOGIT}),
    "iivm, trimmed": (
        "DoubleMLIIVM", "d", "z", (LINE, LOGIT, LOGIT), {"clip": 0.4},
        LEARNERS | {"instrument_model": LOGIT, "bounds": 0.4},
    ),
}  # fmt: skip


def both(name, data, folds):
    """Ours and DoubleML's."""
    kind, treatment, z, learners, theirs, ours = CASES[name]
    theirs = dict(theirs)
    if "clip" in theirs:
        theirs["ps_processor_config"] = dml.utils.PSProcessorConfig(clipping_threshold=theirs.pop("clip"))
    found = peer(kind, data, treatment, folds, *learners, z=z or None, **theirs)
    names = "" if not z else f" + iv({z if isinstance(z, str) else ' + '.join(z)})"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cf.fit(f"y ~ treat({treatment}) + {COVARIATES}{names}", data, "dml", folds=folds, **ours)
    return fit, found


@pytest.mark.parametrize("name", CASES)
def test_every_model_and_score(name, data, folds):
    fit, found = both(name, data, folds[:, :1])
    np.testing.assert_allclose([fit.estimate, fit.std_error], [found.coef[0], found.se[0]], rtol=1e-8)


@pytest.mark.parametrize("name", ["plr, iv_type", "irm", "pliv", "iivm"])
def test_repetitions(name, data, folds):
    """Each is theirs; the estimate is the median, and the variance the median of V + (theta_r - theta)^2."""
    fit, found = both(name, data, folds)
    each, errors = found.all_coef[0], found.all_se[0]
    np.testing.assert_allclose(fit.fit.answer.estimate.evidence.values[:, 0], each, rtol=1e-8)
    np.testing.assert_allclose(fit.estimate, found.coef[0], rtol=1e-8)
    np.testing.assert_allclose(fit.std_error**2, np.median(errors**2 + (each - np.median(each)) ** 2), rtol=1e-8)


# ---- clusters --------------------------------------------------------------------------------------------------------


def whole(data, ways, size=3):
    """Folds of whole clusters, ours and theirs: where folds of each way meet."""
    parts = [data[way].to_numpy() % size for way in ways]
    codes = parts[0] if len(parts) == 1 else parts[0] * size + parts[1]
    rows, smpls, clusters = np.arange(len(data)), [], []
    for k in range(size ** len(ways)):
        held = [(k,)] if len(ways) == 1 else [(k // size,), (k % size,)]
        inside = [np.isin(part, at) for part, at in zip(parts, held, strict=True)]
        outside = ~np.logical_or.reduce(inside)
        smpls.append((rows[outside], rows[np.logical_and.reduce(inside)]))
        every = [np.unique(data[way]) for way in ways]
        clusters.append(
            tuple(
                [values[np.isin(values % size, at) == test] for values, at in zip(every, held, strict=True)]
                for test in (0, 1)
            )
        )
    return codes, ([smpls], [clusters])


CLUSTERED = {name: CASES[name] for name in ("plr", "irm", "pliv")}


@pytest.mark.parametrize("name", CLUSTERED)
@pytest.mark.parametrize("ways", [("g",), ("g", "h")], ids="".join)
def test_clusters(name, ways, data):
    """One way is CR0. Two cross: theirs, made here of our influences, sums in cells of folds and takes nothing off.

    Rows that are independent count 2 x 3 times in it, and once in ours, which is that of Cameron, Gelbach and Miller.
    """
    kind, treatment, z, learners, theirs, ours = CASES[name]
    codes, given = whole(data, ways)
    found = peer(kind, data, treatment, given, *learners, z=z or None, clusters=list(ways), n_folds=3, **theirs)
    formula = f"y ~ treat({treatment}) + {COVARIATES} + cluster({' + '.join(ways)})" + (f" + iv({z})" if z else "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = cf.fit(formula, data, "dml", folds=codes, vcov=f"CR0 ~ {' + '.join(ways)}", **ours)
    np.testing.assert_allclose(fit.estimate, found.coef[0], rtol=1e-8)
    error = fit.std_error
    if len(ways) == 2:
        psi, total = pd.Series(fit.influence()[:, 0] / len(data)), 0.0
        for way in ways:
            total += (psi.groupby([codes, data[way]]).sum() ** 2).sum()
        error = np.sqrt(3 * total)
    np.testing.assert_allclose(error, found.se[0], rtol=1e-8)


# ---- omitted confounders ---------------------------------------------------------------------------------------------

BOUNDED = ["plr", "plr of a binary treatment", "plr, iv_type", "irm", "irm, ATT", "irm, trimmed"]


@pytest.mark.parametrize("name", BOUNDED)
def test_sensitivity(name, data, folds):
    """Its s.e. of the lower bound is that of the upper one here, and the other way round: it adds the bias's influence
    to scores whose sign is that of -psi, as ``test_dml.test_errors_of_bounds_by_reweighting`` shows.
    """
    fit, found = both(name, data, folds[:, :1])
    found.sensitivity_analysis(cf_y=0.05, cf_d=0.04, rho=0.9, level=0.9, null_hypothesis=0.2)
    theirs = found.sensitivity_params
    ours = fit.sensitivity(cf_y=0.05, cf_d=0.04, rho=0.9, level=0.9, null=0.2)
    row = ours.to_frame().iloc[0]
    elements = found.framework.sensitivity_elements
    assert ours.bounds[0].values[0, 1] == pytest.approx(elements["max_bias"].item(), rel=1e-8)
    for side, other in (("lower", "upper"), ("upper", "lower")):
        assert row[f"theta.{side}"] == pytest.approx(theirs["theta"][side][0], rel=1e-8)
        assert row[f"se.{side}"] == pytest.approx(theirs["se"][other][0], rel=1e-8)
    # theirs is the place of a least square, found by steps
    assert row["rv"] == pytest.approx(theirs["rv"][0], abs=2e-5)


@pytest.mark.parametrize("name", ["plr", "irm"])
def test_benchmarks(name, data, folds):
    fit, found = both(name, data, folds)
    for left_out in (["x1"], ["x2", "x3"]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = found.sensitivity_benchmark(left_out).iloc[0]
        ours = fit.sensitivity(benchmark=" + ".join(left_out)).benchmarks.iloc[0]
        for number in ("cf_y", "cf_d", "rho", "delta_theta"):
            assert ours[number] == pytest.approx(theirs[number], rel=1e-8, abs=1e-12), number


# ---- effects that vary -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plr", "plr, iv_type", "irm"])
def test_effects_by_group_and_covariate(name, data, folds):
    fit, found = both(name, data, folds[:, :1])
    basis = pd.DataFrame({"one": 1.0, "x1": data["x1"], "x2": data["x2"]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        linear, groups = found.cate(basis), found.gate(data[["lev"]])
    ours = fit.cate("x1 + x2")
    np.testing.assert_allclose(ours.tidy()["estimate"], linear.coef, rtol=1e-8)
    np.testing.assert_allclose(ours.cov_params(), linear.blp_omega[..., 0], rtol=1e-8, atol=1e-12)
    ours = fit.gate("lev")
    np.testing.assert_allclose(
        ours.tidy()[["estimate", "std.error"]], np.column_stack([groups.coef, groups.se]), rtol=1e-8
    )


# ---- quantiles of potential outcomes ---------------------------------------------------------------------------------

LOGISTIC = LEARNERS | {"outcome_model": LOGIT}


@pytest.fixture
def exact(monkeypatch, data):
    """Their preliminary quantile where the weighted share is nearest to it.

    Theirs is by Brent's method for smooth functions, which on these steps stops at others, or leaves the outcomes
    altogether, so that one class is left to learn and a learner fails.
    """

    def nearest(ipw_score, bracket_guess):
        return min(np.sort(data["y"]), key=lambda theta: abs(ipw_score(theta)))

    monkeypatch.setattr("doubleml.irm.pq._solve_ipw_score", nearest)


def quantile_effects(data, folds, asked, clip=0.01):
    """Ours, whose seed is that of their halves, and theirs."""
    ours = cf.fit(
        f"y ~ treat(d) + {COVARIATES}", data, "dml", quantiles=asked, folds=folds, seed=42, bounds=clip, **LOGISTIC
    )  # fmt: skip
    config = dml.utils.PSProcessorConfig(clipping_threshold=clip)
    theirs = dml.DoubleMLQTE(
        dml.DoubleMLData(data[["y", "d", *X]], "y", "d", x_cols=X), LOGIT, LOGIT, quantiles=asked,
        ps_processor_config=config, draw_sample_splitting=False, n_folds=4, n_rep=folds.shape[1],
    )  # fmt: skip
    return ours, theirs.set_sample_splitting([splits(codes) for codes in folds.T]).fit()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("clip", [0.01, 0.3])
def test_quantile_effects(data, folds, exact, clip):
    """Estimates, standard errors, and the influences that joint bands are made of."""
    ours, theirs = quantile_effects(data, folds[:, :1], [0.3, 0.8] if clip == 0.01 else [0.5], clip)
    np.testing.assert_allclose(ours.tidy()["estimate"], theirs.coef, rtol=1e-8)
    np.testing.assert_allclose(ours.tidy()["std.error"], theirs.se, rtol=1e-8)
    np.testing.assert_allclose(-ours.influence(), theirs.framework.scaled_psi[:, :, 0], rtol=1e-8, atol=1e-8)
    # each arm by itself
    pairs = [(low, high) for low, high in zip(theirs.modellist_0, theirs.modellist_1, strict=True)]
    means = ours.means().tidy()
    np.testing.assert_allclose(means["estimate"], [one.coef[0] for pair in pairs for one in pair], rtol=1e-8)
    np.testing.assert_allclose(means["std.error"], [one.se[0] for pair in pairs for one in pair], rtol=1e-8)


@pytest.mark.filterwarnings("ignore")
def test_repetitions_of_quantile_effects(data, folds, exact):
    ours, theirs = quantile_effects(data, folds[:, :2], [0.6])
    np.testing.assert_allclose(ours.fit.answer.estimate.evidence.values.T, theirs.all_coef, rtol=1e-8)
    np.testing.assert_allclose(ours.tidy()["estimate"], theirs.coef, rtol=1e-8)
