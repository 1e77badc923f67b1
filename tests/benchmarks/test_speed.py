"""Ratios of times, each measured in one run beside the floor and the peer; alone on the machine."""

import pytest

from tests.benchmarks.absorbing import ABSORBING, ABSORBING_MEMORY, absorbing_memory
from tests.benchmarks.cases import CASES, MEMORY, ols_memory, ratios, timed
from tests.benchmarks.did import GROUP_TIME
from tests.benchmarks.instruments import INSTRUMENTS
from tests.benchmarks.learning import LEARNING
from tests.benchmarks.matching import MATCHING
from tests.benchmarks.meta import META
from tests.benchmarks.refuting import REFUTING
from tests.benchmarks.screening import SCREENING
from tests.benchmarks.targeting import TARGETING
from tests.benchmarks.weighting import WEIGHTING

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize(
    "make",
    (
        *CASES,
        *WEIGHTING,
        *MATCHING,
        *LEARNING,
        *TARGETING,
        *META,
        *REFUTING,
        *GROUP_TIME,
        *ABSORBING,
        *INSTRUMENTS,
        *SCREENING,
    ),
    ids=lambda make: make.__name__,
)
def test_as_fast_as_promised(make, capsys):
    case = make()
    seconds = timed(case)
    with capsys.disabled():
        print(f"\n{case.title}: " + ", ".join(f"{name} {1000 * s:.4g} ms" for name, s in seconds.items()))
    for limit, ratio in ratios(case, seconds):
        assert ratio <= limit.most, f"{limit.what} takes {ratio:.3g} x {limit.against}, {limit.most:.3g} is allowed"


def test_least_squares_in_little_memory():
    assert ols_memory() <= MEMORY.most


def test_absorbed_effects_in_little_memory():
    assert absorbing_memory() <= ABSORBING_MEMORY.most
