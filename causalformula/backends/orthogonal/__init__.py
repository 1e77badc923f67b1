"""What estimators share that start from an outcome and a treatment model: orthogonal scores of both."""
