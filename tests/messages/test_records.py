"""A method of one's own: what its record may say, and that it takes no other method's place."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

import causalformula as cf
from causalformula.backends import kit, registry


@dataclass(frozen=True, kw_only=True)
class Mine(kit.Options):
    """Options of a method of one's own."""


@pytest.fixture(autouse=True)
def apart(monkeypatch):
    monkeypatch.setattr(registry, "RECORDS", dict(registry.RECORDS))


def record(**given):
    known = {"name": "mine", "options": Mine, "treatments": {kit.Kind.BINARY}, "estimands": (kit.ATE,)}
    return kit.Record(**(known | given))


def one(frame, options):
    """A method."""


def other(frame, options):
    """Another method."""


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"estimands": ("ATTT",)}, r"'mine' has an unknown word in estimands, 'ATTT'; did you mean 'ATT'\?"),
        ({"estimands": ()}, "names no estimand; there are ATE, ATT"),
        ({"roles": ("treat", "adjst")}, r"in roles, 'adjst'; did you mean 'adjust'\?.*modify"),
        ({"unread": {"colour": "it has none"}}, "in roles, 'colour'"),
        ({"default_for": ("tret",)}, r"in default_for, 'tret'; did you mean 'treat'\?"),
        ({"name": "my method"}, "the name of a method is a word, such as 'my_method', not 'my method'"),
    ],
)
def test_words_of_a_record(given, says):
    with pytest.raises(cf.OptionError, match=says):
        record(**given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "ipw"}, "method 'ipw' is there already, choose another name; there are .*ebal"),
        ({"aliases": ("weighting",)}, "method 'weighting' is there already"),
        ({"options": cf.IPW}, "IPW is the options of method 'ipw'"),
    ],
)
def test_no_method_is_overwritten(given, says):
    before = registry.find("ipw")
    with pytest.raises(cf.OptionError, match=says):
        record(**given)(one)
    assert registry.find("ipw") is before and "mine" not in registry.RECORDS


def test_the_package_s_own_are_known_before_any_is_filed(monkeypatch):
    """As in a fresh interpreter, where a method of one's own may be filed first."""
    own = {name: found for name, found in registry.RECORDS.items() if name != "mine"}
    monkeypatch.setattr(registry, "RECORDS", {})
    monkeypatch.setattr(registry, "load", lambda: registry.RECORDS.update(own))
    with pytest.raises(cf.OptionError, match="'ebal' is there already"):
        record(name="ebal")(one)


def test_a_cell_that_runs_again():
    record()(one)
    record(summary="anew")(one)
    assert registry.find("mine").summary == "anew"
    with pytest.raises(cf.OptionError, match="'mine' is there already"):
        record()(other)
