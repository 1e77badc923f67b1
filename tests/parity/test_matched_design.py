"""MatchIt 4.7.2: what ``summary()``, ``print()`` and ``get_matches()`` of a matched design show.

Strata are made by ``cf.design``; designs of matches are built from the weights, subclasses and matches that R stored,
so that these tests are of the tables and prints alone.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

import causalformula as cf
from causalformula.backends.distance import common_support
from causalformula.backends.fit import DesignWeights
from causalformula.errors import CausalFormulaWarning
from causalformula.results.families.matching import MatchedDesign
from tests.parity.reference import close, data, matrix, values

FILES = ("nearest_default", "nearest_replace", "ratio2", "variable_ratio", "caliper", "m_order", "estimands")
FILES = (*FILES, "distances", "exact", "cem", "full_optimal")
FULL = ("age", "educ", "race", "married", "nodegree", "re74", "re75")
STRATA = values("matchit_subclass")
SUBCLASS = {
    **{f"{estimand}_{k}": {"estimand": estimand, "subclass": k} for estimand in ("ATT", "ATE", "ATC") for k in (5, 6)},
    "ATT_default": {},
    "quantiles": {"subclass": [0.2, 0.5, 0.8]},
    "min_n_0": {"subclass": 8, "min_n": 0},
}
# R's glm stops early, and scores enter the row "distance".
PS = 1e-6


def stored_cases():
    """Every matchit object that was stored, by name."""
    found = {}
    for file in FILES:
        found |= {
            ".".join([file, *path]): case for path, case in within(values(f"matchit_{file}"), ()) if "weights" in case
        }
    return found


def within(part, path):
    if "printed_summary" in part:
        yield path, part
    for name, inner in part.items():
        if isinstance(inner, dict):
            yield from within(inner, (*path, name))


CASES = stored_cases()


@dataclass(frozen=True)
class Made:
    """A design stage that R made: its words."""

    design: DesignWeights
    lines: tuple[str, ...]
    words: str = "matching"
    notes: tuple[str, ...] = ()


def codes(subclass):
    return None if subclass is None else np.array([None if k is None else int(k) for k in subclass], dtype=object)


def pairs(stored):
    found = stored.get("match_matrix_rows")
    if found is None:
        return None
    matched = [[-1 if row is None else row - 1 for row in rows] for rows in found["matched_row"]]
    return np.column_stack([np.array(found["focal_row"]) - 1, matched])


def built(name):
    """The design that R stored, on our frame."""
    stored, frame = CASES[name], data("lalonde.csv").assign(sw=lambda d: d["educ"] + 1)
    terms = printed_covariates(stored)
    weights = " + weights(sw)" if "s_weights" in name else ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        call = cf.design(
            f"treat(treat) + {' + '.join(terms)}{weights}", frame, "subclass", estimand=stored["estimand"]
        ).call
    discarded = None
    if stored["discarded_count"]:
        score = np.array(CASES["nearest_default"]["distance"])
        arms = "both" if name.endswith("both") else "control"
        discarded = ~common_support(score, frame["treat"].to_numpy() == 1, np.ones(len(frame), dtype=bool), arms)
        assert discarded.sum() == stored["discarded_count"]
    distance = None if stored["distance"] is None else np.array(stored["distance"])
    made = DesignWeights(
        np.array(stored["weights"], dtype=float),
        distance,
        codes(stored["subclass"]),
        pairs(stored),
        discarded=discarded,
    )
    how = stored["printed"].split("\n", 1)[1].split(" - number of obs.")[0]
    return MatchedDesign(made, call, Made(made, (how,)))


def printed_covariates(stored):
    return re.search(r"- covariates: (.*)", stored["printed"])[1].split(", ")


def tables(text, numbers=None):
    """R's print from its first table on; the sign of differences that are rounding, 1e-17, is left out."""
    text = text[text.index("Summary of Balance") :].rstrip("\n")
    if numbers is None:
        return text
    found = matrix(numbers)["Std. Mean Diff."]
    for name in found[(found < 0) & (found > -1e-12)].index:
        text = re.sub(rf"^({name} .*) -(0(?:\.0+)?)(?=\s)", r"\1  \2", text, flags=re.M)
    return text


def without_notes(text):
    return "\n".join(line for line in str(text).split("\n") if not line.startswith("Note: ")).rstrip("\n")


def same_table(ours, theirs, rtol=1e-8):
    theirs = matrix(theirs)
    # an empty column of pair distances is not kept for strata
    theirs = theirs[[name for name in theirs if name in ours or not theirs[name].isna().all()]]
    assert list(ours.index) == list(theirs.index)
    assert list(ours.columns) == list(theirs.columns)
    for name in theirs:
        close(ours[name], theirs[name], rtol, 1.0, name)


