"""What cannot be matched, and what matching leaves out: each with its reason, and what to do."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import causalformula as cf

F = "~ treat(a) + adjust(x + v + g)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    """Forty rows, fourteen of them treated; every level of g has both arms."""
    rng = np.random.default_rng(3)
    a = np.isin(np.arange(40), np.arange(0, 40, 8)) | (np.arange(40) >= 30)
    x = rng.normal(size=40) + 0.6 * a
    d = pd.DataFrame({"a": a.astype(int), "x": x, "v": rng.normal(size=40), "g": np.resize(["u", "w"], 40)})
    return d.assign(y=d["a"] + x + rng.normal(size=40), one=1.0, b=2 * d["x"] + 1, who=np.arange(40) // 2)


def message(formula, data, method="nearest", kind=cf.DataError, **options) -> str:
    with warnings.catch_warnings(), pytest.raises(cf.CausalFormulaError) as caught:
        warnings.simplefilter("ignore")
        cf.design(formula, data, method, **options)
    assert type(caught.value) is kind
    return str(caught.value)


def notes(formula, data, method="nearest", **options) -> str:
    """What the prints of the design and of the fit say, which is the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        design = cf.design(formula, data, method, **options)
        fit = cf.fit("y " + formula, data, method, **options)
    told = [line for line in str(design).splitlines() if line.startswith("Note: ")]
    assert told
    assert all(line in str(fit) for line in told if "balanced" not in line)
    return "\n".join(told)


# -- nobody ----------------------------------------------------------------------------------------------------------


def test_nobody_within_the_caliper(data):
    text = message(F, data, caliper=1e-9)
    assert text.startswith("nobody can be matched: no controls left within the caliper. Widen the caliper of distance")
    text = message(F, data, caliper={"x": 1e-9, "distance": 2}, estimand="ATC", replace=True)
    assert "no treated units within the calipers. Widen the caliper of x (here " in text
    text = message(F, data, caliper={"x": -50}, std_caliper=False)
    assert "Bring nearer to zero the caliper of x (here -50)" in text


def test_nobody_in_the_strata(data):
    text = message(F, data, exact="~ x", caliper=5)
    assert "no controls left within the caliper and in their stratum of x" in text
    assert text.endswith(" and fewer variables in exact=") or "Widen the caliper of distance" in text
    assert "that differ in one. Other variables in antiexact=" in message(F, data, antiexact="~ one")
    assert "method='cem' coarsens numbers into bins" in message(F, data, "exact")
    assert "coarsen more (fewer cutpoints=, grouping=)" in message(F, data, "cem", cutpoints=10_000)
    assert "no unit has 1 match within the calipers; widen them" in message(
        F, data, replace=True, ties=True, caliper=1e-12
    )


@pytest.mark.parametrize(
    ("method", "options", "text"),
    [
        ("exact", {}, "exact matching needs covariates to be the same in; add adjust(...)"),
        ("cem", {}, "coarsened exact matching needs covariates to coarsen; add adjust(...)"),
        ("nearest", {"distance": "mahalanobis"}, "between covariates, and there are none; add adjust(...)"),
        ("nearest", {}, "the propensity score is the same for all rows, so nothing tells them apart; add adjust(...)"),
    ],
)
def test_nothing_to_match_on(data, method, options, text):
    assert text in message("~ treat(a)", data, method, **options)


# -- distances and calipers ------------------------------------------------------------------------------------------


def test_a_distance_that_tells_nobody_apart(data):
    text = message("~ treat(a)", data, distance="one")
    assert text == "the distance one is the same for all rows, so nothing tells them apart; give another column"
    text = message(F, data, mahvars="~ one")
    assert text == "one: the same in all rows, so there is no distance to match on"


def test_a_distance_with_missing_values(data):
    """A row without it is left out as one without a covariate, and the print says so."""
    holes = data.assign(d=data["x"].where(np.arange(40) != 3))
    design = cf.design("~ treat(a)", holes, "nearest", distance="d")
    assert "(1 observation deleted due to missingness: d: 1)" in str(design)
    with pytest.raises(cf.DataError, match="d"):
        cf.design("~ treat(a)", holes, "nearest", distance="d", na_action="fail")
    assert "d is infinite in 1 row (3)" in message("~ treat(a)", holes.fillna(np.inf), distance="d")


