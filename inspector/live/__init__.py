"""Step 5a's independent oracle: what real TensorFlow says of an artifact, asked in a subprocess."""
