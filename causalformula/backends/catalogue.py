"""The catalogue: which module under ``causalformula.backends`` holds which method. A new method is one line here.

Planned methods stand without a module: asking for one is not called a typo.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

CATALOGUE: dict[str, str] = {
    "difference_in_means": "difference_in_means",
    "regression": "regression",
    "ipw": "weighting.ipw",
    "ebal": "weighting.ebal",
    "cbps": "weighting.cbps",
    "ipt": "weighting.ipt",
    "energy": "weighting.energy",
    "subclass": "subclass",
    "did": "did.record",
    "nearest": "matching.nearest",
    "cem": "matching.exact",
    "exact": "matching.exact",
    **dict.fromkeys(("optimal", "full", "quick", "cardinality", "genetic"), ""),
    "aipw": "doubly_robust.aipw",
    "tmle": "doubly_robust.tmle",
    "dml": "doubly_robust.dml",
    **dict.fromkeys(("s_learner", "t_learner", "x_learner", "r_learner", "dr_learner"), "meta.learners"),
    "causal_forest": "",
    "front_door": "front_door",
    "sunab": "did.sunab",
    "imputation": "did.imputation",
    "etwfe": "did.etwfe",
    **dict.fromkeys(("iv", "liml", "gmm"), "instruments"),
}
# Aliases of planned methods; those of the others stand in their records.
PLANNED_ALIASES: dict[str, str] = {}


@cache
def load() -> None:
    """Import every module of the catalogue, which files its records."""
    for module in dict.fromkeys(CATALOGUE.values()):
        if module:
            import_module(f"causalformula.backends.{module}")


def planned(method: str) -> bool:
    """Whether a method is of the design and not there yet."""
    return CATALOGUE.get(PLANNED_ALIASES.get(method, method)) == ""
