"""``compare``: one question through several methods."""
