"""Doubly robust estimators: an outcome and a treatment model, either of which may be wrong."""
