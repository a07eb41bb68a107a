"""TensorProto: a constant's dtype, shape and values, where they are, and read when asked.

Sources, of TensorFlow 2.21: the fields of tensorflow/core/framework/tensor.proto, and what
Tensor::FromProto of tensor.cc makes of them. Bytes of `tensor_content` win over values in the
field of their dtype. Of those the first ones count where there are too many, the last one is
repeated where there are too few, and without any the tensor is all zeros.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from inspector.errors import Corrupt
from inspector.limits import MIB, Limits
from inspector.model import Payload
from inspector.payloads import FilledPayload, RawPayload
from inspector.storage import lazily
from inspector.wire.protobuf import Field, Message, read_varint
from inspector.wire.protobuf_schema import Schema, one, parse
from inspector.wire.tensor_proto import DTYPES, TENSOR_SHAPE, DType, shape_of
from inspector.wire.typed_values import (
    CONTENT,
    FORMS,
    OBJECTS,
    WIRES,
    PaddedPayload,
    count_values,
    stored_payload,
    value_fields,
)

_HEAD: Schema = {1: one("dtype", "enum"), 2: one("shape", TENSOR_SHAPE)}


@dataclass(frozen=True, slots=True)
class TensorValue:
    """A constant.

    dtype: "float32", "qint8", "string", "resource" ..., "unknown (99)" for a number that is none.
    values: the dtype that the stored values are read as; None for strings and the like.
    shape: None where the message gives none that a tensor can have; elements: 0 then.
    stored: how many values there are in the message; the last one stands for the others.
    spans: (offset, length) in the message's source of all that holds values, none of it twice;
        values that were written one by one are one span, the tags between them included.
    nbytes: their lengths added up.
    storage: the field that has the values ("tensor_content", "float_val"), and how.
    fault: why there are values and no payload; TensorFlow refuses such a message, unless the
        fault is its size.
    """

    dtype: str
    values: str | None
    shape: tuple[int, ...] | None
    elements: int
    stored: int
    nbytes: int
    spans: tuple[tuple[int, int], ...]
    storage: str
    fault: str | None = None
    payload: Payload | None = field(default=None, compare=False, repr=False)


def read_tensor(message: Message) -> TensorValue:
    """The constant that a TensorProto is. Its payload reads when asked, and never expands it.

    What cannot be a tensor (an unknown dtype, bytes that do not fit the shape), and what stores a
    few values and repeats the last one beyond all bounds, has a `fault` and no payload. Raises
    what `protobuf.fields` raises, and Corrupt for a packed field that ends within a value.
    """
    head = parse(message, _HEAD)
    return read_values(message, head["dtype"], shape_of(head["shape"]))


def read_values(message: Message, number: int, shape: tuple[int, ...] | None) -> TensorValue:
    """The same of a TensorProto whose dtype (by TensorFlow's number) and shape are told elsewhere.

    Checkpoints of version 1 leave both out. Raises as `read_tensor`.
    """
    dtype = DTYPES.get(number)
    elements = 0 if shape is None else math.prod(shape)
    content, spans = _scan(message)
    nbytes = sum(length for _, length in spans)
    if dtype is None:
        found = _Found(0, "", f"dtype {number} is none")
    elif shape is None:
        found = _Found(0, "", "no tensor can have its shape")
    elif content is not None and content.length and elements:
        found = _raw(message, dtype, elements, content)
    elif dtype.values is None:
        form = OBJECTS[dtype.name]
        found = _Found(count_values(message, form), form.name)
    else:
        found = _typed(message, dtype, dtype.values, elements, nbytes)
    return TensorValue(
        f"unknown ({number})" if dtype is None else dtype.name,
        None if dtype is None else dtype.values,
        shape,
        elements,
        nbytes=nbytes,
        spans=spans,
        **found._asdict(),
    )


class _Found(NamedTuple):
    stored: int
    storage: str
    fault: str | None = None
    payload: Payload | None = None


def _raw(message: Message, dtype: DType, elements: int, content: Field) -> _Found:
    """Values from `tensor_content`."""
    if dtype.values is None:
        # A string takes a byte at least, that of its length.
        fits = dtype.name == "string" and elements <= content.length
        needed = f"at least {elements:,}" if dtype.name == "string" else "none"
    else:
        fits = content.length == elements * dtype.size
        needed = f"{elements * dtype.size:,}"
    if not fits:
        return _Found(
            0,
            "tensor_content",
            f"{elements:,} values of {dtype.name} take {needed} bytes, "
            f"tensor_content has {content.length:,}",
        )
    payload = (
        None
        if dtype.values is None
        else RawPayload(message.source, content.offset, elements, dtype.values)
    )
    return _Found(elements, "tensor_content", None, payload)


def _typed(message: Message, dtype: DType, values: str, elements: int, nbytes: int) -> _Found:
    """Values from the field of their dtype."""
    form = FORMS[values]
    stored = count_values(message, form)
    if not stored or not elements:
        return _Found(stored, "no values", None, FilledPayload(elements, 0, values))
    count = min(stored, elements)
    head = stored_payload(message, form, values, count)
    if count == elements:
        return _Found(stored, form.name, None, head)
    if count == 1:
        first = next(head.blocks(MIB))[0]
        storage = f"{form.name}, one value repeated"
        return _Found(stored, storage, None, FilledPayload(elements, first, values))
    storage = f"{form.name}, the last value repeated"
    if _bomb(elements * dtype.size, nbytes, message.limits):
        return _Found(stored, storage, f"{stored:,} values stand for {elements:,}: not read")
    return _Found(stored, storage, None, PaddedPayload(head, elements, values))


def _bomb(declared: int, stored: int, limits: Limits) -> bool:
    return declared > limits.bomb_bytes and declared > limits.bomb_ratio * stored


def strings(message: Message) -> Iterator[memoryview]:
    """The strings of a string tensor that are stored, in C order, one at a time.

    No more of them than elements; where there are fewer, the last one stands for the others.
    Raises Corrupt (`tensor_content` that is no list of that many strings), and what
    `protobuf.fields` raises.
    """
    shape = shape_of(parse(message, _HEAD)["shape"])
    elements = 0 if shape is None else math.prod(shape)
    content, _ = _scan(message)
    if content is not None and content.length and elements:
        yield from _listed(message, content, elements)
        return
    source = message.source
    for found in islice(value_fields(message, OBJECTS["string"]), elements):
        yield source.view(found.offset, found.length)


def _listed(message: Message, content: Field, count: int) -> Iterator[memoryview]:
    """Strings of a `tensor_content`: their lengths as varints, then the bytes of all."""
    path, base = message.source.path, content.offset
    view = lazily(message.source, base, content.length)
    total = at = 0
    for _ in range(count):
        length, at = read_varint(view, at, path, base)
        total += length
    if at + total != len(view):
        raise Corrupt(
            f"{count:,} strings need {at + total:,} bytes, their tensor has {len(view):,}",
            path,
            base,
        )
    start, at = at, 0
    for _ in range(count):
        length, at = read_varint(view, at, path, base)
        yield view[start : start + length]
        start += length


def _scan(message: Message) -> tuple[Field | None, tuple[tuple[int, int], ...]]:
    """One pass over a message: the last `tensor_content`, and what all its values span."""
    content: Field | None = None
    spans: list[tuple[int, int]] = []
    previous = 0
    for found in message.fields():
        wires = WIRES.get(found.number, ())
        if found.wire in wires:
            if found.number == CONTENT:
                content = found
            stop = found.offset + found.length
            if found.number == previous:
                start, _ = spans.pop()
                spans.append((start, stop - start))
            else:
                spans.append((found.offset, found.length))
            previous = found.number
        else:
            previous = 0
    return content, tuple(span for span in spans if span[1])
