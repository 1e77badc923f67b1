"""``fit.refute()``: every test in turn, each with draws of its own that do not depend on which others are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from causalformula.errors import CausalFormulaError, asks
from causalformula.inference.resampling.resample import fresh_seed
from causalformula.results.effects.core import ResultCore
from causalformula.results.refutation import refits, single, tables
from causalformula.results.refutation.asked import Asked, read_tests, refuse, refuse_result
from causalformula.results.refutation.refutation import Refutation
from causalformula.results.refutation.refuted import Refuted
from causalformula.results.refutation.refuters import NAMED, REFUTERS
from causalformula.words import DummyOutcome, Refuter


class Refutable(ResultCore):
    """The verb of a result that can be refuted."""

    @asks
    def refute(
        self,
        tests: Sequence[Refuter] | Refuter | None = None,
        reps: int = 100,
        *,
        seed: int | None = None,
        n_jobs: int | None = None,
        negative_outcome: str | None = None,
        negative_exposure: str | None = None,
        share: float = 0.8,
        dummy: DummyOutcome = "permuted",
        time: str | None = None,
        placebo_time: Any = None,
        strengths: Sequence[float] | None = None,
    ) -> Refutation:
        """Do the analysis again where its answer is known, or should not matter; all that is estimated is made anew.

        Parameters
        ----------
        tests : list of str, optional
            - ``placebo``: the treatment permuted, within ``strata(s)`` and over clusters that have it as a whole;
            - ``random_common_cause``: random numbers as a further covariate;
            - ``subset``: a ``share`` of the rows, or clusters; ``bootstrap``: resamples of them;
            - ``dummy_outcome``: an outcome that nothing causes;
            - ``negative_control_outcome``, ``negative_control_exposure``: variables that the treatment does not change,
              or that do not change the outcome;
            - ``leave_one_out``: without each covariate in turn;
            - ``placebo_in_time``: of ``did(...)``, a change before the real one;
            - ``unobserved_confounder``: one of known strength made and adjusted for.

            Where not given: ``placebo random_common_cause subset bootstrap dummy_outcome leave_one_out``, of these what
            the method takes, and the negative controls that are named.
        reps : int
            Refits of each of the first five.
        seed : int, optional
            One is drawn, and reported, where none is given.
        n_jobs : int, optional
            Processes, through joblib; its current configuration's where not given. The numbers are the same.
        negative_outcome, negative_exposure : str, optional
            Columns of the negative controls.
        share : float
            Of the rows that ``subset`` keeps.
        dummy : {"permuted", "simulated"}
            The dummy outcome: the outcome permuted, or drawn anew (normal numbers of its mean and variance where it has
            values below zero that are no whole numbers, otherwise its own values).
        time : str, optional
            Column of the periods before the change; that in ``did(A, time)`` where not given.
        placebo_time : optional
            The first period of the placebo change; the middle one where not given.
        strengths : list of float, optional
            Partial R2 of the made confounder with treatment and outcome, whose signs take the effect nearer to none.

        Returns
        -------
        Refutation
            ``.to_frame() .draws(test) .table(test) .plot() .summary()``.

        Raises
        ------
        OptionError
            For an unknown test, or one whose column is not named.
        CapabilityError
            For a test that the method, or this result, cannot take.

        Notes
        -----
        ``p.value`` tests that the mean of the refits is no effect (placebo, dummy outcome), or the effect itself
        (random common cause, subset, bootstrap), by their spread over ``reps``. Where folds or matches are drawn anew,
        the effect itself is one such draw, and is compared with them as another. For negative controls and a placebo
        in time it is the refit's own.

        References
        ----------
        Sharma and Kiciman (2020), DoWhy; Lipsitch, Tchetgen Tchetgen and Cohen (2010) for negative controls; Cinelli
        and Hazlett (2020) for the strength of a confounder.
        """
        refuse_result(self)
        given = [
            test
            for test, column in zip(NAMED, (negative_outcome, negative_exposure), strict=True)
            if column is not None
        ]
        listed, named = read_tests(tests, given)
        asked = Asked(
            listed, named, reps, fresh_seed(seed), n_jobs, share, dummy, negative_outcome, negative_exposure, time,
            placebo_time, strengths,
        )  # fmt: skip
        return refuted(self, asked)


def refuted(result: ResultCore, asked: Asked) -> Refutation:
    """Every test that was asked for; of those that were not named, what the method takes."""
    if asked.named:
        for test in asked.tests:
            refuse(result, test)
    found: list[Refuted] = []
    left_out: dict[str, str] = {}
    for test in asked.tests:
        try:
            refuse(result, test)
            found.append(_test(result, asked, test)())
        except CausalFormulaError as error:
            if asked.named or test in NAMED:
                raise
            left_out[test] = str(error)
    return Refutation(result, tuple(found), asked.reps, asked.seed, left_out)


def _test(result: ResultCore, asked: Asked, test: str) -> Callable[[], Refuted]:
    """One test, ready to be done; its draws come from the seed and its own place in the table."""
    seed = np.random.SeedSequence([asked.seed, list(REFUTERS).index(test)])
    many = {"reps": asked.reps, "seed": seed, "n_jobs": asked.n_jobs}
    return {
        "placebo": partial(refits.placebo, result, **many),
        "random_common_cause": partial(refits.random_common_cause, result, **many),
        "subset": partial(refits.subset, result, asked.share, **many),
        "bootstrap": partial(refits.bootstrap, result, **many),
        "dummy_outcome": partial(refits.dummy_outcome, result, asked.dummy, **many),
        "negative_control_outcome": partial(single.negative_control_outcome, result, asked.negative_outcome),
        "negative_control_exposure": partial(single.negative_control_exposure, result, asked.negative_exposure),
        "leave_one_out": partial(tables.leave_one_out, result, asked.n_jobs),
        "placebo_in_time": partial(single.placebo_in_time, result, asked.time, asked.placebo_time),
        "unobserved_confounder": partial(tables.unobserved_confounder, result, asked.strengths, seed, asked.n_jobs),
    }[test]
