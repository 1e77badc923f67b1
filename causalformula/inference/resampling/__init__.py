"""Bootstrap, jackknife, wild and multiplier bootstraps, and permutation."""
