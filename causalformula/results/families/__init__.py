"""Verbs of one family of methods each."""
