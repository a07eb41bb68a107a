"""Real shells that tests type into, with an `inspect` that completes, or writes what it got."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from inspector.cli.shells import script
from tests.builders.programs import program

ROOT = Path(__file__).resolve().parents[2]
TAB, ENTER = "\t", "\r"
_PATIENCE = 60.0  # seconds for one answer, on a busy machine

# Asked to complete it is the real one; called, it only writes down its words.
_INSPECT = """#!/bin/sh
[ -n "$_INSPECT_COMPLETE" ] && exec "{python}" -m inspector "$@"
for word in "$@"; do printf '%s\\0' "$word"; done >> "{got}"
printf '\\n\\0' >> "{got}"
"""
_START = {
    "bash": (["--norc", "--noprofile", "-i"], "source {script}; PS1='> '"),
    "zsh": (["-f", "-i"], "autoload -Uz compinit; compinit -D -u; source {script}; PS1='> '"),
    "fish": (["--no-config", "-i"], "source {script}"),
}


@dataclass
class Shell:
    """One shell in a pseudo-terminal, started in `folder`."""

    name: str
    folder: Path
    shown: bytes = b""
    _pid: int = 0
    _terminal: int = -1
    _got: Path = field(default_factory=Path)
    _seen: int = 0

    def __enter__(self) -> Self:
        path = program(self.name)
        home = self.folder / f".home-{self.name}"
        home.mkdir()
        self._got = home / "got"
        self._got.touch()
        command = home / "inspect"
        command.write_text(_INSPECT.format(python=sys.executable, got=self._got))
        command.chmod(0o755)
        source = home / "script"
        source.write_text(script(self.name), encoding="utf-8")
        environment = {
            "PATH": f"{home}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(home),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
        }
        arguments, start = _START[self.name]
        self._pid, self._terminal = pty.fork()
        if not self._pid:
            os.chdir(self.folder)
            os.execve(path, [path, *arguments], environment)
        self.typed(start.format(script=source) + ENTER)
        assert self.called("inspect ready" + ENTER) == ["ready"]
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._terminal)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def typed(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def read(self, seconds: float) -> str:
        """What the shell shows within that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._terminal], [], [], left)[0]:
                self.shown += os.read(self._terminal, 1 << 16)
        return self.shown.decode("utf-8", "replace")

    def until(self, text: str) -> str:
        """What the shell shows, once that text is among it."""
        end = time.monotonic() + _PATIENCE
        while text.encode() not in self.shown:
            assert time.monotonic() < end, self.shown
            self.read(0.05)
        return self.shown.decode("utf-8", "replace")

    def called(self, keys: str) -> list[str]:
        """The words that `inspect` gets, of a line that ends with ENTER."""
        self.typed(keys)
        end = time.monotonic() + _PATIENCE
        while True:
            calls = self._got.read_text(encoding="utf-8").split("\n\0")
            if len(calls) > self._seen + 1:
                break
            assert time.monotonic() < end, (keys, self.shown)
            self.read(0.05)
        call = calls[self._seen]
        self._seen += 1
        return call.split("\0")[:-1]
