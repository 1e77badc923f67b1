"""What a user reads: results, models, summaries and tables."""
