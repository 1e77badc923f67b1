"""What a type checker knows of the package: right code passes, and each mistake is found, by mypy and by pyright."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal, get_args, get_origin, get_overloads

import pytest

from causalformula import datasets, verbs, words
from causalformula.backends import distance, options, registry, subclass
from causalformula.backends.catalogue import CATALOGUE
from causalformula.backends.did import aggregate, etwfe
from causalformula.backends.did import options as did_options
from causalformula.backends.doubly_robust import tmle
from causalformula.backends.estimands import ESTIMANDS
from causalformula.backends.matching import options as matching
from causalformula.diagnostics import balance_plan
from causalformula.inference import requests, small_sample
from causalformula.inference.honest import intervals, restrictions
from causalformula.inference.resampling import multiplier
from causalformula.inference.resampling import requests as resampling
from causalformula.inference.scales import MEASURES
from causalformula.inference.sensitivity import evalue
from causalformula.numerics import families as known
from causalformula.numerics.matching import metrics
from causalformula.plots.love import ORDERS
from causalformula.results.checks import anova, serial, specification
from causalformula.results.confounders.ways import WAYS
from causalformula.results.designs import pictures
from causalformula.results.effects import permutation
from causalformula.results.effects import pictures as effects
from causalformula.results.families import did, event_pictures, instrument_pictures, quantiles
from causalformula.results.joint import multiplicity
from causalformula.results.models import predict, residuals
from causalformula.results.refutation import asked, refutation, refuters
from causalformula.results.sensitivity import kinds
from causalformula.results.table import STATISTICS
from causalformula.scores import treatment
from tests.vignettes import blocks

ROOT = Path(__file__).resolve().parents[2]
RIGHT, WRONG = (ROOT / "tests" / "contract" / "typed" / name for name in ("right.py", "wrong.py"))
MISTAKES = {k for k, line in enumerate(WRONG.read_text("utf-8").splitlines(), 1) if "# wrong: " in line}

SETS = {
    "Estimand": ESTIMANDS,
    "Measure": MEASURES,
    "ContrastWord": options.CONTRASTS,
    "FamilyName": known.KINDS,
    "DataSet": datasets.names(),
    "NaAction": ("omit", "fail"),
    "ResidualType": residuals.KINDS,
    "PredictType": predict.TYPES,
    "Interval": predict.INTERVALS,
    "Limits": ("wald", "profile"),
    "Picture": pictures.KINDS,
    "ResultPicture": {
        *effects.KINDS,
        *did.PICTURES,
        *event_pictures.GRID,
        *event_pictures.STUDY,
        *quantiles.PICTURES,
        *instrument_pictures.PICTURES,
    },
    "Order": ORDERS,
    "BalanceStatistic": {*balance_plan.ARMS, *balance_plan.DOSE, *balance_plan.ALIASES},
    "Binary": balance_plan.BINARY,
    "Link": distance.LINKS,
    "DistanceLink": distance.DISTANCE_LINKS,
    "MatchOrder": matching.ORDERS,
    "Metric": metrics.METRICS,
    "Discard": distance.DISCARD,
    "StrataEstimator": subclass.ESTIMATORS,
    "DidEstimator": did_options.ESTIMATORS,
    "ComparisonGroup": did_options.CONTROLS,
    "BasePeriod": did_options.BASES,
    "Aggregation": aggregate.KINDS,
    "UnitEffects": etwfe.BESIDE,
    "FluctuationWord": tmle.PATHS,
    "HCType": requests.HC_TYPES,
    "CRType": requests.CR_TYPES,
    "HACType": requests.HAC_TYPES,
    "Kernel": requests.HAC_KERNELS,
    "FirstStages": requests.WEIGHTS,
    "CountedEffects": small_sample.COUNTED,
    "GroupsCounted": small_sample.GROUPS,
    "BootstrapKind": resampling.INTERVALS,
    "Resampling": resampling.RESAMPLING,
    "WildWeights": resampling.WILD_WEIGHTS,
    "Tails": resampling.TAILS,
    "Centre": resampling.CENTRES,
    "Multipliers": multiplier.MULTIPLIERS,
    "Adjustment": multiplicity.ALL_METHODS,
    "NestedTest": anova.NESTED,
    "TermTest": ("none", *anova.NESTED),
    "Powers": specification.KINDS,
    "SerialAlternative": {*serial.ALTERNATIVES, "two-sided"},
    "TableStatistic": STATISTICS,
    "Alternative": permutation.ALTERNATIVES,
    "PermutationStatistic": permutation.STATISTICS,
    "Refuter": refuters.REFUTERS,
    "DummyOutcome": asked.DUMMIES,
    "RefutationPicture": refutation.PICTURES,
    "TrendKind": restrictions.KINDS,
    "TrendBound": restrictions.BOUNDS,
    "TrendDirection": restrictions.DIRECTIONS,
    "HonestMethod": intervals.METHODS,
    "EValueMeasure": evalue.MEASURES,
    "SensitivityKind": {*kinds.OF_RESULTS, *kinds.OF_MODELS},
    "Spelling": ("broom", "snake"),
    "SelectionMethod": WAYS,
    "BalancedEstimand": treatment.WEIGHTED,
    "BalanceMeasure": treatment.SIZES,
    "ProbabilityLoss": treatment.LOSSES,
}


@pytest.mark.parametrize("name", SETS)
def test_words_are_those_that_the_code_takes(name):
    assert set(get_args(getattr(words, name))) == set(SETS[name])


def test_no_words_are_left_out():
    closed = {name for name, value in vars(words).items() if get_origin(value) is Literal}
    assert closed == {*SETS, "Method"}


def test_methods_are_those_of_the_records():
    """An editor offers these; another word is text that is read when the code runs."""
    records = [record for record in registry.methods() if record.name in CATALOGUE]  # and none that a test filed
    known = {name for record in records for name in (record.name, *record.aliases)}
    named = {record.name for record in records}
    assert named <= set(get_args(words.Method)) <= known


def test_the_package_is_typed():
    assert (ROOT / "causalformula" / "py.typed").exists()


def run(tool: str, *arguments: str) -> str:
    if importlib.util.find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed")
    given = {**os.environ, "PYTHONPATH": str(ROOT), "MYPYPATH": ""}
    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments], capture_output=True, text=True, env=given, cwd=ROOT, timeout=500
    )
    return done.stdout + done.stderr


def lines(found: str, path: Path) -> set[int]:
    return {int(k) for k in re.findall(rf"{re.escape(path.name)}:(\d+)(?::\d+)?: error", found)}


def families() -> str:
    """Every family by each of its names, and by its options: the results have the class that its record names."""
    code = ["import pandas as pd", "import causalformula as cf", "data = pd.DataFrame()"]
    for record in registry.methods():
        if not record.face or record.name not in CATALOGUE:
            continue
        module, _, face = record.face.partition(":")
        code.append(f"from {module} import {face}")
        names = [repr(name) for name in (record.name, *record.aliases) if name in get_args(words.Method)]
        for method in (*names, f"cf.{record.options.__name__}", f"cf.{record.options.__name__}()"):
            code.append(f"fit_{len(code)}: {face} = cf.fit('', data, {method})")
            if record.make_design is not None:
                code.append(f"design_{len(code)}: cf.Design[{face}] = cf.design('', data, {method})")
    return "\n".join(code)


@pytest.fixture
def pages(tmp_path):
    """Pages of right code: ours, the README's, and one of the families."""
    readme = "\n\n".join(b.code for b in blocks((ROOT / "README.md").read_text("utf-8")) if b.language == "python")
    assert "cf.fit(" in readme and families().count("cf.fit(") > 6
    (tmp_path / "readme.py").write_text(readme, "utf-8")
    (tmp_path / "families.py").write_text(families(), "utf-8")
    for path in (RIGHT, WRONG):
        shutil.copy(path, tmp_path)
    return [tmp_path / name for name in (RIGHT.name, "readme.py", "families.py")]


