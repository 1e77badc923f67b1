"""Balance, overlap, refutation and sensitivity."""
