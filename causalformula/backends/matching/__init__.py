"""Matching: designs of matched sets, held fixed. A method is a record; what follows the design is shared."""
