"""``screen``: one formula, and hundreds of treatments or outcomes that take their places in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends import registry
from causalformula.backends.options import Options, check_functions, flag, refuse_swapped
from causalformula.backends.routing import default_method, refuse_unread_roles
from causalformula.errors import OptionError, asks, counted, some, warn
from causalformula.formula.language.grammar import variables
from causalformula.formula.language.parse import parse_expression
from causalformula.formula.language.reader import with_tilde
from causalformula.formula.language.spec import Spec
from causalformula.formula.matrix.design import Contrasts
from causalformula.frame.bind import CONSTANTS
from causalformula.frame.columns import Table
from causalformula.inference.checks import check_jobs, check_reps, check_seed
from causalformula.inference.refit import processes, stream
from causalformula.inference.request_text import read_request
from causalformula.inference.requests import Given, Vcov
from causalformula.inference.resampling.resample import fresh_seed
from causalformula.inference.small_sample import SmallSample
from causalformula.numerics.arrays import Array
from causalformula.results.answered import read_question, read_spec
from causalformula.results.elsewhere import in_memory
from causalformula.results.joint.multiplicity import Influences, adjustment, romano_wolf
from causalformula.results.named import named_columns
from causalformula.results.reading.reading import check_level
from causalformula.results.screening.answers import Answer, Asked, answer_piece, failed_first, pieces
from causalformula.results.screening.questions import Lists, Question, questions, read_lists
from causalformula.results.screening.rows import frame_of
from causalformula.results.screening.screen import Screen
from causalformula.results.screening.store import Rows, Store, settings_of
from causalformula.words import Adjustment, Contrast, Estimand, FamilyName, Measure, Method, NaAction

if TYPE_CHECKING:
    import os

    import pandas as pd
    from formulaic import Formula

    from causalformula.numerics.families import Family

    AnyMethod = Method | str | Options | type[Options]

JOINT = "romano_wolf"


@asks
def screen(
    formula: str | Spec | Formula,
    data: Any,
    method: AnyMethod | None = None,
    *,
    treatments: Sequence[str] | None = None,
    outcomes: Sequence[str] | None = None,
    negative_controls: Sequence[str] | None = None,
    adjust: Adjustment | str = "bh",
    level: float = 0.95,
    outcome: str | None = None,
    estimand: Estimand | None = None,
    contrast: Contrast | None = None,
    measure: Measure | None = None,
    family: FamilyName | str | Family | None = None,
    vcov: Vcov | None = None,
    ssc: SmallSample | None = None,
    path: str | os.PathLike[str] | None = None,
    keep: bool = False,
    n_jobs: int | None = None,
    reps: int = 9999,
    seed: int | None = None,
    subset: Any = None,
    na_action: NaAction = "omit",
    contrasts: Contrasts | None = None,
    env: Mapping[str, Callable[..., Any]] | None = None,
    **passed: Any,
) -> Screen:
    """Ask one question of many treatments, of many outcomes, or of all pairs: hundreds of fits, one row each.

    Each question is the fit that ``cf.fit`` makes of it, with the same numbers. What several outcomes of a treatment
    have in common (matrices, propensities, weights, matches) is made once for those with the same rows. A question that
    fails is a row with its message.

    Parameters
    ----------
    formula : str, Spec or formulaic.Formula
        ``"death ~ treat(drug) + adjust(age + sex)"``. Each of ``treatments`` takes the place of the variable in
        ``treat(...)`` (or the first of ``did(...)``), each of ``outcomes`` that of the variable on the left, whatever
        these are called: ``log(cost)`` is the logarithm of each. A treatment, or an outcome, that stands among the
        covariates too is left out of them where it is asked of, and its row says so. ``.`` leaves out all outcomes.
    data : data frame
        As for ``fit``.
    method : str or options object, optional
        As for ``fit``, for all questions.
    treatments, outcomes : list of str
        Columns of the data; one of the two at least. Given both, all pairs are asked of.
    negative_controls : list of str, optional
        Treatments, or outcomes where outcomes are screened, whose effect is known to be none: columns that are in the
        list or join it. Their estimates tell the systematic error that is left in the design, by which p-values are
        calibrated. They are no part of the family that p-values are adjusted over.
    adjust : {"bh", "holm", "bonferroni", "hochberg", "by", "romano_wolf"}
        How p-values are adjusted, as by ``cf.adjust_pvalues``; ``"BH"`` and ``"romano-wolf"`` are understood.
    level : float
        Of the confidence limits.
    outcome : str, optional
        The left side, where the formula has none and ``outcomes`` are not screened.
    estimand, contrast, measure, family, vcov, ssc
        As for ``fit``.
    path : str or path, optional
        A Parquet file that results are written to as they come. Where it is there, questions that it has an answer for
        are not asked again; one of another formula, of other options or other data is an error. Questions that failed
        are asked again. It needs pyarrow.
    keep : bool
        Keep the fits, as ``.fits[treatment, outcome]``; they take room. A file has none of them.
    n_jobs : int, optional
        Processes, through joblib; as ``joblib.parallel_config(n_jobs=)`` has it where not given, one without that.
    reps, seed : int, optional
        Of ``adjust="romano_wolf"``.
    subset, na_action, contrasts, env
        As for ``fit``.
    **passed
        The method's own options, as ``fit`` takes them.

    Returns
    -------
    Screen
        ``.tidy() .to_frame() .volcano() .forest() .nulls .errors .fits .summary()``.

    Raises
    ------
    OptionError
        For lists that are empty, that name no column, or one twice, and a treatment that is an outcome too; for a file
        at ``path`` that has other answers.
    FormulaError
        Where it is not plain what the columns take the place of.
    CausalFormulaError
        Where every question fails: the error of the first.

    Notes
    -----
    The calibrated p-value is ``2 * (1 - Phi(|estimate - mean| / sqrt(sd^2 + se^2)))``, on the scale of the logarithm
    for ratios, with ``N(mean, sd^2)`` the systematic error, by maximum likelihood from the controls' estimates and
    their standard errors: of controls that are outcomes one for each treatment, of controls that are treatments one for
    each outcome. A control's own is by the other controls. It counts mean and sd as known. R:
    ``EmpiricalCalibration::fitNull`` and ``calibrateP``. Romano and Wolf's p-values resample the exact influences of
    all questions together; where a fit has none, as of matches, there are none, and a note says so.

    References
    ----------
    Schuemie, Ryan, DuMouchel, Suchard and Madigan (2014); Schuemie, Hripcsak, Ryan, Madigan and Suchard (2016);
    Benjamini and Hochberg (1995); Romano and Wolf (2005, 2016).

    Examples
    --------
    >>> import causalformula as cf
    >>> data = cf.datasets.load("heart").assign(Other=lambda d: d["I.H"] > 0)
    >>> found = cf.screen("Severity ~ treat(drug) + adjust(I.H)", data, treatments=["Drug", "Other"])
    >>> found.tidy()["estimate"].round(2).tolist()
    [-9.89, 1.3]
    """
    spec = _read(formula, data, outcome, outcomes, env)
    question = {"estimand": estimand, "contrast": contrast, "measure": measure, "family": family}
    given = {**{k: v for k, v in question.items() if v is not None}, **passed}
    adjust = adjustment("adjust", adjust)
    check_level(level), check_jobs(n_jobs), check_reps(reps), check_seed(seed), flag("keep", keep)
    table, _ = in_memory(data, "cf.screen")
    lists = read_lists(treatments, outcomes, negative_controls, table)
    listed = questions(spec, lists, tuple(env or ()))
    extra = _extra(listed[0].spec, method, given, vcov, ssc, subset, table)
    asked = Asked(
        method,
        given,
        vcov,
        ssc,
        subset,
        na_action,
        contrasts,
        env,
        float(level),
        adjust == JOINT,
        keep,
        frozenset(extra),
    )
    _refuse_unknown(spec, listed, table)
    store = _store(path, adjust, str(spec), asked, table)
    rows, answers = _answers(asked, listed, table, n_jobs, store)
    found = frame_of(row for each in listed for row in rows[each.treatment, each.outcome])
    sizes = [len(rows[each.treatment, each.outcome]) for each in listed]
    found["control"] = np.repeat([each.control for each in listed], sizes)
    seed = fresh_seed(seed) if adjust == JOINT else None
    jointly, told = _jointly(found, listed, answers, reps, seed) if adjust == JOINT else (None, [])
    _warn_of_failures(found, len(listed))
    return Screen(
        formula=spec.source or str(spec),
        answers=found,
        kind=lists.kind,
        adjust=adjust,
        level=float(level),
        controls=lists.of,
        jointly=jointly,
        seed=seed,
        told=(*_told(spec, listed, len(listed) - len(answers), path, lists), *told),
        fits={names: each.fit for names, each in answers.items() if each.fit is not None},
    )


def _read(
    formula: Any, data: Any, outcome: str | None, outcomes: Any, env: Mapping[str, Callable[..., Any]] | None
) -> Spec:
    """The formula, which needs no left side where outcomes are screened."""
    if outcomes is None:
        return read_question(formula, data, outcome, env)
    refuse_swapped(formula, data)
    check_functions(env)
    if outcome is not None:
        raise OptionError("outcome= is the left side of all questions, and outcomes= are screened; give one of the two")
    if isinstance(formula, Spec):
        return formula
    return read_spec(with_tilde(formula) if isinstance(formula, str) else formula, None, env)


def _extra(
    spec: Spec, method: Any, given: Mapping[str, Any], vcov: Any, ssc: SmallSample | None, subset: Any, table: Table
) -> set[str]:
    """Columns that are named outside the formula; what is wrong with the options is told before anything is fitted."""
    named = method if method is not None else default_method(spec, given)
    record, wanted = registry.read_options(named, given)
    refuse_unread_roles(spec, record, named=method is not None)
    request = None if vcov is None else read_request(vcov, ssc)
    if isinstance(request, Given):
        raise OptionError("vcov= as a matrix is of one fit; a screen takes a name, such as vcov='HC3'")
    found = {*wanted.columns, *named_columns(request, table, record)}
    for name in found:
        table.named(name)
    return {*found, *(variables(parse_expression(subset)) if isinstance(subset, str) else ())}


def _refuse_unknown(spec: Spec, listed: Sequence[Question], table: Table) -> None:
    """A ``FormulaError`` for columns that are not there, once instead of in every row; the others are read."""
    for name in dict.fromkeys(name for each in listed for name in each.spec.variables()):
        if name in table or name not in CONSTANTS:
            table.column(name, spec.source or None, spec.span_of(name))


def _store(path: Any, adjust: str, formula: str, asked: Asked, table: Table) -> Store | None:
    if path is None:
        return None
    if adjust == JOINT:
        raise OptionError(
            "adjust='romano_wolf' resamples the influences of all questions, which the file of path= does not hold; "
            "use adjust='holm', which needs p-values alone, or leave out path="
        )
    return Store.open(path, settings_of(formula, asked), table, asked.extra)


def _answers(
    asked: Asked, listed: Sequence[Question], table: Table, n_jobs: int | None, store: Store | None
) -> tuple[dict[tuple[str, str], Rows], dict[tuple[str, str], Answer]]:
    """The rows of every question, and the answers of those that the file did not have."""
    rows: dict[tuple[str, str], Rows] = {}
    for each in listed:
        if store is not None and (held := store.finished(each)) is not None:
            rows[each.treatment, each.outcome] = held
    left = [each for each in listed if (each.treatment, each.outcome) not in rows]
    work = pieces(table, left, asked.extra, processes(n_jobs))
    answers: dict[tuple[str, str], Answer] = {}
    try:
        for part in stream(partial(answer_piece, asked), work, n_jobs, "questions"):
            answers |= {(one.question.treatment, one.question.outcome): one for one in part}
            if store is not None:
                store.add(part)
    finally:
        if store is not None and answers:
            store.write()
    first = failed_first(list(answers.values())) if not rows else None
    if first is not None:
        raise first
    return rows | {names: one.rows for names, one in answers.items()}, answers


def _jointly(
    found: pd.DataFrame,
    listed: Sequence[Question],
    answers: Mapping[tuple[str, str], Answer],
    reps: int,
    seed: int | None,
) -> tuple[Array | None, list[str]]:
    """Romano and Wolf's p-values of all rows, or why there are none."""
    made = [answers[each.treatment, each.outcome] for each in listed]
    family = [one for one in made if one.error is None and not one.question.control]
    parts = [one.influences for one in family if isinstance(one.influences, Influences)]
    out = np.full(len(found), np.nan)
    if not family:
        return out, []
    if len(parts) < len(family):
        why = next(one.influences for one in family if isinstance(one.influences, str))
        return None, [f"no Romano-Wolf p-values: {why}. adjust='holm' needs p-values alone"]
    inside = ((found["error"] == "") & ~found["control"]).to_numpy()
    t, p = (found[name].to_numpy(dtype=float)[inside] for name in ("statistic", "p.value"))
    out[inside] = romano_wolf(parts, t, p, reps, np.random.default_rng(seed))
    if all(part.index.equals(parts[0].index) for part in parts):
        return out, []
    return out, ["questions use different rows: in the joint resampling, one has no part in rows that it does not use"]


def _told(spec: Spec, listed: Sequence[Question], resumed: int, path: Any, lists: Lists) -> list[str]:
    """What there is to say of the whole screen."""
    told = []
    if resumed:
        told.append(f"{counted(resumed, 'question')} answered before, in {path}")
    left = list(dict.fromkeys(name for each in listed for name in each.left_out))
    if left:
        told.append(f"left out of the covariates where they are what is asked of: {some(left, 5)}")
    if spec.has_dot():
        others = "leaves out the other outcomes" if lists.outcomes else ""
        others += " and " * bool(lists.outcomes and lists.treatments)
        others += "stands for the other treatments too" if lists.treatments else ""
        told.append(f"`.` in the formula {others}")
    return told


def _warn_of_failures(found: pd.DataFrame, count: int) -> None:
    failed = found[found["error"] != ""]
    if len(failed):
        first = failed.iloc[0]
        warn(
            f"{len(failed)} of {counted(count, 'question')} {'has' if len(failed) == 1 else 'have'} no estimate; the "
            f"first, {first['treatment']} on {first['outcome']}: {first['error']}"
        )
