"""Whether two folders of samples hold the same tensors and the same expected values."""

from __future__ import annotations

import fnmatch
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

SUFFIX = ".expected.json"

RTOL, ATOL = 1e-4, 1e-6
"""Other processors add in another order, so floats agree to a few units in the last places."""


def folders(committed: str, again: str, only: str = "*") -> list[str]:
    """One sentence a difference; none when the folders agree."""
    found = {
        folder: {
            name.removesuffix(SUFFIX)
            for name in os.listdir(folder)
            if name.endswith(SUFFIX) and fnmatch.fnmatch(name.removesuffix(SUFFIX), only)
        }
        for folder in (committed, again)
    }
    both = found[committed] & found[again]
    return [
        *(f"{name}: no longer made" for name in sorted(found[committed] - found[again])),
        *(f"{name}: not committed" for name in sorted(found[again] - found[committed])),
        *(
            f"{name}: {difference}"
            for name in sorted(both)
            for difference in sample(os.path.join(committed, name), os.path.join(again, name))
        ),
    ]


NOT_STEADY = ("sha256", "constants_sha256", "scales_sha256")
"""Digests of floats, which need not agree to the last bit."""


def sample(old: str, new: str) -> Iterator[str]:
    """The differences between two files of one name, and between what is expected of them."""
    before, after = arrays(old), arrays(new)
    for key in sorted(before.keys() ^ after.keys()):
        yield f"{key} is only in {'the committed file' if key in before else 'the new file'}"
    for key in sorted(before.keys() & after.keys()):
        if not alike(before[key], after[key]):
            yield f"{key} differs"
    with open(old + SUFFIX) as f, open(new + SUFFIX) as g:
        yield from said(_settled(json.load(f)), _settled(json.load(g)), "expected")


def _settled(expected: dict[str, Any]) -> dict[str, Any]:
    """Without the order in which a Keras 3 export lists its copies: that is another each time."""
    rows = expected.get("variables", [])
    copies = [row | {"key": "a copy"} for row in rows if row.get("role") == "alias"]
    others = [row for row in rows if row.get("role") != "alias"]
    return expected | {"variables": others + sorted(copies, key=lambda row: row["of"])}


def said(old: Any, new: Any, where: str) -> Iterator[str]:
    """The differences between two JSON values."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        for key in old:
            if key not in NOT_STEADY:
                yield from said(old[key], new[key], f"{where}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from said(one, other, f"{where}[{i}]")
    elif isinstance(old, float) and isinstance(new, float):
        if not np.isclose(old, new, rtol=RTOL, atol=ATOL):
            yield f"{where} was {old}, is {new}"
    elif old != new and not (GRAPH.match(where) and _unnumbered(old) == _unnumbered(new)):
        yield f"{where} was {old}, is {new}"


GRAPH = re.compile(r"expected\.(constants|signatures|tensors|subgraphs)\[.*\.(name|tensor)$")
"""Names in a graph, which have numbers that only one process gave them."""


def _unnumbered(name: str) -> str:
    return re.sub(r"\d+", "", name)


def alike(old: np.ndarray, new: np.ndarray) -> bool:
    if old.shape != new.shape or old.dtype != new.dtype:
        return False
    if old.dtype.kind in "biuf":
        return np.allclose(old, new, rtol=RTOL, atol=ATOL, equal_nan=True)
    if old.dtype.kind == "O":
        return old.tolist() == new.tolist()
    return old.tobytes() == new.tobytes()


def arrays(path: str) -> dict[str, np.ndarray]:
    """Every array stored in a sample, by where it is, read by plain h5py (or NumPy, for npz).

    TensorFlow reads its own artifacts: saved_model.pb is another one each time, its constants and
    the variables are not.
    """
    if path.endswith(".tflite"):
        return _tflite_arrays(path)
    if not path.endswith(KERAS_FILES) and not os.path.exists(os.path.join(path, "metadata.json")):
        return _tensorflow_arrays(path)
    return {
        f"{part}{key}": values for part, file in _parts(path) for key, values in _arrays(part, file)
    }


KERAS_FILES = (".h5", ".keras", ".weights.json")


def _tflite_arrays(path: str) -> dict[str, np.ndarray]:
    from samples.tflite_live import Live

    live = Live(path)
    return {
        f"subgraph {key[0]} tensor {key[1]}": live.values(key)
        for key, tensor in live.tensors()
        if live.buffer_size(tensor)
    }


def _tensorflow_arrays(path: str) -> dict[str, np.ndarray]:
    from samples import stored

    held: dict[str, np.ndarray] = {}
    # A layer's functions are traced more than once, and an export lists its copies in any order.
    alike: dict[str, list[np.ndarray]] = {}
    for key, (_, values) in stored.variables(path).items():
        if key.startswith("_all_variables/"):
            alike.setdefault("copy", []).append(values)
        elif not _is_string(values):
            held[key] = values
    for constant in stored.constants(path):
        if not _is_string(constant.values):
            alike.setdefault(f"{constant.tags} {constant.steady}", []).append(constant.values)
    for name, values in alike.items():
        for i, one in enumerate(sorted(values, key=lambda v: (v.shape, repr(v.tolist())))):
            held[f"{name} {i}"] = one
    return held


def _is_string(values: np.ndarray) -> bool:
    """A single string is an object graph, serialized, or a message: not the same each time."""
    return values.dtype.kind in "OSU" and values.shape == ()


def _parts(path: str) -> Iterator[tuple[str, str | io.BytesIO]]:
    """The files with arrays that a sample is made of, each with its name inside the sample."""
    if path.endswith(".weights.json"):
        with open(path) as f:
            held = json.load(f)["weight_map"].values()
        for shard in sorted({one for h in held for one in ([h] if isinstance(h, str) else h)}):
            yield shard, os.path.join(os.path.dirname(path), shard)
    elif os.path.isdir(path):
        yield "model.weights.h5", os.path.join(path, "model.weights.h5")
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.startswith("model.weights."):
                    yield name, io.BytesIO(archive.read(name))
    else:
        yield "", path


def _arrays(name: str, file: str | io.BytesIO) -> Iterator[tuple[str, np.ndarray]]:
    if name.endswith(".npz"):
        # Each group is a 0-d object array around a dict; the file is our own, so pickle is no risk.
        with np.load(file, allow_pickle=True) as archive:
            for group in archive.files:
                for key, values in archive[group].tolist().items():
                    yield f"/{group}/{key}", np.asarray(values)
        return
    import h5py

    found: list[tuple[str, np.ndarray]] = []

    def visit(key: str, held: Any) -> None:
        if isinstance(held, h5py.Dataset):
            found.append((f"/{key}", np.asarray(held[()])))

    with h5py.File(file, "r") as f:
        f.visititems(visit)
    yield from found
