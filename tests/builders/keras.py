"""Keras 3's containers: `.keras` as a zip and as a folder, npz weights, sharded weights."""

import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.builders.hdf5 import DENSE_BIAS, DENSE_CONFIG, DENSE_KERNEL, v3_store

DENSE_STORE = {"layers/dense": [DENSE_KERNEL, DENSE_BIAS]}
METADATA = {"keras_version": "3.5.0", "date_saved": "2026-01-01@00:00:00"}


def h5_weights(folder, objects: Mapping[str, Sequence[Any]] = DENSE_STORE) -> bytes:
    """The bytes of a `model.weights.h5`."""
    path = v3_store(os.path.join(folder, "made.weights.h5"), objects)
    with open(path, "rb") as file:
        content = file.read()
    os.remove(path)
    return content


def npz_weights(objects: Mapping[str, Sequence[Any]] = DENSE_STORE) -> bytes:
    """The bytes of a `model.weights.npz`: a pickled dict a member, as Keras 3 writes it."""
    out = io.BytesIO()
    np.savez(
        out,
        **{
            place: np.array({str(i): value for i, value in enumerate(values)}, dtype=object)
            for place, values in objects.items()
        },
    )
    return out.getvalue()


def members(weights: bytes | None, name: str = "model.weights.h5") -> dict[str, bytes]:
    """The members that Keras writes, the weights last."""
    found = {
        "metadata.json": json.dumps(METADATA).encode(),
        "config.json": json.dumps(DENSE_CONFIG).encode(),
    }
    return found if weights is None else {**found, name: weights}


def keras_zip(path, parts: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> str:
    """A `.keras` of these members."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return str(path)


def keras_folder(path, parts: Mapping[str, bytes]) -> str:
    """An unpacked `.keras` of these members."""
    for name, content in parts.items():
        place = os.path.join(path, name)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(content)
    return str(path)


def sharded(folder, shards: Mapping[str, Mapping[str, Sequence[Any]]], total: int | None) -> str:
    """A weight map and its shards: file name -> object path -> variables."""
    weight_map: dict[str, list[str]] = {}
    for name, objects in shards.items():
        v3_store(os.path.join(folder, name), objects)
        for place in objects:
            weight_map.setdefault(f"/{place}/vars", []).append(name)
    path = os.path.join(folder, "model.weights.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": weight_map}, file)
    return path