def test_mypy(tmp_path, pages):
    common = ("--config-file=", "--strict", "--follow-imports=silent", "--ignore-missing-imports")
    found = run("mypy", *common, f"--cache-dir={tmp_path / 'cache'}", *map(str, pages), str(tmp_path / WRONG.name))
    for page in pages:
        assert lines(found, page) == set(), found
    assert lines(found, WRONG) == MISTAKES, found


def test_pyright(tmp_path, pages):
    settings = tmp_path / "pyrightconfig.json"
    settings.write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    found = run("pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(settings))
    try:
        told = json.loads(found[found.index("{") : found.rindex("}") + 1])["generalDiagnostics"]
    except ValueError:
        pytest.skip(f"pyright does not run here: {found[-200:]}")
    errors = {(Path(d["file"]).name, d["range"]["start"]["line"] + 1) for d in told if d["severity"] == "error"}
    assert not [error for error in errors if error[0] in {page.name for page in pages}], told
    assert {line for name, line in errors if name == WRONG.name} == MISTAKES, told


@pytest.mark.parametrize("verb", [verbs.fit, verbs.design])
def test_overloads_have_the_parameters_of_the_function(verb):
    """But for the method, which says what is returned."""
    own = dict(inspect.signature(verb).parameters)
    for overload in get_overloads(verb):
        theirs = dict(inspect.signature(overload).parameters)
        assert list(theirs) == list(own)
        for name in own.keys() - {"method"}:
            assert str(theirs[name]) == str(own[name])
