"""Families, links, IRLS and Newton: against definitions, derivatives and statsmodels."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from causalformula.errors import ConvergenceError, DataError, OptionError
from causalformula.numerics.families import KINDS, Family, family
from causalformula.numerics.irls import information, irls, newton, polish
from causalformula.numerics.least_squares import least_squares
from causalformula.numerics.links import LINKS

MODELS = [
    "gaussian",
    "gaussian('log')",
    "binomial",
    "binomial('probit')",
    "binomial('cloglog')",
    "binomial('cauchit')",
    "poisson",
    "poisson('sqrt')",
    "poisson('identity')",
    "Gamma",
    "Gamma('log')",
    "Gamma('identity')",
    "inverse.gaussian",
    "inverse.gaussian('log')",
    "quasi(link = 'log', variance = 'mu')",
    "quasibinomial",
    "quasipoisson",
]


def problem(name, n=500, seed=1):
    """A design, a response that the family allows, weights and an offset."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.uniform(-1, 1, n), rng.binomial(1, 0.4, n)])
    mean = np.exp(1.5 + X @ [0.1, 0.4, -0.2])
    y = {
        "gaussian": mean + rng.normal(size=n),
        "binomial": rng.binomial(1, mean / 10, n).astype(float),
        "poisson": rng.poisson(mean).astype(float),
        "Gamma": mean * rng.gamma(5, 0.2, n),
        "inverse.gaussian": mean * rng.gamma(20, 0.05, n),
        "quasi": rng.poisson(mean).astype(float),
        "quasibinomial": rng.beta(2, 2, n),
        "quasipoisson": mean * rng.gamma(5, 0.2, n),
    }
    fam = family(name)
    y = y[fam.name]
    if fam == family("gaussian('log')"):
        y = np.maximum(y, 0.1)
    offset = np.zeros(n) if fam.link_name in ("inverse", "1/mu^2", "sqrt", "identity") else rng.uniform(-0.1, 0.1, n)
    weights = rng.integers(1, 4, n).astype(float)
    return X, y, fam, weights, offset


def score(beta, X, y, fam, weights, offset):
    eta = offset + X @ beta
    mu = fam.linkinv(eta)
    return X.T @ (weights * (y - mu) * fam.mu_eta(eta) / fam.variance(mu))


def newton_error(fit, tol=1e-10):
    """What a score of ``tol`` allows two solutions to differ by."""
    return 2 * tol * np.sqrt(np.dot(fit.working_weights, fit.working_residuals**2) * np.diag(fit.bread))


@pytest.mark.parametrize("name", MODELS)
def test_polish_makes_the_score_zero(name):
    X, y, fam, weights, offset = problem(name)
    rough = irls(X, y, fam, weights, offset)
    fit = polish(X, y, fam, weights, offset, rough)
    assert rough.converged and fit.converged and not fit.separated
    assert fit.iterations == rough.iterations
    assert fit.null_deviance == rough.null_deviance
    size = np.sqrt(np.diag(np.linalg.inv(fit.bread)) * np.dot(fit.working_weights, fit.working_residuals**2))
    assert (np.abs(score(fit.coef, X, y, fam, weights, offset)) <= 2e-12 * size).all()
    # R's stopping rule: a change of 1e-8 of the deviance, so about 1e-4 of a standard error
    se = np.sqrt(np.diag(fit.bread) * fit.dispersion)
    assert (np.abs(fit.coef - rough.coef) < 1e-2 * se).all()
    assert fit.deviance <= rough.deviance * (1 + 1e-14)


