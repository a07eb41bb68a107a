"""Whole .tflite files by hand: subgraphs of tensors and operators, over `flatbuffers`."""

from __future__ import annotations

import numpy as np

from inspector.wire.tflite_operators import CUSTOM, OPERATORS
from inspector.wire.tflite_schema import TENSOR_TYPES
from tests.builders.flatbuffers import flatbuffer


def tensor(name="", shape=(), dtype="float32", buffer=0, **more):
    """A tensor's fields. scale, zero_point, axis: of its quantization."""
    scale = more.pop("scale", None)
    if scale is not None:
        more["quantization"] = {
            "scale": scale,
            "zero_point": more.pop("zero_point", [0] * len(scale)),
            "quantized_dimension": more.pop("axis", 0),
        }
    kind = TENSOR_TYPES.index(dtype) if isinstance(dtype, str) else dtype
    return {"name": name, "shape": list(shape), "type": kind, "buffer": buffer, **more}


def op(name, inputs, outputs, *, options=None, version=1, **more):
    """An operator: `name` is a builtin's, or "custom:..."; options: (table, its fields)."""
    fields = {"inputs": list(inputs), "outputs": list(outputs), **more}
    if options is not None:
        wide = options[0].startswith("Stablehlo") or options[0] == "StableHLOCompositeOptions"
        fields["builtin_options2" if wide else "builtin_options"] = options
    return name, version, fields


def graph(tensors, operators=(), inputs=(), outputs=(), name=""):
    """A subgraph's fields, its operators as `op` gives them."""
    return {
        "tensors": tensors,
        "operators": list(operators),
        "inputs": list(inputs),
        "outputs": list(outputs),
        "name": name,
    }


def values(*graphs, buffers=(), **more):
    """All fields of a model of these subgraphs. buffers: from number 1 on, bytes or fields."""
    codes: dict[tuple[str, int], int] = {}
    listed = []
    for one in graphs:
        operators = [
            {"opcode_index": codes.setdefault((name, version), len(codes)), **fields}
            for name, version, fields in one["operators"]
        ]
        listed.append({**one, "operators": operators})
    return {
        "version": 3,
        "operator_codes": [_code(name, version) for name, version in codes],
        "subgraphs": listed,
        "description": "made by hand",
        "buffers": [
            {},
            *(one if isinstance(one, dict) else {"data": data(one)} for one in buffers),
        ],
        **more,
    }


def _code(name, version):
    if name.startswith("custom:"):
        return {
            "deprecated_builtin_code": CUSTOM,
            "builtin_code": CUSTOM,
            "custom_code": name.removeprefix("custom:"),
            "version": version,
        }
    return {"builtin_code": OPERATORS.index(name), "version": version}


def data(given):
    """The bytes of an array, or those given."""
    return given if isinstance(given, bytes) else np.ascontiguousarray(given).tobytes()


def model(*graphs, buffers=(), **more):
    """The bytes of a model of these subgraphs."""
    return flatbuffer(values(*graphs, buffers=buffers, **more))


def texts(*given):
    """The bytes of a tensor of texts: their number, where each begins and the last ends."""
    raw = [one.encode() for one in given]
    first = 4 * (len(raw) + 2)
    bounds = np.cumsum([first, *map(len, raw)])
    return np.array([len(raw), *bounds], "<i4").tobytes() + b"".join(raw)
