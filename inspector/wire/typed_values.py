"""The fields of a TensorProto that hold values by their dtype: which, how many, and as payloads.

Sources: tensorflow/core/framework/tensor.proto, and the ProtoHelpers of tensor.cc there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector.errors import Corrupt
from inspector.limits import KIB
from inspector.model import Payload
from inspector.payloads import FilledPayload, RawPayload, numpy_dtype
from inspector.storage import lazily
from inspector.wire.protobuf import FIXED_SIZES, VARINT_BYTES, Field, Message, Wire, read_varint
from inspector.wire.protobuf_schema import SCALARS, Packed, numbers

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

CONTENT = 4  # the values' own bytes, of any dtype
_PIECE = 64 * KIB  # bytes of a field, or single fields, that are decoded at once
_FEW = 64  # bytes of a field that are decoded one by one: for so few NumPy would take longer
_CONTINUED = bytes(range(0x80, 0x100))  # bytes of a varint that are not its last


class Form(NamedTuple):
    """The field that holds values of a dtype.

    kind: what protobuf calls its numbers; per: how many of them make a value; bits: the dtype
    whose numbers are the values' bits, where they are no values themselves.
    """

    number: int
    name: str
    kind: str
    per: int = 1
    bits: str | None = None


_INT = Form(7, "int_val", "int32")
_HALF = Form(13, "half_val", "int32", bits="uint16")
_FLOAT8 = Form(18, "float8_val", "bytes")
FORMS: Mapping[str, Form] = {
    "float32": Form(5, "float_val", "float"),
    "float64": Form(6, "double_val", "double"),
    "complex64": Form(9, "scomplex_val", "float", per=2),
    "complex128": Form(12, "dcomplex_val", "double", per=2),
    "int64": Form(10, "int64_val", "int64"),
    "uint32": Form(16, "uint32_val", "uint32"),
    "uint64": Form(17, "uint64_val", "uint64"),
    "bool": Form(11, "bool_val", "bool"),
    "float16": _HALF,
    "bfloat16": _HALF,
    **dict.fromkeys(("int32", "int16", "int8", "uint16", "uint8"), _INT),
    **dict.fromkeys(("int4", "uint4", "int2", "uint2"), _INT),
    **dict.fromkeys((f"float8_{kind}" for kind in ("e5m2", "e4m3fn", "e4m3fnuz")), _FLOAT8),
    **dict.fromkeys(("float8_e4m3b11fnuz", "float8_e5m2fnuz", "float4_e2m1fn"), _FLOAT8),
}
OBJECTS: Mapping[str, Form] = {
    "string": Form(8, "string_val", "bytes"),
    "resource": Form(14, "resource_handle_val", "bytes"),
    "variant": Form(15, "variant_val", "bytes"),
}


def _wires(kind: str) -> tuple[Wire, ...]:
    return (SCALARS[kind].wire, Wire.BYTES) if kind in SCALARS else (Wire.BYTES,)


# The fields that hold values, and how they may be written.
WIRES: Mapping[int, tuple[Wire, ...]] = {
    CONTENT: (Wire.BYTES,),
    **{form.number: _wires(form.kind) for form in (*FORMS.values(), *OBJECTS.values())},
}
VALUE_FIELDS = frozenset(WIRES)


@dataclass(frozen=True, slots=True)
class TypedPayload:
    """The first `count` values of a message's typed field, decoded a piece at a time.

    dtype: name as for `numpy_dtype`; there are that many values in the field.
    """

    message: Message
    form: Form
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
        for found in value_fields(self.message, self.form):
            large = found.wire == Wire.BYTES and found.length > _FEW
            if found.wire != Wire.BYTES:
                loose.append(scalar.read(found.value))
            elif not large:
                loose += _few(self.message, found, self.form.kind)
            if loose and (large or len(loose) >= _PIECE // 8):
                yield np.array(loose, scalar.numpy)
                loose = []
            if large:
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


def stored_payload(message: Message, form: Form, values: str, count: int) -> Payload:
    """The first `count` values of those stored: a view where they lie side by side."""
    first, *more = islice(value_fields(message, form), 2)
    flat = form is _FLOAT8 or (form.kind in SCALARS and SCALARS[form.kind].wire in FIXED_SIZES)
    if flat and first.wire == Wire.BYTES and not more:
        return RawPayload(message.source, first.offset, count, values)
    return TypedPayload(message, form, values, count)


def _as_values(array: Array, form: Form, dtype: np.dtype[Any]) -> Array:
    """Numbers as they are decoded, as values of the tensor: its low bits, its bits, its parts."""
    if form.bits is not None:
        return array.astype(form.bits).view(dtype)
    if form.per > 1:
        return array.view(dtype)
    return array.astype(dtype, copy=False)


def _few(message: Message, chunk: Field, kind: str) -> Iterator[Any]:
    """The numbers of a packed field, one at a time."""
    view = lazily(message.source, chunk.offset, chunk.length)
    scalar, at = SCALARS[kind], 0
    size = FIXED_SIZES.get(scalar.wire)
    while at < len(view):
        if size is None:
            value, at = read_varint(view, at, message.source.path, chunk.offset)
        else:
            value, at = int.from_bytes(view[at : at + size], "little"), at + size
        yield scalar.read(value)


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


def value_fields(message: Message, form: Form) -> Iterator[Field]:
    """The fields that hold values of a form: of bytes the last one, as they are singular."""
    found = (one for one in message.fields(form.number) if one.wire in WIRES[form.number])
    if form is _FLOAT8:
        last = message.last(form.number)
        return iter(()) if last is None else iter((last,))
    return found


def count_values(message: Message, form: Form) -> int:
    """How many values are stored in the field of a form. Raises Corrupt for part of one."""
    if form in OBJECTS.values():
        return sum(1 for _ in value_fields(message, form))
    count = 0
    for found in value_fields(message, form):
        count += 1 if found.wire != Wire.BYTES else _count_packed(message, found, form)
    return count // form.per


def _count_packed(message: Message, chunk: Field, form: Form) -> int:
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
