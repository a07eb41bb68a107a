"""Which layers the names in a .tflite file speak of.

The converter joins the names of all operators that it made one of: "m/conv/BiasAdd;m/conv/Conv2D".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from inspector.model import Tensor
from inspector.pairing.names import bare


class Hints:
    """The paths of a model's layers, looked for in names."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths: dict[str, list[tuple[str, ...]]] = {}
        for path in paths:
            parts = tuple(path.split("/"))
            if parts[0]:
                self._paths.setdefault(parts[-1], []).append(parts)
        self._known: dict[str, Mapping[str, int]] = {}

    def of(self, tensor: Tensor) -> Mapping[str, int]:
        """Paths that a tensor's name and its operators' have, and how many words of each."""
        if tensor.name not in self._known:
            found: dict[str, int] = {}
            for name in (tensor.stored_name or tensor.name, *(use.node for use in tensor.uses)):
                for one in name.split(";"):
                    self._look(tuple(map(bare, one.split("/"))), found)
            self._known[tensor.name] = found
        return self._known[tensor.name]

    def _look(self, parts: tuple[str, ...], found: dict[str, int]) -> None:
        for at, part in enumerate(parts):
            for path in self._paths.get(part, ()):
                # A model inside may be left out of the name, or stand in it.
                size = len(path) if parts[: at + 1][-len(path) :] == path else 1
                name = "/".join(path)
                found[name] = max(found.get(name, 0), size)
