"""Questions answered one by one: what is the same for several outcomes of a treatment is made once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from causalformula.backends import registry
from causalformula.backends.fit import Designed, effective_size
from causalformula.backends.options import Options
from causalformula.diagnostics.covariates import covariates
from causalformula.errors import CapabilityError, CausalFormulaError
from causalformula.formula.language.spec import Spec
from causalformula.formula.matrix.design import Contrasts
from causalformula.frame.columns import Table
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.notices import OfOverlap
from causalformula.frame.shared import sharing
from causalformula.frame.treatment import Kind
from causalformula.inference.small_sample import SmallSample
from causalformula.numerics.arrays import Array
from causalformula.results.answered import answered, routed
from causalformula.results.call import Call
from causalformula.results.designs.imbalance import worst_imbalance
from causalformula.results.effects.facts import notes_of
from causalformula.results.joint.member import unstacked
from causalformula.results.joint.multiplicity import Influences
from causalformula.results.result import Result
from causalformula.results.screening.questions import Question
from causalformula.results.wording import dose_notes, missing_notes

# Patterns of missing values whose designs are kept at a time.
MOST_DESIGNS = 8


@dataclass(frozen=True, eq=False)
class Asked:
    """What all questions of a screen have in common.

    Parameters
    ----------
    method : str or Options, optional
    given : mapping of str to object
        Options of the method and the question, as ``fit`` takes them.
    vcov, ssc, subset, na_action, contrasts, env
        As for ``fit``.
    level : float
        Of the confidence limits.
    influences, keep : bool
        Whether an answer has its influences, and its fit.
    extra : frozenset of str
        Columns that are named outside the formula.
    """

    method: str | Options | type[Options] | None
    given: Mapping[str, Any]
    vcov: Any
    ssc: SmallSample | None
    subset: Any
    na_action: str
    contrasts: Contrasts | None
    env: Mapping[str, Callable[..., Any]] | None
    level: float
    influences: bool
    keep: bool
    extra: frozenset[str]


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of a question: a row an effect, or one row with the error that it stopped with.

    Parameters
    ----------
    question : Question
    rows : tuple of dict
    error : Exception or None
    influences : Influences, str or None
        Or why there are none.
    fit : Result or None
    """

    question: Question
    rows: tuple[dict[str, Any], ...]
    error: Exception | None = None
    influences: Influences | str | None = None
    fit: Result | None = None


@dataclass(eq=False)
class Made:
    """A design that several outcomes share: of a treatment, on the same rows."""

    terms: str
    first: ModelFrame
    designed: Designed | None
    weights: Array | None = None
    reached: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Designs:
    """What was made for the treatment that is asked of at present."""

    treatment: str | None = None
    made: list[Made] = field(default_factory=list)

    def of(self, question: Question, frame: ModelFrame, options: Options) -> tuple[ModelFrame, Made]:
        """The question's frame with all that is there already, and its design, which is made where it is not."""
        if question.treatment != self.treatment:
            self.treatment, self.made = question.treatment, []
        terms = f"{Spec(None, frame.spec.roles)} {options.estimand}"
        # trials of cbind(successes, failures) are weights: they make other designs
        alone = frame.outcome is None or frame.outcome.trials is not None
        for made in self.made:
            if not alone and made.terms == terms and np.array_equal(made.first.rows, frame.rows):
                return sharing(frame, made.first), made
        record = registry.record_of(options)
        made = Made(terms, frame, None if record.make_design is None else registry.run_design(frame, options))
        if not alone:
            self.made = [*self.made[1 - MOST_DESIGNS :], made]
        return frame, made


@dataclass(frozen=True, eq=False)
class Piece:
    """Questions that one process takes at a time; what goes to another has the columns that they use, and no more.

    Parameters
    ----------
    table : Table
    questions : tuple of Question
    extra : frozenset of str
    designs : Designs
    """

    table: Table
    questions: tuple[Question, ...]
    extra: frozenset[str]
    designs: Designs

    def __getstate__(self) -> dict[str, Any]:
        used = set[str]().union(*(each.columns(self.table.names, self.extra) for each in self.questions))
        return {**self.__dict__, "table": self.table.select(used), "designs": Designs()}


