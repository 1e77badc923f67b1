"""Re-run the R scripts beside this file and compare what they write with the committed values.

``python tests/parity/r/check.py [--update] [SCRIPT ...]``: each ``NAME.R`` is called as ``Rscript NAME.R OUTDIR`` and
writes ``OUTDIR/r_NAME.json``; the committed copy is ``tests/parity/values/r_NAME.json``. Files that start with ``_``
are helpers of other scripts. Numbers must agree to 1e-9, everything else exactly. Exit status 1 if anything differs;
a script whose R packages are not installed is reported and left out. ``--update`` replaces the committed values.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
VALUES = HERE.parent / "values"
RTOL = 1e-9
# Rounding noise: a covariance that is zero in exact arithmetic, say, beside entries of ordinary size.
NOISE = 1e-13
SECONDS = 300


def main() -> int:
    arguments = _arguments()
    failed = 0
    for script in arguments.scripts or sorted(path for path in HERE.glob("*.R") if not path.name.startswith("_")):
        with tempfile.TemporaryDirectory() as folder:
            failed += not check(Path(script).resolve(), Path(folder), arguments.update)
    return int(failed > 0)


def check(script: Path, folder: Path, update: bool) -> bool:
    """Run one script and compare or replace its values; whether all is well."""
    done = subprocess.run(
        ["Rscript", "--vanilla", str(script), str(folder)],
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0 and "there is no package called" in done.stderr:
        print(f"{script.name}: left out: {done.stderr.strip().splitlines()[-1].strip()}")
        return True
    made = folder / f"r_{script.stem}.json"
    if done.returncode != 0 or not made.exists():
        print(f"{script.name}: failed or wrote no {made.name}\n{done.stderr.strip()}")
        return False
    committed = VALUES / made.name
    if update:
        committed.write_bytes(made.read_bytes())
        print(f"{script.name}: {committed.name} written")
        return True
    if not committed.exists():
        print(f"{script.name}: there is no committed {committed.name}; make it with --update")
        return False
    return report(script, json.loads(made.read_text("utf-8")), json.loads(committed.read_text("utf-8")))


def report(script: Path, made: Any, committed: Any) -> bool:
    """Print the first differences; whether there are none."""
    changes = list(differences(made, committed))
    print(f"{script.name}: {f'{len(changes)} values differ' if changes else 'as committed'}")
    for change in changes[:10]:
        print(f"  {change}")
    return not changes


def differences(made: Any, committed: Any, at: str = "values", size: float = 0.0) -> Iterator[str]:
    """What differs, one line each; ``size`` is the largest number in the vector or matrix that these stand in."""
    if isinstance(made, dict) and isinstance(committed, dict) and made.keys() == committed.keys():
        size = _size(value for value in committed.values() if not _many(value))
        for key in committed:
            yield from differences(made[key], committed[key], f"{at}.{key}", 0.0 if _many(committed[key]) else size)
    elif isinstance(made, list) and isinstance(committed, list) and len(made) == len(committed):
        size = max(size, _size(committed))
        for place, (new, old) in enumerate(zip(made, committed, strict=True)):
            yield from differences(new, old, f"{at}[{place}]", size)
    elif _number(made) and _number(committed):
        limit = max(RTOL * max(abs(made), abs(committed)), NOISE * size)
        if made != committed and not abs(made - committed) <= limit:
            yield f"{at}: {made!r}, committed {committed!r}"
    elif made != committed:
        yield f"{at}: {_short(made)}, committed {_short(committed)}"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _many(value: Any) -> bool:
    return isinstance(value, list | dict)


def _size(values: Iterable[Any]) -> float:
    """The largest finite magnitude among these, the entries of lists (a matrix's rows) included."""
    magnitude = 0.0
    for value in values:
        if isinstance(value, list):
            magnitude = max(magnitude, _size(value))
        elif _number(value) and math.isfinite(value):
            magnitude = max(magnitude, abs(value))
    return magnitude


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "..."


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Re-run the R scripts and compare with the committed values.")
    parser.add_argument("--update", action="store_true", help="replace the committed values")
    parser.add_argument("scripts", nargs="*", help="scripts to run (default: all beside this file)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
