"""``each``: a rule for many things, asked in a few tests: thousands of them take longer to count than to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

BATCHES = 4


Test = Callable[[Any], None]


def each(things: Iterable[Any], ids: Callable[[Any], str] = str) -> Callable[[Test], Test]:
    """Ask a test of every thing, and name all that fail."""
    listed = list(things)

    def asked(test: Test) -> Test:
        def of_batch(batch: int) -> None:
            failed = []
            for thing in listed[batch::BATCHES]:
                try:
                    test(thing)
                except AssertionError as error:
                    failed.append(f"{ids(thing)}: {error}")
            if failed:
                pytest.fail("\n".join(failed))

        of_batch.__doc__ = test.__doc__
        made: Test = pytest.mark.parametrize("batch", range(BATCHES))(of_batch)
        return made

    return asked
