"""Covariance requests as text: the strings that are short for the objects, both ways."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from causalformula.errors import OptionError, choose
from causalformula.inference.requests import (
    HAC,
    HC,
    HC_TYPES,
    Asympt,
    Bootstrap,
    Classical,
    Cluster,
    DriscollKraay,
    Given,
    Jackknife,
    Later,
    Request,
    Wild,
)

NAMES = (
    "classical",
    *HC_TYPES,
    "asympt",
    "bootstrap",
    "jackknife",
    "wild",
    "~g",
    "CR0 ~ g ... CR3 ~ g",
    "wild ~ g",
    "NeweyWest",
    "NeweyWest(4) ~ time",
    "Andrews",
    "DriscollKraay ~ time",
)
_CLUSTER = re.compile(r"^\s*(?P<type>CR\w*)?\s*~\s*(?P<by>.+)$")
_RESAMPLED = re.compile(r"^(?P<kind>bootstrap|jackknife|wild)(\s*~\s*(`(?P<quoted>[^`]+)`|(?P<by>[\w.]+)))?$")
_NAME = re.compile(r"`([^`]+)`|([^\s+`]+)")
_SERIAL = re.compile(
    r"^(?P<type>NeweyWest|Andrews|DriscollKraay)\s*(\(\s*(?P<inside>\w+)\s*\))?\s*"
    r"(~\s*(`(?P<quoted>[^`]+)`|(?P<by>[\w.]+)))?$"
)
_LATER = re.compile(r"^AI\b")


def read_request(vcov: Any) -> Request:
    """Turn what a caller gave as ``vcov=`` into a request.

    Raises
    ------
    OptionError
        If the text is not a known covariance; the message lists those that are.
    """
    if isinstance(vcov, Request):
        return vcov
    if isinstance(vcov, str):
        return _read_text(vcov.strip())
    if hasattr(vcov, "__array__"):
        return Given(np.asarray(vcov, dtype=float))
    raise OptionError(f"vcov must be a string, a request such as HC('HC3'), or a matrix, not {type(vcov).__name__}")


def _read_text(text: str) -> Request:
    if text in HC_TYPES:
        return HC(text)
    simple: dict[str, type[Request]] = {"classical": Classical, "const": Classical, "iid": Classical, "asympt": Asympt}
    if text in simple:
        return simple[text]()
    found = _RESAMPLED.match(text)
    if found:
        resampled: dict[str, type[Bootstrap] | type[Jackknife] | type[Wild]]
        resampled = {"bootstrap": Bootstrap, "jackknife": Jackknife, "wild": Wild}
        return resampled[found["kind"]](cluster=found["quoted"] or found["by"])
    found = _CLUSTER.match(text)
    if found:
        by = [a or b for a, b in _NAME.findall(found["by"])]
        return Cluster(tuple(by), type=found["type"])
    found = _SERIAL.match(text)
    if found:
        return _serial(found["type"], found["inside"], found["quoted"] or found["by"])
    if _LATER.match(text):
        return Later(text)
    raise OptionError(f"unknown covariance {text!r}{choose(text, NAMES)}")


def _serial(name: str, inside: str | None, by: str | None) -> Request:
    """``NeweyWest(4) ~ t``, ``Andrews(Parzen)``, ``DriscollKraay(2) ~ year``: lags or a kernel, and the time."""
    if name == "Andrews":
        return HAC("Andrews", order_by=by, kernel=inside or "QuadraticSpectral")
    if inside is not None and not inside.isdigit():
        raise OptionError(f"{name}({inside}) must hold a number of lags, as in {name}(4)")
    lag = None if inside is None else int(inside)
    return DriscollKraay(by or "", lag) if name == "DriscollKraay" else HAC("NeweyWest", lag, order_by=by)


def describe(request: Request) -> str:
    """The string that is short for the request (without its less common fields)."""
    match request:
        case HC(type=t):
            return t
        case Asympt():
            return "asympt"
        case Cluster(by=by, type=t):
            names = " + ".join(map(_quoted, by))
            return f"~{names}" if t is None else f"{t} ~ {names}"
        case Bootstrap(cluster=by) | Wild(cluster=by) | Jackknife(cluster=by):
            return type(request).__name__.lower() + ("" if by is None else f" ~ {_quoted(by)}")
        case HAC() | DriscollKraay():
            return _describe_serial(request)
        case Given():
            return "given matrix"
        case Later(text=text):
            return text
    return "classical"


def _describe_serial(request: HAC | DriscollKraay) -> str:
    inside: object = request.lag
    if isinstance(request, DriscollKraay):
        name, by = "DriscollKraay", request.time
    else:
        name, by = request.type, request.order_by or ""
        if name == "Andrews":
            inside = None if request.kernel == "QuadraticSpectral" else request.kernel
    return name + ("" if inside is None else f"({inside})") + (f" ~ {_quoted(by)}" if by else "")


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w.]+", name) else f"`{name}`"
