"""The sandwich: row sums, adjustments by leverage, clusters, serial correlation, several fits together."""
