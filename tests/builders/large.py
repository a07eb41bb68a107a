"""Artifacts as large as the limits allow: `make(folder, n)` gives the path of one with n of what it
is made of. Written in streams and with real checksums, so that making them takes seconds.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest import mock

import google_crc32c
import h5py
import numpy as np

from tests.builders import bundles, saved_models, tflite
from tests.builders.bundles import chunk, number
from tests.builders.hdf5 import sequential
from tests.builders.saved_models import VALUE, const, node

LONG = 150  # characters of a long name: 66,000 of them are most of what `keys_bytes` allows


def crc32c(data: bytes) -> int:
    return int(google_crc32c.value(data))


def quick(make: Callable[..., Path]) -> Callable[..., Path]:
    """The maker, with the checksums of a library in place of the tests' own, bit by bit."""

    def made(folder: Path, n: int, *more: int) -> Path:
        with mock.patch.object(bundles, "crc32c", crc32c):
            return make(folder, n, *more)

    return made


def names(n: int, length: int = 0) -> Iterable[str]:
    """n names, told apart by their ends, of at least so many characters."""
    return (f"layer_{at:05d}".rjust(length, "n") for at in range(n))


# --- HDF5 and .keras ---

KINDS = ("gamma", "beta", "moving_mean", "moving_variance")


def norms(n: int, length: int = 0) -> str:
    """The config of n BatchNormalization layers: four variables each."""
    return json.dumps(
        sequential(*(("BatchNormalization", name, {}) for name in names(n, length))),
        separators=(",", ":"),
    )


