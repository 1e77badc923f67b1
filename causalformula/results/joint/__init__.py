"""Several estimates at once: fits on common units, simultaneous bands, multiple testing."""
