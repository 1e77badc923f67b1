"""Random regressions, by seed, here and in R: ``python tests/parity/r/fuzz.py [--seeds A B]`` prints what differs.

Data and formulas are drawn in Python and written as CSV and JSON; one run of ``_fuzz.R`` answers them all. Compared
are model matrices with their column names, coefficients, deviances and log-likelihoods, and the covariances of the
coefficients with their degrees of freedom. Exit status 1 if anything differs; 0 where R is not installed, as is said.

Left out is what stands in vignettes/departures.md: rows of leverage one, CR1p with few clusters, CR3 where a
coefficient rests on one cluster; and the standard errors of separated outcomes, whose coefficients have no limit.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import causalformula as cf

HERE = Path(__file__).resolve().parent
PACKAGES = ("sandwich", "lmtest", "clubSandwich", "jsonlite")
SEEDS = range(60)
SECONDS = 300
TERMS = (
    "x1", "x2", "x3", "f", "h", "b", "k", "I(x1^2)", "log(pos)", "sqrt(pos)", "poly(x2, 2)", "scale(x1)", "factor(k)",
    "cut(x1, c(-Inf, -0.5, 0.5, Inf))", "ns(x2, 3)", "bs(x1, df = 4)", "pmax(x1, 0)", "ifelse(x1 > 0, x2, 0)",
    "x1:f", "f:h", "f * h", "x1 * x2", "x1 * f", "(x1 + x2 + f)^2", "f/x1", "x1 %in% f", "b:x1", "I(x1 > 0)",
    "exp(x2 / 4)", "abs(x1)", "relevel(f, ref = 'b')", "C(f, contr.sum)", "as.numeric(b)", "I(x1 + x2)", "offset(o)",
)  # fmt: skip
ROBUST = ("HC0", "HC1", "HC2", "HC3", "HC4", "HC4m", "HC5")
CLUSTERED = ("~g", "~g + t", "CR0 ~ g", "CR1 ~ g", "CR1S ~ g", "CR1p ~ g", "CR2 ~ g", "CR3 ~ g")
SERIAL = ("NeweyWest", "NeweyWest(3)", "Andrews")
FAMILIES = {
    "binomial": "bin", "binomial(link = 'probit')": "bin", "binomial(link = 'cloglog')": "bin", "poisson": "count",
    "quasipoisson": "count", "quasibinomial": "bin", "Gamma(link = 'log')": "pos", "gaussian": "y",
}  # fmt: skip
TOLERANCE = {"lm": 1e-8, "glm": 1e-6}
# clubSandwich takes the weights of a glm at its solution, glm itself and sandwich those of the last iteration: they
# differ by what R's iterations fall short (the root of epsilon), so both are stopped later for it.
TIGHT = 1e-13
CLUBSANDWICH_GLM = 1e-4
SEPARATED = 1e-5
# A variance of which nothing is left but this much: NaN here, as an estimate that rests on one cluster has none.
ROUNDING = 1e-13
# Refusals that stand in vignettes/departures.md.
REFUSED = ("CR1p divides by the number of clusters",)


def data(seed: int) -> pd.DataFrame:
    """A small frame of numbers, factors, a logical, counts, clusters and periods; every third has missing values."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(30, 110))
    x1, x2, x3 = rng.normal(size=(3, n))
    x3 = x3 * 10.0 ** rng.integers(-2, 3)
    letters = np.array(list("abcd"))[: rng.integers(2, 5)]
    d = pd.DataFrame({"x1": x1, "x2": x2, "x3": x3, "f": rng.choice(letters, n), "h": rng.choice(["p", "q", "r"], n)})
    d["b"], d["k"] = rng.random(n) < 0.5, rng.integers(0, 4, n)
    d["pos"], d["o"] = rng.gamma(2.0, size=n) + 0.05, rng.normal(size=n) / 4
    d["g"], d["t"] = rng.integers(0, rng.integers(6, 15), n), rng.integers(0, 7, n)
    d["w"] = rng.uniform(0.2, 3.0, n)
    eta = 0.4 * x1 - 0.3 * x2 + (d["f"] == "b") + rng.normal(size=d["g"].max() + 1)[d["g"]] / 2
    d["y"], d["count"] = eta + rng.normal(size=n), rng.poisson(np.exp(eta / 2 + 0.5))
    d["bin"] = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(int)
    if seed % 3 == 0:
        d.loc[rng.choice(n, 3, replace=False), "x3"] = np.nan
        d.loc[rng.choice(n, 2, replace=False), "h"] = None
    return d


