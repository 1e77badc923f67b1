"""Transforms whose result depends on the whole column: each is fitted to a state, and the state applied to new data."""

from causalformula.formula.expressions.transforms.binning import Bins, bins
from causalformula.formula.expressions.transforms.polynomial import Polynomial, polynomial
from causalformula.formula.expressions.transforms.scaling import Scaling, scaling
from causalformula.formula.expressions.transforms.splines import BSplineBasis, NaturalBasis, b_spline, natural_spline

__all__ = [
    "BSplineBasis", "Bins", "NaturalBasis", "Polynomial", "Scaling", "b_spline", "bins", "natural_spline",
    "polynomial", "scaling",
]  # fmt: skip
