"""One record a method: routing, option checking, messages, the methods table and the contract tests all read it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, NoReturn, TypeVar

import numpy as np

from causalformula.backends.catalogue import CATALOGUE, load, planned
from causalformula.backends.estimands import ESTIMANDS, FOCAL
from causalformula.backends.fit import Designed, Fit, Query
from causalformula.backends.options import Options, shown
from causalformula.backends.other_words import MATCHING, OTHER_ESTIMANDS, OTHER_METHODS
from causalformula.errors import (
    CapabilityError,
    OptionError,
    choose,
    did_you_mean,
)
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.evidence import influence_error
from causalformula.inference.refit import attempt, refit_each
from causalformula.numerics.arrays import Array, Codes

Backend = Callable[[ModelFrame, Any], Fit]
Batch = Callable[[ModelFrame, Any, Query, Array], "Array | None"]
Weigh = Callable[[Array], Array]
BatchAfter = Callable[[ModelFrame, Any, Query, Array, Weigh], "Array | None"]
Method = TypeVar("Method", bound=Callable[..., Any])


# Roles of a method that models the treatment and the outcome.
MODELLED = ("treat", "adjust", "outcome", "propensity", "modify", "cluster", "weights", "offset")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the package knows of a method; as a decorator, it files the function that it stands above.

    A method with a design stage has ``estimate``, and the function is the design: what is fitted, and refitted by the
    bootstrap, follow from the two. Any other function is the fit itself, ``(ModelFrame, options) -> Fit``.

    Parameters
    ----------
    name : str
    options : type
        The frozen dataclass whose fields are the method's options.
    treatments : collection of Kind
    estimands : tuple of str
        The first is the default.
    default_vcov : str
        ``asympt``, every stage estimated, where not given.
    r : str
        The R call with the same numbers.
    summary : str
        One line for the methods table.
    title : str
        The method in the words of a table's column; made of its name where not given.
    aliases : tuple of str
    cluster_vcov : str
        The default where the formula has ``cluster(g)``; ``{g}`` stands for the grouping.
    weighted_vcov : str
        The default where the formula has ``weights(w)``; ``default_vcov`` where not given.
    roles : tuple of str
        Roles it uses beside the ones every method reads.
    unread : mapping of str to str
        Roles that it does not use, with the reason and what to write instead.
    default_for : tuple of str
        Roles whose formulas it answers where no method is named.
    estimate : callable, optional
        What follows the design stage, ``(frame, designed, options) -> Fit``.
    batch : callable, optional
        Many reweighted fits at once, for the bootstrap: ``(frame, options, query, W) -> (R, q)``, or None where it
        cannot.
    batch_after : callable, optional
        The same from the weights of the designs (R, n) that the record makes: ``(frame, options, query, W, weights)``.
    exempt : mapping of str to str
        Laws that the method does not obey, each with the reason.
    resampled : callable, optional
        Refuses options that reweighted rows cannot be fitted with, before any replicate is.
    needs : tuple of str
        Optional packages that it imports.
    face : str
        ``module:class`` of its results, where the method's family has verbs of its own.
    rebalance : str
        What may help where a design leaves a covariate ``{x}`` out of balance, in words.
    run, make_design : callable
        Filled in by the decorator.
    """

    name: str
    options: type[Options]
    treatments: Collection[Kind]
    estimands: tuple[str, ...]
    default_vcov: str = "asympt"
    r: str = ""
    summary: str = ""
    title: str = ""
    aliases: tuple[str, ...] = ()
    cluster_vcov: str = "~{g}"
    weighted_vcov: str = ""
    roles: tuple[str, ...] = ("treat", "adjust", "cluster", "weights")
    unread: Mapping[str, str] = field(default_factory=dict)
    default_for: tuple[str, ...] = ()
    estimate: Callable[[ModelFrame, Any, Any], Fit] | None = None
    batch: Batch | None = None
    batch_after: BatchAfter | None = None
    exempt: Mapping[str, str] = field(default_factory=dict)
    resampled: Callable[[Any], None] | None = None
    needs: tuple[str, ...] = ()
    face: str = ""
    rebalance: str = "outcome({x}) adjusts for what is left"
    run: Backend = field(default=lambda frame, options: _unfiled(), repr=False)
    make_design: Callable[[ModelFrame, Any], Designed] | None = field(default=None, repr=False)

    def __call__(self, function: Method) -> Method:
        """File a function under this record."""
        filed = replace(self, run=function)
        if self.estimate is not None:
            filed = replace(self, make_design=function, run=partial(_through_design, function, self.estimate))
        if self.batch is None and self.batch_after is not None:
            filed = replace(filed, batch=partial(_batch_of_designs, function, self.batch_after))
        RECORDS[self.name] = filed
        return function

    @property
    def words(self) -> str:
        """The method as a table names it."""
        return self.title or self.name.replace("_", " ").capitalize()

    @property
    def default_estimand(self) -> str:
        """The estimand where none is asked for."""
        return self.estimands[0]