def v3_file(target: object, n: int, length: int = 0) -> None:
    """A v3 store of n tensors, four a layer."""
    with h5py.File(target, "w", libver="latest") as file:
        layers = file.create_group("layers")
        for name in names(n // 4, length):
            group = layers.create_group(f"{name}/vars")
            for at in range(4):
                group.create_dataset(str(at), data=np.float32([at]))


def v3_weights(folder: Path, n: int, length: int = 0) -> Path:
    v3_file(folder / "a.weights.h5", n, length)
    return folder / "a.weights.h5"


def legacy(folder: Path, n: int, length: int = 0) -> Path:
    """A whole model of n tensors, four a layer."""
    with h5py.File(folder / "a.h5", "w", libver="latest") as file:
        file.attrs["model_config"] = norms(n // 4, length)
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["backend"] = "tensorflow"
        group = file.create_group("model_weights")
        listed = [name.encode() for name in names(n // 4, length)]
        group.attrs["layer_names"] = np.array(listed)
        group.attrs["keras_version"] = b"2.15.0"
        for name in names(n // 4, length):
            layer = group.create_group(name)
            stored = [f"{name}/{kind}:0" for kind in KINDS]
            layer.attrs["weight_names"] = np.array([one.encode() for one in stored])
            for one in stored:
                layer.create_dataset(one, data=np.float32([1]))
    return folder / "a.h5"


def keras_archive(folder: Path, config: str, **members: bytes | Path) -> Path:
    path = folder / "a.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"keras_version": "3.5.0"}')
        archive.writestr("config.json", config)
        for name, content in members.items():
            place = name.replace("__", "/") + (".txt" if "vocabulary" in name else "")
            if isinstance(content, Path):
                archive.write(content, place)
                content.unlink()
            else:
                archive.writestr(place, content)
    return path


def keras(folder: Path, n: int, length: int = 0) -> Path:
    """A `.keras` of n tensors, four a layer."""
    store = folder / "made.h5"
    v3_file(store, n, length)
    return keras_archive(folder, norms(n // 4, length), **{"model.weights.h5": store})


def keras_npz(folder: Path, n: int) -> Path:
    """A `.keras` of n tensors in an npz, four a member."""
    store = folder / "made.npz"
    with zipfile.ZipFile(store, "w") as archive:
        for name in names(n // 4):
            values = np.array({str(at): np.float32([at]) for at in range(4)}, dtype=object)
            with archive.open(f"layers/{name}.npy", "w") as member:
                np.lib.format.write_array(member, values, allow_pickle=True)
    return keras_archive(folder, norms(n // 4), **{"model.weights.npz": store})


def opcodes(folder: Path, n: int) -> Path:
    """A `.keras` with one pickle of n opcodes: small lists, which are never used."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }\n"
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    body = b"\x80\x02" + b"]" * (n - 4) + b"}."
    store = folder / "made.npz"
    with zipfile.ZipFile(store, "w") as archive:
        archive.writestr("layers/d.npy", npy + body)
    return keras_archive(folder, norms(1), **{"model.weights.npz": store})


def objects_npz(folder: Path, n: int) -> Path:
    """A `.keras` with a pickled dict of n values that are texts, each of them an opcode."""
    values = np.array({str(at): f"text {at}" for at in range(n)}, dtype=object)
    store = folder / "made.npz"
    with zipfile.ZipFile(store, "w") as archive, archive.open("layers/d.npy", "w") as member:
        np.lib.format.write_array(member, values, allow_pickle=True)
    return keras_archive(folder, norms(1), **{"model.weights.npz": store})


def words(n: int) -> list[str]:
    return [f"word{at}" for at in range(n)]


def vocabulary_config(folder: Path, n: int) -> Path:
    """A vocabulary of n words in a config."""
    layer = {"class_name": "StringLookup", "config": {"name": "s", "vocabulary": words(n)}}
    text = json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}})
    store = folder / "made.h5"
    v3_file(store, 4)
    return keras_archive(folder, text, **{"model.weights.h5": store})


def vocabulary_member(folder: Path, n: int) -> Path:
    """A vocabulary of n words as a member of a `.keras`."""
    layer = {"class_name": "StringLookup", "config": {"name": "s"}}
    text = json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}})
    store = folder / "made.h5"
    v3_file(store, 4)
    listed = "\n".join(words(n)).encode()
    held = {"model.weights.h5": store, "assets__s__vocabulary": listed}
    return keras_archive(folder, text, **held)


@quick
def vocabulary_asset(folder: Path, n: int) -> Path:
    """A SavedModel with a vocabulary of n words as an asset."""
    meta = saved_models.meta_graph(assets=[saved_models.asset("vocab.txt")])
    files = {"assets/vocab.txt": "\n".join(words(n)).encode()}
    return Path(saved_models.write(folder / "saved", meta, files=files))


@quick
def vocabulary_strings(folder: Path, n: int) -> Path:
    """A checkpoint with a string tensor of n words."""
    data, crc = bundles.strings(*(one.encode() for one in words(n)))
    item = bundles.Item(b"table-keys", data, saved_models.STRING, (n,), crc=crc)
    for name, content in bundles.bundle(item).items():
        (folder / name).write_bytes(content)
    return folder / "ckpt"


# --- checkpoints and SavedModels ---


def parts(n: int, length: int = 0) -> list[tuple[str, str]]:
    """(layer, variable) of n tensors, four a layer."""
    return [(name, kind) for name in names(n // 4, length) for kind in KINDS]


def held_objects(n: int, length: int = 0) -> list[tuple[dict[str, int], tuple[str, str] | None]]:
    """Objects of a checkpoint: a root, n // 4 layers, n variables."""
    layers = list(names(n // 4, length))
    first = 1 + len(layers)
    found: list[tuple[dict[str, int], tuple[str, str] | None]] = [
        ({name: 1 + at for at, name in enumerate(layers)}, None)
    ]
    for at in range(len(layers)):
        found.append(({kind: first + 4 * at + k for k, kind in enumerate(KINDS)}, None))
    for name, kind in parts(n, length):
        found.append(({}, (f"{name}/{kind}", f"{name}/{kind}{VALUE}")))
    return found


def graph_item(objects: Iterable[bytes]) -> bundles.Item:
    """A checkpoint's entry of its object graph."""
    data, crc = bundles.strings(b"".join(chunk(1, one) for one in objects))
    return bundles.Item(b"_CHECKPOINTABLE_OBJECT_GRAPH", data, saved_models.STRING, crc=crc)


def held(name: str, at: int) -> bytes:
    """A reference to a child."""
    return chunk(1, number(1, at) + chunk(2, name.encode()))


def stored(full_name: str, key: str) -> bytes:
    """What an object says of the variable that it is."""
    value = chunk(1, b"VARIABLE_VALUE") + chunk(2, full_name.encode())
    return chunk(2, value + chunk(3, key.encode()))


def graph_of(
    objects: Iterable[tuple[dict[str, int], tuple[str, str] | None]],
) -> bundles.Item:
    return graph_item(
        b"".join(held(name, at) for name, at in kids.items()) + (stored(*where) if where else b"")
        for kids, where in objects
    )


def variables(n: int, length: int = 0) -> list[bundles.Item]:
    return [saved_models.floats(f"{name}/{kind}{VALUE}", [1.0]) for name, kind in parts(n, length)]


def bundle_files(folder: Path, items: Iterable[bundles.Item]) -> Path:
    for name, content in bundles.bundle(*items).items():
        (folder / name).write_bytes(content)
    return folder / "ckpt"


@quick
def checkpoint(folder: Path, n: int, length: int = 0) -> Path:
    """A checkpoint of n tensors with its object graph."""
    graph = graph_of(held_objects(n - 1, length))
    return bundle_files(folder, [*variables(n - 1, length), graph])


@quick
def plain_checkpoint(folder: Path, n: int, length: int = 0) -> Path:
    """A checkpoint of n tensors of TensorFlow 1: names alone."""
    made = (saved_models.floats(f"{a}/{b}", [1.0]) for a, b in parts(n, length))
    return bundle_files(folder, made)


ALONE = stored("w", f"w{VALUE}")  # the one variable of a graph


def one_variable(folder: Path, *objects: bytes) -> Path:
    graph = graph_item(objects)
    return bundle_files(folder, [saved_models.floats(f"w{VALUE}", [1.0]), graph])


@quick
def slots(folder: Path, n: int) -> Path:
    """A checkpoint whose object graph has n references of slots."""
    one = number(1, 1) + chunk(2, b"m") + number(3, 1)
    return one_variable(folder, held("w", 1) + chunk(3, one) * (n - 3), ALONE)


@quick
def children(folder: Path, n: int) -> Path:
    """A checkpoint whose root holds one object under n names."""
    return one_variable(folder, b"".join(held(f"c{at}", 1) for at in range(n - 3)), ALONE)


@quick
def many_objects(folder: Path, n: int) -> Path:
    """A checkpoint whose root holds objects that hold nothing: n of them and their names."""
    kids = b"".join(held(f"c{at}", 1 + at) for at in range(n // 2 - 2))
    return one_variable(folder, kids, ALONE, *[b""] * (n // 2 - 3))


@quick
def saved_model(folder: Path, n: int, length: int = 0) -> Path:
    """A SavedModel of n tensors: variables, objects, and a node for each."""
    kinds = [saved_models.user_object()] * (1 + n // 4)
    kinds += [saved_models.variable(f"{a}/{b}", 1) for a, b in parts(n, length)]
    objects = [
        b"".join(held(name, at) for name, at in kids.items()) + kind
        for kind, (kids, _) in zip(kinds, held_objects(n, length), strict=True)
    ]
    nodes = [node(f"{a}/{b}", "VarHandleOp") for a, b in parts(n, length)]
    meta = saved_models.meta_graph(
        b"".join(chunk(1, one) for one in nodes), objects=b"".join(chunk(1, one) for one in objects)
    )
    items = [*variables(n - 1, length), graph_of(held_objects(n - 1, length))]
    return Path(saved_models.write(folder / "saved", meta, items=items))


# --- graphs ---


def frozen(folder: Path, nodes: Iterable[bytes], name: str = "a.pb") -> Path:
    with open(folder / name, "wb") as file:
        file.writelines(chunk(1, one) for one in nodes)
    return folder / name


def constants(folder: Path, n: int, length: int = 0) -> Path:
    """A frozen graph of n constants."""
    return frozen(folder, (const(name, [1.0]) for name in names(n, length)))


def read_constants(folder: Path, n: int, length: int = 0) -> Path:
    """A frozen graph of n constants, each read by a node of its own."""
    made = (
        one
        for name in names(n, length)
        for one in (const(name, [1.0]), node(f"{name}/m", "MatMul", "x", name))
    )
    return frozen(folder, made)


def chain(folder: Path, n: int) -> Path:
    """Nodes and an input each, n of both."""
    return frozen(folder, (node(f"n{at}", "Relu", f"n{at - 1}") for at in range(n // 2)))


def attributed(folder: Path, n: int) -> Path:
    """Nodes with a hundred attributes each, n attributes."""
    held = {f"a{at}": number(6, 1) for at in range(100)}
    return frozen(folder, (node(f"n{at}", "Relu", "x", **held) for at in range(n // 100)))


def functions(folder: Path, n: int) -> Path:
    """A graph of functions, with a node, an argument and a return each."""
    made = (
        saved_models.function(f"f{at}", ["x"], [node("y", "Relu", "x")], {"z": "y:0"})
        for at in range(n)
    )
    path = folder / "a.pb"
    with open(path, "wb") as file:
        file.write(chunk(1, const("c", [1.0])))
        file.write(chunk(2, b"".join(chunk(1, one) for one in made)))
    return path


def uses(folder: Path, n: int) -> Path:
    """A constant that n inputs read, a hundred a node, by long names."""
    made = (node(f"n{at}".rjust(LONG, "n"), "AddN", *["c"] * 100) for at in range(n // 100))
    return frozen(folder, (const("c", [1.0]), *made))


def text_graph(folder: Path, n: int) -> Path:
    """A graph as text, of n bytes: constants and what reads them."""
    path = folder / "a.pbtxt"
    size = 0
    with open(path, "w", encoding="ascii") as file:
        at = 0
        while size < n - 400:
            size += file.write(
                f'node {{ name: "n{at}" op: "Relu" input: "n{at - 1}" attr {{ key: "T" value '
                f"{{ type: DT_FLOAT }} }} }}\n"
            )
            at += 1
    return path


def text_constant(folder: Path, n: int) -> Path:
    """A graph as text, of n bytes: one constant of single numbers."""
    path = folder / "a.pbtxt"
    one = " float_val: 1"
    count = (n - 400) // len(one)
    with open(path, "w", encoding="ascii") as file:
        file.write('node { name: "c" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }')
        file.write(' attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { dim {')
        file.write(f" size: {count} }} }}" + one * count + " } } } }\n")
    return path


def text_content(folder: Path, n: int) -> Path:
    """A graph as text, of n bytes: the bytes of one constant, four characters each."""
    path = folder / "a.pbtxt"
    count = (n - 400) // 4 // 4
    with open(path, "w", encoding="ascii") as file:
        file.write('node { name: "c" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }')
        file.write(' attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape { dim {')
        file.write(f' size: {count} }} }} tensor_content: "' + "\\001" * 4 * count + '" } } } }\n')
    return path


# --- LiteRT ---


def flatbuffer(folder: Path, n: int, length: int = 0) -> Path:
    """A model of n tensors."""
    path = folder / "a.tflite"
    made = [tflite.tensor(name, (1,), buffer=1) for name in names(n, length)]
    path.write_bytes(tflite.model(tflite.graph(made), buffers=[np.float32([1])]))
    return path


def operators(folder: Path, n: int) -> Path:
    """A model of n operators, a tensor of their own for each to give."""
    path = folder / "a.tflite"
    made = [tflite.tensor(f"t{at}", (1,)) for at in range(n // 4)]
    ops = [tflite.op("RELU", [0], [at % (n // 4)]) for at in range(n)]
    path.write_bytes(tflite.model(tflite.graph(made, ops, [0], [1])))
    return path
