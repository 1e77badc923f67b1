"""One record a method: routing, option checking, messages, the methods table and the contract tests all read it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, NoReturn, TypeVar

from causalformula.backends.catalogue import CATALOGUE, load, planned
from causalformula.backends.estimands import ESTIMANDS, FOCAL
from causalformula.backends.fit import Designed, Fit, Query, told_of_perfect
from causalformula.backends.options import Options, shown
from causalformula.backends.other_words import (
    MATCHING,
    METHOD_HINTS,
    OPTION_HINTS,
    OTHER_ESTIMANDS,
    OTHER_METHODS,
)
from causalformula.backends.varied import Varied
from causalformula.errors import (
    CapabilityError,
    OptionError,
    choose,
    did_you_mean,
)
from causalformula.formula.language.grammar import ROLES
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.refit import refit_each
from causalformula.numerics.arrays import Array

Backend = Callable[[ModelFrame, Any], Fit]
Batch = Callable[[ModelFrame, Any, Query, Array], "Array | None"]
Vary = Callable[[ModelFrame, Any, Query, Varied], "Array | None"]
Weigh = Callable[[Array], Array]
BatchAfter = Callable[[ModelFrame, Any, Query, Array, Weigh], "Array | None"]
OwnEstimand = Callable[[ModelFrame, Any], "str | None"]
Rebalance = Callable[[Any, str, bool], str]
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
    estimand_words : str
        Which of them there are only with some options, in words.
    default_vcov : str
        ``asympt``, every stage estimated, where not given.
    vcov_words : str
        The default in words for tables, where more than the method decides; ``default_vcov`` where not given.
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
    required : tuple of str
        Roles without which it has no answer, so that no other formula is sent to it.
    default_for : tuple of str
        Roles whose formulas it answers where no method is named.
    estimate : callable, optional
        What follows the design stage, ``(frame, designed, options) -> Fit``.
    batch : callable, optional
        Many reweighted fits at once, for the bootstrap: ``(frame, options, query, W) -> (R, q)``, or None where it
        cannot.
    batch_after : callable, optional
        The same from the weights of the designs (R, n) that the record makes: ``(frame, options, query, W, weights)``.
    vary : callable, optional
        Many fits to frames that differ in one variable at once, for refutation: ``(frame, options, query, varied) ->
        (R, q)``, or None where it cannot.
    forms : mapping of str to mapping
        By estimand, the options by which the method gives it where its own defaults do not.
    own_estimand : callable, optional
        The estimand where none is asked for, ``(frame, options) -> str or None``, of a method whose options and formula
        decide it; None for an effect that is no estimand's.
    idle : callable, optional
        Roles that the method does not use with some options, ``(options) -> collection of str``.
    refuse : callable, optional
        Refuses what some options cannot answer, ``(frame, options)``, before anything is fitted.
    exempt : mapping of str to str
        Laws that the method does not obey, each with the reason.
    resampled : callable, optional
        Refuses options that reweighted rows cannot be fitted with, before any replicate is.
    needs : tuple of str
        Optional packages that it imports.
    face : str
        ``module:class`` of its results, where the method's family has verbs of its own.
    design_face : str
        ``module:class`` of its designs, where these show themselves in their own way.
    rebalance : str or callable
        What may help where a design leaves a covariate ``{x}`` out of balance, in words; or these by the options, the
        column of the data that it is made of, and whether that has numbers, and no levels.
    run, make_design : callable
        Filled in by the decorator.
    filed : tuple of str
        Module and name of the function, by the decorator too.
    """

    name: str
    options: type[Options]
    treatments: Collection[Kind]
    estimands: tuple[str, ...]
    default_vcov: str = "asympt"
    vcov_words: str = ""
    estimand_words: str = ""
    r: str = ""
    summary: str = ""
    title: str = ""
    aliases: tuple[str, ...] = ()
    cluster_vcov: str = "~{g}"
    weighted_vcov: str = ""
    roles: tuple[str, ...] = ("treat", "adjust", "cluster", "weights")
    unread: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    default_for: tuple[str, ...] = ()
    estimate: Callable[[ModelFrame, Any, Any], Fit] | None = None
    batch: Batch | None = None
    batch_after: BatchAfter | None = None
    vary: Vary | None = None
    forms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    own_estimand: OwnEstimand | None = None
    idle: Callable[[Any], Collection[str]] = field(default=lambda options: ())
    refuse: Callable[[ModelFrame, Any], None] | None = None
    exempt: Mapping[str, str] = field(default_factory=dict)
    resampled: Callable[[Any], None] | None = None
    needs: tuple[str, ...] = ()
    face: str = ""
    design_face: str = ""
    rebalance: str | Rebalance = "outcome({x}) adjusts for what is left"
    run: Backend = field(default=lambda frame, options: _unfiled(), repr=False)
    make_design: Callable[[ModelFrame, Any], Designed] | None = field(default=None, repr=False)
    filed: tuple[str, str] = field(default=("", ""), repr=False)

    def __post_init__(self) -> None:
        named: dict[str, tuple[Collection[Any], Collection[str]]] = {
            "estimands": (self.estimands, ESTIMANDS),
            "roles": ((*self.roles, *self.unread), ROLES),
            "required": (self.required, ROLES),
            "default_for": (self.default_for, ROLES),
        }
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise OptionError(f"the name of a method is a word, such as 'my_method', not {shown(self.name)}")
        for what, (given, known) in named.items():
            for word in given:
                if word not in known:
                    near = choose(word, known) if isinstance(word, str) else choose("", known)
                    raise OptionError(f"the record of {self.name!r} has an unknown word in {what}, {word!r}{near}")
        if not self.estimands:
            raise OptionError(f"the record of {self.name!r} names no estimand; there are {', '.join(ESTIMANDS)}")

    def __call__(self, function: Method) -> Method:
        """File a function under this record.

        Raises
        ------
        OptionError
            If another function is filed under one of its names, or with its class of options.
        """
        _refuse_taken(self, function)
        filed = replace(self, run=function, filed=(function.__module__, function.__qualname__))
        if self.estimate is not None:
            filed = replace(filed, make_design=function, run=partial(_through_design, function, self.estimate))
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


