"""One module or folder a family of estimators, each filed under one record."""
