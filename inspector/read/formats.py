"""What a reader says of itself and gives back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from inspector.limits import Limits
from inspector.model import Artifact


@dataclass(frozen=True, slots=True)
class Format:
    """One word of the JSON contract's `format`, for people.

    container: what `detect` calls the files that hold it; suffixes: the usual names.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    container: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An artifact that was read, and the files it still needs for its tensors' values.

    A context manager: payloads can be read until it is closed.
    """

    artifact: Artifact
    held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, repr=False)

    def close(self) -> None:
        """Let go of the files."""
        self.held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Reader:
    """One file of this folder: the formats it gives, the containers it takes, and how."""

    formats: tuple[Format, ...]
    containers: tuple[str, ...]
    read: Callable[[str, Limits], Opened]
