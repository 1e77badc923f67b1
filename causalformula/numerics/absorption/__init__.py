"""Fixed effects taken out of columns before they are regressed: projections, their coefficients and their counts."""
