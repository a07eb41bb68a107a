"""What is parsed of a file, kept for whoever parses the same of it next.

An audit looks at a file twice: its reader makes an artifact of it, and rules about safety look at
what the bytes say by themselves, whether a reader took them or not. What the same bytes of the same
file mean is the same for both.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

from inspector.limits import MIB
from inspector.storage import ByteSource, File

T = TypeVar("T")
# What is made of more bytes than these is not held in memory for somebody who may not come.
_LARGEST = MIB

_kept: ContextVar[dict[Hashable, tuple[File, Any]] | None] = ContextVar("_kept", default=None)


@contextlib.contextmanager
def parsed_once() -> Iterator[None]:
    """Parse nothing small twice in what is done inside."""
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def once(
    parse: Callable[[], T], source: ByteSource, nbytes: int | Callable[[T], int], *what: Hashable
) -> T:
    """What `parse` returns, or returned for the same bytes before. It is not to be changed.

    nbytes: of the source that are parsed, or what tells that once it is done; what: all but the
    source's bytes that makes a difference. What was parsed is given only as long as its source is
    open, since it may read on from it.
    """
    kept = _kept.get()
    if kept is None or not isinstance(source, File):
        return parse()
    if not callable(nbytes) and nbytes > _LARGEST:
        return parse()
    of = source.identity()
    if of is None:
        return parse()
    held = kept.get((of, *what))
    if held is not None and held[0].identity() == of:
        found: T = held[1]
        return found
    made = parse()
    if not callable(nbytes) or nbytes(made) <= _LARGEST:
        kept[of, *what] = source, made
    return made
