"""Laws of estimators, over every registered method: a new one is covered by being registered.

A record lists each law that its method does not obey, with the reason; those show as skips.
"""

from __future__ import annotations

import pickle
import warnings
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, reject, settings

import causalformula as cf
from causalformula.backends import refits, registry
from causalformula.backends.fit import Query
from causalformula.errors import CapabilityError, CausalFormulaWarning, ConvergenceError
from causalformula.inference.evidence import Influence
from causalformula.inference.refit import FEWEST
from tests.laws import own_method
from tests.laws.strategies import (
    LAWS,
    Question,
    asked,
    briefly,
    exemption,
    posed,
    questions,
    records,
    regressed,
    seeds,
    simulate,
)

few = settings(max_examples=4)
EVERY = [case for record in records() for case in posed(record)]


@pytest.fixture(autouse=True)
def quiet():
    """Small simulated samples may warn (nearly separated, thin arms); numbers are what is tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        yield


def theta(fit):
    return fit.answer.estimate.theta


def size(fit):
    """Standard errors, the scale on which estimates are compared."""
    return np.maximum(fit.covariance.std_error, 1e-12)


def solved(question, data, **options):
    """The fit; a sample without a solution (separation, no balancing weights) says nothing about the laws."""
    try:
        fit = question.fit(data, **options)
    except ConvergenceError:
        reject()
    assume(all(behind.model.converged for behind in fit.fit.models.values()))
    return fit


def same(a, b, rtol, scale, what):
    np.testing.assert_array_less(
        np.abs(np.asarray(a) - np.asarray(b)), rtol * np.maximum(np.abs(b), scale) + 1e-300, what
    )


def test_exemptions_are_of_known_laws_with_a_reason():
    for record in records():
        for law, reason in record.exempt.items():
            assert law in LAWS, f"{record.name}: no law {law!r}"
            assert len(reason) > 10


# -- influence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", questions("influence"))
@few
@given(seed=seeds)
def test_influence_has_mean_zero(question, seed):
    fit = solved(question, simulate(seed))
    psi = fit.influence()
    assert psi.shape == (fit.call.frame.n, len(fit.answer.labels))
    np.testing.assert_allclose(psi.mean(axis=0), 0, atol=1e-9 * np.abs(psi).max())


def derivative(fit, row, step, query):
    """``n d theta / d w_row`` by central differences of reweighted refits, with Richardson's extrapolation."""
    call = fit.call

    def at(h):
        w = np.ones(call.frame.n)
        w[row] += h
        return registry.run(call.frame.reweight(w), call.options).ask(query).estimate.theta

    def central(h):
        return (at(h) - at(-h)) / (2 * h)

    return call.frame.n * (4 * central(step / 2) - central(step)) / 3


@pytest.mark.parametrize("question", questions("influence"))
@settings(max_examples=2)
@given(seed=seeds)
def test_influence_is_the_derivative_in_the_weights(question, seed):
    fit = solved(question, simulate(seed))
    psi = fit.influence()
    scale = np.abs(psi).max(axis=0)
    for row in (0, 7, 31, 59):
        same(psi[row], derivative(fit, row, 0.005, Query()), 1e-6, scale, f"row {row}")


@pytest.mark.parametrize("question", questions("influence", only=lambda q: registry.find(q.record.name).treatments))
def test_influence_of_means_and_groups(question):
    fit = question.fit(simulate(5))
    if "means" not in dir(fit):
        pytest.skip("the method has effects, and no mean potential outcomes")
    asked_of = [fit.means()]
    if question.modify:
        asked_of.append(fit.by("z"))
    for answer in asked_of:
        psi = answer.influence()
        scale = np.abs(psi).max(axis=0)
        for row in (3, 40):
            same(psi[row], derivative(fit, row, 0.005, answer.query), 1e-6, scale, f"row {row}")


# sandwiches of surplus instruments hold the projection fixed, and the weight matrix, as is usual
CANONICAL = questions("stacking", only=lambda q: q.family != "binomial(link = 'probit')" and not q.surplus)


