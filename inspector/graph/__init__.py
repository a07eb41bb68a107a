"""What TensorFlow's graphs mean: who reads a value, and what an operator takes at which input.

Nothing here reads a file, and nothing runs a graph.
"""