def _unfiled() -> NoReturn:
    raise CapabilityError("this record stands above no function, so it fits nothing")


def _through_design(make: Any, estimate: Any, frame: ModelFrame, options: Options) -> Fit:
    """The design stage, and the estimate from it."""
    found: Fit = estimate(frame, make(frame, options), options)
    return found


def _batch_of_designs(
    make: Any, after: BatchAfter, frame: ModelFrame, options: Options, query: Query, W: Array
) -> Array | None:
    """Many reweighted fits: the design stage each time, what follows all at once."""

    def weigh(W: Array) -> Array:
        return refit_each(lambda w: make(frame.reweight(w), options).design.weights, W, size=frame.n)

    return after(frame, options, query, W, weigh)


RECORDS: dict[str, Record] = {}

# What R users may type, and where it is found here.
METHOD_HINTS = {
    "glm": "propensity scores by logistic regression are method='ipw' (as weightit's method = 'glm')",
    "ps": "propensity scores by logistic regression are method='ipw'",
    **dict.fromkeys(
        ("gbm", "bart", "super", "superlearner"),
        "propensity scores by machine learning are method='ipw' with model=, a scikit-learn classifier",
    ),
    "optweight": "for weights of approximate balance see method='ebal' with tols=",
    "g_computation": "g-computation is method='regression'",
    "gcomp": "g-computation is method='regression'",
}
_READING = "the level is of the reading, not of the fit: fit.tidy(level=0.9), fit.summary(level=0.9)"
_STANDARD_ERRORS = "standard errors are asked for by vcov=, as in vcov='HC3' or vcov='~g'"
_RESAMPLING = "a bootstrap is asked for by vcov=, as in vcov='bootstrap(999, seed = 1)'"
OPTION_HINTS = {
    **dict.fromkeys(("level", "alpha", "conf_level", "ci", "conf_int"), _READING),
    **dict.fromkeys(("se", "se_type", "robust", "cov_type", "vcov_type", "std_errors", "cov"), _STANDARD_ERRORS),
    **dict.fromkeys(("bootstrap", "n_boot", "nboot", "boot", "reps", "seed"), _RESAMPLING),
    **dict.fromkeys(("treatment", "treat", "exposure"), "the treatment is part of the formula: treat(A)"),
    **dict.fromkeys(
        ("covariates", "confounders", "controls", "adjust"), "confounders are part of the formula: adjust(x + z)"
    ),
    **{role: f"it is part of the formula: {role}(x)" for role in ("offset", "strata", "modify", "fe", "iv")},
    **dict.fromkeys(
        ("propensity", "propensity_score", "propensity_scores", "pscore", "p_score", "scores"),
        "terms of the treatment model are part of the formula, adjust(x) or propensity(x); method='ipw' takes scores "
        "of your own as a column, ps='p', and a classifier, model=",
    ),
    "ref": "the reference level is part of the formula: treat(A, ref = 'placebo')",
    "link": "the link belongs to the family: family=\"binomial(link = 'probit')\"",
    **dict.fromkeys(("na_rm", "missing", "dropna"), "missing values are of na_action='omit' or na_action='fail'"),
    **dict.fromkeys(
        ("s_weights", "sampw", "sample_weight", "weights"),
        "sampling weights are part of the formula: weights(w)",
    ),
    **dict.fromkeys(("cluster", "clusters"), "clusters are part of the formula, cluster(g), or of vcov='~g'"),
    "moments": "moments= is of the balancing methods; for a propensity model write adjust(poly(x, 2))",
    "distance": "distance= is of method='subclass'",
    "over": "over= is of method='cbps'",
}
# Fields of the options that a design has no use for: they are of the estimate that is made with it.
ESTIMATED = ("contrast", "measure", "family", "interact")
# Arguments of the verbs themselves, which may be misspelt too.
OF_VERBS = ("vcov", "subset", "na_action", "contrasts", "env")


