"""A static inspector for saved TensorFlow-family models."""
