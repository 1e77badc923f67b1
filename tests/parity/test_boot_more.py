"""BCa and studentised limits as ``boot::boot.ci`` gives them, what the bootstrap draws, and the jackknife."""

import numpy as np
import pandas as pd
import pytest

import causalformula as cf
from causalformula.backends import refits
from causalformula.backends.fit import Query
from causalformula.inference.covariance import covariance
from causalformula.inference.estimate import Estimate
from causalformula.inference.evidence import Influence, influence_error
from causalformula.inference.linear import fit_linear
from causalformula.inference.request_text import read_request
from causalformula.inference.resampling.intervals import BCa, Studentized, acceleration
from causalformula.inference.resampling.resample import Plan
from causalformula.numerics.least_squares import replicates
from tests.parity.reference import case, close, data, values

BOOT = values("boot_ci_mean")


@pytest.fixture(scope="module")
def sample():
    return data("boot_sample.csv")["x"].to_numpy()


@pytest.fixture(scope="module")
def draws():
    return data("boot_reps.csv")["t"].to_numpy()[:, None]


@pytest.fixture(scope="module")
def mean(sample):
    """The mean as an estimate with its influence."""
    stage = fit_linear(np.ones((len(sample), 1)), sample, ["m"]).stage()
    return Estimate(("m",), stage.theta, Influence((stage,), np.eye(1), len(sample), rooted=True))


@pytest.fixture(scope="module")
def heart():
    return cf.datasets.load("heart").iloc[:60].assign(g=np.arange(60) // 5)


# -- BCa and studentised limits ------------------------------------------------------------------------------------


def test_acceleration_from_the_influence(mean):
    """R: sum(L^3) / (6 * sum(L^2)^1.5), L the jackknife influence."""
    close(acceleration(mean.evidence)[0], BOOT["accel"])


@pytest.mark.parametrize("which", ["ci_L_jack", "ci_L_infl"])
def test_bca_limits(mean, draws, which):
    """R: boot.ci(b, conf = c(.9, .95, .99), type = "bca", L = L)."""
    found = BCa(draws, mean.theta, acceleration(mean.evidence))
    for row in BOOT[which]["bca"]["values"]:
        close(np.concatenate(found.limits(row[0])), row[-2:], what=f"bca {row[0]}")


def test_studentized_limits(sample, draws):
    """R: boot.ci(b2, type = "stud", conf = c(.9, .95)), variances of the replicates given."""
    n = len(sample)
    variance = sample.var(ddof=1) / n
    errors = np.sqrt(variance * (1 + 0.2 * np.sin(np.arange(1, 1000))))[:, None]
    found = Studentized(draws, errors, np.array([sample.mean()]), np.array([np.sqrt(variance)]))
    for row in BOOT["stud"]["ci"]["values"]:
        close(np.concatenate(found.limits(row[0])), row[-2:], what=f"stud {row[0]}")


def stored(draws):
    """A refit that hands out stored replicates, as if it had computed them."""
    place = 0

    def refit(W):
        nonlocal place
        place += len(W)
        return draws[place - len(W) : place]

    return refit


def test_bca_through_the_covariance_and_as_printed(mean, draws):
    """R: print(boot.ci(b, type = c("norm", "basic", "perc", "bca"), L = L)): the endpoints as it shows them."""
    found = covariance(mean, cf.Bootstrap(reps=999, kind="bca", seed=1), refit=stored(draws))
    low, high = found.reference.limits(0.95)
    assert f"( {low[0]:.3f},  {high[0]:.3f} )" in BOOT["printed"]
    close(found.std_error[0], BOOT["se"])


def test_studentized_through_the_covariance(mean, sample, draws):
    n = len(sample)
    error = influence_error(mean.evidence)
    close(error[0], sample.std() / np.sqrt(n))
    errors = error * np.sqrt(1 + 0.2 * np.sin(np.arange(1, 1000)))[:, None]
    both = np.hstack([draws, errors])
    found = covariance(mean, cf.Bootstrap(reps=999, kind="studentized", seed=1), refit=stored(both))
    # a common factor of all standard errors cancels: n against n - 1 in R's variances does not show
    for row in BOOT["stud"]["ci"]["values"]:
        close(np.concatenate(found.reference.limits(row[0])), row[-2:])


def test_log_scale_bca_is_the_log_of_bca(mean, draws):
    """Limits respect transformations: those of log(theta) are the logarithms, up to the interpolation of two draws."""
    plain = BCa(draws, mean.theta, acceleration(mean.evidence)).limits(0.95)
    logged = Estimate(("m",), np.log(mean.theta), mean.evidence.map(np.array([[1 / mean.theta[0]]])))
    on_log = BCa(np.log(draws), logged.theta, acceleration(logged.evidence)).limits(0.95)
    close(np.exp(on_log), np.array(plain), rtol=1e-4)


def test_one_sided_replicates_have_no_bca(mean):
    found = BCa(mean.theta + np.ones((99, 1)), mean.theta, np.zeros(1))
    with pytest.raises(cf.ConvergenceError, match="one side"):
        found.limits(0.95)


# -- what is resampled ---------------------------------------------------------------------------------------------


def test_stored_index_rows(sample):
    """R: boot(x, mean, R = 20) with set.seed(2024); the first three rows of boot.array(b, indices = TRUE)."""
    found = case("boot_seeded_indices")["values"]
    rows = np.array(found["first_three_index_rows"]["values"]) - 1
    W = np.stack([np.bincount(row, minlength=len(sample)) for row in rows])
    close(replicates(np.ones((len(sample), 1)), sample, W)[:, 0], found["t"][:3])


def test_stored_index_rows_through_any_estimator(heart):
    """Frequency weights are the resample: the same estimate as on the rows drawn."""
    rows = np.array(case("boot_seeded_indices")["values"]["first_three_index_rows"]["values"]) - 1
    fit = cf.fit("Severity ~ treat(Drug) + modify(I.H)", heart)
    W = np.stack([np.bincount(row, minlength=60) for row in rows]).astype(float)
    found = refits.replicates(W, frame=fit.call.frame, options=fit.call.options, query=Query())
    again = [cf.fit("Severity ~ treat(Drug) + modify(I.H)", heart.iloc[row]).estimate for row in rows]
    close(found[:, 0], again, rtol=1e-9)


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_replicates_standard_errors_are_those_of_the_rows_drawn(heart, family):
    heart = heart.assign(y=heart.Severity if family == "gaussian" else (heart.Severity > 50).astype(float))
    heart = heart.assign(x=np.random.default_rng(1).normal(size=60))
    fit = cf.fit("y ~ treat(Drug) + modify(x)", heart, family=family)
    rows = np.random.default_rng(3).integers(0, 60, 60)
    W = np.bincount(rows, minlength=60).astype(float)[None, :]
    ask = {"frame": fit.call.frame, "options": fit.call.options, "query": Query()}
    found = refits.studentized(W, **ask, clusters=None)[0]
    psi = cf.fit("y ~ treat(Drug) + modify(x)", heart.iloc[rows], family=family).influence()
    assert found[1] == pytest.approx(np.sqrt((psi**2).sum()) / 60, rel=1e-6)


def test_replicates_standard_errors_over_clusters(heart):
    fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart)
    drawn = np.random.default_rng(3).integers(0, 12, 12)
    copies = [heart[heart.g == g].assign(copy=k) for k, g in enumerate(drawn)]
    again = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", pd.concat(copies), vcov="CR0 ~ copy")
    W = np.bincount(drawn, minlength=12)[heart.g].astype(float)[None, :]
    ask = {"frame": fit.call.frame, "options": fit.call.options, "query": Query()}
    found = refits.studentized(W, **ask, clusters=heart.g.to_numpy())[0]
    assert found[0] == pytest.approx(again.estimate, rel=1e-9)
    assert found[1] == pytest.approx(again.std_error, rel=1e-7)


