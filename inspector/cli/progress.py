"""The progress bar of long work: on stderr, when that is a terminal and the work is long."""

from __future__ import annotations

from typing import Any

from inspector.cli.environment import Environment
from inspector.examine import Progress, Silent

_DELAY = 1.0  # seconds before a bar is worth showing


class Bar:
    """A bar over the bytes measured; gone when the measuring is done."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._bar: Any = None

    def start(self, nbytes: int) -> None:
        """Begin a bar of `nbytes`."""
        from tqdm import tqdm

        self._bar = tqdm(
            total=nbytes,
            file=self._env.stderr,
            unit="B",
            unit_scale=True,
            desc="measuring",
            delay=_DELAY,
            leave=False,
        )

    def advance(self, nbytes: int) -> None:
        """So many bytes more are measured."""
        self._bar.update(nbytes)

    def finish(self) -> None:
        """Take the bar away."""
        self._bar.close()


def progress(env: Environment, quiet: bool) -> Progress:
    """A bar where somebody would see it."""
    return Bar(env) if env.stderr.isatty() and not quiet else Silent()
