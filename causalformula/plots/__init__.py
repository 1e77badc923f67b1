"""Pictures, with matplotlib imported when one is drawn."""