@pytest.mark.parametrize("question", briefly(CANONICAL, 2))
def test_unconditional_is_the_stacked_sandwich(question):
    """HC0 with `unconditional=True` is the sum of squares of the brute-force influences (canonical links).

    A method of several stages has had its influences compared with brute force above.
    """
    fit = question.fit(simulate(11), vcov=cf.HC("HC0", unconditional=True, weights="estimated"))
    staged = "propensity" in question.record.roles
    brute = fit.influence() if staged else np.array([derivative(fit, k, 0.005, Query()) for k in range(fit.nobs)])
    expected = brute.T @ brute / fit.nobs**2
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    same(fit.covariance.matrix, expected, 1e-6, scale, "stacked")


# -- weights and rows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", questions("integer_weights", only=lambda q: q.weights is None and not q.unit))
@few
@given(seed=seeds)
def test_integer_weights_are_duplicated_rows(question, seed):
    data = simulate(seed)
    weighted = solved(replace(question, weights="f"), data, vcov=cf.HC("HC0", weights="estimated"))
    repeated = data.loc[data.index.repeat(data["f"])].reset_index(drop=True)
    copied = question.fit(repeated, vcov="CR0 ~ id")
    same(theta(weighted), theta(copied), 1e-8, size(copied), "estimates")
    v = copied.covariance.matrix
    same(
        weighted.covariance.matrix, v, 1e-7, np.sqrt(np.outer(np.diag(v), np.diag(v))), "HC0 is CR0 by the original row"
    )


@pytest.mark.parametrize("question", questions("integer_weights", only=lambda q: q.weights is None))
def test_a_weight_of_zero_is_a_dropped_row(question):
    data = simulate(3)
    data["f"] = np.where(np.arange(len(data)) % 10 == 9, 0, 1)
    weighted = replace(question, weights="f").fit(data, vcov="HC1")
    dropped = question.fit(data[data["f"] > 0], vcov="HC1")
    same(theta(weighted), theta(dropped), 1e-9, size(dropped), "estimates")
    same(weighted.covariance.std_error, dropped.covariance.std_error, 1e-7, 0, "standard errors")
    np.testing.assert_array_equal(weighted.covariance.df, dropped.covariance.df)


@pytest.mark.parametrize("question", questions("row_order"))
@few
@given(seed=seeds)
def test_row_order_does_not_matter(question, seed):
    data = simulate(seed)
    shuffled = data.sample(frac=1, random_state=seed % 1000)
    a, b = solved(question, data), question.fit(shuffled)
    same(theta(a), theta(b), 1e-8, size(b), "estimates")
    same(a.covariance.std_error, b.covariance.std_error, 1e-7, 0, "standard errors")
    if isinstance(a.answer.estimate.evidence, Influence):
        psi = pd.DataFrame(a.influence(), index=data.index).loc[shuffled.index].to_numpy()
        np.testing.assert_allclose(psi, b.influence(), rtol=1e-6, atol=1e-8 * np.abs(psi).max())


@pytest.mark.parametrize("question", questions("row_order"))
@few
@given(seed=seeds)
def test_row_order_does_not_matter_among_ties(question, seed):
    """Scores, weights, dates and outcomes that many rows share: none of them is told apart by its place."""
    data = simulate(seed)
    data = data.assign(x=data["x"].round(), q=data["q"].round(), y=data["y"].round(), w=data["w"].round(1))
    shuffled = data.sample(frac=1, random_state=seed % 1000)
    try:
        a = solved(question, data)
    except cf.CausalFormulaError as error:  # too few values for what is asked, in any order of the rows
        with pytest.raises(type(error)):
            question.fit(shuffled)
        return
    b = question.fit(shuffled)
    same(theta(a), theta(b), 1e-8, size(b), "estimates")
    same(a.covariance.std_error, b.covariance.std_error, 1e-7, 0, "standard errors")


