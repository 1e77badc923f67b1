"""Randomisation inference: the whole estimator refitted under other assignments of the treatment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from causalformula.backends import registry
from causalformula.backends.fit import Answer
from causalformula.backends.options import column, one_of, whole
from causalformula.errors import CapabilityError, ConvergenceError
from causalformula.frame.model_frame import ModelFrame
from causalformula.frame.treatment import Kind
from causalformula.inference.checks import check_seed
from causalformula.inference.refit import refit_each
from causalformula.inference.resampling.permutation import Assignments, permutation_p
from causalformula.inference.resampling.requests import Bootstrap, Jackknife, Wild
from causalformula.inference.resampling.resample import MOST_FAILED, fresh_seed
from causalformula.numerics.arrays import Array, Codes
from causalformula.results.effects.core import ResultCore
from causalformula.results.effects.facts import estimate_notes
from causalformula.results.text.notebook import Shown

if TYPE_CHECKING:
    import pandas as pd


STATISTICS = ("estimate", "t")
ALTERNATIVES = ("two-sided", "greater", "less")


@dataclass(frozen=True, eq=False)
class PermutationTest(Shown):
    """A randomisation test of no effect on any unit (Fisher's sharp null hypothesis).

    Attributes
    ----------
    table : DataFrame
        One row an effect: ``term, contrast, estimate, statistic, p.value``.
    draws : ndarray (R, q)
        The statistic under each assignment.
    exact : bool
        Whether the draws are all possible assignments.
    assignments : int
        How many there are.
    seed : int or None
        None for an exact test.
    design : str
        What was permuted, in words.
    """

    table: pd.DataFrame
    draws: Array
    exact: bool
    assignments: int
    seed: int | None
    design: str
    alternative: str
    notes: tuple[str, ...] = ()

    @property
    def p_value(self) -> float:
        """The p-value, where there is one effect.

        Raises
        ------
        ValueError
            Where there are several.
        """
        if len(self.table) != 1:
            raise ValueError(f"there are {len(self.table)} effects, so no single p_value; read them in table")
        return float(self.table["p.value"].iloc[0])

    def __str__(self) -> str:
        many = f"all {self.assignments}" if self.exact else f"{len(self.draws)} random"
        many += " assignments" if self.exact else f" assignments, seed {self.seed}"
        head = f"Randomisation test of no effect on any unit ({self.alternative})\n{self.design}; {many}"
        return "\n".join([head, "", self.table.to_string(index=False), *self.notes])

    __repr__ = __str__


def permutation_test(
    result: ResultCore,
    reps: int,
    strata: str | None,
    cluster: str | None,
    seed: int | None,
    statistic: str,
    alternative: str,
    n_jobs: int | None,
) -> PermutationTest:
    """Refit under permuted treatments; see ``Result.permutation_test``."""
    _check(result, reps, statistic, alternative, n_jobs)
    column("strata", strata), column("cluster", cluster), check_seed(seed)
    frame = result.call.frame
    assignments, design = assignments_of(frame, strata, cluster)
    exact = assignments.count <= reps
    seed = None if exact else fresh_seed(seed)
    rows = assignments.all() if exact else _random(assignments, reps, int(seed or 0))
    read, query = _reader(result, statistic), result.query
    assert query is not None

    def refit(rows: Codes) -> Array:
        return read(registry.run(frame.with_treatment(rows), result.call.options).ask(query))

    observed = read(result.answer)
    draws = refit_each(refit, rows, size=len(result.answer.labels), n_jobs=n_jobs)
    good = np.isfinite(draws).all(axis=1)
    failed = int((~good).sum())
    if failed > MOST_FAILED * len(draws):
        raise ConvergenceError(
            f"the estimator failed under {failed} of {len(draws)} assignments (more than 5%); simplify the model, or "
            "permute within strata"
        )
    lost = (f"{failed} of {len(draws)} assignments could not be fitted and were left out",) if failed else ()
    notes = (*lost, *_told_of_sets(result), *estimate_notes(result))
    p = permutation_p(observed, draws[good], alternative, exact=exact)
    return PermutationTest(
        _table(result, observed, p, statistic), draws[good], exact, assignments.count, seed, design, alternative, notes
    )


def _check(result: ResultCore, reps: int, statistic: str, alternative: str, n_jobs: int | None) -> None:
    for what, value, allowed in (("statistic", statistic, STATISTICS), ("alternative", alternative, ALTERNATIVES)):
        one_of(what, value, allowed)
    whole("reps", reps, "the number of assignments to draw", 10**9)
    if n_jobs is not None:
        whole("n_jobs", n_jobs, "the number of processes, -1 for all", 10**4, -(10**4))
    frame = result.call.frame
    if result.query is None:
        raise CapabilityError("this result was derived from others; test the fit that it came from")
    if result.query.kind != "effects":
        raise CapabilityError("a randomisation test is of effects; means() has none")
    if frame.treatment is None:
        raise CapabilityError("a randomisation test permutes treat(...); this formula has none")
    if frame.has("iv"):
        raise CapabilityError("with instruments it is the instrument that was assigned; only treat(...) is permuted")
    if statistic == "t" and isinstance(result.covariance.request, (Bootstrap, Jackknife, Wild)):
        raise CapabilityError("statistic='t' takes a standard error at each assignment; choose one: with_vcov('HC3')")


def assignments_of(frame: ModelFrame, strata: str | None = None, cluster: str | None = None) -> tuple[Assignments, str]:
    """What is exchanged: the formula's strata and clusters where none are named.

    The groups of ``did(...)`` are exchanged over its units, and within its periods where it names none.
    """
    treatment = frame.the_treatment
    codes = treatment.codes
    if treatment.kind is Kind.CONTINUOUS:
        codes = np.unique(treatment.values, return_inverse=True)[1].astype(np.intp)
    if strata is None and frame.strata is not None:
        strata = frame.strata.name
    if cluster is None:
        cluster = _whole_groups(frame, codes)
    if strata is None and cluster is None and frame.panel is not None:
        strata = frame.panel.periods.name
    found = Assignments(
        codes,
        None if strata is None else frame.groups(strata).codes,
        None if cluster is None else frame.groups(cluster).codes,
    )
    text = f"{treatment.name} permuted over " + ("rows" if cluster is None else f"clusters of {cluster}")
    return found, text + ("" if strata is None else f" within strata of {strata}")


def _whole_groups(frame: ModelFrame, codes: Codes) -> str | None:
    """The formula's clusters, or units, where the treatment was given to them as a whole: its units of assignment."""
    for groups in (*frame.clusters[:1], *(() if frame.unit is None else (frame.unit,))):
        one = np.zeros(len(groups.levels), dtype=np.intp)
        one[groups.codes] = codes
        if np.array_equal(one[groups.codes], codes):
            return groups.name
    return None


def _told_of_sets(result: ResultCore) -> tuple[str, ...]:
    """A note that matched sets, or strata, are no blocks of the assignment."""
    made = result.fit.design
    if made.pairs is None and made.subclass is None:
        return ()
    sets = "strata" if made.strata else "matched sets"
    return (
        f"Note: {sets} are made anew under each assignment, and the treatment is not permuted within them: the test "
        "takes it as drawn without regard to them",
    )


def _random(assignments: Assignments, reps: int, seed: int) -> Any:
    for child in np.random.SeedSequence(seed).spawn(reps):
        yield assignments.random(np.random.default_rng(child))


def _reader(result: ResultCore, statistic: str) -> Callable[[Answer], Array]:
    """From an answer to its statistic on the working scale, where no effect is zero."""
    if statistic == "estimate":
        return lambda answer: answer.estimate.theta
    request = result.covariance.request
    return lambda answer: answer.estimate.theta / result.call.covariance(answer, request, None).std_error


def _table(result: ResultCore, observed: Array, p: Array, statistic: str) -> pd.DataFrame:
    table = result.tidy()
    table = table[[c for c in table.columns if c in _groups(result) or c in ("term", "contrast", "estimate")]].copy()
    if statistic == "t":
        table["statistic"] = observed
    table["p.value"] = p
    return table


def _groups(result: ResultCore) -> set[str]:
    return {name for label in result.answer.labels for name, _ in label.groups}
