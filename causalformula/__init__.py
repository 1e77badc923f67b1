"""One formula for a causal question, several methods that answer it, and the numbers R gives.

    import causalformula as cf

    heart = cf.datasets.load("heart")
    fit = cf.fit("Severity ~ treat(Drug) + adjust(I.H)", heart)
    print(fit.summary())

- ``cf.fit`` estimates an effect, ``cf.design`` makes weights, matches or strata without an outcome;
  ``cf.parse`` reads a formula.
- ``cf.lm`` and ``cf.glm`` are R's regressions; ``cf.anova``, ``cf.waldtest``, ``cf.bptest`` and others test them.
- ``cf.stack``, ``cf.table`` and ``cf.adjust_pvalues`` take several fits together.
- ``cf.IPW``, ``cf.Ebal``, ... hold a method's options, ``cf.Bootstrap``, ``cf.Cluster``, ... say which covariance.
- ``cf.EffectEstimator`` is a fit of unit effects for scikit-learn, ``cf.scores`` are its scorers.
- ``cf.datasets`` are example data, ``cf.plots`` pictures of arrays; a fit and a design have ``plot()``.

``dir(cf)`` lists all names, ``help(cf.fit)`` explains one, and ``causalformula methods`` in a shell lists the methods.
Guides, the roles of the formula and R's calls beside ours: https://causalformula.readthedocs.io
"""

from __future__ import annotations

import sys
from typing import Any

import lazy_loader

__version__ = "0.1.0"

# The names stand in ``__init__.pyi``, where type checkers read them, and are loaded when they are first used: a script
# pays only for what it calls.
_load, _names, _public = lazy_loader.attach_stub(__name__, __file__)
# ``import *`` loads all that is named here, and with this class scikit-learn, whose estimators it is one of.
__all__ = [name for name in _public if name != "EffectEstimator"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _public:
        from causalformula.errors import did_you_mean

        raise AttributeError(f"module 'causalformula' has no attribute {name!r}{did_you_mean(name, _public)}")
    return _load(name)


def __dir__() -> list[str]:
    # help(cf) would load every name and print thousands of lines of them: it gets the page above
    return ["__doc__", "__version__"] if _asked_by_help() else sorted([*_names(), "__version__"])


def _asked_by_help() -> bool:
    """Whether pydoc's page of this module asks, by way of ``inspect.getmembers``."""
    frame = sys._getframe(2)
    for _ in range(3):
        if frame is None or frame.f_globals.get("__name__") == "pydoc":
            return frame is not None
        frame = frame.f_back
    return False
