"""What must not be shown: Dask logs the arguments of tasks that fail."""

from __future__ import annotations

from typing import Any


class Secret:
    """A value that prints as "***"."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> tuple[type[Secret], tuple[Any]]:
        return Secret, (self.value,)
