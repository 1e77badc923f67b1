"""Learners: by name or as scikit-learn objects, cross-fitted over folds, and judged."""
