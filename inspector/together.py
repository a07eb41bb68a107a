"""One progress for artifacts that are read side by side: over the bytes of all their files.

What is measured of each is known only once it is open. So its files' bytes are told as it goes on,
no more than they are, and the rest of them when it is done, whatever became of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from inspector.examine import Progress


class Part:
    """The progress of one of them. nbytes: of its files."""

    def __init__(self, progress: Progress, nbytes: int) -> None:
        self._progress = progress
        self._left = nbytes

    def start(self, nbytes: int) -> None:
        """All of them have started."""

    def advance(self, nbytes: int) -> None:
        """So many bytes more are read."""
        told = min(nbytes, self._left)
        self._left -= told
        self._progress.advance(told)

    def finish(self) -> None:
        """There may be more to do than was measured."""

    def close(self) -> None:
        """It is done."""
        self.advance(self._left)


@contextlib.contextmanager
def together(progress: Progress, nbytes: int) -> Iterator[Callable[[int], Part]]:
    """What makes the progress of an artifact of the bytes of its files, to be closed when it is
    done. nbytes: of all files of all of them.
    """
    progress.start(nbytes)
    try:
        yield lambda size: Part(progress, size)
    finally:
        progress.finish()
