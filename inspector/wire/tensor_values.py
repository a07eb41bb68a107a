"""TensorProto: a constant's dtype, shape and values, where they are, and read when asked.

Sources, of TensorFlow 2.21: the fields of tensorflow/core/framework/tensor.proto, and what
Tensor::FromProto of tensor.cc makes of them. Bytes of `tensor_content` win over values in the
field of their dtype. Of those the first ones count where there are too many, the last one is
repeated where there are too few, and without any the tensor is all zeros.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector.errors import Corrupt
from inspector.limits import KIB, Limits
from inspector.model import Payload
from inspector.storage import FilledPayload, RawPayload, numpy_dtype
from inspector.wire.protobuf import (
    FIXED_SIZES,
    VARINT_BYTES,
    Field,
    Message,
    Wire,
    read_varint,
)
from inspector.wire.protobuf_schema import SCALARS, Packed, Schema, numbers, one, parse
from inspector.wire.tensor_proto import DTYPES, TENSOR_SHAPE, DType, shape_of

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

CONTENT = 4
STRINGS = 8
_HEAD: Schema = {1: one("dtype", "enum"), 2: one("shape", TENSOR_SHAPE)}
_PIECE = 64 * KIB  # bytes of a field, or single fields, that are decoded at once
_CONTINUED = bytes(range(0x80, 0x100))  # bytes of a varint that are not its last


class _Form(NamedTuple):
    """The field that holds values of a dtype.

    kind: what protobuf calls its numbers; per: how many of them make a value; bits: the dtype
    whose numbers are the values' bits, where they are no values themselves.
    """

    number: int
    name: str
    kind: str
    per: int = 1
    bits: str | None = None


_INT = _Form(7, "int_val", "int32")
_HALF = _Form(13, "half_val", "int32", bits="uint16")
_FLOAT8 = _Form(18, "float8_val", "bytes")
_FORMS: Mapping[str, _Form] = {
    "float32": _Form(5, "float_val", "float"),
    "float64": _Form(6, "double_val", "double"),
    "complex64": _Form(9, "scomplex_val", "float", per=2),
    "complex128": _Form(12, "dcomplex_val", "double", per=2),
    "int64": _Form(10, "int64_val", "int64"),
    "uint32": _Form(16, "uint32_val", "uint32"),
    "uint64": _Form(17, "uint64_val", "uint64"),
    "bool": _Form(11, "bool_val", "bool"),
    "float16": _HALF,
    "bfloat16": _HALF,
    **dict.fromkeys(("int32", "int16", "int8", "uint16", "uint8"), _INT),
    **dict.fromkeys(("int4", "uint4", "int2", "uint2"), _INT),
    **dict.fromkeys((f"float8_{kind}" for kind in ("e5m2", "e4m3fn", "e4m3fnuz")), _FLOAT8),
    **dict.fromkeys(("float8_e4m3b11fnuz", "float8_e5m2fnuz", "float4_e2m1fn"), _FLOAT8),
}
_OBJECTS: Mapping[str, _Form] = {
    "string": _Form(STRINGS, "string_val", "bytes"),
    "resource": _Form(14, "resource_handle_val", "bytes"),
    "variant": _Form(15, "variant_val", "bytes"),
}


def _wires(kind: str) -> tuple[Wire, ...]:
    return (SCALARS[kind].wire, Wire.BYTES) if kind in SCALARS else (Wire.BYTES,)


# The fields that hold values, and how they may be written.
_WIRES: Mapping[int, tuple[Wire, ...]] = {
    CONTENT: (Wire.BYTES,),
    **{form.number: _wires(form.kind) for form in (*_FORMS.values(), *_OBJECTS.values())},
}
VALUE_FIELDS = frozenset(_WIRES)


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


@dataclass(frozen=True, slots=True)
class TypedPayload:
    """The first `count` values of a message's typed field, decoded a piece at a time.

    dtype: name as for `numpy_dtype`; there are that many values in the field.
    """

    message: Message
    form: _Form
    dtype: str
    count: int

    def blocks(self, max_bytes: int) -> Iterator[Array]:
        """Values in order, at most `max_bytes` each. Raises Corrupt, Truncated."""
        import numpy as np

        dtype = numpy_dtype(self.dtype)
        step, left = max(max_bytes // dtype.itemsize, 1), self.count
        half: Array | None = None  # of a complex value
        for piece in self._pieces():
            array = piece
            if self.form.per > 1:
                array = array if half is None else np.concatenate((half, array))
                whole = array.size - array.size % self.form.per
                half, array = array[whole:], array[:whole]
            values = _as_values(array, self.form, dtype)[:left]
            for start in range(0, values.size, step):
                yield values[start : start + step]
            left -= values.size
            if not left:
                return

    def _pieces(self) -> Iterator[Array]:
        """The field's numbers, whether they are packed or not."""
        import numpy as np

        loose: list[Any] = []
        scalar = SCALARS[self.form.kind]
        for found in _values(self.message, self.form):
            if found.wire != Wire.BYTES:
                loose.append(scalar.read(found.value))
            if loose and (found.wire == Wire.BYTES or len(loose) >= _PIECE // 8):
                yield np.array(loose, scalar.numpy)
                loose = []
            if found.wire == Wire.BYTES:
                yield from _unpacked(self.message, found, self.form.kind)
        if loose:
            yield np.array(loose, scalar.numpy)


@dataclass(frozen=True, slots=True)
class PaddedPayload:
    """Values of which the last one is repeated until there are `count`."""

    head: Payload
    count: int
    dtype: str

    def blocks(self, max_bytes: int) -> Iterator[Array]:
        """The values that are stored, then blocks that all share one value in memory."""
        left = self.count
        block: Array | None = None
        for block in self.head.blocks(max_bytes):
            left -= block.size
            yield block
        if block is not None and left > 0:
            yield from FilledPayload(left, block[-1], self.dtype).blocks(max_bytes)


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
        form = _OBJECTS[dtype.name]
        found = _Found(_count(message, form), form.name)
    else:
        found = _typed(message, dtype.values, elements, nbytes)
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


def _typed(message: Message, values: str, elements: int, nbytes: int) -> _Found:
    """Values from the field of their dtype."""
    form = _FORMS[values]
    stored = _count(message, form)
    if not stored or not elements:
        return _Found(stored, "no values", None, FilledPayload(elements, 0, values))
    count = min(stored, elements)
    head = _stored(message, form, values, count)
    if count == 1:
        first = next(iter(head.blocks(_PIECE)))[0]
        storage = form.name if elements == 1 else f"{form.name}, one value repeated"
        return _Found(stored, storage, None, FilledPayload(elements, first, values))
    if count == elements:
        return _Found(stored, form.name, None, head)
    storage = f"{form.name}, the last value repeated"
    if _bomb(elements * numpy_dtype(values).itemsize, nbytes, message.limits):
        return _Found(stored, storage, f"{stored:,} values stand for {elements:,}: not read")
    return _Found(stored, storage, None, PaddedPayload(head, elements, values))


def _bomb(declared: int, stored: int, limits: Limits) -> bool:
    return declared > limits.bomb_bytes and declared > limits.bomb_ratio * stored


def _stored(message: Message, form: _Form, values: str, count: int) -> Payload:
    """The first `count` values of those stored: a view where they lie side by side."""
    first, *more = islice(_values(message, form), 2)
    flat = form is _FLOAT8 or (form.kind in SCALARS and SCALARS[form.kind].wire in FIXED_SIZES)
    if flat and first.wire == Wire.BYTES and not more:
        return RawPayload(message.source, first.offset, count, values)
    return TypedPayload(message, form, values, count)


def _as_values(array: Array, form: _Form, dtype: np.dtype[Any]) -> Array:
    """Numbers as they are decoded, as values of the tensor: its low bits, its bits, its parts."""
    if form.bits is not None:
        return array.astype(form.bits).view(dtype)
    if form.per > 1:
        return array.view(dtype)
    return array.astype(dtype, copy=False)


def _unpacked(message: Message, chunk: Field, kind: str) -> Iterator[Array]:
    """The numbers of a packed field, some at a time."""
    source, stop = message.source, chunk.offset + chunk.length
    at = chunk.offset
    while at < stop:
        end = min(at + _PIECE, stop)
        if end < stop and SCALARS[kind].wire == Wire.VARINT:
            # Back to the end of a varint; in a sound chunk that is no further than one's length.
            tail = source.view(end - VARINT_BYTES, VARINT_BYTES)
            ends = (back for back in range(VARINT_BYTES) if tail[VARINT_BYTES - 1 - back] < 0x80)
            end -= next(ends, 0)
        piece = Field(chunk.number, Wire.BYTES, 0, at, end - at)
        yield numbers(source, Packed(kind, [piece]), message.limits)
        at = end


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
    for found in islice(_values(message, _OBJECTS["string"]), elements):
        yield source.view(found.offset, found.length)


def _listed(message: Message, content: Field, count: int) -> Iterator[memoryview]:
    """Strings of a `tensor_content`: their lengths as varints, then the bytes of all."""
    view, path, base = (
        message.source.view(content.offset, content.length),
        message.source.path,
        content.offset,
    )
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
        wires = _WIRES.get(found.number, ())
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


def _values(message: Message, form: _Form) -> Iterator[Field]:
    """The fields that hold values of a form: of bytes the last one, as they are singular."""
    found = (one for one in message.fields(form.number) if one.wire in _WIRES[form.number])
    if form is _FLOAT8:
        last = message.last(form.number)
        return iter(()) if last is None else iter((last,))
    return found


def _count(message: Message, form: _Form) -> int:
    """How many values are stored in the field of a form. Raises Corrupt for part of one."""
    if form in _OBJECTS.values():
        return sum(1 for _ in _values(message, form))
    count = 0
    for found in _values(message, form):
        count += 1 if found.wire != Wire.BYTES else _count_packed(message, found, form)
    return count // form.per


def _count_packed(message: Message, chunk: Field, form: _Form) -> int:
    if form is _FLOAT8:
        return chunk.length
    size = FIXED_SIZES.get(SCALARS[form.kind].wire)
    if size is None:
        count, ended = 0, True
        for start in range(chunk.offset, chunk.offset + chunk.length, _PIECE):
            length = min(_PIECE, chunk.offset + chunk.length - start)
            piece = bytes(message.source.view(start, length))
            count += len(piece.translate(None, _CONTINUED))
            ended = piece[-1] < 0x80
    else:
        count, ended = chunk.length // size, chunk.length % size == 0
    if not ended:
        raise Corrupt(
            f"{chunk.length:,} bytes hold no whole number of {form.kind}",
            message.source.path,
            chunk.offset,
        )
    return count
