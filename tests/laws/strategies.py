"""Simulated data and, for every registered method, the questions that the laws put to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import currently_in_test_context, reject
from hypothesis import strategies as st

import causalformula as cf
from causalformula.backends import registry
from causalformula.backends.registry import Record
from causalformula.errors import ConvergenceError
from causalformula.frame.treatment import Kind
from causalformula.results.named import grouping_names
from tests.laws.own_method import filed

# What a record may be exempt from, each with its reason; the tests of these names read `record.exempt`.
LAWS = (
    "influence", "integer_weights", "row_order", "affine", "label_swap", "singleton_clusters", "same_seed", "stacking",
    "exponential_bootstrap", "bootstrap", "groups_average",
)  # fmt: skip

FAMILIES = {"gaussian": "y", "binomial": "d", "poisson": "k", "binomial(link = 'probit')": "d"}
INSTRUMENT = {Kind.BINARY: "i", Kind.MULTI: "factor(l)", Kind.CONTINUOUS: "j"}
COLUMN = {Kind.BINARY: "a", Kind.MULTI: "m", Kind.CONTINUOUS: "q"}


@dataclass(frozen=True)
class Needs:
    """What a method needs of the questions that are put to it.

    Parameters
    ----------
    confounders : tuple of str
        The first alone where ``z`` is a modifier.
    options : mapping of str to mapping
        Options by the estimand that needs them.
    slope : bool
        Whether a dose may have a derivative.
    on_units : bool
        Whether the influence is on the units of ``did(..., unit = id)``: ``tests/laws/test_units.py`` has these.
    """

    confounders: tuple[str, ...] = ("x", "z")
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    slope: bool = True
    on_units: bool = False


# Few folds, as every law refits a learner many times; and bounds, as half a small sample says little of propensities.
CROSS_FITTED = Needs(options={key: {"folds": 2, "bounds": 0.15} for key in ("ATE", "ATT", "ATC")})
# Facts of single methods; of all others any question can be asked.
NEEDS = {
    **dict.fromkeys(("t_learner", "x_learner", "r_learner", "dr_learner"), CROSS_FITTED),
    "s_learner": replace(CROSS_FITTED, slope=False),
    "exact": Needs(("s", "z")),  # no two rows have the same x
    "imputation": Needs(on_units=True),
    "front_door": Needs(options={"ATE": {"mediators": "k + d"}}),
    "nearest": Needs(options={"ATE": {"replace": True, "ties": True}}),
}

# Exactly identified equations that often have no root at sixty rows; fixed samples without one are skipped.
OFTEN_WITHOUT_SOLUTION = {("cbps", Kind.CONTINUOUS)}

# Methods whose estimate is in part the code of another, which is asked everything in the short form too, and learners.
STOOD_FOR = (
    "aipw", "cbps", "ebal", "energy", "ipt", "tmle", "cem", "exact", "etwfe", "sunab", "augmented", "liml", "gmm",
    "dml", "t_learner",
)  # fmt: skip
FIRST = 2

seeds = st.integers(0, 2**31 - 1)


def simulate(seed: int, n: int = 60) -> pd.DataFrame:
    """Outcomes of three families, treatments of three kinds, covariates, weights, strata and clusters.

    Every stratum and every level of z has units of every arm, whatever the seed is.
    """
    rng = np.random.default_rng(seed)
    strata = np.arange(n) % 2
    x = rng.normal(size=n)
    z = rng.choice(["u", "v", "w"], n)
    z[:24] = np.array(["u", "v", "w"])[(np.arange(24) // 6) % 3]
    # arms are dealt out within strata, then some follow x: each arm stays in each stratum
    m = (np.arange(n) // 2) % 3
    a = (m > 0).astype(int)
    free = np.arange(n) >= 24
    a[free] = rng.random(free.sum()) < 1 / (1 + np.exp(-0.6 * x[free]))
    q = 2 + 0.5 * x + rng.normal(size=n)
    mean = 0.3 + 0.5 * a + 0.4 * (m == 1) - 0.3 * (m == 2) + 0.3 * x + 0.2 * (z == "v") + 0.2 * q
    return pd.DataFrame(
        {
            "y": 5 * mean + rng.normal(size=n) * (1 + 0.5 * a),
            "d": (rng.random(n) < 1 / (1 + np.exp(-mean + 0.7))).astype(int),
            "k": rng.poisson(np.exp(0.5 * mean)).astype(float),
            "a": a,
            "m": np.array(["none", "low", "high"])[m],
            "q": q,
            "x": x,
            "z": z,
            "w": rng.uniform(0.5, 2, n),
            "f": rng.integers(1, 4, n),
            "s": np.array(["s1", "s2"])[strata],
            "g": rng.permutation(np.arange(n) % 12),
            "id": np.arange(n),
            # a panel: two periods of each unit u, of which the groups b are made
            "u": np.arange(n) // 2,
            "p": np.arange(n) % 2,
            "b": (np.arange(n) // 2) % 2,
            # an instrument, which most take as it says
            "i": np.where(rng.random(n) < 0.85, a, 1 - a),
            # the same of the other treatments
            "j": q + rng.normal(size=n),
            "l": np.where(rng.random(n) < 0.85, m, rng.permutation(m)),
        }
    )


@dataclass(frozen=True)
class Question:
    """One question to one method: the formula and the options of a fit."""

    record: Record
    kind: Kind
    family: str = "gaussian"
    weights: str | None = None
    modify: bool = False
    blocked: bool = False
    unit: bool = False
    surplus: bool = False
    options: tuple[tuple[str, Any], ...] = field(default=())

    @property
    def formula(self) -> str:
        """The formula, with the roles that the method reads."""
        roles = self.record.roles
        parts = [f"treat({COLUMN[self.kind]})"]
        if "treat" not in roles:
            parts = ["did(b, p, unit = u)" if self.unit else "did(b, p)"]
        if "adjust" in roles:
            confounders = self.needs.confounders
            parts.append(f"adjust({' + '.join(confounders[:1] if self.modify else confounders)})")
        if self.modify:
            parts.append("modify(z)")
        if self.estimand == "LATE":
            z = INSTRUMENT[self.kind]
            parts.append(f"iv({z} + {z}:z)" if self.modify else f"iv({z} + {z}:x)" if self.surplus else f"iv({z})")
        if self.blocked:
            parts.append("strata(s)")
        if self.weights:
            parts.append(f"weights({self.weights})")
        return f"{FAMILIES[self.family]} ~ {' + '.join(parts)}"

    @property
    def needs(self) -> Needs:
        """What its method needs."""
        return NEEDS.get(self.record.name, Needs())

    @property
    def estimand(self) -> str:
        """The estimand, the method's own where none is asked for."""
        return dict(self.options).get("estimand", self.record.default_estimand)

    @property
    def often_without_solution(self) -> bool:
        """Whether its equations often have no root in samples as small as these, and in their replicates."""
        return (self.record.name, self.kind) in OFTEN_WITHOUT_SOLUTION

    def fit(self, data: Any, **more: Any) -> Any:
        """Ask it of some data."""
        options = {"family": self.family, **dict(self.options), **more}
        needed = self.needs.options.get(options.get("estimand", self.estimand), {})
        try:
            return cf.fit(self.formula, data, self.record.name, **{**needed, **options})
        except ConvergenceError:
            # no weights balance some of the small samples: no estimate, so nothing for a law to be about
            if currently_in_test_context():
                reject()
            if self.often_without_solution:
                pytest.skip("the equations have no solution in this small sample")
            raise

    def __str__(self) -> str:
        options = ",".join(f"{k}={v}" for k, v in self.options)
        return f"{self.record.name}|{self.formula}|{self.family}|{options}"


