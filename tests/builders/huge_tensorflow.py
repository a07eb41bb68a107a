"""TensorFlow's and LiteRT's files of 1 GiB that take no room: see `huge`."""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np

from inspector.wire.tflite_schema import SCHEMA
from tests.builders import bundles, large, saved_models, tflite
from tests.builders.bundles import chunk, number, tag, varint
from tests.builders.flatbuffers import Writer
from tests.builders.huge_pieces import KERNEL, LAYERS, WIDTHS, Sparse, save, size, widths
from tests.builders.saved_models import FLOAT, VALUE, called, dtype, node

# --- SavedModel ---


def variables(layers: int) -> dict[str, tuple[int, ...]]:
    """The variables of a module of as many layers, in the order in which they are used."""
    held = {}
    for at in range(layers):
        held[f"w{at}"], held[f"b{at}"] = widths(at), widths(at)[1:]
    return held


def body(layers: int) -> list[bytes]:
    """relu(x @ w + b), again and again."""
    nodes, last = [], "x"
    for at in range(layers):
        for kind in "wb":
            source = f"{kind}{at}_resource"
            nodes.append(node(f"Read_{kind}{at}", "ReadVariableOp", source, dtype=dtype(FLOAT)))
        steps = [
            (f"MatMul_{at}", "MatMul", last, f"Read_w{at}:value:0"),
            (f"BiasAdd_{at}", "BiasAdd", f"MatMul_{at}:product:0", f"Read_b{at}:value:0"),
            (f"Relu_{at}", "Relu", f"BiasAdd_{at}:output:0"),
        ]
        nodes += [node(*one, T=dtype(FLOAT)) for one in steps]
        last = f"Relu_{at}:activations:0"
    return nodes


def module_graph(held: Mapping[str, tuple[int, ...]], layers: int) -> bytes:
    """The MetaGraph of a tf.Module of these variables with one function."""
    call = saved_models.function(
        "__inference_call_1",
        ["x", *(f"{name}_resource" for name in held)],
        body(layers),
        {"y": f"Relu_{layers - 1}:activations:0"},
    )
    nodes = [node(name, "VarHandleOp") for name in held]
    nodes += [
        node("serving_default_x", "Placeholder"),
        node(
            "StatefulPartitionedCall",
            "StatefulPartitionedCall",
            *("serving_default_x", *held),
            f=called("__inference_call_1"),
        ),
    ]
    function = chunk(6, chunk(1, b"__inference_call_1"))
    children = {name: at for at, name in enumerate([*held, "f"], 1)}
    objects = saved_models.object_graph(
        [
            saved_models.saved_object(saved_models.user_object(), **children),
            *(
                saved_models.saved_object(saved_models.variable(name, *sides))
                for name, sides in held.items()
            ),
            saved_models.saved_object(function),
        ],
        {"__inference_call_1": list(range(1, len(held) + 1))},
    )
    info = saved_models.tensor_info
    signature = saved_models.signature(
        {"x": info("serving_default_x:0", (-1, WIDTHS[0]))},
        {"y": info("StatefulPartitionedCall:0", (-1, widths(layers - 1)[1]))},
    )
    return saved_models.meta_graph(
        saved_models.graph(nodes, [call]),
        signatures={"serving_default": signature},
        objects=objects,
    )


def saved_model(folder: Path, layers: int = LAYERS) -> str:
    """A tf.Module's SavedModel: one index, one shard, tensors in the order of their keys."""
    with mock.patch.object(bundles, "crc32c", large.crc32c):
        return _saved_model(folder, layers)


def _saved_model(folder: Path, layers: int) -> str:
    held = variables(layers)
    path = saved_models.write(folder / "saved_model", module_graph(held, layers))
    os.makedirs(f"{path}/variables")
    children = {name: at for at, name in enumerate([*held, "f"], 1)}
    kept = [({}, (name, f"{name}{VALUE}")) for name in held]
    objects = saved_models.trackable((children, None), *kept, ({}, None))
    shard: Sparse = [objects.data]
    records = [(b"", bundles.header()), (objects.key, objects.record(0))]
    for name, sides in sorted(held.items(), key=lambda pair: f"{pair[0]}{VALUE}"):
        nbytes = 4 * int(np.prod(sides))
        key = f"{name}{VALUE}".encode()
        item = bundles.Item(key, b"", FLOAT, sides, size=nbytes, crc=_zeros_crc(nbytes))
        records.append((key, item.record(size(shard))))
        shard.append(nbytes)
    Path(f"{path}/variables/variables.index").write_bytes(bundles.table(records))
    save(Path(f"{path}/variables/variables.data-00000-of-00001"), shard)
    return path


@functools.cache
def _zeros_crc(nbytes: int) -> int:
    """The masked CRC-32C of so many zeros."""
    return bundles.masked(bytes(nbytes))


# --- LiteRT ---


