"""What ``refute()`` is asked, checked before anything is refitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from causalformula.backends.options import is_number, one_of, shown
from causalformula.errors import CapabilityError, OptionError, choose
from causalformula.inference.checks import check_jobs, check_reps, check_seed
from causalformula.results.effects.core import ResultCore
from causalformula.results.refutation.refuters import NAMED, OTHER_WORDS, REFUTERS, USUAL
from causalformula.results.refutation.tables import read_strengths

DUMMIES = ("permuted", "simulated")
# Why what is of two groups is not of several that are treated at different times, and what there is for these.
STAGGERED = {
    "placebo": "placebo permutes a treatment of two groups, and here groups are treated at different times; "
    "dummy_outcome and negative_control_outcome are for these",
    "placebo_in_time": "placebo_in_time puts one change before the real one, and here each group has its own; effects "
    "before treatment, as in an event study, and fit.pretrends() are for these",
    "unobserved_confounder": "unobserved_confounder has one strength with the treatment, and here groups are treated "
    "at different times; fit.honest(...) of an event study asks how far their trends may differ",
}


@dataclass(frozen=True, eq=False)
class Asked:
    """The tests of a refutation, and what they are told.

    Parameters
    ----------
    tests : tuple of str
    named : bool
        Whether the caller named them: one that the method cannot take is then an error, otherwise it is left out.
    reps : int
    seed : int
    n_jobs : int or None
    share : float
        Of the rows, in ``subset``.
    dummy : {"permuted", "simulated"}
    negative_outcome, negative_exposure, time : str or None
        Columns.
    placebo_time : object
        The period of the placebo change.
    strengths : object
        Of the made confounder.
    """

    tests: tuple[str, ...]
    named: bool
    reps: int
    seed: int
    n_jobs: int | None
    share: float
    dummy: str
    negative_outcome: str | None
    negative_exposure: str | None
    time: str | None
    placebo_time: Any
    strengths: Any

    def __post_init__(self) -> None:
        check_reps(self.reps), check_seed(self.seed), check_jobs(self.n_jobs)
        one_of("dummy", self.dummy, DUMMIES)
        read_strengths(self.strengths)
        if not is_number(self.share) or not 0 < self.share < 1:
            raise OptionError(f"share={shown(self.share)}: the share of rows that subset keeps, between 0 and 1")
        for test, option in NAMED.items():
            if test in self.tests and getattr(self, option) is None:
                raise OptionError(f"{test} needs {option}=, the name of a column of the data: {_example(option)}")
            if test not in self.tests and getattr(self, option) is not None:
                raise OptionError(f"{option}= is of {test}, which is not among the tests")
        for option in ("time", "placebo_time"):
            if "placebo_in_time" not in self.tests and getattr(self, option) is not None:
                raise OptionError(f"{option}= is of placebo_in_time, which is not among the tests")
        if self.strengths is not None and "unobserved_confounder" not in self.tests:
            raise OptionError("strengths= is of unobserved_confounder, which is not among the tests")


def _example(option: str) -> str:
    if option == "negative_outcome":
        return "an outcome that the treatment cannot change, but that confounders would"
    return "a variable that cannot change the outcome, but that shares the treatment's confounders"


def read_tests(tests: Any, given: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """The tests by name, in the order given, and whether they were named; the usual ones where they were not.

    Parameters
    ----------
    given : sequence of str
        Negative controls whose columns are named.
    """
    if tests is None:
        return (*USUAL, *given), False
    listed = [tests] if isinstance(tests, str) else tests
    if not isinstance(listed, (list, tuple)) or not listed:
        raise OptionError(f'tests= lists refuters by name, as in tests=["placebo", "subset"], not {shown(tests)}')
    for name in listed:
        if not isinstance(name, str) or name not in REFUTERS:
            near = choose(name if isinstance(name, str) else "", REFUTERS, meant=OTHER_WORDS)
            raise OptionError(f"unknown refuter {shown(name)}{near}")
    return tuple(dict.fromkeys(listed)), True


def refuse(result: ResultCore, test: str) -> None:
    """A ``CapabilityError`` for a refuter that this result cannot take."""
    frame, record = result.call.frame, result.call.record
    if test == "placebo" and frame.has("iv"):
        raise CapabilityError(
            "placebo permutes treat(...), and with instruments that leaves them nothing to act on: every refit is one "
            "of weak instruments. Use dummy_outcome, or a negative control"
        )
    made = result.call.made
    if test == "bootstrap" and made is not None and made.redrawn:
        reason = made.redrawn.partition(". ")[0]
        raise CapabilityError(f"bootstrap, of method {record.name!r}: {reason}. Use subset, which repeats no rows")
    if test == "unobserved_confounder" and (borne := _borne(frame.has("iv"), record.name)):
        raise CapabilityError(
            f"unobserved_confounder makes a confounder of treatment and outcome, which {borne} negative_outcome= "
            "names a variable that may tell of one"
        )
    if test == "negative_control_exposure" and (own := _own(frame.has("iv"), record.name)):
        raise CapabilityError(
            f"negative_control_exposure puts another variable in the place of treat(...), and {own}. negative_outcome= "
            "names a variable that may tell of a confounder"
        )
    if test in STAGGERED and frame.panel is not None and frame.panel.adoption is not None:
        raise CapabilityError(STAGGERED[test])
    if test in ("random_common_cause", "unobserved_confounder") and "adjust" not in record.roles:
        raise CapabilityError(
            f"{test} adds a covariate, and method {record.name!r} adjusts for nothing; use method='regression'"
        )


def _borne(instruments: bool, method: str) -> str:
    """What bears a confounder of treatment and outcome, so that its strength says nothing, and what it cannot bear."""
    if instruments:
        return "instruments bear; what they do not is a confounder of theirs and the outcome's."
    return "the front door bears; what it does not is a confounder of the mediators." if method == "front_door" else ""


def _own(instruments: bool, method: str) -> str:
    """What of a design is the real treatment's own, so that no other may take its place."""
    if instruments:
        return "instruments of the real one are none of another: beside the real one, held fixed, they are confounded"
    return "the mediators are those of the real one: of another there is no effect by them" * (method == "front_door")


def refuse_result(result: ResultCore) -> None:
    """A ``CapabilityError`` for a result that is no effect of a fit."""
    if result.query is None:
        raise CapabilityError("this result was derived from others; refute the fit that it came from")
    if result.query.kind == "aggregated":
        raise CapabilityError("these are effects aggregated from those of a fit; refute the fit that they came from")
    if result.query.kind != "effects":
        raise CapabilityError("a refutation is of effects; refute the fit, not its means()")
    if result.query.split:
        raise CapabilityError(f"these are effects by {result.query.split}; refute the fit that they came from")
