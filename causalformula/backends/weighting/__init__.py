"""Weighting: a design stage a method, and one weighted outcome regression for all."""
