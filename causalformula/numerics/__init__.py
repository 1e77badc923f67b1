"""Arrays in, small frozen records out: least squares, generalised linear models, sums over rows. No pandas."""
