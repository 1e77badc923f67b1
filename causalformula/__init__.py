"""One formula for a causal question, every estimator behind it, and the numbers R gives.

The public names are loaded when they are first used, so that ``import causalformula`` costs next to nothing and a
script pays only for what it calls.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from causalformula import datasets, plots
    from causalformula.backends.difference_in_means import DifferenceInMeans
    from causalformula.backends.regression import Regression
    from causalformula.backends.subclass import Subclass
    from causalformula.backends.weighting.cbps import CBPS
    from causalformula.backends.weighting.ebal import Ebal
    from causalformula.backends.weighting.energy import Energy
    from causalformula.backends.weighting.ipt import IPT
    from causalformula.backends.weighting.ipw import IPW
    from causalformula.errors import (
        CapabilityError,
        CausalFormulaError,
        CausalFormulaWarning,
        ConvergenceError,
        DataError,
        FormulaError,
        IdentificationError,
        OptionError,
    )
    from causalformula.fit import design, fit, parse
    from causalformula.frame.matrix import model_matrix
    from causalformula.inference.requests import (
        HAC,
        HC,
        Asympt,
        Bootstrap,
        Classical,
        Cluster,
        DriscollKraay,
        Jackknife,
        Wild,
    )
    from causalformula.results.anova import anova
    from causalformula.results.design import Design
    from causalformula.results.lm import glm, lm
    from causalformula.results.multiplicity import adjust_pvalues
    from causalformula.results.nested import waldtest
    from causalformula.results.serial_tests import bgtest, dwtest
    from causalformula.results.stack import stack
    from causalformula.results.table import table
    from causalformula.results.tests import bptest, resettest

_HOMES = {
    "causalformula.backends.difference_in_means": ("DifferenceInMeans",),
    "causalformula.backends.regression": ("Regression",),
    "causalformula.backends.subclass": ("Subclass",),
    "causalformula.backends.weighting.cbps": ("CBPS",),
    "causalformula.backends.weighting.ebal": ("Ebal",),
    "causalformula.backends.weighting.energy": ("Energy",),
    "causalformula.backends.weighting.ipt": ("IPT",),
    "causalformula.backends.weighting.ipw": ("IPW",),
    "causalformula.errors": (
        "CapabilityError",
        "CausalFormulaError",
        "CausalFormulaWarning",
        "ConvergenceError",
        "DataError",
        "FormulaError",
        "IdentificationError",
        "OptionError",
    ),
    "causalformula.fit": ("design", "fit", "parse"),
    "causalformula.frame.matrix": ("model_matrix",),
    "causalformula.inference.requests": (
        "HAC",
        "HC",
        "Asympt",
        "Bootstrap",
        "Classical",
        "Cluster",
        "DriscollKraay",
        "Jackknife",
        "Wild",
    ),
    "causalformula.results.anova": ("anova",),
    "causalformula.results.design": ("Design",),
    "causalformula.results.lm": ("glm", "lm"),
    "causalformula.results.stack": ("stack",),
    "causalformula.results.serial_tests": ("bgtest", "dwtest"),
    "causalformula.results.tests": ("bptest", "resettest"),
    "causalformula.results.nested": ("waldtest",),
    "causalformula.results.multiplicity": ("adjust_pvalues",),
    "causalformula.results.table": ("table",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("datasets", "plots")

__all__ = [
    "CBPS",
    "HAC",
    "HC",
    "IPT",
    "IPW",
    "Asympt",
    "Bootstrap",
    "CapabilityError",
    "CausalFormulaError",
    "CausalFormulaWarning",
    "Classical",
    "Cluster",
    "ConvergenceError",
    "DataError",
    "Design",
    "DifferenceInMeans",
    "DriscollKraay",
    "Ebal",
    "Energy",
    "FormulaError",
    "IdentificationError",
    "Jackknife",
    "OptionError",
    "Regression",
    "Subclass",
    "Wild",
    "adjust_pvalues",
    "anova",
    "bgtest",
    "bptest",
    "datasets",
    "design",
    "dwtest",
    "fit",
    "glm",
    "lm",
    "model_matrix",
    "parse",
    "plots",
    "resettest",
    "stack",
    "table",
    "waldtest",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name in _MODULES:
        return import_module(f"causalformula.{name}")
    if name not in _HOME:
        from causalformula.errors import did_you_mean

        raise AttributeError(f"module 'causalformula' has no attribute {name!r}{did_you_mean(name, __all__)}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


class _Package(ModuleType):
    """The package, in which ``fit`` is the function, whoever imported the module of that name first."""

    @property
    def fit(self) -> Any:
        return import_module("causalformula.fit").fit

    @fit.setter
    def fit(self, module: ModuleType) -> None:
        """The import system binds every submodule to its package; here that would hide the function."""


if not TYPE_CHECKING:
    sys.modules[__name__].__class__ = _Package
