"""Where a command runs: its streams, its terminal, its variables. Tests make their own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from inspector.writing import write_whole

PIPED_WIDTH = 100  # what is piped must not depend on whose terminal it was
NARROWEST = 40
_PAGER_WIDTH = 80
_FORCING = ("FORCE_COLOR", "CLICOLOR_FORCE")
_OFF = ("", "0", "false")


@dataclass(slots=True)
class Environment:
    """stdout takes the output, stderr errors and progress; variables are those of the process."""

    stdout: TextIO = field(default_factory=lambda: sys.stdout or _nowhere())
    stderr: TextIO = field(default_factory=lambda: sys.stderr or _nowhere())
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at stdout."""
        return self.stdout.isatty()

    def width(self, wanted: int | None = None, *, to_file: bool = False) -> int:
        """Columns to write: as wanted, else COLUMNS, else the terminal's, else 100."""
        if wanted:
            return wanted
        columns = self.variables.get("COLUMNS", "")
        if columns.isdecimal() and int(columns):
            return max(int(columns), NARROWEST)
        if self.is_terminal and not to_file:
            import shutil

            return max(shutil.get_terminal_size((PIPED_WIDTH, 24)).columns, NARROWEST)
        return PIPED_WIDTH

    def help_width(self) -> int:
        """Columns of help: no more than can be read well; piped, it is for a pager as wide as most
        terminals.
        """
        known = self.is_terminal or self.variables.get("COLUMNS")
        return min(self.width(), PIPED_WIDTH) if known else _PAGER_WIDTH

    def color(self, wanted: str = "auto", *, to_file: bool = False) -> bool:
        """Whether to colour: "always", "never", or "auto", as the variables say that people set for
        all programs: NO_COLOR before those that force it, and else on a terminal that can.
        """
        if wanted != "auto":
            return wanted == "always"
        if to_file or self.variables.get("NO_COLOR"):
            return False
        if any(self.variables.get(name, "0") not in _OFF for name in _FORCING):
            return True
        off = self.variables.get("TERM") == "dumb" or self.variables.get("CLICOLOR") == "0"
        return self.is_terminal and not off

    def write(self, text: str | Iterable[str], path: str | None = None) -> None:
        """Put text, in pieces or whole, on stdout, or in a file that is whole or untouched.

        Raises OSError.

        A reader of stdout that has gone away (`| head`) wants no more, which is no error.
        """
        parts = (text,) if isinstance(text, str) else text
        if path is not None:
            try:
                write_whole(path, parts)
            except OSError as error:
                # Not the temporary file's name, which says nothing to anybody.
                raise OSError(error.errno, f"cannot be written: {error.strerror}", path) from error
            return
        try:
            for part in parts:
                self.stdout.write(encodable(part, self.stdout.encoding))
            self.stdout.flush()
        except BrokenPipeError:
            self.let_go()
        except OSError as error:
            self.let_go()
            raise OSError(error.errno, f"cannot be written: {error.strerror}", "stdout") from error

    def let_go(self) -> None:
        """Give up stdout, so that nothing is flushed to it at exit."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stdout.fileno())
            os.close(nowhere)

    def complain(self, text: str) -> None:
        """One line on stderr. What it quotes may be a URL that was given for something else."""
        if "://" in text:
            from inspector.remote.doors import hidden

            text = hidden(text)
        with contextlib.suppress(OSError):
            self.stderr.write(encodable(f"{text}\n", self.stderr.encoding))
            self.stderr.flush()


def _nowhere() -> TextIO:
    """What stands for a stream that the process was started without."""
    return open(os.devnull, "w", encoding="utf-8")


def encodable(text: str, encoding: str | None) -> str:
    """`text` with what the stream's encoding lacks written as escapes."""
    name = encoding or "utf-8"
    return text.encode(name, "backslashreplace").decode(name)
