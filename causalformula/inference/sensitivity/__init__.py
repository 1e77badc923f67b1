"""What confounders that were not measured could make of an estimate: numbers only."""
