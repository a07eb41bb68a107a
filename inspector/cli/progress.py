"""The progress of long work, on stderr: a bar on a terminal, lines for the log of a fleet."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from inspector.cli.environment import Environment
from inspector.examine import Progress, Silent
from inspector.render.printable import safe

if TYPE_CHECKING:
    from inspector.fleet.progress import Watch

_DELAY = 1.0  # seconds before a bar is worth showing
_MANY = 100  # artifacts, which take longer for certain
_LINE_SECONDS = 30.0  # between two lines for a log
_FLEET = (
    "auditing {n:,}/{total:,} |{bar}| {rate_noinv_fmt}, {remaining} left{postfix}"  # in 80 columns
)


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


class FleetBar:
    """A bar over artifacts, with how many bytes they had and how many of them fail."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._bar: Any = None
        self._nbytes = self._failing = 0

    def start(self, artifacts: int) -> None:
        """Begin a bar of so many artifacts."""
        from tqdm import tqdm

        self._bar = tqdm(
            total=artifacts,
            file=self._env.stderr,
            unit="",
            bar_format=_FLEET,
            delay=0 if artifacts >= _MANY else _DELAY,
            leave=False,
            dynamic_ncols=True,
        )

    def skipped(self, failed: bool) -> None:
        """One was done before: it is done, and took no time."""
        self._failing += failed
        for name in ("n", "initial", "last_print_n"):
            setattr(self._bar, name, getattr(self._bar, name) + 1)

    def done(self, nbytes: int, failed: bool) -> None:
        """One more is done."""
        self._nbytes += nbytes
        self._failing += failed
        said = f"{self._failing:,} failing, {_size(self._nbytes)}"
        self._bar.set_postfix_str(said, refresh=False)
        self._bar.update()

    def say(self, text: str) -> None:
        """A line above the bar."""
        line = f"inspect: {safe(text)}"
        if self._bar is None:  # not begun: workers are waited for
            self._env.complain(line)
        else:
            self._bar.write(line, file=self._env.stderr)

    def finish(self) -> None:
        """Take the bar away."""
        self._bar.close()


class FleetLines:
    """The same as a line now and then, for logs."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._artifacts = self._done = self._skipped = self._nbytes = self._failing = 0
        self._start = self._said = time.monotonic()

    def start(self, artifacts: int) -> None:
        """Begin with so many artifacts."""
        self._artifacts = artifacts
        self._start = self._said = time.monotonic()

    def skipped(self, failed: bool) -> None:
        """One was done before."""
        self._skipped += 1
        self._failing += failed

    def done(self, nbytes: int, failed: bool) -> None:
        """One more is done."""
        self._done += 1
        self._nbytes += nbytes
        self._failing += failed
        now = time.monotonic()
        if now >= self._said + _LINE_SECONDS:
            self._said = now
            self.say(self._line(self._done / (now - self._start)))

    def _line(self, rate: float) -> str:
        from tqdm import tqdm

        so_far = self._done + self._skipped
        left = tqdm.format_interval((self._artifacts - so_far) / rate)
        return (
            f"{so_far:,} of {self._artifacts:,} artifacts, {rate:,.1f} a second, {left} left,"
            f" {_size(self._nbytes)}, {self._failing:,} failing"
        )

    def say(self, text: str) -> None:
        """A line."""
        self._env.complain(f"inspect: {safe(text)}")

    def finish(self) -> None:
        """The report says the rest."""


def _size(nbytes: int) -> str:
    from tqdm import tqdm

    return f"{tqdm.format_sizeof(nbytes)}B"


def fleet_progress(env: Environment, quiet: bool) -> Watch:
    """A bar where somebody would see it, else a line every half a minute; nothing if so wanted."""
    from inspector.fleet.progress import Unwatched

    if quiet:
        return Unwatched()
    return FleetBar(env) if env.stderr.isatty() else FleetLines(env)
