"""The methods that run on rows that are elsewhere: one module a method."""
