"""From formula text to tokens: R's lexical rules, and a plain message for everything that is not a formula."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from causalformula.errors import FormulaError
from causalformula.formula.language.syntax import Span

MAX_CHARACTERS = 20_000

RESERVED = frozenset(["if", "else", "repeat", "while", "function", "for", "next", "break", "in"])
CONSTANTS = frozenset(["TRUE", "FALSE", "NULL", "NA", "Inf", "NaN"])

OPERATORS = ("**", "==", "!=", "<=", ">=", *"+-*/^:~!&|<>(),=[]")

# What R, Python or fixest would read here and a formula does not have. Tried before OPERATORS.
FOREIGN = {
    "<<-": "assignment",
    "->>": "assignment",
    "<-": "assignment (for 'less than minus' put a blank between: `a < -b`)",
    "->": "assignment",
    ":=": "assignment",
    ":::": "reaching into packages; write the function's name alone",
    "::": "reaching into packages; write the function's name alone",
    "&&": "`&&`; write `&`",
    "||": "`||`; write `|`",
    "|>": "pipes",
    "//": "`//`; write `%/%`",
    "$": "reaching into objects; write the column's name alone",
    "@": "reaching into objects; write the column's name alone",
    "{": "blocks of code",
    "}": "blocks of code",
    ";": "several statements",
    "\\": "functions of its own; pass them in env=",
    "?": "`?`",
}

# Python's spellings of what R writes otherwise; a column of that name needs backquotes.
PYTHON = {
    "True": "here it is TRUE",
    "False": "here it is FALSE",
    "None": "here it is NULL",
    "lambda": "a function of your own is passed in env=, and a column of that name is written `lambda`",
}

_ESCAPES = dict(zip("nrtabfv\\\"'` \n", "\n\r\t\a\b\f\v\\\"'` \n", strict=True))


def _longest_first(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))


_FOREIGN = _longest_first(FOREIGN)
_OPERATOR = _longest_first(OPERATORS)
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+(?:[pP][+-]?\d+)?|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(L?)(i?)", re.ASCII)
_BLANK = re.compile(r"[ \t\r\n\f\u00a0]+|#[^\n]*")
_DUNDER = re.compile(r"__\w+__")
# lme4's bars in `(x || g)`: effects of a group that are not correlated.
_BARS = re.compile(r"\|\|\s*([\w.]+)")
_SPECIAL = re.compile(r"%[^%\n]*%")
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{1,2})|u\{?([0-9a-fA-F]{1,4})\}?|U\{?([0-9a-fA-F]{1,8})\}?|([0-7]{1,3})|(.))", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind (``number integer string constant name quoted op end``), value and place."""

    kind: str
    value: str
    span: Span


def tokenize(text: str) -> list[Token]:
    """Tokens of a formula, closed by one of kind ``end``.

    Raises
    ------
    FormulaError
        When the text is not a string, is too long, or holds a character or an operator that formulas do not have.
    """
    if not isinstance(text, str):
        raise FormulaError(f"a formula is text, not {type(text).__name__}: write it in quotes")
    if len(text) > MAX_CHARACTERS:
        raise FormulaError(f"the formula has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read")
    return [*_scan(text), Token("end", "", (len(text), len(text) + 1))]