def methods() -> list[Record]:
    """All records: those of the catalogue in its order, then any that were filed since."""
    load()
    own = [name for name in CATALOGUE if name in RECORDS]
    return [RECORDS[name] for name in dict.fromkeys([*own, *RECORDS])]


def names() -> dict[str, str]:
    """Names and aliases of the methods, each with the record's name."""
    out = {}
    for record in methods():
        out[record.name] = record.name
        out.update(dict.fromkeys(record.aliases, record.name))
    return out


def find(method: str) -> Record:
    """The record of a method by name or alias.

    Raises
    ------
    OptionError
        For an unknown name, with the nearest one and the list.
    CapabilityError
        For a method of the design that is not there yet.
    """
    known = names()
    if not isinstance(method, str):
        listed = choose("", [record.name for record in methods()])
        raise OptionError(f"unknown method {shown(method)}; it is a name or an options object{listed}")
    if method in known:
        return RECORDS[known[method]]
    if planned(method):
        raise CapabilityError(
            f"method={method!r} is not available yet; available: {', '.join(r.name for r in methods())}"
        )
    if method in METHOD_HINTS:
        raise OptionError(f"unknown method {method!r}: {METHOD_HINTS[method]}")
    plain = method.casefold().replace("-", "_").replace(" ", "_")
    if plain in MATCHING:
        return find("matching")
    if plain in OTHER_METHODS:
        return _also_called(method, OTHER_METHODS[plain])
    raise OptionError(f"unknown method {method!r}{choose(method, [r.name for r in methods()])}")


def _also_called(method: str, name: str) -> Record:
    """A method under a name that it has elsewhere: refused, as only one name is its own."""
    if name not in RECORDS:
        return find(name)
    raise OptionError(f"unknown method {method!r}; did you mean {name!r}? {_sentence(RECORDS[name].summary)}")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def record_of(options: Options) -> Record:
    """The record whose options class this is."""
    for record in methods():
        if type(options) is record.options:
            return record
    raise OptionError(f"{type(options).__name__} is not the options of any method")


def read_options(
    method: str | Options, given: Mapping[str, Any], without: Collection[str] = ()
) -> tuple[Record, Options]:
    """Resolve ``method=`` and the keywords into a record and its options, completely checked.

    Keywords override the fields of an options object. An unknown keyword is an ``OptionError`` that lists what the
    method takes, but for the fields in ``without``.
    """
    if isinstance(method, type) and issubclass(method, Options):
        method = method()  # cf.Regression for cf.Regression()
    record = record_of(method) if isinstance(method, Options) else find(method)
    allowed = [f.name for f in fields(record.options) if f.name not in without]
    for key in given:
        if key not in allowed and key in OPTION_HINTS:
            raise OptionError(f"method {record.name!r} has no option {key!r}: {OPTION_HINTS[key]}")
        if key not in allowed:
            near = did_you_mean(key, [*allowed, *(name for name in OF_VERBS if name not in without)])
            listed = f"t takes {', '.join(allowed)}"
            raise OptionError(
                f"method {record.name!r} has no option {key!r}" + (f"{near} I" if near else "; i") + listed
            )
    wanted = given.get("estimand")
    if isinstance(wanted, str) and wanted not in record.estimands and wanted not in ESTIMANDS:
        known = choose(wanted, record.estimands, f"method {record.name!r} offers", OTHER_ESTIMANDS)
        raise OptionError(f"unknown estimand {wanted!r}{known}")
    options = replace(method, **given) if isinstance(method, Options) else record.options(**given)
    estimand = options.estimand or record.default_estimand
    if estimand not in record.estimands:
        raise OptionError(
            f"method {record.name!r} does not estimate the {estimand}; it offers {', '.join(record.estimands)}"
        )
    if options.focal is not None and not ESTIMANDS[estimand].focal:
        raise OptionError(
            f"focal= names the level whose units are the target of the {' or '.join(FOCAL)}; the estimand is the "
            f"{estimand}"
        )
    return record, replace(options, estimand=estimand)


