"""The method that the vignette writes, run from its page: the laws hold for it as for any other."""

from __future__ import annotations

import sys
from types import ModuleType

from causalformula.backends import registry
from causalformula.backends.registry import Record
from tests.vignettes import ROOT

PAGE = ROOT / "vignettes" / "00-how-an-estimate-works.md"
MARK = "<!-- a method of your own -->\n```python\n"
MOST_LINES = 30


def code() -> str:
    """The code of the page."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[2].partition("\n```")[0]


def filed() -> Record:
    """Its record, filed by running the page's code as a module (so that its results pickle)."""
    if "augmented" not in registry.RECORDS:
        module = ModuleType("tests.laws.augmented")
        sys.modules[module.__name__] = module
        exec(compile(code(), str(PAGE), "exec"), vars(module))
    return registry.RECORDS["augmented"]