def asked(record: Record) -> list[Question]:
    """Questions that exercise a method: kinds, families, measures, estimands, weights, modifiers, blocks."""
    out: list[Question] = []
    if not {"treat", "did"} & set(record.roles):
        return out  # methods for iv(...) alone bring their own data
    if any(find_spec(package) is None for package in record.needs):
        return out  # the extra that the method needs is not installed

    def add(kind: Kind, **facts: Any) -> None:
        offered = dict(facts.get("options", ())).get("estimand", record.estimands[0]) in record.estimands
        if kind in record.treatments and offered:
            out.append(Question(record, kind, **facts))

    if "did" in record.roles:
        facts: list[dict[str, Any]] = [{}, {"weights": "w"}]
        if not NEEDS.get(record.name, Needs()).on_units:
            facts += [{"unit": True}, {"unit": True, "weights": "w"}]
        if "est_method" in record.options.__dataclass_fields__:  # of rows; tests/laws/test_units.py has those of units
            facts += [{"options": (("est_method", name),)} for name in ("dr", "dr_improved", "ipw", "reg")]
            facts += [{"weights": "w", "options": (("est_method", "ipw"), ("normalized", False))}]
            facts += [{"weights": "w", "options": (("est_method", "dr"), ("locally_efficient", False))}]
        return [Question(record, Kind.BINARY, **fact) for fact in facts]
    model = "outcome" in record.roles
    for kind in (Kind.BINARY, Kind.MULTI, Kind.CONTINUOUS):
        add(kind)
        add(kind, weights="w")
    if record.face.endswith("UnitResult") and record.name != "t_learner":
        return out  # averages of all meta-learners are one code, and the T-learner is asked everything
    add(Kind.MULTI, options=(("contrast", "pairwise"),))
    for estimand in record.estimands:
        if estimand != record.default_estimand:
            add(Kind.BINARY, options=(("estimand", estimand),))
    if "strata" in record.roles:
        add(Kind.BINARY, blocked=True)
        add(Kind.MULTI, blocked=True, weights="w")
    if not model:
        if "modify" in record.roles and record.default_estimand == "LATE":
            add(Kind.BINARY, modify=True, weights="w")
            add(Kind.CONTINUOUS, modify=True)
        if record.required == ("iv",):
            add(Kind.CONTINUOUS, surplus=True)
            add(Kind.BINARY, surplus=True, weights="w")
        return out
    for family in FAMILIES:
        if family != "gaussian":
            add(Kind.BINARY, family=family, options=(("measure", "ratio"),))
    add(Kind.BINARY, family="binomial", weights="w", options=(("measure", "log_odds_ratio"), ("estimand", "ATT")))
    add(Kind.BINARY, family="binomial", options=(("measure", "nnt"),))
    add(Kind.MULTI, family="poisson", options=(("measure", "log_ratio"),))
    if NEEDS.get(record.name, Needs()).slope:
        add(Kind.CONTINUOUS, family="binomial", options=(("contrast", "slope"),))
    add(Kind.CONTINUOUS, family="poisson", options=(("contrast", (1, 3)),))
    if "modify" in record.roles:
        add(Kind.BINARY, modify=True, weights="w")
        add(Kind.BINARY, modify=True, family="binomial", options=(("estimand", "ATT"),))
        add(Kind.CONTINUOUS, modify=True)
    if any(name == "interact" for name in record.options.__dataclass_fields__):
        add(Kind.BINARY, options=(("interact", True), ("estimand", "ATC")))
    return out


