"""The table of kinds of sensitivity analysis: of effects, and of coefficients of a model."""

from __future__ import annotations

from collections.abc import Mapping

from causalformula.results.sensitivity.kind import Kind
from causalformula.results.sensitivity.marginal import lacks_marginal, marginal
from causalformula.results.sensitivity.rosenbaum import lacks_pairs, of_pairs
from causalformula.results.sensitivity.tipping import lacks_tipping, tipping

# In the order in which they are tried where no kind is named.
OF_RESULTS: Mapping[str, Kind] = {
    "marginal": Kind(marginal, lacks_marginal),
    "rosenbaum": Kind(of_pairs, lacks_pairs),
    "tipping": Kind(tipping, lacks_tipping, picked=False),
}
OF_MODELS: Mapping[str, Kind] = {}
