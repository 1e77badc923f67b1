"""``import causalformula`` is cheap: measured, and looked at, in fresh interpreters."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

import causalformula

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("sklearn", "matplotlib", "statsmodels")
ALLOWED_RATIO = 1.2


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


def test_no_heavy_library_is_loaded():
    loaded = fresh("import sys, causalformula; print(*sys.modules)").split()
    heavy = sorted(name for name in loaded if name.split(".")[0] in HEAVY)
    assert not heavy, f"import causalformula loads {heavy[:5]}"


def test_import_takes_hardly_longer_than_its_foundations():
    floor, ours = "import numpy, pandas, formulaic", "import causalformula"
    seconds(floor), seconds(ours)  # the first run also compiles
    pairs = [(seconds(floor), seconds(ours)) for _ in range(7)]
    base, cost = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert cost <= ALLOWED_RATIO * base, f"import causalformula takes {cost:.2f} s, its foundations {base:.2f} s"


def test_the_version_is_the_projects():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert causalformula.__version__ == project["version"]
