"""Copies of a small sample with one thing changed in them, by h5py and zipfile alone."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import h5py

from tests.builders import samples

if TYPE_CHECKING:
    import numpy as np

KERNEL = "model_weights/dense/dense/kernel:0"
BIAS = "model_weights/dense/dense/bias:0"
MASK = "model_weights/prune_low_magnitude_dense/prune_low_magnitude_dense/mask:0"


def copied(target: Any, change: Callable[[h5py.File], object], source: str = "stripped.h5") -> str:
    """A copy of a sample, changed in place."""
    shutil.copy(samples.path(source), target)
    with h5py.File(target, "r+") as file:
        change(file)
    return str(target)


def values(
    target: Any,
    change: Callable[[np.ndarray], object],
    name: str = KERNEL,
    source: str = "stripped.h5",
) -> str:
    """A copy with other values in a tensor: `change` works on them in place."""

    def edit(file: h5py.File) -> None:
        found = file[name][()]
        change(found)
        file[name][()] = found

    return copied(target, edit, source)


def replaced(target: Any, made: Callable[[np.ndarray], Any], name: str = KERNEL, **how: Any) -> str:
    """A copy with another dataset in a tensor's place. how: as h5py's create_dataset has it."""

    def edit(file: h5py.File) -> None:
        found = made(file[name][()])
        del file[name]
        file.create_dataset(name, data=found, **how)

    return copied(target, edit)


def renamed(target: Any, old: str, new: str) -> str:
    """A copy with another name of a layer, wherever Keras writes it."""

    def edit(file: h5py.File) -> None:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["config"]["name"] == old:
                layer["config"]["name"] = new
        file.attrs["model_config"] = json.dumps(config)
        weights = file["model_weights"]
        names = map(_text, weights.attrs["layer_names"])
        weights.attrs["layer_names"] = [(new if n == old else n).encode() for n in names]
        weights.move(old, new)
        weights.move(f"{new}/{old}", f"{new}/{new}")
        stored = map(_text, weights[new].attrs["weight_names"])
        weights[new].attrs["weight_names"] = [
            name.replace(f"{old}/", f"{new}/").encode() for name in stored
        ]

    return copied(target, edit)


def zipped_again(target: Any, source: str = "stripped.keras") -> str:
    """The same members with other dates, deflated, in the opposite order."""
    kept = zipfile.ZipFile(samples.path(source))
    made = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED)
    with kept as old, made as new:
        for member in reversed(old.infolist()):
            again = zipfile.ZipInfo(member.filename, (2001, 2, 3, 4, 5, 6))
            again.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(again, old.read(member))
    return str(target)


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode()
