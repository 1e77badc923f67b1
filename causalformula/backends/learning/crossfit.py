"""Cross-fitting: every row's prediction from a learner that did not see its fold. The only place where this is done."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from causalformula.backends.learning.folds import Folds
from causalformula.backends.learning.objects import Said, said_of, without_probabilities
from causalformula.backends.learning.table import Features, Learner, refuse_unweighted
from causalformula.backends.sample_weights import fit_weighted
from causalformula.errors import CausalFormulaError, DataError, counted, some
from causalformula.inference.refit import one_thread, spread
from causalformula.numerics.arrays import Array, Bools, Codes

Target = Literal["regression", "classification"]
# With fewer rows than this, threads of boosting wait for each other longer than they work.
FEW = 10_000
# What they say is of releases of libraries, and nothing of the answer.
OF_RELEASES = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
# How libraries refuse rows too few for the folds by which a learner chooses its penalty.
OWN_FOLDS = "n_splits"


@dataclass(frozen=True, eq=False)
class Task:
    """One nuisance function to learn.

    Parameters
    ----------
    name : str
        In words, for messages: ``outcome at a = 1``.
    learner : Learner
    kind : {"regression", "classification"}
    features : Features
    y : ndarray (n,), (n, repeats) or (n, repeats, folds)
        Numbers, or codes 0..K-1 of classes; where the target comes from another estimate a column for each repetition,
        and where that estimate held a fold out too, one for each fold.
    rows : ndarray (n,) of bool, optional
        Rows that it is learned from; all where not given.
    halves : ndarray (n, repeats, folds) of bool, optional
        Which of these may be learned from when a fold is left out, where the target comes from the others.
    classes : int
        Number of classes.
    option : str
        Which of the method's options the learner was given in, for messages.
    settings : tuple of Features
        Features that are predicted from beside the rows' own, as under each level of the treatment.
    precision : ndarray of y's shape, optional
        How much each row's target counts, beside sampling weights.
    everywhere : bool
        Whether the learner without a fold predicts all rows too, and not its own fold alone.
    """

    name: str
    learner: Learner
    kind: Target
    features: Features
    y: Array
    rows: Bools | None = None
    classes: int = 2
    option: str = "model"
    settings: tuple[Features, ...] = ()
    precision: Array | None = None
    everywhere: bool = False
    halves: Bools | None = None

    def target(self, repeat: int, fold: int = 0) -> Array:
        """What is learned in a repetition without a fold (n,)."""
        return _column(self.y, repeat, fold)

    def weights(self, sampling: Array | None, repeat: int, fold: int) -> Array | None:
        """How much each row counts in a repetition without a fold (n,); None where all count the same."""
        if self.precision is None:
            return sampling
        own = _column(self.precision, repeat, fold)
        return own if sampling is None else own * sampling

    def learned_from(self, repeat: int, fold: int) -> Bools:
        """Rows that it may be learned from, whatever their fold."""
        rows = np.ones(len(self.y), dtype=bool) if self.rows is None else self.rows
        return rows if self.halves is None else rows & self.halves[:, repeat, fold]

    def seen(self, folds: Folds) -> Task:
        """The task with each row's own target, that of its fold."""
        if self.y.ndim < 3:
            return self
        return replace(self, y=np.take_along_axis(self.y, folds.codes[:, :, None], axis=2)[..., 0])

    @property
    def width(self) -> tuple[int, ...]:
        """Shape of one row's prediction."""
        return (self.classes,) if self.kind == "classification" else ()

    def means(self, values: Array) -> Array:
        """Predicted numbers, or the probabilities of the second of two classes."""
        return values[..., 1] if self.kind == "classification" else values


def _column(values: Array, repeat: int, fold: int) -> Array:
    return np.asarray(values[(slice(None), repeat, fold)[: values.ndim]])


NOTHING = np.empty(0)


@dataclass(frozen=True, eq=False)
class Piece:
    """What one fit gives.

    Parameters
    ----------
    values : ndarray
        Predictions of the fold.
    at : ndarray (m, settings)
        Means of its rows under the task's settings.
    everywhere : ndarray (n,), optional
        Means of all rows, where the task asks for them.
    told : Said
        What the learner says of itself.
    model : estimator, optional
        The fitted learner, where it is kept.
    left_out : pair of tuples of str
        Columns that it leaves out: combinations of others, and those that are the same in every row.
    warned : tuple of str
        Kinds and first sentences of the warnings on the way.
    """

    values: Array
    at: Array
    everywhere: Array | None = None
    told: Said = field(default_factory=Said)
    model: Any = None
    left_out: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    warned: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Learned:
    """Predictions of rows that took no part in the learning.

    Parameters
    ----------
    task : Task
    predictions : ndarray (n, repeats) or (n, repeats, classes)
        Probabilities of classes.
    told : tuple of (str, Said)
        What the learners say of themselves, with the fold that each is of: weights of a stack, parameters chosen.
    at : ndarray (n, repeats, settings)
        Means under the task's settings.
    everywhere : ndarray (n, repeats, folds), optional
        The mean that the learner without each fold predicts of every row, where the task asks for it.
    models : tuple
        The fitted learners, where they were asked for.
    pieces : tuple of Piece
        What each fit said, without its values.
    """

    task: Task
    predictions: Array
    told: tuple[tuple[str, Said], ...] = ()
    at: Array = field(default_factory=lambda: np.empty((0, 0, 0)))
    everywhere: Array | None = None
    models: tuple[Any, ...] = ()
    pieces: tuple[Piece, ...] = ()

    @property
    def means(self) -> Array:
        """Predicted means (n, repeats)."""
        return self.task.means(self.predictions)


