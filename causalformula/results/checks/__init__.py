"""Tests of models: analyses of variance, Wald tests, specification and serial correlation."""