@pytest.mark.parametrize("name", MODELS)
def test_information_is_the_derivative_of_the_score(name):
    X, y, fam, weights, offset = problem(name)
    fit = irls(X, y, fam, weights, offset)
    observed = information(X, fam, y, fit.mu, fit.eta, weights)
    step = 1e-5
    numeric = np.empty((3, 3))
    for j in range(3):
        up, down = fit.coef + step * np.eye(3)[j], fit.coef - step * np.eye(3)[j]
        numeric[j] = (score(down, X, y, fam, weights, offset) - score(up, X, y, fam, weights, offset)) / (2 * step)
    np.testing.assert_allclose(observed, numeric, rtol=1e-6, atol=1e-7 * np.abs(numeric).max())
    expected = information(X, fam, y, fit.mu, fit.eta, weights, kind="expected")
    if fam.canonical:
        np.testing.assert_allclose(observed, expected, rtol=1e-12)
    else:
        assert np.abs(observed - expected).max() > 1e-6 * np.abs(expected).max()
    np.testing.assert_allclose(expected @ polish(X, y, fam, weights, offset, fit).bread, np.eye(3), atol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_newton_is_the_limit_of_irls(name):
    X, y, fam, weights, offset = problem(name)
    tight = irls(X, y, fam, weights, offset, epsilon=1e-15, maxit=200)
    se = np.sqrt(np.diag(tight.bread) * tight.dispersion)
    near = newton(X, y, fam, weights, offset, start=tight.coef + 0.1 * se)
    alone = newton(X, y, fam, weights, offset)
    for fit in (near, alone):
        assert fit.converged
        # a scoring step that changes the deviance by 1e-15 of it may still be some 1e-7 of a standard error long
        assert (np.abs(fit.coef - tight.coef) < 1e-6 * se).all()
    assert (np.abs(near.coef - alone.coef) < newton_error(near)).all()
    assert np.isnan(near.null_deviance)


@pytest.mark.filterwarnings("ignore:The .* link function does not respect")
@pytest.mark.parametrize("name", MODELS)
def test_statsmodels_agrees(name):
    sm = pytest.importorskip("statsmodels.api")
    X, y, fam, weights, offset = problem(name)
    links = {
        "identity": "Identity",
        "inverse": "InversePower",
        "1/mu^2": "InverseSquared",
        "log": "Log",
        "logit": "Logit",
        "probit": "Probit",
        "cloglog": "CLogLog",
        "cauchit": "Cauchy",
        "sqrt": "Sqrt",
    }
    families = {
        "gaussian": "Gaussian",
        "binomial": "Binomial",
        "quasibinomial": "Binomial",
        "Gamma": "Gamma",
        "inverse.gaussian": "InverseGaussian",
    }
    link = getattr(sm.families.links, links[fam.link_name])()
    peer = getattr(sm.families, families.get(fam.name, "Poisson"))(link)
    theirs = sm.GLM(y, X, peer, freq_weights=weights, offset=offset).fit(tol=1e-14, tol_criterion="params")
    fit = polish(X, y, fam, weights, offset, irls(X, y, fam, weights, offset))
    np.testing.assert_allclose(fit.coef, theirs.params, rtol=1e-6)
    np.testing.assert_allclose(fit.deviance, theirs.deviance, rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.bread)), np.sqrt(np.diag(theirs.normalized_cov_params)), rtol=1e-6)
    if fam.name in ("binomial", "poisson"):
        # statsmodels' frequency weights multiply the log-likelihood, R's binomial weights are numbers of trials
        plain = irls(X, y, fam, offset=offset)
        again = sm.GLM(y, X, peer, offset=offset).fit()
        np.testing.assert_allclose(plain.aic, again.aic, rtol=1e-8)
        np.testing.assert_allclose(plain.null_deviance, again.null_deviance, rtol=1e-6)


@pytest.mark.parametrize("name", list(LINKS))
def test_link_derivatives(name):
    link = LINKS[name]
    eta = np.linspace(0.2, 2.5, 24) if name in ("inverse", "1/mu^2", "sqrt") else np.linspace(-3, 2, 26)
    np.testing.assert_allclose(link.function(link.inverse(eta)), eta, rtol=1e-9, atol=1e-12)
    h = 1e-5
    np.testing.assert_allclose(
        link.derivative(eta), (link.inverse(eta + h) - link.inverse(eta - h)) / (2 * h), rtol=1e-7, atol=1e-9
    )
    np.testing.assert_allclose(
        link.second(eta), (link.derivative(eta + h) - link.derivative(eta - h)) / (2 * h), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("logit", 2.22044604925031e-16, 2.22044604925031e-16),
        ("probit", 2.22044604925031e-16, 2.22044604925031e-16),
        ("cloglog", 3.44247710846986e-14, 2.22044604925031e-16),
        ("cauchit", 3.30883457571508e-04, 3.30883457571508e-04),
    ],
)
def test_clipping_as_r(name, low, high):
    """R: make.link(name)$mu.eta(c(-31, 31)); the inverse stays inside (0, 1) at any eta."""
    np.testing.assert_allclose(LINKS[name].derivative(np.array([-31.0, 31.0])), [low, high], rtol=1e-12)
    mu = LINKS[name].inverse(np.array([-1e30, -800.0, 800.0, 1e30]))
    assert ((mu > 0) & (mu < 1)).all()


def test_log_link_never_reaches_zero():
    """R: make.link("log")$linkinv(-800)."""
    assert LINKS["log"].inverse(np.array([-800.0]))[0] == 2.220446049250313e-16


