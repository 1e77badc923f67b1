"""The public names and their signatures, as text: ``python -m tests.contract.public`` writes the list anew."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import causalformula as cf

LIST = Path(__file__).with_name("public_names.txt")


def described(name: str, value: Any) -> Iterator[str]:
    """Lines of one public name: a function's signature, a class's with those of its public members."""
    if inspect.isclass(value):
        yield f"{name}{signature(value)}"
        for member in sorted(dir(value)):
            owner = next((each for each in value.__mro__ if member in vars(each)), value)
            if owner.__module__.startswith("sklearn"):  # which has other members in other releases
                continue
            if not member.startswith("_") and not issubclass(value, Exception):
                found = inspect.getattr_static(value, member)
                yield f"{name}.{member}{signature(getattr(value, member)) if callable(found) else ''}"
    elif callable(value):
        yield f"{name}{signature(value)}"
    else:
        yield name


def signature(value: Any) -> str:
    """Names, kinds and defaults of the parameters; annotations may be spelled otherwise."""
    try:
        found = inspect.signature(value)
    except ValueError:
        return "(...)"
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in found.parameters.values()]
    return str(found.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def public() -> list[str]:
    """All of them: what the package names, and the classes of its results."""
    named = {name: getattr(cf, name) for name in dir(cf) if not name.startswith("_")}
    return [line for name, value in sorted(named.items()) for line in described(name, value)]


if __name__ == "__main__":
    LIST.write_text("\n".join(public()) + "\n", encoding="utf-8")
