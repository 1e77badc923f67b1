"""R's printed text, character for character: synthetic inputs of all sizes, and the stored reference models."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causalformula.results.text.coefmat import T_COLUMNS, Z_COLUMNS, coefmat_cells, effect_cells
from causalformula.results.text.console import (
    GlmText,
    LmText,
    anova_text,
    coeftest,
    glm_print,
    glm_summary,
    lm_print,
    lm_summary,
)
from causalformula.results.text.numbers import (
    format_c,
    format_each,
    format_num,
    format_pval,
    quantile7,
    r_round,
    signif,
    zapsmall,
)
from causalformula.results.text.numbers import stars as star_marks
from causalformula.results.text.page import WIDTH, vector_text
from causalformula.results.text.summary import Summary
from tests.parity import reference

R = reference.values("r_printed")


def effect_text(table, rows, width=WIDTH, **options):
    """The effect table on a page of R's width."""
    return effect_cells(table, rows, **options).text(width)


def many(value: Any) -> list[Any]:
    """A stored vector: jsonlite unboxes one of length one."""
    return value if isinstance(value, list) else [value]


def numbers(value: Any) -> np.ndarray:
    return np.array([float("nan") if v in ("NA", None) else float(v) for v in many(value)])


def console(parts: tuple[Any, ...]) -> str:
    """What R writes: parts that are tables with a newline at their end, texts without one."""
    return str(Summary(parts)) + "\n"


def printed_test(*arguments: Any, **named: Any) -> str:
    """R's ends with one blank line."""
    return console(coeftest(*arguments, **named))


