"""What became of each method of a comparison: its fit, or the error that it stopped with."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from causalformula.errors import CausalFormulaError, CausalFormulaWarning, warn
from causalformula.frame.model_frame import ModelFrame
from causalformula.inference.refit import spread
from causalformula.results.answered import answered
from causalformula.results.call import Call
from causalformula.results.comparison.asked import Asked, frames_of
from causalformula.results.effects.facts import notes_of
from causalformula.results.result import Result
from causalformula.results.wording import dose_notes


@dataclass(frozen=True, eq=False)
class Compared:
    """One method of a comparison, answered.

    Parameters
    ----------
    asked : Asked
    fit : Result or None
        None where it stopped with an error.
    error : CausalFormulaError or None
    """

    asked: Asked
    fit: Result | None
    error: CausalFormulaError | None = None

    def notes(self) -> list[str]:
        """What its print says in notes, what was chosen for it, and why it has no estimate."""
        if self.fit is None:
            return [f"no estimate: {self.error}"]
        found = [*notes_of(self.fit), *self.fit.design.imbalance, *dose_notes(self.fit.call.frame.treatment)]
        own = [note.removeprefix("Note: ") for note in found]
        return list(dict.fromkeys([self.asked.chosen] * bool(self.asked.chosen) + own))


def answers(asked: Sequence[Asked], frame: ModelFrame, n_jobs: int | None) -> tuple[Compared, ...]:
    """Every method's answer; one that fails leaves the others as they are.

    Raises
    ------
    CausalFormulaError
        Where every method fails: that of the first.
    """
    work = list(zip(asked, frames_of(asked, frame), strict=True))
    found = spread(_answer, work, n_jobs, "methods")
    compared = tuple(one for one, _ in found)
    if all(one.fit is None for one in compared):
        assert compared[0].error is not None
        raise compared[0].error
    _tell(found)
    return compared


Heard = list[tuple[str, type[Warning]]]


def _answer(work: tuple[Asked, ModelFrame]) -> tuple[Compared, Heard]:
    """One method's fit or error, and the warnings on the way, which a process of its own would not pass on."""
    asked, frame = work
    text = frame.spec.source or str(frame.spec)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit = answered(Call(text, frame.spec, frame, asked.options), asked.request)._comparable()
            compared = Compared(asked, fit)
        except CausalFormulaError as error:
            compared = Compared(asked, None, error.with_traceback(None))
    return compared, [(str(each.message), each.category) for each in caught]


def _tell(found: Sequence[tuple[Compared, Heard]]) -> None:
    """Warn of what the fits warned of, each thing once with the methods that it is of."""
    told: dict[tuple[str, type[Warning]], list[str]] = {}
    for one, heard in found:
        if one.error is not None:
            heard = [*heard, (f"no estimate: {one.error}", CausalFormulaWarning)]
        for key in dict.fromkeys(heard):
            told.setdefault(key, []).append(one.asked.name)
    for (text, category), names in told.items():
        if issubclass(category, CausalFormulaWarning):
            warn(f"{', '.join(names)}: {text}")
        else:
            warnings.warn(text, category, stacklevel=2)
