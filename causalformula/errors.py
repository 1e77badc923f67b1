"""The errors and warnings of the package: each says what failed, where, and what to do."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from os.path import dirname, join
from typing import Any, TypeVar, cast


class CausalFormulaError(Exception):
    """Base of every error that the package raises on purpose."""


class FormulaError(CausalFormulaError):
    """The formula cannot be read, or names something that the data do not have.

    Parameters
    ----------
    message : str
        What is wrong and what to write instead.
    source : str, optional
        The whole formula text.
    span : tuple of int, optional
        Start and stop offsets in ``source``; carets are drawn under it.
    """

    def __init__(self, message: str, source: str | None = None, span: tuple[int, int] | None = None):
        self.message = message
        self.source = source
        self.span = span
        super().__init__(message)

    def __str__(self) -> str:
        if self.source is None or self.span is None:
            return self.message
        return f"{self.message}\n{caret(self.source, self.span)}"

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.message, self.source, self.span))


class GraphError(FormulaError):
    """The text of a graph cannot be read, or a node is named that the graph does not have."""


class DataError(CausalFormulaError, ValueError):
    """The data cannot answer the question: missing, infinite, constant or contradictory values."""


class OptionError(CausalFormulaError, ValueError):
    """An option is unknown, or its value is not among those allowed."""


class IdentificationError(CausalFormulaError):
    """The effect cannot be told apart from something else in these data."""


class CapabilityError(CausalFormulaError, NotImplementedError):
    """The method does not offer what was asked of it; the message names what does."""


class ConvergenceError(CausalFormulaError):
    """An iterative solution was not reached."""


class CausalFormulaWarning(UserWarning):
    """A condition worth reading that does not invalidate the result."""


class IdentificationWarning(CausalFormulaWarning):
    """A formula asks for what the graph says that it cannot give."""


_PACKAGE = join(dirname(__file__), "")


def warn(message: str, category: type[CausalFormulaWarning] = CausalFormulaWarning) -> None:
    """A ``CausalFormulaWarning`` that points at the caller's own line: the first frame outside the package."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


F = TypeVar("F", bound=Callable[..., Any])


def asks(function: F) -> F:
    """A public function, or class, whose call without what it needs says what that is.

    The traceback of Python's own says as little of an unknown keyword, or of too many arguments.
    """
    if isinstance(function, type):
        function.__init__ = asks(function.__init__)  # type: ignore[misc]
        return function

    @wraps(function)
    def call(*args: Any, **passed: Any) -> Any:
        try:
            return function(*args, **passed)
        except TypeError:
            if wrong := _wrong_call(function, args, passed):
                raise OptionError(wrong) from None
            raise

    return cast(F, call)


def _wrong_call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """What is wrong with the arguments by themselves, in words; empty where Python takes them."""
    asked = signature(function)
    try:
        asked.bind(*args, **kwargs)
    except TypeError as error:
        plain = str(error)
    else:
        return ""
    named = {name: one for name, one in asked.parameters.items() if name != "self"}
    name = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]
    name = function.__name__ if function.__name__ != "__init__" else name
    needed = {  # each as it is written
        key: f"{key}=" if one.kind is one.KEYWORD_ONLY else key
        for key, one in named.items()
        if one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    unknown = [key for key in kwargs if key not in named]
    if unknown and not any(one.kind is one.VAR_KEYWORD for one in named.values()):
        return f"{name}() has no argument {unknown[0]!r}{choose(unknown[0], named, 'it takes')}"
    placed = list(named)[: len(args) - ("self" in asked.parameters)]
    missing = [key for key in needed if key not in kwargs and key not in placed]
    if missing:
        more = ", ..." if len(named) > len(needed) else ""
        what = " and ".join(f"{key}{_kind(function, key)}" for key in missing)
        return f"{name}() is called without {what}: write {name}({', '.join(needed.values())}{more})"
    return f"{name}(): {plain}; " + (f"give the arguments by name: {', '.join(named)}" if named else "it takes none")


def _kind(function: Callable[..., Any], argument: str) -> str:
    """What the docstring says that an argument is."""
    found = re.search(rf"^ *{argument} : (.+)$", function.__doc__ or "", re.MULTILINE)
    return f" ({found[1]})" if found else ""


WIDTH = 100


def caret(source: str, span: tuple[int, int]) -> str:
    """Two indented lines: the source (cut to a window when long) and carets under ``span``."""
    flat = source.replace("\n", " ").replace("\t", " ")
    start, stop = span
    start = max(0, min(start, len(flat)))
    stop = max(start + 1, min(stop, len(flat) + 1))
    left = max(0, start - WIDTH // 2) if len(flat) > WIDTH else 0
    right = min(len(flat), left + WIDTH)
    shown = ("..." if left else "") + flat[left:right] + ("..." if right < len(flat) else "")
    pad = start - left + (3 if left else 0)
    length = max(1, min(stop, right) - start)
    return f"  {shown}\n  {' ' * pad}{'^' * length}"


def did_you_mean(word: str, allowed: Iterable[str], written: Callable[[str], str] = str, cutoff: float = 0.6) -> str:
    """``"; did you mean 'Drug'?"``, or an empty string when nothing is near; the name as ``written``."""
    names = {str(a).casefold(): str(a) for a in reversed(list(allowed))}
    names |= {name: name for name in names.values()}
    for spelling in (str(word), str(word).casefold()):
        near = get_close_matches(spelling, names, n=1, cutoff=cutoff)
        if near:
            return f"; did you mean {written(names[near[0]])!r}?"
    return ""


def choose(word: str, allowed: Iterable[str], lead: str = "choose from", meant: Mapping[str, str] | None = None) -> str:
    """The end of a message about an unknown name: the nearest one where there is one, then the allowed set.

    Where names that look alike ask different questions (``ATT`` and ``ATC``), ``meant`` holds other words for them, in
    small letters and without signs between, and nothing else is suggested but another spelling of the same word.
    """
    allowed = [str(a) for a in allowed]
    near = did_you_mean(word, allowed) if meant is None else same_word(word, allowed, meant)
    listed = f"{lead} {', '.join(allowed)}"
    return f"{near} {listed[0].upper()}{listed[1:]}" if near else f"; {listed}"


def same_word(word: str, allowed: Iterable[str], meant: Mapping[str, str]) -> str:
    """``"; did you mean 'ATC'?"`` where the word is another spelling of a name, or another word for it.

    Letters in another order, or one wrong among many, are a spelling too.
    """
    plain = {_plain(name): name for name in allowed} | dict(meant)
    found = plain.get(_plain(word))
    if found is None:
        sound = [key for key in plain if sorted(key) == sorted(_plain(word))]
        sound += get_close_matches(_plain(word), [key for key in plain if len(key) > 5], n=1, cutoff=0.88)
        found = plain[sound[0]] if sound else None
    return f"; did you mean {found!r}?" if found is not None else ""


def _plain(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalnum())


def counted(number: int, noun: str) -> str:
    """A number of things: ``1 row``, ``3 rows``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def some(items: Iterable[Any], most: int = 10) -> str:
    """At most ``most`` items as text, with the number of those left out."""
    items = list(items)
    text = ", ".join(str(i) for i in items[:most])
    return text + (f" and {len(items) - most} more" if len(items) > most else "")
