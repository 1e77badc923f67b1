"""Sets of covariates by which an effect is identified: every minimal one, and the most precise."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice

from causalformula.graphs.diagram import Diagram
from causalformula.graphs.paths import Path, open_path
from causalformula.graphs.separation import separated, separators

# Subsets of so many nodes are gone through one by one, where no faster way is known.
MOST_SUBSETS_OF = 10
# So many sets are listed: some graphs have more than anyone reads.
MOST_SETS = 500


@dataclass(frozen=True)
class Question:
    """An effect of one node on another in a diagram.

    Attributes
    ----------
    effect : {"total", "direct"}
        All that the treatment does, or what it does by its own arrow to the outcome.
    """

    diagram: Diagram
    treatment: str
    outcome: str
    effect: str = "total"

    @cached_property
    def on_the_way(self) -> frozenset[str]:
        """Nodes of causal paths, the outcome among them, the treatment not."""
        within = self.diagram.descendants(self.treatment) & self.diagram.ancestors(self.outcome)
        return within - {self.treatment}

    @cached_property
    def forbidden(self) -> frozenset[str]:
        """Nodes whose adjustment takes away a part of the effect, or makes an association that is none."""
        if self.effect == "direct":
            return self.diagram.descendants(self.outcome) | {self.treatment}
        return self.diagram.descendants(*self.on_the_way) | {self.treatment, self.outcome}

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """Nodes that may be adjusted for."""
        return tuple(n for n in self.diagram.measured if n not in self.forbidden)

    @cached_property
    def backdoor(self) -> Diagram:
        """The diagram without the first arrow of every causal path that is asked for: what is left is bias."""
        ends = {self.outcome} if self.effect == "direct" else self.on_the_way
        return self.diagram.without((self.treatment, end) for end in ends)

    def held(self, covariates: Iterable[str] = ()) -> frozenset[str]:
        """What is held fixed by looking at complete rows of those who are in the data."""
        used = {self.treatment, self.outcome, *covariates}
        return self.diagram.selected | {r for r, variable in self.diagram.missing.items() if variable in used}

    def valid(self, covariates: Collection[str]) -> bool:
        """Whether adjusting for these identifies the effect, in the population that the data were drawn from.

        The generalised adjustment criterion. Where selection or missing values decide who is in the data, that of
        Correa, Tian and Bareinboim without data from outside: all but the causal paths are blocked by the set and the
        selection, and the outcome is separated from the selection once the causal paths are cut.

        References
        ----------
        Shpitser, VanderWeele and Robins (2010); Perkovic, Textor, Kalisch and Maathuis (2018); Correa, Tian and
        Bareinboim (2018).
        """
        chosen = set(covariates)
        if not chosen <= set(self.candidates):
            return False
        held = self.held(chosen)
        if not separated(self.backdoor, [self.treatment], [self.outcome], chosen | held):
            return False
        return self.recovered(chosen)

    def recovered(self, covariates: Collection[str]) -> bool:
        """Whether those who are in the data stand for the population, for this effect."""
        held = self.held(covariates)
        if self.effect == "direct":
            return separated(self.diagram, [self.outcome], held, {self.treatment, *covariates})
        return separated(self.backdoor, [self.outcome], held)

    def valid_over_all_rows(self, covariates: Collection[str]) -> bool:
        """Whether ``sum over Z of P(Z) P(Y | Z, X, seen)`` is the effect: Z seen in all rows, X and Y not in some.

        The covariates block all but the causal paths, and given them and the treatment the outcome is separated from
        what decides on the gaps.

        References
        ----------
        Mohan and Pearl (2021); Correa, Tian and Bareinboim (2018), of covariates that are known from outside.
        """
        chosen, gaps = set(covariates), self.held()
        if self.effect == "direct" or self.diagram.selected or chosen & set(self.diagram.missing.values()):
            return False
        return (
            chosen <= set(self.candidates)
            and separated(self.backdoor, [self.treatment], [self.outcome], chosen)
            and separated(self.diagram, [self.outcome], gaps, {self.treatment, *chosen})
        )

    @cached_property
    def over_all_rows(self) -> frozenset[str] | None:
        """A smallest such set where no adjustment of complete rows serves; among many candidates not all are tried."""
        if self.minimal or not self.held():
            return None
        # if a set separates, its members among the ancestors of all that is to be separated do
        near = self.diagram.ancestors(self.treatment, self.outcome, *self.held())
        full = [n for n in self.candidates if n in near and n not in self.diagram.missing.values()]
        few = len(full) <= MOST_SUBSETS_OF
        tried = subsets(full) if few else [*self._without_gaps(full), tuple(full)]
        return next((frozenset(z) for z in tried if self.valid_over_all_rows(z)), None)

    @cached_property
    def missing_at_random(self) -> bool:
        """Whether variables that all rows have make gaps tell nothing: the distribution is recovered from all rows.

        References
        ----------
        Rubin (1976); Mohan and Pearl (2021).
        """
        gaps = set(self.diagram.missing.values())
        full = [n for n in self.diagram.measured if n not in gaps]
        return bool(gaps) and not self.diagram.selected and separated(self.diagram, self.diagram.missing, gaps, full)

    def _without_gaps(self, full: Collection[str]) -> Iterator[frozenset[str]]:
        return islice(separators(self.backdoor, self.treatment, self.outcome, full), MOST_SETS)

    @cached_property
    def minimal(self) -> tuple[frozenset[str], ...]:
        """Every set of which no part would do, the smaller first; of more than ``MOST_SETS`` so many."""
        place = {name: k for k, name in enumerate(self.diagram.nodes)}
        found = dict.fromkeys(islice((z for z in self._found() if self.valid(z)), MOST_SETS))
        least = [z for z in found if not any(other < z for other in found)]
        return tuple(sorted(least, key=lambda z: (len(z), sorted(place[n] for n in z))))

    @property
    def cut_short(self) -> bool:
        """Whether there may be more minimal sets than are listed."""
        return len(self.minimal) >= MOST_SETS

    def _found(self) -> Iterator[frozenset[str]]:
        """Sets that separate the ends; those with gaps in them are tried in every combination."""
        gaps = [name for name in self.candidates if name in self.diagram.missing.values()][:MOST_SUBSETS_OF]
        full = [name for name in self.candidates if name not in self.diagram.missing.values()]
        for size in range(len(gaps) + 1):
            for chosen in combinations(gaps, size):
                held = {*self.held(chosen), *chosen}
                for rest in separators(self.backdoor, self.treatment, self.outcome, full, held):
                    yield rest | set(chosen)

    @cached_property
    def optimal(self) -> frozenset[str] | None:
        """The set with the least asymptotic variance, where there is one: parents of what is on the way.

        Without latent nodes, and wherever these parents were all measured, that set. Else, among few candidates, a set
        that is at least as precise as each other valid one by the graph alone.

        References
        ----------
        Henckel, Perkovic and Maathuis (2022); Rotnitzky and Smucler (2020); Runge (2021).
        """
        if self.effect == "direct" or not self.on_the_way or not self.minimal:
            return None
        drawn = self.diagram.drawn
        parents = drawn.parents(*self.on_the_way) - self.forbidden
        if parents <= set(self.candidates) and self.valid(parents):
            return parents
        if len(self.candidates) > MOST_SUBSETS_OF:
            return None
        sets = [frozenset(z) for z in subsets(self.candidates) if self.valid(z)]
        best = [z for z in sets if all(self._as_precise(z, other) for other in sets)]
        return min(best, key=len) if best else None

    def _as_precise(self, one: frozenset[str], other: frozenset[str]) -> bool:
        """Whether one set is as precise as another: it adds no cause of treatment, and lacks none of the outcome."""
        return separated(self.diagram, [self.outcome], other - one, one | {self.treatment}) and separated(
            self.diagram, [self.treatment], one - other, other
        )

    def why_not(self) -> Path | None:
        """A path that stays open whatever is adjusted for; None where some set blocks all of them.

        If any set separates two nodes, the candidates among their ancestors do.
        """
        held = self.held()
        near = self.backdoor.ancestors(self.treatment, self.outcome, *held)
        given = {n for n in self.candidates if n in near} | held
        return open_path(self.backdoor, self.treatment, self.outcome, given)


def subsets(names: Collection[str]) -> Iterator[tuple[str, ...]]:
    """All subsets, the smaller first."""
    for size in range(len(names) + 1):
        yield from combinations(names, size)