def run(frame: ModelFrame, options: Options) -> Fit:
    """Fit the method whose options these are."""
    record = record_of(options)
    refuse_treatment(frame, record)
    refuse_measure(frame, options)
    refuse_counts(frame, record)
    return record.run(frame, options)


def run_design(frame: ModelFrame, options: Options) -> Designed:
    """The design stage of the method whose options these are.

    Raises
    ------
    CapabilityError
        If the method has none.
    """
    record = record_of(options)
    if record.make_design is None:
        able = [r.name for r in methods() if r.make_design is not None]
        raise CapabilityError(
            f"method {record.name!r} has no design stage apart from its estimate; these do: {', '.join(able)}"
        )
    refuse_treatment(frame, record)
    refuse_counts(frame, record)
    return record.make_design(frame, options)


def refuse_treatment(frame: ModelFrame, record: Record) -> None:
    """A ``CapabilityError`` for a kind of treatment that the method does not take."""
    treatment = frame.treatment
    asked = frame.spec.treatment is not None  # the two groups of did(...) are no treatment to choose a method by
    if asked and treatment is not None and treatment.kind not in record.treatments:
        able = [r.name for r in methods() if treatment.kind in r.treatments]
        raise CapabilityError(
            f"method {record.name!r} does not take a treatment that is {_article(treatment.kind)} "
            f"(here {treatment.name!r}); these do: {', '.join(able)}"
        )


def refuse_measure(frame: ModelFrame, options: Options) -> None:
    """A number needed to treat counts units whose outcome changes from one value to the other: it must have two."""
    if options.measure != "nnt" or frame.outcome is None:
        return
    y = frame.outcome.binary()
    if ((y < 0) | (y > 1)).any():
        raise OptionError(
            f"measure='nnt' needs an outcome of 0 and 1 (or proportions); {frame.outcome.name!r} has values "
            f"from {y.min():.4g} to {y.max():.4g}. Use measure='difference', or cut the outcome in two"
        )


def refuse_counts(frame: ModelFrame, record: Record) -> None:
    """Counts of successes and failures have standard errors of their own only where a model gives them.

    A row stands for many units, and what varies between units of one row is in no sum over rows.
    """
    if frame.outcome is not None and frame.outcome.trials is not None and record.name != "regression":
        raise CapabilityError(
            f"{frame.outcome.name} gives each row many units, and method {record.name!r} counts rows; use "
            "method='regression', or write the units out, one row each, with an outcome of 0 and 1. (A share on the "
            "left, with the number of units n in weights(n), gives the same estimate; its standard error counts rows)"
        )


def _article(kind: Kind) -> str:
    return {Kind.BINARY: "binary", Kind.MULTI: "of several levels", Kind.CONTINUOUS: "a dose"}[kind]


def replicates(weights: Array, *, frame: ModelFrame, options: Options, query: Query) -> Array:
    """Refit on each row of frequency weights (R, n): estimates (R, q) on the working scale, NaN where a fit failed."""
    record = record_of(options)
    if record.batch is not None:
        found = record.batch(frame, options, query, weights)
        if found is not None:
            return found
    return refit_each(lambda w: run(frame.reweight(w), options).ask(query).estimate.theta, weights)


def failure(weights: Array, *, frame: ModelFrame, options: Options, query: Query) -> str:
    """Why the refit on one row of frequency weights (n,) fails; empty where it does not."""
    found = attempt(lambda w: run(frame.reweight(w), options).ask(query), weights)
    return found if isinstance(found, str) else ""


def studentized(weights: Array, *, frame: ModelFrame, options: Options, query: Query, clusters: Codes | None) -> Array:
    """Refit on each row of frequency weights: estimates and their standard errors side by side, (R, 2q).

    Each replicate's standard error is that of its own exact influence, a row (or cluster) drawn c times counting as c.
    """

    def one(w: Array) -> Array:
        found = run(frame.reweight(w), options).ask(query).estimate
        error = influence_error(found.evidence, w, clusters)
        return np.concatenate([found.theta, np.where(error > 0, error, np.nan)])

    return refit_each(one, weights)
