"""What the arguments of the command ask: texts as the keyword arguments of ``fit``, ``compare`` and ``screen``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from causalformula.backends.options import Options
from causalformula.backends.registry import find, read_options
from causalformula.errors import OptionError, choose
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import Request
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild

# Arguments of cf.fit that have a flag of their own, and those that a shell cannot give.
FLAGS = ("outcome", "method", "estimand", "contrast", "vcov", "family", "measure")
WITHHELD = {"formula": "the first argument", "data": "--data", "level": "--level", "env": "Python (it takes functions)"}
# Flags that complete a resampling covariance, or say how refits are drawn.
RESAMPLING = ("reps", "seed")


def arguments_of_fit(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the flags say, as keyword arguments of ``cf.fit``, with the method's own options."""
    asked = arguments_of_question(arguments)
    for text in arguments.option:
        name, value = _own_option(text, text)
        if name in asked:
            raise OptionError(f"--option {name} is given twice")
        asked[name] = value
    return asked


def arguments_of_question(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the flags of the question say; one that is not given leaves the default to the verb."""
    given = {name: getattr(arguments, name, None) for name in FLAGS}
    asked = {name: value for name, value in given.items() if value is not None}
    if "contrast" in asked:
        asked["contrast"] = contrast(asked["contrast"])
    given = {name: getattr(arguments, name, None) for name in RESAMPLING}
    resampling = {name: value for name, value in given.items() if value is not None}
    if resampling:
        asked["vcov"] = resampled(asked.get("vcov", ""), resampling)
    return asked


def _own_option(text: str, whole: str) -> tuple[str, Any]:
    """An option of a method, as ``option`` reads it; what has a flag of its own is refused."""
    name, value = option(text)
    if name in FLAGS or name in WITHHELD:
        raise OptionError(f"--option {whole}: {name} is given by {WITHHELD.get(name, '--' + name)}")
    return name, value


def compared_methods(text: str, options: Sequence[str]) -> list[str | Options]:
    """``"ipw, nearest"`` with ``["nearest.ratio=2"]`` as ``["ipw", cf.Nearest(ratio=2)]``.

    Raises
    ------
    OptionError
        For an option of no method that is compared, and one that the method does not take.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    given: dict[str, dict[str, Any]] = {}
    for whole in options:
        method, dot, rest = whole.partition(".")
        if not dot or method not in names:
            near = choose(method, names, "the methods are")
            raise OptionError(
                f"--option {whole}: write METHOD.name=value, as in --option {next(iter(names), 'ipw')}.name=2{near}"
            )
        name, value = _own_option(rest, whole)
        if name in given.setdefault(method, {}):
            raise OptionError(f"--option {method}.{name} is given twice")
        given[method][name] = value
    for name, own in given.items():
        read_options(name, own)  # an unknown one has its message
    return [find(name).options(**given[name]) if name in given else name for name in names]


def screened_columns(text: str, columns: Sequence[str]) -> list[str]:
    """Names, ``"a,b"``, of which ``drug*`` stands for all columns that it matches."""
    found: dict[str, None] = {}
    for name in (part.strip() for part in text.split(",") if part.strip()):
        many = (
            [column for column in columns if fnmatchcase(column, name)] if "*" in name and name not in columns else []
        )
        found |= dict.fromkeys(many or [name])
    return list(found)


def truth(text: str) -> Any:
    """A number, or several for several effects: ``"0, 0.5"``; or the column of the true effects of units."""
    values = [literal(part.strip()) for part in text.split(",")]
    return values[0] if len(values) == 1 else values


def resampled(vcov: str, given: Mapping[str, int]) -> Request:
    """The covariance request with the replicates and the seed of ``--reps`` and ``--seed``.

    Raises
    ------
    OptionError
        If that covariance draws nothing.
    """
    flags = " and ".join(f"--{name}" for name in given)
    request = read_request(vcov) if vcov else None
    if isinstance(request, Bootstrap | Wild):
        return replace(request, **given)  # type: ignore[arg-type]
    has = "no --vcov is given" if request is None else f"--vcov {vcov} draws nothing at random"
    if isinstance(request, Jackknife):
        has = "the jackknife leaves out each unit once"
    raise OptionError(f"{flags}: {has}; they go with --vcov bootstrap or --vcov wild")


def option(text: str) -> tuple[str, Any]:
    """``"ratio=2"`` as ``("ratio", 2)``.

    Raises
    ------
    OptionError
        If there is no ``=``, or what stands before it is not a name.
    """
    name, equals, value = text.partition("=")
    name = name.strip().replace(".", "_")
    if not equals or not name.isidentifier():
        raise OptionError(f"--option {text}: write name=value, as in --option ratio=2")
    return name, literal(value.strip())


SPOKEN = {"TRUE": True, "True": True, "FALSE": False, "False": False, "NULL": None, "None": None}


def literal(text: str) -> Any:
    """A value as JSON writes it (``2``, ``true``, ``"a"``, ``[1, 2]``, ``null``) or as R and Python do, else the text.

    Lists become tuples: ``[0.1, 0.9]``, ``(0.1, 0.9)``, and of numbers ``0.1,0.9`` too.
    """
    if text in SPOKEN:
        return SPOKEN[text]
    try:
        value = json.loads(text)
    except ValueError:
        return _unquoted(text)
    return tuple(value) if isinstance(value, list) else value


def _unquoted(text: str) -> Any:
    """What JSON does not know: ``.95`` and ``Inf``, lists without its brackets or quotes, text."""
    try:
        return float(text)
    except ValueError:
        enclosed = text[:1] + text[-1:] in ("()", "[]")
    if "," not in text:
        return text
    values = tuple(literal(part.strip()) for part in (text[1:-1] if enclosed else text).rstrip(", ").split(","))
    return values if enclosed or all(isinstance(value, int | float) for value in values) else text


def contrast(text: str) -> Any:
    """A contrast: a word (``pairwise``), a number for a dose, or two levels as ``"B, A"`` or ``["B", "A"]``."""
    value = literal(text)
    if not isinstance(value, str) or "," not in value:
        return value
    return tuple(literal(part.strip()) for part in value.strip("()").split(","))
