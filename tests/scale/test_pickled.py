"""What passes send to other processes, and bring back, pickles: every method, as an engine of processes runs it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import causalformula as cf
from causalformula.results.elsewhere import Scan
from causalformula.scale.sources.chunks import Chunks
from tests.scale.test_law import DATA, agree, fitted
from tests.scale.test_law_did import PANEL

XG = "y ~ treat(A) + adjust(x + g)"


class Sent(Chunks):
    """Frames whose tasks, and what they say, are sent and received."""

    def run(self, task: Any, columns: Any, merge: Any, *, ids: bool = False) -> Any:
        def sent(chunk: Any) -> Any:
            return pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(task))(chunk)))

        return super().run(sent, columns, merge, ids=ids)


CASES: list[tuple[str, Any, dict[str, Any]]] = [
    (XG, DATA, {"method": "ipw", "trim": 0.9, "discard": "both", "by": "k2", "vcov": "~c"}),
    ("y ~ treat(arm) + adjust(x)", DATA, {"method": "ipw"}),
    (XG, DATA, {"method": "aipw", "vcov": cf.Bootstrap(2, seed=1)}),
    (XG, DATA, {"method": "ebal"}),
    (XG, DATA, {"method": "cbps"}),
    ("y ~ treat(arm) + adjust(x)", DATA, {"method": "cbps"}),
    (XG, DATA, {"method": "subclass", "subclass": 3}),
    ("y ~ did(T, post, unit = id) + x", PANEL, {}),
]


SOME = [pytest.param(*case, marks=[pytest.mark.slow] * (k not in (1, 3, 7))) for k, case in enumerate(CASES)]


@pytest.mark.parametrize(("formula", "data", "options"), SOME)
def test_tasks_and_answers_pickle(formula: str, data: Any, options: dict[str, Any]) -> None:
    data = data.assign(k2=data.index % 2)
    pieces = [data.iloc[:50], data.iloc[50:]]
    found = fitted(formula, Scan(Sent(pieces), 0), options)
    agree(found, fitted(formula, cf.scan(pieces, limit=0), options))
    if options:
        found.design.balance()
