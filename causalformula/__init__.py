"""One formula for a causal question, every estimator behind it, and the numbers R gives."""

from __future__ import annotations

from causalformula import datasets
from causalformula.backends.difference_in_means import DifferenceInMeans
from causalformula.backends.regression import Regression
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
from causalformula.fit import fit, parse
from causalformula.inference.requests import HC, Asympt, Bootstrap, Classical, Cluster

__version__ = "0.1.0"
