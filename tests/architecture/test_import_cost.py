"""``import causalformula`` is cheap: measured, and looked at, in fresh interpreters."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import causalformula

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("sklearn", "matplotlib", "statsmodels", "formulaic")
ALLOWED_RATIO = 1.5  # of a few thousandths of a second, whose measurement wavers


def fresh(code: str) -> str:
    """What ``code`` prints in an interpreter of its own, one thread, this checkout first on the path."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def seconds(statement: str) -> float:
    """Processor time of one import: a busy machine lengthens the clock's time, hardly this."""
    code = f"import time; start = time.process_time(); {statement}; print(time.process_time() - start)"
    return float(fresh(code))


def loaded(statement: str) -> list[str]:
    """Foreign modules, of Python's own library too, that a statement loads into a fresh interpreter, in order."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*(m for m in sys.modules if m not in before))"
    return [name for name in fresh(code).split() if name.split(".")[0] != "causalformula"]


def test_the_package_loads_nothing_but_its_loader():
    foreign = {name.split(".")[0] for name in loaded("import causalformula")} - sys.stdlib_module_names
    assert foreign == {"lazy_loader"}


LIGHT = ("import causalformula", "from causalformula import *", "import causalformula as cf; cf.scores.r_loss")


@pytest.mark.parametrize("statement", LIGHT)
def test_no_heavy_library_is_loaded(statement):
    heavy = sorted(name for name in loaded(statement) if name.split(".")[0] in HEAVY)
    assert not heavy, f"{statement} loads {heavy[:5]}"


def test_a_star_leaves_out_what_is_of_another_library_alone():
    names = set(dir(causalformula)) - set(causalformula.__all__)
    assert {name for name in names if not name.startswith("_")} == {"EffectEstimator"}


def test_formulaic_is_loaded_by_the_first_factor():
    code = (
        "import sys, causalformula as cf; data = {'y': [1.0, 2, 4], 'f': ['a', 'b', 'b']}; "
        "cf.model_matrix('y ~ log(y)', data); before = 'formulaic' in sys.modules; "
        "cf.model_matrix('~ f', data); print(before, 'formulaic' in sys.modules)"
    )
    assert fresh(code) == "False True"


def test_import_takes_hardly_longer_than_what_it_loads():
    ours = "import causalformula"
    floor = f"from importlib import import_module as load; [load(name) for name in {loaded(ours)!r}]"
    seconds(floor), seconds(ours)  # the first run also compiles
    pairs = [(seconds(floor), seconds(ours)) for _ in range(7)]
    base, cost = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert cost <= ALLOWED_RATIO * base, f"import causalformula takes {cost:.3f} s, what it loads {base:.3f} s"


def test_the_version_is_the_projects():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert causalformula.__version__ == project["version"]
