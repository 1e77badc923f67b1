"""``python -m tests.benchmarks [WORD ...]``: times and ratios, printed; of the cases that have a word in their name."""

from __future__ import annotations

import sys

from tests.benchmarks.absorbing import ABSORBING, ABSORBING_MEMORY, absorbing_memory
from tests.benchmarks.at_scale import FITS, compared, rows_asked
from tests.benchmarks.cases import CASES, MEMORY, Limit, ols_memory, ratios, timed
from tests.benchmarks.did import GROUP_TIME
from tests.benchmarks.instruments import INSTRUMENTS
from tests.benchmarks.learning import LEARNING
from tests.benchmarks.matching import MATCHING
from tests.benchmarks.meta import META
from tests.benchmarks.refuting import REFUTING
from tests.benchmarks.screening import SCREENING
from tests.benchmarks.targeting import TARGETING
from tests.benchmarks.weighting import WEIGHTING


def line(limit: Limit, ratio: float) -> str:
    """One ratio beside its limit."""
    verdict = "" if ratio <= limit.most else "   TOO MUCH"
    return f"    {limit.what} / {limit.against}: {ratio:.3g} (at most {limit.most:.3g}){verdict}"


def scale() -> int:
    """Data in Parquet: of as many rows as the environment says (``at_scale.ROWS``)."""
    rows, worst = rows_asked(), 0
    for what, title in FITS.items():
        print(f"scale: {title}, n = {rows:.0e} in Parquet", flush=True)
        for told, ratio, limit in compared(what, rows):
            worst |= limit is not None and ratio is not None and ratio > limit.most
            print(f"    {told}" if limit is None or ratio is None else line(limit, ratio), flush=True)
    return int(worst)


def main(words: list[str]) -> int:
    """Print every case, or those that a word names; 1 where a limit is exceeded."""
    worst = 0
    for make in (
        *CASES, *WEIGHTING, *MATCHING, *LEARNING, *TARGETING, *META, *REFUTING, *GROUP_TIME, *ABSORBING, *INSTRUMENTS,
        *SCREENING,
    ):  # fmt: skip
        if words and not any(word in make.__name__ for word in words):
            continue
        case = make()
        seconds = timed(case)
        print(case.title)
        print("".join(f"    {name}: {1000 * value:.4g} ms\n" for name, value in seconds.items()), end="")
        for limit, ratio in ratios(case, seconds):
            worst |= ratio > limit.most
            print(line(limit, ratio), flush=True)
    worst |= 0 if words and "scale" not in words else scale()
    if words and "memory" not in words:
        return int(worst)
    for letter, limit, measure in (("a", MEMORY, ols_memory), ("u", ABSORBING_MEMORY, absorbing_memory)):
        memory = measure()
        print(f"({letter}) extra memory, in design matrices", line(limit, memory), sep="\n")
        worst |= memory > limit.most
    return int(worst)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
