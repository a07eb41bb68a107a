"""Programs that load artifacts with real TensorFlow, in a process of their own.

They are run by path, by whatever Python has TensorFlow, and import nothing of this package; nothing
in this package imports them. `harness.py` is the program; each other file is a way to load, with a
function `counts(path, options)` that gives a part of the answer as a dict. They run on Python 3.8
and newer.
"""
