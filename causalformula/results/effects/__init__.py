"""What a ``Result`` says of its effects."""
