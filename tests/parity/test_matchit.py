"""MatchIt 4.7.2 on lalonde: every stored matching but optimal and full, pair for pair, through ``cf.design``.

Each case is asked for as R was asked; then its pairs, subclasses, weights, distance, tables, prints and effects
are R's.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from tests.parity.reference import close, covariance_scale, data, matrix, table, values
from tests.parity.test_matched_design import CASES, FULL, PS, codes, pairs, tables, without_notes

SOME = ("age", "educ", "race", "re74")


@dataclass(frozen=True)
class Asked:
    """One question: the covariates and the options."""

    covariates: tuple[str, ...] = FULL
    method: str = "nearest"
    weights: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def design(self):
        frame = data("lalonde.csv").assign(sw=lambda d: d["educ"] + 1)
        weights = f" + weights({self.weights})" if self.weights else ""
        formula = f"~ treat(treat) + adjust({' + '.join(self.covariates)}){weights}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CausalFormulaWarning)
            return cf.design(formula, frame, self.method, **self.options)


def nearest(*covariates, weights="", **options):
    return Asked(covariates or FULL, weights=weights, options=options)


def strata(method, *covariates, **options):
    return Asked(covariates, method, options=options)


LINKS = ("linear.logit", "probit", "linear.probit", "cloglog")
METRICS = ("mahalanobis", "robust_mahalanobis", "scaled_euclidean", "euclidean")
NAMED_BINS = {
    "cutpoints": {"age": [20, 25, 30, 40], "educ": "q4", "re74": 3},
    "grouping": {"race": [["white", "hispan"], "black"]},
}
QUESTIONS = {
    "nearest_default": nearest(),
    "nearest_replace": nearest(replace=True),
    "ratio2": nearest(ratio=2),
    "ratio2.replace_ratio3": nearest(ratio=3, replace=True),
    "variable_ratio": nearest(ratio=2, min_controls=1, max_controls=4),
    "caliper.std_0.1": nearest(caliper=0.1),
    "caliper.raw_0.05": nearest(caliper=0.05, std_caliper=False),
    "caliper.std_0.2_replace": nearest(caliper=0.2, replace=True),
    "caliper.named_age": nearest(caliper={"distance": 0.25, "age": 3}, std_caliper={"age": False}),
    **{f"m_order.{order}": nearest(m_order=order) for order in ("largest", "smallest", "data", "closest", "farthest")},
    "estimands.ATC_replace": nearest(estimand="ATC", replace=True),
    "estimands.ATC_norep": nearest(estimand="ATC"),
    "exact.exact_race": nearest(exact="~ race"),
    "exact.exact_race_married_ratio2": nearest(exact="~ race + married", ratio=2),
    "exact.antiexact": nearest(antiexact="~ married"),
    "exact.discard_both": nearest(discard="both"),
    "exact.discard_control_reest": nearest(discard="control", reestimate=True),
    "exact.s_weights_educ_plus_1": nearest(weights="sw"),
    "exact.method_exact": strata("exact", "race", "married", "educ"),
    "exact.method_exact_ATE": strata("exact", "race", "married", "educ", estimand="ATE"),
    **{f"distances.{name}": nearest(*SOME, distance=name) for name in METRICS},
    **{f"distances.glm_{link}": nearest(link=link) for link in LINKS},
    "distances.mahvars": nearest(mahvars="~ age + educ", caliper=0.2),
    "distances.mahalanobis_num_only": nearest("age", "educ", "re74", "re75", distance="mahalanobis"),
    "distances.user_distance": nearest(distance="age"),
    "cem.default": strata("cem", *SOME),
    "cem.cut5": strata("cem", *SOME, cutpoints=5),
    "cem.named": strata("cem", *SOME, **NAMED_BINS),
    "cem.cut0": strata("cem", *SOME, cutpoints={"age": 0, "re74": 4}),
    "cem.k2k": strata("cem", *SOME, k2k=True),
    "cem.ATE": strata("cem", *SOME, estimand="ATE"),
    "cem.scott": strata("cem", *SOME, cutpoints="scott"),
    "cem.fd": strata("cem", *SOME, cutpoints={"age": "fd", "educ": "sturges"}),
}


def test_no_stored_case_is_left_out():
    assert set(QUESTIONS) == {name for name in CASES if not name.startswith("full_optimal")}


@pytest.fixture(scope="module")
def made():
    """Designs by name, each made once."""
    found: dict[str, Any] = {}

    def design(name):
        if name not in found:
            found[name] = QUESTIONS[name].design()
        return found[name]

    return design


every = pytest.mark.parametrize("name", QUESTIONS)


@every
def test_the_same_pairs(made, name):
    """R: m$match.matrix, m$subclass, m$weights, m$distance.

    Which of several matches of one unit is named first is not compared: with replacement those as near as each other
    have no order.
    """
    design, stored = made(name), CASES[name]
    ours, theirs = design.design_weights.pairs, pairs(stored)
    assert (ours is None) == (theirs is None)
    if theirs is not None:
        np.testing.assert_array_equal(ours[:, 0], theirs[:, 0])
        width = max(ours.shape[1], theirs.shape[1]) - 1
        np.testing.assert_array_equal(matched(ours, width), matched(theirs, width))
    numbers, wanted = design.design_weights.subclass, codes(stored["subclass"])
    assert (numbers is None) == (wanted is None)
    if wanted is not None:
        assert numbers.tolist() == wanted.tolist()
    close(design.weights, stored["weights"], 1e-10, 1.0, "weights")
    close(design.design_weights.discarded.sum() if stored["discarded_count"] else 0, stored["discarded_count"])
    assert (design.distance is None) == (stored["distance"] is None)
    if stored["distance"] is not None:
        # R's glm stops early, up to 2e-4 away where the link is not canonical: scores of every link are compared with
        # R's converged ones below
        close(design.distance, stored["distance"], 1e-4 if "link" in QUESTIONS[name].options else PS, 1.0, "distance")


@pytest.mark.parametrize("link", ["logit", "probit", "cloglog", "cauchit"])
@pytest.mark.filterwarnings("ignore")
def test_scores_of_every_link(link):
    """R: fitted(glm(Drug ~ I.H, binomial(link), heart, control = list(epsilon = 1e-15, maxit = 200)))."""
    design = cf.design("~ treat(Drug) + adjust(I.H)", cf.datasets.load("heart"), "nearest", link=link)
    close(np.asarray(design.distance)[::20], values("r_links")[link], 1e-8, 1.0, "distance")


def matched(found, width):
    """Matches of each focal unit in order of rows, -1 for none."""
    out = np.full((len(found), width), -1)
    out[:, : found.shape[1] - 1] = found[:, 1:]
    return np.sort(out, axis=1)


@every
def test_tables(made, name):
    """R: summary(m)$sum.all, $sum.matched, $nn; the row of the distance as exact as R's glm."""
    summary, stored = made(name).summary(), CASES[name]
    close(summary.nn, stored["nn"], what="nn")
    close(made(name).nn, stored["nn"], what="nn")
    assert len(made(name).matched_data()) == stored["nrow_match_data"]
    for ours, theirs in ((summary.sum_all, stored["sum_all"]), (summary.sum_matched, stored["sum_matched"])):
        theirs = matrix(theirs)
        theirs = theirs[[c for c in theirs if c in ours or not theirs[c].isna().all()]]
        assert list(ours.index) == list(theirs.index)
        assert list(ours.columns) == list(theirs.columns)
        scored = [row for row in theirs.index if row == "distance"]
        others = [row for row in theirs.index if row != "distance"]
        for column in theirs:
            close(ours.loc[others, column], theirs.loc[others, column], 1e-8, 1.0, column)
            close(ours.loc[scored, column], theirs.loc[scored, column], 1e-5, 1.0, column)


