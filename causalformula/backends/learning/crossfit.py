"""Cross-fitting: every row's prediction from a learner that did not see its fold. The only place where this is done."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from causalformula.backends.learning.folds import Folds
from causalformula.backends.learning.objects import without_probabilities
from causalformula.backends.learning.table import Features, Learner, refuse_unweighted
from causalformula.backends.sample_weights import fit_weighted
from causalformula.errors import CausalFormulaError, DataError, counted, some
from causalformula.inference.refit import spread
from causalformula.numerics.arrays import Array, Bools, Codes

Target = Literal["regression", "classification"]
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
    y : ndarray (n,) or (n, repeats)
        Numbers, or codes 0..K-1 of classes; a column for each repetition where the target comes from another estimate.
    rows : ndarray (n,) of bool, optional
        Rows that it is learned from; all where not given.
    classes : int
        Number of classes.
    option : str
        Which of the method's options the learner was given in, for messages.
    """

    name: str
    learner: Learner
    kind: Target
    features: Features
    y: Array
    rows: Bools | None = None
    classes: int = 2
    option: str = "model"

    def target(self, repeat: int) -> Array:
        """What is learned in a repetition (n,)."""
        return self.y if self.y.ndim == 1 else self.y[:, repeat]


@dataclass(frozen=True, eq=False)
class Piece:
    """What one fit gives.

    Parameters
    ----------
    values : ndarray
        Predictions of the fold.
    told : str
        What the learner says of itself.
    left_out : pair of tuples of str
        Columns that it leaves out: combinations of others, and those that are the same in every row.
    warned : tuple of str
        Kinds and first sentences of the warnings on the way.
    """

    values: Array
    told: str = ""
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
    told : tuple of str
        What the learners say of themselves, one for each fit: weights of a stack, penalties.
    pieces : tuple of Piece
        What each fit said, without its values.
    """

    task: Task
    predictions: Array
    told: tuple[str, ...] = ()
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True, eq=False)
class _Job:
    """One fit: a task, a repetition and a fold."""

    task: int
    repeat: int
    fold: int


def cross_fit(
    tasks: Sequence[Task], folds: Folds, weights: Array | None, n_jobs: int | None = None, words: str = "Cross-fitting"
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

    Raises
    ------
    DataError
        Where a learner fails, naming the fold and the learner, or predicts what is no number.
    OptionError
        For a learner that weights do not reach.
    """
    for task in tasks if weights is not None else ():
        refuse_unweighted(task.learner, task.kind)
    there = [(r, k) for r in range(folds.repeats) for k in range(folds.size) if folds.inside(r, k).any()]
    jobs = [_Job(t, r, k) for r, k in there for t in range(len(tasks))]
    seeds = [
        int(np.random.SeedSequence([folds.seed, job.task, job.repeat, job.fold]).generate_state(1)[0]) for job in jobs
    ]
    work = list(zip(jobs, seeds, strict=True))
    found = spread(partial(_predicted, list(tasks), folds, weights), work, n_jobs, words)
    out = [
        np.full((len(folds.codes), folds.repeats, *((task.classes,) if task.kind == "classification" else ())), np.nan)
        for task in tasks
    ]
    pieces: list[list[Piece]] = [[] for _ in tasks]
    for job, piece in zip(jobs, found, strict=True):
        out[job.task][folds.inside(job.repeat, job.fold), job.repeat] = piece.values
        pieces[job.task].append(replace(piece, values=np.empty(0)))
    return [
        Learned(task, values, tuple(piece.told for piece in each if piece.told), tuple(each))
        for task, values, each in zip(tasks, out, pieces, strict=True)
    ]