@dataclass(frozen=True, eq=False)
class _Job:
    """One fit: a task, a repetition and a fold."""

    task: int
    repeat: int
    fold: int


def cross_fit(
    tasks: Sequence[Task],
    folds: Folds,
    weights: Array | None,
    n_jobs: int | None = None,
    words: str = "Cross-fitting",
    keep: bool = False,
) -> list[Learned]:
    """Predictions of every task for every row and repetition.

    Learners that draw are given a seed for each task, repetition and fold, so that any number of processes gives the
    same bytes.

    Parameters
    ----------
    weights : ndarray (n,), optional
        Sampling weights; rows of weight zero train nothing.
    n_jobs : int, optional
        As joblib's configuration has it where not given.
    keep : bool
        Whether the fitted learners are kept.

    Raises
    ------
    DataError
        Where a learner fails, naming the fold and the learner, or predicts what is no number.
    OptionError
        For a learner that weights do not reach.
    """
    for task in () if weights is None or _chooses(weights) else tasks:
        refuse_unweighted(task.learner, task.kind)
    there = [(r, k) for r in range(folds.repeats) for k in range(folds.size) if folds.inside(r, k).any()]
    jobs = [_Job(t, r, k) for r, k in there for t in range(len(tasks))]
    seeds = [
        int(np.random.SeedSequence([folds.seed, job.task, job.repeat, job.fold]).generate_state(1)[0]) for job in jobs
    ]
    work = list(zip(jobs, seeds, strict=True))
    found = spread(partial(_predicted, list(tasks), folds, weights, keep), work, n_jobs, words)
    shape = (len(folds.codes), folds.repeats)
    out = [np.full((*shape, *task.width), np.nan) for task in tasks]
    at = [np.full((*shape, len(task.settings)), np.nan) for task in tasks]
    wide = [np.full((*shape, folds.size), np.nan) if task.everywhere else None for task in tasks]
    told: list[list[tuple[str, Said]]] = [[] for _ in tasks]
    models: list[list[Any]] = [[] for _ in tasks]
    pieces: list[list[Piece]] = [[] for _ in tasks]
    for job, done in zip(jobs, found, strict=True):
        inside, t, r = folds.inside(job.repeat, job.fold), job.task, job.repeat
        out[t][inside, r], at[t][inside, r] = done.values, done.at
        if (whole := wide[t]) is not None:
            whole[:, r, job.fold] = done.everywhere
        told[t] += [(_fold_words(job, folds), done.told)] if done.told.text else []
        models[t] += [done.model] if keep else []
        pieces[t].append(replace(done, values=NOTHING, at=NOTHING, everywhere=None, model=None))
    return [
        Learned(task.seen(folds), out[t], tuple(told[t]), at[t], wide[t], tuple(models[t]), tuple(pieces[t]))
        for t, task in enumerate(tasks)
    ]


def _predicted(tasks: Sequence[Task], folds: Folds, weights: Array | None, keep: bool, work: tuple[_Job, int]) -> Piece:
    """Fit without a fold, predict the fold; what libraries warn of is kept, to be told once for all folds."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        piece = _piece(tasks, folds, weights, keep, *work)
    for each in caught:
        if issubclass(each.category, OF_RELEASES):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    told = [each for each in caught if not issubclass(each.category, OF_RELEASES)]
    return replace(piece, warned=tuple(dict.fromkeys(map(_warned, told))))


def _warned(caught: warnings.WarningMessage) -> str:
    """A warning's kind and its first sentence."""
    line = str(caught.message).strip().split("\n", maxsplit=1)[0]
    sentence = re.split(r"\.\s", line, maxsplit=1)[0].rstrip(".: ")
    return f"{caught.category.__name__}, {sentence}"