def columns(value: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """A table stored by columns, and which of its cells are NA rather than NaN."""
    cells = np.array([[str(v) for v in many(column)] for column in value]).T
    table = np.array([[float("nan") if v == "NA" else float(v) for v in row] for row in cells])
    return table, cells == "NA"


# ---- numbers: R's format, cat, paste, formatC, signif, round, zapsmall -------------------------------------------


def label(entry: dict[str, Any]) -> str:
    return f"{' '.join(many(entry['x']))[:60]} at {entry['digits']}"


@pytest.mark.parametrize("entry", R["format"], ids=label)
def test_format(entry):
    x, digits = numbers(entry["x"]), entry["digits"]
    assert format_num(x, digits) == many(entry["format"])
    assert format_each(x) == many(entry["cat"])
    assert format_each(x, 15) == many(entry["paste"])
    known = [text for text, v in zip(many(entry["formatC"]), x, strict=True) if not np.isnan(v)]
    assert [format_c(v, digits) for v in x if not np.isnan(v)] == known


@pytest.mark.parametrize("entry", R["format"], ids=label)
def test_rounding(entry):
    x, digits = numbers(entry["x"]), entry["digits"]
    for ours, theirs in ((signif, "signif"), (r_round, "round"), (zapsmall, "zapsmall")):
        # R scales numbers near the ends of the double range in steps of its own: their last bits are not ours.
        wild = np.abs(x[np.isfinite(x) & (x != 0)])
        rtol = 1e-13 if wild.size and (wild.min() < 1e-290 or wild.max() > 1e290) else 0
        np.testing.assert_allclose(ours(x, digits), numbers(entry[theirs]), rtol=rtol, atol=0, err_msg=theirs)


@pytest.mark.parametrize("entry", R["pval"], ids=lambda e: f"{' '.join(map(str, many(e['p'])))} at {e['digits']}")
def test_format_pval(entry):
    p, digits = numbers(entry["p"]), entry["digits"]
    assert format_pval(p, digits) == many(entry["text"])
    assert format_pval(p, digits, eps=0.001) == many(entry["coarse"])
    assert star_marks(p) == many(entry["stars"])


@pytest.mark.parametrize("entry", R["quantile"])
def test_quantile(entry):
    x = numbers(entry["x"])
    np.testing.assert_array_equal(quantile7(x), numbers(entry["q"]))
    np.testing.assert_allclose(quantile7(x, [0.025, 0.333, 0.9]), numbers(entry["odd"]), rtol=1e-15)


@pytest.mark.parametrize("entry", R["vectors"], ids=lambda e: str(many(e["names"])[0])[:10])
def test_print_of_a_named_vector(entry):
    texts = format_num(numbers(entry["x"]), 4)
    assert vector_text(texts, many(entry["names"])) == entry["print"]
    assert vector_text(texts, many(entry["names"]), gap=2) == entry["wide"]
    assert vector_text(texts) == entry["bare"]


@pytest.mark.parametrize("entry", R["coefmat"], ids=lambda e: f"{many(e['table'][0])[0]}-{e['digits']}")
def test_print_coefmat(entry):
    table, missing = columns(entry["table"])
    options = entry.get("options", {})
    cells = coefmat_cells(table, entry["rows"], entry["cols"], digits=entry["digits"], missing=missing, **options)
    assert str(cells) == entry["text"]


# ---- models made by printed.R ------------------------------------------------------------------------------------


def coefficients(entry: dict[str, Any]) -> dict[str, Any]:
    table = columns(entry["table"])[0] if entry["table"] else np.empty((0, 4))
    labels = entry.get("residual_names")
    return {"call": entry["call"], "names": entry["names"], "table": table, "residual_names": labels}


@pytest.mark.parametrize("entry", R["lm"], ids=lambda e: e["call"][:60])
def test_lm_texts(entry):
    f = entry.get("fstatistic")
    model = LmText(
        **coefficients(entry),
        residuals=numbers(entry["residuals"]),
        sigma=numbers(entry["sigma"])[0],
        df_residual=entry["df_residual"],
        r_squared=numbers(entry["r_squared"])[0],
        adj_r_squared=numbers(entry["adj_r_squared"])[0],
        fstatistic=tuple(numbers(f)) if f else None,
        weighted=entry["weighted"],
        omitted=entry["omitted"],
    )
    assert lm_print(entry["call"], entry["names"], numbers(entry["coefficients"])) == entry["print"]
    assert console(lm_summary(model)) == entry["summary"]
    if entry.get("coeftest"):
        assert printed_test(model.table, model.names) == entry["coeftest"]


@pytest.mark.parametrize("entry", [e for e in R["lm"] if e.get("anova")], ids=lambda e: e["call"][:60])
def test_anova_text(entry):
    stored = entry["anova"]
    table, _ = columns(list(stored["table"].values()))
    assert anova_text(table, stored["rows"], stored["cols"], heading=stored["heading"]) == stored["text"]


@pytest.mark.parametrize("entry", R["glm"], ids=lambda e: e["call"][:60])
def test_glm_texts(entry):
    shared = {k: numbers(entry[k])[0] for k in ("null_deviance", "deviance", "aic")}
    shared |= {k: entry[k] for k in ("df_null", "df_residual", "omitted")}
    model = GlmText(
        **coefficients(entry),
        **shared,
        deviance_residuals=numbers(entry["residuals"]),
        family=entry["family"],
        dispersion=numbers(entry["dispersion"])[0],
        iterations=entry["iterations"],
        statistic=entry["statistic"],
    )
    assert glm_print(entry["call"], entry["names"], numbers(entry["coefficients"]), **shared) == entry["print"]
    assert console(glm_summary(model)) == entry["summary"]
    if entry.get("coeftest"):
        table, statistic = columns(entry["coeftest_table"])[0], entry["coeftest_statistic"]
        assert printed_test(table, model.names, statistic=statistic) == entry["coeftest"]


# ---- the reference models: stored numbers, residuals from the data -----------------------------------------------


def column(frame: pd.DataFrame, name: str) -> np.ndarray:
    """The model matrix column of one of R's coefficient names."""
    if name == "(Intercept)":
        return np.ones(len(frame))
    if ":" in name:
        return np.prod([column(frame, part) for part in name.split(":")], axis=0)
    if name in frame:
        return frame[name].to_numpy(dtype=float)
    factor = next(c for c in frame.columns if name.startswith((c, f"factor({c})")))
    level = name.removeprefix(f"factor({factor})").removeprefix(factor)
    return (frame[factor].astype(str) == level).to_numpy(dtype=float)


def fitted(frame: pd.DataFrame, coef: dict[str, float | None]) -> np.ndarray:
    return sum(b * column(frame, name) for name, b in coef.items() if b is not None)


def filled_table(stored: dict[str, Any]) -> pd.DataFrame:
    """The stored coefficient table, which R keeps without its aliased rows, with those rows as NaN."""
    return reference.matrix(stored["coef_table"]).reindex(list(stored["coef"]))


def call_of(text: str) -> str:
    found = re.match(r"\nCall: ?\s*(.*?)\n\n", text, flags=re.DOTALL)
    assert found
    return found[1]


Weights = Callable[[pd.DataFrame], np.ndarray]
LM: dict[str, tuple[str, Weights | None]] = {
    "lm_heart_unadjusted": ("Severity", None),
    "lm_heart_adjusted": ("Severity", None),
    "lm_heart_interaction": ("Severity", None),
    "lm_lalonde_full": ("re78", None),
    "lm_lalonde_collinear": ("re78", None),
    "lm_lalonde_weighted": ("re78", lambda d: np.where(d["treat"] == 1, 1, 0.25 + d["age"] / 50)),
    "lm_lalonde_weights_zero": ("re78", lambda d: np.where(d["age"] > 40, 0, d["educ"])),
    "lm_lung_missing": ("time", None),
}


@pytest.mark.parametrize("name", LM)
def test_reference_lm_summary(name):
    """``print(summary(lm(...)))`` of every stored lm case that has one."""
    outcome, weights = LM[name]
    case = reference.case(name)
    stored = case["values"]
    frame = reference.data(case["data"])
    omitted = stored["na_action_rows"]
    frame = frame.drop(index=[row - 1 for row in omitted])
    w = np.ones(len(frame)) if weights is None else weights(frame)
    residuals = np.sqrt(w) * (frame[outcome].to_numpy(dtype=float) - fitted(frame, stored["coef"]))
    model = LmText(
        call=call_of(stored["printed_summary"]),
        names=list(stored["coef"]),
        table=filled_table(stored),
        residuals=residuals,
        sigma=stored["sigma"],
        df_residual=stored["df_residual"],
        r_squared=stored["r_squared"],
        adj_r_squared=stored["adj_r_squared"],
        fstatistic=tuple(reference.vector(stored["fstatistic"])),
        weighted=weights is not None,
        omitted=len(omitted),
    )
    assert console(lm_summary(model)) == stored["printed_summary"] + "\n"


@pytest.mark.parametrize("name", ["lm_heart_unadjusted", "lm_heart_adjusted"])
def test_reference_lm_print(name):
    stored = reference.values(name)
    text = lm_print(call_of(stored["printed_lm"]), list(stored["coef"]), reference.vector(stored["coef"]))
    assert text == stored["printed_lm"] + "\n"


@pytest.mark.parametrize(
    ("name", "vcov", "printed"),
    [
        ("lm_heart_adjusted", None, "printed_coeftest"),
        ("lm_heart_adjusted", "HC3", "printed_coeftest_HC3"),
        ("lm_lalonde_collinear", None, "printed_coeftest"),
        ("lm_lalonde_full", "HC1", "printed_coeftest_HC1"),
        ("lm_cluster_panel", "cluster", "printed_coeftest_cluster"),
    ],
)
def test_reference_coeftest_t(name, vcov, printed):
    """``coeftest(lm, vcov.)``: from the stored covariance and, without one, from the coefficient table."""
    stored = reference.values(name)
    if vcov == "cluster":
        table = reference.matrix(stored["coeftest_cluster"])
    elif vcov is None:
        table = filled_table(stored)
    else:
        b = reference.vector(stored["coef"])
        se = np.sqrt(np.diag(reference.matrix(stored["hc"][vcov])))
        p = 2 * stats.t.sf(np.abs(b / se), stored["df_residual"])
        table = np.column_stack([b, se, b / se, p])
    assert printed_test(table, list(stored["coef"])) == stored[printed] + "\n"


def test_reference_coeftest_z():
    stored = reference.values("glm_logit_outcome")
    table = reference.matrix(stored["coeftest_HC1"])
    text = printed_test(table, list(stored["coef"]), statistic="z")
    assert text == stored["printed_coeftest_HC1"] + "\n"


def test_reference_anova():
    stored = reference.values("lm_heart_unadjusted")
    frame = reference.data("heart.csv")
    y = frame["Severity"].to_numpy()
    rss = float(np.sum((y - fitted(frame, stored["coef"])) ** 2))
    explained, rdf = float(np.sum((y - y.mean()) ** 2)) - rss, stored["df_residual"]
    f = explained / (rss / rdf)
    nan = float("nan")
    table = [[1, explained, explained, f, stats.f.sf(f, 1, rdf)], [rdf, rss, rss / rdf, nan, nan]]
    cols = ["Df", "Sum Sq", "Mean Sq", "F value", "Pr(>F)"]
    heading = "Analysis of Variance Table\n\nResponse: Severity"
    assert anova_text(table, ["Drug", "Residuals"], cols, heading=heading) == stored["printed_anova"] + "\n"


def deviance_residuals(family: str, y: np.ndarray, eta: np.ndarray) -> np.ndarray:
    if family in ("logit", "probit"):
        mu = 1 / (1 + np.exp(-eta)) if family == "logit" else stats.norm.cdf(eta)
        unit = -2 * np.log(np.where(y == 1, mu, 1 - mu))
    else:
        mu = np.exp(eta)
        unit = 2 * (np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / mu), 0) - (y - mu))
    return np.sign(y - mu) * np.sqrt(np.maximum(unit, 0))


