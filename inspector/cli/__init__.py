"""The command line. Each command parses, calls the API, renders and exits; nothing else prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspector.cli.environment import Environment


def run(arguments: Sequence[str] | None = None, environment: Environment | None = None) -> int:
    """Run one command and return its exit code. arguments: without the program's name."""
    from inspector.cli.main import run as run_main

    return run_main(arguments, environment)
