"""What is said of learners after the cross-fitting: once for all functions and folds of which it holds."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from causalformula.backends.aliased import told_left_out
from causalformula.backends.learning.crossfit import Learned
from causalformula.backends.learning.folds import Folds
from causalformula.errors import counted, some

# Numbers in a warning, which differ between folds.
NUMBER = r"[-+]?\d[\d.,]*(e[-+]?\d+)?"


def learning_notes(learned: Iterable[Learned], folds: Folds) -> tuple[str, ...]:
    """Notes on what was not learned, which columns are left out, what libraries warned of, and lone folds."""
    found = list(learned)
    return (*_lone(folds), *_unlearned(found, folds), *_left_out(found), *_warned(found))


def _unlearned(learned: Iterable[Learned], folds: Folds) -> tuple[str, ...]:
    """A note for all functions that a learner predicts the same for all rows of a fold, having learned nothing."""
    flats: dict[str, list[str]] = {}
    for each in learned:
        if not each.task.learner.matrix(each.task.features).shape[1]:
            continue  # there was nothing to learn from
        values = each.predictions.reshape(len(folds.codes), folds.repeats, -1)
        parts = [values[folds.inside(r, k), r] for r in range(folds.repeats) for k in range(folds.size)]
        # the first two tell most that vary
        flat = sum(len(part) > 1 and (part[0] == part[1]).all() and not np.ptp(part, axis=0).any() for part in parts)
        if flat:
            where = "" if flat == len(parts) else f" in {flat} of {len(parts)} folds"
            flats.setdefault(each.task.learner.name, []).append(f"{each.task.name}{where}")
    return tuple(
        f"{name} learned nothing of the {some(where, 6)}: it predicts the same for every row"
        for name, where in flats.items()
    )


def _lone(folds: Folds) -> tuple[str, ...]:
    """A note on given folds of a single row."""
    if not folds.given or not (lone := folds.lone):
        return ()
    verb = "has" if lone == 1 else "have"
    return (f"{lone} of {folds.size} given folds {verb} a single row; folds= takes a column that says which fold",)


def _left_out(learned: Iterable[Learned]) -> tuple[str, ...]:
    """A note for all functions whose regressions leave out the same columns."""
    functions: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for each in learned:
        parts = [piece.left_out for piece in each.pieces]
        sets = [tuple(dict.fromkeys(name for part in parts for name in part[k])) for k in (0, 1)]
        if sets[0] or sets[1]:
            where = _where(each.task.name, sum(any(part) for part in parts), len(parts))
            functions.setdefault((each.task.learner.name, sets[0], sets[1]), []).append(where)
    return tuple(
        note
        for (name, others, empty), where in functions.items()
        for note in told_left_out(others, empty, f"{name} for the {some(where)}")
    )


def _warned(learned: Iterable[Learned]) -> tuple[str, ...]:
    """A note for each kind of warning that a learner's fits raised, with where it was."""
    kinds: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for each in learned:
        fits = [{_kind(text): text for text in piece.warned} for piece in each.pieces]
        texts = {kind: text for fit in reversed(fits) for kind, text in fit.items()}
        for kind in sorted(texts):
            where = _where(each.task.name, sum(kind in fit for fit in fits), len(fits))
            kinds.setdefault((each.task.learner.name, kind), (texts[kind], []))[1].append(where)
    return tuple(f"{name} for the {some(where)} warned: {text}" for (name, _), (text, where) in kinds.items())


def _where(function: str, fits: int, of: int) -> str:
    return function if fits == of else f"{function} (in {fits} of {counted(of, 'fold')})"


def _kind(text: str) -> str:
    """The text with its numbers out, by which it is the same in all folds."""
    return re.sub(NUMBER, "#", text)