@pytest.mark.parametrize("kind", ["bca", "studentized"])
def test_refined_intervals_end_to_end(heart, kind):
    request = cf.Bootstrap(reps=199, kind=kind, cluster="g", seed=4)
    fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart, vcov=request)
    row = fit.tidy().iloc[0]
    assert row["conf.low"] < fit.estimate < row["conf.high"]
    plain = fit.with_vcov(cf.Bootstrap(reps=199, cluster="g", seed=4))
    assert plain.std_error == pytest.approx(fit.std_error, rel=1e-8)
    assert not np.isclose(plain.tidy()["conf.low"].iloc[0], row["conf.low"], rtol=1e-6)
    assert fit.tidy().equals(fit.with_vcov(cf.Bootstrap(reps=199, kind=kind, cluster="g", seed=4, n_jobs=2)).tidy())


def test_studentized_needs_standard_errors(mean, draws):
    with pytest.raises(cf.CapabilityError, match="no standard errors"):
        covariance(mean, cf.Bootstrap(reps=999, kind="studentized", seed=1), refit=stored(draws))
    with pytest.raises(cf.CapabilityError, match="influence"):
        covariance(Estimate(("m",), mean.theta, None), cf.Bootstrap(reps=999, kind="bca"), refit=stored(draws), n=60)


def test_exponential_weights():
    clusters, strata = np.arange(60) // 3, np.arange(60) // 30
    plan = Plan(60, clusters, strata, "exponential")
    drawn = np.stack([plan.weights(child) for child in np.random.SeedSequence(1).spawn(3000)])
    assert (drawn > 0).all()
    assert all(np.ptp(drawn[:, clusters == g], axis=1).max() == 0 for g in range(20))
    np.testing.assert_allclose(drawn[:, strata == 0].mean(axis=1), 1.0, rtol=1e-12)
    # Dirichlet(1, ..., 1) times its size m: variance (m - 1) / (m + 1) with m = 10 clusters a stratum
    assert drawn[:, 0].var() == pytest.approx(9 / 11, rel=0.15)


