"""What the exit code says."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """Exit codes of every command."""

    CLEAN = 0
    FINDING = 1  # a finding, a difference, arithmetic that does not balance
    UNUSABLE = 2  # bad usage, or an artifact that cannot be read
    BUG = 3  # this tool's own fault
    INTERRUPTED = 130  # Ctrl-C, as shells count it: 128 + SIGINT
