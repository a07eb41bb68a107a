"""Where values lie in files, for whoever reads those of many tensors."""

from __future__ import annotations

from collections.abc import Sequence

from inspector import filesystem
from inspector.model import Tensor


def place(tensor: Tensor) -> tuple[str, int]:
    """The file that its bytes begin in, and where; of one that has none, what comes before all."""
    return min(((one.file, one.offset) for one in tensor.extents), default=("", 0))


def are_far(tensors: Sequence[Tensor]) -> bool:
    """Whether any of their bytes are in a storage."""
    return any(map(filesystem.is_far, {one.file for tensor in tensors for one in tensor.extents}))


def as_they_lie(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors from the first byte to the last, as they are to be read now."""
    expect(tensors)
    return sorted(tensors, key=place)


def expect(tensors: Sequence[Tensor]) -> None:
    """Say that the values of these will be read soon, so that a storage is asked a few times."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    for tensor in tensors:
        for one in tensor.extents:
            ranges.setdefault(one.file, []).append((one.offset, one.length))
    for path, each in ranges.items():
        filesystem.expect(path, each)
