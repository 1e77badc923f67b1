"""Few clusters, or periods: what must be said of standard errors that count on many."""

from __future__ import annotations

from collections.abc import Mapping

from causalformula.inference.requests import Cluster

# Below this many clusters tests that count on many reject too often (Cameron and Miller 2015: 20 to 50 are few).
FEW = 20
# Below this many no method tells much: degrees of freedom of their own rest on clusters that are alike (Pustejovsky and
# Tipton 2018), and 2 ** 5 sign patterns give no p-value below 0.05 (Webb 2014).
FEWEST = 6
# Adjustments whose degrees of freedom know how many clusters there are.
SMALL_SAMPLE = ("CR2", "CR3")


def told_of_few(counts: Mapping[str, int], request: Cluster, advice: str) -> tuple[str, ...]:
    """A note where there are so few clusters that a variance made for many is too small."""
    if request.type in SMALL_SAMPLE:
        return told_of_fewest(counts)
    few = {name: count for name, count in counts.items() if count < FEW}
    if not few:
        return ()
    return (
        f"Note: {listed(few)} are few, and these standard errors count on many: they tend to be too small. "
        f"Safer: {advice}",
    )


def told_of_fewest(counts: Mapping[str, int]) -> tuple[str, ...]:
    """A note where there are too few clusters for standard errors that allow for few."""
    few = {name: count for name, count in counts.items() if count < FEWEST}
    if not few:
        return ()
    return (
        f"Note: {listed(few)} are few even for these standard errors: their degrees of freedom allow for it only where "
        "the clusters are alike in size and error",
    )


def told_of_few_draws(counts: Mapping[str, int], advice: str) -> tuple[str, ...]:
    """A note where there are few clusters to draw from."""
    few = {name: count for name, count in counts.items() if count < FEW}
    if not few:
        return ()
    return (
        f"Note: {listed(few)} are few to draw from: these standard errors and limits tend to be too small"
        + (f". Safer: {advice}" if advice else ""),
    )


def told_of_few_periods(count: int, name: str) -> tuple[str, ...]:
    """A note where there are so few periods that a variance made for long panels is too small."""
    if count >= FEW:
        return ()
    return (
        f"Note: {count} periods of {name} are few, and these standard errors count on many: they tend to be too small. "
        "Safer: clusters of units, where these are many",
    )


def listed(counts: Mapping[str, int]) -> str:
    """Clusters and their names, as a note has them."""
    return " and ".join(f"{count} clusters of {name}" for name, count in counts.items())