def test_bayesian_bootstrap_of_a_mean(sample):
    """Rubin (1981): the posterior variance of a mean is sum (x - m)^2 / (n (n + 1))."""
    frame = pd.DataFrame({"x": sample})
    fit = cf.lm("x ~ 1", frame).with_vcov(cf.Bootstrap(reps=4000, weights="exponential", seed=2))
    n = len(sample)
    exact = np.sqrt(sample.var() / (n + 1))
    assert float(fit.bse.iloc[0]) == pytest.approx(exact, rel=4 / np.sqrt(2 * 4000))
    assert "exponential weights" in fit.covariance.label


def test_exponential_weights_have_no_refined_intervals():
    with pytest.raises(cf.OptionError, match="exponential"):
        cf.Bootstrap(weights="exponential", kind="bca")


# -- jackknife -----------------------------------------------------------------------------------------------------

JACKKNIFE = values("r_jackknife")


@pytest.mark.parametrize("centre", ["mean", "estimate"])
@pytest.mark.parametrize("unit", ["rows", "clusters"])
def test_jackknife(heart, unit, centre):
    """R: SE(withReplicates(as.svrepdesign(svydesign(ids, weights = ~1), type = "JK1", mse), coef)), survey 4.1."""
    request = cf.Jackknife("g" if unit == "clusters" else None, centre=centre)
    expected = JACKKNIFE[f"{unit}_{centre}"]
    linear = cf.lm("Severity ~ Drug + I.H", heart).with_vcov(request)
    close(linear.bse, expected["linear"])
    assert set(linear.tidy()["df"]) == {11.0 if unit == "clusters" else 59.0}
    logit = cf.glm("I(Severity > 50) ~ Drug", heart, family="binomial").with_vcov(request)
    close(logit.bse, expected["logit"], rtol=1e-5)  # refits of R's IRLS: the README's tolerance for standard errors
    # the effect of a regression is refitted; the coefficient has a closed form
    effect = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart, vcov=request)
    close(effect.std_error, expected["linear"][1], rtol=1e-8)


def test_jackknife_about_the_estimate_is_cr3(heart):
    fit = cf.lm("Severity ~ Drug + I.H", heart)
    rows = fit.with_vcov(cf.Jackknife(centre="estimate")).cov_params().to_numpy()
    close(rows, 59 / 60 * fit.with_vcov("HC3").cov_params().to_numpy(), rtol=1e-9, scale=1e-6)
    clusters = fit.with_vcov(cf.Jackknife("g", centre="estimate")).cov_params().to_numpy()
    close(clusters, 11 / 12 * fit.with_vcov("CR3 ~ g").cov_params().to_numpy(), rtol=1e-8, scale=1e-6)


def test_jackknife_weighted_closed_form_is_refits(heart):
    heart = heart.assign(w=np.arange(60) % 4 + 0.5)
    fit = cf.lm("Severity ~ Drug + I.H", heart, weights="w")
    X = np.column_stack([np.ones(60), heart.Drug, heart["I.H"]])
    for groups, request in ((np.arange(60), cf.Jackknife()), (heart.g.to_numpy(), cf.Jackknife("g"))):
        thetas = []
        for g in np.unique(groups):
            s = np.sqrt(heart.w.to_numpy()) * (groups != g)
            thetas.append(np.linalg.lstsq(X * s[:, None], heart.Severity * s, rcond=None)[0])
        spread = np.array(thetas) - np.mean(thetas, axis=0)
        count = len(thetas)
        close(fit.with_vcov(request).cov_params(), (count - 1) / count * spread.T @ spread, rtol=1e-8, scale=1e-6)


def test_jackknife_of_an_average_over_covariates_refits_the_average(heart):
    fit = cf.fit("Severity ~ treat(Drug) + modify(I.H)", heart, vcov=cf.Jackknife("g"))
    again = [cf.fit("Severity ~ treat(Drug) + modify(I.H)", heart[heart.g != g]).estimate for g in range(12)]
    assert fit.std_error == pytest.approx(np.sqrt(11 / 12 * ((again - np.mean(again)) ** 2).sum()), rel=1e-8)
    assert fit.with_vcov(cf.Jackknife("g", n_jobs=2)).std_error == fit.std_error


def test_jackknife_names_what_cannot_be_left_out():
    frame = pd.DataFrame({"y": np.arange(8.0) ** 2, "a": [0, 1] * 4, "b": [1.0] + [0.0] * 7})
    with pytest.raises(cf.IdentificationError, match=r"numbers 1\)"):
        cf.lm("y ~ a + b", frame).with_vcov("jackknife")
    with pytest.raises(cf.DataError, match="at least two clusters"):
        cf.fit("y ~ treat(a)", frame.assign(g=1), method="regression", vcov="jackknife ~ g")


def test_text_requests():
    assert read_request("jackknife ~ g") == cf.Jackknife("g")
    assert read_request("bootstrap ~ g") == cf.Bootstrap(cluster="g")
    assert read_request("jackknife") == cf.Jackknife()