GLM = {
    "glm_logit_lalonde_ps": ("logit", None, "printed_summary", "binomial", lambda d: d["treat"]),
    "glm_logit_outcome": ("logit", None, "printed_summary", "binomial", lambda d: d["re78"] > 0),
    "glm_probit_cloglog": ("probit", "probit", "printed_probit", "binomial", lambda d: d["treat"]),
    "glm_poisson": ("log", "poisson", "printed_summary", "poisson", lambda d: (d["re78"] / 2000).round()),
    "glm_poisson (quasi)": (
        "log",
        "quasipoisson",
        "printed_summary",
        "quasipoisson",
        lambda d: (d["re78"] / 2000).round(),
    ),
}


@pytest.mark.parametrize("name", GLM)
def test_reference_glm_summary(name):
    """``print(summary(glm(...)))`` of every stored glm case that has one."""
    link, inner, printed, family, outcome = GLM[name]
    case = reference.case(name.split(" ")[0])
    stored = case["values"][inner] if inner else case["values"]
    printed_text = stored.get(printed) or case["values"][printed]
    frame = reference.data(case["data"])
    y = outcome(frame).to_numpy(dtype=float)
    model = GlmText(
        call=call_of(printed_text),
        names=list(stored["coef"]),
        table=filled_table(stored),
        deviance_residuals=deviance_residuals(link, y, fitted(frame, stored["coef"])),
        family=family,
        dispersion=stored["dispersion"],
        null_deviance=stored["null_deviance"],
        deviance=stored["deviance"],
        df_null=stored["df_null"],
        df_residual=stored["df_residual"],
        aic=reference.number(stored["AIC"]),
        iterations=stored["iter"],
        statistic="t" if family.startswith("quasi") else "z",
    )
    assert console(glm_summary(model)) == printed_text + "\n"


