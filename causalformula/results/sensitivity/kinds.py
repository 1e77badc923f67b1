"""The table of kinds of sensitivity analysis: of effects, and of coefficients of a model."""

from __future__ import annotations

from collections.abc import Mapping

from causalformula.results.sensitivity.evalue_fit import (
    evalue_of_model,
    evalue_of_result,
    lacks_evalue,
    lacks_evalue_model,
)
from causalformula.results.sensitivity.kind import Kind
from causalformula.results.sensitivity.linear import lacks_linear, lacks_linear_model, linear_of_model, linear_of_result
from causalformula.results.sensitivity.omitted import lacks_bounds, omitted_confounders

# In the order in which they are tried where no kind is named.
OF_RESULTS: Mapping[str, Kind] = {
    "omitted": Kind(omitted_confounders, lacks_bounds),
    "linear": Kind(linear_of_result, lacks_linear),
    "evalue": Kind(evalue_of_result, lacks_evalue),
}
OF_MODELS: Mapping[str, Kind] = {
    "linear": Kind(linear_of_model, lacks_linear_model),
    "evalue": Kind(evalue_of_model, lacks_evalue_model),
}