def _scan(text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        blank = _BLANK.match(text, at)
        if blank:
            at = blank.end()
            continue
        token = _token(text, at)
        yield token
        at = token.span[1]


def _token(text: str, at: int) -> Token:
    head = text[at]
    if head.isdecimal() or (head == "." and text[at + 1 : at + 2].isdecimal()):
        return _number(text, at)
    if head == "." or (head != "_" and head.isidentifier()):
        return _word(text, at)
    if head in "'\"`":
        return _quoted(text, at)
    if head == "%":
        return _special(text, at)
    return _operator(text, at)


def _number(text: str, at: int) -> Token:
    match = _NUMBER.match(text, at)
    if match is None or match[3]:
        raise FormulaError("not a number that formulas know", text, (at, match.end() if match else at + 1))
    stop = match.end()
    if stop < len(text) and _continues(text[stop]):
        raise FormulaError("a name cannot start with a digit; put it in backquotes", text, (at, _run(text, stop)))
    return Token("integer" if match[2] else "number", match[1], (at, stop))


def _word(text: str, at: int) -> Token:
    stop = _run(text, at)
    word = text[at:stop]
    if word in RESERVED:
        message = f"{word!r} is a reserved word of R; a column of that name is written `{word}`, in backquotes"
        raise FormulaError(message, text, (at, stop))
    if word in PYTHON:
        raise FormulaError(f"{word} is Python's; {PYTHON[word]}", text, (at, stop))
    if _DUNDER.search(word):
        raise FormulaError("formulas have no attributes; a column of that name is put in backquotes", text, (at, stop))
    if text[stop : stop + 1] in ("'", '"'):
        raise FormulaError("a quoted string follows a name; strings have no prefix here", text, (at, stop + 1))
    return Token("constant" if word in CONSTANTS else "name", word, (at, stop))


def _run(text: str, at: int) -> int:
    """Where the letters, digits, dots and underscores that start at ``at`` end."""
    while at < len(text) and _continues(text[at]):
        at += 1
    return at


def _continues(character: str) -> bool:
    # Letters, digits and combining marks of any script, as Unicode's identifiers have them.
    return character == "." or ("a" + character).isidentifier()


def _quoted(text: str, at: int) -> Token:
    quote, stop = text[at], at + 1
    while stop < len(text) and text[stop] != quote:
        stop += 2 if text[stop] == "\\" else 1
    if stop >= len(text):
        raise FormulaError(f"the {quote} that opens here is never closed", text, (at, at + 1))
    value = _ESCAPE.sub(_unescape(text, at), text[at + 1 : stop])
    if "\0" in value:
        raise FormulaError("a null character", text, (at, stop + 1))
    if quote == "`" and not value:
        raise FormulaError("an empty name", text, (at, stop + 1))
    return Token("quoted" if quote == "`" else "string", value, (at, stop + 1))


def _unescape(text: str, at: int) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        span = (at + 1 + match.start(), at + 1 + match.end())
        digits = match[1] or match[2] or match[3]
        code = int(digits, 16) if digits else int(match[4], 8) if match[4] else None
        if code is None:
            if match[5] not in _ESCAPES:
                raise FormulaError(f"unknown escape {match[0]} in a quoted string", text, span)
            return _ESCAPES[match[5]]
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise FormulaError(f"{match[0]} is not a character", text, span)
        return chr(code)

    return replace


def _special(text: str, at: int) -> Token:
    match = _SPECIAL.match(text, at)
    if match is None:
        raise FormulaError("a `%` without its partner; the operators are %in%, %% and %/%", text, (at, at + 1))
    return Token("op", match[0], match.span())


def _operator(text: str, at: int) -> Token:
    foreign = _FOREIGN.match(text, at)
    if foreign:
        groups = _BARS.match(text, at)
        if groups and (opening := _bracket(text, at)) is not None:
            within = text[opening + 1 : groups.end()].strip()
            alone = re.match(r"[01]\s*\|", within)
            either = "" if alone else f". The logical 'or' is I({within.replace('||', '|')})"
            raise FormulaError(random_effect(within, groups[1]) + either, text, foreign.span())
        raise FormulaError(f"formulas have no {FOREIGN[foreign[0]]}", text, foreign.span())
    match = _OPERATOR.match(text, at)
    if match:
        return Token("op", "^" if match[0] == "**" else match[0], match.span())
    if text[at] == "_":
        raise FormulaError("a name cannot start with an underscore; put it in backquotes", text, (at, _run(text, at)))
    raise FormulaError(f"unexpected character {text[at]!r}", text, (at, at + 1))


def _bracket(text: str, at: int) -> int | None:
    """Where the parenthesis stands that is open at ``at``; None where there is none, or it is a function's."""
    depth = 0
    for place in range(at - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(text[place], 0)
        if depth < 0:
            before = text[:place].rstrip()
            return None if before and (_continues(before[-1]) or before[-1] == "`") else place
    return None


def random_effect(text: str, groups: str) -> str:
    """What is said of ``(x | g)`` and ``(x || g)``."""
    return (
        f"({text}) reads as a random effect, as lme4 writes it, and there are no mixed models here; for units that are "
        f"alike within groups cluster the standard errors, vcov='~{groups}', and write factor({groups}) among the "
        "terms for few groups"
    )
