"""An HDF5 file as a graph of groups and datasets, with the place of every byte.

Files as Keras writes them are read by `hdf5_plain`, all others by libhdf5 (`hdf5_library`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Self, cast

from inspector.errors import Truncated, Unsupported
from inspector.limits import DEFAULT, Limits
from inspector.model import Problem, Severity
from inspector.storage import ByteSource
from inspector.wire.hdf5_nodes import Dataset, Group, Link
from inspector.wire.hdf5_plain import read_plain
from inspector.wire.hdf5_plain_heaps import Unusual
from inspector.wire.hdf5_superblock import Superblock, read_superblock
from inspector.wire.once import once

if TYPE_CHECKING:
    from inspector.wire.hdf5_library import Library


class Hdf5File:
    """An open HDF5 file. A context manager; datasets' payloads live as long as it is open.

    Raises Truncated, Corrupt, Unsupported (left open for writing) or LimitExceeded.
    problems: what is odd but did not stop the reading.
    """

    def __init__(self, source: ByteSource, limits: Limits = DEFAULT) -> None:
        self.source = source
        self.limits = limits
        self.problems: list[Problem] = []
        self.structure_bytes = 0
        self.superblock = _checked_superblock(source)
        self.objects: dict[int, Group | Dataset] = {}
        self._library: Library | None = None
        try:
            found = once(
                lambda: read_plain(source, limits, self.superblock),
                source,
                lambda made: made.structure_bytes,  # a large file has little of it
                "HDF5",
                limits,
            )
            self.root, self.objects = found.root, found.nodes
            self.structure_bytes = found.structure_bytes
        except Unusual:
            from inspector.wire.hdf5_library import Library

            self._library = Library(self)
            self.root = self._library.root

    def close(self) -> None:
        """Close the file; payloads of chunked datasets can no longer be read."""
        if self._library is not None:
            self._library.close()

    def forget(self) -> None:
        """Let go of the objects, which take half as much as what is made of them; payloads stay."""
        self.root, self.objects = Group("", self.root.address), {}
        if self._library is not None:
            self._library.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def nodes(self) -> Iterator[Group | Dataset]:
        """Every object that hard links reach, each once."""
        yield from self.objects.values()

    def datasets(self) -> Iterator[Dataset]:
        """Every dataset, each once, under the first path that leads to it."""
        for node in self.objects.values():
            if isinstance(node, Dataset):
                yield node

    def lookup(self, path: str, start: Group | None = None) -> Group | Dataset | Link | None:
        """What a path leads to, soft links followed within the file.

        An external link is returned as it is; None where nothing is there or soft links loop.
        """
        node: Group | Dataset = start if start is not None else self.root
        pending = [part for part in path.split("/") if part][::-1]
        if path.startswith("/"):
            node = self.root
        followed = 0
        while pending:
            part = pending.pop()
            if part == ".":
                continue
            link = node.links.get(part) if isinstance(node, Group) else None
            if link is None:
                return None
            if link.kind == "external":
                return link
            if link.kind == "soft":
                followed += 1
                if followed > self.limits.depth:
                    return None
                target = cast("tuple[str, ...]", link.target)[0]
                pending += [part for part in target.split("/") if part][::-1]
                node = self.root if target.startswith("/") else node
                continue
            node = cast("Group | Dataset", link.target)
        return node

    def is_linked(self, path: str, node: Dataset) -> bool:
        """Whether a path leads to a dataset through a soft link, rather than by its own names."""
        return path not in (node.path, *node.links)

    def add_problem(
        self, code: str, severity: Severity, message: str, offset: int | None = None
    ) -> None:
        """Note something odd about this file."""
        self.problems.append(Problem(code, severity, message, self.source.path, offset))


def _checked_superblock(source: ByteSource) -> Superblock:
    found = read_superblock(source)
    if found.end > source.size:
        missing = found.end - source.size
        raise Truncated(
            f"truncated: the file has {source.size:,} bytes, its superblock says {found.end:,};"
            f" {missing:,} missing ({_percent(missing, found.end)}); copy or download it again",
            source.path,
        )
    if found.open_for_write:
        raise Unsupported(
            "HDF5 file left open for writing: its writer did not close it, or still has it open;"
            " close it, or clear the mark with h5clear -s",
            source.path,
            found.start,
        )
    return found


def _percent(part: int, whole: int) -> str:
    # Never "100.00 %" of something that is not all.
    hundredths = min(part * 10_000 // whole if part < whole else 10_000, 10_000)
    return f"{hundredths / 100:.2f} %"


def overhead(file: Hdf5File, labels: Mapping[str, str], payload: int) -> dict[str, int]:
    """Bytes of the file that are no tensor, by label, adding up to its size with `payload`.

    labels: attribute name -> label for its value's bytes; other attributes are "attributes".
    payload: bytes of the file that tensors take. What no structure claims is "slack": space
    that HDF5 reserved or freed.
    """
    sizes = {
        "user block": file.superblock.start,
        "trailing bytes": file.source.size - file.superblock.end,
    }
    for node in file.nodes():
        for attribute in node.attributes.values():
            label = labels.get(attribute.name, "attributes")
            sizes[label] = sizes.get(label, 0) + attribute.nbytes
    sizes["HDF5 structure"] = file.structure_bytes
    # A hostile file can claim more than it has bytes: the sum must still hold.
    room = file.source.size - payload
    for label, size in sizes.items():
        sizes[label] = max(min(size, room), 0)
        room -= sizes[label]
    sizes["slack"] = room
    return {label: size for label, size in sizes.items() if size}


__all__ = ["Dataset", "Group", "Hdf5File", "Link", "overhead"]