TIED = [
    ("ipw", {"trim": 5}), ("ipw", {"trim": 0.9, "trim_lower": True}), ("ipw", {"discard": "both"}),
    ("ipw", {"discard": "treated", "estimand": "ATT"}), ("ipw", {"estimand": "ATOS"}), ("ipw", {"estimand": "ATM"}),
    ("ipw", {"stabilize": True, "trim": 0.95}), ("subclass", {"min_n": 2}), ("subclass", {"min_n": 0}),
    ("subclass", {"discard": "both", "min_n": 3}), ("subclass", {"estimator": "stratified", "subclass": 8}),
    ("subclass", {"estimand": "ATC", "subclass": [0.1, 0.3, 0.9]}), ("subclass", {"estimand": "ATE", "distance": "x"}),
]  # fmt: skip


@pytest.mark.parametrize("method, options", TIED, ids=str)
@pytest.mark.parametrize("weights", ["", " + weights(w)"])
@settings(max_examples=15)
@given(seed=seeds)
def test_options_do_not_look_at_the_order_of_ties(method, options, weights, seed):
    data = simulate(seed)
    data = data.assign(x=data["x"].round(), w=data["w"].round(1))
    results = []
    for frame in (data, data.sample(frac=1, random_state=seed % 1000), data.iloc[::-1]):
        try:
            fit = cf.fit(f"y ~ treat(a) + adjust(x){weights}", frame, method, **options)
        except cf.CausalFormulaError as error:
            results.append(type(error))
            continue
        tables = [fit.design.balance().to_frame(), fit.design.overlap().to_frame()]
        results.append((fit.estimate, fit.std_error, *(table.select_dtypes("number") for table in tables)))
    first, *others = results
    for other in others:
        if isinstance(first, type):
            assert other is first
            continue
        np.testing.assert_allclose(other[:2], first[:2], rtol=1e-8)
        for mine, theirs in zip(other[2:], first[2:], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-9)


# -- transformations -----------------------------------------------------------------------------------------------


def identity(question: Question) -> bool:
    options = dict(question.options)
    # weights that do not sum to one carry the outcome's origin along
    normalized = options.get("normalized", True)
    return question.family == "gaussian" and options.get("measure", "difference") == "difference" and normalized


@pytest.mark.parametrize("question", questions("affine", only=identity))
@few
@given(seed=seeds)
def test_an_affine_outcome_scales_the_effect(question, seed):
    data = simulate(seed)
    a, b = solved(question, data), question.fit(data.assign(y=100 - 3 * data["y"]))
    same(theta(b), -3 * theta(a), 1e-8, size(b), "estimates")
    same(size(b), 3 * size(a), 1e-7, 0, "standard errors")


SWAPPED = {"ATT": "ATC", "ATC": "ATT"}


def symmetric(question: Question) -> bool:
    return question.kind.name == "BINARY" and dict(question.options).get("measure", "difference") in (
        "difference", "log_ratio", "log_odds_ratio", "nnt",
    )  # fmt: skip


@pytest.mark.parametrize("question", questions("label_swap", only=symmetric))
@few
@given(seed=seeds)
def test_swapping_labels_flips_the_sign(question, seed):
    data = simulate(seed)
    options = dict(question.options)
    options["estimand"] = SWAPPED.get(question.estimand, question.estimand)
    a, b = solved(question, data), question.fit(data.assign(a=1 - data["a"]), **options)
    same(theta(b), -theta(a), 1e-7, size(a), "estimates")
    same(size(b), size(a), 1e-6, 0, "standard errors")


PAIRS = {"CR0": "HC0", "CR1S": "HC1", "CR2": "HC2", "CR3": "HC3"}