def _refuse_taken(record: Record, function: Callable[..., Any]) -> None:
    """Refuse what another record has; the same function anew, of a notebook's cell, takes its own place."""
    if not function.__module__.startswith(__package__):
        load()  # the package's own, which would else come second
    for other in RECORDS.values():
        if other.name == record.name and other.filed == (function.__module__, function.__qualname__):
            continue
        taken = [name for name in (record.name, *record.aliases) if name in (other.name, *other.aliases)]
        if taken:
            listed = ", ".join(names())
            raise OptionError(f"method {taken[0]!r} is there already, choose another name; there are {listed}")
        if other.options is record.options:
            raise OptionError(
                f"{record.options.__name__} is the options of method {other.name!r}, by which it is found; derive a "
                "class of your own"
            )


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

# Fields of the options that a design has no use for: they are of the estimate that is made with it.
ESTIMATED = ("contrast", "measure", "family", "interact")
# Arguments of the verbs themselves, which may be misspelt too.
OF_VERBS = ("vcov", "subset", "na_action", "contrasts", "env", "dag", "strict")


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
    raise OptionError(f"unknown method {method!r}{choose(method, [r.name for r in methods()], meant={})}")


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
    method: str | Options | type[Options], given: Mapping[str, Any], without: Collection[str] = ()
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
        where = f" ({record.estimand_words})" if record.estimand_words else ""
        raise OptionError(f"unknown estimand {wanted!r}{known}{where}")
    options = replace(method, **given) if isinstance(method, Options) else record.options(**given)
    estimand: Any = options.estimand or record.default_estimand
    if estimand not in record.estimands:
        raise OptionError(
            f"method {record.name!r} does not estimate the {estimand}; it offers {', '.join(record.estimands)}"
        )
    if options.focal is not None and not ESTIMANDS[estimand].focal:
        raise OptionError(
            f"focal= names the level whose units are the target of the {' or '.join(FOCAL)}; the estimand is the "
            f"{estimand}"
        )
    decided = record.own_estimand is not None and options.estimand is None  # once the data are there
    return record, options if decided else replace(options, estimand=estimand)


def settled(frame: ModelFrame, options: Options) -> Options:
    """Options with the estimand that the formula decides, where none is asked for."""
    own = record_of(options).own_estimand
    return options if own is None or options.estimand is not None else replace(options, estimand=own(frame, options))


def settled_anew(before: ModelFrame, frame: ModelFrame, options: Options) -> Options:
    """Options of a fit for another formula: an estimand that the one decided is decided by the other."""
    free = replace(options, estimand=None)
    return settled(frame, free) if settled(before, free).estimand == options.estimand else options


def run(frame: ModelFrame, options: Options, designed: Designed | None = None) -> Fit:
    """Fit the method whose options these are; from a design where that is made already."""
    record = record_of(options)
    refuse_treatment(frame, record)
    refuse_measure(frame, options)
    refuse_counts(frame, record)
    if designed is None or record.estimate is None:
        return told_of_perfect(record.run(frame, options), frame)
    return told_of_perfect(record.estimate(frame, designed, options), frame)


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
