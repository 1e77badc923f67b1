"""The table of kinds of sensitivity analysis: of effects, and of coefficients of a model."""

from __future__ import annotations

from collections.abc import Mapping

from causalformula.results.sensitivity.kind import Kind

# In the order in which they are tried where no kind is named.
OF_RESULTS: Mapping[str, Kind] = {}
OF_MODELS: Mapping[str, Kind] = {}