@pytest.mark.parametrize("question", questions("singleton_clusters"))
def test_singleton_clusters_are_rows(question):
    fit = question.fit(simulate(17))
    compared = 0
    for cluster, robust in PAIRS.items():
        if cluster == "CR2" and (question.weights or np.ptp(fit.design.weights) > 0):
            continue  # its working model is equal variances, for which HC2's factor is right only with equal weights
        rows, grouped = (attempt(lambda v=v: fit.with_vcov(v)) for v in (robust, f"{cluster} ~ id"))
        if isinstance(rows, CapabilityError) or isinstance(grouped, CapabilityError):
            continue
        # leverage has no meaning after estimated weights, whose HC0 and HC1 hold them as given
        if rows.covariance.label != robust:
            grouped = fit.with_vcov(cf.Cluster("id", type=cluster, weights="fixed"))
        v = rows.covariance.matrix
        same(grouped.covariance.matrix, v, 1e-9, np.sqrt(np.outer(np.diag(v), np.diag(v))), f"{cluster} = {robust}")
        compared += 1
    assert compared >= 2


def attempt(ask):
    """What was asked for, or the refusal."""
    try:
        return ask()
    except CapabilityError as error:
        return error


# -- purity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", EVERY)
def test_inputs_are_not_changed(question):
    data = simulate(2)
    data.index = [f"r{i}" for i in range(len(data))]
    before = pickle.dumps(data)
    for array in data.columns:
        if data[array].to_numpy().flags.writeable:
            data[array].to_numpy().setflags(write=False)
    fit = question.fit(data)
    for reading in (
        fit.tidy,
        fit.glance,
        fit.augment,
        lambda: str(fit),
        lambda: str(fit.summary()),
    ):
        reading()
    if "means" in dir(fit):
        regressed(fit).means()
    pd.testing.assert_frame_equal(pickle.loads(before), data)


@pytest.mark.parametrize("question", EVERY)
def test_results_are_frozen_and_pickle(question):
    fit = question.fit(simulate(4))
    with pytest.raises(FrozenInstanceError):
        fit.answer = None
    with pytest.raises(FrozenInstanceError):
        fit.covariance.df = None
    back = pickle.loads(pickle.dumps(fit))
    pd.testing.assert_frame_equal(back.tidy(), fit.tidy())
    assert str(back) == str(fit)
    if "means" in dir(fit):
        pd.testing.assert_frame_equal(regressed(back).means().tidy(), regressed(fit).means().tidy())
    pd.testing.assert_frame_equal(back.with_vcov("HC1").tidy(), fit.with_vcov("HC1").tidy())


# -- one covariance, however it is asked ---------------------------------------------------------------------------

REQUESTS = [
    "HC0",
    "HC1",
    "HC3",
    "~g",
    "CR0 ~ g",
    "~g + s",
    "asympt",
    cf.HC("HC0", unconditional=True),
    cf.HC("HC2", df=7),
]


@pytest.mark.parametrize("question", EVERY)
def test_with_vcov_is_fit_with_that_vcov(question):
    data = simulate(23)
    fit = question.fit(data)
    for vcov in REQUESTS:
        direct, later = (
            attempt(ask) for ask in (lambda v=vcov: question.fit(data, vcov=v), lambda v=vcov: fit.with_vcov(v))
        )
        if isinstance(direct, CapabilityError):
            assert str(direct) == str(later)
            continue
        pd.testing.assert_frame_equal(direct.tidy(), later.tidy(), check_exact=True)
        assert str(direct) == str(later)


# -- bootstrap -----------------------------------------------------------------------------------------------------


def drawn(fit):
    return fit.covariance.draws


def redrawn(question):
    """Questions that a bootstrap answers in every replicate."""
    return identity(question) and not (question.modify or question.options or question.often_without_solution)


@pytest.mark.parametrize("question", briefly(questions("same_seed", "bootstrap", only=redrawn), 2))
def test_the_same_seed_gives_the_same_bytes(question):
    data = simulate(8, n=240)
    once, again = (question.fit(data, vcov=cf.Bootstrap(reps=6, seed=3)) for _ in range(2))
    other = question.fit(data, vcov=cf.Bootstrap(reps=6, seed=4))
    assert drawn(once).tobytes() == drawn(again).tobytes()
    assert drawn(once).tobytes() != drawn(other).tobytes()
    # the first draws of a longer run are those of the shorter one
    longer = question.fit(data, vcov=cf.Bootstrap(reps=9, seed=3))
    np.testing.assert_allclose(drawn(longer)[:6], drawn(once), rtol=1e-9)


