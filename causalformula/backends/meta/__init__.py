"""Meta-learners: the effect for every unit, by learners."""