@every
def test_prints(made, name):
    """R: print(m) from its method on, and print(summary(m)) from its first table on."""
    design, stored = made(name), CASES[name]
    assert without_notes(design.summary()) == tables(stored["printed_summary"], stored["sum_matched"])
    text, theirs = without_notes(design), stored["printed"].rstrip("\n")
    assert text[text.index(" - method") :] == theirs[theirs.index(" - method") :]


@every
def test_effects(made, name):
    """R: lm(re78 ~ treat, weights = weights), vcovHC(HC3), vcovCL(~subclass), coeftest with its df."""
    fit, stored = made(name).fit("re78 ~ treat(treat)"), CASES[name]
    model = stored["att_lm"]
    requests = {"HC3": "HC3", "HC1": "HC1", "CL_subclass_HC1": "~subclass"}
    for label, vcov in requests.items():
        if label not in model:
            assert fit.fit.design.subclass is None
            continue
        found, V = fit.with_vcov(vcov), matrix(model[label])
        se = np.sqrt(V.iloc[1, 1])
        close(found.estimate, model["coef"]["treat"], 1e-8, se, "estimate")
        close(found.std_error, se, 1e-8, what=label)
        if vcov != "~subclass":
            close(fit.outcome.with_vcov(vcov).cov_params(), V, 1e-8, covariance_scale(V), label)
        assert found.tidy()["df"][0] == stored["nrow_match_data"] - 2
    if "coeftest_cl" in model:
        row = matrix(model["coeftest_cl"]).loc["treat"]
        tidy = fit.with_vcov("~subclass").tidy().iloc[0]
        close(tidy["statistic"], row["t value"], 1e-8, 1.0, "t")
        close(np.log(tidy["p.value"]), np.log(row["Pr(>|t|)"]), 1e-8, 1 + row["t value"] ** 2, "log p")


