"""Docstrings of classes that take what their bases take: it is written once, and spelled out in each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc

SECTION = re.compile(r"(?<=^Parameters\n----------\n)(.*?)(?=^[A-Z][\w ]+\n-+\n|\Z)", re.MULTILINE | re.DOTALL)
# What stands before it says it shortly, what follows it belongs to the last of these parameters.
REFERENCE = re.compile(r".*\b[Aa]s in ``(\w+)``(.*)", re.DOTALL)


def spell_out(cls: type) -> None:
    """Write the parameters that a docstring describes by ``As in`` a base as the base describes them."""
    bases = {base.__name__: cleandoc(base.__doc__ or "") for base in cls.__mro__[1:]}
    text = cleandoc(cls.__doc__ or "")
    if any(f"s in ``{name}``" in text for name in bases):
        cls.__doc__ = SECTION.sub(lambda found: "".join(_written(found[1], bases)), text)


def _written(section: str, bases: dict[str, str]) -> Iterator[str]:
    for names, kind, body in _entries(section):
        found = REFERENCE.fullmatch(body)
        if found is None or found[1] not in bases:
            yield _entry(names, kind, body)
            continue
        inherited = [
            (kept, kind, body)
            for others, kind, body in _entries(_section(bases[found[1]]))
            if (kept := [name for name in others if name in names])
        ]
        for k, (kept, kind, body) in enumerate(inherited):
            yield _entry(kept, kind, body.rstrip(".") + found[2] if k == len(inherited) - 1 else body)


def _section(text: str) -> str:
    found = SECTION.search(text)
    return found[1] if found else ""


def _entries(section: str) -> Iterator[tuple[list[str], str, str]]:
    """Names, what they are, and what is said of them, of each parameter or group of them."""
    for head, body in re.findall(r"^(\w.*)\n((?:[ ]+.*\n?|\n)*)", section, re.MULTILINE):
        names, _, kind = head.partition(" : ")
        yield [name.strip() for name in names.split(",")], kind, body.rstrip()


def _entry(names: list[str], kind: str, body: str) -> str:
    return ", ".join(names) + (f" : {kind}" if kind else "") + f"\n{body}\n"