def test_calipers_that_there_are_not(data):
    assert "no column 'nope'" in message(F, data, kind=cf.OptionError, caliper={"nope": 1})
    text = message(F, data, caliper={"g": 1})
    assert text == (
        "a caliper is the largest difference of numbers, and 'g' has levels; exact='~ g' lets partners be of one level "
        "only"
    )
    assert "leave it out of caliper=" in message(F, data, caliper={"one": 0.2})
    assert "use exact=" in message(F, data, kind=cf.OptionError, caliper=0)
    text = message(F, data, kind=cf.OptionError, caliper=0.2, distance="mahalanobis")
    assert "use mahvars= with distance='glm', or name covariates" in text
    assert "there is no caliper=" in message(F, data, kind=cf.OptionError, std_caliper=False)
    text = message(F, data, kind=cf.OptionError, caliper={"x": 1}, std_caliper={"v": False})
    assert "std_caliper= names 'v', on which there is no caliper; there are ['x']" in text


TIED = {"replace": True, "ties": True}


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"caliper": -1}, cf.OptionError, "a positive number"),
        ({"caliper": {"x": 1}}, cf.OptionError, "calipers are on what is matched on; choose from distance"),
        (
            {"caliper": {"x": 1}, "distance": "mahalanobis"},
            cf.OptionError,
            "distance='mahalanobis' has no single covariates; use distance='scaled_euclidean'",
        ),
        ({"m_order": "data"}, cf.OptionError, "m_order= has no part in matching with ties=True"),
        ({"ratio": 30}, cf.DataError, "30 matches are asked for, and the control units are 26; match fewer"),
    ],
)
def test_what_ties_do_not_have(data, options, kind, text):
    assert text in message(F, data, kind=kind, **TIED, **options)


def test_columns_of_a_distance_over_the_whole_sample(data):
    """Those without spread or inverse are named; a factor, whose dummies imply each other, is no such column."""
    formula = "~ treat(a) + adjust(x + b + g + one)"
    text = message(formula, data, distance="scaled_euclidean", **TIED)
    assert text == "one: the same in all rows, so it has no distance; leave it out"
    text = message(formula.replace(" + one", ""), data, distance="mahalanobis_all", **TIED)
    assert text.startswith("b: a combination of the covariates before")
    assert "distance='mahalanobis'" in text
    whole = cf.design(F, data, "nearest", distance="mahalanobis_all", **TIED)
    dummy = cf.design("~ treat(a) + adjust(x + v + d)", data.assign(d=data["g"] == "w"), **{
        "method": "nearest", "distance": "mahalanobis_all", **TIED
    })  # fmt: skip
    np.testing.assert_allclose(whole.weights, dummy.weights)


# -- what is left out is said ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"mahvars": "~ x + b + one"}, {"mahvars": "~ x + b + one + g", "caliper": 3}])
def test_columns_that_others_imply(data, options):
    told = notes("~ treat(a) + adjust(x + v)", data, **options)
    assert "b, one add nothing to the Mahalanobis distance" in told
    assert " g " not in told


def test_columns_that_others_imply_in_other_distances(data):
    formula = "~ treat(a) + adjust(x + b + g)"
    assert "b adds nothing to the Mahalanobis distance" in notes(formula, data, distance="mahalanobis")
    assert "b adds nothing to the Robust Mahalanobis distance" in notes(formula, data, distance="robust_mahalanobis")
    told = notes(formula, data, "cem", cutpoints=3, k2k=True)
    assert "b adds nothing to the Mahalanobis distance" in told
    # each covariate counts by itself
    assert "adds nothing" not in str(cf.design(formula, data, "nearest", distance="scaled_euclidean"))


def test_a_covariate_that_is_the_arm(data):
    """It has no spread within the arms, so that its inverse covariance would have no bounds."""
    told = notes("~ treat(a) + adjust(x + arm)", data.assign(arm=10.0 * data["a"]), distance="mahalanobis")
    assert "arm adds nothing to the Mahalanobis distance" in told
    assert "no spread within the arms" in told


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("nearest", {"distance": "mahalanobis"}),
        ("nearest", {"mahvars": "~ arm", "distance": "v"}),
        ("nearest", {"distance": "mahalanobis", **TIED}),
        ("cem", {"cutpoints": 1, "k2k": True}),
    ],
    ids=str,
)
def test_nothing_but_the_arm(data, method, options):
    text = message("~ treat(a) + adjust(arm)", data.assign(arm=0.1 + 0.7 * data["a"]), method, **options)
    assert text.startswith("arm: the same in all rows of an arm, so there is no Mahalanobis distance to match on; use ")


