"""Modules import one way inside every folder too, and at their top: all imports count, wherever they stand."""

from __future__ import annotations

import ast
from pathlib import Path

import networkx as nx
import pytest

from tests.architecture.each import each
from tests.architecture.test_imports import PACKAGE, imports, internal, modules, name_of, parsed

# Imports of our own modules inside functions, each with the reason.
INSIDE_FUNCTIONS = {
    ("causalformula", "causalformula.errors"): "the names of the package are offered only where one is misspelt",
    (
        "causalformula.backends.learning.table",
        "causalformula.backends.learning.rigorous",
    ): "its classes are scikit-learn's, which is imported where a learner is made",
    (
        "causalformula.results.arithmetic",
        "causalformula.results.combined",
    ): "a difference of models is a Result, and both have these operators",
    (
        "causalformula.backends.learning.table",
        "causalformula.backends.learning.own",
    ): "its classes derive from scikit-learn's, which is imported only where something is learned",
    (
        "causalformula.scores.held_out",
        "causalformula.estimators.effects",
    ): "its class derives from scikit-learn's, which is imported only where something is scored",
}
# Folders of results, the lower first; the modules beside them are the faces, which use all of them.
RESULTS = ("text", "reading", "models", "designs", "effects", "checks", "joint", "families")
MOST_MODULES = 25
FACES = {
    "causalformula.results.model": "Model",
    "causalformula.results.result": "Result",
    "causalformula.results.design": "Design",
    "causalformula.frame.model_frame": "ModelFrame",
}
MOST_LINES = 200


def graph() -> nx.DiGraph:
    """Who imports whom, imports inside functions and type checks counted, but for the allowed ones."""
    found = nx.DiGraph()
    for path in modules():
        here = name_of(path)
        edges = ((here, module) for _, module in internal(path) if module != here)
        found.add_edges_from(edge for edge in edges if edge not in INSIDE_FUNCTIONS)
    return found


def test_no_circles():
    circles = [sorted(part) for part in nx.strongly_connected_components(graph()) if len(part) > 1]
    assert not circles, f"these import each other: {circles}"


def test_a_circle_would_be_seen():
    found = graph()
    found.add_edge("causalformula.results.models.core", "causalformula.results.model")
    assert any(len(part) > 1 for part in nx.strongly_connected_components(found))


def inside_functions(path: Path) -> set[str]:
    """Our own modules that a module imports inside functions."""
    nodes = ast.walk(parsed(path))
    spans = [(f.lineno, f.end_lineno or 0) for f in nodes if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = {(line, module) for line, module in imports(path) if module.split(".")[0] == "causalformula"}
    return {module for line, module in found if any(start < line <= end for start, end in spans)}


@each([*modules(), PACKAGE / "__init__.py"], name_of)
def test_imports_stand_at_the_top(path):
    here = name_of(path)
    extra = sorted(module for module in inside_functions(path) if (here, module) not in INSIDE_FUNCTIONS)
    assert not extra, f"{here} imports {extra} inside a function: move down what they share"


def test_the_allowed_ones_are_used():
    paths = {name_of(path): path for path in [*modules(), PACKAGE / "__init__.py"]}
    unused = [(here, module) for here, module in INSIDE_FUNCTIONS if module not in inside_functions(paths[here])]
    assert not unused


def test_the_folders_of_results_stand_one_above_the_other():
    rank = {f"causalformula.results.{name}": place for place, name in enumerate(RESULTS)}
    for path in modules():
        folder = name_of(path).rpartition(".")[0]
        if folder not in rank or folder.endswith("families"):
            continue
        for line, module in internal(path):
            other = module.rpartition(".")[0]
            assert other not in rank or rank[other] <= rank[folder], (
                f"{path}:{line} imports {module}, which is above it"
            )


def test_folders_are_small():
    for folder in {path.parent for path in modules() if "results" in path.parts}:
        count = len(list(folder.glob("*.py")))
        assert count <= MOST_MODULES, f"{folder} holds {count} modules"


def code_lines(path: Path, name: str) -> int:
    """Lines of a class without docstrings, comments and blank lines."""
    text = path.read_text(encoding="utf-8")
    (node,) = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ClassDef) and n.name == name]
    documented = set()
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(part) is not None:
            documented |= set(range(part.body[0].lineno, (part.body[0].end_lineno or 0) + 1))
    lines = list(enumerate(text.splitlines(), 1))[node.lineno - 1 : node.end_lineno]
    return sum(bool(line.strip()) and not line.strip().startswith("#") and k not in documented for k, line in lines)


@pytest.mark.parametrize("module", FACES)
def test_the_faces_are_short(module):
    path = PACKAGE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    assert code_lines(path, FACES[module]) < MOST_LINES
