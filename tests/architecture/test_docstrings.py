"""Docstrings of what is public: every parameter, what comes back, what is raised, and nothing that is not there."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from pathlib import Path

import causalformula as cf
from tests.architecture.each import each

API = Path(__file__).resolve().parents[2] / "docs" / "api" / "index.rst"
SECTION = r"^{}\n-+\n(.*?)(?=^[A-Z]\w+\n-+\n|\Z)"


def listed():
    """Paths of the API reference."""
    return re.findall(r"^   ([\w.]+)$", API.read_text(encoding="utf-8"), re.MULTILINE)


def members(path, value):
    """A function, or a class with its public methods and properties; of a module the functions that are its own."""
    if inspect.ismodule(value):
        found = ((name, getattr(value, name)) for name in value.__all__)
        yield from ((f"{path}.{name}", function) for name, function in found if inspect.isfunction(function))
        return
    yield path, value
    if not inspect.isclass(value) or issubclass(value, Exception):
        return
    fields = getattr(value, "__dataclass_fields__", {})
    for name in (name for name in dir(value) if not name.startswith("_") and name not in fields):
        found = inspect.getattr_static(value, name)
        found = found.__func__ if isinstance(found, staticmethod | classmethod) else found
        own = inspect.getmodule(found.fget if isinstance(found, property) else found)
        if own is not None and own.__name__.startswith(("sklearn", "pandas")):  # documented there
            continue
        if inspect.isfunction(found) or isinstance(found, property):
            yield f"{path}.{name}", found


def section(value, name):
    """The text of a section of a docstring, None without one; a class has its own docstring, not its base's."""
    text = inspect.cleandoc(value.__doc__ or "")
    found = re.search(SECTION.format(name), text, re.MULTILINE | re.DOTALL)
    return None if found is None else found[1]


def documented(value, name="Parameters"):
    """Names in a section."""
    heads = [line.split(" : ")[0] for line in (section(value, name) or "").splitlines() if re.match(r"[\w*]", line)]
    return [part.strip().lstrip("*") for head in heads for part in head.split(",")]


def taken(value):
    """Names of a callable's parameters, but for those that catch what is refused."""
    return [name for name in inspect.signature(value).parameters if name not in ("self", "cls", "refused")]


PUBLIC = dict(pair for path in listed() for pair in members(path, pkgutil.resolve_name(f"causalformula.{path}")))
CALLED = {path: f for path, f in PUBLIC.items() if inspect.isfunction(f) and taken(f)}
MADE = {
    path: c
    for path, c in PUBLIC.items()
    if inspect.isclass(c) and path in cf.__all__ and "Parameters" in (c.__doc__ or "")
}


@each(PUBLIC)
def test_there_is_a_docstring(path):
    assert inspect.getdoc(PUBLIC[path])


@each([*CALLED, *MADE])
def test_every_parameter_is_described(path):
    value = PUBLIC[path]
    assert set(taken(value)) - set(documented(value)) == set()


@each(CALLED)
def test_what_comes_back_is_said(path):
    value = CALLED[path]
    nothing = inspect.signature(value).return_annotation in ("None", "NoReturn")
    assert nothing or section(value, "Returns") or section(value, "Yields")


@each(PUBLIC)
def test_what_is_raised_is_said(path):
    value = PUBLIC[path]
    function = value.fget if isinstance(value, property) else value
    if not inspect.isfunction(function):
        return
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    if path in cf.__all__ or any(isinstance(node, ast.Raise) for node in ast.walk(tree)):
        assert section(value, "Raises")


@each([m.name for m in pkgutil.walk_packages(cf.__path__, "causalformula.")])
def test_nothing_is_described_that_is_not_there(module):
    found = importlib.import_module(module)
    own = [value for value in vars(found).values() if getattr(value, "__module__", None) == module]
    for value in own:
        for path, part in members(value.__qualname__, value) if inspect.isclass(value) else [("", value)]:
            if not callable(part) or not documented(part):
                continue
            there = {*inspect.signature(part).parameters, *getattr(part, "__dataclass_fields__", {})}
            assert set(documented(part)) <= there, f"{path or part.__qualname__}: {set(documented(part)) - there}"


@each(MADE)
def test_a_description_leads_to_what_is_public(path):
    """``As in X`` and ``see X`` name what a reader can ask ``help()`` for."""
    named = set(re.findall(r"(?:[Aa]s in|[Ss]ee) ``(?:cf\.)?([A-Za-z]\w+)``", MADE[path].__doc__))
    assert named <= set(cf.__all__)


def test_parameters_of_a_base_are_spelled_out():
    text = cf.AIPW.__doc__
    assert 'outcome_model, treatment_model : str or estimator\n    ``"glm"``, the formula\'s regressions;' in text
    assert "folds : int, str, list of str or array\n    How many folds" in text and "link : str" in text
    assert cf.TMLE.__doc__.count("bounds : pair") == 1 and "Where not given from" in cf.TMLE.__doc__
    assert 'discard : str, optional\n    ``"treated"``' in cf.Nearest.__doc__
    assert "unconditional : bool\n    Add the sampling term" in cf.HC.__doc__
    assert cf.Jackknife.__doc__.count("; refits have the latter in any case") == 1


def test_classes_of_options_and_covariances_are_among_them():
    assert {"IPW", "DiD", "HC", "Bootstrap", "Wild"} <= set(MADE)
    assert len(CALLED) > 60