def test_fewer_controls_than_asked_for(data):
    """26 controls are two short of 2 for each of 14."""
    told = notes(F, data, ratio=2)
    assert (
        "2 rows have fewer matches than ratio=2; with a smaller ratio= or replace=True, more of them have as many as"
        in told
    )
    told = notes(F, data, ratio=30, replace=True)
    assert "14 rows have fewer matches than ratio=30; with a smaller ratio=, more of them" in told
    text = message(F, data, kind=cf.OptionError, ratio=2, max_controls=3)
    assert "ratio=2 asks for 28 matches in all, of 26 units; at most ratio=1.86, or with replace=True" in text
    again = message(F, data, kind=cf.OptionError, ratio=2, max_controls=3, estimand="ATC")
    assert "match without min_controls=, max_controls=, or with replace=True" in again
    assert cf.design(F, data, "nearest", ratio=2, max_controls=3, replace=True).weights.sum() > 14


def test_more_treated_than_controls(data):
    told = notes(F, data, estimand="ATC")
    assert (
        "12 of 26 rows with a = 0 are not matched (no treated units left); the ATC is that of the 14 that are" in told
    )


def test_a_stratum_with_one_arm(data):
    alone = data.assign(s=np.where(data.index.isin([0, 8]), "only", "both"))
    told = notes(F, alone, exact="~ s")
    assert "1 stratum of s with no unit to match with: only" in told
    assert "2 of 14 rows with a = 1 are not matched (no controls left in their stratum of s)" in told
    told = notes("~ treat(a) + adjust(s)", alone, "exact")
    assert "2 of 14 rows with a = 1 are not matched (no unit of the other arm is like them)" in told
    told = notes("~ treat(a) + adjust(s)", alone, "exact", estimand="ATE")
    assert "2 of 40 rows are not matched" in told


def test_what_is_discarded(data):
    told = notes(F, data, discard="both", caliper=0.05)
    assert "discarded: propensity score outside the common support" in told
    assert "are not matched (discarded, or no controls left within the caliper)" in told


def test_few_different_matches(data):
    assert "the matches are " in notes(F, data, replace=True)
    assert " different rows, one of them " in notes(F, data, replace=True)


# -- options that do not go together ---------------------------------------------------------------------------------

TOGETHER = [
    ({"reuse_max": 1, "replace": True}, "use one"),
    ({"unit_id": "who", "replace": True}, "with replacement there is no such limit"),
    ({"m_order": "largest", "distance": "mahalanobis"}, "distance='mahalanobis' has none; choose 'data'"),
    ({"seed": 1}, "seed= is of m_order='random'"),
    ({"discard": "both", "distance": "euclidean"}, "use mahvars="),
    ({"mahvars": "~ x", "distance": "euclidean"}, "they are matched on the formula's covariates"),
    ({"ratio": 1.5}, "a whole number from 1 (with max_controls= a number that need not be whole)"),
    ({"min_controls": 1, "ratio": 2}, "goes with max_controls="),
    ({"max_controls": 2, "ratio": 2}, "and not one of the two"),
    ({"max_controls": 3, "ratio": 2, "mahvars": "~ x"}, "leave out mahvars= and distances of covariates"),
    ({"ties": True}, "give replace=True"),
    ({"bias_adjust": True}, "give replace=True and ties=True too"),
    ({"tolerance": 0.1}, "give replace=True and ties=True too"),
    ({"distance": "mahalanobis_all"}, "'mahalanobis' is MatchIt's, within arms"),
    ({"estimand": "ATE"}, "the ATE is of replace=True with ties=True"),
]


@pytest.mark.parametrize(("options", "text"), TOGETHER, ids=lambda part: str(part)[:40])
def test_options_that_do_not_go_together(data, options, text):
    assert text in message(F, data, kind=cf.OptionError, **options)


