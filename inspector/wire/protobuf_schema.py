"""What the fields of a protobuf message mean: schemas as tables, and values by name.

As in the official runtime, the last of a field's values wins, a message given twice is merged,
and a field of another wire type than its schema's is an unknown one. Apart from it, members of
a oneof do not unset each other, and text that is no UTF-8 is kept.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from inspector.errors import Corrupt, LimitExceeded
from inspector.limits import DEFAULT, KIB, Limits
from inspector.storage import ByteSource
from inspector.wire.protobuf import (
    FIXED_SIZES,
    VARINT_BYTES,
    Field,
    Message,
    Wire,
    decode,
    read_varint,
    short_fields,
    signed,
    zigzag,
)

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_SHORT = 4 * KIB  # bytes of a message that is looked at as a whole
_PIECE = 256 * KIB  # bytes of varints decoded at once


class Slot(NamedTuple):
    """What a field number stands for; made by `one`, `maybe`, `many` and `mapping`.

    kind: a word of SCALARS, "string", "bytes" (a Field: where they are) or a nested Schema.
    """

    name: str
    kind: str | Schema
    rule: str
    key: str = ""
    default: Any = None  # where a singular field is absent


Schema = Mapping[int, Slot]


def one(name: str, kind: str | Schema) -> Slot:
    """A singular field: its default where it is absent, None for messages and bytes."""
    return Slot(name, kind, "one", default=_default(kind) if isinstance(kind, str) else None)


def maybe(name: str, kind: str | Schema) -> Slot:
    """A singular field whose absence matters: None then."""
    return Slot(name, kind, "maybe")


def many(name: str, kind: str | Schema) -> Slot:
    """A repeated field: a list; of numbers, packed or not."""
    return Slot(name, kind, "many")


def mapping(name: str, key: str, kind: str | Schema) -> Slot:
    """A map field: a dict, the last value of a key winning."""
    return Slot(name, kind, "map", key)


class _Scalar(NamedTuple):
    wire: Wire
    default: Any
    read: Any  # the bare unsigned number -> the value
    numpy: str  # of the values of a packed field


def _unpacker(form: str, size: str) -> Any:
    return lambda value: struct.unpack(form, struct.pack(size, value))[0]


SCALARS: Mapping[str, _Scalar] = {
    "int32": _Scalar(Wire.VARINT, 0, lambda value: signed(value, 32), "<i4"),
    "int64": _Scalar(Wire.VARINT, 0, signed, "<i8"),
    "uint32": _Scalar(Wire.VARINT, 0, lambda value: value & 0xFFFFFFFF, "<u4"),
    "uint64": _Scalar(Wire.VARINT, 0, lambda value: value, "<u8"),
    "sint32": _Scalar(Wire.VARINT, 0, lambda value: zigzag(value & 0xFFFFFFFF), "<i4"),
    "sint64": _Scalar(Wire.VARINT, 0, zigzag, "<i8"),
    "bool": _Scalar(Wire.VARINT, False, bool, "?"),
    "enum": _Scalar(Wire.VARINT, 0, lambda value: signed(value, 32), "<i4"),
    "fixed32": _Scalar(Wire.FIXED32, 0, lambda value: value, "<u4"),
    "fixed64": _Scalar(Wire.FIXED64, 0, lambda value: value, "<u8"),
    "sfixed32": _Scalar(Wire.FIXED32, 0, lambda value: signed(value, 32), "<i4"),
    "sfixed64": _Scalar(Wire.FIXED64, 0, signed, "<i8"),
    "float": _Scalar(Wire.FIXED32, 0.0, _unpacker("<f", "<I"), "<f4"),
    "double": _Scalar(Wire.FIXED64, 0.0, _unpacker("<d", "<Q"), "<f8"),
}


_WIRES = {kind: scalar.wire for kind, scalar in SCALARS.items()}


def parse(message: Message, schema: Schema) -> dict[str, Any]:
    """A message's values by name, every name of the schema present. Repeated numbers are lists.

    For messages that are small by nature; walk large ones with `Message.each`. Raises what
    `fields` raises, and LimitExceeded (`parsed_fields`).
    """
    return _fill(_blank(schema), message, schema, [0])


def _fill(
    values: dict[str, Any], message: Message, schema: Schema, spent: list[int]
) -> dict[str, Any]:
    """Put a message's fields into values that its schema's were put into before."""
    for field in _fields(message):
        slot = schema.get(field.number)
        if slot is None:
            continue
        name, kind, rule, _, _ = slot
        spent[0] += 1
        if spent[0] > message.limits.parsed_fields:
            _spend(message, field, spent, 0)
        if rule == "map":
            _put(values[name], message, field, slot, spent)
        elif rule == "many":
            values[name] += _items(message, field, kind, spent)
        elif isinstance(kind, str):
            # A packed chunk is no value of a singular field.
            if field.wire == _WIRES.get(kind, Wire.BYTES):
                values[name] = _value(message, field, kind)
        elif field.wire == Wire.BYTES:
            inner = values[name] or _blank(kind)
            values[name] = _fill(inner, message.child(field), kind, spent)
    return values


def _fields(message: Message) -> Iterable[Field]:
    """A message's fields. Those of a short one are found all at once."""
    source, offset, length, limits, _ = message
    if not 0 < length <= _SHORT:
        return message.fields()
    found = short_fields(bytes(source.view(offset, length)), offset, limits)
    return message.fields() if found is None else found