def _piece(tasks: Sequence[Task], folds: Folds, weights: Array | None, keep: bool, job: _Job, seed: int) -> Piece:
    task = tasks[job.task]
    inside, train = np.flatnonzero(folds.inside(job.repeat, job.fold)), folds.outside(job.repeat, job.fold)
    train = train & task.learned_from(job.repeat, job.fold)
    w = task.weights(weights, job.repeat, job.fold)
    if w is not None:
        train = train & (w > 0)
    where = _where(task, job, folds)
    rows = np.flatnonzero(train)
    if not len(rows):
        raise DataError(f"{where}: no row to learn from outside the fold; use fewer folds")
    w = None if w is None or _chooses(w) else w
    model = _trained(task, rows, task.target(job.repeat, job.fold)[rows], w, seed, where)
    read = task.learner.matrix
    values = predicted(model, task, read(task.features).take(inside, axis=0), where)
    at = [task.means(predicted(model, task, read(each).take(inside, axis=0), where)) for each in task.settings]
    wide = task.means(predicted(model, task, read(task.features), where)) if task.everywhere else None
    columns = np.column_stack(at) if at else np.empty((len(values), 0))
    left_out = getattr(model, "left_out_", ((), ()))
    return Piece(values, columns, wide, said_of(model), model if keep else None, left_out)


def _chooses(weights: Array) -> bool:
    """Whether weights of 0 and 1 only choose rows, so that a learner needs none."""
    return bool(((weights == 0.0) | (weights == 1.0)).all() and (weights == 0.0).any())


def _trained(task: Task, rows: Codes, target: Array, weights: Array | None, seed: int, where: str) -> Any:
    """The learner, fitted to the rows that it may see."""
    if task.kind == "classification" and (target == target[0]).all():
        return _constant(task, int(target[0]), where)
    X = task.learner.matrix(task.features)
    if not X.shape[1] and task.learner.name != "glm":
        raise DataError(f"{where}: the formula has no covariates to learn from; add adjust(...), or use 'glm'")
    with _named(task, where, len(rows)):
        model = task.learner.make(task.kind, task.features, seed)
        with one_thread("openmp") if len(X) < FEW else nullcontext():
            fitted = _fit(model, X.take(rows, axis=0), target, None if weights is None else weights[rows])
        if task.kind == "classification" and not hasattr(fitted, "predict_proba"):
            raise without_probabilities(task.learner.given, task.option)
    return fitted


def predicted(model: Any, task: Task, X: Array, where: str) -> Array:
    """What a fitted learner predicts from the columns that it reads, of any rows (m,) or (m, classes).

    Raises
    ------
    DataError
        Where it fails, or predicts what is no number or no probability.
    """
    with _named(task, where), one_thread("openmp") if len(X) < FEW else nullcontext():
        values = _values(model, X, task)
    if not np.isfinite(values).all():
        raise DataError(f"{where} predicts values that are missing or infinite")
    if task.kind == "classification" and not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"{where} predicts what are no probabilities")
    return values


@contextmanager
def _named(task: Task, where: str, rows: int = 0) -> Iterator[None]:
    """Errors inside a fold, naming it and the learner."""
    try:
        yield
    except CausalFormulaError as error:
        raise type(error)(f"{where}: {error}") from None
    except Exception as error:
        few = _few(task, rows) if OWN_FOLDS in str(error) else ""
        raise DataError(
            f"{where} failed: {type(error).__name__}: {str(error).rstrip('.')}{few}{_given(task)}"
        ) from error


def _fold_words(job: _Job, folds: Folds) -> str:
    """Which fold a fit left out, and in which repetition."""
    return (f"repetition {job.repeat + 1}, " if folds.repeats > 1 else "") + f"fold {job.fold + 1}"


def _where(task: Task, job: _Job, folds: Folds) -> str:
    """Which learner of what, and in which fold."""
    return f"{task.learner.name} for the {task.name}{folds.place(job.repeat, job.fold)}"


def _given(task: Task) -> str:
    """What an estimator of the caller's was given."""
    if task.learner.given is None:
        return ""
    names = task.features.names
    return f" (it is given an array of numbers, the {counted(len(names), 'column')} {some(names)} of the formula)"


def _few(task: Task, rows: int) -> str:
    """What to do where a learner's own folds have more parts than there are rows."""
    return (
        f". There are {counted(rows, 'row')} to learn from, too few for the folds that it makes of them; more folds= "
        f"leave more, and {task.option}='glm' makes none"
    )


def _constant(task: Task, code: int, where: str) -> Constant:
    """Of rows with one class there is nothing to learn: within an arm it is all that is known, and it is told."""
    if task.rows is None:
        raise DataError(f"{where}: all rows outside the fold have the same value; use fewer folds, or others")
    return Constant(code)


class Constant:
    """What predicts the one class that its rows had."""

    told_ = "one class only"

    def __init__(self, code: int):
        self.classes_ = np.array([code])

    def predict_proba(self, X: Array) -> Array:
        """Ones."""
        return np.ones((len(X), 1))


def _fit(model: Any, X: Array, y: Array, weights: Array | None) -> Any:
    return model.fit(X, y) if weights is None else fit_weighted(model, X, y, weights)


def _values(fitted: Any, X: Array, task: Task) -> Array:
    if task.kind == "regression":
        return np.asarray(fitted.predict(X), dtype=float).reshape(len(X))
    out = np.zeros((len(X), task.classes))
    classes: Codes = np.asarray(fitted.classes_, dtype=np.intp)
    out[:, classes] = fitted.predict_proba(X)
    return out
