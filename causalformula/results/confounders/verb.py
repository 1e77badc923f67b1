"""``select_confounders``: which of many candidates a formula should adjust for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends.learning.folds import MOST_FOLDS
from causalformula.backends.options import check_functions, is_number, one_of, refuse_swapped, shown, whole
from causalformula.backends.routing import pointed
from causalformula.errors import CapabilityError, FormulaError, OptionError, asks, counted, some
from causalformula.formula.language.reader import parse, with_tilde
from causalformula.formula.language.spec import Role, Spec
from causalformula.formula.matrix.design import Contrasts
from causalformula.frame.bind import bind
from causalformula.frame.leave_out import summed, without_dot
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.notices import Aside, told
from causalformula.frame.treatment import Kind
from causalformula.numerics.families import Family
from causalformula.numerics.families import family as read_family
from causalformula.results.answered import read_question, read_spec
from causalformula.results.confounders.candidates import (
    PROPENSITY,
    Candidates,
    Choice,
    How,
    read_candidates,
    refuse_implied,
    without_implied,
)
from causalformula.results.confounders.caution import caution
from causalformula.results.confounders.confounders import Confounders
from causalformula.results.confounders.reasons import Reason
from causalformula.results.confounders.ways import WAYS, Way
from causalformula.results.elsewhere import in_memory, with_notes
from causalformula.results.wording import missing_notes
from causalformula.words import FamilyName, NaAction, SelectionMethod

if TYPE_CHECKING:
    from formulaic import Formula

# Roles that have a place here; the groupings of rows stay in the formula, and no model reads them.
ROLES = ("treat", "adjust", "outcome", "propensity", "modify", "weights", "cluster", "strata")
KINDS = {
    Kind.BINARY: "a treatment of two levels",
    Kind.MULTI: "a treatment of several levels",
    Kind.CONTINUOUS: "a dose",
}
DEFAULTS: dict[str, Any] = {
    "family": "gaussian", "change": 0.1, "c_linear": 1.0, "c_quadratic": 2.71, "folds": 5, "seed": 0
}  # fmt: skip


@asks
def select_confounders(
    formula: str | Spec | Formula,
    data: Any,
    method: SelectionMethod | str = "double_lasso",
    *,
    keep: str | None = None,
    outcome: str | None = None,
    family: FamilyName | str | Family | None = None,
    change: float | None = None,
    c_linear: float | None = None,
    c_quadratic: float | None = None,
    folds: int | None = None,
    seed: int | None = None,
    subset: Any = None,
    na_action: NaAction = "omit",
    contrasts: Contrasts | None = None,
    env: Mapping[str, Callable[..., Any]] | None = None,
) -> Confounders:
    """Choose among the terms of ``adjust(...)`` those that a fit should adjust for, with the reasons.

    Terms are taken whole: all columns of a factor or of ``poly(x, 3)`` stay or go together, and with an interaction the
    terms that it is made of. What other roles hold stays, each in its model.

    Parameters
    ----------
    formula : str, Spec or formulaic.Formula
        ``"y ~ treat(a) + adjust(x1 + x2 * x3)"``, or ``"y ~ treat(a) + ."``, as for ``fit``. ``"stepwise"`` needs no
        outcome.
    data : data frame
        As for ``fit``. Rows with a missing value in any candidate take no part.
    method : str
        How they are chosen:

        - ``"double_lasso"``: what the lasso takes for the outcome and what it takes for the treatment, with penalties
          that theory gives (Belloni, Chernozhukov and Hansen 2014; ``hdm::rlassoEffect``). Any number of terms.
        - ``"outcome_adaptive_lasso"``: what an adaptive lasso takes in the treatment model, whose penalty is heavy on
          what does not predict the outcome, so that instruments are left out; the penalty whose weights balance best
          (Shortreed and Ertefaie 2017).
        - ``"change_in_estimate"``: terms leave, the one without which the effect changes least first, until each that
          is left changes it by ``change`` of the effect with all terms. Instruments may stay.
        - ``"recursive_elimination"``: terms leave, the weakest first, from the outcome's regression and from the
          treatment's (linear, or logistic for 0 and 1), to the size of the least cross-validated loss, as
          scikit-learn's ``RFECV``, by whole terms; what stays in either is kept.
        - ``"stepwise"``: Imbens and Rubin's (2015, chapter 13) propensity score. Linear terms join by the largest
          likelihood ratio above ``c_linear``, then squares and products of these above ``c_quadratic``.
    keep : str, optional
        Terms that stay whatever the data say: ``"age + sex"``.
    outcome : str, optional
        The left side, where the formula has none.
    family : str, optional
        Of the outcome model; ``"gaussian"`` where not given. A 0/1 outcome may have that too.
    change : float, optional
        Of ``"change_in_estimate"``: a share, 0.1 where not given.
    c_linear, c_quadratic : float, optional
        Of ``"stepwise"``: limits of the likelihood ratio, 1 and 2.71. A term of several columns has the limit with the
        same chi-squared tail.
    folds, seed : int, optional
        Of the cross-validation of ``"recursive_elimination"``: 5 and 0. Folds have both arms, and whole clusters.
    subset, na_action, contrasts, env
        As for ``fit``.

    Returns
    -------
    Confounders
        ``.formula .selected .reasons .steps .fit() .plot()``.

    Raises
    ------
    FormulaError
        For a formula without candidates.
    OptionError
        For an unknown method, an option that it does not read, or terms to keep that are not there.
    CapabilityError
        For a treatment, a role or weights that the method has no place for.
    DataError
        For more coefficients than rows, but for the double lasso.
    IdentificationError
        Where the terms imply the treatment.

    Notes
    -----
    An instrument does predict the outcome at a given treatment where a confounder of both is not measured, and the
    adaptive lasso keeps it then. Only the double lasso's choice leaves the interval of a fit right (least squares with
    the chosen terms), where few terms matter; the print of every other one warns. ``found.fit(...)`` has the warning in
    its print too.

    References
    ----------
    Belloni, Chernozhukov and Hansen (2014); Shortreed and Ertefaie (2017); Mickey and Greenland (1989); Guyon, Weston,
    Barnhill and Vapnik (2002); Imbens and Rubin (2015).

    Examples
    --------
    >>> import causalformula as cf
    >>> infants = cf.datasets.load("infants")
    >>> text = "y ~ treat(treatment) + adjust(birth_weight + weeks_preterm + mother_age + twin + smoked + drank)"
    >>> cf.select_confounders(text, infants).formula
    'y ~ treat(treatment) + adjust(birth_weight + mother_age)'
    """
    way = WAYS[one_of("method", method, WAYS)]
    given = {
        "family": family, "change": change, "c_linear": c_linear, "c_quadratic": c_quadratic, "folds": folds,
        "seed": seed,
    }  # fmt: skip
    how = read_how(way, given)
    spec = _read(formula, data, outcome, env, way)
    table, said = in_memory(data, "cf.select_confounders")
    rows = {"subset": subset, "na_action": na_action, "contrasts": contrasts, "env": env}
    frame = with_notes(bind(spec, table, **rows), said)
    _refuse_unable(frame, way)
    found = read_candidates(frame, keep)
    choice = way.choose(found, how)
    refuse_implied(found, choice.kept)
    free = without_implied(found, found.closed(choice.kept))
    kept = (*found.forced, *free)
    notes = (*choice.notes, *_notes(found, way, free))
    told((*missing_notes(frame), *notes, *(() if way.protects else (caution(way),))))
    return Confounders(
        spec=_with_terms(frame, [*(label for label in found.inside if label in kept), *choice.made]),
        method=way.name,
        listed=tuple(_reasons(found, choice, kept)),
        way=choice.steps,
        limit=how.change if "change" in way.options else None,
        told=choice.told,
        notes=notes,
        frame=frame,
        rows=rows,
    )


def _notes(found: Candidates, way: Way, free: Collection[str]) -> tuple[str, ...]:
    """What the way does not look at, and where its guarantee is thin."""
    out: list[str] = []
    groups = [f"{role}(...)" for role in ("cluster", "strata") if found.frame.spec.has(role)]
    if groups and "folds" not in way.options:
        out.append(Aside(f"{' and '.join(groups)} {'plays' if len(groups) == 1 else 'play'} no part in the choice"))
    columns = found.columns(PROPENSITY)
    size = int((columns.of(free) | ~columns.of(found.labels)).sum())
    if way.protects and size**2 > found.frame.n:
        out.append(
            f"{counted(size, 'column')} kept in {counted(found.frame.n, 'row')}: few terms matter where the square of "
            "their number is far below the number of rows, and intervals after this choice may miss their level"
        )
    return tuple(out)


def read_how(way: Way, given: Mapping[str, Any]) -> How:
    """The options, those that are not given by default.

    Raises
    ------
    OptionError
        For a value out of range, or an option that the way does not read.
    """
    for name, value in given.items():
        if value is not None and name not in way.options:
            listed = f"it reads {some(f'{each}=' for each in way.options)}" if way.options else "it has no options"
            able = some(other.name for other in WAYS.values() if name in other.options)
            raise OptionError(f"{name}= is of {able}, and the method is {way.name!r}; {listed}")
    full = {name: DEFAULTS[name] if value is None else value for name, value in given.items()}
    for name in ("change", "c_linear", "c_quadratic"):
        if not is_number(full[name]) or full[name] <= 0:
            raise OptionError(f"{name}={shown(full[name])}: a limit, a number above zero, as {DEFAULTS[name]:g}")
    if not isinstance(full["family"], str | Family):
        raise OptionError(f"family is named by text, such as 'binomial', not {shown(full['family'])}")
    family = full["family"] if isinstance(full["family"], Family) else read_family(full["family"])
    if way.families and family.name not in way.families:
        raise OptionError(f"method {way.name!r} has outcome models of {' or '.join(way.families)}, not {family.name}")
    return How(
        family=family,
        change=float(full["change"]),
        c_linear=float(full["c_linear"]),
        c_quadratic=float(full["c_quadratic"]),
        folds=whole("folds", full["folds"], "folds of the cross-validation", MOST_FOLDS, 2),
        seed=whole("seed", full["seed"], "the seed of the folds", 2**32 - 1, 0),
    )


def _read(formula: Any, data: Any, outcome: str | None, env: Mapping[str, Callable[..., Any]] | None, way: Way) -> Spec:
    """The formula, which needs no left side where the way does not look at the outcome."""
    if way.outcome or outcome is not None:
        return _causal(read_question(formula, data, outcome, env))
    refuse_swapped(formula, data)
    check_functions(env)
    if isinstance(formula, Spec):
        return _causal(formula)
    return _causal(read_spec(with_tilde(formula) if isinstance(formula, str) else formula, None, env))


def _causal(spec: Spec) -> Spec:
    """The formula, where all of its roles have a place here."""
    for role in spec.roles:
        if role.kind not in ROLES:
            raise CapabilityError(
                pointed(
                    f"select_confounders chooses what treat(...) is adjusted for, and {role.kind}(...) has no place in "
                    f"that; it reads {', '.join(ROLES)}",
                    spec,
                    role,
                )
            )
    if not spec.has("treat"):
        raise FormulaError("no treatment: select_confounders chooses what treat(...) is adjusted for", spec.source)
    return spec


def _refuse_unable(frame: ModelFrame, way: Way) -> None:
    """A ``CapabilityError`` for a treatment or weights that the way has no place for."""
    kind = frame.the_treatment.kind
    if kind not in way.kinds:
        able = [other.name for other in WAYS.values() if kind in other.kinds]
        raise CapabilityError(
            f"method {way.name!r} takes {' or '.join(KINDS[each] for each in way.kinds)}, and "
            f"{frame.the_treatment.name!r} is {KINDS[kind]}; {some(able)} {'takes' if len(able) == 1 else 'take'} it"
        )
    if frame.weights is not None and not way.weighted:
        able = [other.name for other in WAYS.values() if other.weighted]
        raise CapabilityError(f"method {way.name!r} has no place for weights(...); {some(able)} has")


def _with_terms(frame: ModelFrame, labels: list[str]) -> Spec:
    """The question with these terms in ``adjust(...)``."""
    spec, body = without_dot(frame.spec, frame), summed(labels)
    adjusted = () if body is None else (Role("adjust", (body,)),)
    roles = [each for role in spec.roles for each in (adjusted if role.kind == "adjust" else (role,))]
    return parse(str(Spec(spec.outcome, tuple(roles))), None, tuple(frame.env or ()))


def _reasons(found: Candidates, choice: Choice, kept: tuple[str, ...]) -> Iterator[Reason]:
    """One reason a term, those that were made last."""
    for label in (*found.inside, *choice.made):
        if label in found.forced:
            yield Reason(label, True, "stays whatever the data say", np.nan)
            continue
        inside, chosen, why = label in kept or label in choice.made, label in choice.kept, choice.why[label]
        if chosen and not inside:
            why = f"other kept terms imply it; alone: {why}"
        elif inside and not chosen and label not in choice.made:
            why = f"a kept interaction has it; alone: {why}"
        yield Reason(label, inside, why, choice.statistic[label])
