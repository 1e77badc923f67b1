"""Inference on an effect when trends need not be parallel (Rambachan and Roth 2023)."""