def _predicted(tasks: Sequence[Task], folds: Folds, weights: Array | None, work: tuple[_Job, int]) -> Piece:
    """Fit without a fold, predict the fold; what libraries warn of is kept, to be told once for all folds."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        piece = _piece(tasks, folds, weights, *work)
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


def _piece(tasks: Sequence[Task], folds: Folds, weights: Array | None, job: _Job, seed: int) -> Piece:
    task = tasks[job.task]
    inside, train = folds.inside(job.repeat, job.fold), folds.outside(job.repeat, job.fold)
    if task.rows is not None:
        train = train & task.rows
    if weights is not None:
        train = train & (weights > 0)
    where = _where(task, job, folds)
    if not train.any():
        raise DataError(f"{where}: no row to learn from outside the fold; use fewer folds")
    if task.kind == "classification" and len(only := np.unique(task.target(job.repeat)[train])) == 1:
        return _constant(task, int(only[0]), int(inside.sum()), where)
    model = task.learner.make(task.kind, task.features, seed)
    X = task.learner.matrix(task.features)
    if not X.shape[1] and task.learner.name != "glm":
        raise DataError(f"{where}: the formula has no covariates to learn from; add adjust(...), or use 'glm'")
    try:
        fitted = _fit(model, X[train], task.target(job.repeat)[train], None if weights is None else weights[train])
        if task.kind == "classification" and not hasattr(fitted, "predict_proba"):
            raise without_probabilities(task.learner.given, task.option)
        values = _values(fitted, X[inside], task)
    except CausalFormulaError as error:
        raise type(error)(f"{where}: {error}") from None
    except Exception as error:
        few = _few(task, int(train.sum())) if OWN_FOLDS in str(error) else ""
        raise DataError(
            f"{where} failed: {type(error).__name__}: {str(error).rstrip('.')}{few}{_given(task)}"
        ) from error
    if not np.isfinite(values).all():
        raise DataError(f"{where} predicts values that are missing or infinite")
    if task.kind == "classification" and not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"{where} predicts what are no probabilities")
    return Piece(values, str(getattr(fitted, "told_", "")), getattr(fitted, "left_out_", ((), ())))


def _where(task: Task, job: _Job, folds: Folds) -> str:
    """Which learner of what, and in which fold."""
    where = f"{task.learner.name} for the {task.name}"
    where += f", fold {job.fold + 1} of {folds.size}" if folds.size > 1 else ""
    return where + (f", repetition {job.repeat + 1}" if folds.repeats > 1 else "")


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


def _constant(task: Task, code: int, rows: int, where: str) -> Piece:
    """Of rows with one class there is nothing to learn: within an arm it is all that is known, and it is told."""
    if task.rows is None:
        raise DataError(f"{where}: all rows outside the fold have the same value; use fewer folds, or others")
    values = np.zeros((rows, task.classes))
    values[:, code] = 1.0
    return Piece(values, "constant in a fold")


def _fit(model: Any, X: Array, y: Array, weights: Array | None) -> Any:
    return model.fit(X, y) if weights is None else fit_weighted(model, X, y, weights)


def _values(fitted: Any, X: Array, task: Task) -> Array:
    if task.kind == "regression":
        return np.asarray(fitted.predict(X), dtype=float).reshape(len(X))
    out = np.zeros((len(X), task.classes))
    classes: Codes = np.asarray(fitted.classes_, dtype=np.intp)
    out[:, classes] = fitted.predict_proba(X)
    return out


def unlearned(learned: Iterable[Learned], folds: Folds) -> tuple[str, ...]:
    """A note for each function that a learner predicts the same for all rows of a fold, having learned nothing."""
    notes = []
    for each in learned:
        if not each.task.learner.matrix(each.task.features).shape[1]:
            continue  # there was nothing to learn from
        values = each.predictions.reshape(len(folds.codes), folds.repeats, -1)
        parts = [values[folds.inside(r, k), r] for r in range(folds.repeats) for k in range(folds.size)]
        flat = sum(len(part) > 1 and not np.ptp(part, axis=0).any() for part in parts)
        if flat:
            where = "" if flat == len(parts) else f" in {flat} of {len(parts)} folds"
            notes.append(
                f"{each.task.learner.name} learned nothing of the {each.task.name}{where}: it predicts the same for "
                "every row"
            )
    return tuple(notes)


def loss(learned: Learned, weights: Array) -> tuple[float, float]:
    """Mean loss of the predictions, and of the trivial predictor: squared error, or the negative log likelihood.

    The trivial predictor is the mean of the rows that the task is learned from.
    """
    task = learned.task
    rows = np.ones(len(task.y), dtype=bool) if task.rows is None else task.rows
    w, y = weights[rows], task.y[rows]
    share = w / w.sum()
    if task.kind == "regression":
        target = y.reshape(len(y), -1)
        gap = (target - learned.predictions[rows]) ** 2
        return float((share @ gap).mean()), float((share @ (target - share @ target) ** 2).mean())
    codes = y.astype(np.intp)
    P = np.clip(learned.predictions[rows], 1e-15, 1.0)
    own = np.take_along_axis(P, codes[:, None, None], axis=2)[..., 0]
    marginal = np.bincount(codes, share, minlength=task.classes)
    return float(-(share @ np.log(own)).mean()), float(-(marginal[marginal > 0] @ np.log(marginal[marginal > 0])))