@every
def test_the_default_covariance_is_that_of_the_documentation(made, name):
    """Pairs without replacement and k2k: clusters by subclass; with replacement and strata: HC3."""
    fit, stored = made(name).fit("re78 ~ treat(treat)"), CASES[name]
    paired = stored["subclass"] is not None and "match_matrix_rows" in stored
    assert fit.glance()["vcov"][0] == ("~subclass" if paired else "HC3")


def test_g_computation():
    """R: avg_comparisons(lm(re78 ~ treat * (...), weights), variables = "treat", vcov = ~subclass, newdata = ...)."""
    terms = " + ".join(FULL)
    formula = f"re78 ~ treat(treat) + adjust({terms}) + outcome({terms})"
    fit = cf.fit(formula, data("lalonde.csv"), "nearest", interact=True, vcov=cf.Cluster("subclass", df=np.inf))
    for key in ("g_comp", "g_comp_wts"):
        row = table(CASES["nearest_default"][key]).iloc[0]
        # marginaleffects differentiates numerically
        close(fit.estimate, row["estimate"], 1e-8, row["std.error"], "estimate")
        close(fit.std_error, row["std.error"], 1e-6, what="std.error")
        close(fit.confint().to_numpy()[0], [row["conf.low"], row["conf.high"]], 1e-6, row["std.error"], "limits")


def test_match_data(made):
    """R: head(match.data(m), 8)."""
    stored = table(CASES["nearest_default"]["match_data_head"])
    found = made("nearest_default").matched_data().drop(columns="sw").head(8)
    assert set(found.columns) == set(stored.columns)
    for column in stored:
        if column in ("id", "race", "subclass"):
            assert found[column].astype(str).tolist() == stored[column].tolist()
        else:
            close(found[column], stored[column], PS if column == "distance" else 1e-12, what=column)


def test_get_matches(made):
    """R: get_matches(m, id = "unit.id"), and lm(re78 ~ treat, weights) on it with vcovCL(~subclass + unit.id)."""
    stored = CASES["nearest_replace"]
    found = made("nearest_replace").pair_data(id="unit.id")
    assert len(found) == stored["get_matches_nrow"]
    head = stored["get_matches_head"]["columns"]
    assert found["id"].tolist()[:10] == head["id"]
    assert found["subclass"].astype(str).tolist()[:10] == head["subclass"]
    for column in ("weights", "treat", "age"):
        close(found[column][:10], head[column], what=column)
    model = cf.lm("re78 ~ treat", found, weights="weights")
    close(model.params, stored["get_matches_lm"]["coef"], what="coefficients")
    V = matrix(stored["get_matches_lm"]["CL_twoway"])
    twoway = model.with_vcov("~ subclass + `unit.id`").cov_params()
    close(twoway, V, 1e-8, covariance_scale(V), "two-way")


