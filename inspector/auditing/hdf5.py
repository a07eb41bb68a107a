"""What of an HDF5 file is not in it, and what it declares without storing it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from inspector import deadline
from inspector.auditing.contents import Outside, Swollen
from inspector.limits import Limits
from inspector.storage import ByteSource
from inspector.wire.hdf5 import Group, Hdf5File, Link

# Attributes that Keras parses as JSON.
_CONFIGS = ("model_config", "training_config")


@dataclass(slots=True)
class Inside:
    """What was found. configs: the text of each of Keras' configs by the attribute's name.

    unread: those that are no text, or larger than a limit.
    """

    outside: list[Outside] = field(default_factory=list)
    swollen: list[Swollen] = field(default_factory=list)
    configs: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


def look_at_hdf5(source: ByteSource, name: str, path: str, limits: Limits) -> Inside:
    """Look at an HDF5 file, whatever it holds. name: its place in the artifact; path: on disk.

    Raises what Hdf5File raises.
    """
    found = Inside()
    with Hdf5File(source, limits) as file:
        for node in deadline.watched(file.nodes()):
            if isinstance(node, Group):
                found.outside += _links(file, node, name, path)
            elif node.elsewhere or node.storage.startswith("virtual"):
                kind = node.storage.partition(":")[0]
                target = ", ".join(node.elsewhere) or "nothing"
                found.outside.append(Outside(kind, node.path, target, name, path))
            elif _is_swollen(node.declared, node.stored, limits):
                found.swollen.append(Swollen(node.path, node.declared, node.stored, path))
        for key in _CONFIGS:
            value = file.root.value(key)
            if isinstance(value, str):
                found.configs[key] = value
            elif key in file.root.attributes:
                found.unread.append(key)
    return found


def _links(file: Hdf5File, group: Group, name: str, path: str) -> Iterator[Outside]:
    """The links of a group that lead out of the file, or to another place in it."""
    for link in group.links.values():
        if not isinstance(link.target, tuple):
            continue
        place = f"{group.path}/{link.name}" if group.path else link.name
        target = ":".join(link.target)
        if link.kind == "external":
            yield Outside("link", place, target, name, path)
        else:
            led = file.lookup(link.target[0], group)
            if isinstance(led, Link) and isinstance(led.target, tuple):
                through = f"{target}, and so to {':'.join(led.target)}"
                yield Outside("soft link", place, through, name, path)
            else:
                yield Outside("alias", place, target, name, path)


def _is_swollen(declared: int, stored: int, limits: Limits) -> bool:
    return declared >= limits.bomb_bytes and declared > limits.bomb_ratio * stored
