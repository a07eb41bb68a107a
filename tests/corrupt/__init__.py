"""Named broken files: each a function that makes one, and what the reader says of it."""