def posed(record: Record, only: Callable[[Question], bool] = lambda q: True) -> list[Any]:
    """A method's questions as pytest parameters; of methods that others stand for, all but the first are ``slow``."""
    marks = (pytest.mark.slow,) if record.name in STOOD_FOR else ()
    found = [question for question in asked(record) if only(question)]
    return [pytest.param(q, id=str(q), marks=marks if k >= FIRST else ()) for k, q in enumerate(found)]


def briefly(found: list[Any], first: int) -> list[Any]:
    """The first questions of each method; the rest in the long form."""
    seen: Counter[str] = Counter()
    out = []
    for one in found:
        name = one.values[0].record.name if one.values[0] is not None else ""
        more = [pytest.mark.slow] if seen[name] >= first else []
        out.append(pytest.param(*one.values, id=one.id, marks=[*one.marks, *more]))
        seen[name] += 1
    return out


def records() -> list[Record]:
    """Every method, and the one that a vignette writes."""
    filed()
    return registry.methods()


def kept_rows(fit: Any) -> int:
    """Rows that a result rests on: those that its design gives weight."""
    return int((fit.call.frame.unit_weights * fit.design.weights > 0).sum())


def regressed(fit: Any, own: bool = True) -> Any:
    """A result with a covariance of coefficients, where its design's is of the difference alone.

    ``own=False``: nor one of groupings that the design made, which say nothing of another fit.
    """
    request = fit.covariance.request
    made = not own and any(fit.call.own_groups(name) is not None for name in grouping_names(request))
    return fit.with_vcov("HC3") if made or isinstance(request, cf.AbadieImbens) else fit


def exemption(record: Record, *laws: str) -> str:
    """Why a method does not obey one of some laws; empty where it obeys all."""
    return next((record.exempt[law] for law in laws if law in record.exempt), "")


def questions(*laws: str, only: Callable[[Question], bool] = lambda q: True) -> list[Any]:
    """Questions for laws as pytest parameters, over every registered method that obeys them."""
    out = []
    for record in records():
        if reason := exemption(record, *laws):
            out.append(pytest.param(None, id=f"{record.name}-exempt", marks=pytest.mark.skip(reason=reason)))
            continue
        out += posed(record, only)
    return out