def right_side(rng: np.random.Generator, most: int, left: str = "") -> str:
    """A few terms, at times without an intercept, and without those of the outcome."""
    pool = [term for term in TERMS if "pos" not in left or "pos" not in term]
    terms = list(rng.choice(pool, int(rng.integers(1, most + 1)), replace=False))
    if set(terms) == {"offset(o)"}:
        terms.append("x1")
    return " + ".join(terms) + (" - 1" if rng.random() < 0.15 else "")


def cases(seed: int) -> list[dict[str, Any]]:
    """Two model matrices, two linear models and one generalised one on the data of a seed."""
    rng = np.random.default_rng([seed, 1])
    found: list[dict[str, Any]] = [{"kind": "matrix", "formula": f"~ {right_side(rng, 4)}"} for _ in range(2)]
    for _ in range(2):
        left = str(rng.choice(["y", "y", "log(pos)", "I(y / 2)"]))
        vcov = ["classical", *rng.choice(ROBUST, 3, replace=False), *rng.choice(CLUSTERED, 4, replace=False)]
        case = {
            "kind": "lm",
            "formula": f"{left} ~ {right_side(rng, 3, left)}",
            "vcov": [*vcov, str(rng.choice(SERIAL))],
        }
        found.append(case | ({"weights": "w"} if rng.random() < 0.3 else {}))
    family = str(rng.choice(list(FAMILIES)))
    vcov = ["classical", "HC0", "HC3", "~g", "CR0 ~ g", "CR2 ~ g"]
    found.append(
        {
            "kind": "glm",
            "formula": f"{FAMILIES[family]} ~ {right_side(rng, 2, FAMILIES[family])}",
            "family": family,
            "vcov": vcov,
        }
    )
    return [
        {"data": f"{seed}.csv", **{k: list(map(str, v)) if k == "vcov" else v for k, v in c.items()}} for c in found
    ]


def missing() -> str:
    """What R lacks, in words; empty where nothing."""
    if shutil.which("Rscript") is None:
        return "Rscript is not installed"
    wanted = ", ".join(f"'{name}'" for name in PACKAGES)
    code = f"cat(setdiff(c({wanted}), rownames(installed.packages())))"
    lacking = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True).stdout.strip()
    return f"R has no package {lacking}" if lacking else ""