@pytest.mark.parametrize("name", list(KINDS))
def test_variance_derivative_and_deviance(name):
    fam = family(name)
    mu, h = np.array([0.2, 0.5, 0.9]), 1e-6
    numeric = (fam.variance(mu + h) - fam.variance(mu - h)) / (2 * h)
    np.testing.assert_allclose(fam.variance_prime(mu), numeric, rtol=1e-6, atol=1e-9)
    # the deviance is zero at y = mu, and its slope in mu is -2 w (y - mu) / V(mu)
    y, w = np.array([0.3, 0.4, 0.8]), np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(fam.dev_resids(mu, mu, w), 0, atol=1e-15)
    slope = (fam.dev_resids(y, mu + h, w) - fam.dev_resids(y, mu - h, w)) / (2 * h)
    np.testing.assert_allclose(slope, -2 * w * (y - mu) / fam.variance(mu), rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("binomial", ("binomial", "logit", "mu(1-mu)")),
        ("binomial(link = 'probit')", ("binomial", "probit", "mu(1-mu)")),
        ('binomial("probit")', ("binomial", "probit", "mu(1-mu)")),
        ("binomial(probit)", ("binomial", "probit", "mu(1-mu)")),
        ("binomial()", ("binomial", "logit", "mu(1-mu)")),
        ("Gamma", ("Gamma", "inverse", "mu^2")),
        ("inverse.gaussian(link='1/mu^2')", ("inverse.gaussian", "1/mu^2", "mu^3")),
        ("quasi(link = 'log', variance = 'mu(1-mu)')", ("quasi", "log", "mu(1-mu)")),
        ('quasi(variance="mu^2")', ("quasi", "identity", "mu^2")),
        ("stats::poisson", ("poisson", "log", "mu")),
    ],
)
def test_family_reads_r_calls(text, expected):
    found = family(text)
    assert found == Family(*expected)
    assert family(str(found)).link_name == expected[1]
    assert pickle.loads(pickle.dumps(found)) == found
    assert family(found) is found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("probit", "unknown family 'probit'.*gaussian, binomial"),
        ("gamma", "did you mean 'Gamma'"),
        ("binomial(link = 'logitt')", "unknown link 'logitt'; did you mean 'logit'"),
        ("binomial(a = 'b')", "cannot read the family"),
        ("binomial('logit', 'probit', 'x')", "cannot read the family"),
        ("poisson(variance = 'mu^2')", "only quasi"),
        ("__import__('os').system('true')", "unknown family"),
    ],
)
def test_family_errors(text, message):
    with pytest.raises(OptionError, match=message):
        family(text)


@pytest.mark.parametrize(
    ("name", "y"),
    [
        ("binomial", 1.5),
        ("binomial", -0.5),
        ("poisson", -1.0),
        ("Gamma", 0.0),
        ("inverse.gaussian", -2.0),
        ("poisson", np.nan),
    ],
)
def test_response_outside_the_family(name, y):
    response = np.ones(5)
    response[2] = y
    with pytest.raises(DataError):
        irls(np.ones((5, 1)), response, family(name))


def test_no_valid_start():
    with pytest.raises(ConvergenceError, match="start="):
        irls(np.ones((5, 1)), np.ones(5), family("poisson('identity')"), start=[-1.0])


@pytest.mark.parametrize("options", [{"epsilon": 0}, {"maxit": 0}])
def test_control_values(options):
    with pytest.raises(OptionError, match="epsilon must be positive"):
        irls(np.ones((5, 1)), np.ones(5), family("poisson"), **options)


def test_gaussian_identity_is_least_squares():
    X, y, fam, weights, offset = problem("gaussian")
    fit, linear = irls(X, y, fam, weights, offset), least_squares(X, y, weights, offset)
    np.testing.assert_allclose(fit.coef, linear.coef, rtol=1e-12)
    np.testing.assert_allclose(fit.bread, linear.bread, rtol=1e-12)
    assert fit.iterations == 2
    assert fit.deviance == pytest.approx(np.dot(weights, linear.residuals**2), rel=1e-13)


@pytest.mark.parametrize("name", ["binomial", "binomial('probit')", "poisson"])
def test_whole_weights_are_repeated_rows(name):
    X, y, fam, weights, offset = problem(name)
    weights[::7] = 0
    times = weights.astype(int)
    fit = newton(X, y, fam, weights, offset)
    repeated = newton(np.repeat(X, times, axis=0), np.repeat(y, times), fam, offset=np.repeat(offset, times))
    assert (np.abs(fit.coef - repeated.coef) < newton_error(fit)).all()
    np.testing.assert_allclose(fit.bread, repeated.bread, atol=1e-9 * fit.bread.diagonal().min())


def test_aliased_columns():
    X, y, fam, weights, offset = problem("binomial")
    wide = np.column_stack([X[:, :2], 3 - 2 * X[:, 1], X[:, 2]])
    fit, plain = irls(wide, y, fam, weights, offset), irls(X, y, fam, weights, offset)
    np.testing.assert_array_equal(fit.kept, [0, 1, 3])
    np.testing.assert_allclose(fit.coef[fit.kept], plain.coef, rtol=1e-10)
    np.testing.assert_allclose(fit.alias[:, 0], [3, -2, 0], atol=1e-9)
    assert fit.iterations == plain.iterations
    better = polish(wide, y, fam, weights, offset, fit)
    assert np.isnan(better.coef[2]) and better.converged
    np.testing.assert_allclose(better.alias[:, 0], [3, -2, 0], atol=1e-9)
    np.testing.assert_allclose(better.bread, polish(X, y, fam, weights, offset, plain).bread, rtol=1e-9)