@pytest.mark.parametrize("name", CASES)
def test_tables(name):
    """R: summary(m)$sum.all, $sum.matched, $nn."""
    design, stored = built(name), CASES[name]
    summary = design.summary()
    same_table(summary.sum_all, stored["sum_all"])
    same_table(summary.sum_matched, stored["sum_matched"])
    same_table(summary.nn, stored["nn"])
    same_table(design.nn, stored["nn"])


@pytest.mark.parametrize("name", CASES)
def test_prints(name):
    """R: print(m) and print(summary(m))."""
    design, stored = built(name), CASES[name]
    assert without_notes(design.summary()) == tables(stored["printed_summary"], stored["sum_matched"])
    head, *lines = without_notes(design).split("\n")
    assert head == "A matched design"
    assert lines == stored["printed"].rstrip("\n").split("\n")[1:]


def test_interactions():
    """R: summary(m, interactions = TRUE)$sum.matched[1:12, ]; the names of all rows by running R."""
    found = built("nearest_default").summary(interactions=True).sum_matched
    same_table(found.iloc[:12], CASES["nearest_default"]["summary_interactions"])
    products = {"re74²", "re74 * re75", "nodegree * re75", "raceblack * married", "age * racewhite"}
    assert products < set(found.index)
    assert not {"married²", "raceblack * racewhite"} & set(found.index)
    assert list(found.index[-3:]) == ["re74²", "re74 * re75", "re75²"]


def test_raw_differences():
    """R: summary(m, standardize = FALSE)$sum.matched."""
    found = built("nearest_default").summary(standardize=False)
    same_table(found.sum_matched, CASES["nearest_default"]["summary_std_false"])
    assert "eQQ Mean" in str(found) and "eCDF" not in str(found)


def test_pairs_in_their_own_units_are_said():
    """Where the means agree MatchIt does not divide the pair distance: 2.3243 years, at an s.d. of 2.01."""
    summary = built("caliper.std_0.1").summary()
    assert summary.sum_matched.loc["educ", "Std. Pair Dist."] == pytest.approx(2.3243243)
    assert "Note: Std. Pair Dist. of educ is in its own units" in str(summary)
    assert "Note" not in str(built("nearest_default").summary())


def test_pair_data():
    """R: get_matches(m, id = "unit.id")."""
    stored = CASES["nearest_replace"]
    found = built("nearest_replace").pair_data(id="unit.id")
    assert len(found) == stored["get_matches_nrow"]
    head = stored["get_matches_head"]["columns"]
    assert found["id"].tolist()[:10] == head["id"]
    assert found["subclass"].astype(str).tolist()[:10] == head["subclass"]
    for name in ("weights", "treat", "age"):
        close(found[name][:10], head[name], what=name)
    assert list(found.columns[:3]) == ["unit.id", "subclass", "weights"]
    with pytest.raises(cf.OptionError, match=r"already have a column 'id'.*pair_data\(id='\.id'\)"):
        built("nearest_replace").pair_data()


def test_pair_weights_sum_to_the_weights():
    """The weights of a unit over its pairs are those of the design, up to the scale of each arm."""
    design = built("ratio2.replace_ratio3")
    found = design.pair_data(id=".id").groupby(".id")["weights"].sum()
    weights = design.weights[found.index].to_numpy()
    ratio = weights / found.to_numpy()
    treated = design.call.frame.the_treatment.codes[found.index] == 1
    assert np.ptp(ratio[treated]) < 1e-12 and np.ptp(ratio[~treated]) < 1e-12


@pytest.mark.parametrize("name", SUBCLASS)
def test_subclassification(name):
    """R: print(m), print(summary(m)), summary(m, subclass = TRUE)."""
    stored = STRATA[name]
    formula = f"treat(treat) + {' + '.join(FULL)}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        design = cf.design(formula, data("lalonde.csv"), method="subclass", **SUBCLASS[name])
    assert isinstance(design, MatchedDesign)
    assert without_notes(design).split("\n")[1:] == stored["printed"].rstrip("\n").split("\n")[1:]
    summary, parts = design.summary(), design.summary(subclass=True)
    assert without_notes(summary) == tables(stored["printed_summary"])
    same_table(summary.sum_all, stored["sum_all"], PS)
    same_table(summary.nn, stored["nn"])
    same_table(parts.qn, stored["qn"])
    for ours, theirs in zip(parts.sum_subclass, stored["sum_subclass"].values(), strict=True):
        same_table(ours, theirs, 1e-5 if name.startswith("AT") else PS)