def pieces(table: Table, asked: Sequence[Question], extra: frozenset[str], processes: int) -> list[Piece]:
    """The work as it is handed out.

    One process takes questions one by one, and keeps the designs of a treatment; several have all outcomes of a
    treatment each, or a share of these where there are fewer treatments than processes.
    """
    if processes < 2:
        designs = Designs()
        return [Piece(table, (question,), extra, designs) for question in asked]
    by: dict[str, list[Question]] = {}
    for question in asked:
        by.setdefault(question.treatment, []).append(question)
    shares = -(-processes // max(1, len(by)))
    parts = []
    for group in by.values():
        size = -(-len(group) // shares)
        parts += [tuple(group[k : k + size]) for k in range(0, len(group), size)]
    return [Piece(table, part, extra, Designs()) for part in parts]


def answer_piece(asked: Asked, piece: Piece) -> list[Answer]:
    """The answers of a piece of work."""
    return [_answer(asked, question, piece) for question in piece.questions]


def _answer(asked: Asked, question: Question, piece: Piece) -> Answer:
    """One question's answer; whatever stops it is a row with its message."""
    names = {"treatment": question.treatment, "outcome": question.outcome}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say stands in the notes of the row
        try:
            fit, made = _fitted(asked, question, piece)
            rows = tuple({**names, **row} for row in _rows(fit, made, question, asked.level))
        except Exception as error:  # of hundreds of questions one must not stop the others, whatever is wrong with it
            return Answer(question, ({**names, "error": message(error)},), error.with_traceback(None))
        influences = _influences(fit) if asked.influences else None
        return Answer(question, rows, None, influences, fit if asked.keep else None)


def message(error: Exception) -> str:
    """An error as a row has it; one that is not ours with its kind."""
    text = str(error).strip()
    if isinstance(error, CausalFormulaError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _fitted(asked: Asked, question: Question, piece: Piece) -> tuple[Result, Made]:
    table, spec = piece.table, question.spec
    if spec.has_dot():
        table = table.select(question.columns(table.names, piece.extra))
    frame, options, request = routed(
        spec,
        table,
        asked.method,
        asked.given,
        asked.vcov,
        asked.ssc,
        subset=asked.subset,
        na_action=asked.na_action,
        contrasts=asked.contrasts,
        env=asked.env,
    )
    options = registry.settled(frame, options)
    frame, made = piece.designs.of(question, frame, options)
    fit: Result = answered(Call(spec.source, spec, frame, options), request, asked.ssc, made.designed)
    return fit, made


def _influences(fit: Result) -> Influences | str:
    import pandas as pd

    if why := unstacked(fit):
        return f"method {fit.call.record.name!r}: {why}"
    try:
        # by positions in the data, which all questions share
        return Influences.of(fit, index=pd.Index(fit.call.frame.rows))
    except CapabilityError as error:
        return str(error)


# ---- the rows -------------------------------------------------------------------------------------------------------


def _rows(fit: Result, made: Made, question: Question, level: float) -> Iterator[dict[str, Any]]:
    """A row an effect."""
    reading, estimate = fit.read(level), fit.answer.estimate
    shared = {**_reached(fit, made), **_of_fit(fit, question)}
    for j, label in enumerate(fit.answer.labels):
        yield {
            "term": label.term,
            "contrast": label.contrast,
            "estimate": float(reading.estimate[j]),
            "std.error": float(reading.std_error[j]),
            "statistic": float(reading.statistic[j]),
            "df": float(reading.df[j]),
            "p.value": float(reading.p_value[j]),
            "conf.low": float(reading.low[j]),
            "conf.high": float(reading.high[j]),
            "working": float(estimate.theta[j]),
            "working.se": float(fit.covariance.std_error[j]),
            **shared,
        }


def _reached(fit: Result, made: Made) -> dict[str, Any]:
    """What the weights reach: effective sample size and balance; looked up where another outcome has the same."""
    design, frame = fit.design.design_weights, fit.call.frame
    if made.weights is not None and np.array_equal(made.weights, design.weights):
        return made.reached
    total = fit.design.total_weights()
    found: dict[str, Any] = {"ess": min(effective_size(total[inside]) for inside in fit.design.arms().values())}
    found |= {"balance": np.nan, "balance.covariate": ""}
    if frame.spec.treatment is not None:
        worst, value = worst_imbalance(covariates(frame), frame, fit.call.options, design, str(fit.fit.estimand))
        found |= {"balance": abs(value), "balance.covariate": "" if worst is None else worst.name}
    found["weighted"] = bool((design.weights != 1).any())
    made.weights, made.reached = design.weights, found
    return found


def _of_fit(fit: Result, question: Question) -> dict[str, Any]:
    """Rows and events used, overlap, the notes of the print, and what a page says of all questions."""
    frame = fit.call.frame
    own = (*missing_notes(frame), *notes_of(fit), *dose_notes(frame.treatment))
    notes = [note.removeprefix("Note: ") for note in own]
    left = [f"{name} is left out of the covariates" for name in question.left_out]
    return {
        "rows": int(fit.nobs),
        "events": _events(fit),
        "overlap": _overlap(fit),
        "notes": list(dict.fromkeys([*left, *notes])),
        "error": "",
        "method": fit.call.record.name,
        "estimand": str(fit.fit.estimand),
        "measure": fit.answer.measure.name,
        "vcov": fit.covariance.label,
        "unit": _unit(fit),
        "dropped": int(frame.dropped),
    }


def _used(fit: Result) -> Array:
    """Rows of positive weight, as weights of one (n,)."""
    return (fit.design.total_weights() > 0).astype(float)


def _events(fit: Result) -> float:
    """How many of the rows used have the event, of an outcome of 0 and 1; NaN for any other."""
    outcome = fit.call.frame.outcome
    if outcome is None or outcome.trials is not None:
        return np.nan
    y = fit.call.frame.outcome_for(fit.call.options.outcome_family)
    return float(_used(fit) @ y) if bool(np.isin(y, (0, 1)).all()) else np.nan


def _overlap(fit: Result) -> str:
    """``weak`` where a note says so, ``ok`` where nothing does, empty for what nobody looked at."""
    if any(isinstance(note, OfOverlap) for note in (*fit.fit.notes, *fit.design.notes)):
        return "weak"
    design = fit.design.design_weights
    scored = design.distance is not None or design.probabilities is not None or design.correction is not None
    return "ok" if scored or bool((design.weights != 1).any()) else ""


def _unit(fit: Result) -> float:
    """The size of one unit of the effect: the outcome's spread, over that of a dose; NaN for ratios."""
    frame, measure = fit.call.frame, fit.answer.measure
    if measure.name not in ("difference", "nnt") or frame.outcome is None:
        return np.nan
    inside = _used(fit) > 0
    spread = float(np.std(frame.outcome_for(fit.call.options.outcome_family)[inside]))
    treatment = frame.treatment
    if treatment is None or treatment.kind is not Kind.CONTINUOUS:
        return spread
    dose = float(np.std(np.asarray(treatment.values, dtype=float)[inside]))
    return spread / dose if dose > 0 else np.nan


def failed_first(answers: Sequence[Answer]) -> Exception | None:
    """The first error, where every question stopped with one."""
    errors = [each.error for each in answers]
    return errors[0] if errors and all(error is not None for error in errors) else None
