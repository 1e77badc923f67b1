"""Estimates, influences and every covariance, written once."""
