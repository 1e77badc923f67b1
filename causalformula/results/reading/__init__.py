"""An estimate with its covariance, read: tests, limits, equations among estimates."""