# what refits its learners in every replicate; dml stands for these
LEARNERS = ("augmented", "s_learner", "t_learner", "x_learner", "r_learner", "dr_learner")


@pytest.mark.parametrize(
    "record",
    [pytest.param(r, id=r.name, marks=[pytest.mark.slow] if r.name in LEARNERS else []) for r in records()],
)
def test_the_same_seed_at_any_n_jobs(record):
    if reason := exemption(record, "same_seed", "bootstrap"):
        pytest.skip(reason)
    (question, *_) = [*asked(record), None]
    if question is None:
        pytest.skip("brings its own data")
    data = simulate(8, n=240)
    draws = {  # of two chunks
        n_jobs: drawn(question.fit(data, vcov=cf.Bootstrap(reps=FEWEST + 5, seed=3, n_jobs=n_jobs))).tobytes()
        for n_jobs in (1, 2)
    }
    assert draws[1] == draws[2]


@pytest.mark.parametrize("record", [r for r in records() if exemption(r, "bootstrap")], ids=lambda r: r.name)
def test_a_bootstrap_without_proof_is_refused(record):
    for question in asked(record):
        with pytest.raises(CapabilityError, match=r"no proof|not valid"):
            question.fit(simulate(8), vcov=cf.Bootstrap(reps=20, seed=1))


BATCHED = [r for r in records() if r.batch is not None]


@pytest.mark.parametrize("question", [case for r in BATCHED for case in posed(r, lambda q: q.family == "gaussian")])
@pytest.mark.parametrize("what", ["effects", "means"])
def test_batches_are_the_loop(question, what, monkeypatch):
    fit = question.fit(simulate(9))
    weights = np.random.default_rng(1).poisson(1.0, (12, fit.nobs)).astype(float)
    given_ = {"frame": fit.call.frame, "options": fit.call.options, "query": Query(what)}
    batch = refits.replicates(weights, **given_)
    monkeypatch.setitem(registry.RECORDS, question.record.name, replace(question.record, batch=None))
    loop = refits.replicates(weights, **given_)
    good = ~np.isnan(loop).any(axis=1)
    assert good.sum() >= (5 if question.often_without_solution else 10)
    scale = size(fit) if what == "effects" else np.abs(loop[good]).max()
    same(batch[good], loop[good], 1e-8, scale, "replicates")


@pytest.mark.parametrize("record", records(), ids=lambda r: r.name)
def test_clusters_are_drawn_whole(record):
    if reason := exemption(record, "bootstrap"):
        pytest.skip(reason)
    questions_ = asked(record)
    if not questions_:
        pytest.skip("brings its own data")
    fit = questions_[0].fit(simulate(8, n=240), vcov=cf.Bootstrap(reps=30, seed=3, cluster="g"))
    assert "clusters of g" in fit.covariance.label
    assert len(drawn(fit)) + (1 if fit.covariance.notes else 0) >= 29


@pytest.mark.parametrize("question", EVERY)
def test_an_averaged_score_has_no_root(question):
    """Its tests are z, and what adjusts residuals by leverage is refused rather than computed from some regression."""
    fit = question.fit(simulate(5))
    evidence = fit.answer.estimate.evidence
    if not isinstance(evidence, Influence) or evidence.root is not None:
        assert not (isinstance(evidence, Influence) and evidence.always)
        return
    for vcov in ("HC0", "HC1", "~g"):
        assert np.isinf(fit.with_vcov(vcov).covariance.df).all()
    for vcov in ("HC2", "HC3", "HC4", "HC5", "CR2 ~ g", "CR3 ~ g", "wild"):
        with pytest.raises(cf.CapabilityError):
            fit.with_vcov(vcov)


def test_the_method_of_the_page_is_short():
    lines = [line for line in own_method.code().splitlines() if line.strip()]
    assert len(lines) <= own_method.MOST_LINES
