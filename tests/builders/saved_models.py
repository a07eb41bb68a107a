"""SavedModel folders written by hand, as the protobuf definitions of TensorFlow say."""

import os
import struct

from tests.builders.bundles import Item, bundle, chunk, number, shape, strings, varint

FLOAT, STRING, RESOURCE = 1, 7, 20
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def entry(key: str, value: bytes) -> bytes:
    """An entry of a map field."""
    return chunk(1, key.encode()) + chunk(2, value)


# --- graphs ---


def node(name, op, *inputs, **attrs) -> bytes:
    """A NodeDef. attrs: AttrValues as bytes."""
    out = chunk(1, name.encode()) + chunk(2, op.encode())
    out += b"".join(chunk(3, one.encode()) for one in inputs)
    return out + b"".join(chunk(5, entry(key, value)) for key, value in attrs.items())


def dtype(value: int) -> bytes:
    return number(6, value)


def called(function: str) -> bytes:
    """The attribute `f` of a call."""
    return chunk(10, chunk(1, function.encode()))


def const(name, values, sides=None) -> bytes:
    """A Const of float32, its values in tensor_content."""
    sides = (len(values),) if sides is None else sides
    content = struct.pack(f"<{len(values)}f", *values)
    tensor = number(1, FLOAT) + chunk(2, shape(*sides)) + chunk(4, content)
    return node(name, "Const", dtype=dtype(FLOAT), value=chunk(8, tensor))


def function(name, arguments, nodes, returns) -> bytes:
    """A FunctionDef. returns: output -> "node:output:0"."""
    signature = chunk(1, name.encode())
    signature += b"".join(chunk(2, chunk(1, one.encode())) for one in arguments)
    signature += b"".join(chunk(3, chunk(1, one.encode())) for one in returns)
    out = chunk(1, signature) + b"".join(chunk(3, one) for one in nodes)
    return out + b"".join(chunk(4, entry(key, one.encode())) for key, one in returns.items())


def graph(nodes=(), functions=()) -> bytes:
    """A GraphDef."""
    out = b"".join(chunk(1, one) for one in nodes)
    if functions:
        out += chunk(2, b"".join(chunk(1, one) for one in functions))
    return out + chunk(4, number(1, 2000))


# --- what is around a graph ---


def tensor_info(name, sides=(), kind=FLOAT) -> bytes:
    return chunk(1, name.encode()) + number(2, kind) + chunk(3, shape(*sides))


def signature(inputs, outputs) -> bytes:
    """A SignatureDef. inputs, outputs: name -> TensorInfo."""
    out = b"".join(chunk(1, entry(key, one)) for key, one in inputs.items())
    out += b"".join(chunk(2, entry(key, one)) for key, one in outputs.items())
    return out + chunk(3, b"tensorflow/serving/predict")


def variable_def(name, whole=None) -> bytes:
    """A VariableDef. whole: name of the partitioned variable that it is a part of."""
    part = chunk(4, chunk(1, whole.encode())) if whole else b""
    return chunk(1, f"{name}:0".encode()) + part


def collection(name, *items: bytes) -> bytes:
    """A CollectionDef's entry, of bytes."""
    return entry(name, chunk(2, b"".join(chunk(1, one) for one in items)))


def asset(filename: str) -> bytes:
    return chunk(1, tensor_info("path:0", (), STRING)) + chunk(2, filename.encode())


def meta_graph(
    graph_def=None,
    tags=("serve",),
    signatures=None,
    collections=(),
    assets=(),
    objects=None,
    version="2.21.0",
) -> bytes:
    info = b"".join(chunk(4, tag.encode()) for tag in tags) + chunk(5, version.encode())
    out = chunk(1, info)
    out += chunk(2, graph() if graph_def is None else graph_def)
    out += b"".join(chunk(4, one) for one in collections)
    out += b"".join(chunk(5, entry(key, one)) for key, one in (signatures or {}).items())
    out += b"".join(chunk(6, one) for one in assets)
    return out if objects is None else out + chunk(7, objects)


# --- objects ---


def saved_object(kind: bytes, **children: int) -> bytes:
    held = (number(1, at) + chunk(2, name.encode()) for name, at in children.items())
    return b"".join(chunk(1, one) for one in held) + kind


def user_object(identifier="_generic_user_object", metadata="") -> bytes:
    return chunk(4, chunk(1, identifier.encode()) + chunk(3, metadata.encode()))


def variable(name, *sides, trainable=True) -> bytes:
    out = number(1, FLOAT) + chunk(2, shape(*sides)) + number(3, int(trainable))
    return chunk(7, out + chunk(6, name.encode()))