def _blank(schema: Schema) -> dict[str, Any]:
    """The values of an empty message."""
    return {
        slot.name: [] if slot.rule == "many" else {} if slot.rule == "map" else slot.default
        for slot in schema.values()
    }


def _default(kind: str) -> Any:
    return SCALARS[kind].default if kind in SCALARS else {"string": ""}.get(kind)


def _value(message: Message, field: Field, kind: str) -> Any:
    if kind == "bytes":
        return field
    if kind == "string":
        return decode(message.source, field, message.limits)
    return SCALARS[kind].read(field.value)


def _items(message: Message, field: Field, kind: str | Schema, spent: list[int]) -> list[Any]:
    """What one field adds to a list: a value, or the values of a packed chunk."""
    if not isinstance(kind, str):
        if field.wire != Wire.BYTES:
            return []
        return [_fill(_blank(kind), message.child(field), kind, spent)]
    wire = _WIRES.get(kind, Wire.BYTES)
    if field.wire == wire:
        return [_value(message, field, kind)]
    if field.wire != Wire.BYTES:
        return []
    _spend(message, field, spent, field.length // FIXED_SIZES.get(wire, 1))
    found: list[Any] = numbers(message.source, Packed(kind, [field]), message.limits).tolist()
    return found


def _put(
    values: dict[Any, Any], message: Message, field: Field, slot: Slot, spent: list[int]
) -> None:
    if field.wire == Wire.BYTES:
        pair = {1: one("key", slot.key), 2: one("value", slot.kind)}
        entry = _fill(_blank(pair), message.child(field), pair, spent)
        if entry["value"] is None and not isinstance(slot.kind, str):
            # An absent value is an empty message, as the official runtime has it.
            entry["value"] = _blank(slot.kind)
        values[entry["key"]] = entry["value"]


def _spend(message: Message, field: Field, spent: list[int], count: int) -> None:
    spent[0] += count
    if spent[0] > message.limits.parsed_fields:
        raise LimitExceeded(
            "parsed_fields",
            spent[0],
            message.limits.parsed_fields,
            message.source.path,
            field.offset,
        )


class Packed(NamedTuple):
    """Where a repeated number's values are: length-delimited chunks, or single fields."""

    kind: str
    fields: list[Field]


def packed(message: Message, number: int, kind: str) -> Packed:
    """Where a repeated number's values are; `numbers` reads them."""
    wires = (SCALARS[kind].wire, Wire.BYTES)
    return Packed(kind, [one for one in message.fields(number) if one.wire in wires])


def numbers(source: ByteSource, values: Packed, limits: Limits = DEFAULT) -> Array:
    """A repeated number's values as an array.

    Raises Truncated or Corrupt (a chunk that holds no whole number of values), LimitExceeded
    (`packed_bytes`).
    """
    import numpy as np

    scalar = SCALARS[values.kind]
    size = FIXED_SIZES.get(scalar.wire)
    total = sum(field.length for field in values.fields)
    if total > limits.packed_bytes:
        place = values.fields[0].offset
        raise LimitExceeded("packed_bytes", total, limits.packed_bytes, source.path, place)
    parts: list[Array] = []
    for field in values.fields:
        view = source.view(field.offset, field.length)
        if size is None:
            parts += _varints(view, source.path, field.offset, values.kind)
        elif field.length % size:
            raise Corrupt(
                f"{field.length:,} bytes hold no whole number of {values.kind}",
                source.path,
                field.offset,
            )
        else:
            parts.append(np.frombuffer(view, scalar.numpy))
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, scalar.numpy)


def _varints(view: memoryview, path: str, base: int, kind: str) -> Iterator[Array]:
    """All varints of a chunk, some at a time to bound what decoding takes besides the result."""
    start = 0
    while start < len(view):
        stop = min(start + _PIECE, len(view))
        if stop < len(view):
            # Back to the end of a varint; in a sound chunk that is no further than one's length.
            ends = (at for at in range(stop, stop - VARINT_BYTES, -1) if view[at - 1] < 0x80)
            stop = next(ends, stop)
        yield _decode(view[start:stop], path, base + start, kind)
        start = stop


def _decode(view: memoryview, path: str, base: int, kind: str) -> Array:
    """Varints side by side, in one round for each byte that they may have."""
    import numpy as np

    data = np.frombuffer(view, np.uint8)
    last = np.flatnonzero(data < 0x80)
    stop = int(last[-1]) + 1 if last.size else 0
    if stop != data.size:
        read_varint(view, stop, path, base)  # raises: the last one never ends
    first = np.concatenate(([0], last[:-1] + 1))
    length = last - first + 1
    if int(length.max()) > VARINT_BYTES:
        worst = int(first[np.argmax(length > VARINT_BYTES)])
        raise Corrupt("a varint has more than 10 bytes", path, base + worst)
    out = np.zeros(last.size, np.uint64)
    for place in range(int(length.max())):
        longer = length > place
        part = (data[first[longer] + place] & 0x7F).astype(np.uint64)
        out[longer] |= part << np.uint64(7 * place)
    if kind == "sint32":
        out &= np.uint64(0xFFFFFFFF)
    if kind.startswith("sint"):
        out = (out >> np.uint64(1)) ^ (np.uint64(0) - (out & np.uint64(1)))
    return (out != 0) if kind == "bool" else out.astype(SCALARS[kind].numpy)
