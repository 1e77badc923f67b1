"""The methods that run by passes, by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from causalformula.backends.fit import Fit
from causalformula.scale.estimators.aipw import aipw
from causalformula.scale.estimators.cbps import cbps
from causalformula.scale.estimators.did import did
from causalformula.scale.estimators.difference_in_means import difference_in_means
from causalformula.scale.estimators.ebal import ebal, ipt
from causalformula.scale.estimators.ipw import ipw
from causalformula.scale.estimators.regression import regression
from causalformula.scale.estimators.subclass import subclass
from causalformula.scale.whole import WholeFrame

METHODS: dict[str, Callable[[WholeFrame, Any], Fit]] = {
    "regression": regression,
    "difference_in_means": difference_in_means,
    "ipw": ipw,
    "aipw": aipw,
    "ebal": ebal,
    "ipt": ipt,
    "cbps": cbps,
    "subclass": subclass,
    "did": did,
}
