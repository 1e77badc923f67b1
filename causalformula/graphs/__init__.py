"""Causal diagrams, without data: what a graph implies, and which designs identify an effect."""
