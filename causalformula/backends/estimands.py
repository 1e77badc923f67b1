"""The estimands: whose average effect is meant, as one table that routing, prints, weights and balance read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimand:
    """A target population.

    Parameters
    ----------
    name : str
    title : str
        As prints head it.
    whose : str
        Who the target population is, in words.
    arm : int or None
        Position of the arm whose units are the target; None where the target is no arm.
    tilted : bool
        Whether the target is the weighted sample itself, whose weights tilt everyone's distribution.
    needs_arms : bool
        Whether it is undefined for a dose.
    denominator : str
        Whose standard deviation standardises differences of covariates, as cobalt has it.
    """

    name: str
    title: str
    whose: str
    arm: int | None = None
    tilted: bool = False
    needs_arms: bool = True
    denominator: str = "pooled"

    @property
    def focal(self) -> bool:
        """Whether the units of one arm are the target, which ``focal=`` may name."""
        return self.arm is not None


ESTIMANDS = {
    row.name: row
    for row in (
        Estimand("ATE", "Average treatment effect", "everyone", needs_arms=False),
        Estimand("ATT", "Average treatment effect on the treated", "the treated", arm=1, denominator="treated"),
        Estimand("ATC", "Average treatment effect on the controls", "the controls", arm=0, denominator="control"),
        Estimand(
            "ATO",
            "Average treatment effect in the overlap population",
            "those who could be in either arm: everyone counts by p(1 - p), p the propensity score",
            tilted=True,
            denominator="weighted",
        ),
        Estimand(
            "ATM",
            "Average treatment effect in the matched population",
            "those whom 1:1 matching would keep: everyone counts by min(p, 1 - p)",
            tilted=True,
            denominator="weighted",
        ),
        Estimand(
            "ATOS",
            "Average treatment effect in the optimal subset",
            "those with p between the limits that make the estimate most precise (Crump et al. 2009)",
            tilted=True,
        ),
        Estimand("LATE", "Local average treatment effect", "those whom the instrument moves", needs_arms=False),
    )
}
ATE, ATT, ATC, ATO, ATM, ATOS, LATE = ESTIMANDS
FOCAL = tuple(name for name, row in ESTIMANDS.items() if row.focal)


def title_of(estimand: str) -> str:
    """What a print calls an estimand; its name where it has no title."""
    return ESTIMANDS[estimand].title if estimand in ESTIMANDS else estimand


def denominator_of(estimand: str) -> str:
    """The divisor of standardised differences."""
    return ESTIMANDS[estimand].denominator if estimand in ESTIMANDS else "pooled"
