"""What confounders that were not measured could make of an effect, as numbers."""