CUTS = [
    ({"cutpoints": {"g": 3}}, "has levels; its levels are grouped by grouping="),
    ({"cutpoints": {"nope": 3}}, "is no covariate of the formula; choose from x, v"),
    ({"grouping": {"x": [["u"]]}}, "has numbers; it is cut by cutpoints="),
    ({"grouping": {"g": [["u", "q"]]}}, "grouping= of 'g' names 'q'; choose from u, w"),
    ({"grouping": {"g": [["u"], ["u", "w"]]}}, "names the level 'u' twice"),
    ({"k2k": True, "estimand": "ATE"}, "estimand='ATT' or 'ATC'"),
    ({"k2k_method": "euclidean"}, "k2k=True, which is not given"),
]


@pytest.mark.parametrize(("options", "text"), CUTS, ids=lambda part: str(part)[:40])
def test_bins_that_cannot_be(data, options, text):
    assert text in message(F, data, "cem", kind=cf.OptionError, **options)


def test_roles_that_strata_do_not_read(data):
    for method in ("exact", "cem"):
        with pytest.raises(cf.CausalFormulaError, match=r"write its terms in adjust\(\.\.\.\)"):
            cf.design("~ treat(a) + adjust(g) + propensity(x)", data, method)


def test_the_variance_of_a_difference_is_not_that_of_means(data):
    fit = cf.fit("y " + F, data, "nearest", replace=True, ties=True)
    with pytest.raises(cf.CapabilityError, match="Use 'HC3'"):
        fit.means()
    assert len(fit.with_vcov("HC3").means().tidy()) == 2
    weighted = cf.fit("y " + F + " + weights(w)", data.assign(w=1 + data.index % 2), "nearest", replace=True)
    with pytest.raises(cf.CapabilityError, match=r"but for ties=True, sampling weights\. Use 'HC3'"):
        weighted.with_vcov("AI")


ALIKE = pd.DataFrame({
    "a": [1] * 3 + [0] * 6, "x": [1.0, 2.0, 4.0, 1.0, 1.0, 2.0, 3.0, 5.0, 6.0],
    "y": [3.0, 1, 4, 1, 5, 9, 2, 6, 5], "s": list("uuuuvuuuu"),
})  # fmt: skip
BROKEN = "ties between equally near units were broken by the order of rows, at 1 point"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{}, {"distance": "euclidean"}, {"replace": True}])
def test_ties_that_the_order_of_rows_broke_are_named(options):
    # two controls are like the first treated unit
    fit = cf.fit("y ~ treat(a) + x", ALIKE, "nearest", **options)
    assert BROKEN in str(fit)
    assert BROKEN in str(cf.design("~ treat(a) + x", ALIKE, "nearest", **options))
    untied = ALIKE.assign(x=ALIKE["x"] + 0.01 * np.arange(9))
    assert "broken by" not in str(cf.fit("y ~ treat(a) + x", untied, "nearest", **options))


@pytest.mark.filterwarnings("ignore")
def test_units_of_different_strata_are_no_ties_and_the_order_of_rows_matters_where_it_is_said_to():
    assert "broken by" not in str(cf.fit("y ~ treat(a) + x", ALIKE, "nearest", exact="s"))
    first = cf.fit("y ~ treat(a) + x", ALIKE, "nearest").estimate
    assert first != cf.fit("y ~ treat(a) + x", ALIKE.iloc[[0, 1, 2, 4, 3, 5, 6, 7, 8]], "nearest").estimate
    pair = ALIKE.drop(index=4)
    assert "broken by" not in str(cf.fit("y ~ treat(a) + x", pair, "nearest"))


def test_a_note_on_ties_is_no_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cf.fit("y ~ treat(a) + x", ALIKE, "nearest")
    assert not any("broken by" in str(w.message) for w in caught)


@pytest.mark.filterwarnings("ignore")
def test_equals_among_the_target_of_whom_one_is_left_out_are_a_tie_too():
    d = ALIKE.assign(x=[1.0, 2.0, 4.0, 1.0, 1.5, 2.0, 2.0, 5.0, 6.0])
    assert BROKEN in str(cf.fit("y ~ treat(a) + x", d, "nearest", estimand="ATC"))
    assert "broken by" not in str(cf.fit("y ~ treat(a) + x", d, "nearest", estimand="ATC", replace=True))
