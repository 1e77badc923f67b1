"""The public names and their signatures are those of the list, and every documented path can be imported."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import causalformula as cf
from tests.contract.public import LIST, public

ROOT = Path(__file__).resolve().parents[2]


def test_names_and_signatures():
    """A change is written down by ``python -m tests.contract.public``, and in the changelog."""
    kept, found = LIST.read_text(encoding="utf-8").splitlines(), public()
    assert found == kept, f"gone: {sorted(set(kept) - set(found))}; new: {sorted(set(found) - set(kept))}"


def test_every_module_can_be_imported_alone():
    for module in pkgutil.walk_packages(cf.__path__, "causalformula."):
        importlib.import_module(module.name)


def test_documented_paths_exist():
    for document in [ROOT / "README.md", *(ROOT / "vignettes").glob("*.md")]:
        for module, names in re.findall(
            r"^from (causalformula[\w.]*) import ([\w, ]+)", document.read_text("utf-8"), re.M
        ):
            for name in names.split(","):
                source = importlib.import_module(module)
                assert hasattr(source, name.strip()) or importlib.import_module(f"{module}.{name.strip()}")


def test_no_module_hides_a_public_function():
    """``import causalformula.x`` binds x to the package: no public function may have that name."""
    top = {module.name.removeprefix("causalformula.") for module in pkgutil.iter_modules(cf.__path__, "causalformula.")}
    assert not {name for name in cf.__all__ if callable(getattr(cf, name))} & top
