"""Twenty million rows in Parquet: memory, and time beside reading them and adding up."""

import pytest

from tests.benchmarks.at_scale import FITS, compared

pytestmark = pytest.mark.benchmark
ROWS = 20_000_000


@pytest.mark.parametrize("what", FITS)
def test_fits_at_scale(what, capsys):
    """Within twice of reading and adding up, in 1.5 GB, linear in rows, and faster on two threads."""
    found = compared(what, ROWS, rounds=2)
    with capsys.disabled():
        print(f"\n{FITS[what]}:", *(told for told, _, limit in found if limit is None), sep="\n    ")
    for _, ratio, limit in found:
        assert limit is None or ratio is None or ratio <= limit.most, f"{limit.what} / {limit.against}: {ratio:.3g}"
