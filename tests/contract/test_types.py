"""What a type checker knows of the package: right code passes, and each mistake is found, by mypy and by pyright."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from causalformula import words
from causalformula.backends import options, registry
from causalformula.backends.catalogue import CATALOGUE
from causalformula.backends.estimands import ESTIMANDS
from causalformula.inference.scales import MEASURES
from causalformula.results.designs import pictures
from causalformula.results.effects import permutation
from causalformula.results.models import predict, residuals

ROOT = Path(__file__).resolve().parents[2]
RIGHT, WRONG = (ROOT / "tests" / "contract" / "typed" / name for name in ("right.py", "wrong.py"))
MISTAKES = {k for k, line in enumerate(WRONG.read_text("utf-8").splitlines(), 1) if "# wrong: " in line}

SETS = {
    "Estimand": ESTIMANDS,
    "Measure": MEASURES,
    "ContrastWord": options.CONTRASTS,
    "NaAction": ("omit", "fail"),
    "ResidualType": residuals.KINDS,
    "PredictType": predict.TYPES,
    "Interval": predict.INTERVALS,
    "Limits": ("wald", "profile"),
    "Picture": pictures.KINDS,
    "Alternative": permutation.ALTERNATIVES,
    "PermutationStatistic": permutation.STATISTICS,
    "Spelling": ("broom", "snake"),
}


@pytest.mark.parametrize("name", SETS)
def test_words_are_those_that_the_code_takes(name):
    assert set(get_args(getattr(words, name))) == set(SETS[name])


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


def test_mypy(tmp_path):
    common = ("--config-file=", "--strict", "--follow-imports=silent", "--ignore-missing-imports")
    found = run("mypy", *common, f"--cache-dir={tmp_path}", str(RIGHT), str(WRONG))
    assert lines(found, RIGHT) == set(), found
    assert lines(found, WRONG) == MISTAKES, found


def test_pyright(tmp_path):
    settings = tmp_path / "pyrightconfig.json"
    settings.write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    for path in (RIGHT, WRONG):
        shutil.copy(path, tmp_path)
    found = run("pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(settings))
    try:
        told = json.loads(found[found.index("{") : found.rindex("}") + 1])["generalDiagnostics"]
    except ValueError:
        pytest.skip(f"pyright does not run here: {found[-200:]}")
    errors = {(Path(d["file"]).name, d["range"]["start"]["line"] + 1) for d in told if d["severity"] == "error"}
    assert {line for name, line in errors if name == RIGHT.name} == set(), told
    assert {line for name, line in errors if name == WRONG.name} == MISTAKES, told