def answers(all_cases: list[dict[str, Any]], frames: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """What R says of the cases."""
    with tempfile.TemporaryDirectory() as folder:
        for name, frame in frames.items():
            frame.assign(b=np.where(frame["b"], "TRUE", "FALSE")).to_csv(Path(folder, name), index=False, na_rep="NA")
        Path(folder, "cases.json").write_text(json.dumps(all_cases), encoding="utf-8")
        subprocess.run(
            ["Rscript", "--vanilla", str(HERE / "_fuzz.R"), folder], check=True, timeout=SECONDS, capture_output=True
        )
        found: list[dict[str, Any]] = json.loads(Path(folder, "answers.json").read_text(encoding="utf-8"))
    return found


def differences(case: dict[str, Any], frame: pd.DataFrame, r: dict[str, Any]) -> Iterator[str]:
    """What differs in one case, one line each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield from _matrix(case, frame, r) if case["kind"] == "matrix" else _model(case, frame, r)
        except cf.CausalFormulaError as error:
            if "error" not in r:
                yield f"refused here: {error}"


def _matrix(case: dict[str, Any], frame: pd.DataFrame, r: dict[str, Any]) -> Iterator[str]:
    ours = cf.model_matrix(case["formula"], frame)
    if "error" in r:
        yield f"R refuses: {r['error']}"
    elif list(ours.columns) != _list(r["names"]):
        yield f"columns {list(ours.columns)}, in R {r['names']}"
    else:
        yield from _apart("matrix", ours.to_numpy(dtype=float), _numbers(r["matrix"]), 1e-8, np.ones(1))


def _model(case: dict[str, Any], frame: pd.DataFrame, r: dict[str, Any]) -> Iterator[str]:
    given = {"weights": case["weights"]} if "weights" in case else {}
    if case["kind"] == "lm":
        model = cf.lm(case["formula"], frame, **given)
    else:
        model = cf.glm(case["formula"], frame, family=case["family"], **given)
    if "error" in r:
        yield f"R refuses: {r['error']}"
        return
    if list(model.names) != _list(r["names"]):
        yield f"coefficients {list(model.names)}, in R {r['names']}"
        return
    if not r["converged"]:
        return
    rtol = TOLERANCE[case["kind"]]
    kept = model.regression.kept
    scale = np.sqrt(np.diag(model.covariance.matrix))
    theirs = _numbers(r["coef"])
    if (np.isnan(theirs) != np.isnan(np.asarray(model.coef))).any():
        yield f"aliased: {model.coef.isna().tolist()}, in R {np.isnan(theirs).tolist()}"
        return
    yield from _apart("coef", np.asarray(model.coef)[kept], theirs[kept], rtol, scale)
    for name, ours in (("deviance", model.deviance), ("df", model.df_residual), ("loglik", model.loglik)):
        if r[name] is not None:
            yield from _apart(name, np.array([ours]), _numbers([r[name]]), rtol, np.ones(1))
    mu = model.regression.mu
    if case.get("family", "").startswith(("binomial", "quasibinomial")) and min(mu.min(), 1 - mu.max()) < SEPARATED:
        return
    for request, answer in r["vcov"].items():
        if request.startswith("CR") and case["kind"] == "glm":
            if model.regression.rank < len(model.names):  # a later stop also changes what R leaves out
                continue
            model = cf.glm(case["formula"], frame, family=case["family"], epsilon=TIGHT, maxit=100)
            rtol = CLUBSANDWICH_GLM
        yield from _covariance(model, request, answer, rtol)


def _covariance(model: Any, request: str, r: dict[str, Any], rtol: float) -> Iterator[str]:
    try:
        found = model.with_vcov(request).covariance
    except cf.CausalFormulaError as error:
        if "error" not in r and not str(error).startswith(REFUSED):
            yield f"{request}: refused here: {error}"
        return
    if "error" in r:
        return
    theirs = np.atleast_2d(_numbers(r["matrix"]))
    size = np.sqrt(np.abs(np.diag(theirs)))
    ours = found.matrix
    if len(found.full_leverage) or (np.isnan(theirs).any() and request.startswith("HC")):
        ours, theirs = np.where(np.isnan(theirs), np.nan, ours), np.where(np.isnan(ours), np.nan, theirs)
    nothing = np.isnan(np.diag(ours)) & (np.abs(np.diag(theirs)) <= ROUNDING * np.nanmax(size**2))
    theirs = np.where(nothing[:, None] | nothing, np.nan, theirs)
    if request == "CR3 ~ g" and _rests_on_one(model):
        return
    yield from _apart(request, ours, theirs, rtol, np.outer(size, size))
    if r.get("df"):
        yield from _apart(f"{request}, df", found.df, _numbers(r["df"]), 10 * rtol, np.ones(1))


def _rests_on_one(model: Any) -> bool:
    """Whether a coefficient does not exist without one of the clusters."""
    X, codes = model.regression.hat.X, model.frame.codes(("g",))["g"]
    X = X / np.linalg.norm(X, axis=0)
    return any(np.linalg.matrix_rank(X[codes != g], tol=1e-7) < X.shape[1] for g in np.unique(codes))


def _apart(name: str, ours: Any, theirs: Any, rtol: float, scale: Any) -> Iterator[str]:
    """Whether |a - b| <= rtol max(|b|, scale); NaN in both is agreement."""
    if ours.shape != theirs.shape:
        yield f"{name}: shape {ours.shape}, in R {theirs.shape}"
        return
    gap = np.abs(ours - theirs) / np.maximum(np.maximum(np.abs(theirs), scale), 1e-300)
    bad = (gap > rtol) | (np.isnan(ours) != np.isnan(theirs))
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        yield f"{name}{list(map(int, first))}: {ours[first]!r}, in R {theirs[first]!r} ({int(bad.sum())} of {bad.size})"


def _numbers(values: Any) -> Any:
    """R's numbers as an array; what is not finite has no JSON and is NaN."""
    return np.array(_list(values), dtype=float)


def _list(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def run(seeds: range) -> tuple[int, list[str]]:
    """How many cases were compared, and what differs."""
    frames = {f"{seed}.csv": data(seed) for seed in seeds}
    all_cases = [case for seed in seeds for case in cases(seed)]
    lines = []
    for case, r in zip(all_cases, answers(all_cases, frames), strict=True):
        what = f"{case['data']} {case['kind']} {case['formula']} {case.get('family', '')}".strip()
        lines += [f"{what}: {line}" for line in differences(case, frames[case["data"]], r)]
    return len(all_cases), lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare random regressions with R.")
    parser.add_argument("--seeds", nargs=2, type=int, default=(SEEDS.start, SEEDS.stop), help="from, and up to")
    seeds = range(*parser.parse_args().seeds)
    if lacking := missing():
        print(f"fuzz.py: left out: {lacking}")
        return 0
    count, lines = run(seeds)
    print(f"fuzz.py: {count} cases, {len(lines)} differences", *lines, sep="\n  ")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
