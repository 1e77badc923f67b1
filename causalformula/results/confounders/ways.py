"""The ways to choose, one record each: what it reads, what it may be given, and what it does to an interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from causalformula.frame.treatment import Kind
from causalformula.results.confounders.adaptive_lasso import outcome_adaptive_lasso
from causalformula.results.confounders.candidates import Candidates, Choice, How
from causalformula.results.confounders.change_in_estimate import change_in_estimate
from causalformula.results.confounders.double_lasso import double_lasso
from causalformula.results.confounders.recursive_elimination import recursive_elimination
from causalformula.results.confounders.stepwise import stepwise


@dataclass(frozen=True)
class Way:
    """One way to choose.

    Parameters
    ----------
    name, title : str
    choose : callable
    statistic : str
        What the numbers of the reasons are.
    options : tuple of str
        Those that it reads.
    kinds : tuple of Kind
        Treatments that it takes.
    families : tuple of str
        Of the outcome model; any where empty.
    weighted : bool
        Whether sampling weights have a place in it.
    outcome : bool
        Whether it looks at the outcome.
    protects : bool
        Whether the interval of a least-squares fit with its choice holds its level.
    """

    name: str
    title: str
    choose: Callable[[Candidates, How], Choice]
    statistic: str
    options: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = (Kind.BINARY,)
    families: tuple[str, ...] = ()
    weighted: bool = False
    outcome: bool = True
    protects: bool = False


NUMBERS = (Kind.BINARY, Kind.CONTINUOUS)
WAYS = {
    way.name: way
    for way in (
        Way(
            "double_lasso", "double selection by the lasso", double_lasso, "Coefficient", ("family",), NUMBERS,
            ("gaussian",), protects=True,
        ),
        Way(
            "outcome_adaptive_lasso", "outcome-adaptive lasso of the treatment", outcome_adaptive_lasso, "Coefficient",
            ("family",),
        ),
        Way(
            "change_in_estimate", "change in estimate", change_in_estimate, "Change", ("family", "change"), tuple(Kind),
            weighted=True,
        ),
        Way(
            "recursive_elimination", "recursive elimination", recursive_elimination, "Rank",
            ("family", "folds", "seed"), NUMBERS, ("gaussian", "binomial"),
        ),
        Way(
            "stepwise", "stepwise propensity score", stepwise, "Ratio", ("c_linear", "c_quadratic"), outcome=False,
        ),
    )
}  # fmt: skip
