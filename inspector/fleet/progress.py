"""Who is told how far a fleet is."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Told how far it is. start: of how many artifacts; skipped: an earlier run has it; done: so
    many bytes of one more, and whether it fails; say: a line that a person should read now.
    """

    def start(self, artifacts: int) -> None: ...

    def skipped(self, failed: bool) -> None: ...

    def done(self, nbytes: int, failed: bool) -> None: ...

    def say(self, text: str) -> None: ...

    def finish(self) -> None: ...


class Unwatched:
    """Nobody looks."""

    def start(self, artifacts: int) -> None:
        """Nothing to show."""

    def skipped(self, failed: bool) -> None:
        """Nothing to show."""

    def done(self, nbytes: int, failed: bool) -> None:
        """Nothing to show."""

    def say(self, text: str) -> None:
        """Nobody to say it to."""

    def finish(self) -> None:
        """Nothing to show."""
