"""A command line run in this process, with streams of its own."""

from __future__ import annotations

import io
from dataclasses import dataclass

from inspector.cli import run
from inspector.cli.environment import Environment


class Stream(io.StringIO):
    """A text stream that may pretend to be a terminal."""

    encoding = "utf-8"

    def __init__(self, terminal: bool = False) -> None:
        super().__init__(newline="")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@dataclass
class Result:
    code: int
    out: str
    err: str


def call(*arguments: str, terminal: bool = False, **variables: str) -> Result:
    """Run `inspect` with these arguments; variables are its whole environment."""
    env = Environment(Stream(terminal), Stream(), variables)
    code = run(list(arguments), env)
    return Result(code, env.stdout.getvalue(), env.stderr.getvalue())
