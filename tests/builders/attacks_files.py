"""Attacks by other files: HDF5, pickles, sharded weights."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np

from tests.builders import keras as k
from tests.builders.attacks_common import NOWHERE, PICKLE, Attack, file, zip_of
from tests.builders.attacks_keras import TWICE
from tests.builders.hdf5 import DENSE_BIAS, DENSE_CONFIG, DENSE_KERNEL, whole_model

# --- HDF5 -----------------------------------------------------------------------------------------


def _values_elsewhere(file: Any, name: str) -> None:
    file.create_dataset(name, (4, 3), "f4", external=[(f"{NOWHERE}/secret", 0, 48)])


def _virtual(file: Any, name: str) -> None:
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource(f"{NOWHERE}/other.h5", "kernel", (4, 3))
    file.create_virtual_dataset(name, layout)


def _external(file: Any, name: str) -> None:
    file[name] = h5py.ExternalLink(f"{NOWHERE}/other.h5", "/kernel")


def _through_a_soft_link(file: Any, name: str) -> None:
    file["ext"] = h5py.ExternalLink(f"{NOWHERE}/other.h5", "/")
    file[name] = h5py.SoftLink("ext/kernel")


def _middle(file: Any, name: str) -> None:
    """A list of names leads through a link: ext/kernel."""
    file["ext"] = h5py.ExternalLink(f"{NOWHERE}/other.h5", "/")


def _swollen(file: Any, name: str) -> None:
    side = 1 << 20
    file.create_dataset(name, (side, side), "f4", chunks=(64, 64), compression="gzip")


_HDF5_MAKERS: Mapping[str, tuple[Callable[[Any, str], None], str, str, tuple[str, ...]]] = {
    "link": (_external, "CVE-2026-1669", "safety-hdf5-outside", (f"{NOWHERE}/other.h5:/kernel",)),
    "storage": (_values_elsewhere, "CVE-2026-1669", "safety-hdf5-outside", (f"{NOWHERE}/secret",)),
    "virtual": (_virtual, "CVE-2026-1669", "safety-hdf5-outside", (f"{NOWHERE}/other.h5:kernel",)),
    "soft-link": (
        _through_a_soft_link,
        "CVE-2026-1669",
        "safety-hdf5-outside",
        ("ext/kernel", f"{NOWHERE}/other.h5:/"),
    ),
    "shape-bomb": (
        _swollen,
        "CVE-2026-0897",
        "safety-shape-bomb",
        ("declares 4,398,046,511,104 B, stores 0",),
    ),
}


def _h5_with(make: Callable[[Any, str], None]) -> Callable[[str], str]:
    def build(folder: str) -> str:
        held = {"dense": {"kernel:0": make, "bias:0": DENSE_BIAS}}
        return whole_model(os.path.join(folder, "model.h5"), held, libver="latest")

    return build


def _weights_with(make: Callable[[Any, str], None]) -> Callable[[str], str]:
    def build(folder: str) -> str:
        path = os.path.join(folder, "model.weights.h5")
        return k.v3_store(path, {"layers/dense": [make, DENSE_BIAS]}, libver="latest")

    return build


def _keras_with(make: Callable[[Any, str], None]) -> Callable[[str], str]:
    def build(folder: str) -> str:
        objects = {"layers/dense": [make, DENSE_BIAS]}
        parts = k.members(k.h5_weights(folder, objects))
        return k.keras_zip(os.path.join(folder, "model.keras"), parts)

    return build


def _no_model(make: Callable[[Any, str], None]) -> Callable[[str], str]:
    """HDF5 that no reader takes for a model."""

    def build(folder: str) -> str:
        path = os.path.join(folder, "data.h5")
        with h5py.File(path, "w", libver="latest") as file:
            make(file, "kernel")
        return path

    return build


def _no_text(folder: str) -> str:
    """A config that is numbers."""
    path = os.path.join(folder, "model.h5")
    with h5py.File(path, "w") as out:
        out.attrs["model_config"] = np.frombuffer(json.dumps(TWICE).encode(), "u1")
    return path


def _linked_weights(folder: str) -> str:
    """`model_weights` itself is a link."""
    path = os.path.join(folder, "model.h5")
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(DENSE_CONFIG)
        file.attrs["keras_version"] = "2.15.0"
        file["model_weights"] = h5py.ExternalLink(f"{NOWHERE}/other.h5", "/model_weights")
    return path


def _alias(file: Any, name: str) -> None:
    """A soft link that stays in the file."""
    file.create_dataset("values", data=DENSE_KERNEL)
    file[name] = h5py.SoftLink("values")


def _zeros(file: Any, name: str) -> None:
    file.create_dataset(name, data=np.zeros((64, 64), "f4"), chunks=(64, 64), compression="gzip")


_IN_HDF5: Mapping[str, Callable[[Callable[[Any, str], None]], Callable[[str], str]]] = {
    "h5": _h5_with,
    "weights": _weights_with,
    "keras": _keras_with,
    "no-model": _no_model,
}
_HDF5 = (
    *(
        Attack(f"hdf5-{name}-{kind}", cve, build(make), (code,), says)
        for name, (make, cve, code, says) in _HDF5_MAKERS.items()
        for kind, build in _IN_HDF5.items()
    ),
    Attack("hdf5-config-of-numbers", "", _no_text, ("safety-unread",), ("model_config",)),
    Attack(
        "hdf5-middle",
        "CVE-2026-1669",
        lambda folder: whole_model(
            os.path.join(folder, "model.h5"), {"dense": {"ext/kernel:0": _middle}}
        ),
        ("safety-hdf5-outside",),
        ("model_weights/dense/ext",),
    ),
    Attack(
        "hdf5-model-weights-is-a-link",
        "CVE-2026-1669",
        _linked_weights,
        ("safety-hdf5-outside",),
        ("model_weights is an external link",),
    ),
)
_HDF5_TWINS = tuple(
    Attack(f"hdf5-{name}-{kind}", "", build(make))
    for name, make in (("alias", _alias), ("zeros", _zeros))
    for kind, build in _IN_HDF5.items()
)


# --- pickles --------------------------------------------------------------------------------------


def _npy(descr: str, data: bytes) -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': (), }}"
    padded = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + data


def _npz_keras(weights: bytes) -> Callable[[str], str]:
    def make(folder: str) -> str:
        parts = k.members(weights, "model.weights.npz")
        return k.keras_zip(os.path.join(folder, "model.keras"), parts)

    return make


_PICKLES = (
    Attack(
        "npz-pickle",
        "",
        _npz_keras(zip_of(layers_npy=_npy("|O", PICKLE))),
        ("safety-pickle",),
        ("math.sqrt",),
    ),
    Attack("npz-alone", "", file("w.npz", zip_of(a_npy=_npy("|O", PICKLE))), ("safety-pickle",)),
    Attack("npy-alone", "", file("w.npy", _npy("|O", PICKLE)), ("safety-pickle",), ("math.sqrt",)),
    Attack("pickle-alone", "", file("model.pkl", PICKLE), ("safety-pickle",), ("math.sqrt",)),
    Attack(
        "joblib-alone", "", file("m.joblib", b"\x80\x04" + PICKLE[:-1] + b"."), ("safety-pickle",)
    ),
)
_PICKLE_TWINS = (
    Attack("npz-arrays", "", file("w.npz", zip_of(a_npy=_npy("<f4", bytes(4))))),
    Attack("npz-keras", "", _npz_keras(k.npz_weights())),
)


# --- sharded weights ------------------------------------------------------------------------------


def _shards(name: str) -> Callable[[str], str]:
    def make(folder: str) -> str:
        path = k.sharded(folder, {"model_00000.weights.h5": k.DENSE_STORE}, 60)
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        content["weight_map"]["/layers/more/vars"] = [name]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)
        return path

    return make


def _shards_linked(folder: str) -> str:
    return k.sharded(
        folder, {"model_00000.weights.h5": {"layers/dense": [_external, DENSE_BIAS]}}, 60
    )


_SHARDS = (
    Attack("shard-outside", "", _shards("../secret.h5"), ("safety-shard",), ("../secret.h5",)),
    Attack("shard-absolute", "", _shards(f"{NOWHERE}/secret.h5"), ("safety-shard",)),
    Attack("shard-linked", "CVE-2026-1669", _shards_linked, ("safety-hdf5-outside",)),
)
_SHARD_TWINS = (
    Attack(
        "shards",
        "",
        lambda folder: k.sharded(folder, {"model_00000.weights.h5": k.DENSE_STORE}, 60),
    ),
)

ATTACKS = (*_HDF5, *_PICKLES, *_SHARDS)
TWINS = (*_HDF5_TWINS, *_PICKLE_TWINS, *_SHARD_TWINS)