def constant(operation: str) -> bytes:
    return chunk(9, chunk(1, operation.encode()))


def object_graph(objects, captures=None) -> bytes:
    """A SavedObjectGraph. captures: function -> numbers of the objects that it captures."""
    out = b"".join(chunk(1, one) for one in objects)
    for name, bound in (captures or {}).items():
        packed = chunk(2, b"".join(varint(one) for one in bound))
        out += chunk(2, entry(name, packed))
    return out


def trackable(*objects) -> Item:
    """The checkpoint's own object graph. objects: (children, full name and key, or None)."""
    out = b""
    for children, stored in objects:
        one = b"".join(
            chunk(1, number(1, at) + chunk(2, name.encode())) for name, at in children.items()
        )
        if stored is not None:
            full_name, key = stored
            value = chunk(1, b"VARIABLE_VALUE") + chunk(2, full_name.encode())
            one += chunk(2, value + chunk(3, key.encode()))
        out += chunk(1, one)
    data, crc = strings(out)
    return Item(b"_CHECKPOINTABLE_OBJECT_GRAPH", data, STRING, crc=crc)


def floats(key: str, values, sides=None) -> Item:
    data = struct.pack(f"<{len(values)}f", *values)
    return Item(key.encode(), data, FLOAT, (len(values),) if sides is None else sides)


# --- folders ---


def write(folder, *meta_graphs: bytes, items=(), files=None, shards=1) -> str:
    """A SavedModel's folder; its path. items: what its variables are, none: no `variables`."""
    data = number(1, 1) + b"".join(chunk(2, one) for one in meta_graphs)
    content = {"saved_model.pb": data, **(files or {})}
    if items:
        content |= bundle(*items, shards=shards, prefix="variables/variables")
    for name, written in content.items():
        path = os.path.join(str(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(written)
    return str(folder)


def module(folder, **more) -> str:
    """A tf.Module: y = (x @ w + b) @ c, with w trained, b not, and c a captured constant.

    4 x 3 + 3 variables' values, 3 x 2 of the constant, and a constant of 4 within the function.
    """
    body = [
        node("ReadW", "ReadVariableOp", "w_resource", dtype=dtype(FLOAT)),
        node("MatMul", "MatMul", "x", "ReadW:value:0", T=dtype(FLOAT)),
        node("ReadB", "ReadVariableOp", "b_resource", dtype=dtype(FLOAT)),
        node("BiasAdd", "BiasAdd", "MatMul:product:0", "ReadB:value:0", T=dtype(FLOAT)),
        node("MatMul_1", "MatMul", "BiasAdd:output:0", "captured", T=dtype(FLOAT)),
        const("scale", [1.0, 2.0], (2,)),
        node("Mul", "Mul", "MatMul_1:product:0", "scale:output:0", T=dtype(FLOAT)),
    ]
    call = function(
        "__inference_call_1",
        ["x", "w_resource", "b_resource", "captured"],
        body,
        {"y": "Mul:z:0"},
    )
    nodes = [
        node("w", "VarHandleOp"),
        node("b", "VarHandleOp"),
        const("Const", [float(one) for one in range(6)], (3, 2)),
        node("serving_default_x", "Placeholder"),
        node(
            "StatefulPartitionedCall",
            "StatefulPartitionedCall",
            *("serving_default_x", "w", "b", "Const"),
            f=called("__inference_call_1"),
        ),
    ]
    objects = object_graph(
        [
            saved_object(user_object(), w=1, b=2, f=3),
            saved_object(variable("w", 4, 3)),
            saved_object(variable("b", 3, trainable=False)),
            saved_object(chunk(6, chunk(1, b"__inference_call_1"))),
            saved_object(constant("Const")),
        ],
        {"__inference_call_1": [1, 2, 4]},
    )
    held = trackable(
        ({"w": 1, "b": 2, "f": 3}, None),
        ({}, ("w", f"w{VALUE}")),
        ({}, ("b", f"b{VALUE}")),
        ({}, None),
        ({}, None),
    )
    call_info = signature(
        {"x": tensor_info("serving_default_x:0", (-1, 4))},
        {"y": tensor_info("StatefulPartitionedCall:0", (-1, 2))},
    )
    meta = meta_graph(
        graph(nodes, [call]),
        signatures={
            "serving_default": call_info,
            "__saved_model_init_op": signature({}, {"op": tensor_info("NoOp", (), 0)}),
        },
        objects=objects,
    )
    items = [
        floats(f"w{VALUE}", [float(one) for one in range(12)], (4, 3)),
        floats(f"b{VALUE}", [0.5, 0.0, 0.5]),
        held,
    ]
    return write(folder, meta, **{"items": items, **more})
