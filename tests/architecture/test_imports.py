"""Imports go one way, arrays stay below frames, and a backend never knows another backend."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.architecture.each import each

PACKAGE = Path(__file__).resolve().parents[2] / "causalformula"
LAYERS = (
    "errors",
    "numerics",
    "inference",
    "formula",
    "graphs",
    "frame",
    "backends",
    "diagnostics",
    "plots",
    "scale",
    "results",
    "verbs",
    "estimators",
    "scores",
    "shell",
    "cli",
)
RANK = {layer: rank for rank, layer in enumerate(LAYERS)}
# A leaf: it may use errors only, and anything above errors may use it.
RANK["datasets"] = RANK["errors"] + 0.5
# Types of closed sets of words, which import nothing.
RANK["words"] = RANK["errors"]
# What is done to docstrings, which imports nothing of ours either.
RANK["descriptions"] = RANK["errors"]
ARRAYS_ONLY = ("numerics", "inference")
FRAME_LIBRARIES = {"pandas", "polars", "pyarrow", "narwhals", "formulaic", "patsy"}
LENGTH_WARNED, LENGTH_REFUSED = 450, 700


def modules() -> list[Path]:
    """Every module of the package but its top, which re-exports from everywhere."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def name_of(path: Path) -> str:
    parts = ("causalformula", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parsed(path: Path) -> ast.Module:
    """A module's tree, read once."""
    return ast.parse(path.read_text(encoding="utf-8"))


def layer_of(module: str) -> str:
    return module.split(".")[1]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import in a module, those inside functions and type checks too."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path).rpartition(".")[0]
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, resolved(base, alias.name)


def resolved(base: str, name: str) -> str:
    """``from base import name``: the submodule if there is one, else ``base``."""
    if base.split(".")[0] != "causalformula":
        return base
    path = PACKAGE.joinpath(*base.split(".")[1:], name)
    return f"{base}.{name}" if path.is_dir() or path.with_suffix(".py").exists() else base


def internal(path: Path) -> Iterator[tuple[int, str]]:
    return ((line, module) for line, module in imports(path) if module.split(".")[0] == "causalformula")


def is_backend(path: Path) -> bool:
    """Whether a module files a record: a function decorated with ``@Record(...)``."""
    tree = parsed(path)
    decorators = (
        decorator.func if isinstance(decorator, ast.Call) else decorator
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
    )
    return any(ast.unparse(decorator).split(".")[-1] == "Record" for decorator in decorators)


def family(module: str) -> str:
    """The module or folder right under ``causalformula.backends``."""
    return ".".join(module.split(".")[:3])


every_module = each(modules(), name_of)


@every_module
def test_every_module_has_a_layer(path):
    assert layer_of(name_of(path)) in RANK, "file it under a layer of the design, or add the layer to the design"


@every_module
def test_imports_go_one_way(path):
    here = RANK[layer_of(name_of(path))]
    for line, module in internal(path):
        if module == "causalformula":
            assert path.stem == "cli", f"{path}:{line} imports the top of the package, which imports everything"
        elif layer_of(module) != layer_of(name_of(path)):
            assert RANK[layer_of(module)] < here, f"{path}:{line} imports {module}, which stands above it"


@every_module
def test_arrays_stay_below_frames(path):
    if layer_of(name_of(path)) in ARRAYS_ONLY:
        for line, module in imports(path):
            assert module.split(".")[0] not in FRAME_LIBRARIES, f"{path}:{line} imports {module}: arrays only here"


def test_a_backend_never_imports_another():
    paths = [path for path in modules() if layer_of(name_of(path)) == "backends"]
    backends = {family(name_of(path)) for path in paths if is_backend(path)} - {"causalformula.backends"}
    for path in paths:
        here = family(name_of(path))
        if here == "causalformula.backends":
            continue  # the folder's own __init__ imports each of them so that they are registered
        for line, module in internal(path):
            other = family(module)
            assert other == here or other not in backends, (
                f"{path}:{line}: the backend {here} imports the backend {other}; move down what they share"
            )


@every_module
def test_no_keywords_pass_unread_below_fit(path):
    """An unknown option must be an error, which ``**kwargs`` would swallow.

    A private function may take ``**_``: an entry of a table whose entries have one signature. ``**refused`` names what
    is refused, each with the place where it belongs, ``**passed`` goes on to the function that it wraps, and
    ``**options`` to the entry of a table, which is asked first whether it has them.
    """
    if RANK[layer_of(name_of(path))] >= RANK["verbs"]:
        return
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.Lambda) and node.args.kwarg:
            entry = getattr(node, "name", "_").startswith("_") and node.args.kwarg.arg == "_"
            told = node.args.kwarg.arg in ("refused", "passed", "options")
            assert entry or told, f"{path}:{node.lineno} takes **{node.args.kwarg.arg}"


@every_module
def test_modules_are_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LENGTH_REFUSED, f"{path} has {lines} lines: split it"
    if lines > LENGTH_WARNED:
        warnings.warn(f"{path.name} has {lines} lines; the design asks for under 400", stacklevel=1)


@every_module
def test_every_module_says_what_it_is(path):
    assert ast.get_docstring(parsed(path)), f"{path} has no docstring"
