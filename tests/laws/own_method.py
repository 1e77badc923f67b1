"""The method that the vignette writes, run from its page: the laws hold for it as for any other.

Importing this module runs the page's code in it, as if it stood here, which files the method's record.
"""

from __future__ import annotations

from causalformula.backends import registry
from causalformula.backends.registry import Record
from tests.vignettes import ROOT

PAGE = ROOT / "vignettes" / "00-how-an-estimate-works.md"
MARK = "<!-- a method of your own -->\n```python\n"
MOST_LINES = 30


def code() -> str:
    """The code of the page."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[2].partition("\n```")[0]


exec(compile(code(), str(PAGE), "exec"), globals())
_RECORD = registry.RECORDS["augmented"]


def filed() -> Record:
    """Its record, filed again where a page has taken it out."""
    return registry.RECORDS.setdefault("augmented", _RECORD)
