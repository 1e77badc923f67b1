"""Fits to data that stay where they are: the same estimators, a chunk of rows at a time."""
