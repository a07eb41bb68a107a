"""How many bytes HDF5 takes for the groups, names and datasets of a model, found by asking it.

A file with the same objects is made in memory, its large datasets short, and measured: what HDF5
spends on structure depends on names, on the order of writing and on the library, not on values.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# A dataset past this many bytes lies by itself in the file, and one of this size in its place
# costs the same structure. Below it HDF5 gathers data in blocks of 2,048 bytes.
_STAND_IN = 4096
_RUNNING = itertools.count()


@dataclass(frozen=True, slots=True)
class Values:
    """A dataset: NumPy's name of the dtype, and the shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(slots=True)
class Group:
    """A group of HDF5: attributes, then what it holds, in the order of writing."""

    attributes: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    members: dict[str, Group | Values] = field(default_factory=dict)

    def at(self, path: str) -> Group:
        """The group at a path below, made where there is none."""
        found = self
        for name in filter(None, path.split("/")):
            inner = found.members.setdefault(name, Group())
            if not isinstance(inner, Group):
                return Group()  # a dataset is in the way, in a name that nobody would write
            found = inner
        return found

    def put(self, path: str, values: Values) -> None:
        """Add a dataset."""
        around, _, name = path.rpartition("/")
        self.at(around).members.setdefault(name, values)


def size_of(root: Group, *, stream: bool) -> int:
    """Bytes of a file with these objects.

    stream: written into a Python stream, as tf_keras writes the weights of a `.keras`; HDF5 keeps
    no room between blocks there.
    """
    import h5py

    if stream:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            extra = _fill(file, root)
        return len(buffer.getvalue()) + extra
    name = f"skeleton-{next(_RUNNING)}"  # of no file: nothing is written to a disk
    with h5py.File(name, "w", driver="core", backing_store=False) as file:
        extra = _fill(file, root)
        file.flush()
        return len(file.id.get_file_image()) + extra


def _fill(group: Any, made: Group) -> int:
    """Write the objects; how many bytes of values were left out."""
    import h5py
    import numpy as np

    extra = 0
    for key, texts in made.attributes.items():
        # Keras' strings are of variable length; a list without any becomes one of numbers.
        held = np.array(texts, dtype=h5py.string_dtype()) if len(texts) else np.array([])
        group.attrs[key] = held
    for name, inner in made.members.items():
        if isinstance(inner, Group):
            extra += _fill(group.create_group(name), inner)
            continue
        dtype = np.dtype(inner.dtype)
        nbytes = dtype.itemsize
        for side in inner.shape:
            nbytes *= side
        shape = inner.shape
        if nbytes > _STAND_IN:
            shape = (*(1,) * (len(shape) - 1), _STAND_IN // dtype.itemsize)
        values = np.zeros(shape, dtype)
        group.create_dataset(name, data=values)
        extra += nbytes - values.nbytes
    return extra


def legacy(
    layers: Mapping[str, Sequence[tuple[str, Values]]],
    *,
    attributes: Mapping[str, str],
    config_bytes: int | None,
) -> Group:
    """A whole model, or weights alone where config_bytes is None, as Keras' `.h5` lays them out.

    layers: by name, the stored names and values of their variables. attributes: those that name
    Keras and its backend.
    """
    root = Group(dict(attributes))
    weights = root
    if config_bytes is not None:
        root.attributes["model_config"] = "x" * config_bytes
        weights = root.at("model_weights")
        weights.attributes |= attributes
    weights.attributes["layer_names"] = tuple(layers)
    for layer, variables in layers.items():
        group = weights.at(layer)
        group.attributes["weight_names"] = tuple(name for name, _ in variables)
        for name, values in variables:
            group.put(name, values)
    weights.at("top_level_model_weights").attributes["weight_names"] = ()
    return root


def numbered(objects: Mapping[str, Sequence[Values]], *, named: bool) -> Group:
    """A store of numbered variables. objects: by path; named: each notes its name, as Keras 3's."""
    root = Group()
    for path, variables in objects.items():
        group = root.at(f"{path}/vars")
        if named:
            group.attributes["name"] = path.rpartition("/")[2]
        for index, values in enumerate(variables):
            group.members[str(index)] = values
    return root
