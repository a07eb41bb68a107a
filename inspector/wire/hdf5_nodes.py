"""What an HDF5 file is made of, whoever reads it: groups, links, datasets, attributes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

from inspector.errors import LimitExceeded
from inspector.limits import Limits
from inspector.model import Extent, Payload
from inspector.payloads import FilledPayload, RawPayload


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. nbytes: of its value; inline: kept in the object's header, not in a heap."""

    name: str
    value: Any  # str, int, float, tuple of these, or None where it is of another type
    nbytes: int
    inline: bool


@dataclass(slots=True)
class Dataset:
    """One dataset.

    dtype: NumPy name of the stored values, with byte order ("<f4", ">i8"), or "string" ... size:
    bytes of one value. shape: None for no data space. stored: bytes of the file that hold the
    values. storage: how, in words. extents: where they are. payload: None where the values cannot
    be read here. links: further paths by hard links. elsewhere: other files that have the values
    ("b.h5:/kernel"), the first of them.
    """

    path: str
    address: int
    dtype: str
    size: int
    shape: tuple[int, ...] | None
    stored: int
    storage: str
    extents: tuple[Extent, ...]
    payload: Payload | None = None
    links: list[str] = field(default_factory=list)
    elsewhere: tuple[str, ...] = ()
    attributes: dict[str, Attribute] = field(default_factory=dict, repr=False)

    @property
    def declared(self) -> int:
        """Bytes that the values would take if all were stored."""
        return self.size * math.prod(self.shape) if self.shape is not None else 0

    def note_attributes(self) -> None:
        """Keras keeps bfloat16 as two opaque bytes and says so in an attribute."""
        said = self.attributes.get("dtype")
        if self.dtype == "V2" and said is not None and said.value == "bfloat16":
            self.dtype = "bfloat16"
            if isinstance(self.payload, FilledPayload):
                self.payload = replace(self.payload, value=0, dtype="bfloat16")
            elif self.payload is not None:  # one of several dataclasses, all with a dtype
                self.payload = replace(cast("RawPayload", self.payload), dtype="bfloat16")


class Link(NamedTuple):
    """A name in a group. kind: "hard", "soft" or "external".

    target: the node (hard), the path (soft) or (file, path) (external).
    """

    name: str
    kind: str
    target: Group | Dataset | tuple[str, ...]


@dataclass(slots=True)
class Group:
    """A group: its links by name in name order, and its attributes."""

    path: str
    address: int
    links: dict[str, Link] = field(default_factory=dict, repr=False)
    attributes: dict[str, Attribute] = field(default_factory=dict, repr=False)

    def value(self, name: str) -> Any:
        """An attribute's value, None where there is none."""
        found = self.attributes.get(name)
        return None if found is None else found.value

    def texts(self, name: str) -> list[str] | None:
        """An attribute that lists names, joined from name0, name1 ... where Keras had to split it.

        HDF5 caps an object header message at 64 KiB; Keras then writes numbered parts, which
        belong together in numeric order (9 before 10). None where there is no such attribute.
        """
        parts = [self.value(name)] if name in self.attributes else []
        if not parts:
            numbered = [
                (int(key[len(name) :]), self.value(key))
                for key in self.attributes
                if key.startswith(name) and key[len(name) :].isdecimal()
            ]
            parts = [value for _, value in sorted(numbered, key=lambda pair: pair[0])]
        if not parts:
            return None
        joined: list[str] = []
        for part in parts:
            # A single name, or a number where names should be, is a list of one.
            several = part if isinstance(part, tuple) else () if part is None else (part,)
            joined += map(str, several)
        return joined

    def group(self, name: str) -> Group | None:
        """The group that a name leads to directly by a hard link."""
        link = self.links.get(name)
        return link.target if link is not None and isinstance(link.target, Group) else None

    def items(self) -> Iterator[tuple[str, Group | Dataset]]:
        """(name, node) for each hard link, in name order."""
        for link in self.links.values():
            if isinstance(link.target, (Group, Dataset)):
                yield link.name, link.target


def joined(group: str, name: str) -> str:
    """The path of a name in a group."""
    return f"{group}/{name}" if group else name


def check_limit(limits: Limits, name: str, value: int, path: str) -> None:
    """Raise LimitExceeded where `value` is over the limit of that name."""
    limit = getattr(limits, name)
    if value > limit:
        raise LimitExceeded(name, value, limit, path)
