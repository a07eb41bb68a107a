"""Makes one input of the benchmark, without TensorFlow: python inputs.py NAME SIZE FOLDER.

SIZE is in MiB, or a number of tensors or of files. The layouts are what Keras and the converter
write, and TensorFlow loads them. Values are random; half of each pruned kernel is zero.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.builders import hdf5, tflite  # noqa: E402 - only there once the path is
from tests.builders.edits import edited_h5  # noqa: E402

SAMPLES = ROOT / "sample_models"
MIB = 1 << 20
_SIDES = (4096, 2048, 1024, 512, 256)  # of a square kernel
_PRUNED = "PruneLowMagnitude"
# A table of TFLite with all of its data inside cannot be larger than an int32 can point.
_INLINE = 1024  # MiB


def side_of(mib: int, copies: int) -> int:
    """The side of the square kernels of a model of that size, for at least eight layers."""
    return next((one for one in _SIDES if 8 * copies * one * one * 4 <= mib * MIB), _SIDES[-1])


def layers_of(mib: int, copies: int) -> int:
    """How many layers such a model has, each storing `copies` arrays of its kernel's size."""
    return max(1, mib * MIB // (copies * side_of(mib, copies) ** 2 * 4))


def pruned_layer(seed: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A kernel of which half is zero, its bias and its mask."""
    random = np.random.default_rng(seed)
    mask = (random.random((side, side), np.float32) < 0.5).astype(np.float32)
    kernel = random.standard_normal((side, side), np.float32) * mask
    return kernel, random.standard_normal(side, np.float32), mask


# --- pruned models of tf_keras --------------------------------------------------------------------


def _chain(sample: Any, side: int, count: int) -> Any:
    """The config of a sample with `count` pruned layers of side x side, one after another."""
    config = copy.deepcopy(sample)
    first, pattern = config["config"]["layers"][0], config["config"]["layers"][1]
    first["config"]["batch_input_shape"] = [None, side]
    config["config"]["layers"] = [first]
    for index in range(count):
        wrapper = copy.deepcopy(pattern)
        suffix = f"_{index}" if index else ""
        wrapper["config"]["name"] = f"prune_low_magnitude_dense{suffix}"
        wrapper["config"].pop("batch_input_shape")
        wrapper["config"]["layer"]["config"].pop("batch_input_shape")
        wrapper["config"]["layer"]["config"] |= {"name": f"dense{suffix}", "units": side}
        for one in (wrapper, wrapper["config"]["layer"], config):
            if "build_config" in one:
                one["build_config"]["input_shape"] = [None, side]
        config["config"]["layers"].append(wrapper)
    return config


def pruned_h5(path: str, mib: int, *, seed: int = 0, **storage: Any) -> None:
    """`model.save("pruned.h5")`. storage: how h5py is to store kernels, biases and masks."""
    with h5py.File(SAMPLES / "pruned.h5") as sample:
        config = json.loads(sample.attrs["model_config"])
    side, count = side_of(mib, 2), layers_of(mib, 2)
    layers = {}
    for index in range(count):
        suffix = f"_{index}" if index else ""
        wrapper = f"prune_low_magnitude_dense{suffix}"
        layers[wrapper] = {
            f"dense{suffix}/kernel:0": _Stored(seed + index, side, 0, storage),
            f"dense{suffix}/bias:0": _Stored(seed + index, side, 1, storage),
            f"{wrapper}/mask:0": _Stored(seed + index, side, 2, storage),
            f"{wrapper}/threshold:0": np.float32(0.5),
            f"{wrapper}/pruning_step:0": np.int64(1000),
        }
    hdf5.whole_model(path, layers, _chain(config, side, count))


class _Stored:
    """Writes one array of a layer when asked to, so that no more than one layer is in memory."""

    _made: tuple[tuple[int, int], tuple[np.ndarray, ...]] = ((-1, 0), ())

    def __init__(self, seed: int, side: int, which: int, storage: Mapping[str, Any]) -> None:
        self.key, self.which, self.storage = (seed, side), which, storage

    def __call__(self, group: h5py.Group, name: str) -> None:
        if _Stored._made[0] != self.key:
            _Stored._made = (self.key, pruned_layer(*self.key))
        group.create_dataset(name, data=_Stored._made[1][self.which], **self.storage)


def gzip_h5(path: str, mib: int) -> None:
    """The same, chunked and compressed as h5py does it by default. mib: once decompressed."""
    pruned_h5(path, mib, compression="gzip")


def pruned_keras(path: str, mib: int) -> None:
    """`model.save("pruned.keras")`: the wrapper stores each kernel a second time."""
    side, count = side_of(mib, 3), layers_of(mib, 3)
    with zipfile.ZipFile(SAMPLES / "pruned.keras") as sample:
        metadata = sample.read("metadata.json")
        config = _chain(json.loads(sample.read("config.json")), side, count)
    config.pop("compile_config", None)
    weights = f"{path}.weights"
    with h5py.File(weights, "w") as file:
        _variables(file, "")
        for index in range(count):
            kernel, bias, mask = pruned_layer(index, side)
            place = "layers/prune_low_magnitude" + (f"_{index}" if index else "")
            _variables(file, f"{place}/layer", kernel, bias)
            _variables(file, place, kernel, mask, np.float32(0.5), np.int64(1000))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", metadata)
        archive.writestr("config.json", json.dumps(config))
        archive.write(weights, "model.weights.h5")
    os.remove(weights)


def _variables(file: h5py.File, place: str, *values: Any) -> None:
    group = file.create_group(f"{place}/vars")
    for number, value in enumerate(values):
        group.create_dataset(str(number), data=value)


# --- stores of Keras 3 ----------------------------------------------------------------------------


def weights_h5(path: str, mib: int) -> None:
    """`save_weights("model.weights.h5")` of 256 Dense layers without bias."""
    rows = 512
    columns = max(1, mib * MIB // (256 * rows * 4))
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for index in range(256):
            place = "layers/dense" + (f"_{index}" if index else "")
            _variables(file, place, random.standard_normal((rows, columns), np.float32))


def small_tensors(path: str, count: int) -> None:
    """A `.weights.h5` of that many tensors: Dense layers of 8 x 8, a kernel and a bias each."""
    random = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for index in range(count // 2):
            place = "layers/dense" + (f"_{index}" if index else "")
            kernel = random.standard_normal((8, 8), np.float32)
            _variables(file, place, kernel, np.zeros(8, np.float32))


# --- .tflite --------------------------------------------------------------------------------------


def dense_tflite(path: str, mib: int) -> None:
    """FULLY_CONNECTED layers, half of each kernel zero. Data lies behind the table where it is too
    large to be in it, as the converter writes it.
    """
    side, count = side_of(mib, 1), layers_of(mib, 1)
    if mib <= _INLINE:
        content = _model(side, [pruned_layer(index, side)[0] for index in range(count)])
        Path(path).write_bytes(content)
        return
    nbytes = side * side * 4
    start = len(_model(side, [_behind(1, nbytes)] * count))
    start += -start % 16
    places = [_behind(start + index * nbytes, nbytes) for index in range(count)]
    with open(path, "wb") as out:
        out.write(_model(side, places))
        for index, place in enumerate(places):
            out.seek(place["offset"])
            out.write(pruned_layer(index, side)[0].tobytes())


def _behind(offset: int, nbytes: int) -> dict[str, int]:
    return {"offset": offset, "size": nbytes}


def _model(side: int, kernels: list[Any]) -> bytes:
    tensors = [tflite.tensor("input", (1, side))]
    operators = []
    for index in range(len(kernels)):
        tensors.append(tflite.tensor(f"dense_{index}/kernel", (side, side), buffer=index + 1))
        tensors.append(tflite.tensor(f"dense_{index}/MatMul", (1, side)))
        before = 2 * index
        operators.append(
            tflite.op(
                "FULLY_CONNECTED",
                [before, before + 1, -1],
                [before + 2],
                options=("FullyConnectedOptions", {}),
            )
        )
    graph = tflite.graph(tensors, operators, inputs=[0], outputs=[len(tensors) - 1], name="main")
    return tflite.model(graph, buffers=kernels)


# --- many files -----------------------------------------------------------------------------------


def small_files(path: str, count: int) -> None:
    """A folder of that many models: samples as they are, then also with another name inside."""
    os.makedirs(path)
    names = sorted(one.name for one in SAMPLES.iterdir() if _one_file(one))
    for number, name in zip(range(count), _forever(names), strict=False):
        place = os.path.join(path, f"{number:05}-{name}")
        edit = number >= len(names) and name.endswith(".h5") and _has_config(SAMPLES / name)
        if edit:
            edited_h5(str(SAMPLES / name), place, lambda config, at=number: _renamed(config, at))
        else:
            shutil.copy(SAMPLES / name, place)


def _one_file(path: Path) -> bool:
    return path.suffix in (".h5", ".keras", ".tflite", ".pb") and "sharded" not in path.name


def _forever(names: list[str]) -> Iterator[str]:
    while True:
        yield from names


def _has_config(path: Path) -> bool:
    with h5py.File(path) as file:
        return "model_config" in file.attrs


def _renamed(config: Any, number: int) -> None:
    config["config"]["name"] = f"model_{number}"


# --- pairs ----------------------------------------------------------------------------------------


def pair(change: Callable[[str, int], None]) -> Callable[[str, int], None]:
    """A folder of a.h5 and b.h5, b changed from a as `change` does."""

    def make(path: str, mib: int) -> None:
        os.makedirs(path)
        first, second = (os.path.join(path, one) for one in ("a.h5", "b.h5"))
        pruned_h5(first, mib)
        shutil.copy(first, second)
        change(second, mib)

    return make


def _nothing(path: str, mib: int) -> None:
    """The two are the same, byte by byte."""


def _one_tensor(path: str, mib: int) -> None:
    with h5py.File(path, "r+") as file:
        kernel = file["model_weights/prune_low_magnitude_dense/dense/kernel:0"]
        kernel[...] = kernel[()] * np.float32(1.5)


def _all_tensors(path: str, mib: int) -> None:
    pruned_h5(path, mib, seed=100_000)


# Name -> what makes it at a path, for a size.
MAKERS: dict[str, Callable[[str, int], None]] = {
    "pruned.h5": pruned_h5,
    "gzip.h5": gzip_h5,
    "pruned.keras": pruned_keras,
    "model.weights.h5": weights_h5,
    "small.weights.h5": small_tensors,
    "model.tflite": dense_tflite,
    "files": small_files,
    "pair-same": pair(_nothing),
    "pair-one": pair(_one_tensor),
    "pair-all": pair(_all_tensors),
}


if __name__ == "__main__":
    MAKERS[sys.argv[1]](os.path.join(sys.argv[3], sys.argv[1]), int(sys.argv[2]))
