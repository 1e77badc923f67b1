"""Difference in differences: two groups over two periods, and groups that are treated at different times."""
