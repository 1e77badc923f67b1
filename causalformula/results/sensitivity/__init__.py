"""What could make of an effect what the formula does not have: kinds of sensitivity analysis, and their pages."""
