"""Screening: hundreds of treatments, outcomes, or pairs of them, each a question of its own."""
