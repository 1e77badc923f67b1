"""Refutation: the whole analysis done again where its answer is known, or where it should not matter."""
