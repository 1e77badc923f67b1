"""Fits as estimators of scikit-learn: what pipelines, searches and cross-validation take."""
