"""The rows of docs/from-r.md: both sides give the same numbers (``tests/parity/r/from_r.R`` runs the left ones)."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

import causalformula as cf
from causalformula.errors import CausalFormulaWarning
from causalformula.results.checks.anova import Anova
from tests.parity.reference import close, values
from tests.vignettes import ROOT, calls, namespace, table_rows

PAGE = ROOT / "docs" / "from-r.md"
if not PAGE.exists():
    pytest.skip("the site's sources are not here", allow_module_level=True)
TEXT = PAGE.read_text(encoding="utf-8")
STORED = values("r_from_r")
PAIRS = {r: ours for row in table_rows(TEXT) for r, ours in zip(calls(row[0]), calls(row[1]), strict=False)}
# What R's call and ours differ in, as the row says.
MEANS_ONLY = "svypredmeans"
# Ours is a text that names the number.
LABELLED = {"bwAndrews(model)": r"bandwidth ([\d.]+)", "bwNeweyWest(model)": r"lag (\d+)"}
# Found by steps.
LOOSE = {"confint(logit)": 1e-4, "empinf": 1e-7}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return namespace(TEXT)


def tolerance(call: str) -> float:
    return next((rtol for start, rtol in LOOSE.items() if call.startswith(start)), 1e-8)


@pytest.mark.parametrize("call", STORED)
def test_both_sides_agree(call: str, made: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CausalFormulaWarning)
        ours = eval(PAIRS[call], dict(made))
    theirs = STORED[call]
    check = {"coefs": same_coefficients, "test": same_test, "values": same_numbers, "text": same_text}
    check[theirs["kind"]](call, ours, theirs)


def same_coefficients(call: str, ours: Any, theirs: dict[str, Any]) -> None:
    """Estimates, standard errors and degrees of freedom, of what both have: a causal fit shows its effect alone."""
    table = ours.tidy()
    if "subset(d, Drug == 1)" in call:
        table = table[table["contrast"] == "1"]
    kept = list(range(len(theirs["terms"])))
    if len(table) < len(kept):
        kept = [k for k in kept if theirs["terms"][k] in set(table["term"])]
    estimate, se = (np.array(theirs[name])[kept] for name in ("estimate", "std.error"))
    if call.startswith(MEANS_ONLY):
        close(np.sort(table["estimate"]), np.sort(estimate), 1e-8, se, call)
        assert not np.allclose(np.sort(table["std.error"]), np.sort(se), rtol=1e-3)
        return
    close(table["estimate"], estimate, tolerance(call), se, call)
    close(table["std.error"], se, tolerance(call), what=call)
    if "df" in theirs:
        close(table["df"], np.array(theirs["df"])[kept], 1e-8, what=call)


def same_test(call: str, ours: Any, theirs: dict[str, Any]) -> None:
    """The statistic, without its sign for a t, and the p-value."""
    if isinstance(ours, cf.Result) and not call.startswith("car::"):
        row = ours.tidy().iloc[0]
        statistic, p = row["statistic"], row["p.value"]
    elif isinstance(ours, Anova):
        row = ours.table.iloc[-1]
        statistic, p = row[ours.table.columns.intersection(["F", "Deviance"])].iloc[0], row.iloc[-1]
    else:
        named = ours if isinstance(ours, cf.Test) else ours.test
        statistic, p = named.statistic, named.p_value
    close(abs(statistic), abs(theirs["statistic"]), 1e-8, 1, call)
    close(p, theirs["p.value"], 1e-7, 1e-12, call)


def same_numbers(call: str, ours: Any, theirs: dict[str, Any]) -> None:
    """A number, or the first five rows of several."""
    if call in LABELLED:
        (found,) = re.findall(LABELLED[call], ours)
        close(float(found), np.floor(theirs["values"][0][0]) if "lag" in ours else theirs["values"][0][0], 1e-3)
        return
    wanted = np.array(theirs["values"], dtype=float)
    found = np.asarray(ours, dtype=float).reshape(-1, wanted.shape[1])[:5]
    close(found, wanted, tolerance(call), np.abs(wanted).max(), call)


def same_text(call: str, ours: Any, theirs: dict[str, Any]) -> None:
    """What R prints."""
    tidied = [[line.rstrip() for line in str(page).strip().splitlines()] for page in (ours, theirs["text"])]
    assert tidied[0] == tidied[1]


def test_every_package_that_is_there_is_compared() -> None:
    assert len(STORED) > 70
    for start in (
        "lm(",
        "vcovHAC(",
        "svyttest(",
        "svymean(",
        "lm_robust(",
        "bptest(",
        "vcovCR(",
        "var.linear(",
        "Match(",
    ):
        assert any(call.startswith(start) for call in STORED)
    assert set(STORED) <= set(PAIRS), "run tests/parity/r/check.py --update from_r.R"
