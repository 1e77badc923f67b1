"""Requests and what ``covariance`` makes of them: df, labels, refusals, serial dependence, the bootstrap."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest

from causalformula.errors import CapabilityError, CausalFormulaWarning, ConvergenceError, DataError, OptionError
from causalformula.inference.covariance import covariance
from causalformula.inference.estimate import Estimate, stack
from causalformula.inference.evidence import Draws, Fixed, Influence
from causalformula.inference.generalised import fit_glm
from causalformula.inference.linear import fit_linear
from causalformula.inference.request_text import describe, read_request
from causalformula.inference.requests import HAC, HAC_KERNELS, HC, Asympt, Classical, Cluster, DriscollKraay, Given
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.inference.sandwich.definite import nearest_psd
from causalformula.inference.sandwich.groupings import intersect
from causalformula.inference.sandwich.hac import KERNELS, kernel_weights, long_run
from causalformula.inference.stage import Stage
from causalformula.numerics.families import family
from causalformula.numerics.least_squares import replicates

N = 60
NAMES = ("(Intercept)", "x", "z")


def data(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(N), rng.normal(size=(N, 2))])
    return X, X @ [1.0, 2.0, -1.0] + rng.normal(size=N) * (1 + np.abs(X[:, 1]))


def linear(seed: int = 1, weights: np.ndarray | None = None) -> Estimate:
    X, y = data(seed)
    fitted = fit_linear(X, y, NAMES, weights=weights)
    return Estimate(NAMES, fitted.theta, Influence((fitted.stage(),), np.eye(3), N, rooted=True))


def logit() -> Estimate:
    X, y = data()
    fitted = fit_glm(X, (y > 1).astype(float), NAMES, family("binomial"), to_zero=True)
    return Estimate(NAMES, fitted.theta, Influence((fitted.stage(),), np.eye(3), N, rooted=True))


def weighted_by_a_model() -> Estimate:
    """A propensity model, and a regression weighted by its inverse probabilities."""
    X, y = data()
    a = (X[:, 1] + np.random.default_rng(4).normal(size=N) > 0).astype(float)
    first = fit_glm(X, a, NAMES, family("binomial"), to_zero=True)
    w = a / first.mu + (1 - a) / (1 - first.mu)
    D = np.column_stack([np.ones(N), a])
    second = fit_linear(D, y, ("(Intercept)", "a"), weights=w)
    slope = np.where(a == 1, -(1 - first.mu) / first.mu, first.mu / (1 - first.mu))
    cross = (D * ((y - second.mu) * slope)[:, None]).T @ X
    root = second.stage()
    root = Stage(root.name, root.names, root.theta, root.hessian, cross={"ps": cross}, hat=root.hat)
    jac = np.hstack([np.zeros((2, 3)), np.eye(2)])
    return Estimate(("b0", "b1"), second.theta, Influence((first.stage("ps"), root), jac, N, rooted=True))


G = {"g": np.arange(N) % 11, "h": np.arange(N) // 9, "t": np.arange(N) // 3}


# -- requests as text --------------------------------------------------------------------------------------------------

TEXTS: dict[str, Any] = {
    "classical": Classical(),
    "HC3": HC("HC3"),
    "HC4m": HC("HC4m"),
    "asympt": Asympt(),
    "~g": Cluster("g"),
    "~g + h": Cluster(("g", "h")),
    "CR2 ~ g": Cluster("g", type="CR2"),
    "CR1S ~ `my group` + h": Cluster(("my group", "h"), type="CR1S"),
    "NeweyWest": HAC(),
    "NeweyWest(4)": HAC(lag=4),
    "NeweyWest(0) ~ day": HAC(lag=0, order_by="day"),
    "Andrews": HAC("Andrews"),
    "Andrews(Parzen) ~ `the day`": HAC("Andrews", kernel="Parzen", order_by="the day"),
    "DriscollKraay ~ year": DriscollKraay("year"),
    "DriscollKraay(2) ~ year": DriscollKraay("year", 2),
    "bootstrap": Bootstrap(),
}


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("bootstrap(500, seed = 1)", Bootstrap(500, seed=1)),
        ("bootstrap()", Bootstrap()),
        ("bootstrap( kind=bca ,reps = 99 )~g", Bootstrap(99, "bca", "g")),
        ("bootstrap(99, cluster = 'g', df = 12)", Bootstrap(99, cluster="g", df=12)),
        ('wild(99, "webb", FALSE) ~ `my group`', Wild(99, "webb", null=False, cluster="my group")),
        ("jackknife(centre = estimate)", Jackknife(centre="estimate")),
    ],
)
def test_a_resampling_takes_its_arguments_in_brackets(text: str, request_: Any) -> None:
    assert read_request(text) == request_


@pytest.mark.parametrize("text", TEXTS)
def test_strings_are_short_for_objects(text: str) -> None:
    assert read_request(text) == TEXTS[text]
    assert describe(TEXTS[text]) == text
    assert read_request(f"  {text} ") == TEXTS[text]
    assert pickle.loads(pickle.dumps(TEXTS[text])) == TEXTS[text]


def test_a_matrix_is_a_request() -> None:
    V = np.diag([1.0, 4.0, 9.0])
    request = read_request(V)
    assert isinstance(request, Given)
    V[0, 0] = 5
    assert request.matrix[0, 0] == 1
    assert (covariance(linear(), request).std_error == [1, 2, 3]).all()
    assert read_request(request) is request


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: read_request("HC9"), "HC"),
        (lambda: read_request("Newey"), "NeweyWest"),
        (lambda: read_request("NeweyWest(a)"), "number of lags"),
        (lambda: read_request("CR7 ~ g"), "CR"),
        (lambda: read_request("DriscollKraay"), "column of the periods"),
        (lambda: read_request("Andrews(Parsen)"), "Parzen"),
        (lambda: read_request("bootstrap(sed = 1)"), "did you mean 'seed'"),
        (lambda: read_request("bootstrap(99, reps = 99)"), "each argument once"),
        (lambda: read_request("bootstrap(cluster = h) ~ g"), "two clusters"),
        (lambda: read_request("jackknife(a, b)"), "no argument 'b'; it takes cluster, df"),
        (lambda: read_request(3), "string"),
        (lambda: read_request(np.ones((2, 3))), "square"),
        (lambda: read_request(np.array([[1.0, 2], [0, 1]])), "symmetric"),
        (lambda: HC("HC3", df=0), "df must be positive"),
        (lambda: Cluster(()), "at least one column"),
        (lambda: HAC(lag=-1), "whole number"),
        (lambda: HAC("Andrews", lag=3), "bandwidth"),
        (lambda: HAC(kernel="Parzen"), "Andrews"),
        (lambda: HAC("Andrews", bandwidth=0.0), "positive"),
        (lambda: Bootstrap(kind="percntile"), "percentile"),
        (lambda: Bootstrap(reps=1), "at least 2"),
    ],
)
def test_requests_that_make_no_sense(make: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()


# -- degrees of freedom and labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["classical", "HC3", "~g", "CR0 ~ g", "CR1p ~ g", "NeweyWest", "DriscollKraay ~ t"])
def test_least_squares_have_residual_degrees_of_freedom_and_glms_none(text: str) -> None:
    request = read_request(text)
    assert (covariance(linear(), request, groups=G).df == N - 3).all()
    if text != "classical":
        assert np.isinf(covariance(logit(), request, groups=G).df).all()


@pytest.mark.parametrize("type_", ["CR2", "CR3"])
def test_adjusted_clusters_bring_their_own(type_: str) -> None:
    for estimate in (linear(), logit()):
        df = covariance(estimate, Cluster("g", type=type_), groups=G).df
        assert ((df > 1) & (df < 11)).all()
        assert len(set(df)) == 3
        # a contrast has the degrees of freedom of its own combination, not of its parts
        assert covariance(estimate.select([2]), Cluster("g", type=type_), groups=G).df == pytest.approx(
            df[2], rel=1e-10
        )


def test_the_request_and_then_the_design_decide() -> None:
    estimate = linear()
    assert isinstance(estimate.evidence, Influence)
    special = Influence(
        estimate.evidence.stages,
        np.eye(3),
        N,
        df_special={"CR2 ~ g": np.array([5.0, 6.0, 7.0]), "HC2": np.full(3, 9.0)},
        rooted=True,
    )
    designed = Estimate(NAMES, estimate.theta, special)
    assert covariance(designed, read_request("CR2 ~ g"), groups=G).df.tolist() == [5, 6, 7]
    assert covariance(designed, HC("HC2")).df.tolist() == [9, 9, 9]
    assert covariance(designed, HC("HC3")).df.tolist() == [N - 3] * 3
    assert covariance(designed, Cluster("g", type="CR2", df=4), groups=G).df.tolist() == [4, 4, 4]
    assert np.isinf(covariance(designed, HC("HC2", df=np.inf)).df).all()
    # a function of the estimates is another contrast, which the design's degrees of freedom are not for
    assert covariance(designed.select([0]), HC("HC2")).df.tolist() == [N - 3]


def test_labels() -> None:
    estimate = linear()
    assert covariance(estimate, HC("HC3")).label == "HC3"
    assert covariance(estimate, Cluster("g"), groups=G).label == "clustered by g (CR1S; clusters g: 11)"
    with pytest.warns(CausalFormulaWarning, match="negative"):
        two = covariance(estimate, Cluster(("g", "h"), type="CR1"), groups=G)
    assert two.label.startswith("clustered by g and h (CR1; clusters g: 11, h: 7)")
    assert covariance(logit(), Cluster("g"), groups=G).label == "clustered by g (CR1; clusters g: 11)"
    assert covariance(estimate, HAC(lag=4)).label == "Newey-West (lag 4, prewhitened)"
    assert "ordered by t" in covariance(estimate, HAC("Andrews", order_by="t"), groups={"t": np.arange(N)}).label
    assert "treated as given" in covariance(weighted_by_a_model(), HC("HC0")).label


# -- groups ------------------------------------------------------------------------------------------------------------


def test_groups_without_rows_do_not_count() -> None:
    gaps = np.array([0, 2, 5, 9])[np.arange(N) % 4]
    codes, count = intersect([gaps])
    assert count == 4
    assert (codes == np.arange(N) % 4).all()
    for type_ in ("CR1", "CR2"):
        one = covariance(linear(), Cluster("g", type=type_), groups={"g": gaps})
        two = covariance(linear(), Cluster("g", type=type_), groups={"g": np.arange(N) % 4})
        assert (one.matrix == two.matrix).all()
        assert (one.df == two.df).all()


@pytest.mark.parametrize("text", ["HC0", "HC1", "HC3", "~g", "CR1 ~ g + h", "CR2 ~ g", "CR3 ~ g", "NeweyWest(2)"])
def test_rows_of_weight_zero_take_no_part(text: str) -> None:
    X, y = data()
    w = np.where(np.arange(N) < 20, 0.0, 1 + np.arange(N) % 3)
    whole = linear(weights=w)
    fitted = fit_linear(X[20:], y[20:], NAMES, weights=w[20:])
    rest = Estimate(NAMES, fitted.theta, Influence((fitted.stage(),), np.eye(3), N - 20, rooted=True))
    # the rows of weight zero have clusters of their own, too
    groups = {"g": np.where(np.arange(N) < 10, 11, G["g"]), "h": G["h"]}
    request = read_request(text)
    left = {name: codes[20:] for name, codes in groups.items()}
    a, b = covariance(whole, request, groups=groups), covariance(rest, request, groups=left)
    np.testing.assert_allclose(a.matrix, b.matrix, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a.df, b.df, rtol=1e-9)


def test_one_cluster_is_an_error() -> None:
    with pytest.raises(DataError, match="at least two"):
        covariance(linear(), Cluster("g"), groups={"g": np.zeros(N, dtype=int)})


def test_a_matrix_that_is_not_positive_semidefinite_is_kept_and_said() -> None:
    """Two crossed groupings can leave a negative variance (Cameron, Gelbach and Miller 2011)."""
    for seed in range(400):
        rng = np.random.default_rng(seed)
        groups = {"g": rng.integers(0, 3, N), "h": rng.integers(0, 3, N)}
        found = covariance(linear(seed), Cluster(("g", "h"), type="CR0"), groups=groups)
        parts = [
            covariance(linear(seed), Cluster("k", type="CR0"), groups={"k": codes}).matrix
            for codes in (groups["g"], groups["h"], groups["g"] * 3 + groups["h"])
        ]
        plain = parts[0] + parts[1] - parts[2]
        if np.linalg.eigvalsh(plain)[0] < -1e-6:
            break
    else:
        pytest.fail("no indefinite matrix was drawn")
    np.testing.assert_allclose(found.matrix, plain, rtol=1e-9, atol=1e-12)
    assert "not positive semidefinite" in found.notes[0] and "fix=True" in found.notes[0]
    fixed = covariance(linear(seed), Cluster(("g", "h"), type="CR0", fix=True), groups=groups)
    assert "negative eigenvalues set to zero" in fixed.label
    assert not any("not positive semidefinite" in note for note in fixed.notes)
    values, vectors = np.linalg.eigh(plain)
    np.testing.assert_allclose(fixed.matrix, (vectors * np.maximum(values, 0)) @ vectors.T, rtol=1e-9, atol=1e-12)
    assert np.linalg.eigvalsh(fixed.matrix)[0] > -1e-12


def test_rounding_is_not_mended() -> None:
    singular = np.outer([1e-3, 1e3], [1e-3, 1e3])
    matrix, changed = nearest_psd(singular - np.diag([1e-20, 1e-9]))
    assert not changed
    assert matrix[0, 1] == singular[0, 1]


# -- what cannot be answered -------------------------------------------------------------------------------------------


def test_leverage_after_estimated_weights_is_refused_unless_they_are_given() -> None:
    estimate = weighted_by_a_model()
    for request in (HC("HC2"), HC("HC3"), Cluster("g", type="CR2"), Cluster("g", type="CR3")):
        with pytest.raises(CapabilityError, match="weights='fixed'"):
            covariance(estimate, request, groups=G)
    root = estimate.evidence.stages[-1]  # type: ignore[union-attr]
    given = Stage(root.name, root.names, root.theta, root.hessian, hat=root.hat)
    alone = Estimate(("b0", "b1"), estimate.theta, Influence((given,), np.eye(2), N, rooted=True))
    for name in ("HC0", "HC1", "HC2", "HC3"):
        fixed = covariance(estimate, HC(name, weights="fixed"))
        np.testing.assert_allclose(fixed.matrix, covariance(alone, HC(name)).matrix, rtol=1e-10)
        assert "treated as given" in fixed.label
    fixed = covariance(estimate, Cluster("g", type="CR2", weights="fixed"), groups=G)
    np.testing.assert_allclose(fixed.matrix, covariance(alone, Cluster("g", type="CR2"), groups=G).matrix, rtol=1e-10)


def test_estimated_weights_enter_where_they_should() -> None:
    estimate = weighted_by_a_model()
    psi = estimate.exact_influence()
    np.testing.assert_allclose(covariance(estimate, Asympt()).matrix, psi.T @ psi / N**2, rtol=1e-10)
    sums = np.array([psi[G["g"] == k].sum(axis=0) for k in range(11)])
    clustered = covariance(estimate, Cluster("g"), groups=G)
    np.testing.assert_allclose(clustered.matrix, 11 / 10 * sums.T @ sums / N**2, rtol=1e-10)
    assert np.isinf(clustered.df).all()
    assert clustered.label.startswith("clustered by g (CR1;")
    # given weights: another number
    assert not np.allclose(covariance(estimate, HC("HC0")).matrix, psi.T @ psi / N**2, rtol=1e-3)
    np.testing.assert_allclose(
        covariance(estimate, HC("HC0", weights="estimated")).matrix, psi.T @ psi / N**2, rtol=1e-10
    )


@pytest.mark.parametrize(
    ("estimate", "request_", "message"),
    [
        (weighted_by_a_model(), Classical(), "one regression"),
        (linear(), Cluster(("g", "h"), type="CR2"), "one grouping"),
        (Estimate(("a",), np.ones(1), None), HC("HC0"), "bootstrap"),
        (Estimate(("a",), np.ones(1), Fixed(np.eye(1), 3.0, "AI")), HC("HC0"), "its own variance"),
        (
            Estimate(("a",), np.ones(1), Influence((), np.zeros((1, 0)), N, np.ones((N, 1)), always=True)),
            HC("HC3"),
            "HC0",
        ),
        (
            Estimate(("a",), np.ones(1), Influence((), np.zeros((1, 0)), N, np.ones((N, 1)), always=True)),
            Cluster("g", type="CR2"),
            "needs a regression",
        ),
        (linear(), Bootstrap(), "cannot be refitted"),
        (linear(), read_request("AI"), "matched with replacement"),
    ],
)
def test_refusals_name_the_remedy(estimate: Estimate, request_: Any, message: str) -> None:
    with pytest.raises(CapabilityError, match=message):
        covariance(estimate, request_, groups=G)


def test_a_matrix_of_the_wrong_size() -> None:
    with pytest.raises(OptionError, match="3 effects"):
        covariance(linear(), Given(np.eye(4)))


def test_a_matrix_of_the_coefficients_is_mapped() -> None:
    C = np.array([[0.0, 1.0, -1.0]])
    V = np.diag([1.0, 4.0, 9.0])
    assert covariance(linear().contrast(C, ["d"]), Given(V)).matrix == 13


def test_only_like_evidence_on_like_rows_can_be_stacked() -> None:
    with pytest.raises(CapabilityError, match="same kind"):
        stack([linear(), Estimate(("a",), np.ones(1), Draws(np.ones((5, 1))))])
    other = Estimate(("a",), np.ones(1), Influence((), np.zeros((1, 0)), N + 1, np.ones((N + 1, 1)), always=True))
    with pytest.raises(CapabilityError, match="different rows"):
        stack([linear(), other])


def test_estimates_of_different_models_are_stacked_by_their_influences() -> None:
    a, b = linear(), logit()
    joined = stack([a, b])
    psi = np.hstack([a.exact_influence(), b.exact_influence()])
    np.testing.assert_allclose(covariance(joined, HC("HC0")).matrix, psi.T @ psi / N**2, rtol=1e-10)


def test_the_averages_own_term_is_added_on_request() -> None:
    estimate = linear()
    stage = estimate.evidence.stages  # type: ignore[union-attr]
    own = np.random.default_rng(2).normal(size=(N, 1))
    own -= own.mean()
    jac = np.array([[0.0, 1.0, 0.5]])
    one = Estimate(("e",), np.ones(1), Influence(stage, jac, N, own, rooted=True))
    for request, add in ((HC("HC0"), 0), (HC("HC0", unconditional=True), 1)):
        psi = N * (stage[0].hat.multipliers()[:, None] * stage[0].hat.X) @ stage[0].hat.bread @ jac.T + add * own
        np.testing.assert_allclose(covariance(one, request).matrix, psi.T @ psi / N**2, rtol=1e-10)
    conditional = covariance(one, Classical()).matrix
    added = covariance(one, Classical(unconditional=True)).matrix
    np.testing.assert_allclose(added - conditional, own.T @ own / N**2, rtol=1e-10)
    # by clusters the averages' term is summed within clusters like the rest, whatever the residuals' adjustment
    sums = np.array([own[G["g"] == k].sum(axis=0) for k in range(11)]) / N
    root = covariance(
        Estimate(("e",), np.ones(1), Influence(stage, jac, N, rooted=True)), Cluster("g", type="CR2"), groups=G
    )
    with_own = covariance(one, Cluster("g", type="CR2", unconditional=True), groups=G)
    assert with_own.df == pytest.approx(root.df, rel=1e-10)
    nothing = Estimate(("e",), np.ones(1), Influence(stage, 0 * jac, N, own, rooted=True))
    np.testing.assert_allclose(
        covariance(nothing, Cluster("g", type="CR2", unconditional=True), groups=G).matrix, sums.T @ sums, rtol=1e-10
    )


# -- serial dependence -------------------------------------------------------------------------------------------------


def by_definition(U: np.ndarray, weight: Any) -> np.ndarray:
    n = len(U)
    return sum(weight(abs(s - t)) * np.outer(U[s], U[t]) for s in range(n) for t in range(n))


@pytest.mark.parametrize("kernel", HAC_KERNELS)
@pytest.mark.parametrize("width", [0.4, 1.0, 3.0, 6.5])
def test_long_run_covariance_by_definition(kernel: str, width: float) -> None:
    U = np.random.default_rng(0).normal(size=(25, 2))
    weights = kernel_weights(kernel, width, 25)
    expected = by_definition(U, lambda lag: float(KERNELS[kernel].function(np.array([lag / width]))[0]))
    np.testing.assert_allclose(long_run(U, weights), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", HAC_KERNELS)
def test_kernels_are_one_at_zero_and_continuous_there(kernel: str) -> None:
    x = np.array([0.0, 1e-9, 9.99e-4, 1.001e-3])
    found = KERNELS[kernel].function(x)
    assert found[0] == 1
    assert np.abs(np.diff(found)).max() < 2e-3
    if kernel == "QuadraticSpectral":
        assert abs(found[3] - found[2]) < 1e-7


def test_newey_west_by_definition() -> None:
    estimate = linear()
    hat = estimate.evidence.root  # type: ignore[union-attr]
    U = hat.X * hat.multipliers()[:, None]
    expected = hat.bread @ by_definition(U, lambda lag: max(0, 1 - lag / 5)) @ hat.bread
    found = covariance(estimate, HAC(lag=4, prewhite=False))
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-10)
    np.testing.assert_allclose(
        covariance(estimate, HAC(lag=0, prewhite=False)).matrix, covariance(estimate, HC("HC0")).matrix
    )


def test_functions_of_the_coefficients_share_bandwidth_and_prewhitening() -> None:
    C = np.array([[0.0, 1.0, 0.7], [1.0, 0.0, 2.0]])
    for request in (HAC(), HAC("Andrews"), HAC("Andrews", kernel="Parzen", prewhite=False)):
        V = covariance(linear(), request).matrix
        np.testing.assert_allclose(covariance(linear().contrast(C, "ab"), request).matrix, C @ V @ C.T, rtol=1e-9)


def test_driscoll_kraay_by_definition() -> None:
    estimate = linear()
    hat = estimate.evidence.root  # type: ignore[union-attr]
    U = hat.X * hat.multipliers()[:, None]
    sums = np.array([U[G["t"] == k].sum(axis=0) for k in range(20)])
    expected = hat.bread @ by_definition(sums, lambda lag: max(0, 1 - lag / 3)) @ hat.bread
    found = covariance(estimate, DriscollKraay("t", adjust=False), groups=G)
    np.testing.assert_allclose(found.matrix, expected, rtol=1e-10)
    # without lags it is clustering by period
    none = covariance(estimate, DriscollKraay("t", 0, adjust=False), groups=G)
    np.testing.assert_allclose(none.matrix, covariance(estimate, Cluster("t", type="CR0"), groups=G).matrix, rtol=1e-10)


def test_the_influence_of_several_stages_takes_the_scores_place() -> None:
    estimate = weighted_by_a_model()
    psi = estimate.evidence.psi(expected=True) / N  # type: ignore[union-attr]
    expected = by_definition(psi, lambda lag: max(0, 1 - lag / 3))
    np.testing.assert_allclose(covariance(estimate, HAC(lag=2, prewhite=False)).matrix, expected, rtol=1e-10)


def test_too_few_rows_to_prewhiten() -> None:
    X, y = data()
    fitted = fit_linear(X[:4], y[:4], NAMES)
    estimate = Estimate(NAMES, fitted.theta, Influence((fitted.stage(),), np.eye(3), 4, rooted=True))
    with pytest.raises(DataError, match="prewhite=False"):
        covariance(estimate, HAC())


# -- the bootstrap -----------------------------------------------------------------------------------------------------


def refit(weights: np.ndarray, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    return replicates(X, y, weights)


def sometimes(weights: np.ndarray, X: np.ndarray, y: np.ndarray, most: float) -> np.ndarray:
    """Fails where the first row was drawn more than ``most`` times."""
    out = replicates(X, y, weights)
    out[weights[:, 0] > most] = np.nan
    return out


def test_the_same_seed_gives_the_same_bytes_at_any_number_of_jobs() -> None:
    X, y = data()
    found = [
        covariance(linear(), Bootstrap(reps=600, seed=3, n_jobs=jobs), refit=partial(refit, X=X, y=y))
        for jobs in (1, 2)
    ]
    again = covariance(linear(), Bootstrap(reps=600, seed=3), refit=partial(refit, X=X, y=y))
    assert found[0].draws is not None
    assert found[0].draws.shape == (600, 3)
    assert found[0].draws.tobytes() == found[1].draws.tobytes() == again.draws.tobytes()  # type: ignore[union-attr]
    other = covariance(linear(), Bootstrap(reps=600, seed=4), refit=partial(refit, X=X, y=y))
    assert other.draws.tobytes() != found[0].draws.tobytes()  # type: ignore[union-attr]
    assert "seed 3" in found[0].label
    assert np.isinf(found[0].df).all()
    np.testing.assert_allclose(found[0].matrix, np.cov(found[0].draws, rowvar=False), rtol=1e-10)


def test_a_seed_is_drawn_and_reported() -> None:
    X, y = data()
    one = covariance(linear(), Bootstrap(reps=10), refit=partial(refit, X=X, y=y))
    seed = int(one.label.split("seed ")[1].rstrip(")"))
    again = covariance(linear(), Bootstrap(reps=10, seed=seed), refit=partial(refit, X=X, y=y))
    assert (one.draws == again.draws).all()


def test_failed_replicates_are_left_out_and_counted() -> None:
    X, y = data()
    few = covariance(linear(), Bootstrap(reps=300, seed=1), refit=partial(sometimes, X=X, y=y, most=3))
    assert few.draws is not None
    failed = 300 - len(few.draws)
    assert 0 < failed <= 15
    assert few.notes == (f"{failed} of 300 bootstrap replicates failed and were left out",)
    with pytest.raises(ConvergenceError, match="of 300 bootstrap replicates failed"):
        covariance(linear(), Bootstrap(reps=300, seed=1), refit=partial(sometimes, X=X, y=y, most=1))


@pytest.mark.parametrize("gaps", [False, True])
def test_clusters_and_strata_are_drawn_whole(gaps: bool) -> None:
    """Every replicate has as many clusters as the sample, and each stratum keeps its number of them."""
    seen = []

    def keep(weights: np.ndarray) -> np.ndarray:
        seen.append(weights)
        return weights[:, :1]

    cluster = np.arange(N) // 5
    strata = (cluster >= 4).astype(int)
    codes = {"g": cluster * 3 if gaps else cluster, "s": strata * 2 if gaps else strata}
    estimate = Estimate(("a",), np.ones(1), None)
    found = covariance(estimate, Bootstrap(reps=40, cluster="g", strata="s", seed=1), groups=codes, refit=keep, n=N)
    weights = np.vstack(seen)
    assert weights.shape == (40, N)
    by_cluster = weights.reshape(40, 12, 5)
    assert (by_cluster == by_cluster[:, :, :1]).all()
    assert (by_cluster[:, :4, 0].sum(axis=1) == 4).all()
    assert (by_cluster[:, 4:, 0].sum(axis=1) == 8).all()
    assert "clusters of g within strata of s" in found.label


def test_strata_within_clusters_are_an_error() -> None:
    with pytest.raises(OptionError, match="constant within"):
        covariance(
            linear(),
            Bootstrap(reps=5, cluster="g", strata="s", seed=1),
            groups={"g": np.arange(N) // 5, "s": np.arange(N) % 2},
            refit=lambda w: w[:, :3],
        )


def test_an_estimate_without_influence_can_be_bootstrapped() -> None:
    for evidence in (None, Fixed(np.eye(1))):
        estimate = Estimate(("a",), np.ones(1), evidence)
        found = covariance(estimate, Bootstrap(reps=50, seed=1), refit=lambda w: w[:, :1], n=N)
        assert found.matrix.shape == (1, 1)
        with pytest.raises(CapabilityError, match="number of rows"):
            covariance(estimate, Bootstrap(reps=50, seed=1), refit=lambda w: w[:, :1])
