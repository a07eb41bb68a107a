"""TensorFlow's numbers for dtypes, and the messages that say what a stored tensor is, as tables.

Sources, of TensorFlow 2.21: tensorflow/core/framework/types.proto, tensor_shape.proto,
tensor_slice.proto, versions.proto and tensorflow/core/protobuf/tensor_bundle.proto.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from inspector.wire.protobuf_schema import Schema, many, maybe, one

MAX_DIMENSIONS = 254  # TensorShape's own
MAX_ELEMENTS = (1 << 63) - 1


class DType(NamedTuple):
    """A dtype as TensorFlow calls it.

    values: NumPy's or ml_dtypes' name for the stored values, None where they have no fixed size;
    size: bytes of one. Types of less than a byte take a whole one, as in TensorFlow's memory.
    """

    name: str
    values: str | None
    size: int


def _plain(name: str, size: int) -> DType:
    return DType(name, name, size)


DTYPES: Mapping[int, DType] = {
    1: _plain("float32", 4),
    2: _plain("float64", 8),
    3: _plain("int32", 4),
    4: _plain("uint8", 1),
    5: _plain("int16", 2),
    6: _plain("int8", 1),
    7: DType("string", None, 0),
    8: _plain("complex64", 8),
    9: _plain("int64", 8),
    10: _plain("bool", 1),
    11: DType("qint8", "int8", 1),
    12: DType("quint8", "uint8", 1),
    13: DType("qint32", "int32", 4),
    14: _plain("bfloat16", 2),
    15: DType("qint16", "int16", 2),
    16: DType("quint16", "uint16", 2),
    17: _plain("uint16", 2),
    18: _plain("complex128", 16),
    19: _plain("float16", 2),
    20: DType("resource", None, 0),
    21: DType("variant", None, 0),
    22: _plain("uint32", 4),
    23: _plain("uint64", 8),
    24: _plain("float8_e5m2", 1),
    25: _plain("float8_e4m3fn", 1),
    26: _plain("float8_e4m3fnuz", 1),
    27: _plain("float8_e4m3b11fnuz", 1),
    28: _plain("float8_e5m2fnuz", 1),
    29: _plain("int4", 1),
    30: _plain("uint4", 1),
    31: _plain("int2", 1),
    32: _plain("uint2", 1),
    33: _plain("float4_e2m1fn", 1),
}

TENSOR_SHAPE: Schema = {
    2: many("dim", {1: one("size", "int64"), 2: one("name", "string")}),
    3: one("unknown_rank", "bool"),
}
# An extent without a length is the whole axis.
TENSOR_SLICE: Schema = {
    1: many("extent", {1: one("start", "int64"), 2: maybe("length", "int64")}),
}
VERSION_DEF: Schema = {
    1: one("producer", "int32"),
    2: one("min_consumer", "int32"),
    3: many("bad_consumers", "int32"),
}
BUNDLE_HEADER: Schema = {
    1: one("num_shards", "int32"),
    2: one("endianness", "enum"),
    3: one("version", VERSION_DEF),
}
BUNDLE_ENTRY: Schema = {
    1: one("dtype", "enum"),
    2: one("shape", TENSOR_SHAPE),
    3: one("shard_id", "int32"),
    4: one("offset", "int64"),
    5: one("size", "int64"),
    6: one("crc32c", "fixed32"),
    7: many("slices", TENSOR_SLICE),
}


def shape_of(proto: Mapping[str, Any] | None) -> tuple[int, ...] | None:
    """The shape that a parsed TensorShapeProto gives; None where no tensor can have it."""
    if proto is None:
        return ()
    shape = tuple(dim["size"] for dim in proto["dim"])
    if proto["unknown_rank"] or len(shape) > MAX_DIMENSIONS or any(side < 0 for side in shape):
        return None
    # TensorFlow holds the product of sides without the empty ones to the same bound.
    full = math.prod(side for side in shape if side)
    return shape if full <= MAX_ELEMENTS else None