def test_bal_tab(made):
    """R: bal.tab(m, un = TRUE, stats = c("m", "v", "ks"), binary = "std")."""
    stored = table(CASES["nearest_default"]["bal_tab"])
    balance = made("nearest_default").balance(("smd", "variance_ratio", "ks"), "std", threshold=None).to_frame()
    assert list(balance.index) == list(stored.index)
    for column in stored:
        if column == "Type":
            assert balance[column].tolist() == stored[column].tolist()
            continue
        scored = stored.index == "distance"
        close(balance.loc[~scored, column], stored.loc[~scored, column], 1e-8, 1.0, column)
        close(balance.loc[scored, column], stored.loc[scored, column], PS, 1.0, column)


def test_interactions_and_raw_differences(made):
    """R: summary(m, interactions = TRUE)$sum.matched[1:12, ], summary(m, standardize = FALSE)$sum.matched."""
    for options, key in (
        ({"interactions": True}, "summary_interactions"),
        ({"standardize": False}, "summary_std_false"),
    ):
        stored = matrix(CASES["nearest_default"][key])
        found = made("nearest_default").summary(**options).sum_matched.iloc[: len(stored)]
        assert list(found.index) == list(stored.index)
        assert list(found.columns) == list(stored.columns)
        for column in stored:
            close(found[column].iloc[1:], stored[column].iloc[1:], 1e-8, 1.0, column)
            close(found[column].iloc[:1], stored[column].iloc[:1], PS, 1.0, column)


@pytest.mark.parametrize("metric", METRICS)
def test_distances(metric):
    """R: mahalanobis_dist(...)[1:5, 1:8] and its like: treated and control units in the order of the data."""
    from causalformula.backends.matching.conditions import covariate_values, metric_columns
    from causalformula.numerics.matching.metrics import coordinates

    frame = nearest(*SOME, distance=metric).design().call.frame
    treated = frame.the_treatment.codes == 1
    X, _ = metric_columns(covariate_values(frame))
    Z = coordinates(metric, X, treated, np.ones(frame.n, dtype=bool))
    F, C = Z[treated][:5], Z[~treated][:8]
    apart = np.sqrt(((F[:, None] - C[None]) ** 2).sum(axis=2))
    close(apart, values("matchit_distances")["dist_matrix_5x8"][metric], 1e-8, 1.0, metric)


HEART = "Severity ~ treat(Drug) + adjust(I.H)"


@pytest.mark.parametrize("distance", ["glm", "sklearn"])
def test_the_matched_study_of_heart(distance):
    """1:1 with replacement: a penalised score picks the same matches as the unpenalised one.

    The values are those of the study as it was published, a nearest neighbour search of scikit-learn's on the score of
    its LogisticRegression(), and of Match(..., distance.tolerance = 0) for the standard error.
    """
    if distance == "sklearn":
        distance = pytest.importorskip("sklearn.linear_model").LogisticRegression()
    heart = cf.datasets.load("heart")
    fit = cf.fit(HEART, heart, "nearest", replace=True, distance=distance)
    assert round(fit.estimate, 4) == -10.1586
    assert fit.glance()["vcov"][0] == "HC3"
    assert round(fit.with_vcov("AI").std_error, 4) == 0.5499
    tied = cf.fit(HEART, heart, "nearest", replace=True, ties=True, tolerance=0, distance=distance)
    assert (round(tied.estimate, 4), round(tied.std_error, 4)) == (-10.1586, 0.5499)
    assert tied.glance()["vcov"][0] == "AI"
    assert tied.outcome.covariance.label == "HC3"
