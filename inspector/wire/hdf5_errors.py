"""What h5py raises, turned into errors of ours with one line to each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from inspector.errors import Corrupt

# What h5py raises on a file that breaks the rules, seen over many mutated files.
LIBRARY_ERRORS = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    NotImplementedError,
    MemoryError,
)


def reason(error: BaseException) -> str:
    """The library's own words, in one line."""
    text = str(error) or type(error).__name__
    return " ".join(text.split())[:300]


@contextlib.contextmanager
def library_errors(path: str) -> Iterator[None]:
    """Raise Corrupt for what the library raises."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise Corrupt(f"not a sound HDF5 file: {reason(error)}", path) from error
