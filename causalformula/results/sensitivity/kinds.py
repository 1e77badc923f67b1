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
from causalformula.results.sensitivity.marginal import lacks_marginal, marginal
from causalformula.results.sensitivity.omitted import lacks_bounds, omitted_confounders
from causalformula.results.sensitivity.oster import lacks_of_fit, lacks_of_model, of_fit, of_model
from causalformula.results.sensitivity.rosenbaum import lacks_pairs, of_pairs
from causalformula.results.sensitivity.tipping import lacks_tipping, tipping

# In the order in which they are tried where no kind is named: what is of a method's own design first.
OF_RESULTS: Mapping[str, Kind] = {
    "omitted": Kind(omitted_confounders, lacks_bounds),
    "rosenbaum": Kind(of_pairs, lacks_pairs),
    "marginal": Kind(marginal, lacks_marginal),
    "linear": Kind(linear_of_result, lacks_linear),
    "evalue": Kind(evalue_of_result, lacks_evalue),
    "oster": Kind(of_fit, lacks_of_fit, picked=False),
    "tipping": Kind(tipping, lacks_tipping, picked=False),
}
OF_MODELS: Mapping[str, Kind] = {
    "linear": Kind(linear_of_model, lacks_linear_model),
    "evalue": Kind(evalue_of_model, lacks_evalue_model),
    "oster": Kind(of_model, lacks_of_model, picked=False),
}
