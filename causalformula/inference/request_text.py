"""Covariance requests as text: the strings that are short for the objects, both ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

import numpy as np

from causalformula.errors import OptionError, choose
from causalformula.inference.requests import (
    CR_TYPES,
    HAC,
    HC,
    HC_TYPES,
    LINEARISED,
    AbadieImbens,
    Asympt,
    Classical,
    Cluster,
    DriscollKraay,
    Given,
    Request,
    with_rules,
)
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.inference.small_sample import SmallSample
from causalformula.numerics.arrays import Array
from causalformula.words import CRType, HCType, Kernel

NAMES = (
    "classical",
    *HC_TYPES,
    "asympt",
    "two_stage",
    "bootstrap",
    "bootstrap(999, seed = 1)",
    "jackknife",
    "wild",
    "~g",
    *(f"{name} ~ g" for name in CR_TYPES),
    "wild ~ g",
    "NeweyWest",
    "NeweyWest(4) ~ time",
    "Andrews",
    "DriscollKraay ~ time",
    "NW(2) ~ unit + time",
    "DK(2) ~ time",
    "AI",
)
_TWO_STAGE = re.compile(r"^two_stage\s*~\s*(?P<by>.+)$")
_CLUSTER = re.compile(r"^\s*(?P<type>CR\w*)?\s*~\s*(?P<by>.+)$")
_RESAMPLED = re.compile(
    r"^(?P<kind>bootstrap|jackknife|wild)\s*(\((?P<inside>[^()]*)\))?\s*(~\s*(`(?P<quoted>[^`]+)`|(?P<by>[\w.]+)))?$"
)
_NAME = re.compile(r"`([^`]+)`|([^\s+`]+)")
_SERIAL = re.compile(
    r"^(?P<type>NeweyWest|NW|Andrews|DriscollKraay|DK)\s*(\(\s*(?P<inside>\w*)\s*\))?\s*"
    r"(~\s*(?P<by>(`[^`]+`|[\w.]+)(\s*\+\s*(`[^`]+`|[\w.]+))?))?$"
)
# A word with a name that needs backquotes after it; `+` and `:` are of several columns.
_ODD_NAME = re.compile(
    r"^(?P<kind>(bootstrap|jackknife|wild|NeweyWest|Andrews|DriscollKraay)\s*(\([^()]*\))?)\s*~\s*(?P<by>[^`+:*]*\s[^`+:*]*)$"
)
_HC_CLUSTER = re.compile(r"^HC\w*\s*~\s*(.+)$", re.IGNORECASE)
# Every equation's part and the averages' own, without a small-sample factor: did2s's.
TWO_STAGE = "two_stage"
# What covariances are called elsewhere.
ROBUST = frozenset(["robust", "stata", "white", "huber", "sandwich", "hc", "heteroskedastic", "heteroscedastic"])
CLUSTERED = frozenset(["cluster", "clustered", "crv1", "crv2", "crv3", "cl", "cr"])
OTHER_WORDS = {
    **dict.fromkeys(["nonrobust", "ols", "standard", "none", "unadjusted", "homoskedastic", "model"], "classical"),
    **dict.fromkeys(["boot", "bs", "bootstrapped"], "bootstrap"),
    **dict.fromkeys(["nw"], "NW ~ unit + time"),
    **dict.fromkeys(["abadie", "imbens", "abadie-imbens", "abadieimbens", "match"], "AI"),
    **dict.fromkeys(["svyglm", "survey", "svy", "taylor", "linear"], LINEARISED),
    "dk": "DK ~ time",
    "jack": "jackknife",
}
# Other spellings that are taken: American, and fixest's.
HC_WORDS = {"linearized": LINEARISED, "hetero": "HC1"}
_ABADIE_IMBENS = re.compile(r"^AI\s*(\((?P<inside>[^()]*)\))?$")


def read_request(vcov: Any, ssc: SmallSample | None = None) -> Request:
    """Turn what a caller gave as ``vcov=``, and ``ssc=``, into a request.

    Raises
    ------
    OptionError
        If the text is not a known covariance; the message lists those that are.
    """
    if ssc is not None:
        return with_rules(read_request(vcov), ssc)
    if isinstance(vcov, Request):
        return vcov
    if isinstance(vcov, str):
        return _read_text(vcov.strip())
    if isinstance(vcov, Mapping):
        raise OptionError(_by_type(vcov))
    if hasattr(vcov, "__array__"):
        return Given(_matrix(vcov))
    raise OptionError(f"vcov must be a string, a request such as HC('HC3'), or a matrix, not {type(vcov).__name__}")


def _refuse_bars(text: str) -> None:
    """Groupings are joined by ``+``, whatever joins them elsewhere; a column of another name stands in backquotes."""
    kind, tilde, by = text.partition("~")
    names = re.findall(r"`[^`]*`|[^\s+|,&]+", by)
    if tilde and re.search(r"[|,&]", re.sub(r"`[^`]*`", "", by)):
        written = f"{kind.strip()} ~ {' + '.join(names)}" if kind.strip() else f"~{' + '.join(names)}"
        raise OptionError(f"vcov={text!r}: groupings are joined by `+`, as in vcov={written!r}")


def _by_type(vcov: Mapping[Any, Any]) -> str:
    """What to write for ``{"CRV1": "g"}``, as pyfixest has it."""
    items = list(vcov.items())
    kind, by = items[0] if len(items) == 1 else (None, None)
    if not (isinstance(kind, str) and isinstance(by, str)):
        return "vcov is a string such as '~g', not a mapping"
    kind = kind.upper().replace("CRV", "CR")
    by = " + ".join(quoted(name.strip(" `")) for name in by.split("+"))
    written = f"{kind} ~ {by}" if kind in CR_TYPES and kind != "CR1" else f"~{by}"
    return f"vcov is a string here, not a mapping: write vcov={written!r}"


def _matrix(vcov: Any) -> Array:
    try:
        return np.asarray(vcov, dtype=float)
    except (TypeError, ValueError):
        raise OptionError("a covariance matrix must hold numbers; this one does not") from None


def _read_text(text: str) -> Request:
    _refuse_bars(text)
    if text in HC_TYPES or text in HC_WORDS:
        return HC(cast(HCType, HC_WORDS.get(text, text)))
    simple: dict[str, type[Request]] = {"classical": Classical, "const": Classical, "iid": Classical, "asympt": Asympt}
    if text in simple:
        return simple[text]()
    if text == TWO_STAGE:
        return Asympt(unconditional=True)
    if (two := _TWO_STAGE.match(text)) is not None:
        return Cluster(_columns(two["by"]), type="CR0", unconditional=True)
    found = _RESAMPLED.match(text)
    if found:
        resampled: dict[str, type[Bootstrap] | type[Jackknife] | type[Wild]]
        resampled = {"bootstrap": Bootstrap, "jackknife": Jackknife, "wild": Wild}
        request, by = resampled[found["kind"]], found["quoted"] or found["by"]
        given = _arguments(request, found["inside"] or "", text)
        if by is not None and given.setdefault("cluster", by) != by:
            raise OptionError(f"{text!r} names two clusters; write cluster = ... or ~ ..., not both")
        return request(**given)
    found = _CLUSTER.match(text)
    if found:
        return Cluster(_columns(found["by"]), type=cast(CRType | None, found["type"]))
    found = _SERIAL.match(text)
    if found:
        return _serial(found["type"], found["inside"] or None, _columns(found["by"]) if found["by"] else ())
    found = _ABADIE_IMBENS.match(text)
    if found:
        return AbadieImbens(**_arguments(AbadieImbens, found["inside"] or "", text))
    raise OptionError(f"unknown covariance {text!r}{_meant(text) or choose(text, NAMES, meant=OTHER_WORDS)}")


def _columns(text: str) -> tuple[str, ...]:
    """The columns of ``g + h``; a product of columns is not among what clusters are made of."""
    found = _NAME.findall(text)
    apart = [piece.strip() for piece in re.sub(r"`[^`]+`", "_", text).split("+")]
    if any(re.search(r"\s", piece) for piece in apart):
        raise OptionError(_apart(text))
    for _, plain in found:
        if set(plain) & set(":*^/%()"):
            raise OptionError(
                f"{plain!r} is no column. Cluster by both ways with '~g + h'; by each combination, make a column that "
                "holds it and name that. A column with an odd name stands in backquotes"
            )
    return tuple(quoted or plain for quoted, plain in found)


_RESAMPLED_BY_SEVERAL = re.compile(r"^(?P<kind>bootstrap|jackknife|wild)\b[^~]*~\s*(?P<by>.*[+:*].*)$")


def _apart(text: str) -> str:
    """What to write for names with a space between: one name that needs backquotes, or two with ``+``."""
    pieces = [piece.strip() for piece in text.split("+")]
    one = " + ".join(piece if "`" in piece else quoted(piece) for piece in pieces)
    two = " + ".join(whole or plain for whole, plain in ((f"`{q}`" if q else "", p) for q, p in _NAME.findall(text)))
    return f"a column whose name holds a space stands in backquotes, '~{one}'; clusters by several columns are '~{two}'"


def _meant(text: str) -> str:
    """What a text that nearly is a request lacks, and an example of what to write."""
    if text in CR_TYPES:
        return f"; {text} needs its clusters, as in '{text} ~ g' with g a column of the data (also after cluster(g))"
    plain = text.casefold()
    if plain in ROBUST:
        return "; 'HC3' is robust to unequal variances, 'HC1' as Stata's robust; with clusters in g write '~g'"
    if plain in CLUSTERED:
        return "; clusters are named, as in '~g' with g a column of the data"
    if (hc := _HC_CLUSTER.match(text)) is not None:
        return f"; clusters have types of their own: '~{hc[1]}', or 'CR2 ~ {hc[1]}' and other of {', '.join(CR_TYPES)}"
    if text.upper() == "HAC":
        return "; did you mean 'NeweyWest', 'NeweyWest(4) ~ time' or 'Andrews'?"
    if (odd := _ODD_NAME.match(text)) is not None:
        return f"; a column with an odd name stands in backquotes, '{odd['kind'].strip()} ~ {quoted(odd['by'])}'"
    found = _RESAMPLED_BY_SEVERAL.match(text)
    if found:
        kind = found["kind"]
        return (
            f"; '{kind} ~ g' takes one column of clusters. For combinations of several, make a column that holds "
            "them; several ways of clustering are '~g + h'"
        )
    return ""


def _arguments(request: type[Request], text: str, whole: str) -> dict[str, Any]:
    """``500, seed = 1`` as the fields of a request; what has no name takes them in order."""
    known = [field for field in fields(request) if field.init]
    in_order = [field.name for field in known if not field.kw_only]
    names = in_order + [field.name for field in known if field.kw_only]
    out: dict[str, Any] = {}
    for k, piece in enumerate(piece.strip() for piece in text.split(",") if text.strip()):
        left, equals, right = (part.strip() for part in piece.partition("="))
        name = left.replace(".", "_") if equals else (in_order[k] if k < len(in_order) else "")
        value = right if equals else left
        if name not in names:
            raise OptionError(f"{whole!r} has no argument {left!r}{choose(left, names, 'it takes')}")
        if not value or name in out:
            raise OptionError(f"{whole!r}: write each argument once, as in bootstrap(500, seed = 1)")
        out[name] = _literal(value)
    return out


_SPOKEN = {"TRUE": True, "True": True, "FALSE": False, "False": False, "NULL": None, "None": None, "Inf": np.inf}


def _literal(text: str) -> Any:
    """A number, a logical or a word, with quotes or without."""
    if text in _SPOKEN:
        return _SPOKEN[text]
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`" else text


# Names that fixest gives covariances, which then have its small-sample rules.
OF_FIXEST = {"NW": "NeweyWest", "DK": "DriscollKraay"}


def _serial(name: str, inside: str | None, by: tuple[str, ...]) -> Request:
    """``NeweyWest(4) ~ t``, ``Andrews(Parzen)``, ``DK(2) ~ year``: lags or a kernel, the units of a panel, the time."""
    ssc = SmallSample() if name in OF_FIXEST else None
    kind = OF_FIXEST.get(name, name)
    if len(by) > 1 and kind != "NeweyWest":
        raise OptionError(f"{name} takes the column of the time alone, as in '{name} ~ {quoted(by[1])}'")
    unit, time = by if len(by) > 1 else (None, *by) if by else (None, None)
    if kind == "Andrews":
        return HAC("Andrews", order_by=time, kernel=cast(Kernel, inside or "QuadraticSpectral"))
    if inside is not None and not inside.isdigit():
        column = f"; the column of the time stands after ~, as in '{name} ~ {inside}'"
        raise OptionError(f"{name}({inside}) must hold a number of lags, as in {name}(4){column}")
    lag = None if inside is None else int(inside)
    if kind == "DriscollKraay":
        return DriscollKraay(time or "", lag, ssc=ssc)
    return HAC("NeweyWest", lag, order_by=time, unit=unit, prewhite=None if ssc is None else False, ssc=ssc)


def describe(request: Request) -> str:
    """The string that is short for the request (without its less common fields)."""
    match request:
        case HC(type=t):
            return t
        case Asympt():
            return "asympt"
        case Cluster(by=by, type=t):
            names = " + ".join(map(quoted, by))
            return f"~{names}" if t is None else f"{t} ~ {names}"
        case Bootstrap(cluster=by) | Wild(cluster=by) | Jackknife(cluster=by):
            return type(request).__name__.lower() + ("" if by is None else f" ~ {quoted(by)}")
        case HAC() | DriscollKraay():
            return _describe_serial(request)
        case Given():
            return "given matrix"
        case AbadieImbens():
            return "AI"
    return "classical"


# The name of "asympt" where nothing is stacked, as cross-fitted nuisances are held fixed.
HELD = "influence function"
_SPOKEN_KINDS = {
    "": "Clustered",
    "classical": "Classical",
    "asympt": "M-estimation",
    "bootstrap": "Bootstrap",
    "jackknife": "Jackknife",
    "wild": "Wild bootstrap",
    "given matrix": "Given matrix",
    "AI": "Abadie-Imbens",
    HELD: "Influence function",
}
_SERIAL_KINDS = {"NeweyWest": "Newey-West", "Andrews": "Andrews", "DriscollKraay": "Driscoll-Kraay"}


def spoken(text: str) -> str:
    """What ``describe`` writes, in the words of a table: ``Clustered by g``, ``CR2 by g``, ``Newey-West(4) over t``."""
    kind, tilde, by = (part.strip() for part in text.partition("~"))
    name, bracket, lag = kind.partition("(")
    if name in _SERIAL_KINDS and " + " in by:
        unit, time = by.split(" + ")
        return f"{_SERIAL_KINDS[name]}{bracket}{lag} over {time} within {unit}"
    if name in _SERIAL_KINDS:
        return _SERIAL_KINDS[name] + bracket + lag + (f" over {by}" if tilde else "")
    return _SPOKEN_KINDS.get(kind, kind) + (f" by {by.replace(' + ', ' and ')}" if tilde else "")


def _describe_serial(request: HAC | DriscollKraay) -> str:
    inside: object = request.lag
    if isinstance(request, DriscollKraay):
        name, by = "DriscollKraay", quoted(request.time)
    else:
        name, by = request.type, " + ".join(quoted(one) for one in (request.unit, request.order_by) if one)
        if name == "Andrews":
            inside = None if request.kernel == "QuadraticSpectral" else request.kernel
    return name + ("" if inside is None else f"({inside})") + (f" ~ {by}" if by else "")


def quoted(name: str) -> str:
    """A column's name as a request in text has it."""
    return name if re.fullmatch(r"[\w.]+", name) else f"`{name}`"