def tflite_model(folder: Path, layers: int = LAYERS) -> str:
    """A `.tflite` as the converter lays it out: the list of buffers, each buffer's table before
    its data with the last one first, and everything else behind them. Buffers 1 to 2n are those of
    weights; the first and those of activations are empty.
    """
    sizes = [0, *(4 * n for at in range(layers) for n in (KERNEL, widths(at)[1]))]
    sizes += [0] * (layers + 1)
    tensors, operators, last = [], [], 2 * layers
    for at in range(layers):
        source, target = widths(at)
        kernel = tflite.tensor(f"model/dense_{at}/MatMul", (target, source), buffer=2 * at + 1)
        tensors += [kernel, tflite.tensor(f"model/dense_{at}/bias", (target,), buffer=2 * at + 2)]
    for at in range(layers + 1):
        shape = (1, widths(at)[0])
        tensors.append(tflite.tensor(f"model/dense_{at}", shape, buffer=2 * layers + 1 + at))
    for at in range(layers):
        given = [last, 2 * at, 2 * at + 1]
        operators.append(tflite.op("FULLY_CONNECTED", given, [last + 1]))
        last += 1
    graph = tflite.graph(tensors, operators, [2 * layers], [last], "main")
    fields = tflite.values(graph)
    return save(folder / "dense.tflite", _converted(fields, sizes))


def _converted(fields: dict[str, object], sizes: list[int]) -> Sparse:
    """The pieces of a file whose buffers hold so many zeros each."""
    # The root table: its vtable of five fields at 8, itself at 24, the list of buffers at 48.
    listed = 48
    at = listed + 4 + 4 * len(sizes)
    places = {}
    for index in reversed(range(len(sizes))):
        places[index] = at
        at += 12 + sizes[index] if sizes[index] else 4
    full, empty = at, at + 8  # vtables: of a buffer with data, of one without
    behind = -(-(at + 12) // 16) * 16
    writer = Writer(SCHEMA)
    model = writer.schema.fields("Model")
    ends = {
        name: behind + writer.value(model[name], fields[name])
        for name in ("subgraphs", "operator_codes", "description")
    }
    # The table's fields: version, operator_codes, subgraphs, description, buffers.
    head = struct.pack("<I4s7Hxx", 24, b"TFL3", 14, 24, 4, 8, 12, 16, 20)
    root = struct.pack("<iI", 24 - 8, 3)
    for field, target in enumerate((ends["operator_codes"], ends["subgraphs"])):
        root += struct.pack("<I", target - (32 + 4 * field))
    root += struct.pack("<II", ends["description"] - 40, listed - 44)
    head += root + struct.pack("<I", len(sizes))
    for index in range(len(sizes)):
        head += struct.pack("<I", places[index] - (listed + 4 + 4 * index))
    pieces: Sparse = [head]
    for index in reversed(range(len(sizes))):
        nbytes = sizes[index]
        if nbytes:
            pieces += [struct.pack("<iII", places[index] - full, 4, nbytes), nbytes]
        else:
            pieces.append(struct.pack("<i", places[index] - empty))
    pieces.append(struct.pack("<3Hxx2H", 6, 8, 4, 4, 4))
    return [*pieces, bytes(behind - size(pieces)), bytes(writer.out)]


# --- a frozen graph ---


def _within(field: int, content: Sparse) -> Sparse:
    """A message's field that holds this."""
    return [tag(field, 2) + varint(size(content)), *content]


def _constant(name: str, sides: tuple[int, ...]) -> Sparse:
    """A node of the graph: a Const of zeros, their bytes in `tensor_content`."""
    shape = number(1, FLOAT) + chunk(2, bundles.shape(*sides))
    tensor = [shape, *_within(4, [4 * int(np.prod(sides))])]
    value = _within(5, [chunk(1, b"value"), *_within(2, _within(8, tensor))])
    kind = chunk(5, saved_models.entry("dtype", dtype(FLOAT)))
    return _within(1, [chunk(1, name.encode()) + chunk(2, b"Const") + kind, *value])


def frozen(folder: Path, layers: int = LAYERS) -> str:
    """A frozen graph: each layer's constants, and what reads them behind all of them."""
    pieces: Sparse = [chunk(1, node("x", "Placeholder", dtype=dtype(FLOAT)))]
    for at in range(layers):
        pieces += _constant(f"w{at}/resource", widths(at))
        pieces += _constant(f"b{at}/resource", widths(at)[1:])
    last = "x"
    for at in range(layers):
        steps = [
            (f"w{at}", "Identity", f"w{at}/resource"),
            (f"b{at}", "Identity", f"b{at}/resource"),
            (f"MatMul_{at}", "MatMul", last, f"w{at}"),
            (f"BiasAdd_{at}", "BiasAdd", f"MatMul_{at}", f"b{at}"),
            (f"Relu_{at}", "Relu", f"BiasAdd_{at}"),
        ]
        pieces += [chunk(1, node(*one, T=dtype(FLOAT))) for one in steps]
        last = f"Relu_{at}"
    return save(folder / "frozen.pb", [*pieces, chunk(4, number(1, 2474))])
