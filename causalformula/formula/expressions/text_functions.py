"""R's functions of text: they work on the distinct strings, not on the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from causalformula.errors import FormulaError
from causalformula.formula.expressions.signature import Dots, Function, flag, whole, word
from causalformula.formula.expressions.values import Logical, Matrix, Strings, Value, as_strings, kind, merged

# Factors are codes in R's unclass() and integers elsewhere, but text here: what a reader means by toupper(f).


def _text(x: Value, what: str) -> Strings:
    if isinstance(x, Matrix) or x is None:
        raise FormulaError(f"{what} needs one column, and this is {kind(x)}")
    return as_strings(x)


def _mapped(x: Value, what: str, function: Callable[[str], str]) -> Strings:
    text = _text(x, what)
    return merged(text.codes, [function(v) for v in text.table])


def _plain(name: str, function: Callable[[str], str]) -> Function:
    return Function(name, ("x",), lambda x: _mapped(x, f"{name}()", function))


def _paste(dots: Dots, sep: Value = None, collapse: Value = None) -> Strings:
    return _pasted(dots, " " if sep is None else word(sep, "sep"), collapse, "paste()")


def _paste0(dots: Dots, collapse: Value = None) -> Strings:
    return _pasted(dots, "", collapse, "paste0()")


def _pasted(dots: Dots, sep: str, collapse: Value, what: str) -> Strings:
    """Row by row; a row in which any part is missing stays missing."""
    if collapse is not None:
        raise FormulaError(f"{what} with collapse= makes one string of all rows, which is no column")
    parts = [_text(v, what) for _, v in dots if v is not None]
    if not parts:
        raise FormulaError(f"{what} needs at least one argument")
    out = parts[0]
    for part in parts[1:]:
        out = _joined(out, part, sep, what)
    return out


def _joined(left: Strings, right: Strings, sep: str, what: str) -> Strings:
    if len(left.codes) != len(right.codes) and 1 not in (len(left.codes), len(right.codes)):
        raise FormulaError(f"the arguments of {what} have {len(left.codes)} and {len(right.codes)} values")
    a, b = np.broadcast_arrays(left.codes.astype(np.int64), right.codes.astype(np.int64))
    joint = np.where((a < 0) | (b < 0), -1, a * max(len(right.table), 1) + b)
    distinct, codes = np.unique(joint, return_inverse=True)
    gone = len(distinct) > 0 and distinct[0] < 0
    pairs = (divmod(int(c), len(right.table)) for c in distinct[int(gone) :])
    return merged(codes.astype(np.int32) - int(gone), [left.table[i] + sep + right.table[j] for i, j in pairs])


def _substr(x: Value, start: Value, stop: Value) -> Strings:
    first, last = max(whole(start, "start"), 1), whole(stop, "stop")
    return _mapped(x, "substr()", lambda v: v[first - 1 : max(last, 0)])


def _substring(text: Value, first: Value, last: Value = None) -> Strings:
    begin, end = max(whole(first, "first"), 1), None if last is None else max(whole(last, "last"), 0)
    return _mapped(text, "substring()", lambda v: v[begin - 1 : end])


def _trimws(x: Value, which: Value = None) -> Strings:
    side = "both" if which is None else word(which, "which")
    strips: dict[str, Callable[[str], str]] = {
        "both": lambda v: v.strip(" \t\r\n"),
        "left": lambda v: v.lstrip(" \t\r\n"),
        "right": lambda v: v.rstrip(" \t\r\n"),
    }
    if side not in strips:
        raise FormulaError(f"which must be {', '.join(strips)}, not {side!r}")
    return _mapped(x, "trimws()", strips[side])


def _found(x: Value, what: str, test: Callable[[str], bool], missing: bool) -> Logical:
    text = _text(x, what)
    found = np.array([*(test(v) for v in text.table), False], dtype=bool)[text.codes]
    return Logical.of(found, text.codes < 0 if missing else None)


def _starts_with(x: Value, prefix: Value) -> Logical:
    start = word(prefix, "prefix")
    return _found(x, "startsWith()", lambda v: v.startswith(start), True)


def _ends_with(x: Value, suffix: Value) -> Logical:
    end = word(suffix, "suffix")
    return _found(x, "endsWith()", lambda v: v.endswith(end), True)


def _fixed_only(fixed: Any, what: str) -> None:
    """A pattern from a stranger could take for ever to match; plain text cannot."""
    if not flag(fixed, "fixed"):
        raise FormulaError(
            f"{what} looks for plain text only: say fixed = TRUE (there are no regular expressions here)"
        )


def _grepl(pattern: Value, x: Value, fixed: Any = False) -> Logical:
    _fixed_only(fixed, "grepl()")
    part = word(pattern, "pattern")
    return _found(x, "grepl()", lambda v: part in v, False)


def _replacing(name: str, most: int) -> Function:
    def run(pattern: Value, replacement: Value, x: Value, fixed: Any = False) -> Strings:
        _fixed_only(fixed, f"{name}()")
        old, new = word(pattern, "pattern"), word(replacement, "replacement")
        if not old:
            raise FormulaError(f"the pattern of {name}() is empty")
        return _mapped(x, f"{name}()", lambda v: v.replace(old, new, most))

    return Function(name, ("pattern", "replacement", "x", "fixed"), run)


def _nchar(x: Value) -> Value:
    text = _text(x, "nchar()")
    return np.array([*(float(len(v)) for v in text.table), np.nan])[text.codes]


TEXT = (
    _plain("tolower", str.lower),
    _plain("toupper", str.upper),
    Function("nchar", ("x",), _nchar),
    Function("paste", ("...", "sep", "collapse"), _paste, tags=True),
    Function("paste0", ("...", "collapse"), _paste0, tags=True),
    Function("substr", ("x", "start", "stop"), _substr),
    Function("substring", ("text", "first", "last"), _substring),
    Function("trimws", ("x", "which"), _trimws),
    Function("startsWith", ("x", "prefix"), _starts_with),
    Function("endsWith", ("x", "suffix"), _ends_with),
    Function("grepl", ("pattern", "x", "fixed"), _grepl),
    _replacing("sub", 1),
    _replacing("gsub", -1),
)
