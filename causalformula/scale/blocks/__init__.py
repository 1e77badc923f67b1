"""Estimating equations whose sums over rows are taken a chunk at a time."""