def test_reference_glm_print():
    stored = reference.values("glm_logit_lalonde_ps")
    text = glm_print(
        call_of(stored["printed"]),
        list(stored["coef"]),
        reference.vector(stored["coef"]),
        null_deviance=stored["null_deviance"],
        deviance=stored["deviance"],
        df_null=stored["df_null"],
        df_residual=stored["df_residual"],
        aic=stored["AIC"],
    )
    assert text == stored["printed"] + "\n"


def test_every_printed_reference_text_is_compared():
    """Should a stored case gain a printed text, it must be added above."""
    stored = {path.stem for path in reference.VALUES.glob("*.json") if '"printed' in path.read_text(encoding="utf-8")}
    families = {name for name in stored if name.startswith(("lm_", "glm_")) and name != "glm_weightit_binary"}
    assert families == {*LM, *(name.split(" ")[0] for name in GLM), "lm_cluster_panel"}


# ---- the effect table --------------------------------------------------------------------------------------------


def test_effect_text_of_the_heart_example():
    """Estimate, error, t and p by ``printCoefmat``; the limits share their own digits; stars last."""
    stored = reference.values("lm_heart_adjusted")
    row = reference.matrix(stored["coef_table"]).loc["Drug"].to_numpy()
    limits = reference.matrix(stored["confint"]).loc["Drug"].to_numpy()
    assert effect_text([*row, *limits], ["Drug 1 - 0"]) == (
        "           Estimate Std. Error t value Pr(>|t|)   2.5 %  97.5 %    \n"
        "Drug 1 - 0  -9.8877     0.3529  -28.02   <2e-16 -10.580  -9.195 ***\n"
        "---\n"
        "Signif. codes:  0 ‘***’ 0.001 ‘**’ 0.01 ‘*’ 0.05 ‘.’ 0.1 ‘ ’ 1\n"
    )


@pytest.mark.parametrize("entry", [e for e in R["coefmat"] if len(e["cols"]) == 4 and "options" not in e][::7])
def test_effect_text_keeps_the_digits_of_the_coefficient_table(entry):
    """Whatever the limits are, the first four columns are written as ``printCoefmat`` writes them."""
    table, _ = columns(entry["table"])
    with np.errstate(invalid="ignore"):  # some of the stored errors are infinite
        wide = np.column_stack([table, table[:, 0] - 1.96 * table[:, 1], table[:, 0] + 1.96 * table[:, 1]])
    rows = [f"r{i}" for i in range(len(table))]
    plain = coefmat_cells(table, rows, T_COLUMNS, digits=entry["digits"], signif_stars=False).text(500).splitlines()
    wide_lines = effect_text(wide, rows, digits=entry["digits"], width=500).splitlines()
    assert [line[: len(plain[0])] for line in wide_lines[: len(plain)]] == plain


def test_effect_text_without_an_interval_names_the_statistic():
    nan = float("nan")
    text = effect_text([[0.5, nan, nan, nan, nan, nan]], ["a"], statistic="z", level=0.9)
    assert text == (
        f"  {Z_COLUMNS[0]} {Z_COLUMNS[1]} {Z_COLUMNS[2]} {Z_COLUMNS[3]} 5 % 95 %\n"
        "a      0.5         NA      NA       NA  NA   NA\n"
    )
