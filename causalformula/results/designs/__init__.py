"""What a ``Design`` says of itself: balance, overlap, weights."""
