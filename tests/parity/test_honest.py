"""R: HonestDiD 0.2.6, ``createSensitivityResults`` and its like, on given coefficients and on ``mpdta``'s."""

from __future__ import annotations

import numpy as np
import pytest

import causalformula as cf
from causalformula.inference.honest.fixed_length import folded_quantile
from tests.parity.reference import close, data, matrix, values

GIVEN, MPDTA = values("honestdid_given"), values("honestdid_mpdta")
METHODS = {"FLCI": "FLCI", "C-LF": "C-LF", "Conditional": "conditional"}
MORE = {
    "smoothness_biasneg_CLF": {"direction": "negative"},
    "smoothness_flci_90": {"alpha": 0.1},
    "relative_smooth": {"bound": "deviation from linear trend"},
}
# The grid of R's other intervals is of 1000 points within 20 standard errors.
REACH, STEPS = 20, 1000
# R simulates the quantile of |N(t, 1)|, and its error is 1e-3 of a half-length; three of these are allowed.
SIMULATED = 3e-3
# Where the half-length hardly changes with the weights, that error moves R's choice of weights, and so the centre.
FLAT = {
    ("smoothness_flci", 0.02),
    ("smoothness_flci_90", 0.02),
    ("smoothness_flci_average", 0.03),
    ("smoothness", 0.005),
}
CASES = [
    (source, name, index)
    for source in (GIVEN, MPDTA)
    for name, found in source.items()
    if name.startswith(("smoothness", "relative"))
    for index in range(found["nrow"])
]
MEAN = [0.25] * 4


def asked(source, **options):
    sizes = {"num_pre": source["num_pre"], "num_post": source["num_post"]}
    return cf.honest(source["betahat"], matrix(source["sigma"]), **sizes, **options)


def interval(source, name, index):
    """Ours and R's limits for one row of R's table."""
    columns = source[name]["columns"]
    kind = "smoothness" if name.startswith("smoothness") else "relative_magnitude"
    M = columns.get("M", columns.get("Mbar"))[index]
    target = MEAN if "average" in name else None
    method = METHODS[columns["method"][index]]
    found = asked(source, kind=kind, M=M, l_vec=target, method=method, **MORE.get(name, {}))
    return found, M, np.array([columns["lb"][index], columns["ub"][index]])


@pytest.mark.parametrize(
    ("source", "name", "index"), CASES, ids=[f"{name}-{index}-{len(source)}" for source, name, index in CASES]
)
def test_limits(source, name, index):
    found, M, r = interval(source, name, index)
    ours = found.to_frame()[["lower", "upper"]].to_numpy()[0]
    if found.method == "FLCI":
        half, its = np.diff(ours)[0] / 2, np.diff(r)[0] / 2
        np.testing.assert_allclose(half, its, rtol=SIMULATED)
        if (name, M) not in FLAT:
            np.testing.assert_allclose(ours, r, atol=SIMULATED * its, rtol=0)
        return
    furthest = REACH * found.study.std_error(found.study.whole(found.target))
    step = 2 * furthest / STEPS
    inside = np.abs(r) < furthest - step
    assert inside.any()
    np.testing.assert_allclose(ours[inside], r[inside], atol=2 * step, rtol=0)
    # where R's grid ends, the limit lies beyond it
    assert (np.abs(ours[~inside]) > furthest - step).all()


def test_weights_of_the_shortest_interval():
    """R's, of a flat objective, are no better than ours: the exact half-length of both."""
    r, found = GIVEN["flci_optimal_vec"], asked(GIVEN, kind="smoothness", M=0.02)
    v = np.array(r["optimalVec"])
    curve = np.delete(np.array([np.eye(9)[k] - 2 * np.eye(9)[k + 1] + np.eye(9)[k + 2] for k in range(7)]), 4, axis=1)
    sd, bias = found.study.std_error(v), 0.02 * np.abs(np.linalg.lstsq(curve.T, v, rcond=None)[0]).sum()
    ours = float(found.upper[0] - found.lower[0]) / 2
    assert ours <= sd * folded_quantile(bias / sd, 0.05) <= ours * (1 + 1e-4)


@pytest.mark.parametrize(("source", "name"), [(GIVEN, "original"), (GIVEN, "original_average"), (MPDTA, "original")])
def test_the_usual_interval(source, name):
    columns = source[name]["columns"]
    found = asked(source, kind="smoothness", M=0, l_vec=MEAN if "average" in name else None)
    close(found.original, [columns["lb"][0], columns["ub"][0]], scale=0.01)


def test_the_upper_bound_of_M():
    """R's lower one is infinite: it rejects every M of its own grid, which ends at 8e-4."""
    low, high = asked(GIVEN, kind="smoothness", M=0).bounds()
    close(high, GIVEN["M_upper"])
    assert GIVEN["M_lower"] == "Inf"
    assert 0 < low < high


@pytest.mark.filterwarnings("ignore::causalformula.CausalFormulaWarning")
def test_the_event_study_of_a_fit():
    """The coefficients that R was given are those of the fit, and so are the limits."""
    fit = cf.fit("lemp ~ did(`first.treat`, year, unit = countyreal)", data("mpdta.csv"), event_study=True)
    r = MPDTA["relative"]["columns"]
    found = fit.honest("relative_magnitude", M=r["Mbar"][1])
    assert (found.study.num_pre, found.study.num_post) == (MPDTA["num_pre"], MPDTA["num_post"])
    close(found.study.betas, MPDTA["betahat"], 1e-9, scale=0.01)
    sigma = matrix(MPDTA["sigma"])
    close(found.study.sigma, np.asarray(sigma), 1e-9, scale=np.abs(np.asarray(sigma)).max())
    step = 2 * REACH * found.study.std_error(found.study.whole(found.target)) / STEPS
    np.testing.assert_allclose([found.lower[0], found.upper[0]], [r["lb"][1], r["ub"][1]], atol=2 * step, rtol=0)