def test_newton_when_weights_empty_a_column():
    """A level that a resample has lost: aliased in that refit, as R has it, and the rest fitted."""
    X, y, fam, weights, offset = problem("binomial")
    start = newton(X, y, fam, weights, offset).coef
    w = np.where(X[:, 2] == 1, 0, weights)
    fit = newton(X, y, fam, w, offset, start)
    assert fit.converged
    np.testing.assert_array_equal(np.isnan(fit.coef), [False, False, True])
    np.testing.assert_allclose(fit.coef[:2], newton(X[:, :2], y, fam, w, offset).coef, rtol=1e-9)


def test_quasi_separation_is_recorded_and_does_not_explode():
    X, y, fam, _, _ = problem("binomial")
    cell = (np.arange(len(y)) % 50 == 0).astype(float)
    y = np.where(cell == 1, 1.0, y)
    wide = np.column_stack([X, cell])
    rough = irls(wide, y, fam)
    fit = polish(wide, y, fam, coef=rough)
    assert rough.converged and fit.separated and not fit.converged
    assert "no finite maximum" in fit.warnings[-1]
    assert np.abs(fit.coef).max() < np.abs(rough.coef).max() + 4
    others = cell == 0
    clean = polish(X[others], y[others], fam, coef=irls(X[others], y[others], fam))
    np.testing.assert_allclose(fit.coef[:3], clean.coef, rtol=1e-6)
    np.testing.assert_allclose(fit.mu[others], clean.mu, rtol=1e-6)
    np.testing.assert_allclose(fit.mu[~others], 1, atol=1e-6)


def test_complete_separation():
    """R: glm(y ~ x, binomial) on separated data: two warnings, no error."""
    x = np.arange(20.0)
    X, y = np.column_stack([np.ones(20), x]), (x > 9).astype(float)
    fit = irls(X, y, family("binomial"))
    assert fit.warnings == (
        "glm.fit: algorithm did not converge",
        "glm.fit: fitted probabilities numerically 0 or 1 occurred",
    )
    after = polish(X, y, family("binomial"), coef=fit)
    assert np.isfinite(after.coef).all() and not after.converged


def test_polish_from_coefficients():
    X, y, fam, weights, offset = problem("poisson")
    rough = irls(X, y, fam, weights, offset)
    fit = polish(X, y, fam, weights, offset, rough.coef)
    assert fit.null_deviance == pytest.approx(rough.null_deviance, rel=1e-7)
    assert fit.aic == pytest.approx(rough.aic, rel=1e-7)
    assert fit.df_null == rough.df_null


def test_saturated_model():
    """The fit is exact, the dispersion of a Gamma unknown."""
    X = np.column_stack([np.ones(3), [0, 1, 0], [0, 0, 1]])
    y = np.array([1.0, 2.0, 4.0])
    fit = polish(X, y, family("Gamma('log')"), coef=irls(X, y, family("Gamma('log')")))
    np.testing.assert_allclose(fit.mu, y, rtol=1e-12)
    assert fit.converged and np.isnan(fit.dispersion)


def test_ill_conditioned_design():
    """A quartic in years, far from the origin: as in the centred basis."""
    rng = np.random.default_rng(3)
    t = rng.uniform(0, 10, 400)
    y = rng.binomial(1, 1 / (1 + np.exp(-(t - 5) / 2)), 400).astype(float)
    far, near = (np.vander(v, 5, increasing=True) for v in (t + 20, (t - 5) / 5))
    a, b = (irls(X, y, family("binomial")) for X in (far, near))
    assert a.rank == 5
    np.testing.assert_allclose(a.mu, b.mu, rtol=1e-7)
    a, b = (polish(X, y, family("binomial"), coef=f) for X, f in ((far, a), (near, b)))
    np.testing.assert_allclose(a.mu, b.mu, rtol=1e-7)
    np.testing.assert_allclose(*(np.einsum("ij,jk,ik->i", X, f.bread, X) for X, f in ((far, a), (near, b))), rtol=1e-6)


def test_heavy_modules_stay_out():
    code = (
        "import sys; from causalformula.numerics.families import family; f = family('gaussian')\n"
        "import numpy as np; x = np.ones(3); f.linkinv(x); f.dev_resids(x, x, x); f.aic(x, 0 * x, x, 1.0)\n"
        "import causalformula.numerics.irls, causalformula.numerics.least_squares\n"
        "bad = {'statsmodels', 'sklearn', 'matplotlib', 'scipy.stats', 'scipy.special'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {bad}' if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
