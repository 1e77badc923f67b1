"""What a ``Model`` says of itself."""
